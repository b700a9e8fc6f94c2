//! Notifications that a bot sends, and what their buttons do.

use serde_json::Value;

use super::telegram::{Shown, Telegram};
use super::{GROUP, fleet_with};
use crate::rig::{Rig, until};

/// A chat that has the card of an incident is not told the same by a channel that leads there,
/// and what is left out is counted.
#[test]
fn a_chat_with_cards_is_told_once() {
    let telegram = Telegram::start();
    // Of their own, since what is only good to know waits for a minute after something else.
    let channel = |name: &str, event: &str| {
        format!(
            "[notifications.{name}]\ntype = \"telegram\"\nbot = true\n\
             chat_id = {GROUP}\nevents = [\"{event}\"]\n"
        )
    };
    let settings = channel("asks", "agent_approval")
        + &channel("heals", "brain_heal")
        + &channel("stops", "stop");
    let rig = fleet_with(&telegram, &settings);
    until("the bot is connected", || {
        rig.json(&["bot", "status"])["bots"][0]["connected"] == true
    });
    let row = |event: &str| -> Option<Value> {
        let history = rig.json(&["notify", "history"]);
        let rows = history["rows"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["event"] == event)
    };
    rig.write("ill", "");
    let is = |event: &str, end: &str| row(event).is_some_and(|row| row["delivery"] == end);
    // A question has to wake somebody, and a card is edited silently.
    until("the question is told beside the card", || {
        is("agent_approval", "sent")
    });
    until("the card asks, too", || {
        telegram.with_button(GROUP, "Approve").is_some()
    });
    let asked = row("agent_approval").unwrap();
    let text = asked["message"].as_str().unwrap();
    let id = text.split_whitespace().last().unwrap();
    rig.ok(&["agent", "approve", id]);
    until("what came of it is left to the card", || {
        is("brain_heal", "left out")
    });
    let told = row("brain_heal").unwrap();
    let result = told["result"].as_str().unwrap();
    assert!(result.starts_with("the card of inc-"), "{result}");
    let channels = rig.json(&["notify", "list"])["channels"].clone();
    let counts: Vec<&Value> = (channels.as_array().unwrap().iter())
        .map(|one| &one["left_out"])
        .collect();
    assert_eq!(counts, [0, 1, 0], "{channels}");
    // What no card tells is told.
    rig.ok(&["stop", "web"]);
    until("the stop is told", || {
        row("stop").is_some_and(|row| row["delivery"] == "sent")
    });
    let shown = telegram.shown();
    let told = |one: &Shown| one.chat == GROUP && one.text.contains("web stop");
    assert!(shown.iter().any(told), "{shown:?}");
    assert_eq!(telegram.faults(), Vec::<String>::new());
}

/// Under what needs somebody a bot shows buttons, and they count for who presses them.
#[test]
fn buttons_of_a_bot_act_under_the_role_of_who_presses() {
    const GROUP: i64 = -100;
    const OPERATOR: i64 = 42;
    const VIEWER: i64 = 43;
    let telegram = Telegram::start();
    let settings = format!(
        "[brain]\nenabled = false\n[bot]\nauto_alerts = false\nrate_limit = 600\n[bot.telegram]\ntoken = \"1:abc\"\nbase_url = \"{}\"\n\
         [bot.users]\n\"telegram:{OPERATOR}\" = \"operator\"\n\"telegram:{VIEWER}\" = \"viewer\"\n\
         [notifications.telegram]\nbot = true\nchat_id = {GROUP}\nevents = [\"errored\"]\n",
        telegram.url()
    );
    let rig = Rig::new()
        .config(
            "[process.api]\ncommand = \"sh mortal.sh\"\nautorestart = false\ngrace_period = \"1s\"\n",
        )
        .settings(&settings);
    rig.write(
        "mortal.sh",
        "echo ready\nwhile [ ! -e ill ]; do sleep 0.1; done\necho boom >&2\nexit 3\n",
    );
    let rig = rig.start();
    until("the bot is connected", || {
        rig.json(&["bot", "status"])["bots"][0]["connected"] == true
    });
    rig.write("ill", "");
    until("it is told", || {
        telegram.with_button(GROUP, "Ack").is_some()
    });
    let told = telegram.last(GROUP);
    assert!(told.text.contains("api errored"), "{}", told.text);
    let labels: Vec<&str> = told
        .buttons
        .iter()
        .map(|(label, _)| label.as_str())
        .collect();
    assert_eq!(labels, ["Restart", "Logs", "Ack", "Mute 1h"]);
    let press = |who: i64, label: &str| {
        telegram.press_payload(GROUP, who, &told.id, &told.payload(label));
    };
    press(VIEWER, "Ack");
    until("it is refused", || {
        telegram.notes().iter().any(|note| note.contains("role"))
    });
    assert!(rig.json(&["notify", "list"])["incidents"][0]["acknowledged"].is_null());
    press(OPERATOR, "Ack");
    until("it is looked after", || {
        rig.json(&["notify", "list"])["incidents"][0]["acknowledged"] == "chat:telegram:42"
    });
    press(OPERATOR, "Mute 1h");
    until("it is muted", || {
        rig.json(&["notify", "list"])["mutes"]["api"].is_string()
    });
    press(OPERATOR, "Logs");
    until("lines are shown", || {
        telegram.last(GROUP).text.contains("boom")
    });
    std::fs::remove_file(rig.path("ill")).unwrap();
    press(OPERATOR, "Restart");
    rig.until("api", "online");
    until("the answer is shown", || {
        telegram.last(GROUP).text.contains("restart api")
    });
    let answer = telegram.asks(OPERATOR, "/mute api off");
    assert!(answer.contains("told of again"), "{answer}");
    assert_eq!(telegram.faults(), Vec::<String>::new());
}
