//! `mhost bot setup`: a token, tried out, and the first admin.
//!
//! Without `--set` it asks on the terminal. The first admin is found by what they write: whoever
//! sends `/whoami` to the bot stands in the audit log with the id that counts.

use std::io::IsTerminal;
use std::time::Duration;

use chat::discord::Discord;
use chat::slack::Slack;
use chat::telegram::Telegram;
use chat::{ChatError, Platform};
use clap::Args;
use serde_json::json;
use supervisor::config::{BotConfig, DaemonConfig};
use toml_edit::{Item, Table as TomlTable, value};

use super::{change, messages};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::questions::{self, gone};
use crate::cli::settings;
use crate::exit::Exit;

/// How often it is looked whether somebody has written, one second apart.
const LOOKS: u32 = 120;
const MOMENT: Duration = Duration::from_secs(1);
/// How long the platform may take to say who the token belongs to.
const TRIAL: Duration = Duration::from_secs(20);

/// Say which bot to use, try its token, and find its first admin
///
/// Without --set it asks. Keys: token (better '${TELEGRAM_TOKEN}', which is written as it is),
/// admin (an id as /whoami shows it), base_url; of Slack bot_token and app_token, or
/// signing_secret and listen, in the place of the token; of Discord also application_id and
/// guild.
#[derive(Debug, Args)]
pub(super) struct Setup {
    /// Which platform: telegram, slack or discord
    #[arg(default_value = "telegram", value_parser = platform)]
    platform: Platform,
    /// A key and its value, such as token=123456:ABC; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(Key, String)>,
    /// Do not try the token first
    #[arg(long)]
    no_test: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Token,
    BotToken,
    AppToken,
    SigningSecret,
    Listen,
    ApplicationId,
    Guild,
    BaseUrl,
    Admin,
}

impl Key {
    const ALL: [Self; 9] = [
        Self::Token,
        Self::BotToken,
        Self::AppToken,
        Self::SigningSecret,
        Self::Listen,
        Self::ApplicationId,
        Self::Guild,
        Self::BaseUrl,
        Self::Admin,
    ];

    /// As it stands in the table of a platform; the admin stands elsewhere.
    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::BotToken => "bot_token",
            Self::AppToken => "app_token",
            Self::SigningSecret => "signing_secret",
            Self::Listen => "listen",
            Self::ApplicationId => "application_id",
            Self::Guild => "guild",
            Self::BaseUrl => "base_url",
            Self::Admin => "admin",
        }
    }

    fn fits(self, platform: Platform) -> bool {
        match self {
            Self::BaseUrl | Self::Admin => true,
            Self::Token => platform != Platform::Slack,
            Self::BotToken | Self::AppToken | Self::SigningSecret | Self::Listen => {
                platform == Platform::Slack
            }
            Self::ApplicationId | Self::Guild => platform == Platform::Discord,
        }
    }

    /// What is asked for on the terminal, the key that must be there first.
    fn asked(platform: Platform) -> &'static [(Self, &'static str)] {
        match platform {
            Platform::Slack => &[
                (Self::BotToken, "Token of the bot, xoxb-…"),
                (Self::AppToken, "Token of the app, xapp-…"),
            ],
            Platform::Telegram => &[(Self::Token, "Token of the bot, from @BotFather")],
            Platform::Discord => &[(Self::Token, "Token of the bot, from Bot → Reset Token")],
        }
    }

    /// A variable that it might stand in.
    fn reference(self, platform: Platform) -> String {
        let name = format!("{platform}_{}", self.name()).to_ascii_uppercase();
        format!("{}=${{{name}}}", self.name())
    }
}

fn platform(text: &str) -> Result<Platform, String> {
    text.parse::<Platform>().map_err(|error| error.to_string())
}

fn pair(text: &str) -> Result<(Key, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    let known = Key::ALL.into_iter().find(|one| one.name() == key);
    let key = known.ok_or_else(|| {
        let names = Key::ALL.map(Key::name);
        format!("the keys are {}", names.join(", "))
    })?;
    if value.is_empty() {
        return Err("the value is missing".into());
    }
    Ok((key, value.to_owned()))
}

