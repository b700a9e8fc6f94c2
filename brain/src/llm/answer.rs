//! From the text of a model to a typed value.
//!
//! ```text
//!   text ──objects──► first one that fits the type and passes the check ──► value
//!     └─ none: the model is told why and asked once more ──► value, or Nonsense
//! ```
//!
//! A schema is a wish: models put prose around an answer, a fence, a comma too many, or a
//! number that is out of bounds. Whoever asks says what is acceptable, and gets that or an
//! error.

mod loose;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Message, Model, ModelError, Reply, Request, Sink, Stopped, Usage};

/// Most of a useless answer that is shown to the model again, in bytes.
const SHOWN: usize = 4_000;
/// Most characters of what was wrong.
const WHY: usize = 500;

/// A typed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The value. It has passed the check.
    pub value: T,
    /// The reply that it was read from.
    pub reply: Reply,
    /// What all asking cost.
    pub usage: Usage,
    /// It took a second try.
    pub repaired: bool,
}

/// Asks for a value, and once more if the answer is none.
///
/// # Errors
/// Those of the model; [`ModelError::Nonsense`] when the second answer is no better.
pub async fn ask<T: DeserializeOwned>(
    model: &dyn Model,
    request: &Request,
    sink: &dyn Sink,
    check: impl Fn(&T) -> Result<(), String> + Send + Sync,
) -> Result<Answer<T>, ModelError> {
    let reply = model.ask(request, sink).await?;
    let why = match read_reply(&reply, &check) {
        Ok(value) => {
            return Ok(Answer {
                value,
                usage: reply.usage,
                reply,
                repaired: false,
            });
        }
        Err(why) => why,
    };
    let again = repair(request, &reply, &why);
    let second = model.ask(&again, sink).await?;
    let value = read_reply(&second, &check).map_err(ModelError::Nonsense)?;
    Ok(Answer {
        value,
        usage: sum(reply.usage, second.usage),
        reply: second,
        repaired: true,
    })
}

/// The value in a text: its first object that fits.
///
/// # Errors
/// Why no object of the text does, in words for the model.
pub fn read<T: DeserializeOwned>(
    text: &str,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<T, String> {
    let mut first = None;
    for object in objects(text) {
        let why = match serde_json::from_value::<T>(object) {
            Ok(value) => match check(&value) {
                Ok(()) => return Ok(value),
                Err(why) => why,
            },
            Err(error) => error.to_string(),
        };
        first.get_or_insert(why);
    }
    Err(first.unwrap_or_else(|| "there is no JSON object in it".to_owned()))
}

/// Every JSON object of a text that stands by itself, in order; what is merely badly written
/// is mended. One that was cut off comes last, without its unfinished end.
pub fn objects(text: &str) -> Vec<Value> {
    loose::objects(text)
}

/// The same question with what was wrong about the answer.
pub fn repair(request: &Request, reply: &Reply, why: &str) -> Request {
    let mut again = request.clone();
    let cut = |text: &str, most: usize| {
        let end = text.floor_char_boundary(most.min(text.len()));
        text[..end].to_owned()
    };
    again.messages.push(Message::Assistant {
        text: cut(&reply.text, SHOWN),
        calls: Vec::new(),
    });
    let why = cut(why, WHY);
    again.messages.push(Message::User {
        text: format!(
            "That cannot be used: {why}. Answer once more in the form that was asked for, and \
             with nothing else."
        ),
    });
    // It has looked up what it wanted to, and creativity did not help.
    again.tools.clear();
    again.limits.temperature = 0.0;
    again
}

fn read_reply<T: DeserializeOwned>(
    reply: &Reply,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<T, String> {
    read(&reply.text, check).map_err(|why| match reply.stopped {
        Stopped::Length => format!("the answer was cut off at its token limit, and {why}"),
        Stopped::Done | Stopped::Calls | Stopped::Filtered => why,
    })
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        prompt_tokens: one.prompt_tokens + other.prompt_tokens,
        answer_tokens: one.answer_tokens + other.answer_tokens,
        estimated: one.estimated || other.estimated,
    }
}

#[cfg(test)]
mod tests;
