//! The same from Slack, by slash commands, mentions, words in private, and buttons.
//!
//! The server is the strict one of `chat/tests/slack`, where it is proven with Slack's own
//! client and the adapter is tried on it; here it is what the whole is driven by.

#[path = "../../../chat/tests/slack/platform/mod.rs"]
mod platform;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::platform::{APP_TOKEN, BOT_TOKEN, OPS, Platform, SIGNING, Seen, Way};
use super::person::{At, Message, Person};
use super::{DRAINED, FLEET, ONE_PLAYBOOK, fault, rows, well, words};
use crate::rig::{Rig, free_port, kill, until};

const ADMIN: &str = "U0ANA";
const VIEWER: &str = "U0VIEW";
const STRANGER: &str = "U0NOBODY";

/// The server on threads of its own, and a person's way to use it.
struct Slack {
    platform: Platform,
    runtime: Runtime,
}

impl Slack {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let platform = runtime.block_on(Platform::start());
        Self { platform, runtime }
    }

    /// The private chat of somebody with the bot.
    fn private(who: &str) -> String {
        who.replacen('U', "D", 1)
    }

    /// What the newest message of a channel shows.
    fn last(&self, channel: &str) -> Seen {
        self.platform.last(channel).expect("a message")
    }

    fn has(&self, channel: &str, button: &str) -> bool {
        let last = self.platform.last(channel);
        last.is_some_and(|one| one.payload(button).is_some())
    }

    /// Types `/mhost …` in the private chat, and gives the answer.
    fn asks(&self, who: &str, words: &str) -> String {
        let private = Self::private(who);
        self.answered(&private, || self.platform.types(&private, who, words))
    }

    /// What comes in a channel after this.
    fn answered(&self, channel: &str, ask: impl FnOnce()) -> String {
        let count = || {
            let shown = self.platform.shown();
            shown.iter().filter(|one| one.channel == channel).count()
        };
        let before = count();
        ask();
        until("it is answered", || count() > before);
        self.last(channel).text
    }

    /// Presses a button of the newest message of a channel.
    fn presses(&self, channel: &str, who: &str, button: &str) {
        let message = self.last(channel);
        let payload = message.payload(button).expect("a button");
        self.platform.presses(&message, who, &payload);
    }

    /// Waits until somebody alone is told this.
    fn whispers(&self, who: &str, words: &str) {
        until(&format!("{who} is told `{words}`"), || {
            let told = self.platform.whispers();
            told.iter()
                .any(|(one, text)| one == who && text.contains(words))
        });
    }
}

fn settings(slack: &Slack, bot: &str, way: &str) -> String {
    format!(
        "[bot]\nrate_limit = 600\n{bot}\n\
         [bot.slack]\nbot_token = \"{BOT_TOKEN}\"\nbase_url = \"{}\"\n{way}\n\
         [bot.users]\n\"slack:{ADMIN}\" = \"admin\"\n\"slack:{VIEWER}\" = \"viewer\"\n\
         [brain]\nautonomy = \"supervised\"\n{ONE_PLAYBOOK}[agent]\npoll_interval = \"500ms\"\n",
        slack.platform.base_url()
    )
}

fn by_socket() -> String {
    format!("app_token = \"{APP_TOKEN}\"")
}

fn fleet(settings: &str) -> Rig {
    let rig = Rig::new().config(FLEET).settings(settings);
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("drained.rhai"), DRAINED).unwrap();
    let rig = well(rig.start());
    until("the bot is connected", || {
        rig.json(&["bot", "status"])["bots"][0]["connected"] == true
    });
    rig
}

impl Slack {
    fn channel(at: At) -> String {
        match at {
            At::Private => Self::private(ADMIN),
            At::Channel => OPS.to_owned(),
        }
    }
}

impl Person for Slack {
    fn settings(&self) -> String {
        let bot = format!("auto_alerts = false\nchannels = [\"slack:{OPS}\"]");
        settings(self, &bot, &by_socket())
    }

    fn writes(&self, words: &str) {
        let words = words.trim_start_matches('/');
        self.platform.types(&Self::private(ADMIN), ADMIN, words);
    }

    fn sees(&self, at: At) -> Vec<Message> {
        let channel = Self::channel(at);
        let mut shown = self.platform.shown();
        shown.retain(|one| one.channel == channel);
        let seen = |one: Seen| Message {
            id: one.ts,
            text: one.text,
            buttons: one.buttons.into_iter().map(|(label, _)| label).collect(),
        };
        let mut all: Vec<Message> = shown.into_iter().map(seen).collect();
        if at == At::Private {
            let told = self.platform.whispers().into_iter().enumerate();
            let told = told.filter(|(_, (who, _))| who == ADMIN);
            all.extend(told.map(|(number, (_, text))| Message {
                id: format!("whisper {number}"),
                text,
                buttons: Vec::new(),
            }));
        }
        all
    }

