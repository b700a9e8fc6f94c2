//! The fleet from a chat, over the real binary: a scripted person writes and presses, and sees
//! one message go from the first sign to the measured outcome.

mod person;
mod words;

mod alerts;
mod approvals;
mod discord;
mod fault;
mod slack;
mod strict;
mod telegram;

use serde_json::Value;

use crate::rig::{Rig, kill, until};
use telegram::Telegram;

const ADMIN: i64 = 42;
const VIEWER: i64 = 43;
const STRANGER: i64 = 99;
const GROUP: i64 = -100;

/// A playbook that restarts what says that its pool is drained, and measures soon.
pub(crate) const DRAINED: &str = r#"
const META = #{ name: "drained", version: 1, description: "Restart a drained pool", on: ["tick"],
                cooldown: "1s", max_per_hour: 20 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 3.0 { () } else { c.log_count("pool is drained", "1s") == 0 } }
"#;

/// Under `[brain]`: no other playbook than [`DRAINED`] asks about what `FLEET` prints, however
/// long that goes on.
pub(crate) const ONE_PLAYBOOK: &str = "[brain.playbooks.error-storm]\nenabled = false\n";

/// A process that is ill once there is a file `ill`; a new run is well. And one that is well.
const FLEET: &str = r#"
[process.api]
command = "bash -c 'rm -f ill; echo >> runs; while sleep 0.2; do [ ! -e ill ] || echo TypeError: pool is drained; done'"
grace_period = "1s"
[process.web]
command = "bash -c 'echo signed in with $API_TOKEN; exec sleep 600'"
grace_period = "1s"
[process.web.env]
API_TOKEN = "hunter22-of-ana-in-production"
"#;

/// A fleet, a bot, and a playbook that has to ask.
fn fleet(telegram: &Telegram) -> Rig {
    fleet_with(telegram, "")
}

/// The same with more settings.
fn fleet_with(telegram: &Telegram, more: &str) -> Rig {
    let settings = format!("{}{more}", settings(telegram));
    let rig = Rig::new().config(FLEET).settings(&settings);
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("drained.rhai"), DRAINED).unwrap();
    well(rig.start())
}

/// Once `api` has begun its first run: what is written before that it would take away.
fn well(rig: Rig) -> Rig {
    until("api is well", || runs(&rig) == 1);
    rig
}

/// How often `api` was started, by its own account: a daemon that is killed right after it has
/// restarted something may not have counted that.
fn runs(rig: &Rig) -> usize {
    let runs = std::fs::read_to_string(rig.path("runs")).unwrap_or_default();
    runs.lines().count()
}

fn settings(telegram: &Telegram) -> String {
    settings_at(&telegram.url())
}

/// For a Bot API at this address.
fn settings_at(url: &str) -> String {
    format!(
        "[bot]\nauto_alerts = false\nchannels = [\"telegram:{GROUP}\"]\nrate_limit = 600\nask_role = \"viewer\"\n\
         [bot.telegram]\ntoken = \"1:abc\"\nbase_url = \"{url}\"\n\
         [bot.users]\n\"telegram:{ADMIN}\" = \"admin\"\n\"telegram:{VIEWER}\" = \"viewer\"\n\
         [brain]\nautonomy = \"supervised\"\n{ONE_PLAYBOOK}[agent]\npoll_interval = \"500ms\"\n"
    )
}

fn rows(rig: &Rig) -> Vec<Value> {
    let told = rig.json(&["bot", "logs", "-n", "200"]);
    told["rows"].as_array().unwrap().clone()
}

#[test]
fn every_word_is_answered() {
    words::all(&Telegram::start());
}

#[test]
fn a_real_crash_is_healed() {
    fault::is_healed(&Telegram::start());
}

#[test]
fn the_roles_hold() {
    let telegram = Telegram::start();
    let rig = fleet(&telegram);
    words::connected(&rig);
    assert!(telegram.menu().contains(&"restart".to_owned()));
    assert!(
        telegram
            .asks(ADMIN, "/stop web")
            .contains("Really /stop web?")
    );
    telegram.presses(ADMIN, "Confirm");
    until("it is done", || {
        telegram.last(ADMIN).text.contains("stop web: done")
    });
    assert_eq!(rig.status("web"), "stopped");

    // A viewer looks, a stranger learns their id and nothing else.
    assert!(telegram.asks(VIEWER, "/status").contains("online"));
    assert!(telegram.asks(VIEWER, "/stop api").contains("higher role"));
    let told = telegram.asks(STRANGER, "/status");
    assert!(told.contains("telegram:99"), "{told}");
    let before = telegram.shown().len();
    telegram.writes(STRANGER, STRANGER, "/restart api");
    until("it is on record", || {
        rows(&rig)
            .iter()
            .any(|row| row["who"] == "chat:telegram:99" && row["command"] == "/restart")
    });
    assert_eq!(telegram.shown().len(), before, "once an hour");
    assert_eq!(telegram.faults(), Vec::<String>::new());
}

