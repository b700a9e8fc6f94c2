//! Probes that are run because somebody wants to know now.
//!
//! The attempt is shown with all others, and nothing follows from it: it counts for no streak.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::RegistryHandle;
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::instance::InstanceHandle;

/// An attempt ends within its own time limit; this is for the way there and back, and for one
/// that was under way already.
const LONGEST: Duration = Duration::from_secs(75);

/// What came of an attempt with each probe of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// It is not up, or has none.
    NoProbe,
    /// No verdict in time.
    Late,
    /// Do all pass?
    Verdict(bool),
}

impl RegistryHandle {
    /// Runs the probes of the copies that are up, and says what came of it.
    pub(super) async fn run_probes(&self, target: &Target) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        let mut done = Vec::new();
        for pick in picked.items {
            let handles = self.inner().handles(&pick);
            let tried = join_all(handles.iter().map(attempt)).await;
            let (note, error) = match told(&tried) {
                Ok(note) => (Some(note), None),
                Err(error) => (None, Some(error)),
            };
            done.push(Done {
                target: pick.text(),
                changed: false,
                note,
                error,
            });
        }
        Ok(done)
    }
}

/// The verdict over all copies, or why there is none.
fn told(tried: &[Tried]) -> Result<String, String> {
    let count = |what: Tried| tried.iter().filter(|tried| **tried == what).count();
    let (passed, failed) = (count(Tried::Verdict(true)), count(Tried::Verdict(false)));
    let late = count(Tried::Late);
    match (passed + failed, late) {
        (0, 0) => Err("no copy is up that has a probe".to_owned()),
        (0, _) => Err(format!(
            "its probe gave no verdict within {} s",
            LONGEST.as_secs()
        )),
        (_, 0) if failed == 0 => Ok("its probe passes".to_owned()),
        (verdicts, late) => {
            let note = format!("its probe fails for {failed} of {} copies", verdicts + late);
            Ok(match late {
                0 => note,
                late => format!("{note}, and gave no verdict in time for {late}"),
            })
        }
    }
}

/// One attempt with each probe of a copy.
pub(super) async fn attempt(handle: &InstanceHandle) -> Tried {
    let answers = match handle.probe_now().await {
        Ok(answers) if !answers.is_empty() => answers,
        _ => return Tried::NoProbe,
    };
    match tokio::time::timeout(LONGEST, try_join_all(answers)).await {
        Ok(Ok(passed)) => Tried::Verdict(passed.into_iter().all(|passed| passed)),
        // The run ended meanwhile.
        Ok(Err(_)) => Tried::NoProbe,
        Err(_) => Tried::Late,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_told_apart() {
        use Tried::{Late, NoProbe, Verdict};
        let error = |tried: &[Tried]| told(tried).unwrap_err();
        assert_eq!(error(&[]), "no copy is up that has a probe");
        assert_eq!(error(&[NoProbe]), "no copy is up that has a probe");
        let late = "its probe gave no verdict within 75 s";
        assert_eq!(error(&[Late, NoProbe]), late);
        let note = |tried: &[Tried]| told(tried).unwrap();
        assert_eq!(note(&[Verdict(true), NoProbe]), "its probe passes");
        assert_eq!(
            note(&[Verdict(true), Verdict(false)]),
            "its probe fails for 1 of 2 copies"
        );
        assert_eq!(
            note(&[Verdict(true), Late]),
            "its probe fails for 0 of 2 copies, and gave no verdict in time for 1"
        );
    }
}
