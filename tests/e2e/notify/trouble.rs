//! Storms, receivers that are slow or wrong, and kills: few messages, none lost, none twice.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::receiver::{How, Receiver};
use super::{QUIET, events, hook, rig};
use crate::rig::{Rig, kill, pause, until, wait_until};

/// A thousand crashes of many processes: three messages, and nothing is left out of the count.
#[test]
fn a_storm_is_three_messages_that_account_for_all_of_it() {
    const PROCESSES: usize = 25;
    const CRASHES: usize = 1_000;
    let (one, two) = (Receiver::start(How::Good), Receiver::start(How::Good));
    let settings =
        hook("one", &one, "events = [\"crash\"]") + &hook("two", &two, "events = [\"crash\"]");
    let names: Vec<String> = (0..PROCESSES).map(|n| format!("app-{n}")).collect();
    let config: String = names
        .iter()
        .map(|name| {
            format!(
                "[process.{name}]\ncommand = \"sh -c 'exit 3'\"\nrestart_delay = \"1ms\"\n\
                 max_restart_delay = \"1ms\"\nstart_timeout = \"60s\"\n"
            )
        })
        .collect();
    let rig = Rig::new()
        .config(&config)
        .settings(&format!("{QUIET}{settings}"));
    // None of them ever comes up.
    let _ = rig.run(&["start"]);
    let crashes = || {
        let told = rig.json(&["history", "-n", "100000"]);
        let rows = told["events"].as_array().unwrap().clone();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows.iter().filter(|row| row["kind"] == "crash") {
            *counts
                .entry(row["process"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        counts
    };
    // The first digest of a storm comes after two minutes at the latest.
    let came = wait_until(Duration::from_secs(110), || {
        crashes().values().sum::<u64>() >= CRASHES as u64
    });
    assert!(came, "{:?}", crashes());
    rig.ok(&["stop", "all", "--yes"]);
    let happened = crashes();
    let total: u64 = happened.values().sum();
    // Two of their own, and the digest once it is calm.
    let told = |receiver: &Receiver| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for body in receiver.all() {
            let process = body["process"].as_str().unwrap_or_default().to_owned();
            if body["event"] == "digest" {
                for line in body["digest"].as_array().unwrap() {
                    let events = line["events"].as_object().unwrap();
                    let sum: u64 = events.values().map(|one| one.as_u64().unwrap()).sum();
                    *counts
                        .entry(line["process"].as_str().unwrap().to_owned())
                        .or_default() += sum;
                }
            } else {
                let more = body["suppressed"].as_u64().unwrap_or_default();
                *counts.entry(process).or_default() += 1 + more;
            }
        }
        counts
    };
    for receiver in [&one, &two] {
        until("the digest came", || {
            events(&receiver.all()).contains(&"digest".to_owned())
        });
        let bodies = receiver.all();
        let line = format!(
            "{total} crashes of {PROCESSES} processes -> {} messages: {:?}\n",
            bodies.len(),
            events(&bodies)
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        assert!(bodies.len() <= 3, "{line}");
        assert_eq!(told(receiver), happened, "all of it is accounted for");
    }
}

/// Whoever does not react is followed by the next, also when the daemon is killed meanwhile;
/// whoever says that they look after it is followed by nobody.
#[test]
fn an_escalation_survives_a_kill_and_an_acknowledgement_ends_it() {
    let (first, second) = (Receiver::start(How::Good), Receiver::start(How::Good));
    let settings = hook(
        "first",
        &first,
        "events = [\"errored\"]\nescalation_after = \"15s\"\nescalation_target = \"second\"",
    ) + &hook("second", &second, "events = [\"stop\"]");
    let rig = rig(&settings, &["api", "web"]);
    rig.write("ill", "");
    until("both are told", || first.all().len() == 2);
    let open = rig.json(&["notify", "list"])["incidents"].clone();
    assert_eq!(open.as_array().unwrap().len(), 2, "{open}");
    let of = |name: &str| {
        open.as_array()
            .unwrap()
            .iter()
            .find(|one| one["process"] == name)
            .unwrap()["id"]
            .clone()
    };
    let acked = rig.json(&["notify", "ack", of("web").as_str().unwrap()]);
    assert!(
        acked["acknowledged"].as_str().unwrap().starts_with("cli:"),
        "{acked}"
    );
    rig.kill_daemon();
    until("it is passed on", || !second.all().is_empty());
    let passed = second.all();
    assert_eq!(passed.len(), 1, "{passed:?}");
    assert_eq!(passed[0]["process"], "api");
    let text = passed[0]["message"].as_str().unwrap();
    assert!(text.starts_with("ESCALATED after 15s: "), "{text}");
    assert_eq!(first.all().len(), 2, "nothing is told again");
    let refused = rig.fails(3, &["notify", "ack", "n999"]);
    assert!(refused.contains("n999"), "{refused}");
    let rows = rig.json(&["audit", "-n", "200"]).to_string();
    assert!(rows.contains("notify.ack"), "{rows}");
}

/// A receiver that hangs, one that refuses and one that is not there keep nobody waiting, and
/// say what is wrong when they are tried.
#[test]
fn a_slow_or_wrong_receiver_delays_nobody_and_is_told_about() {
    let good = Receiver::start(How::Good);
    let hangs = Receiver::start(How::Hangs);
    let refuses = Receiver::start(How::Refuses);
    let more = "events = [\"crash\", \"errored\"]";
    let settings = hook("good", &good, more)
        + &hook("hangs", &hangs, more)
        + &format!(
            "[notifications.telegram]\nbot_token = \"1:wrong\"\nchat_id = 5\nbase_url = \"{}\"\n{more}\n",
            refuses.url()
        );
    let rig = rig(&settings, &["api"]);
    rig.write("ill", "");
    until("the good one is told", || good.all().len() == 2);
    until("the other one hangs", || hangs.requests().len() == 1);
    let failed = rig.run(&["notify", "test", "telegram"]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(
        said.contains("status 401") && said.contains("Unauthorized"),
        "{said}"
    );
    assert!(!said.contains("1:wrong"), "{said}");
    assert!(rig.ok(&["notify", "test", "good"]).contains("status 200"));
    assert_eq!(good.all().len(), 3);
    let rows = rig.json(&["notify", "history"]);
    let rows = rows["rows"].as_array().unwrap();
    let state = |channel: &str| {
        rows.iter()
            .find(|row| row["channel"] == channel && row["event"] == "crash")
            .unwrap()["delivery"]
            .clone()
    };
    assert_eq!(
        state("telegram"),
        "failed",
        "a token that is refused is not tried again"
    );
    assert_eq!(state("hangs"), "waiting");
    let log = std::fs::read_to_string(rig.home().file("logs/daemon.log")).unwrap();
    assert!(!log.contains("1:wrong"), "{log}");
}

/// A kill at any moment while a channel is away loses nothing: what waits is sent.
#[test]
fn what_waits_survives_a_kill() {
    let receiver = Receiver::start(How::Away(1));
    let rig = rig(&hook("hook", &receiver, "events = [\"errored\"]"), &["api"]);
    rig.write("ill", "");
    until("it was tried", || receiver.requests().len() == 1);
    let daemon = rig.daemon();
    kill(daemon, rustix::process::Signal::KILL);
    until("it arrives", || receiver.requests().len() == 2);
    let ids: Vec<String> = (receiver.requests().iter())
        .map(|one| one.header("x-mhost-delivery").to_owned())
        .collect();
    assert_eq!(ids[0], ids[1], "the same message");
    until("it is on record", || {
        rig.json(&["notify", "history"])["rows"][0]["delivery"] == "sent"
    });
    pause(Duration::from_millis(300));
    assert_eq!(receiver.requests().len(), 2);
}
