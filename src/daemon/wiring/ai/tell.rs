//! From figures to words: the one place where these methods ask a model.

use std::time::Duration;

use brain::guard::Guarded;
use brain::llm::{AnswerSchema, Limits, Message, Model, ModelError, Reply, Request, answer};
use brain::prompts::{Input, Purpose};
use brain::redact::Marks;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, Role};

use super::{AiPort, SETTINGS};
use crate::daemon::hearer::Hearer;
use crate::daemon::port::invalid;
use crate::daemon::wiring::talk::Spoken;

/// Most bytes of figures that a model is told, and how many of them a token takes: two is on
/// the safe side. A part is kept for the rules and the answer.
const FACTS: usize = 24 * 1024;
const BYTES: usize = 2;
/// Longest answer of a model that is passed on, in characters.
const ANSWER: usize = 32 * 1024;
/// Longest time for one answer.
const TIME: Duration = Duration::from_secs(120);

/// How an answer is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Why no model is to be asked, if so.
    pub(super) declined: Option<&'static str>,
    /// Only show what it would be asked?
    pub(super) show: bool,
}

impl Manner {
    /// Takes `model` and `show_context` out of the parameters. Who may only look asks nobody.
    ///
    /// # Errors
    /// When one of them is no yes or no.
    pub(super) fn take(params: &mut Value, caller: &Caller) -> Result<Self, ControlError> {
        let mut flag = |key: &str| {
            let value = params.as_object_mut().and_then(|all| all.remove(key));
            match value {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Bool(yes)) => Ok(Some(yes)),
                Some(_) => Err(invalid(format!("`{key}` must be true or false"))),
            }
        };
        let (model, show) = (flag("model")?, flag("show_context")?);
        let declined = if !model.unwrap_or(true) {
            Some("the request says so")
        } else if caller.role < Role::Operator {
            Some("that costs money and needs the role operator")
        } else {
            None
        };
        Ok(Self {
            declined,
            show: show.unwrap_or(false),
        })
    }
}

/// What was found, and what a model is asked about it.
pub(super) struct Found {
    /// The figures: the answer.
    pub(super) local: Value,
    /// What a model is to do with them.
    pub(super) task: Task,
}

/// A question to a model.
pub(super) struct Task {
    /// What for; the words are in `prompts/`.
    pub(super) purpose: Purpose,
    /// About which process.
    pub(super) app: Option<String>,
    /// What it is told, by name. Text from outside: it is fenced.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What a person asks.
    pub(super) question: Option<String>,
    /// The form of the answer; without one it is prose.
    pub(super) schema: Option<AnswerSchema>,
    /// Longest answer, in tokens.
    pub(super) max_tokens: u32,
    /// 0 is the most predictable.
    pub(super) temperature: f32,
}

impl Task {
    /// A question for prose.
    pub(super) fn prose(
        purpose: Purpose,
        app: Option<String>,
        facts: Vec<(&'static str, String)>,
    ) -> Self {
        let (max_tokens, temperature) = match purpose {
            Purpose::Predict => (1_024, 0.2),
            Purpose::Anomaly | Purpose::Logs => (1_024, 0.0),
            Purpose::Report => (4_096, 0.3),
            Purpose::Optimize | Purpose::Explain => (2_048, 0.3),
            _ => (2_048, 0.2),
        };
        Self {
            purpose,
            app,
            facts,
            question: None,
            schema: None,
            max_tokens,
            temperature,
        }
    }
}

impl AiPort {
    /// The question as a model gets it. Reads the prompts of a person, if there are any.
    ///
    /// # Errors
    /// When there is no such text: what is asked without its rules is never sent.
    pub(super) async fn request(&self, task: &Task) -> Result<Request, ModelError> {
        let whole = match self.models.current() {
            Ok(model) => {
                let tokens = model.abilities().context_tokens;
                FACTS.min(
                    usize::try_from(tokens)
                        .unwrap_or(FACTS)
                        .saturating_mul(BYTES)
                        / 4
                        * 3,
                )
            }
            Err(_) => FACTS,
        };
        let facts = task.facts.iter().filter(|(_, text)| !text.is_empty());
        let mut input = Input {
            app: task.app.clone(),
            question: task.question.clone(),
            room: whole / facts.clone().count().max(1),
            ..Input::default()
        };
        for (name, text) in facts {
            input = input.fact(*name, text.clone());
        }
        let (prompts, purpose) = (self.prompts.clone(), task.purpose);
        let rendered = tokio::task::spawn_blocking(move || prompts.render(purpose, &input)).await;
        let prompt = rendered.ok().filter(|prompt| !prompt.system.is_empty());
        let Some(prompt) = prompt else {
            let why = format!(
                "the prompt of `ai {purpose}` could not be made; see the log of the daemon"
            );
            return Err(ModelError::NotSetUp(why));
        };
        for warning in &prompt.warnings {
            tracing::warn!(%warning, "A prompt of the user is not used.");
        }
        Ok(Request {
            system: prompt.system,
            messages: vec![Message::User { text: prompt.user }],
            schema: task.schema.clone(),
            limits: Limits {
                max_tokens: task.max_tokens,
                temperature: task.temperature,
                timeout: TIME,
            },
            ..Request::default()
        })
    }

