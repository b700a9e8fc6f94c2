//! Chat: the fleet from a phone, and a person who is woken only when it matters.
//!
//! ```text
//!   Telegram, Slack, Discord ──Incoming──► Router: who? ─► how often? ─► what? ─► sure?
//!        ▲                                                                      │ Command
//!        └────────── Card ◄── show ◄── Reply ◄── Control (the one gate) ◄───────┘
//! ```
//!
//! A [`Channel`] knows its platform's wire format and nothing of mhost; the [`router`] knows
//! mhost and no platform. Between them are an [`Incoming`] and a [`Card`]. Nothing here
//! decides: a text becomes the same `Command` that the command line sends, under the role of
//! whoever sent it, and the gate does the rest.
//!
//! Everything that comes in is untrusted: names, texts and what a button carries. A user is
//! known by the platform's id and never by a name.

mod again;
mod bot;
mod card;
mod channel;
mod confirm;
pub mod desk;
#[cfg(feature = "discord")]
pub mod discord;
#[cfg(all(test, feature = "telegram", feature = "slack", feature = "discord"))]
mod gallery;
#[cfg(feature = "hook")]
mod hook;
mod http;
mod incoming;
pub mod notify;
pub mod order;
mod pace;
mod people;
mod place;
mod platform;
mod press;
#[cfg(feature = "hook")]
mod queue;
pub mod router;
pub mod show;
#[cfg(feature = "slack")]
pub mod slack;
pub mod store;
#[cfg(feature = "telegram")]
pub mod telegram;
#[cfg(test)]
mod testing;
mod text;
pub mod thread;
mod ticks;

pub use bot::{Bot, BotStatus};
pub use card::{Block, Button, Card, Document, Style, Tone};
pub use channel::{Channel, ChatError, Identity, MenuEntry, Note};
pub use incoming::{Incoming, Origin, Sender, What};
pub use pace::Pace;
pub use people::{People, Standing};
pub use place::{MessageRef, Place};
pub use platform::Platform;
pub use press::{Press, PressError, Ticket};
