//! One diagnosis out of two: what mhost found, and what a model makes of it.

use brain::investigate::{Checked, ModelVerdict};
use brain::llm::ModelId;
use serde_json::{Value, json};

/// The brain's diagnosis with what a model makes of it. What mhost found itself stays beside.
pub(super) fn join(answer: &mut Value, checked: &Checked, by: &ModelId) {
    let proposal = &checked.proposal;
    answer["model"] = json!(format!("{}/{}", by.provider, by.model));
    answer["verdict"] = json!(checked.verdict);
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
    if checked.verdict == ModelVerdict::Confirm {
        return;
    }
    answer["root_cause"] = json!(proposal.cause);
    answer["confidence"] = json!((proposal.confidence * 100.0).round() / 100.0);
    if checked.verdict == ModelVerdict::Refute {
        answer["cause"] = Value::Null;
        answer["ruled_out"] = json!([{
            "what": answer["finding"]["cause"].as_str().unwrap_or("the finding of mhost"),
            "why": "the model refutes it",
        }]);
    }
    if !checked.healthy && answer["state"] == "well" {
        answer["state"] = json!("unknown");
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