    /// The figures with a model's words beside them, or with why there are none.
    pub(super) async fn tell(&self, found: Found, manner: Manner) -> Result<Value, ControlError> {
        let Found { mut local, task } = found;
        if manner.show {
            return Ok(self.shown(&task).await);
        }
        let hearer = Hearer::current();
        match SETTINGS.contains(&task.purpose) {
            true => hearer.local(&local),
            false => self.tell_found(&hearer, &local).await?,
        }
        let words = self.words(&task, manner, &hearer).await;
        attach(&mut local, words);
        Ok(local)
    }

    /// What a model says, if it is to be asked.
    pub(super) async fn words(
        &self,
        task: &Task,
        manner: Manner,
        hearer: &Hearer,
    ) -> Result<Reply, ModelError> {
        if let Some(why) = manner.declined {
            return Err(ModelError::Declined(why));
        }
        let model = self.model().await?;
        ask(&model, &self.request(task).await?, hearer).await
    }

    /// As [`AiPort::tell`] for what is nothing without a model.
    pub(super) async fn must_tell(
        &self,
        mut local: Value,
        task: Task,
        manner: Manner,
    ) -> Result<Value, ControlError> {
        if manner.show {
            return Ok(self.shown(&task).await);
        }
        match self.words(&task, manner, &Hearer::current()).await {
            Ok(reply) => attach(&mut local, Ok(reply)),
            Err(why) => return Err(needs_model(task.purpose, &why)),
        }
        Ok(local)
    }

    /// Asks for something that can be checked, once more if `check` says what is wrong with
    /// it. Nobody hears it before that.
    pub(super) async fn checked<T: Send + 'static>(
        &self,
        task: &Task,
        manner: Manner,
        check: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<(T, Reply), ModelError> {
        if let Some(why) = manner.declined {
            return Err(ModelError::Declined(why));
        }
        let model = self.model().await?;
        let mut request = self.request(task).await?;
        let mut wrong = String::new();
        let check = std::sync::Arc::new(check);
        for _ in 0..2 {
            let reply = ask(&model, &request, &Hearer::default()).await?;
            // It reads files: which program it is, whether a folder is there.
            let (check, text) = (check.clone(), reply.text.clone());
            let read = tokio::task::spawn_blocking(move || check(&text)).await;
            match read.unwrap_or_else(|_| Err("it could not be checked".into())) {
                Ok(value) => return Ok((value, reply)),
                Err(error) => wrong = error,
            }
            request = answer::repair(&request, &reply, &wrong);
        }
        Err(ModelError::Nonsense(format!(
            "no usable answer in two tries: {wrong}"
        )))
    }

    /// Whoever is set up, for one conversation.
    async fn model(&self) -> Result<Guarded, ModelError> {
        let model = self.models.current()?;
        Ok(model.guarded(self.redactors.next(Marks::default()).await))
    }

