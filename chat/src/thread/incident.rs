//! What is told of an incident, and of many.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::desk::Question;

/// Where an incident stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It was seen.
    Seen,
    /// Its cause is known.
    Cause,
    /// There is a plan.
    Plan,
    /// A person is asked.
    Asked,
    /// The plan runs.
    Acting,
    /// It ran, and whether it helped is measured.
    Verifying,
    /// The trouble is gone.
    Healed,
    /// A person has to take over.
    Handed,
    /// It is part of another incident, which is told elsewhere.
    Joined,
    /// It is on record no more.
    Forgotten,
}

impl Phase {
    const ALL: [Self; 10] = [
        Self::Seen,
        Self::Cause,
        Self::Plan,
        Self::Asked,
        Self::Acting,
        Self::Verifying,
        Self::Healed,
        Self::Handed,
        Self::Joined,
        Self::Forgotten,
    ];

    /// Its word in the store.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Cause => "cause",
            Self::Plan => "plan",
            Self::Asked => "asked",
            Self::Acting => "acting",
            Self::Verifying => "verifying",
            Self::Healed => "healed",
            Self::Handed => "handed",
            Self::Joined => "joined",
            Self::Forgotten => "forgotten",
        }
    }

    /// That of a word; what is not known was only seen.
    pub(crate) fn of(word: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == word).unwrap_or(Self::Seen)
    }

    /// How much it needs somebody to look, for one of many.
    fn need(self) -> u8 {
        match self {
            Self::Joined | Self::Forgotten => 0,
            Self::Healed => 1,
            Self::Verifying => 2,
            Self::Acting => 3,
            Self::Seen => 4,
            Self::Cause => 5,
            Self::Plan => 6,
            Self::Asked => 7,
            Self::Handed => 8,
        }
    }

    /// Nothing more will come of it.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Healed | Self::Joined | Self::Forgotten)
    }
}

/// What is known of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// The process.
    pub process: String,
    /// In a line.
    pub title: String,
    /// Where it stands.
    pub phase: Phase,
    /// The cause in words, once it is known.
    pub cause: Option<String>,
    /// What that rests on.
    pub evidence: Vec<String>,
    /// The question to people, the newest of them.
    pub question: Option<Question>,
    /// What was done: the action, and what came of it.
    pub actions: Vec<(String, String)>,
    /// By whose leave in advance it was done, if it was.
    pub leave: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Who suffered from it.
    pub victims: Vec<String>,
    /// When it began.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
}

impl Incident {
    /// Its question, while it waits for an answer.
    pub(crate) fn asks(&self) -> Option<&Question> {
        let open = crate::desk::Answered::Open;
        self.question.as_ref().filter(|one| one.state == open)
    }

    /// Will nothing more come of it?
    pub(crate) fn is_over(&self) -> bool {
        (self.phase.is_over() || self.closed.is_some()) && self.asks().is_none()
    }

    /// One that is on record no more.
    pub(super) fn forgotten(id: &str, process: String, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            process,
            title: "it was taken into another incident, or forgotten".to_owned(),
            phase: Phase::Forgotten,
            cause: None,
            evidence: Vec::new(),
            question: None,
            actions: Vec::new(),
            leave: None,
            outcome: None,
            victims: Vec::new(),
            // Nobody knows when.
            opened: Timestamp::UNIX_EPOCH,
            closed: Some(now),
        }
    }

    #[cfg(test)]
    pub(crate) fn example(id: &str, process: &str) -> Self {
        Self {
            id: id.into(),
            process: process.into(),
            title: "it crashes at once".into(),
            phase: Phase::Seen,
            cause: None,
            evidence: vec![],
            question: None,
            actions: vec![],
            outcome: None,
            leave: None,
            victims: vec![],
            opened: jiff::Timestamp::UNIX_EPOCH,
            closed: None,
        }
    }

    /// Is there nothing to tell of it to whoever has heard nothing yet? Of what was only
    /// feared nobody needs to know that it is over.
    pub(crate) fn is_calm(&self) -> bool {
        match self.phase {
            Phase::Healed => self.actions.is_empty(),
            Phase::Joined | Phase::Forgotten => true,
            _ => false,
        }
    }
}

/// Incidents that share a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digest {
    /// How many incidents of each process, and where the one stands that is worst off.
    pub counts: BTreeMap<String, (usize, Option<Phase>)>,
    /// How many questions of them wait.
    pub questions: usize,
}

impl Digest {
    /// One more incident.
    pub(crate) fn add(&mut self, process: String, phase: Phase, asks: bool) {
        let entry = self.counts.entry(process).or_default();
        entry.0 += 1;
        let worst = entry.1.filter(|known| known.need() >= phase.need());
        entry.1 = Some(worst.unwrap_or(phase));
        self.questions += usize::from(asks);
    }

    /// All incidents in it.
    pub fn total(&self) -> usize {
        self.counts.values().map(|(count, _)| count).sum()
    }
}
