//! The fleet from Discord: the scripted person uses commands, presses buttons, and sees one
//! message go from the first sign to the measured outcome. The server is the strict one of
//! `chat/tests`, which `discord.js` gets along with, too.

#[path = "../../../chat/tests/discord/server/mod.rs"]
#[allow(dead_code, reason = "the tests of the adapter use the rest")]
mod server;

use std::time::Duration;

use serde_json::json;

use super::person::{At, Message as Seen, Person};
use super::{ONE_PLAYBOOK, fault, rows, words};
use crate::rig::{Rig, kill, pause, until};
use server::{ANA, ANAS, APPLICATION, BOB, BOBS, EVE, EVES, Message, OPS, Server, TOKEN};

/// A fleet, a bot, and a playbook that has to ask in the channel and in Ana's private chat.
fn fleet(server: &Server) -> Rig {
    let rig = words::fleet(server);
    listed(server);
    rig
}

fn listed(server: &Server) {
    until("the commands are listed", || !server.commands().is_empty());
}

fn channel(at: At) -> &'static str {
    match at {
        At::Private => ANAS,
        At::Channel => OPS,
    }
}

impl Person for Server {
    fn settings(&self) -> String {
        format!(
            "[bot]\nchannels = [\"discord:{OPS}\"]\nrate_limit = 600\nask_role = \"viewer\"\n\
             [bot.discord]\ntoken = \"{TOKEN}\"\nbase_url = \"{}\"\n\
             [bot.users]\n\"discord:{ANA}\" = \"admin\"\n\"{BOB}\" = \"viewer\"\n\
             [brain]\nautonomy = \"supervised\"\n{ONE_PLAYBOOK}[agent]\npoll_interval = \"500ms\"\n",
            self.url
        )
    }

    fn writes(&self, words: &str) {
        listed(self);
        self.slash(ANAS, ANA, words);
    }

    fn sees(&self, at: At) -> Vec<Seen> {
        let mut all = self.shown(channel(at));
        if at == At::Private {
            all.extend(self.whispered(ANA));
        }
        let seen = |one: Message| Seen {
            id: one.id.to_string(),
            text: one.raw().replace('\\', ""),
            buttons: one.buttons().into_iter().map(|(label, _)| label).collect(),
        };
        all.into_iter().map(seen).collect()
    }

    fn presses(&self, at: At, message: &Seen, label: &str) {
        let shown = self.shown(channel(at));
        let found = shown.iter().find(|one| one.id.to_string() == message.id);
        let payload = payload(found.expect("the message"), label);
        self.press(ANA, &message.id, &payload.expect("the button"));
    }

    fn faults(&self) -> Vec<String> {
        Server::faults(self)
    }
}

/// Uses a command, and gives what comes in the place of "thinking …". Waits when mhost wants
/// to be asked more slowly.
fn asks(server: &Server, channel: &str, user: &str, text: &str) -> String {
    loop {
        let id = server.slash(channel, user, text);
        until(&format!("`{text}` is answered"), || {
            server.answered(&id).is_some()
        });
        let answer = server.answered(&id).unwrap().raw();
        if !answer.contains("too fast") {
            return answer;
        }
        pause(Duration::from_secs(1));
    }
}

/// The newest message of a channel.
fn last(server: &Server, channel: &str) -> Message {
    let shown = server.shown(channel);
    shown.last().expect("a message").clone()
}

fn payload(message: &Message, label: &str) -> Option<String> {
    let buttons = message.buttons().into_iter();
    let mut found = buttons.filter(|(one, _)| one == label);
    found.next().map(|(_, payload)| payload)
}

/// Presses a button of the newest message that has it.
fn presses(server: &Server, channel: &str, user: &str, label: &str) -> String {
    let shown = server.shown(channel);
    let mut with = shown.iter().rev();
    let message = with.find(|one| payload(one, label).is_some());
    let message = message.unwrap_or_else(|| panic!("no {label} in {shown:#?}"));
    let id = message.id.to_string();
    server.press(user, &id, &payload(message, label).unwrap())
}

fn is_asked(server: &Server, channel: &str) -> bool {
    let shown = server.shown(channel);
    shown.iter().any(|one| payload(one, "Approve").is_some())
}

#[test]
fn every_word_is_answered() {
    words::all(&Server::start());
}

#[test]
fn a_real_crash_is_healed() {
    fault::is_healed(&Server::start());
}