#[test]
fn an_incident_is_one_message_from_its_first_sign_to_its_outcome() {
    let telegram = Telegram::start();
    let rig = fleet(&telegram);
    rig.write("ill", "");
    until("somebody is asked", || {
        telegram.with_button(GROUP, "Approve").is_some()
    });
    let asked = telegram.last(GROUP);
    assert!(asked.text.contains("pool is drained"), "{}", asked.text);

    // Neither a viewer nor an old plan's button decides.
    telegram.presses_in(GROUP, VIEWER, "Approve");
    until("they are refused", || {
        telegram.notes().iter().any(|note| note.contains("role"))
    });
    assert!(telegram.with_button(GROUP, "Approve").is_some());
    telegram.presses_in(GROUP, ADMIN, "Approve");
    until("it is measured", || {
        telegram.last(GROUP).text.contains("well again")
    });
    let end = telegram.last(GROUP);
    assert_eq!(end.id, asked.id, "the same message");
    assert!(end.text.contains("approved"), "{}", end.text);
    assert!(end.buttons.is_empty());
    assert_eq!(telegram.shown().len(), 1, "one message");
    // Pressed once more on what somebody else still sees: nothing is done twice.
    let restarts = rig.process("api")["restarts_total"].clone();
    telegram.press_payload(GROUP, ADMIN, &asked.id, &asked.payload("Approve"));
    until("they are told", || {
        telegram
            .notes()
            .last()
            .is_some_and(|note| note.contains("Too late"))
    });
    assert_eq!(rig.process("api")["restarts_total"], restarts);
    assert_eq!(telegram.faults(), Vec::<String>::new());
}

/// The daemon is killed as soon as the press is in: the next one acts on it, once.
#[test]
fn a_press_survives_a_kill() {
    let telegram = Telegram::start();
    let rig = fleet(&telegram);
    rig.write("ill", "");
    until("somebody is asked", || {
        telegram.with_button(GROUP, "Approve").is_some()
    });
    let before = runs(&rig);
    telegram.presses_in(GROUP, ADMIN, "Approve");
    let daemon = rig.home().daemon().unwrap();
    until("it is delivered", || telegram.delivered() > 0);
    kill(daemon, rustix::process::Signal::KILL);
    until("it is well again", || {
        telegram.last(GROUP).text.contains("well again")
    });
    assert_eq!(runs(&rig), before + 1);
}

/// The daemon has what its own bot received; Telegram has what another bot did not.
#[test]
fn the_ids_of_chats_are_told() {
    let telegram = Telegram::start();
    let rig = fleet(&telegram);
    words::connected(&rig);
    telegram.asks(ADMIN, "/whoami");
    telegram.asks(VIEWER, "/whoami");
    let told = |args: &[&str]| {
        let told = rig.json(&[&["bot", "chat-id"], args].concat());
        let chats = told["chats"].as_array().unwrap().clone();
        let chats = chats
            .iter()
            .map(|one| one["chat"].as_str().unwrap().to_owned());
        chats.collect::<Vec<_>>()
    };
    let newest_first = ["telegram:43", "telegram:42"];
    assert_eq!(told(&[]), newest_first);
    assert_eq!(told(&["1:abc"]), newest_first, "the bot's own token");

    let another = Telegram::start();
    another.writes(STRANGER, GROUP, "/help");
    another.writes(STRANGER, STRANGER, "hello");
    another.writes(STRANGER, STRANGER, "are you there?");
    let url = another.url();
    for _ in 0..2 {
        let found = told(&["2:xyz", "--base-url", &url]);
        assert_eq!(
            found,
            ["telegram:99", "telegram:-100"],
            "nothing is taken away"
        );
    }
    assert_eq!(another.faults(), Vec::<String>::new());
    let said = rig.fails(2, &["bot", "chat-id", "nonsense"]);
    assert!(said.contains("token"), "{said}");
    let said = Rig::new().fails(2, &["bot", "chat-id"]);
    assert!(said.contains("no bot is configured"), "{said}");
}
