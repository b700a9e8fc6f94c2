//! A question about all processes at once, when nothing is known to be wrong.
//!
//! One question, no look-ups, and one more try where the answer cannot be used: it is asked
//! again and again. An answer that wants nothing done is a good one. One that does is about a
//! single process, and is checked as every other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use supervisor::ProcessName;

use super::answer::{Checked, check, said_in, schema};
use super::desk::Shown;
use super::round::{Ended, Judged, Stop, Talk, converse};
use crate::facts::{Facts, ProcessFacts};
use crate::llm::{ModelId, Reply};
use crate::observation::View;
use crate::words::fence;

/// What a model would do, and to which process; none when it finds nothing to do.
pub type Found = Option<(ProcessName, Checked)>;

/// A process, and how many copies of it there may be.
type Known = BTreeMap<ProcessName, (ProcessFacts, u16)>;

/// What is told. Everything in the view may be cited from then on.
pub fn fleet_opening(view: &View, shown: &mut Shown) -> String {
    let mut text = fence("observation", &view.text, usize::MAX);
    shown.extend(view.shown.iter().cloned());
    text.push_str(
        "\nNobody has reported anything; this is a look at all processes. Say whether one of them \
         needs something done that mhost does not do by itself, as one JSON object of the agreed \
         form: with the name of that one process as the target of each action, and ids in brackets \
         as evidence. Most often nothing is wrong: then `healthy` is true and `actions` is empty.",
    );
    text
}

/// Asks whether one of all processes needs something done.
pub async fn ask_about_all(talk: Talk<'_>, facts: Arc<dyn Facts>) -> (Result<Found, Stop>, Ended) {
    let read = tokio::task::spawn_blocking(move || {
        let names = facts.processes().into_iter();
        names
            .filter_map(|name| {
                let found = facts.process(&name)?;
                let most = facts.max_instances(&name);
                Some((name, (found, most)))
            })
            .collect::<Known>()
    });
    let known = read.await.unwrap_or_default();
    let asked = talk.model.id().clone();
    converse(talk, Some(schema()), move |reply: &Reply, shown: &Shown| {
        let by = reply.by.as_ref().unwrap_or(&asked);
        judge(&reply.text, &known, shown, by)
    })
    .await
}

fn judge(text: &str, known: &Known, shown: &Shown, by: &ModelId) -> Judged<Found> {
    let Some(answer) = said_in(text) else {
        return Judged::Again("there is no JSON object in the answer".into(), None);
    };
    let actions = match &answer["actions"] {
        Value::Array(actions) => actions.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    if actions.is_empty() || answer["healthy"] == true {
        return Judged::Good(None);
    }
    let mut targets = actions.iter().filter_map(|one| one["target"].as_str());
    let Some((name, (process, most))) = targets.find_map(|name| {
        let name = name.parse::<ProcessName>().ok()?;
        known.get_key_value(&name)
    }) else {
        let why = "no `target` is the name of one of the processes";
        return Judged::Again(why.into(), Some(None));
    };
    match check(text, process, *most, shown, by) {
        Ok(checked) => Judged::Good(Some((name.clone(), checked))),
        Err(problem) => Judged::Again(problem.why, Some(None)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::Scenario;

    fn known() -> Known {
        let scenario = json!({ "playbook": "x", "case": [{
            "name": "two", "on": "tick", "process": {"name": "api"}, "other": [{"name": "db"}],
        }]});
        let scenario: Scenario = serde_json::from_value(scenario).expect("a scene");
        let world = scenario.case[0].facts();
        let names = world.processes().into_iter();
        names
            .filter_map(|name| Some((name.clone(), (world.process(&name)?, 4))))
            .collect()
    }

    fn of(answer: Value) -> Judged<Found> {
        let by = ModelId {
            provider: "double".into(),
            model: "x".into(),
        };
        judge(&answer.to_string(), &known(), &Shown::default(), &by)
    }

    fn wish(target: &str, healthy: bool) -> Value {
        json!({
            "diagnosis": "it hangs", "confidence": 0.9, "evidence": [], "healthy": healthy,
            "actions": [
                {"action": "restart", "target": target}, {"action": "stop", "target": "api"},
            ],
        })
    }

    /// What it says about the first process that it names is a plan; the rest is dropped.
    #[test]
    fn an_answer_is_about_one_process() {
        let Judged::Good(Some((name, checked))) = of(wish("db", false)) else {
            panic!("a plan");
        };
        assert_eq!(name.as_str(), "db");
        assert_eq!(checked.proposal.plan.steps.len(), 1);
        assert_eq!(checked.dropped.len(), 1, "{:?}", checked.dropped);
        assert!(
            checked.proposal.confidence < 0.5,
            "without evidence it is a guess"
        );
    }

    #[test]
    fn that_nothing_is_wrong_is_a_good_answer() {
        for answer in [
            wish("db", true),
            json!({"diagnosis": "all well", "actions": []}),
            json!({"diagnosis": "all well"}),
        ] {
            assert!(matches!(of(answer), Judged::Good(None)));
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_asked_for_once_more() {
        let mut answer = wish("nobody", false);
        answer["actions"][1]["target"] = json!("*");
        assert!(matches!(of(answer), Judged::Again(_, Some(None))));
        let by = ModelId {
            provider: "double".into(),
            model: "x".into(),
        };
        let again = judge("no words", &known(), &Shown::default(), &by);
        assert!(matches!(again, Judged::Again(_, None)));
    }
}
