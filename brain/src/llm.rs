//! Asking a language model.
//!
//! ```text
//!   Request (messages, tools, schema, limits) ──► Model ──► Reply (text, calls, usage)
//!                                                   │ piece by piece
//!                                                   └──► Sink
//! ```
//!
//! One trait with a file per provider. A model is asked and answers; it holds no handle, and
//! what it says is untrusted text until it has become a typed value. Keys are [`Secret`]s.
//!
//! [`Secret`]: supervisor::secret::Secret

mod models;

mod chain;

mod account;
mod breaker;
mod ledger;
mod prices;
mod report;

mod provider;

mod anthropic;
mod compatible;
mod gemini;
mod groq;
mod ollama;
mod openai;

mod heard;
mod http;

pub mod answer;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::units::format_duration;

pub use account::Figures;
pub use models::Models;
pub use prices::{Cost, Price};
pub use report::{MemberReport, Report, Today};

/// Someone who can be asked.
#[async_trait]
pub trait Model: Send + Sync {
    /// Who it is.
    fn id(&self) -> &ModelId;

    /// What it can do, and how much it takes in.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Asks once. Pieces of the text go to `sink` as they come; the whole is in the reply.
    ///
    /// Dropping the future ends the request; what it cost by then is not known.
    ///
    /// # Errors
    /// Why there is no answer; [`ModelError::retryable`] says whether another try may help.
    async fn ask(&self, request: &Request, sink: &dyn Sink) -> Result<Reply, ModelError>;
}

/// A provider and one of its models.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelId {
    /// `openai`, `anthropic`, `groq`, `gemini` or `ollama`.
    pub provider: String,
    /// As the provider calls it.
    pub model: String,
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// It can look things up. Small models write their calls into the text: they are asked
    /// for an answer by schema instead.
    pub tools: bool,
    /// Most tokens of a request, all messages together.
    pub context_tokens: u32,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            tools: true,
            context_tokens: 24_000,
        }
    }
}

/// Hears an answer while it is being written.
pub trait Sink: Send + Sync {
    /// The next piece of its text.
    fn piece(&self, text: &str);

    /// The connection broke in the middle: may the answer begin anew? All pieces so far are
    /// void then. Who has shown them to somebody says no.
    fn begin_anew(&self) -> bool {
        false
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn piece(&self, _text: &str) {}

    fn begin_anew(&self) -> bool {
        true
    }
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Request {
    /// Who it is and what the rules are. Trusted text only.
    pub system: String,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// What it may look up before it answers.
    pub tools: Vec<ToolSpec>,
    /// The form its answer must have; without one it answers in prose.
    pub schema: Option<AnswerSchema>,
    /// How much it may take.
    pub limits: Limits,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Message {
    /// From mhost or the person who asks.
    User {
        /// What.
        text: String,
    },
    /// From the model.
    Assistant {
        /// What it said.
        text: String,
        /// What it wanted to look up.
        calls: Vec<ToolCall>,
    },
    /// What a look-up found.
    Tool {
        /// The call it answers.
        call: String,
        /// The answer, fenced.
        text: String,
    },
}

/// Something a model may look up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name: letters, digits and underscores.
    pub name: String,
    /// What it answers, in a sentence or two.
    pub description: String,
    /// JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// A look-up that a model asks for. Nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Its id within the conversation.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments as the model wrote them; often not valid JSON.
    pub arguments: String,
}

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerSchema {
    /// Its name: letters, digits and underscores.
    pub name: String,
    /// JSON Schema of the answer, an object.
    pub schema: Value,
}

/// How much an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest answer, in tokens.
    pub max_tokens: u32,
    /// 0 is the most predictable.
    pub temperature: f32,
    /// Longest time for the whole answer, tries included.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_tokens: 2048,
            temperature: 0.2,
            timeout: Duration::from_secs(60),
        }
    }
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Its text; may be empty when it wants to look something up.
    pub text: String,
    /// What it wants to look up.
    pub calls: Vec<ToolCall>,
    /// What it cost.
    pub usage: Usage,
    /// Why it ended.
    pub stopped: Stopped,
    /// Who answered: a fallback may have.
    pub by: Option<ModelId>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// It was done.
    #[default]
    Done,
    /// It wants to look something up.
    Calls,
    /// It reached its token limit; the text is cut.
    Length,
    /// The provider withheld it.
    Filtered,
}

