//! `mhost notify setup`: a channel, written and tried.
//!
//! Without `--set` it asks on the terminal, each key of the type in turn; what is secret is
//! typed unseen. The file is checked as a whole before it is written.

use std::io::IsTerminal;
use std::time::Duration;

use chat::{Channel, What};
use clap::Args;
use serde_json::json;
use supervisor::config::{DaemonConfig, NOTIFICATION_EVENTS, NotificationType as Type};
use supervisor::secret::Secret;
use toml_edit::{Array, DocumentMut, InlineTable, Value};

use super::{change, channel_table, configured, delivery};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::questions::{self, gone};
use crate::cli::settings;
use crate::exit::Exit;
use crate::output::text::clean_line;

/// How long somebody may take to write to a bot.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long Telegram may take to say who a token belongs to.
const TRIAL: Duration = Duration::from_secs(20);

/// Add a channel that is told what happens, and try it
///
/// Without --set it asks. The keys are those of [notifications.<name>] in docs/config.md;
/// lists are written with commas: --set to=ana@example.com,ops@example.com. A reference such as
/// '${TELEGRAM_TOKEN}' is written as it is.
#[derive(Debug, Args)]
pub(super) struct Setup {
    /// Where it leads: telegram, slack, discord, email, sms, pagerduty, opsgenie, webhook, teams, ntfy
    #[arg(value_name = "TYPE", value_parser = kind)]
    kind: Option<Type>,
    /// A key and its value, such as chat_id=-1001234; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// What it is called; the type when left out
    #[arg(long)]
    name: Option<String>,
    /// Send a test once it is written
    #[arg(long)]
    test: bool,
}

