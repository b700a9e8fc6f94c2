//! `mhost ai setup`: which model is asked, tried out and written down.
//!
//! Without `--provider` it asks on the terminal. The settings are tried before they are
//! written, and only the keys of `[ai]` that they are about change: comments and all other
//! tables stay as they are.

mod wanted;

use std::io::{IsTerminal, Read};
use std::sync::Arc;
use std::time::Duration;

use brain::llm::{
    Limits, Message, Model, ModelError, ModelId, Models, Report, Request, Silent, Usage,
};
use brain::redact::{RedactOptions, Redactor};
use clap::Args;
use serde_json::{Value, json};
use supervisor::config::{AiConfig, AiProvider};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::questions::{self, gone};
use crate::cli::settings::{self, Checked};
use crate::client::{Autostart, Client};
use crate::exit::Exit;
pub(in crate::cli) use wanted::Wanted;

/// A model on a slow machine of your own may have to be loaded first.
const TRIAL: Duration = Duration::from_secs(50);
/// What it is asked, and its longest answer, in tokens.
const SYSTEM: &str = "You are being tried out.";
const QUESTION: &str = "Answer with the word ready.";
const ANSWER: u32 = 64;
/// Longest key that is read.
const KEY: u64 = 4_096;

/// Say which language model to ask, try it, and write it to config.toml
///
/// Without --provider it asks. Everything works without a model, too: one is asked only about
/// what mhost does not know by itself.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    #[command(flatten)]
    model: ModelFlags,
}

/// Which model, said with flags.
#[derive(Debug, Args)]
pub(in crate::cli) struct ModelFlags {
    /// openai, anthropic, groq, gemini, or ollama for a model of your own
    #[arg(long, value_name = "NAME", value_parser = provider)]
    provider: Option<AiProvider>,
    /// Its key: better '${OPENAI_API_KEY}', which is written as it is; - reads it from stdin
    #[arg(long, value_name = "KEY", requires = "provider")]
    key: Option<String>,
    /// Which of its models
    #[arg(long, value_name = "NAME", requires = "provider")]
    model: Option<String>,
    /// Another address that speaks the provider's protocol
    #[arg(long, value_name = "URL", requires = "provider")]
    base_url: Option<String>,
    /// Do not try it first
    #[arg(long)]
    no_test: bool,
}

fn provider(text: &str) -> Result<AiProvider, String> {
    let known = AiProvider::ALL.map(AiProvider::as_str);
    let text = if text == "claude" { "anthropic" } else { text };
    let found = AiProvider::ALL
        .into_iter()
        .find(|provider| provider.as_str() == text);
    found.ok_or_else(|| format!("known are {}", known.join(", ")))
}

impl ModelFlags {
    /// Is it tried before it is written?
    pub(in crate::cli) fn test(&self) -> bool {
        !self.no_test
    }

    /// What they say; none without a provider.
    pub(in crate::cli) fn wanted(self) -> Result<Option<Wanted>, CliError> {
        let Some(provider) = self.provider else {
            return Ok(None);
        };
        Ok(Some(Wanted {
            provider,
            key: self.key.map(given_key).transpose()?,
            model: self.model,
            base_url: self.base_url,
        }))
    }
}

impl Setup {
    /// Asks, tries, writes.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let test = self.model.test();
        let wanted = match self.model.wanted()? {
            Some(wanted) => wanted,
            None => ask(ctx)?,
        };
        let path = ctx.paths()?.config();
        let checked = settings::check(&path, |document| wanted.put(document))?;
        let tried = if test {
            Some(try_it(ctx, &wanted, &checked)?)
        } else {
            None
        };
        checked.write()?;
        let heard = tell_daemon(ctx, tried.as_ref());
        if ctx.output.is_json() {
            ctx.output.json(&json!({
                "written": path,
                "provider": wanted.provider.as_str(),
                "tested": tried.is_some(),
                "model": tried.as_ref().map(|tried| &tried.model.model),
                "in_force": matches!(heard, Heard::InForce),
                "why_not": heard.why_not(),
            }))?;
            return Ok(Exit::Success);
        }
        if let Some(tried) = &tried {
            ctx.output.done(&format!("{} answers", tried.model.model))?;
        }
        ctx.output.done(&format!("wrote {}", path.display()))?;
        if let Some(variable) = wanted.key.as_deref().and_then(variable) {
            ctx.output.note(&format!(
                "  the daemon reads {variable} from its own environment: it must be set where that starts"
            ));
        }
        match heard {
            Heard::NoDaemon => {}
            Heard::InForce => ctx.output.note("  the daemon uses it from now on"),
            Heard::Refused(why) => ctx
                .output
                .warn(&format!("the daemon does not use it: {why}")),
        }
        Ok(Exit::Success)
    }
}

