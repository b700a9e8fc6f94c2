//! Orders as the commands that the command line sends, too.

use std::time::Duration;

use supervisor::logs::{Level, LogQuery};
use supervisor::state::Reason;
use supervisor::{Command, Target};

use crate::order::Order;

/// How long a start or a reload may take before the chat is told that it goes on.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events of `/history`.
const EVENTS: usize = 15;

/// The command of an order about processes; none for what the desk answers by itself.
pub(super) fn of(order: &Order) -> Option<Command> {
    let target = |app: &str| Target(app.to_owned());
    Some(match order {
        Order::Fleet { .. } => Command::List { tag: None },
        Order::Status(app) => Command::Status {
            target: target(app),
        },
        Order::Logs { app, lines, errors } => Command::Logs(LogQuery {
            target: Some(target(app)),
            lines: usize::from(*lines),
            level: errors.then_some(Level::Error),
            ..LogQuery::default()
        }),
        Order::Health => Command::Health { target: None },
        Order::History(app) => Command::History {
            target: Some(target(app)),
            since: None,
            limit: EVENTS,
        },
        Order::Metrics(app) => Command::Metrics {
            target: app.as_deref().map(target),
        },
        Order::Cron => Command::Cron,
        Order::Links => Command::Links,
        Order::Limits(app) => Command::Limits {
            target: target(app),
        },
        Order::Env(app) => Command::Env {
            target: target(app),
            reveal: false,
        },
        Order::Index => Command::LogIndex,
        Order::Version => Command::Version,
        Order::Probe(app) => Command::RunProbe {
            target: target(app),
        },
        Order::Signal { app, signal } => Command::Signal {
            target: target(app),
            signal: *signal,
        },
        Order::Flush(app) => Command::Flush {
            target: Some(target(app)),
        },
        Order::Reindex => Command::Reindex,
        Order::Start(app) => Command::Start {
            target: target(app),
            wait: Some(PATIENCE),
        },
        Order::Stop(app) => Command::Stop {
            target: target(app),
            force: false,
            signal: None,
        },
        Order::Restart(app) => Command::Restart {
            target: target(app),
            update_env: None,
            reason: Reason::Manual,
            force: false,
        },
        Order::Reload(app) => Command::Reload {
            target: target(app),
            timeout: Some(PATIENCE),
            wait: false,
        },
        Order::Scale { app, change } => Command::Scale {
            target: target(app),
            change: *change,
        },
        Order::Reset(app) => Command::ClearError {
            target: target(app),
        },
        Order::Delete(app) => Command::Delete {
            target: target(app),
            force: false,
            keep_logs: false,
        },
        Order::Save => Command::Save,
        Order::Resurrect => Command::Resurrect,
        Order::Follow(_)
        | Order::Score(_)
        | Order::Playbooks
        | Order::Incidents
        | Order::Approvals
        | Order::Approve(_)
        | Order::Deny(_)
        | Order::Always(_)
        | Order::Allow { .. }
        | Order::Grants
        | Order::Revoke(_)
        | Order::Brake(_)
        | Order::Ack(_)
        | Order::Mute { .. }
        | Order::Ask(_)
        | Order::Yes
        | Order::No
        | Order::Confirm
        | Order::Cancel
        | Order::Whoami
        | Order::Help => return None,
    })
}