fn kind(text: &str) -> Result<Type, String> {
    Type::named(text).ok_or_else(|| {
        let all: Vec<&str> = Type::ALL.iter().map(|one| one.as_str()).collect();
        format!("there are {}", all.join(", "))
    })
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    if key.is_empty() || value.is_empty() {
        return Err("the key or the value is missing".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// What is asked about a key.
struct Question {
    key: &'static str,
    prompt: &'static str,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Typed unseen; needed.
    Secret,
    /// Needed.
    Text,
    /// May stay empty.
    Optional,
    /// Typed unseen; may stay empty.
    OptionalSecret,
}

/// The keys of a type, in the order in which they are asked for.
fn questions_of(kind: Type) -> Vec<Question> {
    use How::{Optional, OptionalSecret, Secret, Text};
    let ask = |key, prompt, how| Question { key, prompt, how };
    match kind {
        Type::Telegram => vec![ask(
            "bot_token",
            "Token of the bot, from @BotFather",
            Secret,
        )],
        Type::Slack => vec![
            ask("webhook_url", "Address of the incoming webhook", Secret),
            ask(
                "channel",
                "Another channel than the webhook's (empty: none)",
                Optional,
            ),
        ],
        Type::Discord => vec![ask("webhook_url", "Address of the webhook", Secret)],
        Type::Teams => vec![ask("webhook_url", "Address of the workflow", Secret)],
        Type::Email => vec![
            ask("smtp_host", "Mail server", Text),
            ask("smtp_port", "Port (empty: 587)", Optional),
            ask(
                "tls",
                "Protection: starttls, tls or none (empty: starttls)",
                Optional,
            ),
            ask("username", "Who logs in (empty: nobody)", Optional),
            ask("password", "Password (empty: none)", OptionalSecret),
            ask("from", "From, such as mhost@example.com", Text),
            ask("to", "To, with commas between several", Text),
        ],
        Type::Sms => vec![
            ask("account_sid", "Account SID at Twilio", Text),
            ask("auth_token", "Auth token", Secret),
            ask("from", "Number it is from, such as +4930123456", Text),
            ask("to", "Numbers it is to, with commas between several", Text),
        ],
        Type::Pagerduty => vec![ask("routing_key", "Integration key of the service", Secret)],
        Type::Opsgenie => vec![
            ask("api_key", "Key of the integration", Secret),
            ask("region", "Region: us or eu (empty: us)", Optional),
        ],
        Type::Webhook => vec![
            ask("url", "Address", Text),
            ask(
                "secret",
                "What messages are signed with (empty: nothing)",
                OptionalSecret,
            ),
        ],
        Type::Ntfy => vec![
            ask("url", "Server, such as https://ntfy.sh", Text),
            ask("topic", "Topic", Text),
            ask("token", "Access token (empty: none)", OptionalSecret),
        ],
    }
}

/// Who is asked, and what was answered.
struct Answers {
    kind: Type,
    name: String,
    keys: Vec<(String, String)>,
}

impl Setup {
    /// Asks, writes, tries.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let config = configured(ctx)?;
        let asks = self.set.is_empty();
        let (answers, tries) = match asks {
            true => asked(ctx, self.kind, self.name, &config)?,
            false => {
                let kind = self.kind.ok_or_else(|| {
                    CliError::config("it is not said where it leads")
                        .with_help("mhost notify setup telegram --set …")
                })?;
                let name = self.name.unwrap_or_else(|| kind.as_str().to_owned());
                let keys = self.set;
                (Answers { kind, name, keys }, self.test)
            }
        };
        change(ctx, |document| put(document, &answers))?;
        let path = ctx.paths()?.config();
        let tested = match tries {
            true => Some(delivery::test(ctx, &answers.name)?),
            false => None,
        };
        let good = tested.as_ref().is_none_or(|one| one.ok);
        let exit = if good { Exit::Success } else { Exit::Failure };
        if ctx.output.is_json() {
            let name = &answers.name;
            ctx.output
                .json(&json!({ "written": path, "name": name, "test": tested }))?;
            return Ok(exit);
        }
        ctx.output.done(&format!("wrote {}", path.display()))?;
        let title = answers.kind.title();
        match &tested {
            None => ctx
                .output
                .note(&format!("  try it: mhost notify test {}", answers.name)),
            Some(one) if one.ok => {
                ctx.output
                    .done(&format!("{title} configured successfully"))?;
            }
            Some(one) => ctx.output.fail(&format!(
                "{title} is written, but the test did not arrive: {}",
                clean_line(&one.result)
            )),
        }
        Ok(exit)
    }
}

/// Asks on the terminal.
fn asked(
    ctx: &Context,
    kind: Option<Type>,
    name: Option<String>,
    config: &DaemonConfig,
) -> Result<(Answers, bool), CliError> {
    if !std::io::stdin().is_terminal() || ctx.output.is_json() {
        return Err(CliError::config("there is no terminal to ask on").with_help(
            "say it with flags: mhost notify setup telegram --set 'bot_token=${TELEGRAM_TOKEN}' \
             --set chat_id=-1001234 --test",
        ));
    }
    questions::begin();
    let kind = match kind {
        Some(kind) => kind,
        None => {
            let titles = Type::ALL.map(Type::title);
            let chosen = dialoguer::Select::new()
                .with_prompt("Where should messages go?")
                .items(titles)
                .default(0)
                .interact()
                .map_err(gone)?;
            Type::ALL[chosen]
        }
    };
    let mut keys: Vec<(String, String)> = Vec::new();
    if has_bot(kind, config) && yes(&format!("Send through the bot on {}?", kind.title()), true)? {
        keys.push(("bot".into(), "true".into()));
        let (key, prompt) = match kind {
            Type::Telegram => ("chat_id", "Chat, such as -1001234"),
            _ => ("channel", "Id of the channel"),
        };
        keys.push((key.into(), text(prompt, false)?));
    } else {
        for question in questions_of(kind) {
            let answer = match question.how {
                How::Secret | How::OptionalSecret => dialoguer::Password::new()
                    .with_prompt(question.prompt)
                    .allow_empty_password(question.how == How::OptionalSecret)
                    .interact()
                    .map_err(gone)?,
                How::Text | How::Optional => text(question.prompt, question.how == How::Optional)?,
            };
            if !answer.trim().is_empty() {
                keys.push((question.key.into(), answer.trim().to_owned()));
            }
        }
        if kind == Type::Telegram {
            let token = keys.iter().find(|(key, _)| key == "bot_token");
            let token = token.map_or("", |(_, token)| token.as_str()).to_owned();
            keys.push(("chat_id".into(), chat_of(ctx, &token, config)?));
        }
    }
    let name = match name {
        Some(name) => name,
        None => dialoguer::Input::new()
            .with_prompt("Name of the channel")
            .default(kind.as_str().to_owned())
            .interact_text()
            .map_err(gone)?,
    };
    for (place, event) in NOTIFICATION_EVENTS.iter().enumerate() {
        ctx.output.note(&format!("  {:>2}  {event}", place + 1));
    }
    let events: String = dialoguer::Input::new()
        .with_prompt("Events: numbers or names with commas, or *")
        .default("*".to_owned())
        .validate_with(|said: &String| events_of(said).map(|_| ()))
        .interact_text()
        .map_err(gone)?;
    let events = events_of(&events).unwrap_or_default();
    if !events.is_empty() {
        keys.push(("events".into(), events.join(",")));
    }
    let throttle: String = dialoguer::Input::new()
        .with_prompt("At most one message about the same thing in")
        .default("60s".to_owned())
        .validate_with(|said: &String| supervisor::units::parse_duration(said).map(|_| ()))
        .interact_text()
        .map_err(gone)?;
    if throttle != "60s" {
        keys.push(("throttle".into(), throttle));
    }
    let tries = yes("Send a test message?", true)?;
    Ok((Answers { kind, name, keys }, tries))
}

fn yes(prompt: &str, default: bool) -> Result<bool, CliError> {
    let asked = dialoguer::Confirm::new()
        .with_prompt(prompt)
        .default(default);
    asked.interact().map_err(gone)
}

fn text(prompt: &str, empty: bool) -> Result<String, CliError> {
    let asked = dialoguer::Input::<String>::new()
        .with_prompt(prompt)
        .allow_empty(empty);
    asked.interact_text().map_err(gone)
}

/// Is there a bot on this platform that could speak?
fn has_bot(kind: Type, config: &DaemonConfig) -> bool {
    let Some(bot) = config.bot.as_ref().filter(|bot| bot.enabled) else {
        return false;
    };
    let tables = serde_json::to_value(bot).unwrap_or_default();
    matches!(kind, Type::Telegram | Type::Slack | Type::Discord)
        && tables[kind.as_str()].is_object()
}

/// Names of events, by their numbers in the list or as they are; none mean all.
fn events_of(said: &str) -> Result<Vec<String>, String> {
    if said.trim() == "*" {
        return Ok(Vec::new());
    }
    let words = said
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            let numbered = word
                .parse::<usize>()
                .ok()
                .and_then(|place| place.checked_sub(1));
            let found = match numbered {
                Some(place) => NOTIFICATION_EVENTS.get(place).copied(),
                None => NOTIFICATION_EVENTS.into_iter().find(|one| *one == word),
            };
            found
                .map(str::to_owned)
                .ok_or_else(|| format!("`{word}` is none of them"))
        })
        .collect()
}

