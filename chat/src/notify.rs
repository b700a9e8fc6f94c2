//! Telling people what happens, in places that only listen: mail, pagers, webhooks, chats.
//!
//! ```text
//!   Notice ──► Rules: who wants it? ─► too often? ─► collect, escalate ──Outgoing──► outbox
//!                ▲ acknowledge, mute, settle                                           │
//!                └ timers: deadlines in wall time          a worker per channel ◄──────┘
//!                                                            └─► template ─► sender
//! ```
//!
//! [`Rules`] decide and do nothing else: the same notices at the same times give the same
//! messages. What they remember and what they want sent is written in one transaction, so that
//! a kill loses neither a message nor a timer. Nothing in here makes a notice of its own
//! failures: alerting cannot feed itself.

mod class;
mod event;
mod notice;
mod notifier;
mod outgoing;
mod overview;
mod quiet;
mod rules;
mod sender;
mod settings;
mod templates;
mod wanted;
mod worker;

pub use class::Class;
pub use event::{EventName, Severity, UnknownEvent};
pub use notice::{Link, Notice};
pub use notifier::{Notifier, NotifyError, Redact, Setup};
pub use outgoing::{DigestLine, Outgoing};
pub use overview::{OpenAlert, OpenIncident, Overview};
pub use quiet::{QuietHours, QuietHoursError};
pub use rules::{Input, NoMute, Over, Rules, State};
pub use sender::{Bots, NoBots, PATIENCE, SendError, Sender, sender};
pub use settings::{ChannelSettings, SettingsProblem, THROTTLE, check, link_chain};
pub use settings::{
    Discord, Email, MailTls, Ntfy, Opsgenie, PagerDuty, Region, Slack, Sms, Target, Teams,
    Telegram, Webhook,
};
pub use templates::Templates;
pub use wanted::{ProcessWish, Wanted};
pub use worker::Tried;
