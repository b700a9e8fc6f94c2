//! What people ask a model: a diagnosis, a question, a question to the agent.
//!
//! ```text
//!   ai.diagnose ─► the brain's own finding ─► model: confirm, refine, refute ─► one answer
//!   ai.ask ──────► look-ups, words
//!   agent.ask ───► the last turns, look-ups, words · a plan ─► the gate, which asks
//! ```
//!
//! A model costs money and reads logs, so it is asked for those who may operate; whoever may
//! only look gets what mhost finds by itself. Nothing here acts.

mod join;
mod turns;

use std::sync::{Mutex, PoisonError};

use agent::Put;
use brain::Case;
use brain::guard::Guarded;
use brain::investigate::{
    Bounds, Ended, GUEST, Piecewise, Shown, Stop, TOOLS_FROM, Talk, ask_in_prose, check,
    clean_lines, first_request,
};
use brain::llm::answer::objects;
use brain::llm::{Abilities, Message, Model, ModelError, ModelId, Silent, Sink};
use brain::observation::Observation;
use brain::prompts::{Input, Purpose};
use brain::redact::Marks;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, ProcessName, Role};

use super::asker::{self, Matter, Nobody};
use super::guest::unasked;
use super::port::BrainPort;
use crate::daemon::hearer::Hearer;
use crate::daemon::port::invalid;
use join::join;
pub(super) use turns::Turns;
use turns::{Past, Talked, recalled};

