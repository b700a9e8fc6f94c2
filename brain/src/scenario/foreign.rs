//! Illnesses of others: what a drafted playbook must be silent on.
//!
//! A home that is young has few recorded moments. These are the small worlds in which the
//! built-in playbooks are proved, told about the process that the draft is for.

use std::sync::Arc;

use supervisor::ProcessName;

use super::world::{self, World};
use super::{Case, Scenario};
use crate::diagnose::{DiagnoseContext, diagnose, look};
use crate::incident::SymptomKind;
use crate::playbook::Playbooks;

macro_rules! worlds {
    ($($name:literal),+ $(,)?) => {
        const WORLDS: &[&str] = &[$(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../playbooks/scenarios/", $name, ".toml"
        ))),+];
    };
}

worlds!(
    "crashed",
    "error-storm",
    "flapping-probe",
    "gave-up",
    "log-flood",
    "oom-restart",
    "probe-failed",
    "rapid-crash",
    "same-death",
    "slow-start",
);

/// Asks `playbooks` about all of them, as if they were about `process`: on how many it is
/// silent, or the first on which it would act. Worlds with the illness `own` are its own.
/// Blocking: runs scripts.
///
/// # Errors
/// The world in which it would act.
pub fn silent_on(playbooks: &Playbooks, process: &ProcessName, own: &str) -> Result<usize, String> {
    let mut silent = 0;
    for text in WORLDS {
        let Ok(scenario) = Scenario::parse(text) else {
            continue;
        };
        for mut case in scenario.case {
            if case.verdict.is_some() {
                continue;
            }
            world::rename(&mut case, process);
            match acts(playbooks, &case) {
                Some(illness) if illness == own => {}
                Some(_) => return Err(format!("{}: {}", scenario.playbook, case.name)),
                None => silent += 1,
            }
        }
    }
    Ok(silent)
}

/// The hash of the illness on which it would act; empty where nobody can tell.
fn acts(playbooks: &Playbooks, case: &Case) -> Option<String> {
    let world = World::of(case);
    let incident = world::incident(case, &world).ok()?;
    let facts: Arc<dyn crate::facts::Facts> = Arc::new(world);
    let ctx = DiagnoseContext::default();
    let found = match case.on {
        SymptomKind::Tick | SymptomKind::Score => look(&incident.process, &facts, playbooks, &ctx),
        _ => diagnose(&incident, &facts, playbooks, &ctx),
    };
    (found.proposal.is_some() || found.beside.is_some()).then(|| {
        let told = found.recording.answer("illness");
        let hash = told.and_then(|told| told["hash"].as_str());
        hash.unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Format;

    /// There are enough of them, and one that acts on everything is found out.
    #[test]
    fn a_false_alarm_is_heard() {
        let process = "worker".parse().unwrap();
        let script = |matches: &str| {
            let text = format!(
                "const META = #{{ name: \"x\", version: 1, description: \"x\", process: \"worker\", \
                 on: [\"crash\", \"tick\", \"health_fail\", \"errored\"] }};\n\
                 fn matches(c) {{ {matches} }}\nfn plan(c) {{ [ restart() ] }}\n"
            );
            Playbooks::only("x", Format::Rhai, &text)
        };
        let silent = silent_on(&script("false"), &process, "").unwrap();
        assert!(silent >= 20, "{silent}");
        assert!(silent_on(&script("c.name == \"worker\""), &process, "x").is_err());
        assert_eq!(
            silent_on(&script("c.illness() == \"0\""), &process, "x"),
            Ok(silent)
        );
    }
}