impl Setup {
    /// Asks, tries, writes.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let platform = self.platform;
        if let Some((key, _)) = self.set.iter().find(|(key, _)| !key.fits(platform)) {
            let key = key.name();
            return Err(CliError::config(format!("{platform} has no `{key}`"))
                .with_help("mhost bot setup --help"));
        }
        let said = |key| {
            let mut all = self.set.iter().rev();
            all.find(|(one, _)| *one == key)
                .map(|(_, value)| value.clone())
        };
        let asks = self.set.is_empty();
        let wanted = Key::asked(platform);
        if asks && (!std::io::stdin().is_terminal() || ctx.output.is_json()) {
            let flags = wanted
                .iter()
                .map(|(key, _)| format!("--set '{}' ", key.reference(platform)));
            let flags: String = flags.collect();
            return Err(
                CliError::config("there is no terminal to ask on").with_help(format!(
                    "say it with flags: mhost bot setup {platform} {flags}--set admin=<id>"
                )),
            );
        }
        let mut fields: Vec<(&str, String)> = Vec::new();
        if asks {
            questions::begin();
            for (key, prompt) in wanted {
                let prompt = dialoguer::Password::new().with_prompt(*prompt);
                fields.push((key.name(), prompt.interact().map_err(gone)?));
            }
        } else if let Some((first, _)) = wanted.first().filter(|(key, _)| said(*key).is_none()) {
            let name = first.name().replace('_', " ");
            return Err(CliError::config(format!("the {name} is missing"))
                .with_help(format!("--set '{}'", first.reference(platform))));
        }
        let others = Key::ALL.into_iter().filter(|key| *key != Key::Admin);
        fields.extend(others.filter_map(|key| Some((key.name(), said(key)?))));
        let admin = said(Key::Admin).map(|id| qualified(platform, &id));
        let put = |document: &mut toml_edit::DocumentMut| {
            let Some(bot) = settings::table(document, "bot") else {
                return;
            };
            settings::set(bot, "enabled", true);
            let table = bot
                .entry(platform.as_str())
                .or_insert_with(|| Item::Table(TomlTable::new()));
            if let Some(table) = table.as_table_like_mut() {
                for (name, said) in &fields {
                    table.insert(name, value(said.trim()));
                }
            }
            if let Some(id) = &admin {
                let users = bot
                    .entry("users")
                    .or_insert_with(|| Item::Table(TomlTable::new()));
                if let Some(users) = users.as_table_like_mut() {
                    users.insert(id, value("admin"));
                }
            }
        };
        let path = ctx.paths()?.config();
        let checked = settings::check(&path, put)?;
        let found = match self.no_test {
            true => None,
            false => Some(tried(ctx, platform, &checked.config)?),
        };
        let written = change(ctx, put)?;
        if ctx.output.is_json() {
            let bot = found.as_ref().map(|found| &found.name);
            let invitation = found.as_ref().and_then(|found| found.invitation.as_ref());
            ctx.output
                .json(&json!({ "written": path, "bot": bot, "invitation": invitation }))?;
            return Ok(Exit::Success);
        }
        if let Some(Found { name, .. }) = &found {
            ctx.output.done(&format!("{name} answers"))?;
        }
        ctx.output.done(&format!("wrote {}", path.display()))?;
        if let Some(address) = found.as_ref().and_then(|found| found.invitation.as_ref()) {
            ctx.output
                .note(&format!("  bring it onto your server: {address}"));
        }
        let has_admin = written.bot.is_some_and(|bot| !bot.users.is_empty());
        if asks && !has_admin {
            let name = found.map_or_else(|| "the bot".to_owned(), |found| found.name);
            return first_admin(ctx, &name);
        }
        if !has_admin {
            ctx.output.note(
                "  nobody may do anything yet: send /whoami to the bot, then mhost bot add-admin <id>",
            );
        }
        Ok(Exit::Success)
    }
}

/// With the platform before it, so that it stays right when another one comes.
fn qualified(platform: Platform, id: &str) -> String {
    if id.contains(':') {
        id.to_owned()
    } else {
        format!("{platform}:{id}")
    }
}

