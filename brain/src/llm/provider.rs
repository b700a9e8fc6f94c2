//! Who offers models: the facts of each, and one request to it.
//!
//! A provider asks once. Tries, waiting, other providers and money are the chain's business.

use async_trait::async_trait;
use supervisor::config::{AiConfig, AiProvider, AiProviderConfig, is_here};
use supervisor::secret::Secret;

use super::heard::Heard;
use super::{Abilities, ModelError, ModelId, Reply, Request};
use super::{anthropic, compatible, gemini, groq, ollama, openai};

/// One request to one model.
#[async_trait]
pub(super) trait Provider: Send + Sync {
    /// Asks. Pieces and the bill go to `heard` as they come.
    async fn once(&self, request: &Request, heard: &Heard<'_>) -> Result<Reply, ModelError>;
}

/// What is known of a provider.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it is asked.
    pub(super) base_url: &'static str,
    /// The usual variable for its key; none where there is no key.
    pub(super) key: Option<&'static str>,
    /// A model that most accounts have.
    pub(super) model: &'static str,
    /// What its usual models can do.
    pub(super) abilities: Abilities,
    /// How an answer gets its form.
    pub(super) form: Form,
    /// How the longest answer is named.
    pub(super) max_tokens: MaxTokens,
}

/// How an answer gets its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `response_format` with the schema, beside tools, too.
    Schema,
    /// The same, but not together with tools.
    SchemaAlone,
    /// Only words in the prompt.
    Words,
}

/// How the longest answer is named in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MaxTokens {
    /// `max_completion_tokens`.
    Completion,
    /// `max_tokens`.
    Plain,
}

/// What is known of this one.
pub(super) fn known(provider: AiProvider) -> &'static Known {
    match provider.canonical() {
        AiProvider::Openai => &openai::KNOWN,
        AiProvider::Anthropic | AiProvider::Claude => &anthropic::KNOWN,
        AiProvider::Groq => &groq::KNOWN,
        AiProvider::Gemini => &gemini::KNOWN,
        AiProvider::Ollama => &ollama::KNOWN,
    }
}

/// A provider with its settings complete.
pub(super) struct Member {
    pub(super) id: ModelId,
    pub(super) base_url: String,
    pub(super) key: Option<Secret>,
    pub(super) abilities: Abilities,
    pub(super) known: &'static Known,
}

impl Member {
    /// Completes the settings of one. `variable` reads the environment.
    ///
    /// # Errors
    /// There is no key.
    pub(super) fn new(
        provider: AiProvider,
        own: &AiProviderConfig,
        config: &AiConfig,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ModelError> {
        let known = known(provider);
        let name = provider.as_str();
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let base_url = filled(&own.base_url).unwrap_or_else(|| known.base_url.to_owned());
        let base_url = base_url.trim().trim_end_matches('/').to_owned();
        let given = own.api_key.clone();
        let given = given.filter(|key| !key.expose().trim().is_empty());
        let from_env = || known.key.and_then(variable).filter(|key| !key.is_empty());
        let key = given.or_else(|| from_env().map(Secret::from));
        // A server of your own, spoken to in the protocol of OpenAI, often has none.
        if let (None, Some(usual)) = (&key, known.key)
            && !is_here(&base_url)
        {
            let table = if provider == config.provider.canonical() {
                "[ai]".to_owned()
            } else {
                format!("[ai.providers.{name}]")
            };
            return Err(ModelError::NotSetUp(format!(
                "{name} has no key: write `api_key = \"${{{usual}}}\"` into {table} of config.toml, \
                 start the daemon with {usual} set, or run: mhost ai setup"
            )));
        }
        let usual = known.abilities;
        let abilities = Abilities {
            tools: own.tools.unwrap_or(usual.tools),
            context_tokens: own.context_tokens.unwrap_or(usual.context_tokens),
        };
        Ok(Self {
            id: ModelId {
                provider: name.to_owned(),
                model: filled(&own.model).unwrap_or_else(|| known.model.to_owned()),
            },
            base_url,
            key,
            abilities,
            known,
        })
    }

    /// Does it run on this machine, where nobody sends a bill?
    pub(super) fn is_here(&self) -> bool {
        is_here(&self.base_url)
    }

    /// Somebody who can be asked.
    ///
    /// # Errors
    /// Its address or its key cannot be used.
    pub(super) fn build(&self) -> Result<Box<dyn Provider>, ModelError> {
        Ok(match self.id.provider.as_str() {
            "anthropic" => Box::new(anthropic::Anthropic::new(self)?),
            _ => Box::new(compatible::Compatible::new(self)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(config: &AiConfig, variables: &[(&str, &str)]) -> Result<Member, ModelError> {
        let (provider, own) = config.members().remove(0);
        let variable = |name: &str| {
            let mut all = variables.iter();
            all.find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Member::new(provider, &own, config, &variable)
    }

    #[test]
    fn a_provider_without_a_key_says_where_to_put_one() {
        for provider in AiProvider::ALL {
            let config = AiConfig::new(provider);
            let found = member(&config, &[("SOME_OTHER_KEY", "x")]);
            let Some(variable) = known(provider).key else {
                assert!(found.is_ok(), "{provider:?} has no key");
                continue;
            };
            let Err(ModelError::NotSetUp(told)) = found else {
                panic!("{provider:?} has no key");
            };
            assert!(
                told.contains(variable) && told.contains("mhost ai setup"),
                "{told}"
            );
            let found = member(&config, &[(variable, "sk-1")]).unwrap();
            assert_eq!(found.key.unwrap().expose(), "sk-1");
        }
    }

    #[test]
    fn only_the_own_variable_of_a_provider_counts() {
        let mut config = AiConfig::new(AiProvider::Ollama);
        let found = member(
            &config,
            &[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "x")],
        );
        let found = found.unwrap();
        assert!(found.key.is_none() && found.is_here());
        assert_eq!(found.base_url, "http://localhost:11434/v1");
        config.base_url = Some("http://10.0.0.7:8000/v1/".into());
        let found = member(&config, &[]).unwrap();
        assert!(!found.is_here());
        assert_eq!(found.base_url, "http://10.0.0.7:8000/v1");
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        for here in [
            "http://localhost:1/v1",
            "http://127.0.0.9",
            "http://[::1]:8080/v1",
        ] {
            assert!(is_here(here), "{here}");
        }
        for there in [
            "https://api.openai.com/v1",
            "http://localhost.example.com",
            "x",
        ] {
            assert!(!is_here(there), "{there}");
        }
    }
}
