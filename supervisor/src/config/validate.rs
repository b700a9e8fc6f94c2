//! What a well-formed file means, checked: names, references, circles, limits.
//!
//! It runs on what could be read; a table with a wrong key does not keep the others from
//! being checked. Places come from the tree, values from the types.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::headers;
use super::order::{Order, Thing};
use super::problem::Problems;
use super::project::GroupConfig;
use super::suggest::{listed, nearest};
use super::tree::{Entry, Format, Node};
use crate::ids::{NameError, ProcessName};
use crate::secret::{MASK, is_mask};
use crate::spec::{ProbeRole, ProbeSet, ProcessConfig};
use crate::units::format_duration;

/// 100 ms: what a busy machine makes of a moment is no sign that a program hangs.
const SHORTEST_WATCHDOG: Duration = Duration::from_millis(100);

/// What the checks need to know about the rest of the file and the machine.
pub(crate) struct Around<'a> {
    pub(crate) format: Format,
    pub(crate) processes: &'a [String],
    pub(crate) groups: &'a [String],
    /// Bytes of memory of this machine, where known.
    pub(crate) memory: Option<u64>,
    /// Only root may run a process as somebody else.
    pub(crate) is_root: bool,
    /// Others may read the file.
    pub(crate) is_public: bool,
}

/// One `[process.<name>]`: its keys as they stand, also where the table could not be read.
pub(crate) fn process_table(entry: &Entry, around: &Around<'_>, problems: &mut Problems) {
    name(&entry.key, &entry.key_span, problems);
    let table = &entry.value;
    for variable in table.get("env").map(Node::entries).unwrap_or_default() {
        if variable.key.is_empty() || variable.key.contains(['=', '\0']) {
            problems.error(
                &variable.key_span,
                format!("`{}` cannot be the name of a variable", variable.key),
                "write a name of letters, digits and `_`",
            );
        }
        if around.is_public {
            secret(variable, problems);
        }
    }
    for table in headers_of_probes(table) {
        for header in headers::check(Some(table), problems) {
            if around.is_public {
                secret(header, problems);
            }
        }
    }
    masks(entry, problems);
    references(table, "depends_on", around.processes, "process", problems);
    if !around.is_root {
        for key in ["user", "group"] {
            if let Some(entry) = table.entry(key) {
                needs_root(entry, problems);
            }
        }
    } else {
        account(table, "user", "/etc/passwd", problems);
        account(table, "group", "/etc/group", problems);
    }
}

/// One process that could be read.
pub(crate) fn process(
    entry: &Entry,
    config: &ProcessConfig,
    around: &Around<'_>,
    problems: &mut Problems,
) {
    for (key, is_asked) in [
        ("capabilities", config.capabilities.is_some()),
        ("private_tmp", config.private_tmp),
    ] {
        if let (true, false, Some(entry)) = (is_asked, around.is_root, entry.value.entry(key)) {
            needs_root(entry, problems);
        }
    }
    let mut probes: Vec<(ProbeRole, &str, Duration, Duration)> = Vec::new();
    for ProbeSet {
        role,
        http,
        tcp,
        script,
    } in config.health.sets()
    {
        probes.extend(http.map(|p| (role, "http", p.timeout, p.interval)));
        probes.extend(tcp.map(|p| (role, "tcp", p.timeout, p.interval)));
        probes.extend(script.map(|p| (role, "script", p.timeout, p.interval)));
    }
    for (role, kind, timeout, interval) in probes {
        let Some(probe) = table_of(&entry.value, role).and_then(|node| node.entry(kind)) else {
            continue;
        };
        if let (false, Some(on_fail)) = (role.restarts(), probe.value.entry("on_fail")) {
            problems.error(
                &on_fail.key_span,
                "only a probe of `liveness`, or one without a role, has something to decide on a failure",
                "remove `on_fail`, or move the probe",
            );
        }
        let place = |key: &str| probe.value.get(key).map(|node| node.span.clone());
        let span = place("timeout")
            .or(place("interval"))
            .unwrap_or_else(|| probe.key_span.clone());
        if interval.is_zero() {
            problems.error(
                &place("interval").unwrap_or(span),
                "`interval` is zero, so the probe would never rest",
                format!("write `{}`", around.format.assign("interval", "\"10s\"")),
            );
        } else if timeout > interval {
            problems.error(
                &span,
                format!(
                    "the timeout of {} is longer than the interval of {}",
                    format_duration(timeout),
                    format_duration(interval)
                ),
                format!(
                    "write `{}` or less, or a longer interval",
                    around
                        .format
                        .assign("timeout", &format!("\"{}\"", format_duration(interval)))
                ),
            );
        } else if timeout.is_zero() {
            problems.error(
                &span,
                "`timeout` is zero, so the probe could never pass",
                format!("write `{}`", around.format.assign("timeout", "\"2s\"")),
            );
        }
    }
    if let (Some(period), Some(node)) = (config.watchdog, entry.value.get("watchdog"))
        && period < SHORTEST_WATCHDOG
    {
        problems.error(
            &node.span,
            format!(
                "`watchdog` is {}, it must be at least 100ms",
                format_duration(period)
            ),
            format!("write `{}`", around.format.assign("watchdog", "\"30s\"")),
        );
    }
    if let (Some(limit), Some(memory), Some(node)) = (
        config.max_memory,
        around.memory,
        entry.value.get("max_memory"),
    ) && limit.0 > memory
    {
        problems.warning(
            &node.span,
            format!(
                "`max_memory` is {limit}, this machine has {}MB",
                memory >> 20
            ),
            "the limit will never be reached; write a smaller one",
        );
    }
    if let Some(node) = entry.value.get("restart_delay")
        && config.restart_delay > config.max_restart_delay
    {
        problems.warning(
            &node.span,
            format!(
                "`restart_delay` is longer than `max_restart_delay`, which is {}",
                format_duration(config.max_restart_delay)
            ),
            format!(
                "add `{}`",
                around.format.assign(
                    "max_restart_delay",
                    &format!("\"{}\"", format_duration(config.restart_delay))
                )
            ),
        );
    }
    let numbered = config
        .increment_var
        .as_ref()
        .and_then(|name| entry.value.get("env")?.get(name));
    if let Some(value) = numbered
        && let Some(text) = value.text()
        && text.parse::<u64>().is_err()
    {
        problems.error(
            &value.span,
            format!("`increment_var` names this variable, but `{text}` is not a number"),
            "write the number of the first instance, such as `3000`",
        );
    }
}

