//! `mhost agent setup`: who is asked, how far it may go by itself, and how much it may do.
//!
//! Without a flag it asks on the terminal. Everything is one change of `config.toml`: the model
//! is tried before it is written, and only the keys that it is about change.

use std::io::IsTerminal;
use std::time::Duration;

use agent::Status;
use brain::llm::{Models, Report};
use chat::Platform;
use clap::Args;
use serde_json::{Value, json};
use supervisor::AutonomyLimit;
use supervisor::config::AiProvider;
use supervisor::units::{format_duration, parse_cli_duration};
use toml_edit::DocumentMut;

use super::{tell_models, tell_status};
use crate::cli::ai::setup::{Heard, ModelFlags, Tried, Wanted, ask_for_model, try_it};
use crate::cli::context::{Context, duration};
use crate::cli::error::CliError;
use crate::cli::questions::{self, gone};
use crate::cli::settings::{self, set, table};
use crate::client::{Autostart, Client, ClientError};
use crate::exit::Exit;

/// Tries until the daemon has taken the settings, a moment apart.
const LOOKS: usize = 40;
const MOMENT: Duration = Duration::from_millis(50);

/// Say which model it asks, how far it may go and how much it may do, and enable it
///
/// Without a flag it asks. With some, only what they are about changes. All of it is written to
/// [agent] and [ai] of config.toml.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// manual, supervised (asks before it changes anything), semi (asks for high risk) or autonomous
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    autonomy: Option<AutonomyLimit>,
    /// Actions without a person in an hour, all processes together; above that it asks
    #[arg(long, value_name = "N")]
    max_actions_per_hour: Option<u32>,
    /// The same for one process in an hour
    #[arg(long, value_name = "N")]
    max_actions_per_process: Option<u32>,
    /// Time between two looks at everything, such as 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    poll_interval: Option<Duration>,
    /// A chat that is asked, such as telegram:-1001234, with a topic telegram:-1001234/7; may be
    /// given more than once. `none` asks in no chat but those of [bot]
    #[arg(long = "chat", value_name = "CHAT", value_parser = chat)]
    chats: Vec<String>,
    /// Somebody who may decide: telegram:7, or cli:ana for a user of this machine; may be given
    /// more than once. `anybody` leaves it to the roles
    #[arg(long = "approver", value_name = "ID", value_parser = approver)]
    approvers: Vec<String>,
    /// How many different people must say yes to what is high risk, from 1 to 3
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    approvals_high: Option<u8>,
    #[command(flatten)]
    model: ModelFlags,
}

/// The words for an empty list.
const NONE: &str = "none";
const ANYBODY: &str = "anybody";

/// A chat with its platform, or the word for none.
fn chat(text: &str) -> Result<String, String> {
    let text = text.trim();
    let known = text
        .split_once(':')
        .is_some_and(|(platform, id)| platform.parse::<Platform>().is_ok() && !id.is_empty());
    if known || text == NONE {
        return Ok(text.to_owned());
    }
    Err("write the platform and its id, such as telegram:-1001234".into())
}

/// Somebody with the way they come, or the word for everybody.
fn approver(text: &str) -> Result<String, String> {
    let text = text.trim();
    let known = text.split_once(':').is_some_and(|(way, id)| {
        (way == "cli" || way.parse::<Platform>().is_ok()) && !id.is_empty()
    });
    if known || text == ANYBODY {
        return Ok(text.to_owned());
    }
    Err("write telegram:7, or cli:ana for a user of this machine".into())
}

const LEVELS: [(AutonomyLimit, &str); 4] = [
    (AutonomyLimit::Manual, "manual: it only looks"),
    (
        AutonomyLimit::Supervised,
        "supervised: it asks before it changes anything",
    ),
    (
        AutonomyLimit::Semi,
        "semi: it does what is low risk, and asks for the rest",
    ),
    (
        AutonomyLimit::Autonomous,
        "autonomous: it acts within its bounds",
    ),
];

/// The word of a level, as it stands in the file.
fn word(level: AutonomyLimit) -> &'static str {
    let text = LEVELS.iter().find(|(one, _)| *one == level);
    text.and_then(|(_, text)| text.split(':').next())
        .unwrap_or_default()
}

