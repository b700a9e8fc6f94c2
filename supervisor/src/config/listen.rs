//! The key `listen` of a process table: numbers, paths, and who else wants the same address.
//!
//! The numbers of descriptors follow from the order in the list, so `${FD}` and `${FD_<NAME>}`
//! are filled in here, before the caller's environment is asked. Whether an address is free is
//! found out when the process starts.

use std::path::Path;

use super::argv::home_expanded;
use super::deserialize::from_node;
use super::expand::{Scope, Which, expand_tree, fill};
use super::problem::Problems;
use super::tree::{Entry, Node, Value};
use crate::spec::{Listen, ListenAddress, MAX_LISTEN, MAX_SOCKET_PATH, ProcessConfig, descriptor};

/// Keys in which a descriptor may be named.
const FILLED: [&str; 3] = ["command", "args", "env"];

/// Addresses of the file so far, with the process that has each.
pub(super) type Taken = Vec<(ListenAddress, String)>;

/// Fills in the numbers of descriptors in the texts of one process.
pub(super) fn fill_numbers(entry: &mut Entry, scope: &Scope<'_>, problems: &mut Problems) {
    let table = entry.value.entries_mut();
    let Some(list) = table.iter_mut().find(|entry| entry.key == "listen") else {
        return;
    };
    // The names of some follow from their addresses.
    let mut path = vec!["process".to_owned(), entry.key.clone(), "listen".to_owned()];
    expand_tree(&mut list.value, &mut path, scope, Which::AtLoad, problems);
    // What is wrong with it is reported by the check.
    let Ok(listen) = from_node::<Vec<Listen>>(&list.value) else {
        return;
    };
    for entry in table {
        if FILLED.contains(&entry.key.as_str()) {
            fill_node(&mut entry.value, &listen);
        }
    }
}

fn fill_node(node: &mut Node, listen: &[Listen]) {
    match &mut node.value {
        Value::Text(text) => {
            if text.contains("${FD") {
                *text = fill(text, &|name| {
                    descriptor(listen, name).map(|number| number.to_string())
                });
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| fill_node(item, listen)),
        Value::Table(entries) => entries
            .iter_mut()
            .for_each(|entry| fill_node(&mut entry.value, listen)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(..) => {}
    }
}

/// Makes the paths of one process absolute, and reports what cannot be listened on.
pub(super) fn settle(
    entry: &Entry,
    config: &mut ProcessConfig,
    folder: &Path,
    taken: &mut Taken,
    problems: &mut Problems,
) {
    let Some(list) = entry.value.entry("listen") else {
        return;
    };
    if config.listen.len() > MAX_LISTEN {
        problems.error(
            &list.key_span,
            format!("`listen` has {} addresses", config.listen.len()),
            format!("a process may have {MAX_LISTEN}; split it"),
        );
    }
    let mut names: Vec<&str> = Vec::new();
    for (listen, node) in config.listen.iter_mut().zip(list.value.items()) {
        let address = node.get("address").unwrap_or(node);
        if let ListenAddress::Unix(path) = &listen.address {
            let path = folder.join(home_expanded(&path.to_string_lossy()));
            let length = path.as_os_str().len();
            if length > MAX_SOCKET_PATH {
                problems.error(
                    &address.span,
                    format!(
                        "the path {} has {length} bytes, and the system takes {MAX_SOCKET_PATH}",
                        path.display()
                    ),
                    "write a shorter path, such as `\"unix:///run/api.sock\"`",
                );
            }
            listen.address = ListenAddress::Unix(path);
        } else if let Some(mode) = node.entry("mode") {
            problems.error(
                &mode.key_span,
                "`mode` is for socket files, and a port has none",
                "remove it",
            );
        }
        let clash = taken
            .iter()
            .find(|(other, _)| other.clashes(&listen.address));
        if let Some((other, process)) = clash {
            let message = if *process == entry.key {
                format!("`{}` stands twice in `listen`", listen.address)
            } else if *other == listen.address {
                format!("`{other}` is listened on for `{process}` already")
            } else {
                format!(
                    "`{}` and `{other}` of `{process}` cannot both be listened on",
                    listen.address
                )
            };
            problems.error(&address.span, message, "choose another, or remove one");
        }
        taken.push((listen.address.clone(), entry.key.clone()));
        if let Some(name) = node.get("name")
            && let Some(text) = name.text()
        {
            if names.contains(&text) {
                problems.error(
                    &name.span,
                    format!("two sockets are called `{text}`"),
                    "give each a name of its own",
                );
            }
            names.push(text);
        }
    }
}
