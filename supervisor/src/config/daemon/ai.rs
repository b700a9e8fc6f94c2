//! `[ai]`: which language model is asked, and what it may cost.
//!
//! The whole table may be missing: then no model exists, and nothing is sent anywhere.

mod check;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::{Secret, passwords_of};

pub(super) use check::check;

/// A language model, for what the brain does not know by itself. Without this table no model
/// is asked, and nothing is sent anywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AiConfig {
    /// Who is asked: `openai`, `anthropic` (also `claude`), `groq`, `gemini`, or `ollama`,
    /// which stands for any model of your own.
    pub provider: AiProvider,
    /// Its key; better a reference such as `${OPENAI_API_KEY}`. Default: the daemon's variable
    /// `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `GROQ_API_KEY` or `GEMINI_API_KEY`.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Which of its models. Default: a usual one of the provider; `gpt-4o` for OpenAI.
    #[serde(default)]
    pub model: Option<String>,
    /// Another address that speaks the provider's protocol. Default: the provider's own.
    #[serde(default)]
    #[schemars(extend("x-form" = "endpoint"))]
    pub base_url: Option<String>,
    /// Most tokens of an answer. Default 4096.
    #[serde(default = "max_tokens")]
    #[schemars(range(min = 16))]
    pub max_tokens: u32,
    /// From 0, the most predictable, to 2. Default: what suits the question, 0 to 0.3.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f32>,
    /// Longest time for an answer, further tries and other providers included. Default `60s`.
    #[serde(default = "timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// Most tokens of a question. What is told is chosen to fit. Default 24000;
    /// 8000 for `groq`, 3000 for `ollama`.
    #[serde(default)]
    #[schemars(range(min = 256))]
    pub context_tokens: Option<u32>,
    /// Let the model look things up by itself. Small models cannot: they are told more at once
    /// instead. Default `true`; `false` for `ollama`.
    #[serde(default)]
    pub tools: Option<bool>,
    /// Take secrets out of everything that is sent. Default `true`.
    #[serde(default = "yes")]
    pub redact: bool,
    /// Take addresses of e-mail out, too. Default `false`.
    #[serde(default)]
    pub redact_email: bool,
    /// Take IPv4 addresses of other machines out, too. Default `false`.
    #[serde(default)]
    pub redact_ipv4: bool,
    /// Providers to ask, in this order, when the first one has no answer: `["ollama"]`. Default: none.
    #[serde(default)]
    pub fallback: Vec<AiProvider>,
    /// Settings of the providers in `fallback`.
    #[serde(default)]
    pub providers: BTreeMap<String, AiProviderConfig>,
    /// What models cost, by their names or how these begin. They count before the built-in table.
    #[serde(default)]
    pub prices: BTreeMap<String, AiPrice>,
    /// Most requests in a minute; a further one waits its turn. Default 20.
    #[serde(default = "requests_per_minute")]
    #[schemars(range(min = 1, max = 10_000))]
    pub requests_per_minute: u32,
    /// Most requests about one incident. Default 20.
    #[serde(default = "max_calls_per_incident")]
    #[schemars(range(min = 1))]
    pub max_calls_per_incident: u32,
    /// Most requests in a rolling hour. Default 120.
    #[serde(default = "max_calls_per_hour")]
    #[schemars(range(min = 1))]
    pub max_calls_per_hour: u32,
    /// Most tokens in a day, questions and answers together. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_tokens_per_day: Option<u64>,
    /// Most US dollars in a day, local time. The last request before the limit may pass it;
    /// none comes after. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub max_cost_per_day: Option<f64>,
}

/// Who offers models.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AiProvider {
    /// OpenAI, or any server that speaks its protocol and wants a key.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Another word for `anthropic`.
    Claude,
    /// Groq.
    Groq,
    /// Google Gemini.
    Gemini,
    /// Ollama, llama.cpp and whatever else runs on your own machines.
    Ollama,
}