fn level(text: &str) -> Result<AutonomyLimit, String> {
    let found = LEVELS.iter().find(|(one, _)| word(*one) == text);
    found
        .map(|(level, _)| *level)
        .ok_or_else(|| format!("known are {}", LEVELS.map(|(one, _)| word(one)).join(", ")))
}

/// What is to be written; what is left out stays as it is.
#[derive(Debug, Default)]
struct Choice {
    model: Option<Wanted>,
    autonomy: Option<AutonomyLimit>,
    per_hour: Option<u32>,
    per_process: Option<u32>,
    poll_interval: Option<Duration>,
    chats: Option<Vec<String>>,
    approvers: Option<Vec<String>>,
    approvals_high: Option<u8>,
}

/// A list that was given, without the word for an empty one; none when it was not given.
fn given(list: Vec<String>, empty: &str) -> Option<Vec<String>> {
    let given = !list.is_empty();
    given.then(|| list.into_iter().filter(|one| one != empty).collect())
}

impl Choice {
    fn is_empty(&self) -> bool {
        self.chats.is_none()
            && self.approvers.is_none()
            && self.approvals_high.is_none()
            && self.model.is_none()
            && self.autonomy.is_none()
            && self.per_hour.is_none()
            && self.per_process.is_none()
            && self.poll_interval.is_none()
    }

    fn put(&self, document: &mut DocumentMut) {
        if let Some(model) = &self.model {
            model.put(document);
        }
        let Some(agent) = table(document, "agent") else {
            return;
        };
        set(agent, "enabled", true);
        if let Some(level) = self.autonomy {
            set(agent, "autonomy", word(level));
        }
        if let Some(most) = self.per_hour {
            set(agent, "max_actions_per_hour", i64::from(most));
        }
        if let Some(most) = self.per_process {
            set(agent, "max_actions_per_process_per_hour", i64::from(most));
        }
        if let Some(time) = self.poll_interval {
            set(agent, "poll_interval", format_duration(time));
        }
        let array = |list: &[String]| list.iter().collect::<toml_edit::Array>();
        if let Some(chats) = &self.chats {
            set(agent, "channels", array(chats));
            // It is one of those chats, or none.
            agent.remove("telegram_chat");
        }
        if let Some(approvers) = &self.approvers {
            set(agent, "approvers", array(approvers));
        }
        if let Some(most) = self.approvals_high {
            let both = agent
                .entry("approvals")
                .or_insert_with(|| toml_edit::value(toml_edit::InlineTable::new()));
            if let Some(both) = both.as_table_like_mut() {
                both.insert("high", toml_edit::value(i64::from(most)));
                both.fmt();
            }
        }
    }
}

