//! Google Gemini, by its endpoint that speaks the protocol of OpenAI.
//!
//! A schema and tools in one request are refused: beside tools the form is asked for in words.

use super::Abilities;
use super::provider::{Form, Known, MaxTokens};

/// Its facts.
pub(super) static KNOWN: Known = Known {
    base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
    key: Some("GEMINI_API_KEY"),
    model: "gemini-2.5-flash",
    abilities: Abilities {
        tools: true,
        context_tokens: 24_000,
    },
    form: Form::SchemaAlone,
    max_tokens: MaxTokens::Plain,
};
