//! Two people who have to say yes, and leave in advance by a button.

use super::*;

const OPERATOR: i64 = 44;

/// The fleet with an operator, and these lines under `[agent]`.
fn fleet_asking(telegram: &Telegram, agent: &str) -> Rig {
    let users = format!("[bot.users]\n\"telegram:{OPERATOR}\" = \"operator\"\n");
    let settings = settings(telegram).replace("[bot.users]\n", &users) + agent;
    let rig = Rig::new().config(FLEET).settings(&settings);
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("drained.rhai"), DRAINED).unwrap();
    well(rig.start())
}

fn restarts(rig: &Rig) -> u64 {
    rig.process("api")["restarts_total"].as_u64().unwrap()
}

fn noted(telegram: &Telegram, what: &str) {
    until(what, || {
        telegram.notes().iter().any(|note| note.contains(what))
    });
}

fn told(telegram: &Telegram, what: &str) {
    until(what, || {
        telegram.shown().iter().any(|one| one.text.contains(what))
    });
}

/// The first yes is kept over a kill and shown everywhere; the same person counts once.
#[test]
fn two_people_say_yes_with_a_kill_in_between() {
    let telegram = Telegram::start();
    let rig = fleet_asking(&telegram, "approvals = { low = 2 }\n");
    rig.write("ill", "");
    until("somebody is asked", || {
        telegram.with_button(GROUP, "Approve").is_some()
    });
    let asked = telegram.last(GROUP);
    assert!(
        !asked
            .buttons
            .iter()
            .any(|(label, _)| label.contains("Always"))
    );
    let before = restarts(&rig);
    telegram.presses_in(GROUP, OPERATOR, "Approve");
    noted(&telegram, "1 of 2: telegram:44");
    told(&telegram, "one more needed");
    telegram.presses_in(GROUP, OPERATOR, "Approve");
    noted(&telegram, "2 different people");
    let actions = rig.json(&["agent", "actions"]);
    let question = &actions["actions"][0];
    assert_eq!(question["state"], "pending");
    assert_eq!(question["votes"][0]["by"], "chat:telegram:44");
    assert!(
        rig.ok(&["agent", "actions"])
            .contains("1 of 2: telegram:44")
    );

    let daemon = rig.home().daemon().unwrap();
    kill(daemon, rustix::process::Signal::KILL);
    until("another daemon runs", || {
        rig.home().daemon().is_some_and(|pid| pid != daemon)
    });
    assert_eq!(restarts(&rig), before);
    telegram.presses_in(GROUP, ADMIN, "Approve");
    told(&telegram, "well again");
    let end = telegram.shown().into_iter().find(|one| one.id == asked.id);
    let end = end.expect("the same message").text;
    assert!(
        end.contains("telegram:44") && end.contains("telegram:42"),
        "{end}"
    );
    assert_eq!(restarts(&rig), before + 1);
    // Each of the three presses is on record.
    let rows = rows(&rig);
    let by = |who: &str| {
        let mine = |row: &&Value| row["command"] == "approve" && row["who"] == who;
        rows.iter().filter(mine).count()
    };
    assert_eq!((by("chat:telegram:44"), by("chat:telegram:42")), (2, 1));
    assert_eq!(telegram.faults(), Vec::<String>::new());
}

