//! People are told, over the real binary: what happens is what arrives, in few messages, and
//! once, whatever becomes of the daemon or of the receiver.

mod once;
mod receiver;
mod trouble;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::rig::counterparts::folder;
use crate::rig::home::command;
use crate::rig::{Rig, free_port, until};
use receiver::{How, Receiver};

/// A webhook channel.
fn hook(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[notifications.{name}]\ntype = \"webhook\"\nurl = \"{url}/{name}\"\n{more}\n")
}

/// A process that dies once there is a file `ill`, with a last word, and is not tried again.
fn mortal(name: &str) -> String {
    format!(
        "[process.{name}]\ncommand = \"sh mortal.sh\"\nautorestart = false\ngrace_period = \"1s\"\n"
    )
}

const MORTAL: &str = "echo ready\nwhile [ ! -e ill ]; do sleep 0.1; done\n\
    echo '<b>boom</b> & `x` @everyone https://evil.example' >&2\n\
    echo \"signed in with $API_TOKEN\" >&2\nexit 3\n";

/// No playbook acts, so that what happens is what the test does.
const QUIET: &str = "[brain]\nenabled = false\n";

fn rig(settings: &str, processes: &[&str]) -> Rig {
    let config: String = processes.iter().map(|name| mortal(name)).collect();
    let rig = Rig::new()
        .config(&config)
        .settings(&format!("{QUIET}{settings}"));
    rig.write("mortal.sh", MORTAL);
    rig.start()
}

fn events(bodies: &[Value]) -> Vec<String> {
    let words = bodies
        .iter()
        .map(|one| one["event"].as_str().unwrap().to_owned());
    words.collect()
}

/// Exit code 0 when the signature is right.
const VERIFY: &str = r##"
import hashlib, hmac, sys
secret, seconds, signature = sys.argv[1:4]
signed = seconds.encode() + b"." + sys.stdin.buffer.read()
good = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
sys.exit(0 if hmac.compare_digest(signature, good) else 1)
"##;

#[test]
fn a_crash_is_told_to_a_webhook_whose_signature_others_can_verify() {
    let receiver = Receiver::start(How::Good);
    let settings = hook(
        "hook",
        &receiver,
        "secret = \"whsec_0123456789\"\nevents = [\"crash\"]",
    );
    let name = "api_v2.example.com";
    let config = mortal(&format!("'{name}'"));
    let config = format!("{config}[process.'{name}'.env]\nAPI_TOKEN = \"hunter22-of-ana\"\n");
    let settings = format!("{QUIET}{settings}");
    let rig = Rig::new().settings(&settings).config(&config);
    rig.write("mortal.sh", MORTAL);
    let rig = rig.start();
    rig.write("ill", "");
    until("it is told", || !receiver.bodies("/hook").is_empty());
    let seen = receiver.requests().remove(0);
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["event"], "crash");
    assert_eq!(body["process"], "api_v2.example.com");
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .starts_with("exit code 3 after"),
        "{body}"
    );
    let lines = body["details"]["last_lines"].as_array().unwrap();
    assert_eq!(lines[0], "<b>boom</b> & `x` @everyone https://evil.example");
    assert!(
        !body.to_string().contains("hunter22"),
        "no secret leaves: {body}"
    );
    let ack = format!("mhost notify ack {}", body["incident_id"].as_str().unwrap());
    let actions = body["actions"].as_array().unwrap();
    assert!(
        actions.iter().any(|one| one["command"] == ack.as_str()),
        "{body}"
    );
    let verified = |secret: &str| {
        let mut child = command("python3")
            .args(["-c", VERIFY, secret])
            .args([
                seen.header("x-mhost-timestamp"),
                seen.header("x-mhost-signature"),
            ])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&seen.body).unwrap();
        child.wait().unwrap().success()
    };
    assert!(verified("whsec_0123456789") && !verified("another"));
    // It is on record, too.
    until("it is on record", || {
        rig.json(&["notify", "history"])["rows"][0]["delivery"] == "sent"
    });
    let row = rig.json(&["notify", "history"])["rows"][0].clone();
    assert_eq!(
        (&row["channel"], &row["result"]),
        (&json!("hook"), &json!("status 200"))
    );
    assert_eq!(row["attempts"], 1);
}