impl Setup {
    /// Asks, tries, writes.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let path = ctx.paths()?.config();
        let test = self.model.test();
        let flags = Choice {
            model: self.model.wanted()?,
            autonomy: self.autonomy,
            per_hour: self.max_actions_per_hour,
            per_process: self.max_actions_per_process,
            poll_interval: self.poll_interval,
            chats: given(self.chats, NONE),
            approvers: given(self.approvers, ANYBODY),
            approvals_high: self.approvals_high,
        };
        let choice = if flags.is_empty() {
            ask(ctx, &path)?
        } else {
            flags
        };
        let checked = settings::check(&path, |document| choice.put(document))?;
        let tried = match &choice.model {
            Some(wanted) if test => Some(try_it(ctx, wanted, &checked)?),
            _ => None,
        };
        let agent = checked.config.agent.clone();
        let doubts = checked.doubts.clone();
        checked.write()?;
        let heard = tell_daemon(ctx, tried.as_ref(), |status| {
            status.agent_level == agent.autonomy
                && status.budget.max == agent.max_actions_per_hour
                && status.budget.max_per_process == agent.max_actions_per_process_per_hour
                && u128::from(status.poll_interval_ms) == agent.poll_interval.as_millis()
                && status.approvers.len() == agent.approvers.len()
                && status.approvals.low == agent.approvals.low
                && status.approvals.high == agent.approvals.high
        });
        let (heard, in_force) = match heard {
            Ok(in_force) => (
                Heard::of(in_force.as_ref().map(|(_, models)| models)),
                in_force,
            ),
            Err(error) => (Heard::Refused(error.to_string()), None),
        };
        if ctx.output.is_json() {
            ctx.output.json(&json!({
                "written": path,
                "tested": tried.is_some(),
                "model": tried.as_ref().map(|tried| &tried.model.model),
                "in_force": in_force.is_some(),
                "why_no_model": heard.why_not(),
                "agent": in_force.map(|(status, _)| status),
                "warnings": doubts,
            }))?;
            return Ok(Exit::Success);
        }
        if let Some(tried) = &tried {
            ctx.output.done(&format!("{} answers", tried.model.model))?;
        }
        ctx.output.done(&format!("wrote {}", path.display()))?;
        for doubt in &doubts {
            ctx.output.warn(doubt);
        }
        match in_force {
            Some((status, models)) => {
                tell_status(ctx, &status)?;
                tell_models(ctx, &models)?;
                if status.stopped {
                    ctx.output
                        .warn("somebody stopped it: mhost agent start lets it act again");
                }
            }
            None => match heard.why_not() {
                Some(why) => ctx
                    .output
                    .warn(&format!("the daemon does not use it: {why}")),
                None => ctx
                    .output
                    .note("  no daemon runs; the next one uses it from its start"),
            },
        }
        Ok(Exit::Success)
    }
}

/// Has a running daemon taken the settings? None is started for it. What is in force follows a
/// moment after the settings, so it is looked at until it is `as_wanted`.
fn tell_daemon(
    ctx: &Context,
    tried: Option<&Tried>,
    as_wanted: impl Fn(&Status) -> bool,
) -> Result<Option<(Status, Report)>, ClientError> {
    let Ok(paths) = ctx.paths() else {
        return Ok(None);
    };
    let Ok(mut client) = Client::connect(&paths, Autostart::No) else {
        return Ok(None);
    };
    client.call::<Value>("daemon.reload_config", json!({}))?;
    let mut status: Status = client.call("agent.status", json!({}))?;
    for _ in 0..LOOKS {
        if as_wanted(&status) {
            break;
        }
        crate::client::pause(MOMENT);
        status = client.call("agent.status", json!({}))?;
    }
    if let Some(tried) = tried {
        tried.count(&mut client);
    }
    let models = client.call("ai.models", json!({}))?;
    Ok(Some((status, models)))
}

