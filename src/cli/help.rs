//! `mhost help`: the commands by what they are for, instead of one long list.

use std::ffi::OsString;
use std::fmt::Write;

use clap::Command;

/// Every command that is not hidden, under its heading. A test compares it with the tree.
pub(crate) const GROUPS: &[(&str, &[&str])] = &[
    (
        "Run",
        &[
            "start", "stop", "restart", "reload", "scale", "delete", "signal",
        ],
    ),
    (
        "Look",
        &[
            "list", "status", "info", "monit", "logs", "health", "metrics", "history", "replay",
            "limits", "cron", "link", "env", "config", "sinks", "audit",
        ],
    ),
    (
        "Keep",
        &["save", "resurrect", "startup", "unstartup", "flush"],
    ),
    ("Heal", &["brain", "agent", "ai", "mcp"]),
    ("Reach", &["bot", "notify"]),
    ("Set up", &["demo", "init", "check", "completion"]),
    ("Daemon", &["daemon", "ping", "kill"]),
];

/// Does the command line ask for the help of `mhost` itself? Only then is the text made.
pub(crate) fn is_wanted(args: &[OsString]) -> bool {
    let mut own = args.iter().skip(1).take_while(|arg| *arg != "--");
    args.len() < 2 || own.any(|arg| arg == "help" || arg == "--help" || arg == "-h")
}

/// The tree with the grouped help at its root.
pub(crate) fn grouped(tree: Command) -> Command {
    let mut list = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(list, "{heading}:");
        for name in *names {
            if let Some(command) = tree.find_subcommand(name) {
                let about = command.get_about().map(ToString::to_string);
                let _ = writeln!(list, "  {name:<11} {}", about.unwrap_or_default());
            }
        }
        list.push('\n');
    }
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}\n\n\
         `mhost help <command>` says more about a command."
    );
    tree.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_help() {
        let grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        for command in crate::cli::tree().get_subcommands() {
            let name = command.get_name();
            assert!(
                command.is_hide_set() || name == "help" || grouped.contains(&name),
                "add `{name}` to GROUPS"
            );
        }
        for name in grouped {
            assert!(crate::cli::tree().find_subcommand(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_help_fits_80_columns() {
        let text = grouped(crate::cli::tree()).term_width(80).render_help();
        for line in text.to_string().lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
