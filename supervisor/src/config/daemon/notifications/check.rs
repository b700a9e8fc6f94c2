//! What `[notifications.<name>]` means, checked: names, the keys of each type, what must be
//! there, words of events.

mod escalation;

use super::{ESCALATION, NotificationType};
use crate::config::headers;
use crate::config::problem::Problems;
use crate::config::suggest::{listed, nearest};
use crate::config::tree::{Entry, Format, Node, Value};
use crate::config::validate;
use crate::ids::MAX_NAME;

/// Events that this version tells of, in the order of the reference.
pub const NOTIFICATION_EVENTS: [&str; 15] = [
    "crash",
    "errored",
    "health_fail",
    "health_recover",
    "memory_exceeded",
    "restart",
    "stop",
    "brain_heal",
    "health_score_low",
    "agent_action",
    "agent_approval",
    "escalated",
    "disk_low",
    "sink_down",
    "daemon_started",
];

/// Words of older settings, and what they mean.
pub const NOTIFICATION_ALIASES: [(&str, &str); 6] = [
    ("recovered", "health_recover"),
    ("oom_kill", "memory_exceeded"),
    ("high_restarts", "errored, and the third crash in 5 min"),
    ("stopped", "stop"),
    (
        "5xx_error",
        "health_fail that was answered with 500 or more",
    ),
    ("*", "all"),
];

/// Events of parts that this version does not have.
const LATER: [&str; 6] = [
    "deploy_start",
    "deploy_done",
    "deploy_failed",
    "deploy_success",
    "deploy_fail",
    "cert_expiring",
];
/// What stands for other events, and goes to every channel that wants those.
const ALWAYS: [&str; 3] = ["test", "digest", "flapping"];

const COMMON: &[&str] = &[
    "type",
    "enabled",
    "events",
    "processes",
    "min_severity",
    "throttle",
    "escalation_after",
    "escalation_target",
    "quiet_hours",
    "digest",
];

/// What the tables mean, checked.
///
/// `is_public`: others may read the file.
pub(in crate::config::daemon) fn check(root: &Node, is_public: bool, problems: &mut Problems) {
    let Some(tables) = root.get("notifications") else {
        return;
    };
    let channels: Vec<&Entry> = (tables.entries().iter())
        .filter(|entry| entry.key != ESCALATION && matches!(entry.value.value, Value::Table(_)))
        .collect();
    for entry in &channels {
        name(entry, problems);
        table(entry, root.get("bot"), problems);
        words(entry, problems);
        if is_public {
            let headers = entry.value.get("headers").map(Node::entries);
            let own = entry.value.entries().iter();
            for secret in own.chain(headers.unwrap_or_default()) {
                validate::secret(secret, problems);
            }
        }
    }
    let names: Vec<&str> = channels.iter().map(|entry| entry.key.as_str()).collect();
    escalation::check(&channels, &names, tables.entry(ESCALATION), problems);
}

fn name(entry: &Entry, problems: &mut Problems) {
    let name = &entry.key;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        problems.error(
            &entry.key_span,
            format!("`{name}` cannot be the name of a channel"),
            format!("write 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`"),
        );
    }
}

/// The keys of a type beside the common ones, and a line for each that must be there.
type Keys = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