/// Longest question, in characters.
const QUESTION: usize = 2_000;
/// Bytes of a talk that take a token, on the safe side.
const BYTES: usize = 3;
/// How often a model is asked about one question.
const ROUNDS: usize = 6;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiagnoseParams {
    name: String,
    /// Tell what a model would be told, and ask none.
    #[serde(default)]
    show_context: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskParams {
    question: String,
    #[serde(default)]
    show_context: bool,
}

/// Passes on what a model writes, without what a terminal would obey.
pub(super) struct Spoken {
    hearer: Hearer,
    legible: Mutex<Piecewise>,
}

impl Spoken {
    pub(super) fn to(hearer: &Hearer) -> Self {
        Self {
            hearer: hearer.clone(),
            legible: Mutex::default(),
        }
    }
}

impl Sink for Spoken {
    fn piece(&self, text: &str) {
        let mut legible = self.legible.lock().unwrap_or_else(PoisonError::into_inner);
        self.hearer.say(&legible.next(text));
    }

    fn begin_anew(&self) -> bool {
        self.hearer.is_nobody()
    }
}

impl BrainPort {
    /// The brain's diagnosis, and what a model makes of it where there is one.
    pub(super) async fn diagnose(
        &self,
        caller: &Caller,
        params: DiagnoseParams,
    ) -> Result<Value, ControlError> {
        let name = self.known(&params.name)?;
        let mut answer = super::ask::diagnose(&self.agent, &self.facts, &name).await?;
        let open = self.agent.open_incidents().into_iter();
        let matter = Matter {
            purpose: Purpose::Diagnose,
            incident: open.clone().find(|one| one.process == name),
            case: serde_json::from_value::<Case>(answer.clone()).ok(),
            process: name,
            tried: Vec::new(),
            asked: Vec::new(),
        };
        if params.show_context {
            return self.context_of_diagnosis(&matter).await;
        }
        let model = match self.may_ask(caller, Marks::default()).await {
            Ok(model) => model,
            // Nobody set one up, and nobody misses it.
            Err(Why::Nobody) => return Ok(answer),
            Err(Why::Error(note)) => {
                answer["note"] = json!(note);
                return Ok(answer);
            }
        };
        let hearer = Hearer::current();
        let looked = |what: &str| hearer.looks_up(what);
        let (result, ended) = self.asker.plan(&model, &matter, &Silent, &looked).await;
        answer["asked_model"] = asker::told(&ended);
        match result {
            Ok(checked) => {
                let by = ended.by.clone().unwrap_or_else(|| model.id().clone());
                join(&mut answer, &checked, &by);
            }
            Err(error) => {
                answer["note"] = json!(format!(
                    "no model was of help ({}): this is what mhost found by itself",
                    brain::investigate::clean(&stopped(&error), 300)
                ));
            }
        }
        Ok(answer)
    }

    /// A question in words, an answer in words.
    pub(super) async fn ask(
        &self,
        caller: &Caller,
        params: AskParams,
    ) -> Result<Value, ControlError> {
        let question = question(&params.question)?;
        if params.show_context {
            let nobody = Talked::default();
            return self.context_of_question("", nobody, &question).await;
        }
        let model = self.must_ask(caller, Marks::default()).await?;
        let hearer = Hearer::current();
        let spoken = Spoken::to(&hearer);
        let looked = |what: &str| hearer.looks_up(what);
        let talk = self.talk(&model, "", Past::new(), &question).await?;
        let (result, ended) = ask_in_prose(Talk {
            sink: &spoken,
            looked: &looked,
            ..talk
        })
        .await;
        let text = result.map_err(|error| unanswered(&error))?;
        Ok(answered(&text, &ended, model.id()))
    }

    /// A question to the agent: it remembers, and may propose.
    pub(super) async fn ask_agent(
        &self,
        caller: &Caller,
        params: AskParams,
    ) -> Result<Value, ControlError> {
        let question = question(&params.question)?;
        let who = caller.to_string();
        let talked = self.turns.of(&who);
        if params.show_context {
            return self.context_of_question(PROPOSING, talked, &question).await;
        }
        let Talked { past, marks } = talked;
        let model = self.must_ask(caller, marks).await?;
        let hearer = Hearer::current();
        let looked = |what: &str| hearer.looks_up(what);
        let talk = self.talk(&model, PROPOSING, past, &question).await?;
        let (result, ended) = ask_in_prose(Talk {
            looked: &looked,
            ..talk
        })
        .await;
        let said = result.map_err(|error| unanswered(&error))?;
        let (text, wish) = apart(&said);
        self.turns.add(&who, &question, &text);
        let mut answer = answered(&text, &ended, model.id());
        answer["proposal"] = match wish {
            Some(wish) => {
                let by = ended.by.as_ref().unwrap_or(model.id());
                match self.known(wish["actions"][0]["target"].as_str().unwrap_or_default()) {
                    Ok(name) => self.propose(caller, &name, &wish, &ended.shown, by).await,
                    Err(_) => json!({ "refused": "it names no process of yours" }),
                }
            }
            None => Value::Null,
        };
        Ok(answer)
    }

    /// Puts a plan to the gate. What came of it, in words.
    pub(super) async fn propose(
        &self,
        caller: &Caller,
        name: &ProcessName,
        wish: &Value,
        shown: &Shown,
        by: &ModelId,
    ) -> Value {
        let refused = |why: String| json!({ "refused": brain::investigate::clean(&why, 300) });
        let (facts, process) = (self.asker.facts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            Some((facts.process(&process)?, facts.max_instances(&process)))
        });
        let Some((process, most)) = read.await.ok().flatten() else {
            return refused("the process is gone".into());
        };
        let checked = match check(&wish.to_string(), &process, most, shown, by) {
            Ok(checked) => checked,
            Err(problem) => return refused(problem.why),
        };
        let steps: Vec<String> = checked
            .proposal
            .plan
            .steps
            .iter()
            .map(|step| agent::describe(&step.action))
            .collect();
        if steps.is_empty() {
            return Value::Null;
        }
        if by.provider == GUEST
            && let Some(why) = unasked(&checked.proposal.plan)
        {
            return refused(why.into());
        }
        let question = match self.agent.propose(caller, name, checked.proposal).await {
            Ok(Put::Asked(id)) => Some(id),
            Ok(Put::Done) => None,
            Ok(Put::Dropped(why)) => return refused(why),
            Err(error) => return refused(error.to_string()),
        };
        json!({
            "process": name,
            "plan": steps,
            "question": question,
            "dropped": checked.dropped,
        })
    }

    async fn may_ask(&self, caller: &Caller, marks: Marks) -> Result<Guarded, Why> {
        match self.asker.models.current() {
            Err(ModelError::NotSetUp(why)) if self.asker.models.is_wanted() => {
                Err(Why::Error(format!("no model was asked: {why}")))
            }
            Err(ModelError::NotSetUp(_)) => Err(Why::Nobody),
            Err(error) => Err(Why::Error(format!("no model was asked: {}", error.told()))),
            Ok(_) if caller.role < Role::Operator => Err(Why::Error(
                "no model was asked: that costs money and needs the role operator".into(),
            )),
            Ok(model) => Ok(self.asker.guard(model, marks).await),
        }
    }

    async fn must_ask(&self, caller: &Caller, marks: Marks) -> Result<Guarded, ControlError> {
        self.may_ask(caller, marks)
            .await
            .map_err(|why| ControlError::Unavailable {
                what: "a model".into(),
                remedy: match why {
                    Why::Nobody => "set one up: mhost ai setup".into(),
                    Why::Error(text) => text,
                },
            })
    }

    /// A talk about a question, with what stands in `more` added to the rules. Who cannot look
    /// things up is told at once how everything stands, as far as there is room.
    async fn talk<'a>(
        &self,
        model: &'a dyn Model,
        more: &str,
        past: Past,
        question: &str,
    ) -> Result<Talk<'a>, ControlError> {
        let abilities = model.abilities();
        let tools = abilities.tools && abilities.context_tokens >= TOOLS_FROM;
        let bounds = Bounds {
            rounds: ROUNDS,
            context_tokens: abilities.context_tokens,
            max_tokens: if tools { 2_048 } else { 512 },
            temperature: 0.3,
            ..Bounds::default()
        };
        // The rules, the question and the answer take the rest.
        let budget = abilities.context_tokens.saturating_sub(2_000).max(300) / 2;
        let (facts, prompts, question) = (
            self.facts.clone(),
            self.asker.prompts.clone(),
            question.to_owned(),
        );
        let rendered = tokio::task::spawn_blocking(move || {
            let mut shown = Shown::default();
            let fact = if tools {
                let names = facts.registry.names();
                let names: Vec<&str> = names.iter().take(60).map(ProcessName::as_str).collect();
                ("names of processes", names.join(", "))
            } else {
                let view = Observation::fleet(facts.as_ref()).render(budget as usize);
                shown.extend(view.shown);
                ("all processes, and the machine", view.text)
            };
            let input = Input {
                question: Some(question),
                ..Input::default()
            };
            (
                prompts.render(Purpose::Ask, &input.fact(fact.0, fact.1)),
                shown,
            )
        });
        let rendered = rendered.await.ok();
        let Some((prompt, shown)) = rendered.filter(|(prompt, _)| !prompt.system.is_empty()) else {
            return Err(ControlError::Internal {
                message: "the prompt of `ai ask` could not be made; see the log of the daemon"
                    .into(),
            });
        };
        for warning in &prompt.warnings {
            tracing::warn!(%warning, "A prompt of the user is not used.");
        }
        let mut messages = recalled(past, abilities.context_tokens as usize * BYTES / 4);
        messages.push(Message::User { text: prompt.user });
        Ok(Talk {
            model,
            desk: tools.then(|| self.asker.desk(None)),
            system: format!("{}{more}", prompt.system),
            messages,
            shown,
            sink: &Silent,
            looked: &|_| (),
            bounds: bounds.patient(self.asker.models.timeout()),
        })
    }

    async fn context_of_question(
        &self,
        more: &str,
        talked: Talked,
        question: &str,
    ) -> Result<Value, ControlError> {
        let Talked { past, marks } = talked;
        let nobody = Nobody::new(self.abilities());
        let talk = self.talk(&nobody, more, past, question).await?;
        let request = first_request(&talk, false);
        let context = self.asker.redactors.shown(request, marks).await;
        Ok(json!({ "context": context }))
    }

    async fn context_of_diagnosis(&self, matter: &Matter) -> Result<Value, ControlError> {
        let nobody = Nobody::new(self.abilities());
        let request = self.asker.first(&nobody, matter).await;
        let request = request.ok_or_else(|| ControlError::NotFound {
            target: matter.process.to_string(),
            near: Vec::new(),
        })?;
        let context = self.asker.redactors.shown(request, Marks::default()).await;
        Ok(json!({ "context": context }))
    }

    /// What whoever is set up can do; the usual where nobody is.
    fn abilities(&self) -> Abilities {
        let model = self.asker.models.current();
        model.map_or_else(|_| Abilities::default(), |model| model.abilities())
    }
}

