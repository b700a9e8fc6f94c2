//! Every command of the gate from every platform: the same order, and the same answer to "may
//! they?".

use std::collections::BTreeMap;

use supervisor::command::ScaleChange;
use supervisor::logs::LogQuery;
use supervisor::spec::Signal;
use supervisor::state::Reason;
use supervisor::{Command, Role, Target};

use super::command;
use super::tests::Bench;
use crate::desk::Verdict;
use crate::order::{Needs, VERBS, parse};
use crate::testing::text;
use crate::{People, Platform};

/// What is written for a verb.
fn written(name: &str, arguments: &str) -> String {
    let rest = match arguments {
        "" | "[app]" => "",
        "<app> <N|+N|-N>" => " api +1",
        "<app> <signal>" => " api hup",
        "<playbook> <app> [time]" => " drained api 7d",
        "<id>" => " k3v9qa",
        "<question>" => " why?",
        _ => " api",
    };
    format!("/{name}{rest}")
}

/// The word for a command of the gate. A new command does not compile before it has one, or a
/// reason why not.
fn word(command: &Command) -> Result<&'static str, &'static str> {
    Ok(match command {
        Command::List { .. } | Command::Status { .. } => "status",
        Command::History { .. } => "history",
        Command::Health { .. } => "health",
        Command::Metrics { .. } => "metrics",
        Command::Cron => "cron",
        Command::Limits { .. } => "limits",
        Command::Links => "links",
        Command::Logs(_) => "logs",
        Command::LogIndex => "index",
        Command::Version => "version",
        Command::Env { reveal: false, .. } => "env",
        Command::Start { .. } => "start",
        Command::Stop { .. } => "stop",
        Command::Restart { .. } => "restart",
        Command::Reload { .. } => "reload",
        Command::Delete { .. } => "delete",
        Command::Scale { .. } => "scale",
        Command::Signal { .. } => "signal",
        Command::ClearError { .. } => "reset",
        Command::RunProbe { .. } => "probe",
        Command::Flush { .. } => "flush",
        Command::Reindex => "reindex",
        Command::Save => "save",
        Command::Resurrect => "resurrect",
        Command::Apply(_) => return Err("it reads a file or a command line of the server"),
        Command::Hold { .. } => return Err("only the agent holds a process"),
        Command::Env { reveal: true, .. } => return Err("a chat is kept by somebody else"),
        Command::SetLimit { .. } => return Err("an admin does that in a file"),
        Command::Shutdown | Command::ReloadConfig => return Err("the chat would end with it"),
        Command::Port(_) => return Err("its methods have words of their own"),
    })
}

/// One of each command that has a word.
fn commands() -> Vec<Command> {
    let target = || Target("api".into());
    vec![
        Command::List { tag: None },
        Command::Status { target: target() },
        Command::History {
            target: None,
            since: None,
            limit: 1,
        },
        Command::Health { target: None },
        Command::Metrics { target: None },
        Command::Cron,
        Command::Limits { target: target() },
        Command::Links,
        Command::Logs(LogQuery::default()),
        Command::LogIndex,
        Command::Version,
        Command::Env {
            target: target(),
            reveal: false,
        },
        Command::Start {
            target: target(),
            wait: None,
        },
        Command::Stop {
            target: target(),
            force: false,
            signal: None,
        },
        Command::Restart {
            target: target(),
            update_env: None,
            reason: Reason::Manual,
            force: false,
        },
        Command::Reload {
            target: target(),
            timeout: None,
            wait: false,
        },
        Command::Delete {
            target: target(),
            force: false,
            keep_logs: false,
        },
        Command::Scale {
            target: target(),
            change: ScaleChange::By(1),
        },
        Command::Signal {
            target: target(),
            signal: Signal(1),
        },
        Command::ClearError { target: target() },
        Command::RunProbe { target: target() },
        Command::Flush { target: None },
        Command::Reindex,
        Command::Save,
        Command::Resurrect,
    ]
}

#[test]
fn every_command_up_to_operate_has_a_word_that_means_it() {
    for command in commands() {
        let word = word(&command).unwrap();
        assert!(command.role() <= Role::Operator);
        let verb = crate::order::verb_named(word).unwrap_or_else(|| panic!("/{word}"));
        // The list has the word of one process, without a name.
        let text = match command {
            Command::Status { .. } => "/status api".to_owned(),
            _ => written(verb.name, verb.arguments),
        };
        let order = parse(&text).unwrap();
        let meant = command::of(&order).unwrap();
        assert_eq!(meant.name(), command.name(), "{text}");
        assert_eq!(meant.changes(), order.changes(), "{text}");
    }
}

/// Where, what became of it, and how much was done.
type Outcome = (Platform, Verdict, usize);

/// Whatever is written by whomever, on each platform the same becomes of it, and nothing is
/// done that the gate's table or the chats' own does not allow.
// Paused, since a minute of /follow is a minute.
#[tokio::test(start_paused = true)]
async fn all_platforms_answer_alike() {
    let roles = [Role::None, Role::Viewer, Role::Operator, Role::Admin];
    let mut outcomes: BTreeMap<(&str, Role), Vec<Outcome>> = BTreeMap::new();
    for platform in Platform::ALL {
        for verb in VERBS {
            for role in roles {
                let bench = Bench::new();
                let who = format!("{platform}:7");
                let known = (role > Role::None).then(|| (who.clone(), role));
                bench.router.reconfigure(super::Settings {
                    people: People {
                        roles: known.into_iter().collect(),
                        ..People::default()
                    },
                    ..super::Settings::default()
                });
                let place = format!("{platform}:C1");
                bench.told_in(&place).await;
                let words = written(verb.name, verb.arguments);
                bench.hears(text(&place, "7", &words)).await;
                let verdict = bench.desk.verdicts().pop().unwrap();
                let done = bench.desk.done().len();
                let order = parse(&words).unwrap();
                let needed = command::of(&order).map_or(Role::None, |one| one.role());
                let allowed = match verb.needs {
                    Needs::Nothing => true,
                    Needs::Role(least) => role >= least && role >= needed,
                    Needs::Asking => role >= Role::Admin,
                };
                let denied = matches!(verdict, Verdict::Denied);
                let unasked = matches!(verb.name, "confirm" | "cancel");
                assert!(allowed != denied || unasked, "{words} {role:?} {verdict:?}");
                assert!(allowed || done == 0, "{words} {role:?}");
                let outcome = (platform, verdict, done);
                outcomes.entry((verb.name, role)).or_default().push(outcome);
            }
        }
    }
    assert_eq!(outcomes.len(), VERBS.len() * roles.len());
    for (what, all) in outcomes {
        let (_, verdict, done) = all[0];
        assert!(
            all.iter().all(|one| (one.1, one.2) == (verdict, done)),
            "{what:?}: {all:?}"
        );
    }
}