/// The table that holds the probes of a role.
fn table_of(process: &Node, role: ProbeRole) -> Option<&Node> {
    let health = process.get("health")?;
    role.table().map_or(Some(health), |table| health.get(table))
}

/// The tables of headers of all its probes.
fn headers_of_probes(process: &Node) -> impl Iterator<Item = &Node> {
    let tables = ProbeRole::ALL
        .into_iter()
        .filter_map(|role| table_of(process, role));
    tables.filter_map(|table| table.find(&["http", "headers"]))
}

/// One `[groups.<name>]`.
pub(crate) fn group(
    entry: &Entry,
    config: Option<&GroupConfig>,
    around: &Around<'_>,
    problems: &mut Problems,
) {
    name(&entry.key, &entry.key_span, problems);
    let table = &entry.value;
    references(table, "processes", around.processes, "process", problems);
    let members: Vec<String> = texts(table, "processes")
        .map(|(text, _)| text.to_owned())
        .collect();
    for (text, node) in texts(table, "start_order") {
        if around.processes.iter().any(|known| known == text)
            && !members.iter().any(|member| member == text)
        {
            problems.error(
                &node.span,
                format!("`{text}` is not a member of `{}`", entry.key),
                "add it to `processes`, or take it out of `start_order`",
            );
        }
    }
    references(table, "start_order", around.processes, "process", problems);
    for key in ["processes", "start_order"] {
        let mut seen = BTreeSet::new();
        for (text, node) in texts(table, key) {
            if !seen.insert(text) {
                problems.error(
                    &node.span,
                    format!("`{text}` stands twice in `{key}`"),
                    "remove one",
                );
            }
        }
    }
    let both: Vec<String> = around
        .groups
        .iter()
        .chain(around.processes)
        .cloned()
        .collect();
    references(table, "depends_on", &both, "group or process", problems);
    if config.is_some_and(|config| config.processes.is_empty())
        && let Some(node) = table.get("processes")
    {
        problems.error(
            &node.span,
            format!("the group `{}` has no processes", entry.key),
            "name at least one, or remove the group",
        );
    }
}

/// Circles over `depends_on` of processes and groups and `start_order`.
pub(crate) fn circles(root: &Node, around: &Around<'_>, problems: &mut Problems) {
    let mut order = Order::default();
    let is_group = |name: &str| around.groups.iter().any(|group| group == name);
    for entry in root.get("process").map(Node::entries).unwrap_or_default() {
        for (text, node) in texts(&entry.value, "depends_on") {
            order.add(
                Thing::Process(entry.key.clone()),
                Thing::Process(text.to_owned()),
                &node.span,
            );
        }
    }
    for entry in root.get("groups").map(Node::entries).unwrap_or_default() {
        for (member, node) in texts(&entry.value, "processes") {
            order.add_member(&entry.key, member, &node.span);
        }
        for (text, node) in texts(&entry.value, "depends_on") {
            let earlier = if is_group(text) {
                Thing::End(text.to_owned())
            } else {
                Thing::Process(text.to_owned())
            };
            order.add(Thing::Begin(entry.key.clone()), earlier, &node.span);
        }
        let ordered: Vec<_> = texts(&entry.value, "start_order").collect();
        for pair in ordered.windows(2) {
            order.add(
                Thing::Process(pair[1].0.to_owned()),
                Thing::Process(pair[0].0.to_owned()),
                &pair[1].1.span,
            );
        }
    }
    for circle in order.circles() {
        problems.error(
            &circle.span,
            format!("nothing of this can start first: {}", circle.text),
            "take one of them out of `depends_on` or `start_order`",
        );
    }
}