/// Settings of a provider in `fallback`. What is left out has the provider's defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AiProviderConfig {
    /// Its key.
    pub api_key: Option<Secret>,
    /// Which of its models.
    pub model: Option<String>,
    /// Another address that speaks the provider's protocol.
    #[schemars(extend("x-form" = "endpoint"))]
    pub base_url: Option<String>,
    /// Most tokens of a question. A longer one, made for the first provider, is not put to
    /// this one. Default 24000; 8000 for `groq`, 3000 for `ollama`.
    #[schemars(range(min = 256))]
    pub context_tokens: Option<u32>,
    /// Let the model look things up by itself. Default `true`; `false` for `ollama`.
    pub tools: Option<bool>,
}

/// What a model costs, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AiPrice {
    /// A million tokens of questions.
    #[schemars(range(min = 0))]
    pub prompt: f64,
    /// A million tokens of answers.
    #[schemars(range(min = 0))]
    pub answer: f64,
}

impl AiProvider {
    /// All of them, each once.
    pub const ALL: [Self; 5] = [
        Self::Openai,
        Self::Anthropic,
        Self::Groq,
        Self::Gemini,
        Self::Ollama,
    ];

    /// The same one under its first name.
    #[must_use]
    pub fn canonical(self) -> Self {
        match self {
            Self::Claude => Self::Anthropic,
            other => other,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self.canonical() {
            Self::Openai => "openai",
            Self::Anthropic | Self::Claude => "anthropic",
            Self::Groq => "groq",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }
}

impl AiConfig {
    /// A provider with all defaults.
    pub fn new(provider: AiProvider) -> Self {
        Self {
            provider,
            api_key: None,
            model: None,
            base_url: None,
            max_tokens: max_tokens(),
            temperature: None,
            timeout: timeout(),
            context_tokens: None,
            tools: None,
            redact: yes(),
            redact_email: false,
            redact_ipv4: false,
            fallback: Vec::new(),
            providers: BTreeMap::new(),
            prices: BTreeMap::new(),
            requests_per_minute: requests_per_minute(),
            max_calls_per_incident: max_calls_per_incident(),
            max_calls_per_hour: max_calls_per_hour(),
            max_tokens_per_day: None,
            max_cost_per_day: None,
        }
    }

    /// Who is asked, in order, with its own settings.
    pub fn members(&self) -> Vec<(AiProvider, AiProviderConfig)> {
        let first = AiProviderConfig {
            api_key: self.api_key.clone(),
            model: self.model.clone(),
            base_url: self.base_url.clone(),
            context_tokens: self.context_tokens,
            tools: self.tools,
        };
        let others = self.fallback.iter().map(|provider| {
            let provider = provider.canonical();
            let mut own = self.providers.iter();
            let own = own.find(|(name, _)| named(name) == Some(provider));
            (
                provider,
                own.map(|(_, own)| own.clone()).unwrap_or_default(),
            )
        });
        let mut all = vec![(self.provider.canonical(), first)];
        all.extend(others);
        all
    }

    /// All it holds that must not be shown: keys, and passwords in addresses.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut keys: Vec<Secret> = self.api_key.iter().cloned().collect();
        let mut urls: Vec<&String> = self.base_url.iter().collect();
        for own in self.providers.values() {
            keys.extend(own.api_key.clone());
            urls.extend(&own.base_url);
        }
        keys.extend(urls.into_iter().flat_map(|url| passwords_of(url)));
        keys
    }
}

/// Is this an address of this machine?
pub fn is_here(address: &str) -> bool {
    reqwest::Url::parse(address).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// The provider of this name.
fn named(name: &str) -> Option<AiProvider> {
    if name == "claude" {
        return Some(AiProvider::Anthropic);
    }
    AiProvider::ALL
        .into_iter()
        .find(|provider| provider.as_str() == name)
}

/// As the peer of this project has it: enough for a report of a page.
fn max_tokens() -> u32 {
    4096
}

fn timeout() -> Duration {
    Duration::from_secs(60)
}

fn yes() -> bool {
    true
}

fn requests_per_minute() -> u32 {
    20
}

/// Eight rounds, a repair of each of the two last ones, a draft, and as much again.
fn max_calls_per_incident() -> u32 {
    20
}

/// Six incidents that use up all they may.
fn max_calls_per_hour() -> u32 {
    120
}

#[cfg(test)]
mod tests;