/// Why no model is asked.
enum Why {
    Nobody,
    Error(String),
}

fn question(text: &str) -> Result<String, ControlError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid("the question is empty".into()));
    }
    if text.chars().count() > QUESTION {
        return Err(invalid(format!(
            "the question is longer than {QUESTION} characters"
        )));
    }
    Ok(text.to_owned())
}

fn unanswered(error: &Stop) -> ControlError {
    ControlError::Unavailable {
        what: "an answer of the model".into(),
        remedy: brain::investigate::clean(&stopped(error), 300),
    }
}

/// Why a talk ended without an answer, and what to do about it.
fn stopped(error: &Stop) -> String {
    match error {
        Stop::Model(error) => error.told(),
        other => other.to_string(),
    }
}

/// The words, with the facts that they cite and how the talk went.
fn answered(text: &str, ended: &Ended, asked: &ModelId) -> Value {
    let text = clean_lines(text, usize::MAX);
    let cited = text
        .split(['[', ']'])
        .filter_map(|part| ended.shown.evidence(part));
    let mut evidence: Vec<brain::Evidence> = Vec::new();
    for one in cited {
        if !evidence.contains(&one) {
            evidence.push(one);
        }
    }
    let by = ended.by.as_ref().unwrap_or(asked);
    json!({
        "answer": text,
        "evidence": evidence,
        "model": format!("{}/{}", by.provider, by.model),
        "lookups": ended.lookups,
        "rounds": ended.rounds,
        "usage": ended.usage,
        "cut": ended.stopped.cut(),
    })
}