fn keys_of(kind: NotificationType, bot: bool) -> Keys {
    use NotificationType as Type;
    match kind {
        Type::Telegram if bot => (&["bot", "chat_id", "thread_id"], &[("chat_id", "-1001234")]),
        Type::Slack | Type::Discord if bot => (&["bot", "channel"], &[("channel", "\"C0123456\"")]),
        Type::Telegram => (
            &[
                "bot",
                "bot_token",
                "chat_id",
                "thread_id",
                "silent",
                "base_url",
            ],
            &[
                ("bot_token", "\"${TELEGRAM_TOKEN}\""),
                ("chat_id", "-1001234"),
            ],
        ),
        Type::Slack => (
            &[
                "bot",
                "webhook_url",
                "webhook",
                "bot_token",
                "channel",
                "base_url",
            ],
            &[("webhook_url", "\"${SLACK_WEBHOOK}\"")],
        ),
        Type::Discord => (
            &["bot", "webhook_url", "webhook", "base_url"],
            &[("webhook_url", "\"${DISCORD_WEBHOOK}\"")],
        ),
        Type::Email => (
            &[
                "smtp_host",
                "smtp_port",
                "username",
                "password",
                "from",
                "to",
                "tls",
                "ca_file",
            ],
            &[
                ("smtp_host", "\"mail.example.com\""),
                ("from", "\"mhost@example.com\""),
                ("to", "[\"ana@example.com\"]"),
            ],
        ),
        Type::Sms => (
            &[
                "account_sid",
                "auth_token",
                "from",
                "messaging_service_sid",
                "to",
                "base_url",
            ],
            &[
                ("account_sid", "\"AC…\""),
                ("auth_token", "\"${TWILIO_TOKEN}\""),
                ("to", "[\"+4915112345678\"]"),
            ],
        ),
        Type::Pagerduty => (
            &["routing_key", "severity_map", "base_url"],
            &[("routing_key", "\"${PAGERDUTY_KEY}\"")],
        ),
        Type::Opsgenie => (
            &[
                "api_key",
                "region",
                "responders",
                "priority_map",
                "base_url",
            ],
            &[("api_key", "\"${OPSGENIE_KEY}\"")],
        ),
        Type::Webhook => (
            &[
                "url",
                "method",
                "headers",
                "secret",
                "hmac_secret",
                "legacy_signature",
            ],
            &[("url", "\"https://example.com/hook\"")],
        ),
        Type::Teams => (
            &["webhook_url", "webhook", "base_url"],
            &[("webhook_url", "\"${TEAMS_WEBHOOK}\"")],
        ),
        Type::Ntfy => (
            &["url", "topic", "token"],
            &[
                ("url", "\"https://ntfy.sh\""),
                ("topic", "\"${NTFY_TOPIC}\""),
            ],
        ),
    }
}

fn table(entry: &Entry, bots: Option<&Node>, problems: &mut Problems) {
    let table = &entry.value;
    let written = table.get("type").and_then(Node::text);
    let all = || NotificationType::ALL.iter().map(|one| one.as_str());
    let Some(kind) = NotificationType::named(written.unwrap_or(&entry.key)) else {
        // A wrong word was told already.
        if written.is_none() && table.get("type").is_none() {
            let near = nearest(&entry.key, all()).unwrap_or("telegram");
            problems.error(
                &entry.key_span,
                format!(
                    "`notifications.{}` does not say of which type it is",
                    entry.key
                ),
                format!(
                    "add `{}`; there are {}",
                    Format::Toml.assign("type", &format!("\"{near}\"")),
                    listed(all())
                ),
            );
        }
        return;
    };
    let word = kind.as_str();
    let bot = matches!(
        table.get("bot").map(|node| &node.value),
        Some(Value::Bool(true))
    );
    let (own, mut needed) = keys_of(kind, bot);
    // An app of Slack writes into a channel, and has no webhook.
    let app = kind == NotificationType::Slack && !bot && table.get("bot_token").is_some();
    if app {
        needed = &[
            ("bot_token", "\"${SLACK_TOKEN}\""),
            ("channel", "\"C0123456\""),
        ];
        for key in ["webhook_url", "webhook"] {
            if let Some(given) = table.entry(key) {
                problems.error(
                    &given.key_span,
                    format!("`{key}` has no effect beside `bot_token`"),
                    "remove one of them",
                );
            }
        }
    }
    for given in table.entries() {
        let key = given.key.as_str();
        if COMMON.contains(&key) || own.contains(&key) {
            continue;
        }
        let known = keys_of(kind, false).0.contains(&key);
        let what = match known {
            true => format!("`{key}` has no effect with `bot = true`"),
            false => format!("a channel of type {word} has no `{key}`"),
        };
        let shown = own
            .iter()
            .filter(|one| !matches!(**one, "webhook" | "hmac_secret"));
        problems.error(
            &given.key_span,
            what,
            format!("remove it; it has {}", listed(shown.copied())),
        );
    }
    let empty = |key: &str| {
        let key = match key {
            "webhook_url" if table.get("webhook").is_some() => "webhook",
            other => other,
        };
        match table.get(key).map(|node| &node.value) {
            None => true,
            Some(Value::Text(text)) => text.trim().is_empty(),
            Some(Value::List(items)) => items.is_empty(),
            Some(_) => false,
        }
    };
    for (key, example) in needed {
        if empty(key) {
            problems.error(
                &entry.key_span,
                format!("`notifications.{}` has no `{key}`", entry.key),
                format!("add `{}`", Format::Toml.assign(key, example)),
            );
        }
    }
    let mut lacks = |message: String, help: &str| problems.error(&entry.key_span, message, help);
    match kind {
        NotificationType::Email if empty("username") != empty("password") => lacks(
            format!(
                "`notifications.{}` has only one of `username` and `password`",
                entry.key
            ),
            "write both, or neither",
        ),
        NotificationType::Sms if empty("from") && empty("messaging_service_sid") => lacks(
            format!(
                "`notifications.{}` does not say which number it is from",
                entry.key
            ),
            "add `from = \"+4930123456\"`, or `messaging_service_sid`",
        ),
        _ if bot && bots.and_then(|bots| bots.get(word)).is_none() => lacks(
            format!(
                "there is no `[bot.{word}]` that `notifications.{}` could use",
                entry.key
            ),
            "mhost bot setup",
        ),
        _ => {}
    }
}

