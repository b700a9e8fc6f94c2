//! What channels may say, and what is told when they are wrong.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::DaemonConfig;

fn load(text: &str) -> Result<DaemonConfig, Vec<(usize, String, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    DaemonConfig::load_with(&file, &BTreeMap::new())
        .map(|(config, _)| config)
        .map_err(|error| {
            let problems = error.problems().iter();
            let told = problems.map(|p| (p.line, p.message.clone(), p.help.clone()));
            told.map(|(line, message, help)| (line, message, help.unwrap_or_default()))
                .collect()
        })
}

const ALL: &str = r#"
[notifications.telegram]
bot_token = "1:hunter22-telegram"
chat_id = -100123
thread_id = 7
events = ["crash", "recovered", "5xx_error", "high_restarts"]
escalation_after = "15m"
escalation_target = "pager"
[notifications.slack]
webhook = "https://hooks.example.com/services/T0/B0/hunter22-slack-hook"
quiet_hours = "22:00-07:00 Europe/Paris"
digest = "15m"
[notifications.discord]
webhook_url = "https://discord.example.com/api/webhooks/1/hunter22-discord-hook"
[notifications.mail]
type = "email"
smtp_host = "mail.example.com"
from = "mhost@example.com"
to = ["ana@example.com"]
username = "ana"
password = "hunter22-mail"
[notifications.sms]
account_sid = "AC1"
auth_token = "hunter22-sms"
from = "+493012"
to = ["+4915112"]
[notifications.pager]
type = "pagerduty"
routing_key = "hunter22-pager"
severity_map = { warning = "error" }
[notifications.opsgenie]
api_key = "hunter22-opsgenie"
region = "eu"
priority_map = { critical = "P1" }
[notifications.hook]
type = "webhook"
url = "http://localhost:9000/hook"
hmac_secret = "hunter22-hook"
headers = { X-Token = "hunter22-head" }
[notifications.teams]
webhook_url = "https://teams.example.com/hunter22-teams-hook"
[notifications.ntfy]
url = "https://ntfy.sh"
topic = "hunter22-topic"
processes = ["api*", "{web,worker}"]
min_severity = "warning"
[notifications.escalation]
chain = ["slack", "sms", "pager"]
escalate_after = "5m"
"#;

#[test]
fn all_ten_types_are_read_and_their_secrets_known() {
    let config = load(ALL).unwrap();
    let all = &config.notifications;
    assert_eq!(all.channels.len(), 10);
    assert_eq!(
        all.channels["telegram"].chat_id,
        Some(ChatId("-100123".into()))
    );
    let escalation = all.escalation.as_ref().unwrap();
    assert_eq!(escalation.chain, ["slack", "sms", "pager"]);
    let kinds: Vec<_> = (all.channels.iter())
        .map(|(name, one)| one.kind(name).unwrap())
        .collect();
    assert_eq!(kinds.len(), NotificationType::ALL.len());
    let secrets = config.secrets();
    let known = secrets
        .iter()
        .filter(|one| one.expose().contains("hunter22"));
    assert_eq!(known.count(), 11, "each of them once");
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter22"), "{shown}");
    assert!(shown.contains("escalate_after"));
}

#[test]
fn everything_wrong_is_told_with_its_line_and_what_to_write() {
    let text = r#"
[notifications.telegram]
bot_tokn = "x"
events = ["crsh", "deploy_done", "test"]
[notifications.alerts]
chat_id = 1
[notifications.mail]
type = "email"
smtp_host = "h"
from = "a@example.com"
to = []
username = "ana"
[notifications.pagerduty]
routing_key = "x"
severity_map = { critical = "worst" }
escalation_after = "5m"
chat_id = 4
[notifications.slack]
bot = true
channel = "C1"
webhook_url = "https://example.com"
quiet_hours = "22:00-07:00 Europe/Pariss"
"#;
    let problems = load(text).unwrap_err();
    let has = |line: usize, message: &str, help: &str| {
        let found = problems.iter().any(|(at, said, instead)| {
            *at == line && said.contains(message) && instead.contains(help)
        });
        assert!(found, "{line}: {message}: {problems:#?}");
    };
    has(3, "`bot_tokn`", "bot_token");
    has(4, "no event `crsh`", "crash");
    has(
        4,
        "this version has no event `deploy_done`",
        "mhost notify events",
    );
    has(4, "`test` is no event", "remove");
    has(5, "of which type", "there are `telegram`");
    has(7, "has no `to`", "to = [");
    has(7, "only one of", "both");
    has(15, "cannot be `worst`", "`critical`");
    has(16, "without `escalation_target`", "another channel");
    has(17, "has no `chat_id`", "routing_key");
    has(18, "no `[bot.slack]`", "mhost bot setup");
    has(21, "no effect with `bot = true`", "channel");
    has(22, "not a time zone", "Europe/Paris");
}

#[test]
fn escalation_ends_somewhere() {
    let hooks = |keys: [&str; 3]| {
        let table = |(name, keys): (&str, &str)| {
            format!("[notifications.{name}]\ntype = \"webhook\"\nurl = \"http://h\"\n{keys}\n")
        };
        ["a", "b", "c"]
            .into_iter()
            .zip(keys)
            .map(table)
            .collect::<String>()
    };
    let to = |name: &str| format!("escalation_target = \"{name}\"");
    assert!(load(&hooks([&to("b"), &to("c"), ""])).is_ok());
    let told = |text: &str| load(text).unwrap_err().remove(0).1;
    let circle = hooks([&to("b"), &to("c"), &to("a")]);
    assert_eq!(
        told(&circle),
        "escalation goes round in a circle: a → b → c → a"
    );
    let unknown = hooks([&to("bb"), "", ""]);
    assert_eq!(load(&unknown).unwrap_err()[0].2, "write `\"b\"`");
    let chain = |list: &str| {
        format!("[notifications.escalation]\nchain = {list}\nescalate_after = \"5m\"\n")
    };
    // What a channel says for itself counts, and closes a circle as well.
    let both = hooks(["", "", &to("a")]) + &chain("[\"a\", \"b\", \"c\"]");
    assert!(told(&both).contains("circle"));
    for (list, said) in [
        ("[\"a\"]", "two channels"),
        ("[\"a\", \"b\", \"a\"]", "twice"),
        ("[\"a\", \"x\"]", "no channel"),
    ] {
        assert!(
            told(&(hooks([""; 3]) + &chain(list))).contains(said),
            "{list}"
        );
    }
}