#[test]
fn a_crash_is_a_readable_mail() {
    let Some(packages) = folder("smtp") else {
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/chat/tests/notify/mail.py");
    let mut server = command("python3")
        .args([script, "none", "-", "-"])
        .env("PYTHONPATH", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&said.next().unwrap().unwrap()).unwrap() };
    let port = next()["port"].clone();
    let rig = rig("", &["api"]);
    let told = rig.ok(&[
        "notify",
        "setup",
        "email",
        "--name",
        "mail",
        "--test",
        "--set",
        "smtp_host=127.0.0.1",
        "--set",
        &format!("smtp_port={port}"),
        "--set",
        "tls=none",
        "--set",
        "from=mhost@h1.example",
        "--set",
        "to=ana@example.com,ops@example.com",
        "--set",
        "events=crash,errored,recovered",
    ]);
    assert!(told.contains("Mail configured successfully"), "{told}");
    let subject = next()["headers"]["subject"].clone();
    assert!(subject.as_str().unwrap().contains("test"), "{subject}");
    rig.write("ill", "");
    let mail = next();
    assert_eq!(mail["type"], "multipart/alternative");
    assert_eq!(mail["defects"], json!([]));
    assert_eq!(mail["to"], json!(["ana@example.com", "ops@example.com"]));
    let subject = mail["headers"]["subject"].as_str().unwrap();
    assert!(
        subject.contains("api") && subject.contains("crash"),
        "{subject}"
    );
    let part = |at: usize| mail["parts"][at]["text"].as_str().unwrap().to_owned();
    assert!(
        part(0).contains("exit code 3 after") && part(0).contains("<b>boom</b>"),
        "{mail}"
    );
    assert!(part(1).contains("&lt;b&gt;boom&lt;/b&gt;"), "{}", part(1));
    // That it is not tried again answers the crash: one thread.
    let second = next();
    let thread = second["headers"]["in-reply-to"].as_str().unwrap();
    assert_eq!(thread, mail["headers"]["message-id"].as_str().unwrap());
    let _ = server.kill();
    let _ = server.wait();
}

#[test]
fn channels_are_set_up_listed_switched_and_removed() {
    let receiver = Receiver::start(How::Good);
    let rig = rig("# mine\n[daemon]\nlog_level = \"info\"\n", &["api"]);
    rig.ok(&["start", "sleep 600", "--name", "web"]);
    let empty = rig.json(&["notify", "list"]);
    assert_eq!(empty["channels"], json!([]));
    assert!(
        !rig.home().file("chat.sqlite").exists(),
        "nothing is opened for nobody"
    );
    assert_eq!(rig.run(&["notify", "setup"]).status.code(), Some(2));
    let set = format!("url={}/hook", receiver.url());
    let wrong = rig.fails(
        2,
        &[
            "notify",
            "setup",
            "webhook",
            "--set",
            &set,
            "--set",
            "evnts=crash",
        ],
    );
    assert!(wrong.contains("evnts"), "{wrong}");
    let told = rig.ok(&[
        "notify",
        "setup",
        "webhook",
        "--set",
        &set,
        "--set",
        "events=crash,stop",
        "--test",
    ]);
    assert!(told.contains("Webhook configured successfully"), "{told}");
    assert_eq!(events(&receiver.all()), ["test"]);
    let text = std::fs::read_to_string(rig.home().file("config.toml")).unwrap();
    assert!(
        text.contains("# mine") && text.contains("[notifications.webhook]"),
        "{text}"
    );
    let listed = rig.json(&["notify", "list"])["channels"][0].clone();
    assert_eq!(listed["name"], "webhook");
    assert_eq!(listed["last"]["result"], "status 200");
    let table = rig.ok(&["notify", "list"]);
    let titles: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        titles,
        [
            "NAME", "TYPE", "ENABLED", "EVENTS", "THROTTLE", "LAST", "RESULT"
        ]
    );
    let known = rig.json(&["notify", "events", "webhook"]);
    let taken: Vec<&str> = known["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["channels"][0] == "webhook")
        .map(|one| one["event"].as_str().unwrap())
        .collect();
    assert_eq!(taken, ["crash", "stop"]);
    assert!(!known.to_string().contains("deploy"), "only what there is");
    assert!(rig.ok(&["notify", "events"]).contains("WEBHOOK"));

    rig.ok(&["notify", "disable", "webhook"]);
    let off = rig.fails(1, &["notify", "test", "webhook"]);
    assert!(off.contains("off"), "{off}");
    rig.ok(&["notify", "enable", "webhook"]);
    // Muted, then not.
    rig.ok(&["notify", "mute", "api", "1h"]);
    assert!(rig.json(&["notify", "list"])["mutes"]["api"].is_string());
    rig.write("ill", "");
    rig.until("api", "errored");
    rig.ok(&["notify", "test", "webhook"]);
    until("it is known", || {
        rig.json(&["notify", "list"])["incidents"][0]["event"] == "errored"
    });
    assert_eq!(events(&receiver.all()), ["test", "test"], "it is muted");
    rig.ok(&["notify", "mute", "api", "off"]);
    until("what still ails it is told", || {
        events(&receiver.all()) == ["test", "test", "crash"]
    });
    let told = receiver.all()[2]["message"].as_str().unwrap().to_owned();
    assert!(
        told.starts_with("while it was muted: exit code 3"),
        "{told}"
    );
    let well = rig.fails(1, &["notify", "mute", "web"]);
    assert!(well.contains("mhost notify mute web 1h"), "{well}");
    assert_eq!(rig.json(&["notify", "list"])["mutes"], json!({}));
    let unknown = rig.fails(3, &["notify", "mute", "apo", "1h"]);
    assert!(unknown.contains("api"), "{unknown}");

    let unknown = rig.fails(3, &["notify", "remove", "webhok"]);
    assert!(unknown.contains("did you mean `webhook`"), "{unknown}");
    rig.ok(&["notify", "remove", "webhook"]);
    assert_eq!(rig.json(&["notify", "list"])["channels"], json!([]));
    let rows = rig.json(&["audit", "-n", "200"]).to_string();
    for command in [
        "notify.test",
        "notify.mute",
        "notify.unmute",
        "daemon.reload_config",
    ] {
        assert!(rows.contains(command), "{command}: {rows}");
    }
}