    fn presses(&self, at: At, message: &Message, label: &str) {
        let channel = Self::channel(at);
        let shown = self.platform.shown();
        let mut found = shown.iter().filter(|one| one.channel == channel);
        let found = found.find(|one| one.ts == message.id).expect("the message");
        let payload = found.payload(label).expect("the button");
        self.platform.presses(found, ADMIN, &payload);
    }

    fn faults(&self) -> Vec<String> {
        self.platform.faults()
    }
}

#[test]
fn every_word_is_answered() {
    words::all(&Slack::start());
}

#[test]
fn a_real_crash_is_healed() {
    fault::is_healed(&Slack::start());
}

#[test]
fn the_roles_hold() {
    let slack = Slack::start();
    let rig = fleet(&settings(&slack, "auto_alerts = false", &by_socket()));
    // What ends something is asked about, and done once.
    let private = Slack::private(ADMIN);
    assert!(slack.asks(ADMIN, "stop web").contains("Really /stop web?"));
    slack.presses(&private, ADMIN, "Confirm");
    until("it is done", || {
        slack.last(&private).text.contains("stop web: done")
    });
    assert_eq!(rig.status("web"), "stopped");
    assert!(slack.asks(ADMIN, "/start web").contains("start web: done"));
    assert!(slack.asks(ADMIN, "").contains("/restart"));

    // The same in words: in private, and in a channel behind a mention, also in a thread.
    let words = |channel: &str, text: &str, fields| {
        let write = || drop(slack.platform.writes(channel, ADMIN, text, fields));
        slack.answered(channel, write)
    };
    assert!(words(&private, "status api", json!({})).contains("api"));
    let link = "<@U0BOT> logs <http://web|web> 5";
    let thread = json!({ "thread_ts": "1600000000.000001" });
    assert!(words(OPS, link, thread).contains("signed in with"));
    let shown = slack.last(OPS);
    assert_eq!(shown.thread.as_deref(), Some("1600000000.000001"));

    // A viewer looks, a stranger learns their id and nothing else.
    assert!(slack.asks(VIEWER, "status").contains("online"));
    slack
        .platform
        .types(&Slack::private(VIEWER), VIEWER, "stop api");
    slack.whispers(VIEWER, "higher role");
    slack.platform.types(OPS, STRANGER, "status");
    slack.whispers(STRANGER, "slack:U0NOBODY");
    let before = slack.platform.shown().len();
    slack.platform.types(OPS, STRANGER, "restart api");
    until("it is on record", || {
        rows(&rig)
            .iter()
            .any(|row| row["who"] == "chat:slack:U0NOBODY" && row["command"] == "/restart")
    });
    assert_eq!(slack.platform.shown().len(), before);
    // The same id in another workspace is somebody else.
    let foreign = json!({ "user_team": "T0OTHER" });
    slack
        .platform
        .writes(OPS, ADMIN, "<@U0BOT> stop api", foreign);
    slack.whispers(ADMIN, "slack:T0OTHER-U0ANA");
    until("all is acknowledged", || {
        slack.platform.unacknowledged() == 0
    });
    assert_eq!(slack.platform.faults(), Vec::<String>::new());
}

#[test]
fn an_incident_is_one_message_from_its_first_sign_to_its_outcome() {
    let slack = Slack::start();
    let bot = format!("auto_alerts = false\nchannels = [\"slack:{OPS}\"]");
    let rig = fleet(&settings(&slack, &bot, &by_socket()));
    rig.write("ill", "");
    until("somebody is asked", || slack.has(OPS, "Approve"));
    let asked = slack.last(OPS);
    assert!(asked.text.contains("pool is drained"), "{}", asked.text);

    slack.presses(OPS, VIEWER, "Approve");
    slack.whispers(VIEWER, "role");
    assert!(slack.has(OPS, "Approve"));
    slack.presses(OPS, ADMIN, "Approve");
    until("it is measured", || {
        slack.last(OPS).text.contains("well again")
    });
    let end = slack.last(OPS);
    assert_eq!(end.ts, asked.ts, "the same message");
    assert!(end.text.contains("approved"), "{}", end.text);
    assert!(end.buttons.is_empty());
    assert_eq!(slack.platform.shown().len(), 1, "one message");
    // Pressed once more on what somebody else still sees: nothing is done twice.
    let restarts = rig.process("api")["restarts_total"].clone();
    let payload = asked.payload("Approve").unwrap();
    slack.platform.presses(&asked, ADMIN, &payload);
    slack.whispers(ADMIN, "Too late");
    assert_eq!(rig.process("api")["restarts_total"], restarts);
    assert_eq!(slack.platform.faults(), Vec::<String>::new());
}

