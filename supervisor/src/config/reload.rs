//! The table `reload` of a process: what its keys come to together.

use super::problem::Problems;
use super::tree::{Entry, Format};
use crate::spec::{ProcessConfig, ReloadMode, Signal};

/// Reports what would make every reload fail, and keys that do nothing.
pub(super) fn check(
    entry: &Entry,
    config: &ProcessConfig,
    format: Format,
    problems: &mut Problems,
) {
    let Some(table) = entry.value.entry("reload") else {
        return;
    };
    let reload = &config.reload;
    let key = |key: &str| table.value.entry(key);
    if let Some(timeout) = key("timeout")
        && reload.timeout.is_zero()
    {
        problems.error(
            &timeout.value.span,
            "`timeout` is zero, so every reload would fail",
            format!("write `{}`", format.assign("timeout", "\"30s\"")),
        );
    }
    let signal_mode = format.assign("mode", "\"signal\"");
    match reload.mode {
        ReloadMode::Replace => {
            if let Some(signal) = key("signal") {
                problems.warning(
                    &signal.key_span,
                    "`signal` does nothing: this reload replaces the process",
                    format!("add `{signal_mode}`, or remove it"),
                );
            }
        }
        ReloadMode::Signal => {
            if let Some(surge) = key("surge") {
                problems.warning(
                    &surge.key_span,
                    "`surge` does nothing: a signal goes to one copy after another",
                    format!("remove it, or `{signal_mode}`"),
                );
            }
            let place = key("signal").map(|entry| &entry.value.span);
            let place = place.unwrap_or(&table.key_span);
            let other = match config.stop_signal {
                Signal::USR2 => "\"SIGHUP\"",
                _ => "\"SIGUSR2\"",
            };
            let other = format!(
                "write `{}`, or what the program takes for a reload",
                format.assign("signal", other)
            );
            if [Signal::KILL, Signal::STOP].contains(&reload.signal) {
                problems.error(
                    place,
                    format!("no program can act on {}", reload.signal),
                    other,
                );
            } else if reload.signal == config.stop_signal {
                problems.error(
                    place,
                    format!(
                        "{} is also the `stop_signal`, so a reload would stop it",
                        reload.signal
                    ),
                    other,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{LoadContext, LoadedProject, load_project_text, to_toml};

    fn loaded(file: &str, text: &str) -> LoadedProject {
        let ctx = LoadContext {
            cwd: "/".into(),
            sealed: true,
            ..LoadContext::default()
        };
        load_project_text(Path::new(file), text, &ctx).expect("it is valid")
    }

    #[test]
    fn it_is_the_same_in_three_formats_and_is_printed() {
        let toml = "
            [process.a]
            command = 'x'
            [process.a.reload]
            mode = 'signal'
            signal = 'HUP'
            timeout = '1m'
            [process.b]
            command = 'x'
            reload = { surge = 2 }
            [process.c]
            command = 'x'
            [process.c.reload]
        ";
        let yaml = "process:\n  a: { command: x, reload: { mode: signal, signal: HUP, timeout: 1m } }\n  \
            b: { command: x, reload: { surge: 2 } }\n  c: { command: x, reload: }\n";
        let json = r#"{ "process": {
            "a": { "command": "x", "reload": { "mode": "signal", "signal": "HUP", "timeout": "1m" } },
            "b": { "command": "x", "reload": { "surge": 2 } },
            "c": { "command": "x", "reload": {} }
        } }"#;
        let configs = |project: LoadedProject| {
            assert!(project.warnings.is_empty(), "{:?}", project.warnings);
            let specs = project.apply.processes.into_iter();
            specs
                .map(|spec| (spec.name, spec.config))
                .collect::<Vec<_>>()
        };
        let written = configs(loaded("mhost.toml", toml));
        assert_eq!(configs(loaded("mhost.yaml", yaml)), written);
        assert_eq!(configs(loaded("mhost.json", json)), written);
        let printed = written.iter().map(|(name, config)| {
            let text = to_toml(name, config);
            assert_eq!(configs(loaded("mhost.toml", &text))[0].1, *config, "{text}");
            let table = text.split_once(".reload]\n").map(|(_, table)| table);
            table.map(|table| table.trim_end().to_owned())
        });
        assert_eq!(
            printed.collect::<Vec<_>>(),
            [
                Some("mode = \"signal\"\nsignal = \"SIGHUP\"\ntimeout = \"1m\"".to_owned()),
                Some("mode = \"replace\"\ntimeout = \"30s\"\nsurge = 2".to_owned()),
                None,
            ]
        );
    }

    #[test]
    fn what_its_mode_does_not_use_is_told() {
        let toml = "[process.a]\ncommand = 'x'\nreload = { signal = 'HUP' }\n\
            [process.b]\ncommand = 'x'\nreload = { mode = 'signal', surge = 1 }\n";
        let warnings = loaded("mhost.toml", toml).warnings;
        let told = warnings.iter().map(|one| (one.line, one.message.as_str()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (3, "`signal` does nothing: this reload replaces the process"),
                (
                    6,
                    "`surge` does nothing: a signal goes to one copy after another"
                ),
            ]
        );
    }
}