/// An answer of the agent: words, and a plan if there is one.
fn apart(said: &str) -> (String, Option<Value>) {
    let object = objects(said)
        .into_iter()
        .find(|object| object["answer"].is_string());
    let Some(mut object) = object else {
        return (said.to_owned(), None);
    };
    let text = object["answer"].as_str().unwrap_or_default().to_owned();
    let wish = object["proposal"].take();
    (text, wish.is_object().then_some(wish))
}

/// What the agent may do beside answering.
const PROPOSING: &str = "
- Your answer is one JSON object: {\"answer\": text, \"proposal\": null}. Only where the person \
asks for a change of one process, the proposal is {\"diagnosis\": text, \"confidence\": 0 to 1, \
\"evidence\": [ids], \"actions\": [{\"action\": name, \"target\": process, \"args\": {}, \
\"reason\": text}]}. It is put before a person, who decides.

Actions: restart {instance?}, reload, start, kill_restart {instance?}, halt, stop, scale_up {n}, \
scale_down {n}, set_limit {key, value}, clear_error, run_probe, rollback, wait {seconds}.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_plans_are_told_apart() {
        assert_eq!(apart("plain words"), ("plain words".to_owned(), None));
        assert_eq!(
            apart(r#"{"answer": "done", "proposal": null}"#),
            ("done".to_owned(), None)
        );
        let (text, wish) = apart(r#"Sure: {"answer": "x", "proposal": {"actions": []}} bye"#);
        assert_eq!(text, "x");
        assert!(wish.is_some());
        assert_eq!(apart("{\"answer\": 7}").1, None);
        let (text, wish) = apart("{'answer': 'it is\nso', 'proposal': None,} {\"answer\": 1}");
        assert_eq!((text.as_str(), wish), ("it is\nso", None));
    }
}
