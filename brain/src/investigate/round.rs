//! The rounds of a talk: ask, look up, ask again, until there is an answer or enough.

use std::collections::HashMap;
use std::time::Duration;

use supervisor::ProcessName;
use tokio::time::Instant;

use super::answer::{self, Checked, check};
use super::desk::{Desk, Shown};
use super::tools::{self, LookUp};
use crate::llm::{
    Limits, Message, Model, ModelError, ModelId, Reply, Request, Sink, Stopped, ToolCall, Usage,
};

/// Look-ups of one round that are answered.
const CALLS: usize = 4;

/// How long a talk may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Times the model is asked, a repair included.
    pub rounds: usize,
    /// Longest time for all of it.
    pub deadline: Duration,
    /// Longest time for one answer.
    pub call: Duration,
    /// Longest answer, in tokens.
    pub max_tokens: u32,
    /// 0 is the most predictable.
    pub temperature: f32,
    /// What the model can read at once, in tokens.
    pub context_tokens: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            rounds: 8,
            deadline: Duration::from_secs(240),
            call: Duration::from_secs(60),
            max_tokens: 2048,
            temperature: 0.2,
            context_tokens: 32_000,
        }
    }
}

impl Bounds {
    /// As long as one answer of this model may take, and time for two in all.
    #[must_use]
    pub fn patient(self, call: Duration) -> Self {
        Self {
            call,
            deadline: self.deadline.max(call.saturating_mul(2)),
            ..self
        }
    }
}

/// A talk about to begin.
pub struct Talk<'a> {
    /// Who is asked.
    pub model: &'a dyn Model,
    /// Where look-ups are answered from; none: no look-ups.
    pub desk: Option<Desk>,
    /// Who it is and what the rules are.
    pub system: String,
    /// What was said before, oldest first, and then the opening.
    pub messages: Vec<Message>,
    /// Facts in the opening, by id.
    pub shown: Shown,
    /// Who hears the answer while it is written.
    pub sink: &'a dyn Sink,
    /// Who hears of each look-up.
    pub looked: &'a (dyn Fn(&str) + Send + Sync),
    /// How long it may be.
    pub bounds: Bounds,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Stop {
    /// The model could not be asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The time is over.
    #[error("the investigation took longer than {0:?}")]
    Late(Duration),
    /// It never came to an answer.
    #[error("there was no usable answer in {rounds} rounds: {why}")]
    Useless {
        /// How often it was asked.
        rounds: usize,
        /// What was wrong with the last one.
        why: String,
    },
    /// There is no such process any more.
    #[error("there is no process `{0}` any more")]
    Gone(ProcessName),
}

/// How a talk went, whatever came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ended {
    /// How often the model was asked.
    pub rounds: usize,
    /// What was looked up, or could not be.
    pub lookups: Vec<String>,
    /// What it cost.
    pub usage: Usage,
    /// Who answered last.
    pub by: Option<ModelId>,
    /// Facts that were shown.
    pub shown: Shown,
    /// Why the last answer ended.
    pub stopped: Stopped,
}

/// What an answer is worth.
pub(super) enum Judged<T> {
    Good(T),
    /// Say this to the model and ask once more; what is left if that does not help.
    Again(String, Option<T>),
}

/// Asks for a diagnosis and a plan for a process.
pub async fn ask_for_a_plan(
    talk: Talk<'_>,
    process: &ProcessName,
    facts: std::sync::Arc<dyn crate::facts::Facts>,
) -> (Result<Checked, Stop>, Ended) {
    let name = process.clone();
    let read = tokio::task::spawn_blocking(move || {
        let found = facts.process(&name)?;
        let most = facts.max_instances(&name);
        Some((found, most))
    });
    let Some((found, most)) = read.await.ok().flatten() else {
        return (Err(Stop::Gone(process.clone())), Ended::default());
    };
    let asked = talk.model.id().clone();
    let schema = Some(answer::schema());
    let rules = talk.system.clone();
    converse(talk, schema, move |reply: &Reply, shown: &Shown| {
        let by = reply.by.as_ref().unwrap_or(&asked);
        match check(&reply.text, &found, most, shown, by) {
            Ok(checked) if is_the_example(&checked, &found.name, &rules) => {
                let why = format!(
                    "that is the sentence of the example; say what is wrong with `{}`, \
                     from the facts in brackets",
                    found.name
                );
                Judged::Again(why, None)
            }
            Ok(checked) => Judged::Good(checked),
            Err(problem) => Judged::Again(problem.why, problem.report.map(|report| *report)),
        }
    })
    .await
}

