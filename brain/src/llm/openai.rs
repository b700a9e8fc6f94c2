//! OpenAI, and servers that speak its protocol and want a key.

use super::Abilities;
use super::provider::{Form, Known, MaxTokens};

/// Its facts.
pub(super) static KNOWN: Known = Known {
    base_url: "https://api.openai.com/v1",
    key: Some("OPENAI_API_KEY"),
    model: "gpt-4o",
    abilities: Abilities {
        tools: true,
        context_tokens: 24_000,
    },
    form: Form::Schema,
    max_tokens: MaxTokens::Completion,
};

/// Models that think first take no temperature but their own.
pub(super) fn takes_temperature(model: &str) -> bool {
    let thinks = ["o1", "o3", "o4", "gpt-5"];
    !thinks.iter().any(|family| model.starts_with(family))
}

#[cfg(test)]
mod tests {
    #[test]
    fn thinking_models_keep_their_temperature() {
        assert!(super::takes_temperature("gpt-4o-mini"));
        assert!(!super::takes_temperature("o4-mini"));
    }
}