/// The chat that somebody writes to the bot from, or that they name.
fn chat_of(ctx: &Context, token: &str, config: &DaemonConfig) -> Result<String, CliError> {
    let own = config.bot.as_ref().and_then(|bot| bot.telegram.as_ref());
    // Only one may read what is written to a bot.
    let is_bots = own.is_some_and(|own| own.token.expose() == token);
    let reference = token.contains("${");
    if !is_bots
        && !reference
        && yes("Find the chat by a message to the bot?", true)?
        && let Some(chat) = discovered(ctx, token)?
    {
        return Ok(chat);
    }
    text("Chat: a number such as -1001234, or @channel", false)
}

fn discovered(ctx: &Context, token: &str) -> Result<Option<String>, CliError> {
    let settings = chat::telegram::Settings::new(Secret::from(token));
    let channel = chat::telegram::Telegram::new(&settings)
        .map_err(|error| CliError::config(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failure(error.to_string()))?;
    let connected =
        runtime.block_on(async { tokio::time::timeout(TRIAL, channel.connect()).await });
    let name = match connected {
        Ok(Ok(identity)) => identity.name,
        Ok(Err(error)) => {
            return Err(CliError::failure(error.to_string()).with_help("look at the token"));
        }
        Err(_) => return Err(CliError::failure("Telegram does not answer")),
    };
    ctx.output.note(&format!(
        "Write something to {name} now, in the chat that should be told."
    ));
    let heard = runtime.block_on(async { tokio::time::timeout(PATIENCE, channel.receive()).await });
    let Ok(Ok(incoming)) = heard else {
        ctx.output.note("Nobody has written.");
        return Ok(None);
    };
    let said = match &incoming.what {
        What::Text { text, .. } => clean_line(text).into_owned(),
        What::Press { .. } => "a button".to_owned(),
    };
    let chat = incoming.place.chat.clone();
    let question = format!(
        "Is it the chat {chat}, where {} wrote “{said}”?",
        clean_line(&incoming.sender.name)
    );
    Ok(yes(&question, true)?.then_some(chat))
}

/// Writes the answers into the file.
fn put(document: &mut DocumentMut, answers: &Answers) {
    let Answers { kind, name, keys } = answers;
    let Some(table) = channel_table(document, name) else {
        return;
    };
    if name != kind.as_str() {
        settings::set(table, "type", kind.as_str());
    }
    for (key, said) in keys {
        match key.split_once('.') {
            Some((map, key)) => {
                let entry = table
                    .entry(map)
                    .or_insert_with(|| toml_edit::value(InlineTable::new()));
                if let Some(map) = entry.as_table_like_mut() {
                    map.insert(key, toml_edit::value(said.as_str()));
                }
            }
            None => settings::set(table, key, typed(key, said)),
        }
    }
}

/// A value of the kind that its key takes. Whether there is such a key the check says.
fn typed(key: &str, said: &str) -> Value {
    const LISTS: [&str; 4] = ["events", "processes", "to", "responders"];
    const NUMBERS: [&str; 3] = ["smtp_port", "thread_id", "chat_id"];
    const SWITCHES: [&str; 4] = ["enabled", "bot", "silent", "legacy_signature"];
    if LISTS.contains(&key) {
        let items = said.split(',').map(str::trim).filter(|one| !one.is_empty());
        return Value::Array(items.collect::<Array>());
    }
    match (said.parse::<i64>(), said.parse::<bool>()) {
        (Ok(number), _) if NUMBERS.contains(&key) => number.into(),
        (_, Ok(switch)) if SWITCHES.contains(&key) => switch.into(),
        _ => said.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_a_table_of_their_kinds() {
        let mut document: DocumentMut = "[daemon] # mine\nlog_level = \"info\"\n".parse().unwrap();
        let keys = [
            ("smtp_host", "mail.example.com"),
            ("smtp_port", "25"),
            ("to", "ana@example.com, ops@example.com"),
            ("from", "mhost@example.com"),
            ("headers.X-Token", "x"),
        ];
        let answers = Answers {
            kind: Type::Email,
            name: "mail".into(),
            keys: keys
                .map(|(key, said)| (key.to_owned(), said.to_owned()))
                .into(),
        };
        put(&mut document, &answers);
        let expected = "[daemon] # mine\nlog_level = \"info\"\n\n[notifications.mail]\ntype = \"email\"\n\
             smtp_host = \"mail.example.com\"\nsmtp_port = 25\n\
             to = [\"ana@example.com\", \"ops@example.com\"]\nfrom = \"mhost@example.com\"\n\
             headers = { X-Token = \"x\" }\n";
        assert_eq!(document.to_string(), expected);
    }

    #[test]
    fn events_are_named_or_numbered() {
        assert_eq!(events_of("*"), Ok(vec![]));
        assert_eq!(events_of("1, errored").unwrap(), ["crash", "errored"]);
        assert!(events_of("99").is_err() && events_of("0").is_err() && events_of("crsh").is_err());
    }
}