fn name(name: &str, span: &Range<usize>, problems: &mut Problems) {
    if let Err(error) = name.parse::<ProcessName>() {
        let help = match &error {
            NameError::Reserved(_) | NameError::AllDigits(_) => {
                format!("choose another, such as `app-{}`", name.trim_matches('.'))
            }
            NameError::Empty | NameError::TooLong(_) | NameError::BadCharacter { .. } => {
                "use letters, digits, `.`, `_` and `-`, such as `api` or `db-1`".to_owned()
            }
        };
        problems.error(span, error.to_string(), help);
    }
}

/// The texts of a list, with their places.
fn texts<'a>(table: &'a Node, key: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
    table
        .get(key)
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|node| Some((node.text()?, node)))
}

fn references(table: &Node, key: &str, known: &[String], what: &str, problems: &mut Problems) {
    for (text, node) in texts(table, key) {
        if known.iter().any(|name| name == text) {
            continue;
        }
        let names = known.iter().map(String::as_str);
        let help = match nearest(text, names.clone()) {
            Some(near) => format!("write \"{near}\""),
            None if known.is_empty() => format!("there is no {what} in this file"),
            None => format!("this file has {}", listed(names)),
        };
        problems.error(
            &node.span,
            format!("`{key}` names `{text}`, but there is no such {what}"),
            help,
        );
    }
}

fn needs_root(entry: &Entry, problems: &mut Problems) {
    let key = &entry.key;
    problems.error(
        &entry.key_span,
        format!("`{key}` needs a daemon that runs as root"),
        format!("remove `{key}`, or run mhost as root"),
    );
}

fn account(table: &Node, key: &str, file: &str, problems: &mut Problems) {
    let Some(node) = table.get(key) else { return };
    let Some(name) = node.text() else { return };
    let Ok(known) = std::fs::read_to_string(file) else {
        return;
    };
    let names: Vec<&str> = known
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    if names.contains(&name) || name.parse::<u32>().is_ok() {
        return;
    }
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("write \"{near}\""),
        None => format!("create it, or write a name of {file}"),
    };
    problems.error(&node.span, format!("there is no {key} `{name}`"), help);
}

/// Words in a name that say its value is secret.
const SECRET_WORDS: [&str; 9] = [
    "secret",
    "token",
    "passw",
    "api_key",
    "apikey",
    "private_key",
    "access_key",
    "credential",
    "authorization",
];

/// Warns of a secret that everybody can read.
pub(crate) fn secret(entry: &Entry, problems: &mut Problems) {
    let key = entry.key.to_lowercase().replace('-', "_");
    let written = entry.value.text().is_some_and(|text| !text.is_empty());
    if written && !entry.value.expanded && SECRET_WORDS.iter().any(|word| key.contains(word)) {
        problems.warning(
            &entry.value.span,
            format!("`{}` stands in clear in a file that everybody can read", entry.key),
            format!(
                "write `\"${{{}}}\"` or `\"${{file:/path}}\"`, or make the file private with `chmod 600`",
                key.to_uppercase()
            ),
        );
    }
}

/// A definition that was printed has masks in the place of its secrets: it starts nothing.
fn masks(entry: &Entry, problems: &mut Problems) {
    let parts = entry.value.items().iter().chain([&entry.value]);
    for node in parts {
        if node.text().is_some_and(|text| is_mask(&entry.key, text)) {
            problems.error(
                &node.span,
                format!(
                    "`{MASK}` in `{}` stands for a secret that is not shown",
                    entry.key
                ),
                "write the secret itself, or `\"${NAME}\"` of a variable that holds it",
            );
        }
    }
    for entry in entry.value.entries() {
        masks(entry, problems);
    }
}

/// Bytes of memory of this machine.
pub(crate) fn physical_memory() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let info = rustix::system::sysinfo();
        Some(info.totalram as u64 * u64::from(info.mem_unit))
    }
    #[cfg(not(target_os = "linux"))]
    None
}
