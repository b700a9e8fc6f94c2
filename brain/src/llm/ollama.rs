//! Ollama, llama.cpp and other servers of your own: the protocol of OpenAI, without a key.
//!
//! Small models write their calls into the text instead of calling: they are not offered any,
//! and answer by schema.

use super::Abilities;
use super::provider::{Form, Known, MaxTokens};

/// Its facts.
pub(super) static KNOWN: Known = Known {
    base_url: "http://localhost:11434/v1",
    key: None,
    model: "llama3.1",
    abilities: Abilities {
        tools: false,
        // What Ollama gives a model, 4096, less the answer.
        context_tokens: 3_000,
    },
    form: Form::SchemaAlone,
    max_tokens: MaxTokens::Plain,
};
