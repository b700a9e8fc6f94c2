//! A process: how long it lives, what it listens to, and what it says.
//!
//! Leaders that are asked to say that they are ready do so once, soon, late or never, and what
//! they say waits until somebody hears it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::{Generation, InstanceId};
use crate::spec::Signal;
use crate::state::{ExitStatus, ProcessRef};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) instance: InstanceId,
    pub(super) generation: Generation,
    pub(super) process: ProcessRef,
    pub(super) args: Vec<String>,
    /// The leader that it comes from; none is a leader.
    pub(super) leader: Option<i32>,
    /// It has a session of its own.
    pub(super) escaped: bool,
    listens: bool,
    pub(super) ends: Option<(Instant, ExitStatus)>,
    /// Between its end and the news of it.
    pub(super) lag: Duration,
    /// What it has yet to say, and what it said and nobody has heard.
    pub(super) speech: VecDeque<(Instant, &'static str)>,
    /// It has said that it is ready, and that was heard.
    pub(super) heard_ready: bool,
}

impl Process {
    /// A leader that begins now.
    pub(super) fn begin(
        rng: &mut fastrand::Rng,
        instance: &InstanceId,
        generation: Generation,
        process: &ProcessRef,
        wild: bool,
    ) -> Self {
        let exit = match rng.u8(..3) {
            0 => ExitStatus::Code(0),
            1 => ExitStatus::Code(1),
            _ => ExitStatus::Signal(11),
        };
        let life = match rng.u8(..4) {
            0 => Duration::from_millis(rng.u64(0..20)),
            1 => Duration::from_millis(rng.u64(0..3_000)),
            _ => Duration::from_millis(rng.u64(0..60_000)),
        };
        let ends = (wild && rng.bool()).then(|| (Instant::now() + life, exit));
        Self {
            instance: instance.clone(),
            generation,
            process: process.clone(),
            args: Vec::new(),
            leader: None,
            escaped: rng.bool(),
            listens: !wild || rng.u8(..5) > 0,
            ends,
            lag: Duration::from_millis(rng.u64(0..30)),
            speech: VecDeque::new(),
            heard_ready: false,
        }
    }

    pub(super) fn lives(&self) -> bool {
        self.ends.is_none_or(|(at, _)| at > Instant::now())
    }

    fn end_within(&mut self, wait: Duration, exit: ExitStatus) {
        let at = Instant::now() + wait;
        if self.ends.is_none_or(|(sooner, _)| at < sooner) {
            self.ends = Some((at, exit));
        }
    }

    /// Takes a signal. What ends a program ends it after a moment.
    pub(super) fn take(&mut self, signal: Signal, moment: Duration) {
        if signal == Signal::USR2 && self.listens {
            // It renews itself.
        } else if signal == Signal::KILL || signal == Signal::USR2 {
            self.end_within(moment / 100, ExitStatus::Signal(signal.0));
        } else if self.listens {
            self.end_within(moment, ExitStatus::Signal(signal.0));
        }
    }

    /// What it will say.
    pub(super) fn get_speech(&mut self, rng: &mut fastrand::Rng, wild: bool) {
        let mut at = Instant::now();
        let mut say = |rng: &mut fastrand::Rng, most, what| {
            at += Duration::from_millis(rng.u64(0..most));
            self.speech.push_back((at, what));
        };
        if wild && rng.u8(..3) == 0 {
            say(
                rng,
                5_000,
                "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=warming up",
            );
        }
        if !wild || rng.u8(..4) > 0 {
            let most = if wild && rng.bool() { 40_000 } else { 500 };
            say(rng, most, "READY=1\nSTATUS=serving");
        }
        if wild && rng.u8(..3) == 0 {
            say(rng, 60_000, "STOPPING=1");
        }
    }
}