/// Words and texts of which only some mean something.
fn words(entry: &Entry, problems: &mut Problems) {
    let table = &entry.value;
    let known = || {
        let aliases = NOTIFICATION_ALIASES.iter().map(|(word, _)| *word);
        NOTIFICATION_EVENTS.iter().copied().chain(aliases)
    };
    for node in table.get("events").map(Node::items).unwrap_or_default() {
        let Some(word) = node.text().filter(|word| !known().any(|one| one == *word)) else {
            continue;
        };
        let (message, help) = if LATER.contains(&word) {
            (
                format!("this version has no event `{word}`"),
                "remove it; `mhost notify events` lists those there are".to_owned(),
            )
        } else if ALWAYS.contains(&word) {
            (
                format!("`{word}` is no event of its own"),
                "remove it: it is told wherever what it stands for is".to_owned(),
            )
        } else {
            let near = nearest(word, NOTIFICATION_EVENTS);
            let help = match near {
                Some(near) => format!("write `\"{near}\"`"),
                None => format!("there are {}", listed(NOTIFICATION_EVENTS)),
            };
            (format!("there is no event `{word}`"), help)
        };
        problems.error(&node.span, message, help);
    }
    let maps: [(&str, &[&str]); 2] = [
        ("severity_map", &["critical", "error", "warning", "info"]),
        ("priority_map", &["P1", "P2", "P3", "P4", "P5"]),
    ];
    for (key, words) in maps {
        for given in table.get(key).map(Node::entries).unwrap_or_default() {
            if let Some(text) = given.value.text().filter(|text| !words.contains(text)) {
                problems.error(
                    &given.value.span,
                    format!("`{}` in `{key}` cannot be `{text}`", given.key),
                    format!("write {}", listed(words.iter().copied())),
                );
            }
        }
    }
    if let Some(node) = table.get("method")
        && let Some(text) = node.text()
        && !["POST", "PUT", "PATCH"].contains(&text)
    {
        problems.error(
            &node.span,
            format!("`method` cannot be `{text}`"),
            "write `\"POST\"`, `\"PUT\"` or `\"PATCH\"`",
        );
    }
    headers::check(table.get("headers"), problems);
}