/// What happened before somebody wanted to hear of it is not told, nor is anything told twice
/// over a restart; a process chooses its channels.
#[test]
fn settings_are_followed_and_a_restart_tells_nothing_again() {
    let (all, some) = (Receiver::start(How::Good), Receiver::start(How::Good));
    let rig = Rig::new().settings(QUIET).config(&format!(
        "{}{}[process.web.notify]\nchannels = [\"some\"]\non_crash = true\n",
        mortal("api"),
        mortal("web").replace("mortal.sh", "later.sh"),
    ));
    rig.write("mortal.sh", MORTAL);
    rig.write("later.sh", &MORTAL.replace("-e ill", "-e later"));
    let rig = rig.start();
    rig.write("ill", "");
    rig.until("api", "errored");
    let settings = hook("all", &all, "events = [\"crash\", \"daemon_started\"]")
        + &hook("some", &some, "events = [\"restart\"]");
    rig.settings_now(&format!("{QUIET}{settings}"));
    // From now on it is heard.
    rig.ok(&["notify", "test", "all"]);
    rig.write("later", "");
    until("the chosen one is told", || {
        events(&some.all()) == ["crash", "errored"]
    });
    assert_eq!(
        events(&all.all()),
        ["test"],
        "neither the past nor what is another's"
    );
    rig.kill_daemon();
    until("the daemon says so", || {
        events(&all.all()) == ["test", "daemon_started"]
    });
    rig.ok(&["notify", "test", "some"]);
    assert_eq!(
        events(&some.all()),
        ["crash", "errored", "test"],
        "nothing again"
    );
}

/// A probe that fails and a sink that does not answer are told, each in its own words, and so is
/// the end of the first.
#[test]
fn what_ails_is_told_in_its_own_words() {
    let receiver = Receiver::start(How::Good);
    let probed = Receiver::start(How::Good);
    let closed = free_port();
    let settings = hook("hook", &receiver, "throttle = \"1s\"")
        + &format!(
            "[sinks.central]\ntype = \"syslog\"\nhost = \"127.0.0.1\"\nport = {closed}\n\
             transport = \"tcp\"\nflush = \"50ms\"\n"
        );
    let rig = Rig::new()
        .settings(&format!("{QUIET}{settings}"))
        .config(&format!(
            "[process.web]\ncommand = \"puppet numbers 5\"\ngrace_period = \"1s\"\n\
             [process.web.health.http]\nurl = \"{}\"\ninterval = \"2s\"\ntimeout = \"2s\"\n\
             retries = 2\nsuccess_threshold = 1\non_fail = \"notify\"\n",
            probed.url()
        ));
    let _rig = rig.start();
    let told = |event: &str| {
        let bodies = receiver.all().into_iter();
        let mut of = bodies.filter(|one| one["event"] == event);
        of.next()
    };
    probed.ails(true);
    until("that it fails is told", || told("health_fail").is_some());
    let failed = told("health_fail").unwrap();
    assert_eq!(failed["details"]["status"], 503, "{failed}");
    let text = failed["message"].as_str().unwrap();
    assert!(
        text.contains("failed 2 times in a row: status 503"),
        "{text}"
    );
    probed.ails(false);
    until("that it passes is told", || {
        told("health_recover").is_some()
    });
    let passes = told("health_recover").unwrap();
    assert_eq!(
        (&passes["severity"], &passes["resolves"]),
        (&json!("info"), &json!("health"))
    );
    assert_eq!(passes["incident_id"], failed["incident_id"]);
    let down = || told("sink_down");
    until("the sink is told about", || down().is_some());
    let text = down().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(text.starts_with("the sink central is down: "), "{text}");
    let _central = std::net::TcpListener::bind(("127.0.0.1", closed)).unwrap();
    until("that it answers again is told", || {
        let bodies = receiver.all().into_iter();
        bodies.filter(|one| one["resolves"] == "sink").count() == 1
    });
    assert_eq!(told("daemon_started").unwrap()["severity"], "info");
}