fn ask(ctx: &Context, path: &std::path::Path) -> Result<Choice, CliError> {
    if !std::io::stdin().is_terminal() || ctx.output.is_json() {
        return Err(
            CliError::config("there is no terminal to ask on").with_help(
                "say it with flags: mhost agent setup --autonomy supervised --provider openai \
                 --key '${OPENAI_API_KEY}' --max-actions-per-hour 10 --poll-interval 30s \
                 --chat telegram:-1001234",
            ),
        );
    }
    // What is there now is what an empty answer keeps.
    let now = settings::check(path, |_| ())?.config;
    let stay = match &now.ai {
        Some(ai) => format!("as it is: {}", ai.provider.as_str()),
        None => "none: playbooks and causes only".to_owned(),
    };
    questions::begin();
    let mut items = vec![stay];
    items.extend(
        AiProvider::ALL
            .map(|one| format!("{} (usually {})", one.as_str(), Models::usual_model(one))),
    );
    let place = dialoguer::Select::new()
        .with_prompt("Whose model does it ask about what mhost does not know by itself")
        .items(&items)
        .default(0)
        .interact()
        .map_err(gone)?;
    let model = match place {
        0 => None,
        place => Some(ask_for_model(AiProvider::ALL[place - 1])?),
    };
    let usual = LEVELS
        .iter()
        .position(|(one, _)| *one == now.agent.autonomy);
    let place = dialoguer::Select::new()
        .with_prompt("What may it do by itself")
        .items(LEVELS.map(|(_, text)| text))
        .default(usual.unwrap_or(1))
        .interact()
        .map_err(gone)?;
    let number = |prompt: &str, now: u32| {
        dialoguer::Input::<u32>::new()
            .with_prompt(prompt)
            .default(now)
            .interact_text()
            .map_err(gone)
    };
    let agent = &now.agent;
    let per_hour = number(
        "Most actions without a person in an hour",
        agent.max_actions_per_hour,
    )?;
    let per_process = number(
        "The same for one process",
        agent.max_actions_per_process_per_hour,
    )?;
    let time: String = dialoguer::Input::new()
        .with_prompt("Time between two looks at everything")
        .default(format_duration(agent.poll_interval))
        .validate_with(|text: &String| parse_cli_duration(text).map(|_| ()))
        .interact_text()
        .map_err(gone)?;
    // A bot that is not there yet asks nobody.
    let chats = match &now.bot {
        None => None,
        Some(_) => {
            let said: String = dialoguer::Input::new()
                .with_prompt("Chat that is asked, such as telegram:-1001234 (none: those of [bot])")
                .default(match agent.chats().as_slice() {
                    [] => NONE.to_owned(),
                    chats => chats.join(" "),
                })
                .validate_with(|text: &String| {
                    text.split_whitespace()
                        .try_for_each(|one| chat(one).map(drop))
                })
                .interact_text()
                .map_err(gone)?;
            given(said.split_whitespace().map(str::to_owned).collect(), NONE)
        }
    };
    Ok(Choice {
        model,
        chats,
        approvers: None,
        approvals_high: None,
        autonomy: Some(LEVELS[place].0),
        per_hour: Some(per_hour),
        per_process: Some(per_process),
        poll_interval: parse_cli_duration(&time).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_by_their_words() {
        for (one, _) in LEVELS {
            assert_eq!(level(word(one)), Ok(one));
            assert_eq!(json!(one), word(one));
        }
        assert!(level("auto").unwrap_err().contains("supervised"));
    }

    #[test]
    fn people_and_chats_have_their_platform() {
        for text in ["telegram:-1001234/7", "none"] {
            assert_eq!(chat(text).as_deref(), Ok(text));
        }
        for text in ["cli:ana", "telegram:7", "anybody"] {
            assert_eq!(approver(text).as_deref(), Ok(text));
        }
        for text in ["ops", "telegram:", "irc:x", ""] {
            assert!(chat(text).is_err() && approver(text).is_err(), "{text}");
        }
    }

    #[test]
    fn who_is_asked_is_written() {
        let old = "[agent]\ntelegram_chat = \"-1\"\napprovals = { low = 2 }\n";
        let mut document: DocumentMut = old.parse().unwrap();
        Choice {
            chats: given(vec!["telegram:-2".into()], NONE),
            approvers: given(vec![ANYBODY.into()], ANYBODY),
            approvals_high: Some(2),
            ..Choice::default()
        }
        .put(&mut document);
        assert_eq!(
            document.to_string(),
            "[agent]\napprovals = { low = 2, high = 2 }\nenabled = true\n\
             channels = [\"telegram:-2\"]\napprovers = []\n"
        );
    }

    #[test]
    fn only_what_is_said_changes() {
        let of = |choice: Choice, old: &str| {
            let mut document: DocumentMut = old.parse().unwrap();
            choice.put(&mut document);
            document.to_string()
        };
        let old = "[agent] # mine\nautonomy = \"semi\" # for now\nverify_window = \"5s\"\n";
        let choice = Choice {
            per_hour: Some(4),
            poll_interval: Some(Duration::from_secs(90)),
            ..Choice::default()
        };
        assert_eq!(
            of(choice, old),
            format!("{old}enabled = true\nmax_actions_per_hour = 4\npoll_interval = \"1m30s\"\n")
        );
        let choice = Choice {
            autonomy: Some(AutonomyLimit::Supervised),
            ..Choice::default()
        };
        assert_eq!(
            of(choice, old),
            old.replace("semi", "supervised") + "enabled = true\n"
        );
    }
}
