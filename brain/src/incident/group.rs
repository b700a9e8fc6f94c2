//! Whose incident a sign belongs to, where processes depend on each other. Pure.
//!
//! ```text
//!   web ──depends on──► api ──depends on──► db      db is ill: one incident, its subject is db,
//!    └ victim            └ victim            └ cause   and the incidents of api and web are merged
//! ```
//!
//! Only what a sick dependency can do to others makes a victim: a probe that fails, a start that
//! was given up for it, a death with words about somebody who does not answer. A process that
//! dies of a missing file while its dependency is down has an incident of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use supervisor::{ProcessName, until};

use super::{Incident, IncidentState, Symptom, SymptomKind};
use crate::knowledge;

/// How deep a chain of dependencies is followed.
const DEPTH: usize = 8;
/// An incident of a dependency that is well again explains what others show for so long.
const ECHO: Duration = Duration::from_secs(30);

/// What has to be known of processes to say who is whose victim.
pub trait Kin {
    /// What it depends on.
    fn depends_on(&self, process: &ProcessName) -> Vec<ProcessName>;
    /// Is a copy down, or does a probe fail?
    fn is_ill(&self, process: &ProcessName) -> bool;
}

/// The incident among `open` that explains `own`: that of the farthest sick dependency, where it
/// all began. None when it has to be looked at by itself.
pub fn cause_of<'a>(
    own: &Incident,
    open: &'a [Incident],
    kin: &dyn Kin,
    now: Timestamp,
) -> Option<&'a Incident> {
    if !own.state.may_be_absorbed() || !own.symptoms.iter().all(victims_show) {
        return None;
    }
    let explains = |one: &&Incident| {
        let newest = one.symptoms.last().map_or(one.opened, |sign| sign.at);
        !one.state.is_over()
            && one.state != IncidentState::Merged
            && (until(newest, now) <= ECHO || kin.is_ill(&one.process))
    };
    let mut seen = BTreeSet::from([own.process.clone()]);
    let mut level = vec![own.process.clone()];
    let mut found = None;
    for _ in 0..DEPTH {
        let mut next: Vec<ProcessName> = Vec::new();
        for process in &level {
            let on = kin.depends_on(process).into_iter();
            next.extend(on.filter(|one| seen.insert(one.clone())));
        }
        let here = open
            .iter()
            .filter(|one| next.contains(&one.process))
            .filter(explains)
            .min_by_key(|one| (one.opened, one.id));
        found = here.or(found);
        if next.is_empty() {
            break;
        }
        level = next;
    }
    found
}

/// May a process show this because of another one?
pub fn victims_show(symptom: &Symptom) -> bool {
    match symptom.kind {
        SymptomKind::Sign
        | SymptomKind::HealthFail
        | SymptomKind::HealthRecover
        | SymptomKind::Tick
        | SymptomKind::Score => true,
        SymptomKind::Errored => symptom.data.get("dependency").is_some(),
        SymptomKind::Crash => {
            let lines = symptom.data["last_lines"].as_array();
            let lines: Vec<&str> = lines
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let telling = super::fingerprint::error_line(lines.iter().copied());
            let line = telling.and_then(|place| lines.get(place).copied());
            let words = lines.join("\n");
            matches!(
                knowledge::illness(line, &words).kind,
                "dependency" | "timeout"
            )
        }
        SymptomKind::SpawnFailed | SymptomKind::MemoryExceeded => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::incident::IncidentId;

    /// `web` on `api` on `db`, and `db` is the sick one.
    struct Chain {
        ill: &'static [&'static str],
    }

    impl Kin for Chain {
        fn depends_on(&self, process: &ProcessName) -> Vec<ProcessName> {
            let on = match process.as_str() {
                "web" => "api",
                "api" => "db",
                // A circle must not be walked for ever.
                "a" => "b",
                "b" => "a",
                _ => return Vec::new(),
            };
            vec![on.parse().expect("a name")]
        }
        fn is_ill(&self, process: &ProcessName) -> bool {
            self.ill.contains(&process.as_str())
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000 + second).expect("in range")
    }

    fn incident(id: i64, process: &str, kind: SymptomKind, data: Value) -> Incident {
        Incident {
            id: IncidentId(id),
            process: process.parse().expect("a name"),
            opened: at(id),
            closed: None,
            state: IncidentState::Open,
            symptoms: vec![Symptom {
                kind,
                at: at(id),
                instance: None,
                event: None,
                data,
            }],
            fingerprint: None,
            title: String::new(),
            cause: None,
        }
    }

    fn probe(id: i64, process: &str) -> Incident {
        incident(id, process, SymptomKind::HealthFail, json!({}))
    }

    fn who(own: &Incident, open: &[Incident], ill: &'static [&'static str], now: i64) -> String {
        cause_of(own, open, &Chain { ill }, at(now))
            .map_or_else(String::new, |one| one.process.to_string())
    }

    /// Whatever came first: the farthest sick one is the subject.
    #[test]
    fn the_farthest_sick_dependency_is_the_cause() {
        let open = [probe(1, "web"), probe(2, "api"), probe(3, "db")];
        assert_eq!(who(&open[0], &open, &["db"], 4), "db");
        assert_eq!(who(&open[1], &open, &["db"], 4), "db");
        assert_eq!(who(&open[2], &open, &["db"], 4), "");
        let two = [probe(1, "web"), probe(2, "api")];
        assert_eq!(who(&two[0], &two, &[], 4), "api");
        // A link in between that shows nothing hides nothing.
        let ends = [probe(1, "web"), probe(3, "db")];
        assert_eq!(who(&ends[0], &ends, &["db"], 4), "db");
    }

    #[test]
    fn what_is_long_over_explains_nothing() {
        let open = [probe(1, "db"), probe(300, "api")];
        assert_eq!(who(&open[1], &open, &[], 301), "");
        assert_eq!(who(&open[1], &open, &["db"], 301), "db");
        let mut over = open.clone();
        over[0].state = IncidentState::Resolved;
        assert_eq!(who(&over[1], &over, &["db"], 301), "");
    }

    #[test]
    fn who_dies_of_something_else_is_no_victim() {
        let died = |line: &str| {
            let data = json!({"code": 1, "last_lines": [line]});
            incident(2, "api", SymptomKind::Crash, data)
        };
        let db = probe(1, "db");
        for (line, cause) in [
            ("Error: connect ECONNREFUSED 127.0.0.1:5432", "db"),
            ("Error: Cannot find module 'x'", ""),
        ] {
            let open = [db.clone(), died(line)];
            assert_eq!(who(&open[1], &open, &["db"], 3), cause, "{line}");
        }
    }

    #[test]
    fn what_is_being_acted_on_is_not_absorbed() {
        for state in IncidentState::ALL {
            let mut api = probe(2, "api");
            api.state = state;
            let open = [probe(1, "db"), api.clone()];
            let absorbed = who(&api, &open, &["db"], 3) == "db";
            assert_eq!(absorbed, state.may_be_absorbed(), "{state:?}");
        }
    }

    #[test]
    fn a_circle_ends() {
        let open = [probe(1, "a"), probe(2, "b")];
        assert_eq!(who(&open[0], &open, &[], 3), "b");
    }
}
