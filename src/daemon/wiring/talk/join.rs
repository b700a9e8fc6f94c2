//! One diagnosis out of two: what mhost found, and what a model makes of it.

use brain::investigate::{Checked, ModelVerdict};
use brain::llm::ModelId;
use serde_json::{Value, json};

/// The brain's diagnosis with what a model makes of it. What mhost found itself stays beside.
pub(super) fn join(answer: &mut Value, checked: &Checked, by: &ModelId) {
    let proposal = &checked.proposal;
    answer["model"] = json!(format!("{}/{}", by.provider, by.model));
    answer["verdict"] = json!(checked.verdict);
    answer["dropped"] = json!(checked.dropped);
    answer["finding"] = json!({
        "root_cause": answer["root_cause"], "confidence": answer["confidence"],
        "cause": answer["cause"],
    });
    answer["reason"] = json!(proposal.cause);
    if let Some(list) = answer["evidence"].as_array_mut() {
        for one in &proposal.evidence {
            if !list.iter().any(|old| old["id"] == json!(one.id)) {
                list.push(json!(one));
            }
        }
    }
    let disagrees = matches!(checked.verdict, ModelVerdict::Refine | ModelVerdict::Refute)
        && !proposal.evidence.is_empty();
    // What mhost has proved gives way to what rests on facts, not to a guess.
    let proved = !answer["cause"].is_null();
    if checked.verdict == ModelVerdict::Confirm || (proved && !disagrees) {
        return;
    }
    if checked.healthy == Some(false) && answer["state"] == "well" {
        answer["state"] = json!("unknown");
    }
    answer["root_cause"] = json!(proposal.cause);
    answer["confidence"] = json!((proposal.confidence * 100.0).round() / 100.0);
    if checked.verdict == ModelVerdict::Refute {
        answer["cause"] = Value::Null;
        let refuted = json!({
            "what": answer["finding"]["cause"].as_str().unwrap_or("the finding of mhost"),
            "why": "the model refutes it",
        });
        match answer["ruled_out"].as_array_mut() {
            Some(list) => list.push(refuted),
            None => answer["ruled_out"] = json!([refuted]),
        }
    }
    let steps = proposal.plan.steps.iter().zip(&checked.reasons);
    let mut advice: Vec<Value> = steps
        .map(|(step, reason)| {
            let text = if reason.is_empty() {
                "the model proposes it"
            } else {
                reason
            };
            json!({ "action": step.action.name(), "text": text, "safe": false })
        })
        .collect();
    if checked.verdict != ModelVerdict::Refute
        && let Some(own) = answer["actions"].as_array()
    {
        advice.extend(own.iter().cloned());
    }
    answer["actions"] = json!(advice);
}

#[cfg(test)]
mod tests {
    use brain::{Evidence, Plan, PlaybookId, Proposal, Severity};

    use super::*;

    fn found() -> Value {
        json!({
            "state": "well", "cause": "port-taken", "root_cause": "port 80 is taken",
            "confidence": 0.9, "evidence": [{ "id": "port:80", "text": "held" }],
            "ruled_out": [{ "what": "disk-full", "why": "there is room" }], "actions": [],
        })
    }

    fn said(verdict: ModelVerdict, cited: bool) -> Checked {
        let evidence = Evidence {
            id: "log:1".into(),
            text: "no such file".into(),
        };
        Checked {
            proposal: Proposal {
                cause: "a file is missing".into(),
                confidence: 0.8,
                evidence: cited.then_some(evidence).into_iter().collect(),
                plan: Plan {
                    steps: Vec::new(),
                    ask: None,
                },
                playbook: PlaybookId("model:double/x".into()),
                version: None,
            },
            verdict,
            severity: Severity::Warning,
            healthy: None,
            reasons: Vec::new(),
            question: None,
            dropped: Vec::new(),
        }
    }

    fn joined(mut answer: Value, checked: &Checked) -> Value {
        let by = ModelId {
            provider: "double".into(),
            model: "x".into(),
        };
        join(&mut answer, checked, &by);
        answer
    }

    #[test]
    fn what_is_proved_gives_way_to_facts_only() {
        for (verdict, cited, gives_way) in [
            (ModelVerdict::Confirm, true, false),
            (ModelVerdict::None, true, false),
            (ModelVerdict::Refine, false, false),
            (ModelVerdict::Refute, false, false),
            (ModelVerdict::Refine, true, true),
            (ModelVerdict::Refute, true, true),
        ] {
            let answer = joined(found(), &said(verdict, cited));
            let gave_way = answer["root_cause"] == "a file is missing";
            assert_eq!(gave_way, gives_way, "{verdict:?} {cited}");
            // Either way both are told.
            assert_eq!(answer["finding"]["root_cause"], "port 80 is taken");
            assert_eq!(answer["reason"], "a file is missing");
        }
        let unknown = json!({ "state": "ill", "cause": null, "root_cause": "not known" });
        let answer = joined(unknown, &said(ModelVerdict::None, false));
        assert_eq!(answer["root_cause"], "a file is missing");
    }

    #[test]
    fn what_is_refuted_joins_what_was_ruled_out_before() {
        let answer = joined(found(), &said(ModelVerdict::Refute, true));
        assert_eq!(answer["ruled_out"][0]["what"], "disk-full");
        assert_eq!(answer["ruled_out"][1]["what"], "port-taken");
    }

    #[test]
    fn only_who_says_that_it_is_ill_doubts_that_it_is_well() {
        let mut checked = said(ModelVerdict::Refine, true);
        assert_eq!(joined(found(), &checked)["state"], "well");
        checked.healthy = Some(false);
        assert_eq!(joined(found(), &checked)["state"], "unknown");
    }
}