/// What a running daemon made of the settings.
pub(in crate::cli) enum Heard {
    NoDaemon,
    InForce,
    Refused(String),
}

impl Heard {
    /// What its models say; none where no daemon runs.
    pub(in crate::cli) fn of(report: Option<&Report>) -> Self {
        let Some(report) = report else {
            return Self::NoDaemon;
        };
        let why = report.why_nobody.as_ref();
        match why.or(report.left_out.first()) {
            None => Self::InForce,
            Some(why) => Self::Refused(why.clone()),
        }
    }

    pub(in crate::cli) fn why_not(&self) -> Option<&str> {
        match self {
            Self::Refused(why) => Some(why),
            Self::NoDaemon | Self::InForce => None,
        }
    }
}

/// A key as it was given; `-` stands for standard input.
fn given_key(key: String) -> Result<String, CliError> {
    if key != "-" {
        return Ok(key);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(KEY)
        .read_to_string(&mut text)
        .map_err(|error| CliError::config(format!("the key could not be read: {error}")))?;
    Ok(text.trim().to_owned())
}

/// The variable that a key refers to.
fn variable(key: &str) -> Option<&str> {
    key.strip_prefix("${")?.strip_suffix('}')
}

fn ask(ctx: &Context) -> Result<Wanted, CliError> {
    if !std::io::stdin().is_terminal() || ctx.output.is_json() {
        return Err(
            CliError::config("there is no terminal to ask on").with_help(
                "say it with flags: mhost ai setup --provider openai --key '${OPENAI_API_KEY}'",
            ),
        );
    }
    questions::begin();
    let names = AiProvider::ALL.map(AiProvider::as_str);
    let place = dialoguer::Select::new()
        .with_prompt("Whose model")
        .items(names)
        .default(0)
        .interact()
        .map_err(gone)?;
    ask_for_model(AiProvider::ALL[place])
}

/// Asks on the terminal for what else a provider needs.
pub(in crate::cli) fn ask_for_model(provider: AiProvider) -> Result<Wanted, CliError> {
    let line = |prompt: &str| {
        let said = dialoguer::Input::<String>::new()
            .with_prompt(prompt)
            .allow_empty(true)
            .interact_text()
            .map_err(gone)?;
        let said = said.trim();
        Ok::<_, CliError>((!said.is_empty()).then(|| said.to_owned()))
    };
    let key = match Models::key_variable(provider) {
        None => None,
        Some(usual) => {
            let said = dialoguer::Password::new()
                .with_prompt(format!(
                    "Its key, or a variable such as ${{{usual}}} (not shown; empty: {usual} of the daemon)"
                ))
                .allow_empty_password(true)
                .interact()
                .map_err(gone)?;
            Some(said.trim().to_owned()).filter(|said| !said.is_empty())
        }
    };
    let usual = Models::usual_model(provider);
    Ok(Wanted {
        provider,
        key,
        model: line(&format!("Which model (empty: {usual})"))?,
        base_url: line("Another address (empty: the usual one)")?,
    })
}

/// A trial that went well, and what it cost.
pub(in crate::cli) struct Tried {
    pub(in crate::cli) model: ModelId,
    usage: Usage,
}

impl Tried {
    /// Has a daemon count it among the requests of the day. One of another release may not know
    /// how, and nothing depends on it.
    pub(in crate::cli) fn count(&self, client: &mut Client) {
        let count = |tokens: u64| u16::try_from(tokens).unwrap_or(u16::MAX);
        let params = json!({
            "provider": self.model.provider,
            "model": self.model.model,
            "prompt_tokens": count(self.usage.prompt_tokens),
            "answer_tokens": count(self.usage.answer_tokens),
        });
        let _ = client.call::<Value>("ai.tried", params);
    }
}

/// One small question, put as the daemon would from the file that is about to be written.
pub(in crate::cli) fn try_it(
    ctx: &Context,
    wanted: &Wanted,
    checked: &Checked,
) -> Result<Tried, CliError> {
    if let Some(name) = wanted.key.as_deref().and_then(variable)
        && std::env::var(name).is_err()
    {
        return Err(CliError::config(format!(
            "{name} is not set here, so the key cannot be tried"
        ))
        .with_help(format!("export {name}=…, or add --no-test")));
    }
    // Another one that answers in its place would prove nothing.
    let ai = checked.config.ai.clone().ok_or_else(|| {
        CliError::config("`ai` of config.toml is no table").with_help("mend it first")
    })?;
    let alone = AiConfig {
        fallback: Vec::new(),
        ..ai
    };
    let redactor = Redactor::new(checked.config.secrets(), RedactOptions::default());
    let model = Models::once(&alone)
        .map_err(|error| told(&error, wanted))?
        .guarded(Arc::new(redactor));
    let id = model.id().clone();
    ctx.output.note(&format!("asking {} …", id.model));
    let request = Request {
        system: SYSTEM.into(),
        messages: vec![Message::User {
            text: QUESTION.into(),
        }],
        limits: Limits {
            max_tokens: ANSWER,
            temperature: 0.0,
            timeout: TRIAL,
        },
        ..Request::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answered = runtime.block_on(model.ask(&request, &Silent));
    let usage = match answered {
        Ok(reply) => reply.usage,
        // It answered, if only by thinking longer than it may here.
        Err(ModelError::Nonsense(why)) if why.contains("all its tokens") => Usage {
            prompt_tokens: (QUESTION.len() + SYSTEM.len()) as u64 / 4,
            answer_tokens: ANSWER.into(),
            estimated: true,
        },
        Err(error) => return Err(told(&error, wanted)),
    };
    Ok(Tried { model: id, usage })
}

/// What went wrong, and what to type next.
fn told(error: &ModelError, wanted: &Wanted) -> CliError {
    let help = match error {
        ModelError::Unauthorised { .. } => "check the key with your provider; nothing was written",
        ModelError::Unreachable(_) if wanted.provider == AiProvider::Ollama => {
            "start it with: ollama serve, or give its address with --base-url; nothing was written"
        }
        ModelError::Refused { status: 404, .. } => {
            "check --model and --base-url; nothing was written"
        }
        _ => "nothing was written; --no-test writes it all the same",
    };
    match error {
        ModelError::NotSetUp(why) => CliError::config(why.clone()),
        error => CliError::failure(error.to_string()).with_help(help),
    }
}

/// Has a running daemon taken the settings? None is started for it. It counts the trial, too.
fn tell_daemon(ctx: &Context, tried: Option<&Tried>) -> Heard {
    let Ok(paths) = ctx.paths() else {
        return Heard::NoDaemon;
    };
    let Ok(mut client) = Client::connect(&paths, Autostart::No) else {
        return Heard::NoDaemon;
    };
    let report = client
        .call::<Value>("daemon.reload_config", json!({}))
        .and_then(|_| client.call::<Report>("ai.models", json!({})));
    if let (Ok(_), Some(tried)) = (&report, tried) {
        tried.count(&mut client);
    }
    match report {
        Ok(report) => Heard::of(Some(&report)),
        Err(error) => Heard::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_known_by_their_names() {
        assert_eq!(provider("claude"), Ok(AiProvider::Anthropic));
        assert_eq!(provider("ollama"), Ok(AiProvider::Ollama));
        assert!(provider("opneai").unwrap_err().contains("openai"));
    }

    #[test]
    fn a_reference_is_not_a_key() {
        assert_eq!(variable("${MY_KEY}"), Some("MY_KEY"));
        assert_eq!(variable("sk-1"), None);
    }
}