/// Whoever is taken out of the chats has said nothing: the next yes is the first one then.
#[test]
fn a_yes_of_somebody_who_was_taken_out_does_not_count() {
    let telegram = Telegram::start();
    let rig = fleet_asking(&telegram, "approvals = { low = 2 }\n");
    rig.write("ill", "");
    until("somebody is asked", || {
        telegram.with_button(GROUP, "Approve").is_some()
    });
    let before = restarts(&rig);
    telegram.presses_in(GROUP, OPERATOR, "Approve");
    told(&telegram, "1 of 2: telegram:44");
    let settings = std::fs::read_to_string(rig.home().file("config.toml")).unwrap();
    let line = format!("\"telegram:{OPERATOR}\" = \"operator\"\n");
    assert!(settings.contains(&line), "{settings}");
    rig.settings_now(&settings.replace(&line, ""));
    until("it does not count", || {
        let actions = rig.json(&["agent", "actions"]);
        actions["actions"][0]["votes"] == serde_json::json!([])
    });
    telegram.presses_in(GROUP, ADMIN, "Approve");
    told(&telegram, "1 of 2: telegram:42");
    told(&telegram, "the yes of telegram:44 no longer counts");
    assert_eq!(restarts(&rig), before);
    let actions = rig.json(&["agent", "actions"]);
    let id = actions["actions"][0]["id"].as_str().unwrap().to_owned();
    rig.ok(&["agent", "approve", &id]);
    told(&telegram, "well again");
    assert_eq!(restarts(&rig), before + 1);
}

/// A yes of the command line and one of a chat are two people.
#[test]
fn a_terminal_and_a_phone_are_two_people() {
    let telegram = Telegram::start();
    let rig = fleet_asking(&telegram, "approvals = { low = 2 }\n");
    rig.write("ill", "");
    until("somebody is asked", || {
        telegram.with_button(GROUP, "Approve").is_some()
    });
    let actions = rig.json(&["agent", "actions"]);
    let id = actions["actions"][0]["id"].as_str().unwrap().to_owned();
    let said = rig.ok(&["agent", "approve", &id]);
    assert!(said.contains("1 of 2: cli:"), "{said}");
    let said = rig.fails(1, &["agent", "approve", &id]);
    assert!(said.contains("2 different people"), "{said}");
    told(&telegram, "1 of 2: cli:");
    telegram.presses_in(GROUP, OPERATOR, "Approve");
    told(&telegram, "well again");
}

/// An admin's "Always" is asked about once more, and from then on nobody is asked.
#[test]
fn leave_in_advance_by_a_button() {
    let telegram = Telegram::start();
    let rig = fleet_asking(&telegram, "");
    rig.write("ill", "");
    until("somebody is asked", || {
        telegram.with_button(GROUP, "Always, 7 d").is_some()
    });
    let asked = telegram.last(GROUP);
    let always = asked.payload("Always, 7 d");
    let before = restarts(&rig);
    telegram.press_payload(GROUP, OPERATOR, &asked.id, &always);
    noted(&telegram, "higher role");
    telegram.press_payload(GROUP, ADMIN, &asked.id, &always);
    until("they are asked whether they mean it", || {
        telegram.with_button(GROUP, "Confirm").is_some()
    });
    let sure = telegram.last(GROUP).text;
    assert!(sure.contains("without asking, for 7d"), "{sure}");
    assert_eq!(restarts(&rig), before, "not yet");
    telegram.presses_in(GROUP, ADMIN, "Confirm");
    told(&telegram, "drained may act on api without asking");
    told(&telegram, "well again");
    assert_eq!(restarts(&rig), before + 1);

    rig.write("ill", "");
    told(&telegram, "ran by grant");
    until("it is healed again", || restarts(&rig) == before + 2);
    let grants = rig.json(&["agent", "grants"]);
    let grant = &grants["grants"][0];
    assert_eq!(grant["state"], "in force");
    assert_eq!(
        (&grant["by"], &grant["uses"]),
        (&"chat:telegram:42".into(), &1.into())
    );
    let id = grant["id"].as_str().unwrap();
    assert!(telegram.asks(ADMIN, "/grants").contains(id));
    let said = telegram.asks(ADMIN, &format!("/revoke {id}"));
    assert!(said.contains("asks again"), "{said}");
    until("the second one is over", || {
        let history = rig.json(&["brain", "history", "--process", "api"]);
        let rows = history["history"].as_array().unwrap().clone();
        rows.iter().all(|row| !row["closed"].is_null())
    });
    rig.write("ill", "");
    until("somebody is asked again", || {
        let actions = rig.json(&["agent", "actions"]);
        actions["actions"][0]["state"] == "pending"
    });
    assert_eq!(telegram.faults(), Vec::<String>::new());
}
