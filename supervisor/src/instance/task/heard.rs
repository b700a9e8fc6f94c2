//! What a run says of itself, and what follows from it.
//!
//! A message that changes nothing is not taken to the machine: each of its moves is written
//! down, and whoever speaks may do so as often as it likes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{InstanceTask, SYSTEM};
use crate::clock::until;
use crate::event::EventKind;
use crate::instance::hearing::Heard;
use crate::machine::Input;
use crate::notice::Notice;
use crate::probe::Probes;
use crate::secret::masked;
use crate::spec::{OnFail, Sign};
use crate::state::{MainProcess, ProcessRef, State};

/// What stands in events in the place of a probe.
const WATCHDOG: &str = "watchdog";

impl InstanceTask {
    pub(super) async fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Printed => self.said_ready(Sign::Line).await,
            Heard::Said(notice) => self.said(notice).await,
            Heard::Silent { error } => {
                self.failing_since.get_or_insert(self.context.clock.now());
                self.set_silent(true);
                let data = json!({ "probe": WATCHDOG, "error": error, "failures": 1 });
                self.unhealthy(data, OnFail::Restart).await;
            }
            Heard::Alive => {
                let now = self.context.clock.now();
                let since = self.failing_since;
                self.set_silent(false);
                self.well_again();
                let downtime = since.map_or(Duration::ZERO, |since| until(since, now));
                let data = json!({ "probe": WATCHDOG, "failures": 1, "downtime_ms": downtime.as_millis() as u64 });
                self.record(vec![(EventKind::HealthRecover, data)], SYSTEM)
                    .await;
            }
        }
    }

    fn set_silent(&mut self, is_silent: bool) {
        if let Some(hearing) = self.live.as_mut().and_then(|live| live.hearing.as_mut()) {
            hearing.is_silent = is_silent;
        }
    }

    /// From when it is online it has to be alive. Before that, `start_timeout` decides.
    pub(super) fn came_up_from(&self, before: &State) {
        let is_up = |state: &State| matches!(state, State::Online { .. });
        let Some(live) = self.live.as_ref() else {
            return;
        };
        if is_up(&self.saved.state) && !is_up(before) {
            if let Some(probes) = &live.probes {
                probes.came_up();
            }
            if let Some(hearing) = &live.hearing {
                hearing.watch();
            }
        }
    }

    async fn said(&mut self, notice: Notice) {
        if let Some(status) = notice.status {
            self.show_status(status);
        }
        if let Some(main) = notice.main {
            self.said_main(main).await;
        }
        if let Some(by) = notice.more_time
            && matches!(self.saved.state, State::Starting { .. })
        {
            let _ = self.take(Input::Extended(by), SYSTEM).await;
        }
        if notice.ready {
            self.said_ready(Sign::Notify).await;
        }
        if notice.stopping && matches!(self.saved.state, State::Online { leaving: false, .. }) {
            let _ = self.take(Input::SaidStopping, SYSTEM).await;
        }
    }

    /// Another process is the main one. That is on record: the next daemon is not told again.
    async fn said_main(&mut self, process: ProcessRef) {
        let Some(run) = self.saved.state.run() else {
            return;
        };
        let is_leader = process == run.process;
        let named = (!is_leader).then_some(process);
        if self.saved.main_of(run) == named.as_ref() {
            return;
        }
        let generation = run.generation;
        let main = named.map(|process| MainProcess {
            generation,
            process,
        });
        self.saved.main = main.map(Box::new);
        let hearing = self.live.as_mut().and_then(|live| live.hearing.as_mut());
        if hearing.is_some_and(|hearing| hearing.pace.allows()) {
            self.record(Vec::new(), SYSTEM).await;
        }
        self.show();
    }

    /// The sign of `ready` has come, if it is this one.
    async fn said_ready(&mut self, sign: Sign) {
        let waits = matches!(self.saved.state, State::Starting { said: false, .. });
        if !waits || self.rules.sign != Some(sign) {
            return;
        }
        let _ = self.take(Input::SaidReady, SYSTEM).await;
        // Its probes may have passed before.
        let probes = self.live.as_ref().and_then(|live| live.probes.as_ref());
        let passing = probes.is_some_and(Probes::all_pass);
        if passing && matches!(self.saved.state, State::Starting { .. }) {
            let _ = self.take(Input::Ready, SYSTEM).await;
        }
    }

    /// It is text from outside, which everybody sees who looks at the process.
    fn show_status(&mut self, status: String) {
        let status = masked(status, &self.spec.secrets());
        let status = (!status.is_empty()).then(|| Arc::from(status));
        if let Some(hearing) = self.live.as_mut().and_then(|live| live.hearing.as_mut()) {
            hearing.status = status;
        }
        self.show();
    }
}