impl Stopped {
    /// Why a text is not whole: `length` or `filtered`; none where it is.
    pub fn cut(self) -> Option<&'static str> {
        match self {
            Self::Length => Some("length"),
            Self::Filtered => Some("filtered"),
            Self::Done | Self::Calls => None,
        }
    }
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub answer_tokens: u64,
    /// The provider did not say: estimated from the bytes.
    pub estimated: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No provider is configured, or it has no key.
    #[error("no model is set up: {0}")]
    NotSetUp(String),
    /// Whoever asks wants no model, or may not ask one.
    #[error("no model was asked: {0}")]
    Declined(&'static str),
    /// The provider does not take the key.
    #[error("the provider refused the key (status {status})")]
    Unauthorised {
        /// 401 or 403.
        status: u16,
    },
    /// Too many requests, for the provider.
    #[error("the provider wants fewer requests{}", again(*retry_after))]
    RateLimited {
        /// What it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Our own limits are reached: money, requests or tokens.
    #[error("the budget is spent: {0}")]
    OverBudget(String),
    /// The database of what is spent cannot be written: nothing was sent.
    #[error("the request was not sent, as what it costs could not be written down: {0}")]
    NotRecorded(String),
    /// It failed too often in a row, or asked for a pause, and is left alone for a while.
    #[error("the provider failed or wanted a pause{}", again(Some(*.0)))]
    Resting(Duration),
    /// Its secrets could not be taken out, as mhost is ending or has a fault: nothing was sent.
    #[error("the question was not sent: its secrets could not be taken out")]
    NotRedacted,
    /// No answer in time.
    #[error("the model gave no whole answer within {0:?}")]
    Late(Duration),
    /// The provider answered with an error; the text is its own, cut and cleaned.
    #[error("the provider answered with status {status}: {}", .text.trim_end_matches('.'))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        text: String,
    },
    /// It could not be reached, or the connection broke.
    #[error("the connection to the provider failed: {0}")]
    Unreachable(String),
    /// The answer is not what the protocol says, too long, or empty.
    #[error("the provider's answer makes no sense: {0}")]
    Nonsense(String),
}

/// When it is asked again, if that is known: in whole seconds, which are not less.
fn again(after: Option<Duration>) -> String {
    let whole = |wait: Duration| Duration::from_secs(wait.as_millis().div_ceil(1_000) as u64);
    after.map_or_else(String::new, |wait| {
        format!("; it is asked again in {}", format_duration(whole(wait)))
    })
}

impl ModelError {
    /// May another try help?
    pub fn retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 408,
            Self::NotSetUp(_)
            | Self::Declined(_)
            | Self::Unauthorised { .. }
            | Self::OverBudget(_)
            | Self::Resting(_)
            | Self::NotRecorded(_)
            | Self::NotRedacted
            | Self::Late(_)
            | Self::Nonsense(_) => false,
        }
    }

    /// What a person may do about it; none where the error says so itself.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorised { .. } => Some("give it another key: mhost ai setup"),
            Self::Late(_) => Some("raise `timeout` under [ai], or ask a quicker model"),
            Self::Unreachable(_) => Some("is it up, and is `base_url` under [ai] right?"),
            Self::Refused { status, .. } if !self.retryable() => Some(match status {
                404 => "check `model` and `base_url` under [ai]",
                _ => "check [ai] with: mhost ai setup",
            }),
            Self::Refused { .. } => Some("try again later"),
            Self::Nonsense(_) => Some("ask again, or another model: mhost ai setup"),
            Self::OverBudget(_) => Some("see what was spent: mhost agent status"),
            Self::NotSetUp(_)
            | Self::Declined(_)
            | Self::RateLimited { .. }
            | Self::Resting(_)
            | Self::NotRecorded(_)
            | Self::NotRedacted => None,
        }
    }

    /// What went wrong, and what to do about it.
    pub fn told(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }

    /// A stable word for RPC and counters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSetUp(_) => "not_set_up",
            Self::Declined(_) => "declined",
            Self::Unauthorised { .. } => "unauthorised",
            Self::RateLimited { .. } => "rate_limited",
            Self::OverBudget(_) => "over_budget",
            Self::Resting(_) => "resting",
            Self::NotRecorded(_) => "not_recorded",
            Self::NotRedacted => "not_redacted",
            Self::Late(_) => "late",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Nonsense(_) => "nonsense",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_told_with_what_to_do() {
        let seconds = Duration::from_secs;
        for (error, words) in [
            (
                ModelError::Resting(Duration::from_micros(599_799_123)),
                "the provider failed or wanted a pause; it is asked again in 10m",
            ),
            (
                ModelError::RateLimited {
                    retry_after: Some(seconds(2)),
                },
                "the provider wants fewer requests; it is asked again in 2s",
            ),
            (
                ModelError::RateLimited { retry_after: None },
                "the provider wants fewer requests",
            ),
            (
                ModelError::Unauthorised { status: 401 },
                "the provider refused the key (status 401); give it another key: mhost ai setup",
            ),
            (
                ModelError::Refused {
                    status: 500,
                    text: "Internal server error.".into(),
                },
                "the provider answered with status 500: Internal server error; try again later",
            ),
            (
                ModelError::Unreachable("the answer broke off".into()),
                "the connection to the provider failed: the answer broke off; \
                 is it up, and is `base_url` under [ai] right?",
            ),
        ] {
            assert_eq!(error.told(), words);
        }
    }
}