/// A playbook that asks, and what came of its plan.
#[test]
fn what_a_playbook_asks_and_does_is_told() {
    let (asks, heals) = (Receiver::start(How::Good), Receiver::start(How::Good));
    let (restarts, pager) = (Receiver::start(How::Good), Receiver::start(How::Good));
    // Of their own, since what is only good to know waits for a minute after something else.
    let settings = hook("asks", &asks, "events = [\"agent_approval\"]")
        + &hook("heals", &heals, "events = [\"brain_heal\", \"escalated\"]")
        + &hook("restarts", &restarts, "events = [\"restart\"]")
        + &format!(
            "[notifications.pager]\ntype = \"pagerduty\"\nrouting_key = \"k\"\n\
             base_url = \"{}\"\nevents = [\"agent_approval\"]\n",
            pager.url()
        )
        + "[agent]\npoll_interval = \"500ms\"\n[brain]\nautonomy = \"supervised\"\n"
        + crate::chat::ONE_PLAYBOOK;
    let rig = Rig::new().settings(&settings).config(
        "[process.api]\ncommand = \"bash -c 'rm -f ill; echo well; while sleep 0.2; do [ ! -e ill ] || \
         echo TypeError: pool is drained; done'\"\ngrace_period = \"1s\"\n",
    );
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("drained.rhai"), crate::chat::DRAINED).unwrap();
    let rig = rig.start();
    rig.until_printed("api", "well");
    rig.write("ill", "");
    until("somebody is asked", || !asks.all().is_empty());
    let asked = asks.all().remove(0);
    assert_eq!(asked["event"], "agent_approval");
    let text = asked["message"].as_str().unwrap();
    assert!(
        text.contains("restart") && text.contains("pool is drained"),
        "{text}"
    );
    let id = asked["details"]["approval"].as_str().unwrap();
    let alert = |at: usize| {
        let all = pager.all();
        let one = all.get(at)?;
        Some((one["event_action"].clone(), one["dedup_key"].clone()))
    };
    until("a pager is told", || alert(0).is_some());
    let (action, key) = alert(0).unwrap();
    assert_eq!(action, "trigger");
    rig.ok(&["agent", "approve", id]);
    until("the alert of the question ends", || alert(1).is_some());
    assert_eq!(alert(1).unwrap(), (json!("resolve"), key));
    until("its outcome is told", || !heals.all().is_empty());
    let all = heals.all();
    let healed = all.iter().find(|one| one["event"] == "brain_heal").unwrap();
    assert_eq!(
        (&healed["severity"], &healed["process"]),
        (&json!("info"), &json!("api"))
    );
    assert_eq!(healed["details"]["playbook"], "drained");
    let text = healed["message"].as_str().unwrap();
    assert!(
        text.contains("Done: restart api") && text.ends_with("it is well again"),
        "{text}"
    );
    let healed = all
        .iter()
        .filter(|one| one["event"] == "brain_heal")
        .count();
    assert_eq!(healed, 1, "once");
    // What a playbook restarts is told as that, and as nothing else.
    rig.ok(&["notify", "test", "restarts"]);
    assert_eq!(events(&restarts.all()), ["test"]);
    rig.ok(&["restart", "api"]);
    until("a person's restart is told", || {
        events(&restarts.all()) == ["test", "restart"]
    });
}

/// A template of one's own, and one that does not render.
#[test]
fn a_template_of_a_person_is_used_unless_it_is_broken() {
    let receiver = Receiver::start(How::Good);
    let settings = format!(
        "[notifications.ntfy]\nurl = \"{}\"\ntopic = \"ops\"\nevents = [\"crash\"]\n",
        receiver.url()
    );
    let rig = rig(&settings, &["api"]);
    let folder = rig.home().file("templates/notify");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ntfy.tera"), "Look at {{ process }}!").unwrap();
    rig.ok(&["notify", "test", "ntfy"]);
    let text = |at: usize| String::from_utf8(receiver.requests()[at].body.clone()).unwrap();
    assert!(text(0).starts_with("Look at"), "{}", text(0));
    std::fs::write(folder.join("ntfy.tera"), "{{ nothing.of.it }").unwrap();
    rig.ok(&["notify", "test", "ntfy"]);
    assert!(text(1).contains("It works"), "{}", text(1));
}
