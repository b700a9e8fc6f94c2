//! What the rules remember. It is written as one text, together with what is to be sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::notify::{Class, EventName, Notice, ProcessWish, Severity};

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub(super) channels: BTreeMap<String, ChannelState>,
    pub(super) processes: BTreeMap<String, ProcessState>,
    /// Until when; none means until it has recovered.
    pub(super) mutes: BTreeMap<String, Option<Timestamp>>,
    /// Numbers messages and incidents.
    pub(super) next: u64,
    /// The newest event that was told to the rules.
    #[serde(default)]
    pub(super) heard: Option<i64>,
}

/// One channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ChannelState {
    pub keys: BTreeMap<String, BTreeMap<Class, Key>>,
    /// When the last messages of their own went out.
    pub singles: VecDeque<Timestamp>,
    pub storm: Option<Storm>,
    pub collected: Option<Collected>,
    /// A digest is open as an alert.
    pub digest_alert: bool,
}

/// A class of events of a process, on a channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Key {
    pub sent: Option<Timestamp>,
    pub severity: Severity,
    pub suppressed: BTreeMap<EventName, u32>,
    pub told: Told,
    /// Trouble that came too soon after a recovery that was told.
    pub pending: Option<Box<Notice>>,
}

/// Trouble that this channel knows of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    #[default]
    Nothing,
    Single,
    Digest,
}

/// More happens than a person can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Storm {
    pub last: Timestamp,
    pub digests: u32,
}

/// What waits to be told in one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Collected {
    pub since: Timestamp,
    /// When quiet hours or a digest's own time end.
    pub set: Option<Timestamp>,
    /// When a storm allows it: this moves while it rages.
    pub moving: Option<Timestamp>,
    pub severity: Severity,
    pub critical_since: Option<Timestamp>,
    pub lines: BTreeMap<String, BTreeMap<EventName, u32>>,
    pub incidents: BTreeSet<String>,
    pub last: Box<Notice>,
    pub last_class: Class,
}

/// One process, whoever is told of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ProcessState {
    pub crashes: VecDeque<Timestamp>,
    pub changes: VecDeque<Timestamp>,
    pub flapping: Option<Flapping>,
    /// Its last news was bad.
    pub bad: bool,
    /// Since when its probe fails, until that was told as critical.
    pub failing_since: Option<Timestamp>,
    /// When it counts as recovered, if nothing happens.
    pub settles: Option<Timestamp>,
    pub incident: Option<Incident>,
    /// What ails it and came while it was muted: it is told when that ends.
    #[serde(default)]
    pub unheard: Vec<Notice>,
    /// What it wants for its messages.
    #[serde(default)]
    pub wish: ProcessWish,
    pub seen: Timestamp,
}

/// It goes up and down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Flapping {
    pub last: Timestamp,
    /// That it will not be tried again was told although it flaps.
    pub end_told: bool,
    pub told_to: BTreeSet<String>,
    pub notice: Box<Notice>,
}

/// Trouble of a process, until it has recovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    pub id: String,
    pub opened: Timestamp,
    pub notice: Box<Notice>,
    pub classes: BTreeSet<Class>,
    /// Channels that know of it, and when each passes it on.
    pub announced: BTreeMap<String, Option<Timestamp>>,
    pub acknowledged: Option<String>,
}