/// What a platform says of a token.
struct Found {
    /// Who it belongs to.
    name: String,
    /// The address by which the bot is brought to where it is needed.
    invitation: Option<String>,
}

/// Why nobody was found.
enum Unfound {
    /// Nothing was asked: it cannot be right.
    Settings(String),
    /// What the platform said.
    Said(ChatError),
}

impl From<ChatError> for Unfound {
    fn from(error: ChatError) -> Self {
        Self::Said(error)
    }
}

/// Asks the platform who the token belongs to.
fn tried(ctx: &Context, platform: Platform, config: &DaemonConfig) -> Result<Found, CliError> {
    let bot = config.bot.clone().unwrap_or_default();
    ctx.output.note("asking the platform …");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failure(error.to_string()))?;
    let asked = Box::pin(asked(platform, &bot));
    let asked = runtime.block_on(async { tokio::time::timeout(TRIAL, asked).await });
    match asked {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(Unfound::Settings(why))) => Err(CliError::config(why)),
        Ok(Err(Unfound::Said(error))) => Err(CliError::failure(error.to_string())
            .with_help("look at the token; or add --no-test to write it all the same")),
        Err(_) => Err(CliError::failure("the platform does not answer")
            .with_help("or add --no-test to write it all the same")),
    }
}

async fn asked(platform: Platform, bot: &BotConfig) -> Result<Found, Unfound> {
    fn wrong(why: impl std::fmt::Display) -> Unfound {
        Unfound::Settings(why.to_string())
    }
    let none = || wrong(format!("`bot.{platform}` is no table"));
    match platform {
        Platform::Telegram => {
            let config = bot.telegram.as_ref().ok_or_else(none)?;
            let settings = config.try_into();
            let channel = settings.and_then(|settings| Telegram::new(&settings));
            let name = channel.map_err(wrong)?.identity().await?.name;
            let invitation = None;
            Ok(Found { name, invitation })
        }
        Platform::Slack => {
            let config = bot.slack.as_ref().ok_or_else(none)?;
            let channel = Slack::new(&config.into()).map_err(wrong)?;
            let name = channel.identity().await?.name;
            let invitation = None;
            Ok(Found { name, invitation })
        }
        Platform::Discord => {
            let config = bot.discord.as_ref().ok_or_else(none)?;
            let channel = Discord::new(&config.into(), None).map_err(wrong)?;
            let name = channel.identity().await?.name;
            let invitation = Some(channel.invitation().await?);
            Ok(Found { name, invitation })
        }
    }
}

/// Waits for somebody to write, and makes them the admin if it is the right one.
fn first_admin(ctx: &Context, name: &str) -> Result<Exit, CliError> {
    ctx.output.note(&format!(
        "Write /whoami to {name} now. (Ctrl-C ends this; the token is written.)"
    ));
    let since = ctx.clock.now();
    let mut asked_about: Vec<String> = Vec::new();
    for _ in 0..LOOKS {
        for row in messages(ctx, 50, Some(since))? {
            let who = row.who.trim_start_matches("chat:").to_owned();
            if row.command != "/whoami" || asked_about.contains(&who) {
                continue;
            }
            let called = row.message.map_or_else(String::new, |one| one.name);
            let yes = dialoguer::Confirm::new()
                .with_prompt(format!(
                    "Is {who} ({}) you?",
                    crate::output::text::clean_line(&called)
                ))
                .default(false)
                .interact()
                .map_err(gone)?;
            if !yes {
                asked_about.push(who);
                continue;
            }
            change(ctx, |document| {
                if let Some(bot) = settings::table(document, "bot") {
                    let users = bot
                        .entry("users")
                        .or_insert_with(|| Item::Table(TomlTable::new()));
                    if let Some(users) = users.as_table_like_mut() {
                        users.insert(&who, value("admin"));
                    }
                }
            })?;
            ctx.output.done(&format!("{who} is admin"))?;
            return Ok(Exit::Success);
        }
        crate::client::pause(MOMENT);
    }
    ctx.output
        .note("Nobody has written. Later: mhost bot add-admin <id>; /whoami in the chat shows it.");
    Ok(Exit::Success)
}
