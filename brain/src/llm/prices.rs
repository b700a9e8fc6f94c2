//! What models cost.
//!
//! The figures age: providers change them without a word. They are there so that a cap on
//! cost works from the first day; `[ai.prices]` counts before them. Check before you trust.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use supervisor::config::AiPrice;

use super::Usage;

/// When the table was made, as a month.
pub(super) const AS_OF: &str = "2026-04";

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Of a question.
    pub prompt: f64,
    /// Of an answer.
    pub answer: f64,
}

/// List prices without discounts: provider, model, question, answer.
const TABLE: &[(&str, &str, f64, f64)] = &[
    ("openai", "gpt-4o", 2.50, 10.00),
    ("openai", "gpt-4o-mini", 0.15, 0.60),
    ("openai", "gpt-4.1", 2.00, 8.00),
    ("openai", "gpt-4.1-mini", 0.40, 1.60),
    ("openai", "gpt-4.1-nano", 0.10, 0.40),
    ("openai", "gpt-5", 1.25, 10.00),
    ("openai", "gpt-5-mini", 0.25, 2.00),
    ("openai", "gpt-5-nano", 0.05, 0.40),
    ("openai", "o3", 2.00, 8.00),
    ("openai", "o3-mini", 1.10, 4.40),
    ("openai", "o4-mini", 1.10, 4.40),
    ("anthropic", "claude-opus-4", 15.00, 75.00),
    ("anthropic", "claude-opus-4-1", 15.00, 75.00),
    ("anthropic", "claude-opus-4-5", 5.00, 25.00),
    ("anthropic", "claude-sonnet-4", 3.00, 15.00),
    ("anthropic", "claude-sonnet-4-5", 3.00, 15.00),
    ("anthropic", "claude-haiku-4-5", 1.00, 5.00),
    ("anthropic", "claude-3-7-sonnet", 3.00, 15.00),
    ("anthropic", "claude-3-5-sonnet", 3.00, 15.00),
    ("anthropic", "claude-3-5-haiku", 0.80, 4.00),
    ("groq", "llama-3.3-70b-versatile", 0.59, 0.79),
    ("groq", "llama-3.1-8b-instant", 0.05, 0.08),
    ("groq", "openai/gpt-oss-120b", 0.15, 0.60),
    ("groq", "openai/gpt-oss-20b", 0.075, 0.30),
    ("gemini", "gemini-2.5-pro", 1.25, 10.00),
    ("gemini", "gemini-2.5-flash", 0.30, 2.50),
    ("gemini", "gemini-2.5-flash-lite", 0.10, 0.40),
    ("gemini", "gemini-2.0-flash", 0.10, 0.40),
];

impl Price {
    /// For models of your own.
    pub const FREE: Self = Self {
        prompt: 0.0,
        answer: 0.0,
    };

    /// What a question and an answer cost, in US dollars.
    pub fn of(&self, usage: Usage) -> Cost {
        const MILLION: f64 = 1_000_000.0;
        Cost {
            prompt: usage.prompt_tokens as f64 * self.prompt / MILLION,
            answer: usage.answer_tokens as f64 * self.answer / MILLION,
        }
    }
}

/// US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// For the question.
    pub prompt: f64,
    /// For the answer.
    pub answer: f64,
}

impl Cost {
    /// Both.
    pub fn total(self) -> f64 {
        self.prompt + self.answer
    }
}

/// What this model costs, as far as it is known. `own` is the configured table.
pub(super) fn price(
    provider: &str,
    model: &str,
    is_here: bool,
    own: &BTreeMap<String, AiPrice>,
) -> Option<Price> {
    let named = own.iter().filter(|(name, _)| model.starts_with(*name));
    if let Some((_, price)) = named.max_by_key(|(name, _)| name.len()) {
        return Some(Price {
            prompt: price.prompt,
            answer: price.answer,
        });
    }
    if is_here || provider == "ollama" {
        return Some(Price::FREE);
    }
    let mut table = TABLE.iter();
    let found = table.find(|(of, name, ..)| *of == provider && is_release(name, model))?;
    Some(Price {
        prompt: found.2,
        answer: found.3,
    })
}

/// Is `model` this model, or a dated release of it? `gpt-5-pro` is no release of `gpt-5`.
fn is_release(name: &str, model: &str) -> bool {
    let Some(rest) = model.strip_prefix(name) else {
        return false;
    };
    let Some(release) = rest.strip_prefix('-') else {
        return rest.is_empty();
    };
    let is_date = release.len() >= 4 && release.chars().all(|c| c.is_ascii_digit() || c == '-');
    is_date || release == "latest" || release.starts_with("preview")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(provider: &str, model: &str) -> Option<f64> {
        price(provider, model, false, &BTreeMap::new()).map(|price| price.answer)
    }

    #[test]
    fn a_release_costs_what_its_model_does_and_a_relative_is_not_guessed() {
        assert_eq!(of("openai", "gpt-4o"), Some(10.0));
        assert_eq!(of("openai", "gpt-4o-2024-08-06"), Some(10.0));
        assert_eq!(of("openai", "gpt-4o-mini"), Some(0.6));
        assert_eq!(of("openai", "gpt-5-pro"), None);
        assert_eq!(of("openai", "gpt-5.9"), None);
        assert_eq!(of("anthropic", "claude-sonnet-4-5-20250929"), Some(15.0));
        assert_eq!(of("anthropic", "gpt-4o"), None, "of another provider");
        assert_eq!(of("ollama", "whatever"), Some(0.0));
    }

    #[test]
    fn the_configured_price_counts_and_what_runs_here_is_free() {
        let own = |prompt| AiPrice {
            prompt,
            answer: 8.0,
        };
        let own = BTreeMap::from([("gpt".into(), own(4.0)), ("gpt-4o-m".into(), own(6.0))]);
        let found = price("openai", "gpt-4o-mini", true, &own).unwrap();
        assert_eq!(found.prompt, 6.0, "the longest name counts");
        let found = price("openai", "qwen", true, &own).unwrap();
        assert_eq!(found, Price::FREE);
        let usage = Usage {
            prompt_tokens: 500_000,
            answer_tokens: 250_000,
            estimated: false,
        };
        let price = Price {
            prompt: 6.0,
            answer: 8.0,
        };
        assert_eq!(price.of(usage).total(), 5.0);
    }

    #[test]
    fn the_usual_model_of_every_provider_has_a_price() {
        for provider in supervisor::config::AiProvider::ALL {
            let model = super::super::provider::known(provider).model;
            assert!(of(provider.as_str(), model).is_some(), "{model}");
        }
    }
}
