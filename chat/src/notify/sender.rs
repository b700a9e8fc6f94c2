//! Something that can be sent to. A file for each platform.
//!
//! A sender is handed a message that is decided, lays it out as its platform wants it, and
//! says what became of it. It never waits longer than [`PATIENCE`], and what it says of a
//! failure holds no address and no secret.

mod bot;
mod discord;
mod email;
mod http;
mod ntfy;
mod opsgenie;
mod pagerduty;
mod slack;
mod sms;
mod teams;
mod telegram;
mod text;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use supervisor::Clock;

use super::{ChannelSettings, Outgoing, Target, Templates};
use crate::{Channel, Platform};

/// Longest time that one try takes.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A place that takes messages.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Sends one message, and says what was answered: `status 202`.
    ///
    /// # Errors
    /// Why it was not taken, and whether another try may help.
    async fn send(&self, message: &Outgoing) -> Result<String, SendError>;
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Another try may help, but not before `after`.
    #[error("{text}")]
    Later {
        /// Why.
        text: String,
        /// What the platform asked for.
        after: Option<Duration>,
    },
    /// The same again would be refused again.
    #[error("{0}")]
    Final(String),
}

impl SendError {
    pub(super) fn later(text: impl Into<String>) -> Self {
        Self::Later {
            text: text.into(),
            after: None,
        }
    }
}

/// The bots that are connected now, for channels that speak through one.
pub trait Bots: Send + Sync {
    /// The one of a platform, if there is one.
    fn channel(&self, platform: Platform) -> Option<Arc<dyn Channel>>;
}

/// There is no bot.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBots;

impl Bots for NoBots {
    fn channel(&self, _: Platform) -> Option<Arc<dyn Channel>> {
        None
    }
}

/// The sender of a channel.
///
/// # Errors
/// What is wrong with its settings, in words.
pub fn sender(
    settings: &ChannelSettings,
    templates: &Templates,
    clock: &Clock,
    bots: &Arc<dyn Bots>,
) -> Result<Arc<dyn Sender>, SendError> {
    let templates = templates.clone();
    Ok(match settings.target.clone() {
        Target::Telegram(one) => Arc::new(telegram::Sender::new(one, templates)?),
        Target::Slack(one) => Arc::new(slack::Sender::new(one, templates)?),
        Target::Discord(one) => Arc::new(discord::Sender::new(one, templates)?),
        Target::Email(one) => Arc::new(email::Sender::new(one, templates)?),
        Target::Sms(one) => Arc::new(sms::Sender::new(one, templates)?),
        Target::PagerDuty(one) => Arc::new(pagerduty::Sender::new(one, templates)?),
        Target::Opsgenie(one) => Arc::new(opsgenie::Sender::new(one, templates)?),
        Target::Webhook(one) => Arc::new(webhook::Sender::new(one, clock.clone())?),
        Target::Teams(one) => Arc::new(teams::Sender::new(one, templates)?),
        Target::Ntfy(one) => Arc::new(ntfy::Sender::new(one, templates)?),
        Target::Bot(place) => Arc::new(bot::Sender::new(place, bots.clone())),
    })
}
