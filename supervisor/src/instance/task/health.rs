//! What probes say, and whose fault it is.
//!
//! A probe that fails for a dependency's fault must not restart its own process.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{InstanceTask, SYSTEM};
use crate::clock::until;
use crate::event::EventKind;
use crate::machine::Input;
use crate::probe::{ProbeEvent, Probes};
use crate::spec::OnFail;
use crate::state::State;

/// How long a process that depends on others is left alone after its probe has failed. Most
/// often the fault is in a dependency whose own probe is green, and whoever looks for causes
/// needs this long to find it; restarting the victim would only add noise.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// How long the same first failure is not told again.
const SAME_MISS: Duration = Duration::from_secs(30);

impl InstanceTask {
    /// Time to decide whose fault a failed probe was.
    pub(super) async fn suspicion_over(&mut self) {
        self.suspect_until = None;
        let shielded = self
            .context
            .board
            .ailing_dependency(&self.id.process)
            .is_some();
        if self.failing_since.is_some() && !shielded {
            let _ = self.take(Input::ProbeFailed, SYSTEM).await;
        }
    }

    /// The first sign of trouble: recorded, so that whoever looks for causes can look while it
    /// lasts. Nothing else follows from it, and one that flaps does not fill the journal.
    async fn missed(&mut self, probe: String, error: String) {
        let now = self.context.clock.now();
        let online = matches!(self.saved.state, State::Online { .. });
        let told = self
            .missed
            .as_ref()
            .is_some_and(|(at, what)| until(*at, now) < SAME_MISS && *what == error);
        if online && !told {
            let data = json!({ "probe": probe, "error": error });
            self.missed = Some((now, error));
            self.record(vec![(EventKind::HealthMiss, data)], SYSTEM)
                .await;
        }
    }

    /// A probe has passed, or it says again that it is alive. That another one fails is still so.
    pub(super) fn well_again(&mut self) {
        let live = self.live.as_ref();
        let probes = live.and_then(|live| live.probes.as_ref());
        let hearing = live.and_then(|live| live.hearing.as_ref());
        let ails = probes.is_some_and(Probes::any_fails)
            || hearing.is_some_and(|hearing| hearing.is_silent);
        if !ails {
            self.failing_since = None;
            self.suspect_until = None;
        }
    }

    /// It is up and not well, in a way that is told with this.
    pub(super) async fn unhealthy(&mut self, mut data: Value, on_fail: OnFail) {
        if !matches!(self.saved.state, State::Online { .. }) {
            return;
        }
        let shield = self.context.board.ailing_dependency(&self.id.process);
        if let Some(dependency) = &shield {
            data["dependency"] = json!(dependency);
        }
        self.record(vec![(EventKind::HealthFail, data)], SYSTEM)
            .await;
        // A restart would not cure what a dependency ails from.
        if on_fail == OnFail::Restart && shield.is_none() {
            if !self.context.board.has_dependencies(&self.id.process) {
                let _ = self.take(Input::ProbeFailed, SYSTEM).await;
            } else if self.suspect_until.is_none() {
                self.suspect_until = Some(Instant::now() + LOOK_AROUND);
            }
        }
    }

    pub(super) async fn probe(&mut self, event: ProbeEvent) {
        match event {
            ProbeEvent::Attempt { passed } => {
                if passed {
                    self.well_again();
                } else if self.failing_since.is_none() {
                    self.failing_since = Some(self.context.clock.now());
                }
                self.show();
            }
            ProbeEvent::Asked => self.show(),
            ProbeEvent::Ready => {
                self.well_again();
                let _ = self.take(Input::Ready, SYSTEM).await;
            }
            ProbeEvent::Missed { probe, error } => self.missed(probe, error).await,
            ProbeEvent::Failed {
                probe,
                error,
                failures,
                on_fail,
            } => {
                let data = json!({ "probe": probe, "error": error, "failures": failures });
                self.unhealthy(data, on_fail).await;
            }
            ProbeEvent::Recovered {
                probe,
                failures,
                downtime,
            } => {
                let data = json!({ "probe": probe, "failures": failures, "downtime_ms": downtime.as_millis() as u64 });
                self.record(vec![(EventKind::HealthRecover, data)], SYSTEM)
                    .await;
            }
        }
    }
}