#[test]
fn the_roles_hold() {
    let server = Server::start();
    let rig = fleet(&server);
    assert_eq!(rig.json(&["bot", "status"])["bots"][0]["name"], "@mhost");
    assert!(asks(&server, ANAS, ANA, "/stop web").contains("Really"));
    // What ends something is done once somebody confirms.
    presses(&server, ANAS, ANA, "Confirm");
    until("it is done", || {
        last(&server, ANAS).raw().contains("stop web: done")
    });
    assert_eq!(rig.status("web"), "stopped");

    // A viewer looks; a stranger learns their id and nothing else, also not while they type.
    assert!(asks(&server, OPS, BOB, "/status").contains("online"));
    server.slash(OPS, BOB, "/stop api");
    until("Bob is refused", || {
        let whispered = server.whispered(BOB);
        whispered
            .iter()
            .any(|one| one.raw().contains("higher role"))
    });
    let told = asks(&server, OPS, EVE, "/status");
    assert!(told.contains(EVE), "{told}");
    assert_eq!(server.whispered(EVE).len(), 1);
    let id = server.slash(EVES, EVE, "/restart api");
    until("it is on record", || {
        rows(&rig)
            .iter()
            .any(|row| row["who"] == format!("chat:discord:{EVE}") && row["command"] == "/restart")
    });
    until("nothing is said", || !server.is_thinking(&id));
    for (channel, user, names) in [
        (ANAS, ANA, vec!["api"]),
        (BOBS, BOB, vec!["api"]),
        (OPS, EVE, vec![]),
    ] {
        let id = server.typed(channel, user, "logs", "ap");
        until("something is suggested", || server.suggested(&id).is_some());
        assert_eq!(server.suggested(&id).unwrap(), names);
    }
    assert_eq!(server.faults(), Vec::<String>::new());
}

#[test]
fn an_incident_is_one_message_from_its_first_sign_to_its_outcome() {
    let server = Server::start();
    let rig = fleet(&server);
    rig.write("ill", "");
    until("somebody is asked", || {
        is_asked(&server, OPS) && is_asked(&server, ANAS)
    });
    let asked = last(&server, OPS);
    assert!(asked.raw().contains("pool is drained"), "{}", asked.raw());

    presses(&server, OPS, BOB, "Approve");
    until("Bob is refused", || {
        let whispered = server.whispered(BOB);
        whispered.iter().any(|one| one.raw().contains("role"))
    });
    assert!(is_asked(&server, OPS));
    // The press is made in private; the message in the channel follows.
    presses(&server, ANAS, ANA, "Approve");
    until("it is measured", || {
        [OPS, ANAS]
            .iter()
            .all(|channel| last(&server, channel).raw().contains("well again"))
    });
    let end = last(&server, OPS);
    assert_eq!(end.id, asked.id, "the same message");
    assert!(end.raw().contains("approved"), "{}", end.raw());
    assert!(end.buttons().is_empty());
    assert_eq!(server.shown(OPS).len(), 1, "one message");
    assert_eq!(server.shown(ANAS).len(), 1, "one message");
    // Pressed once more on what somebody else still sees: nothing is done twice.
    let restarts = rig.process("api")["restarts_total"].clone();
    server.press(
        ANA,
        &asked.id.to_string(),
        &payload(&asked, "Approve").unwrap(),
    );
    until("they are told", || {
        let whispered = server.whispered(ANA);
        whispered
            .last()
            .is_some_and(|one| one.raw().contains("Too late"))
    });
    assert_eq!(rig.process("api")["restarts_total"], restarts);
    assert_eq!(server.faults(), Vec::<String>::new());
}

/// The daemon is killed as soon as it has said that it heard: the next one acts on it, once.
#[test]
fn a_press_survives_a_kill() {
    let server = Server::start();
    let rig = fleet(&server);
    rig.write("ill", "");
    until("somebody is asked", || is_asked(&server, OPS));
    let before = super::runs(&rig);
    let daemon = rig.home().daemon().unwrap();
    let press = presses(&server, OPS, ANA, "Approve");
    until("it is heard", || server.is_acknowledged(&press));
    kill(daemon, rustix::process::Signal::KILL);
    until("it is well again", || {
        last(&server, OPS).raw().contains("well again")
    });
    let after = super::runs(&rig);
    assert_eq!(after, before + 1);
}

#[test]
fn the_setup_tries_the_token_and_says_where_to_invite_the_bot() {
    let server = Server::start();
    let rig = Rig::new();
    let token = format!("token={TOKEN}");
    let url = format!("base_url={}", server.url);
    let admin = format!("admin={ANA}");
    let told = rig.json(&[
        "bot", "setup", "discord", "--set", &token, "--set", &url, "--set", &admin,
    ]);
    assert_eq!(told["bot"], "@mhost");
    let invitation = told["invitation"].as_str().unwrap();
    assert!(
        invitation.contains(&format!("client_id={APPLICATION}&")),
        "{invitation}"
    );
    assert!(
        invitation.contains("scope=bot+applications.commands"),
        "{invitation}"
    );
    let users = rig.json(&["bot", "permissions"])["users"].clone();
    assert_eq!(users, json!({ format!("discord:{ANA}"): "admin" }));
    // A connection is not needed for it, and the daemon makes its own.
    until("the bot is connected", || server.is_connected());

    let wrong = "token=MTAw.wrong.wrong";
    let said = rig.fails(
        1,
        &["bot", "setup", "discord", "--set", wrong, "--set", &url],
    );
    assert!(said.contains("401: Unauthorized"), "{said}");
    let said = rig.fails(2, &["bot", "setup", "discord", "--set", "token=123:abc"]);
    assert!(said.contains("Reset Token"), "{said}");
    let said = rig.fails(2, &["bot", "setup", "telegram", "--set", "guild=1"]);
    assert!(said.contains("telegram has no `guild`"), "{said}");
    assert_eq!(server.faults(), Vec::<String>::new());
}
