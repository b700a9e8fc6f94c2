//! What `[ai]` of config.toml is to say.

use supervisor::config::AiProvider;
use toml_edit::{DocumentMut, Item};

use crate::cli::settings::{set, table};

/// What is to be written. What is left out has the provider's default.
#[derive(Debug)]
pub(in crate::cli) struct Wanted {
    pub(super) provider: AiProvider,
    pub(super) key: Option<String>,
    pub(super) model: Option<String>,
    pub(super) base_url: Option<String>,
}

impl Wanted {
    /// Writes it into the file.
    pub(in crate::cli) fn put(&self, document: &mut DocumentMut) {
        let Some(ai) = table(document, "ai") else {
            return;
        };
        let before = ai.get("provider").and_then(Item::as_str);
        let before = before.and_then(|name| super::provider(name).ok());
        let is_other = before != Some(self.provider);
        let mut put = |key: &str, new: Option<&str>| match new {
            Some(new) => set(ai, key, new),
            // What was said of another provider does not hold for this one.
            None if is_other => {
                ai.remove(key);
            }
            None => {}
        };
        put("provider", Some(self.provider.as_str()));
        put("api_key", self.key.as_deref());
        put("model", self.model.as_deref());
        put("base_url", self.base_url.as_deref());
        put("context_tokens", None);
        put("tools", None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with the new settings.
    fn changed(old: &str, wanted: &Wanted) -> Result<String, toml_edit::TomlError> {
        let mut document: DocumentMut = old.parse()?;
        wanted.put(&mut document);
        Ok(document.to_string())
    }

    #[test]
    fn what_was_said_of_another_provider_goes_and_of_the_same_stays() {
        let old = "[ai]\nprovider = \"claude\"\napi_key = \"sk-old\"\nbase_url = \"https://proxy.example\"\n\
            context_tokens = 9000\nmax_tokens = 100\n";
        let only = |provider| Wanted {
            key: None,
            ..wanted(provider)
        };
        let new = changed(old, &only(AiProvider::Anthropic)).unwrap();
        assert_eq!(new, old.replace("claude", "anthropic"));
        let new = changed(old, &only(AiProvider::Ollama)).unwrap();
        assert_eq!(new, "[ai]\nprovider = \"ollama\"\nmax_tokens = 100\n");
    }

    fn wanted(provider: AiProvider) -> Wanted {
        Wanted {
            provider,
            key: Some("${MY_KEY}".into()),
            model: None,
            base_url: None,
        }
    }

    #[test]
    fn comments_and_other_tables_stay() {
        let old = "# mine\n[brain]\ncooldown = \"1m\" # short\n\n[ai] # who is asked\nprovider = \"openai\" # for now\nmodel = \"gpt-4o\"\nmax_tokens = 100\n";
        let new = changed(old, &wanted(AiProvider::Openai)).unwrap();
        let expected = old.replace(
            "max_tokens = 100\n",
            "max_tokens = 100\napi_key = \"${MY_KEY}\"\n",
        );
        assert_eq!(new, expected);
        let new = changed(old, &wanted(AiProvider::Groq)).unwrap();
        assert!(
            new.contains("provider = \"groq\" # for now\nmax_tokens = 100\n"),
            "{new}"
        );
        let new = changed(
            "ai = { provider = \"groq\", max_tokens = 9 }\n",
            &wanted(AiProvider::Groq),
        );
        assert_eq!(
            new.unwrap().trim(),
            "[ai]\nprovider = \"groq\"\nmax_tokens = 9\napi_key = \"${MY_KEY}\""
        );
    }
}
