//! Groq: the protocol of OpenAI.
//!
//! Most of its models refuse a schema, and none streams an answer under one, so that the form
//! is asked for in words.

use super::Abilities;
use super::provider::{Form, Known, MaxTokens};

/// Its facts.
pub(super) static KNOWN: Known = Known {
    base_url: "https://api.groq.com/openai/v1",
    key: Some("GROQ_API_KEY"),
    model: "llama-3.3-70b-versatile",
    abilities: Abilities {
        tools: true,
        // Free accounts have 12,000 tokens a minute.
        context_tokens: 8_000,
    },
    form: Form::Words,
    max_tokens: MaxTokens::Completion,
};