/// Shortest sentence that is taken for one of the rules, in characters.
const EXAMPLE: usize = 20;

/// Small models answer with the example of their rules, word for word.
fn is_the_example(checked: &Checked, process: &ProcessName, rules: &str) -> bool {
    let cause = &checked.proposal.cause;
    let said = cause
        .strip_prefix(&format!("`{process}`: "))
        .unwrap_or(cause);
    // What is short may well be true: "it crashed" stands in the rules as a word of ours.
    said.chars().count() >= EXAMPLE && rules.contains(said)
}

/// Asks a question in words, and takes an answer in words.
pub async fn ask_in_prose(talk: Talk<'_>) -> (Result<String, Stop>, Ended) {
    converse(talk, None, |reply: &Reply, _: &Shown| {
        let text = reply.text.trim();
        if text.is_empty() {
            Judged::Again("the answer is empty".into(), None)
        } else {
            Judged::Good(text.to_owned())
        }
    })
    .await
}

pub(super) async fn converse<T>(
    talk: Talk<'_>,
    schema: Option<crate::llm::AnswerSchema>,
    judge: impl Fn(&Reply, &Shown) -> Judged<T>,
) -> (Result<T, Stop>, Ended) {
    let mut ended = Ended {
        shown: talk.shown.clone(),
        ..Ended::default()
    };
    let deadline = talk.bounds.deadline;
    let until = Instant::now() + deadline;
    let rounds = rounds(talk, schema, judge, until, &mut ended);
    let result = match tokio::time::timeout_at(until, rounds).await {
        Ok(result) => result,
        Err(_) => Err(Stop::Late(deadline)),
    };
    (result, ended)
}

async fn rounds<T>(
    talk: Talk<'_>,
    schema: Option<crate::llm::AnswerSchema>,
    judge: impl Fn(&Reply, &Shown) -> Judged<T>,
    until: Instant,
    ended: &mut Ended,
) -> Result<T, Stop> {
    let bounds = talk.bounds;
    let with_tools = talk.desk.is_some();
    let mut request = first(&talk, schema.as_ref());
    // A repair and the answer itself are kept free.
    let lookups_until = bounds.rounds.saturating_sub(2);
    let mut asked: HashMap<String, u32> = HashMap::new();
    let mut may_look = with_tools;
    let mut repaired = false;
    let mut why = "it only looked things up".to_owned();
    let mut left = None;
    for round in 0..bounds.rounds.max(1) {
        if may_look && (round >= lookups_until || full(&request, &bounds)) {
            may_look = false;
            say(
                &mut request,
                "Enough has been looked up. Answer now, without another look-up.",
            );
        }
        if !may_look && request.schema.is_none() {
            request.schema = schema.clone();
        }
        let time = until.saturating_duration_since(Instant::now());
        request.limits.timeout = bounds.call.min(time);
        ended.rounds += 1;
        let asking = talk.model.ask(&request, talk.sink);
        let reply = match tokio::time::timeout(bounds.call, asking).await {
            Ok(reply) => reply?,
            Err(_) => return Err(ModelError::Late(bounds.call).into()),
        };
        count(ended, &reply);
        if reply.stopped == Stopped::Filtered {
            return Err(ModelError::Nonsense("the provider withheld the answer".into()).into());
        }
        if !reply.calls.is_empty()
            && let Some(desk) = talk.desk.as_ref().filter(|_| may_look)
        {
            let mut reply = reply;
            name_calls(&mut reply.calls, round);
            let again = look_up(&mut request, ended, desk, reply, &mut asked, talk.looked).await;
            if again {
                may_look = false;
                say(
                    &mut request,
                    "You ask the same again and again. Answer now, with what you know.",
                );
            }
            continue;
        }
        match judge(&reply, &ended.shown) {
            Judged::Good(answer) => return Ok(answer),
            Judged::Again(wrong, rest) => {
                left = rest.or(left);
                why = crate::words::clean(&wrong, 200);
                if repaired {
                    break;
                }
                repaired = true;
                may_look = false;
                // Without its calls: nobody answers them any more.
                request.messages.push(Message::Assistant {
                    text: cut(&reply.text),
                    calls: Vec::new(),
                });
                say(
                    &mut request,
                    &format!("That cannot be used: {wrong}. Answer once more."),
                );
            }
        }
    }
    left.ok_or(Stop::Useless {
        rounds: ended.rounds,
        why,
    })
}