/// An admin is asked in private; the daemon is killed as soon as the press is acknowledged: the
/// next one acts on it, once.
#[test]
fn a_press_survives_a_kill() {
    let slack = Slack::start();
    let rig = fleet(&settings(&slack, "auto_alerts = true", &by_socket()));
    let private = Slack::private(ADMIN);
    rig.write("ill", "");
    until("somebody is asked", || slack.has(&private, "Approve"));
    let before = super::runs(&rig);
    let daemon = rig.home().daemon().unwrap();
    slack.presses(&private, ADMIN, "Approve");
    until("it is acknowledged", || slack.platform.acknowledged() > 0);
    kill(daemon, rustix::process::Signal::KILL);
    until("it is well again", || {
        slack.last(&private).text.contains("well again")
    });
    assert_eq!(super::runs(&rig), before + 1);
    assert_eq!(slack.platform.faults(), Vec::<String>::new());
}

#[test]
fn signed_requests_are_a_way_in_and_secrets_stay_secret() {
    let slack = Slack::start();
    let address = format!("127.0.0.1:{}", free_port());
    let way = format!("signing_secret = \"{SIGNING}\"\nlisten = \"{address}\"");
    let rig = fleet(&settings(&slack, "auto_alerts = false", &way));
    slack
        .platform
        .by(Way::Signed(format!("http://{address}/slack")));
    let guard = slack.runtime.enter();
    assert!(slack.asks(ADMIN, "status").contains("2 of 2 online"));
    drop(guard);
    assert_eq!(slack.platform.connections(), 0);
    let told = [
        rig.ok(&["bot", "status"]),
        std::fs::read_to_string(rig.home().file("logs/daemon.log")).unwrap(),
    ];
    for secret in [BOT_TOKEN, SIGNING] {
        assert!(told.iter().all(|text| !text.contains(secret)));
    }
    assert_eq!(slack.platform.faults(), Vec::<String>::new());
}

#[test]
fn setup_tries_both_tokens_and_writes_them() {
    let slack = Slack::start();
    let rig = Rig::new();
    let base = format!("base_url={}", slack.platform.base_url());
    let (bot, app) = (
        format!("bot_token={BOT_TOKEN}"),
        format!("app_token={APP_TOKEN}"),
    );
    let setup = |pairs: &[&str]| {
        let mut args = vec!["bot", "setup", "slack"];
        pairs.iter().for_each(|pair| args.extend(["--set", pair]));
        rig.run(&args)
    };
    let said = |output: &std::process::Output| crate::rig::home::stderr(output);
    let wrong = setup(&["bot_token=xoxb-wrong", &app, &base]);
    assert!(said(&wrong).contains("invalid_auth"), "{}", said(&wrong));
    let wrong = setup(&[&bot, "app_token=xapp-wrong", &base]);
    assert!(said(&wrong).contains("invalid_auth"), "{}", said(&wrong));
    let deaf = setup(&[&bot, &base]);
    assert!(said(&deaf).contains("no way"), "{}", said(&deaf));
    assert!(!rig.home().file("config.toml").exists());
    let done = setup(&[&bot, &app, &base, "admin=U0ANA"]);
    assert!(done.status.success(), "{}", said(&done));
    let written = std::fs::read_to_string(rig.home().file("config.toml")).unwrap();
    for line in [
        "[bot.slack]",
        BOT_TOKEN,
        APP_TOKEN,
        "\"slack:U0ANA\" = \"admin\"",
    ] {
        assert!(written.contains(line), "{line}: {written}");
    }
    until("the bot is connected", || {
        // The setup has started the daemon, which may not be all there yet.
        let told = rig.run(&["bot", "status", "--json"]).stdout;
        let told: Value = serde_json::from_slice(&told).unwrap_or_default();
        told["bots"][0]["connected"] == true
    });
    assert!(rig.ok(&["bot", "status"]).contains("@mhost in Acme"));
    assert_eq!(slack.platform.faults(), Vec::<String>::new());
}
