//! What something that came in means, before anybody asks whether it may be done.

use crate::order::{Misread, Order, Verb, parse, verb_named};
use crate::{Incoming, Press, What};

/// Longest text on record, in characters.
const ON_RECORD: usize = 200;

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An order, and how it was written.
    Order(Order, String),
    /// A button of ours.
    Press(Press),
    /// Nothing, for this reason.
    Unclear(String),
}

/// Reads it. None for talk among people that is not meant for the bot.
pub(super) fn of(incoming: &Incoming) -> Option<Meaning> {
    let meant = incoming.origin.private || incoming.origin.addressed;
    match &incoming.what {
        What::Press { payload, .. } => Some(match payload.parse() {
            Ok(press) => Meaning::Press(press),
            Err(error) => Meaning::Unclear(error.to_string()),
        }),
        What::Text { text, .. } => match parse(text) {
            // A bare yes in a group may be meant for anybody.
            Ok(Order::Yes | Order::No) if !meant => None,
            Ok(order) => Some(Meaning::Order(order, written(text))),
            Err(Misread::Words) if !meant => None,
            // A question in words.
            Err(Misread::Words) if !text.trim().is_empty() => Some(Meaning::Order(
                Order::Ask(text.trim().to_owned()),
                written(text),
            )),
            Err(error) => Some(Meaning::Unclear(error.to_string())),
        },
    }
}

/// As it was written, but for the spaces: what is read again must not be cut in a name.
fn written(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(ON_RECORD).collect()
}

impl Meaning {
    /// The order it is, also one on a button.
    pub(super) fn order(&self) -> Option<&Order> {
        match self {
            Self::Order(order, _) => Some(order),
            Self::Press(_) | Self::Unclear(_) => None,
        }
    }

    /// Would anything be other than before?
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Order(order, _) => order.changes(),
            Self::Press(Press::Order(text)) => {
                parse(&format!("/{text}")).is_ok_and(|order| order.changes())
            }
            Self::Press(Press::Details(_) | Press::Cancel(_)) => false,
            Self::Press(
                Press::Approve(_) | Press::Deny(_) | Press::Confirm(_) | Press::Snooze(_),
            ) => true,
            Self::Unclear(_) => false,
        }
    }

    /// Is it an answer to a question?
    pub(super) fn decides(&self) -> bool {
        matches!(
            self,
            Self::Press(Press::Approve(_) | Press::Deny(_) | Press::Confirm(_) | Press::Cancel(_))
                | Self::Order(
                    Order::Approve(_)
                        | Order::Deny(_)
                        | Order::Yes
                        | Order::No
                        | Order::Confirm
                        | Order::Cancel,
                    _
                )
        )
    }

    /// A word and what followed it, for the audit log.
    pub(super) fn on_record(&self) -> (String, String) {
        let split = |text: &str| {
            let text = text.trim_start_matches('/');
            let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            (format!("/{word}"), rest.trim().to_owned())
        };
        match self {
            // What was asked in words is nobody else's business.
            Self::Order(Order::Ask(_), _) => ("/ask".into(), String::new()),
            Self::Order(_, written) => split(written),
            Self::Press(Press::Order(text)) => split(text),
            Self::Press(press) => {
                let (word, id) = match press {
                    Press::Approve(ticket) => ("approve", &ticket.id),
                    Press::Deny(ticket) => ("deny", &ticket.id),
                    Press::Details(ticket) => ("details", &ticket.id),
                    Press::Snooze(ticket) => ("snooze", &ticket.id),
                    Press::Confirm(nonce) => ("confirm", nonce),
                    Press::Cancel(nonce) => ("cancel", nonce),
                    Press::Order(text) => ("order", text),
                };
                (word.to_owned(), id.clone())
            }
            Self::Unclear(why) => ("?".into(), why.chars().take(ON_RECORD).collect()),
        }
    }
}

/// The row of the table that an order belongs to; none for a plain yes or no.
pub(super) fn verb_of(order: &Order) -> Option<&'static Verb> {
    let name = match order {
        Order::Fleet { .. } | Order::Status(_) => "status",
        Order::Logs { .. } => "logs",
        Order::Follow(_) => "follow",
        Order::Health => "health",
        Order::History(_) => "history",
        Order::Metrics(_) => "metrics",
        Order::Cron => "cron",
        Order::Links => "links",
        Order::Limits(_) => "limits",
        Order::Env(_) => "env",
        Order::Index => "index",
        Order::Version => "version",
        Order::Probe(_) => "probe",
        Order::Signal { .. } => "signal",
        Order::Flush(_) => "flush",
        Order::Reindex => "reindex",
        Order::Start(_) => "start",
        Order::Stop(_) => "stop",
        Order::Restart(_) => "restart",
        Order::Reload(_) => "reload",
        Order::Scale { .. } => "scale",
        Order::Reset(_) => "reset",
        Order::Delete(_) => "delete",
        Order::Save => "save",
        Order::Resurrect => "resurrect",
        Order::Score(_) => "score",
        Order::Playbooks => "playbooks",
        Order::Incidents => "incidents",
        Order::Approvals => "approvals",
        Order::Approve(_) => "approve",
        Order::Ack(_) => "ack",
        Order::Mute { .. } => "mute",
        Order::Deny(_) => "deny",
        Order::Always(_) => "always",
        Order::Allow { .. } => "allow",
        Order::Grants => "grants",
        Order::Revoke(_) => "revoke",
        Order::Brake(true) => "pause",
        Order::Brake(false) => "resume",
        Order::Ask(_) => "ask",
        Order::Confirm => "confirm",
        Order::Cancel => "cancel",
        Order::Whoami => "whoami",
        Order::Help => "help",
        Order::Yes | Order::No => return None,
    };
    verb_named(name)
}

/// Is it about all processes?
pub(super) fn names_all(order: &Order) -> bool {
    order.app() == Some("all")
}
