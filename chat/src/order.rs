//! What people can ask for in a chat, and how it is written.
//!
//! One table, [`VERBS`], is the parser, the help, the platforms' menus and the least role of
//! each. What a word means is the command line's meaning of it.

mod parse;

use std::time::Duration;

use supervisor::Role;
use supervisor::command::ScaleChange;
use supervisor::spec::Signal;

pub use parse::{A_WEEK, Misread, parse};

/// One request of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// All processes, from this page on.
    Fleet {
        /// The page, from 0.
        page: u16,
    },
    /// One of them in full.
    Status(String),
    /// The last lines it printed.
    Logs {
        /// Which.
        app: String,
        /// How many lines.
        lines: u16,
        /// Only those of level error.
        errors: bool,
    },
    /// The newest lines, again and again for a minute.
    Follow(String),
    /// Probes.
    Health,
    /// Past events.
    History(String),
    /// What it uses.
    Metrics(Option<String>),
    /// Schedules.
    Cron,
    /// What depends on what.
    Links,
    /// Limits, and what is used of them.
    Limits(String),
    /// Its environment, with secrets masked.
    Env(String),
    /// How the index over kept lines is.
    Index,
    /// Which mhost this is.
    Version,
    /// Try its probes now.
    Probe(String),
    /// Send it a signal.
    Signal {
        /// To which.
        app: String,
        /// Which one.
        signal: Signal,
    },
    /// Forget what it printed.
    Flush(String),
    /// Make the index over kept lines anew.
    Reindex,
    /// Start what is registered.
    Start(String),
    /// Stop it.
    Stop(String),
    /// Stop and start it.
    Restart(String),
    /// Replace it without a gap.
    Reload(String),
    /// Another number of copies.
    Scale {
        /// Of which.
        app: String,
        /// How many, or how many more.
        change: ScaleChange,
    },
    /// Leave the error state.
    Reset(String),
    /// Stop and forget it.
    Delete(String),
    /// Write down which processes there are.
    Save,
    /// Start what was written down.
    Resurrect,
    /// Health scores.
    Score(Option<String>),
    /// Playbooks.
    Playbooks,
    /// Open incidents.
    Incidents,
    /// Open questions of the agent.
    Approvals,
    /// Yes to one.
    Approve(String),
    /// No to one.
    Deny(String),
    /// Yes to one, and to the same from now on for a while.
    Always(String),
    /// A playbook may act on a process without asking, for so long.
    Allow {
        /// The playbook.
        playbook: String,
        /// The process.
        app: String,
        /// For how long.
        time: Duration,
    },
    /// What was allowed so.
    Grants,
    /// No longer.
    Revoke(String),
    /// The agent does nothing from now on, or acts again.
    Brake(bool),
    /// Look after an incident: by its id, or by its process.
    Ack(String),
    /// Tell nothing of a process.
    Mute {
        /// Which.
        app: String,
        /// How long.
        time: Silence,
    },
    /// A question in words.
    Ask(String),
    /// Yes to the only open question of the chat.
    Yes,
    /// No to it.
    No,
    /// Do what one was asked to confirm.
    Confirm,
    /// Do not.
    Cancel,
    /// Who the sender is to mhost.
    Whoami,
    /// What can be asked.
    Help,
}

/// How long nothing is told of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// For so long.
    For(Duration),
    /// Until it has recovered.
    UntilWell,
    /// No longer.
    Off,
}

impl Order {
    /// Would anything be other than before?
    pub fn changes(&self) -> bool {
        match self {
            Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Reload(_)
            | Self::Scale { .. }
            | Self::Reset(_)
            | Self::Probe(_)
            | Self::Signal { .. }
            | Self::Flush(_)
            | Self::Reindex
            | Self::Delete(_)
            | Self::Save
            | Self::Resurrect
            | Self::Approve(_)
            | Self::Deny(_)
            | Self::Always(_)
            | Self::Allow { .. }
            | Self::Revoke(_)
            | Self::Brake(_)
            | Self::Ack(_)
            | Self::Mute { .. }
            | Self::Yes
            | Self::No
            | Self::Confirm => true,
            Self::Fleet { .. }
            | Self::Status(_)
            | Self::Logs { .. }
            | Self::Follow(_)
            | Self::Health
            | Self::History(_)
            | Self::Metrics(_)
            | Self::Cron
            | Self::Links
            | Self::Limits(_)
            | Self::Env(_)
            | Self::Index
            | Self::Version
            | Self::Score(_)
            | Self::Playbooks
            | Self::Incidents
            | Self::Approvals
            | Self::Grants
            | Self::Ask(_)
            | Self::Cancel
            | Self::Whoami
            | Self::Help => false,
        }
    }

    /// Does it hold until somebody takes it back? Whoever says so is always asked once more.
    pub fn stands(&self) -> bool {
        matches!(self, Self::Always(_) | Self::Allow { .. })
    }

    /// The processes it is about, as they were written.
    pub fn app(&self) -> Option<&str> {
        match self {
            Self::Status(app)
            | Self::Logs { app, .. }
            | Self::Follow(app)
            | Self::History(app)
            | Self::Limits(app)
            | Self::Env(app)
            | Self::Probe(app)
            | Self::Signal { app, .. }
            | Self::Flush(app)
            | Self::Start(app)
            | Self::Stop(app)
            | Self::Restart(app)
            | Self::Reload(app)
            | Self::Scale { app, .. }
            | Self::Reset(app)
            | Self::Mute { app, .. }
            | Self::Delete(app) => Some(app),
            Self::Metrics(app) | Self::Score(app) => app.as_deref(),
            _ => None,
        }
    }
}