    /// What would be sent, after redaction. Nothing is.
    pub(super) async fn shown(&self, task: &Task) -> Value {
        let text = match self.request(task).await {
            Ok(request) => self.redactors.shown(request, Marks::default()).await,
            Err(why) => why.to_string(),
        };
        json!({ "context": text })
    }
}

/// Asks. What comes back is text of a stranger, made harmless.
async fn ask(model: &Guarded, request: &Request, hearer: &Hearer) -> Result<Reply, ModelError> {
    let mut reply = model.ask(request, &Spoken::to(hearer)).await?;
    reply.text = harmless(&reply.text);
    if reply.text.trim().is_empty() {
        return Err(ModelError::Nonsense("the answer is empty".into()));
    }
    Ok(reply)
}

/// Why a command that is nothing without a model has no answer.
pub(super) fn needs_model(purpose: Purpose, why: &ModelError) -> ControlError {
    ControlError::Unavailable {
        what: format!("`ai {purpose}`"),
        remedy: format!("it needs a model, and {}", why.told()),
    }
}

/// The first object of an answer that has the form, whatever stands around it.
pub(super) fn first_object<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    answer::read(text, |_| Ok(()))
}

/// Puts a model's words, or why there are none, beside the figures.
pub(super) fn attach(local: &mut Value, words: Result<Reply, ModelError>) {
    match words {
        Ok(reply) => {
            local["prose"] = json!(reply.text);
            local["by"] = json!(reply.by);
            local["usage"] = json!(reply.usage);
            local["cut"] = json!(reply.stopped.cut());
        }
        Err(why) => {
            local["prose"] = Value::Null;
            local["note"] = json!(why.told());
            local["note_code"] = json!(why.code());
        }
    }
}

/// The words for a document of ours, which says so where they are not whole.
pub(super) fn for_document(reply: &Reply) -> String {
    let text = brain::numbers::digest::prose(&reply.text);
    match reply.stopped.cut() {
        Some(_) => format!("{text} …\n\n(The words of the model end here: they were cut off.)"),
        None => text,
    }
}

/// Text of a model without anything a terminal acts on; lines stay.
pub(super) fn harmless(text: &str) -> String {
    brain::investigate::clean_lines(text, ANSWER)
}

#[cfg(test)]
mod tests {
    use brain::llm::Stopped;

    use super::*;

    #[test]
    fn words_of_a_model_cannot_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2J\u{7}b\nc\u{9b}d\u{202e}e"), "ab\ncde");
    }

    #[test]
    fn an_answer_that_was_cut_is_not_shown_as_whole() {
        let reply = |stopped| Reply {
            text: "it dies since".into(),
            stopped,
            ..Reply::default()
        };
        for (stopped, word) in [
            (Stopped::Done, json!(null)),
            (Stopped::Length, json!("length")),
            (Stopped::Filtered, json!("filtered")),
        ] {
            let mut local = json!({});
            attach(&mut local, Ok(reply(stopped)));
            assert_eq!(local["cut"], word);
            let said = for_document(&reply(stopped)).contains("cut off");
            assert_eq!(said, !word.is_null());
        }
    }

    #[test]
    fn an_object_is_found_in_talk() {
        let found: Value = first_object("Sure: {\"a\": [1, {}]} and more }").unwrap();
        assert_eq!(found, json!({ "a": [1, {}] }));
        assert!(first_object::<Value>("no idea").is_err());
    }

    #[test]
    fn who_may_not_ask_is_told_so_and_what_is_no_flag_is_refused() {
        let caller = |role| Caller {
            principal: "ana".into(),
            role,
            via: supervisor::Via::Cli,
        };
        let take = |mut params: Value, role| Manner::take(&mut params, &caller(role));
        let declined = |params, role| take(params, role).unwrap().declined;
        assert_eq!(declined(json!({}), Role::Operator), None);
        let why = declined(json!({}), Role::Viewer).unwrap();
        assert!(why.contains("role operator"), "{why}");
        let why = declined(json!({ "model": false }), Role::Operator).unwrap();
        assert!(why.contains("says so"), "{why}");
        for wrong in [json!({ "model": "no" }), json!({ "show_context": 1 })] {
            assert!(take(wrong.clone(), Role::Operator).is_err(), "{wrong}");
        }
    }
}