/// What a talk begins with: for whoever wants to see it before it is sent.
pub fn first_request(talk: &Talk<'_>, wants_a_plan: bool) -> Request {
    first(talk, wants_a_plan.then(answer::schema).as_ref())
}

fn first(talk: &Talk<'_>, schema: Option<&crate::llm::AnswerSchema>) -> Request {
    let with_tools = talk.desk.is_some();
    Request {
        system: talk.system.clone(),
        messages: talk.messages.clone(),
        tools: if with_tools {
            tools::look_ups()
        } else {
            Vec::new()
        },
        schema: if with_tools { None } else { schema.cloned() },
        limits: Limits {
            max_tokens: talk.bounds.max_tokens,
            temperature: talk.bounds.temperature,
            timeout: talk.bounds.call,
        },
    }
}

/// Gives calls names of ours: those of a provider look like secrets, so that they would be
/// taken out of what it is told, and it refuses a name that is not its own.
fn name_calls(calls: &mut [ToolCall], round: usize) {
    for (place, call) in calls.iter_mut().enumerate() {
        call.id = format!("call_{round}_{place}");
    }
}

/// Answers the calls of a reply. True when it has asked the same three times.
async fn look_up(
    request: &mut Request,
    ended: &mut Ended,
    desk: &Desk,
    reply: Reply,
    asked: &mut HashMap<String, u32>,
    looked: &(dyn Fn(&str) + Send + Sync),
) -> bool {
    let mut stuck = false;
    let calls: Vec<ToolCall> = reply.calls;
    request.messages.push(Message::Assistant {
        text: cut(&reply.text),
        calls: calls.clone(),
    });
    for (place, call) in calls.into_iter().enumerate() {
        // What was not looked up may be asked for again.
        let times = if place < CALLS {
            let times = asked.entry(tools::canonical(&call)).or_default();
            *times += 1;
            *times
        } else {
            0
        };
        let text = if times == 0 {
            format!("not looked up: at most {CALLS} look-ups at a time")
        } else if times > 1 {
            stuck |= times > 2;
            "you have asked exactly this before; the answer is above and has not changed".to_owned()
        } else {
            let (desk, wanted) = (desk.clone(), call.clone());
            let answered =
                tokio::task::spawn_blocking(move || tools::look_up(&desk, &wanted)).await;
            let answered = answered.unwrap_or_else(|_| LookUp {
                text: "error: the look-up failed".into(),
                facts: Vec::new(),
                note: format!("{}: it failed", crate::words::clean(&call.name, 40)),
                failed: true,
            });
            ended.shown.extend(answered.facts);
            looked(&answered.note);
            ended.lookups.push(answered.note);
            answered.text
        };
        request.messages.push(Message::Tool {
            call: call.id,
            text,
        });
    }
    stuck
}

fn say(request: &mut Request, text: &str) {
    // Two messages of one side in a row are refused by some providers.
    if let Some(Message::User { text: last }) = request.messages.last_mut() {
        last.push_str("\n\n");
        last.push_str(text);
    } else {
        request.messages.push(Message::User { text: text.into() });
    }
}

/// An answer that goes back into the talk is not larger than it may be.
fn cut(text: &str) -> String {
    text.chars().take(4_000).collect()
}

/// Is there hardly room for another look-up? Three bytes a token is on the safe side.
fn full(request: &Request, bounds: &Bounds) -> bool {
    let said: usize = request
        .messages
        .iter()
        .map(|message| match message {
            Message::User { text } | Message::Tool { text, .. } => text.len(),
            Message::Assistant { text, calls } => {
                let calls = calls
                    .iter()
                    .map(|call| call.arguments.len() + call.name.len());
                text.len() + calls.sum::<usize>()
            }
        })
        .sum();
    let room = (bounds.context_tokens.saturating_sub(bounds.max_tokens)) as usize * 3;
    request.system.len() + said > room * 3 / 4
}

fn count(ended: &mut Ended, reply: &Reply) {
    ended.usage.prompt_tokens += reply.usage.prompt_tokens;
    ended.usage.answer_tokens += reply.usage.answer_tokens;
    ended.usage.estimated |= reply.usage.estimated;
    ended.stopped = reply.stopped;
    ended.by = reply.by.clone().or_else(|| ended.by.clone());
}