/// Who may use a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Anybody, also strangers.
    Nothing,
    /// At least this role.
    Role(Role),
    /// The role that may ask the agent, which the settings say.
    Asking,
}

/// A word and all that is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    /// The word, without a slash.
    pub name: &'static str,
    /// What follows it.
    pub arguments: &'static str,
    /// Who may use it. The gate's own table counts beside it: both must allow it.
    pub needs: Needs,
    /// What it does.
    pub about: &'static str,
}

const fn verb(
    name: &'static str,
    arguments: &'static str,
    needs: Needs,
    about: &'static str,
) -> Verb {
    Verb {
        name,
        arguments,
        needs,
        about,
    }
}

const VIEWER: Needs = Needs::Role(Role::Viewer);
const OPERATOR: Needs = Needs::Role(Role::Operator);
const ADMIN: Needs = Needs::Role(Role::Admin);

/// All words, in the order of the help.
///
/// In a chat a stop and a deletion need an admin, although the gate lets an operator do both:
/// a phone is lost more easily than a server.
pub const VERBS: [Verb; 44] = [
    verb("status", "[app]", VIEWER, "All processes, or one in full"),
    verb(
        "logs",
        "<app> [lines]",
        VIEWER,
        "The last lines, 20 or up to 200",
    ),
    verb("follow", "<app>", VIEWER, "New lines for a minute"),
    verb("health", "", VIEWER, "Probes and their results"),
    verb("history", "<app>", VIEWER, "The last events"),
    verb("metrics", "[app]", VIEWER, "CPU, memory and descriptors"),
    verb("cron", "", VIEWER, "Schedules and their next runs"),
    verb("links", "", VIEWER, "What depends on what"),
    verb("limits", "<app>", VIEWER, "Limits and what is used of them"),
    verb("env", "<app>", VIEWER, "Its environment, secrets masked"),
    verb("index", "", VIEWER, "How the index over logs is"),
    verb(
        "version",
        "",
        VIEWER,
        "Which mhost this is, and how it does",
    ),
    verb("score", "[app]", VIEWER, "Health scores, worst first"),
    verb("playbooks", "", VIEWER, "Known illnesses and their cures"),
    verb("start", "<app>", OPERATOR, "Start a registered process"),
    verb("restart", "<app>", OPERATOR, "Stop and start it"),
    verb("reload", "<app>", OPERATOR, "Replace it without a gap"),
    verb(
        "scale",
        "<app> <N|+N|-N>",
        OPERATOR,
        "Change the number of copies",
    ),
    verb("reset", "<app>", OPERATOR, "Leave the error state"),
    verb("probe", "<app>", OPERATOR, "Try its probes now"),
    verb("signal", "<app> <signal>", OPERATOR, "Send it a signal"),
    verb("flush", "<app>", OPERATOR, "Forget what it printed"),
    verb("reindex", "", OPERATOR, "Make the index over logs anew"),
    verb("incidents", "", OPERATOR, "What is wrong now"),
    verb("ack", "<id>", OPERATOR, "Look after what a message tells"),
    verb(
        "mute",
        "<app> [time|off]",
        OPERATOR,
        "Tell nothing of it for a while",
    ),
    verb("approvals", "", OPERATOR, "Open questions of the agent"),
    verb("approve", "<id>", OPERATOR, "Say yes to one"),
    verb("deny", "<id>", OPERATOR, "Say no to one"),
    verb("grants", "", OPERATOR, "What may be done without asking"),
    verb("revoke", "<id>", OPERATOR, "Have it asked about again"),
    verb(
        "ask",
        "<question>",
        Needs::Asking,
        "Ask about the fleet in words",
    ),
    verb("stop", "<app>", ADMIN, "Stop it; it stays registered"),
    verb("delete", "<app>", ADMIN, "Stop and forget it"),
    verb("save", "", ADMIN, "Write down which processes there are"),
    verb("resurrect", "", ADMIN, "Start what was written down"),
    verb(
        "allow",
        "<playbook> <app> [time]",
        ADMIN,
        "Let a playbook act without asking, for 7d",
    ),
    verb(
        "always",
        "<id>",
        ADMIN,
        "Say yes, and allow the same for 7 days",
    ),
    verb("pause", "", ADMIN, "The agent does nothing until /resume"),
    verb("resume", "", ADMIN, "The agent acts again"),
    verb("confirm", "", VIEWER, "Do what you were asked to confirm"),
    verb("cancel", "", VIEWER, "Do not"),
    verb("whoami", "", Needs::Nothing, "Your id and your role"),
    verb("help", "", Needs::Nothing, "This list"),
];

impl Verb {
    /// The word with what follows it: `/scale <app> <N|+N|-N>`.
    pub fn usage(&self) -> String {
        let usage = format!("/{} {}", self.name, self.arguments);
        usage.trim_end().to_owned()
    }
}

/// The verb of that name.
pub fn verb_named(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}
