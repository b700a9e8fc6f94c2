//! What `[ai]` takes and what it refuses.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::DaemonConfig;

fn read(text: &str, mode: u32) -> (Option<DaemonConfig>, Vec<(usize, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let env = BTreeMap::from([("MY_KEY".to_owned(), "sk-hunter22".into())]);
    let told = |problems: &[crate::config::Problem]| {
        let problems = problems.iter();
        problems.map(|p| (p.line, p.message.clone())).collect()
    };
    match DaemonConfig::load_with(&file, &env) {
        Ok((config, warnings)) => (Some(config), told(&warnings)),
        Err(error) => (None, told(error.problems())),
    }
}

#[test]
fn without_a_table_there_is_no_model() {
    let (config, told) = read("[daemon]\n", 0o600);
    assert_eq!((config.unwrap().ai, told), (None, Vec::new()));
}

#[test]
fn a_provider_is_enough_and_its_key_is_never_shown() {
    let text = "[ai]\nprovider = \"claude\"\napi_key = \"${MY_KEY}\"\nfallback = [\"ollama\"]\n\
        [ai.providers.ollama]\nmodel = \"qwen\"\n[ai.prices.\"claude-\"]\nprompt = 1\nanswer = 2.5\n";
    let (config, told) = read(text, 0o644);
    assert_eq!(told, Vec::new(), "a reference is no secret");
    let ai = config.unwrap().ai.unwrap();
    assert!(!format!("{ai:?}").contains("hunter22"));
    assert!(!serde_json::to_string(&ai).unwrap().contains("hunter22"));
    let members = ai.members();
    assert_eq!(members[0].0, AiProvider::Anthropic);
    let key = members[0].1.api_key.as_ref().map(Secret::expose);
    assert_eq!(key, Some("sk-hunter22"));
    assert_eq!(members[1].0, AiProvider::Ollama);
    assert_eq!(members[1].1.model.as_deref(), Some("qwen"));
    assert_eq!(
        ai.prices["claude-"],
        AiPrice {
            prompt: 1.0,
            answer: 2.5
        }
    );
    let plain = AiConfig::new(AiProvider::Claude);
    let (read, _) = read("[ai]\nprovider = \"claude\"", 0o600);
    assert_eq!(read.unwrap().ai, Some(plain), "the same defaults");
}

#[test]
fn everything_wrong_is_told_with_its_line() {
    let text = "[ai]\nprovider = \"openai\"\nmodel = \" \"\ntimeout = \"0s\"\n\
        fallback = [\"groq\", \"openai\", \"groq\"]\nmax_cost_per_day = -1\n\
        [ai.providers.openai]\n[ai.providers.olama]\n[ai.providers.gemini]\n";
    let (config, told) = read(text, 0o600);
    assert!(config.is_none());
    let mut lines: Vec<usize> = told.iter().map(|one| one.0).collect();
    lines.sort_unstable();
    assert_eq!(lines, [3, 4, 5, 5, 6, 7, 8, 9], "{told:?}");
    let (_, told) = read("[ai]\nprovider = \"opneai\"\n", 0o600);
    assert_eq!(told[0].0, 2, "{told:?}");
    let (_, told) = read("[ai]\nmodel = \"gpt-4o\"\n", 0o600);
    assert!(told[0].1.contains("provider"), "{told:?}");
}

#[test]
fn a_key_in_the_open_is_told() {
    let text = "[ai]\nprovider = \"openai\"\napi_key = \"sk-hunter22\"\nbase_url = \"http://models.example.com/v1\"\n";
    let lines = |mode: u32| {
        let (_, told) = read(text, mode);
        assert!(
            told.iter().all(|one| !one.1.contains("hunter22")),
            "{told:?}"
        );
        let mut lines: Vec<usize> = told.iter().map(|one| one.0).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(0o644), [3, 4]);
    assert_eq!(lines(0o600), [4]);
    let here = text.replace("models.example.com", "127.0.0.1:8080");
    assert_eq!(read(&here, 0o600).1, Vec::new());
}
