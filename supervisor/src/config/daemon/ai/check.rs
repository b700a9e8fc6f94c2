//! What `[ai]` means, checked: names of providers, the chain, where keys go.

use super::super::super::problem::Problems;
use super::super::super::tree::{Node, Value};
use super::super::super::validate;
use super::{AiProvider, is_here, named};

/// What the table means, checked. `is_public`: others may read the file.
pub(in super::super) fn check(root: &Node, is_public: bool, problems: &mut Problems) {
    let Some(ai) = root.get("ai") else { return };
    let first = ai.get("provider").and_then(Node::text).and_then(named);
    let mut chain: Vec<AiProvider> = first.into_iter().collect();
    let fallback = ai.get("fallback").map(Node::items).unwrap_or_default();
    for item in fallback {
        // A word that is no provider was told already.
        let Some(provider) = item.text().and_then(named) else {
            continue;
        };
        if chain.contains(&provider) {
            problems.error(
                &item.span,
                format!("`{}` is asked already", provider.as_str()),
                "name each provider once: as `provider`, or in `fallback`",
            );
        }
        chain.push(provider);
    }
    for entry in ai.get("providers").map(Node::entries).unwrap_or_default() {
        let name = entry.key.as_str();
        match named(name) {
            None => problems.error(
                &entry.key_span,
                format!("`{name}` is no provider"),
                format!(
                    "known are {}",
                    AiProvider::ALL.map(AiProvider::as_str).join(", ")
                ),
            ),
            Some(provider) if Some(provider) == first => problems.error(
                &entry.key_span,
                format!("the settings of `{name}` stand in `[ai]` itself"),
                "move them there: it is the provider that is asked first",
            ),
            Some(provider) if !chain.contains(&provider) => problems.error(
                &entry.key_span,
                format!("`[ai.providers.{name}]` has no effect: it is not in `fallback`"),
                format!("write `fallback = [\"{name}\"]` into `[ai]`, or remove it"),
            ),
            Some(_) => {}
        }
        member(&entry.value, is_public, problems);
    }
    member(ai, is_public, problems);
    zero_time(ai, problems);
}

/// The keys that each provider has.
fn member(table: &Node, is_public: bool, problems: &mut Problems) {
    if let Some(entry) = table.entry("model")
        && let Some(text) = entry.value.text()
        && (text.trim().is_empty() || text.chars().any(char::is_control))
    {
        problems.error(
            &entry.value.span,
            "this is no name of a model",
            "write it as the provider does, or remove the key",
        );
    }
    if let Some(entry) = table.entry("api_key") {
        let text = entry.value.text().unwrap_or_default();
        if reqwest::header::HeaderValue::from_str(text).is_err() {
            problems.error(
                &entry.value.span,
                "this key cannot be sent",
                "write it without line ends and control characters",
            );
        }
        if is_public {
            validate::secret(entry, problems);
        }
        if let Some(url) = table.get("base_url")
            && let Some(address) = url.text()
            && is_open(address)
        {
            problems.warning(
                &url.span,
                "the key is sent in clear to this address",
                "begin it with https://, unless you trust the way there",
            );
        }
    }
}

/// Is this HTTP without encryption to another machine?
fn is_open(address: &str) -> bool {
    reqwest::Url::parse(address).is_ok_and(|url| url.scheme() == "http") && !is_here(address)
}

fn zero_time(ai: &Node, problems: &mut Problems) {
    if let Some(node) = ai.get("timeout")
        && let Value::Text(text) = &node.value
        && crate::units::parse_duration(text).is_ok_and(|time| time.is_zero())
    {
        problems.error(&node.span, "`timeout` is zero", "write `timeout = \"60s\"`");
    }
}
