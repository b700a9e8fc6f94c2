//! Mode `signal`: each instance gets the signal and renews itself, one after another.
//!
//! The next one gets it when the one before is alive and passes its probes. Nothing is recorded
//! of how far it came: an instance that got the signal is the same run as before.

use std::sync::Arc;
use std::time::Duration;

use super::proof::{end_of, late, told};
use super::{Renewal, UNWANTED};
use crate::instance::InstanceHandle;
use crate::launch::Scope;
use crate::machine::Awaited;
use crate::registry::RegistryHandle;
use crate::registry::probing::{Tried, attempt};
use crate::state::State;

/// What a program has to act on the signal: one that does not know it dies of it, and a probe
/// that passes at once says nothing.
const TO_ACT: Duration = Duration::from_secs(1);

/// Between two attempts with the probes.
const PAUSE: Duration = Duration::from_millis(200);

impl RegistryHandle {
    /// Has each instance of the set renew itself. The first that fails ends it.
    pub(super) async fn signal_each(
        &self,
        renewal: &Renewal<'_>,
        set: &[InstanceHandle],
    ) -> Result<(), String> {
        for (done, handle) in set.iter().enumerate() {
            let renewed = tokio::select! {
                biased;
                () = self.until_unwanted(renewal, set) => Err(UNWANTED.to_owned()),
                renewed = self.renew(handle, renewal) => renewed,
            };
            renewed.map_err(|error| {
                if error == UNWANTED {
                    return error;
                }
                let untouched = set.len() - done - 1;
                with_untouched(&format!("{}: {error}", told(handle.id())), untouched)
            })?;
        }
        Ok(())
    }

    /// Sends the signal and waits until the run has stood it.
    async fn renew(&self, handle: &InstanceHandle, renewal: &Renewal<'_>) -> Result<(), String> {
        let snapshot = handle.snapshot();
        let State::Online { run, .. } = &snapshot.saved.state else {
            return Err("it is not online any longer".to_owned());
        };
        let config = &renewal.spec.config;
        let (launcher, signal) = (Arc::clone(&self.context().launcher), config.reload.signal);
        // Its children did not ask for one, and most would die of it.
        let (reached, whom) = match snapshot.saved.main_of(run) {
            // Who started that one did not ask for the signal either.
            Some(main) => {
                let reached = launcher.signal_one(main, signal).await;
                (reached, format!("its main process {}", main.pid))
            }
            None => {
                let leader = launcher.signal(handle.id(), &run.process, signal, Scope::Leader);
                (leader.await, "it".to_owned())
            }
        };
        if !reached {
            return Err(format!("{signal} did not reach {whom}"));
        }
        let is_probed = !config.health.is_empty();
        let ended = handle.until_some(None, |snapshot| end_of(snapshot, run.generation));
        let well = async {
            tokio::time::sleep(TO_ACT.min(renewal.timeout / 2)).await;
            while is_probed && attempt(handle).await != Tried::Verdict(true) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            // Its task ends with the daemon.
            end = ended => Err(end.unwrap_or_else(|| "the daemon ended".to_owned())),
            well = tokio::time::timeout(renewal.timeout, well) => {
                // Its sign came when it began.
                let awaited = Awaited { sign: None, probes: is_probed };
                well.map_err(|_| late(&handle.snapshot(), awaited, renewal.timeout))?;
                self.has_main(handle).await
            }
        }
    }

    /// What the program calls its main process now lives, if it names one.
    async fn has_main(&self, handle: &InstanceHandle) -> Result<(), String> {
        let snapshot = handle.snapshot();
        let run = snapshot.saved.state.run();
        let Some(main) = run.and_then(|run| snapshot.saved.main_of(run)) else {
            return Ok(());
        };
        if self.context().launcher.has_one(main).await {
            return Ok(());
        }
        Err(format!("its main process {} ended", main.pid))
    }
}

/// Why a reload failed, and how many instances after that one did not get the signal.
fn with_untouched(error: &str, untouched: usize) -> String {
    match untouched {
        0 => error.to_owned(),
        1 => format!("{error}; the one after it was not touched"),
        more => format!("{error}; the {more} after it were not touched"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_touched_is_told() {
        assert_eq!(with_untouched("it fell", 0), "it fell");
        let one = "it fell; the one after it was not touched";
        assert_eq!(with_untouched("it fell", 1), one);
        let more = "it fell; the 3 after it were not touched";
        assert_eq!(with_untouched("it fell", 3), more);
    }
}
