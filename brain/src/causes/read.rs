//! Reads a scene: first what is always worth knowing, then what the texts name.
//!
//! About a second in all, longer only on a machine that is slow itself: what is slow (a look at
//! threads over a moment, addresses) is asked only when something seems wrong, and left out
//! when the time is up.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use supervisor::{Event, EventKind, ProcessName, until};

use super::scene::{Dead, Line, Past, Scene, Use};
use super::text;
use crate::context::deaths;
use crate::facts::{Facts, InstanceFacts, ProcessFacts, seconds};
use crate::knowledge;

/// How far back a scene looks.
const WINDOW: Duration = Duration::from_secs(600);
/// Output that is read.
const OUTPUT: Duration = Duration::from_secs(120);
/// Lines that are kept; a flood shows in its rate.
const LINES: usize = 250;
/// Longest line that is kept, in characters.
const LINE: usize = 400;
/// A log that grows by more than this in a minute is not read line by line.
const FLOOD: u64 = 8 << 20;
/// What a probe ended so many seconds ago is still what is ill.
const WHILE_DOWN_S: f64 = 20.0;
/// When nothing slow is begun any more.
const LATE: Duration = Duration::from_millis(900);
/// The same for what the words name here and for the look at what runs, which tell most: where all
/// is slow since the machine is overloaded, they are what shows that.
const TOO_LATE: Duration = Duration::from_secs(3);
/// Files, addresses and ports of one scene.
const NAMED: usize = 8;

/// How much time there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// About a second.
    None,
    /// The illness is known: what takes a moment to look at (threads, addresses) is left out.
    Known,
}

impl Scene {
    /// Reads all that is known about a process; nothing when there is none of that name.
    pub(crate) fn read(facts: &dyn Facts, name: &ProcessName, haste: Haste) -> Option<Self> {
        let process = facts.process(name)?;
        let begun = facts.now();
        let passed = || until(begun, facts.now());
        let in_time = || passed() < LATE;
        let mut scene = Scene {
            now: begun,
            ..plain(&process)
        };
        past(&mut scene, facts, name);
        failing(&mut scene);
        output(&mut scene, facts, name);
        scene.samples = samples(facts, name);
        scene.deaths = dead(facts, name);
        scene.attempts = facts.attempts(name);
        scene.neighbours = facts.neighbours(name);
        scene.max_instances = u64::from(facts.max_instances(name));
        scene.host = facts.host();
        scene.disks = facts.disks(name);
        scene.change = facts.last_change(name);
        scene.env_files = facts.env_files(name);
        if scene.deaths.iter().any(|dead| dead.signal.is_some()) {
            scene.orders = facts.orders(name, WINDOW);
        }
        let mut scene = scene.settled();
        if passed() < TOO_LATE {
            named(&mut scene, facts, name);
        }
        // What runs now says nothing about what its probe ended a moment ago.
        let ended = scene.health_fails.last().is_some_and(|fail| {
            fail.age_s < WHILE_DOWN_S && (scene.online == 0 || scene.uptime_s < fail.age_s)
        });
        if haste == Haste::None && ended {
            scene.close = facts.last_look(name);
        }
        let alive = process.instances.iter().any(|one| one.alive);
        if haste == Haste::None && passed() < TOO_LATE && alive && scene.close.is_empty() {
            scene.close = facts.close_look(name);
        }
        if haste == Haste::None && in_time() {
            addresses(&mut scene, facts, name);
        }
        Some(scene)
    }
}

fn plain(process: &ProcessFacts) -> Scene {
    let alive = |one: &&InstanceFacts| one.alive;
    let worst = process
        .instances
        .iter()
        .max_by_key(|one| one.probe_failures);
    let config = &process.config;
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    };
    Scene {
        name: process.name.to_string(),
        state: process.state.as_str().to_owned(),
        detail: process.detail.clone(),
        wanted: process.wanted,
        held: process.held,
        copies: process.instances.len() as u64,
        online: process
            .instances
            .iter()
            .filter(|one| one.state == supervisor::Status::Online)
            .count() as u64,
        uptime_s: process
            .instances
            .iter()
            .filter(alive)
            .filter_map(|one| one.uptime_ms)
            .min()
            .map_or(0.0, |ms| ms as f64 / 1000.0),
        probed: process
            .instances
            .iter()
            .any(|one| one.health != supervisor::HealthStatus::Off),
        probe_failures: worst.map_or(0, |one| one.probe_failures),
        probe_down_s: worst
            .and_then(|one| one.probe_down_ms)
            .map_or(0.0, |ms| ms as f64 / 1000.0),
        probe_error: worst
            .and_then(|one| one.probe_error.clone())
            .unwrap_or_default(),
        max_memory: process.max_memory,
        depends_on: process.depends_on.iter().map(ToString::to_string).collect(),
        ports: ports(config),
        env_keys: keys(&config["env"]),
        command: config["command"].as_str().unwrap_or_default().to_owned(),
        has_previous: process.has_previous,
        ..Scene::default()
    }
}

/// Ports that a definition names: in its probes.
pub fn ports(config: &Value) -> Vec<u16> {
    let health = &config["health"];
    let tcp = health["tcp"]["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let http = health["http"]["url"].as_str().and_then(|url| {
        let rest = url.split("://").nth(1)?.split('/').next()?;
        rest.rsplit_once(':')?.1.parse().ok()
    });
    tcp.into_iter().chain(http).collect()
}

fn past(scene: &mut Scene, facts: &dyn Facts, name: &ProcessName) {
    let now = facts.now();
    let one = |event: &Event, what: &str, figure: &str| Past {
        age_s: seconds(event.at, now),
        what: event.data[what].as_str().unwrap_or_default().to_owned(),
        event: event.id,
        actor: event.actor.clone(),
        figure: event.data[figure].as_f64().unwrap_or_default(),
    };
    for event in facts.events(name, None, WINDOW) {
        match event.kind {
            EventKind::Crash | EventKind::SpawnFailed => {
                scene.crashes.push(one(&event, "reason", "uptime_ms"));
            }
            EventKind::Exited => scene.exits.push(one(&event, "reason", "uptime_ms")),
            EventKind::Restart => scene.restarts.push(one(&event, "reason", "delay_ms")),
            EventKind::MemoryExceeded => scene.over_memory.push(one(&event, "reason", "rss")),
            EventKind::HealthFail => scene.health_fails.push(one(&event, "error", "failures")),
            _ => {}
        }
    }
    let online = facts.events(name, Some(EventKind::Online), Duration::from_secs(3600));
    scene.was_online = !online.is_empty();
}

/// A probe that failed for good ends the run, and with it what the probe says: the newest
/// failure speaks for the run that is being stopped.
fn failing(scene: &mut Scene) {
    const JUST_NOW_S: f64 = 2.0;
    let Some(fail) = scene.health_fails.last() else {
        return;
    };
    let of_now = fail.age_s < JUST_NOW_S || (scene.online == 0 && fail.age_s < WHILE_DOWN_S);
    if scene.probe_failures == 0 && of_now {
        scene.probe_failures = fail.figure.max(1.0) as u32;
        scene.probe_down_s = fail.age_s + fail.figure;
        scene.probe_error.clone_from(&fail.what);
    }
}

fn output(scene: &mut Scene, facts: &dyn Facts, name: &ProcessName) {
    const MOMENT: Duration = Duration::from_secs(10);
    let now = facts.now();
    let bytes = facts.log_bytes(name, MOMENT);
    scene.log_bytes_per_s = bytes as f64 / MOMENT.as_secs_f64();
    let flooded = facts.log_bytes(name, Duration::from_secs(60)) > FLOOD;
    let window = if flooded {
        Duration::from_secs(2)
    } else {
        OUTPUT
    };
    // Counters of bytes begin with the daemon; what was printed before is there all the same.
    scene.lines = facts
        .log_lines(name, r"\S", window, LINES)
        .into_iter()
        .map(|hit| Line {
            id: format!("log:{}", hit.id),
            age_s: seconds(hit.at, now),
            text: hit.text.chars().take(LINE).collect(),
            kind: "",
        })
        .collect();
    let recent = scene.lines.iter().filter(|line| line.age_s <= 10.0).count();
    let average = scene
        .lines
        .iter()
        .map(|line| line.text.len() + 1)
        .sum::<usize>() as f64
        / scene.lines.len().max(1) as f64;
    scene.log_lines_per_s = if recent < LINES {
        recent as f64 / MOMENT.as_secs_f64()
    } else {
        scene.log_bytes_per_s / average.max(1.0)
    };
}

fn samples(facts: &dyn Facts, name: &ProcessName) -> Vec<Use> {
    let now = facts.now();
    let mut sums: Vec<Use> = Vec::new();
    let mut copies = BTreeSet::new();
    for sample in facts.samples(name, WINDOW) {
        let age_s = until(sample.at, now).as_secs_f64();
        let together = sums
            .last()
            .is_some_and(|last| last.age_s - age_s < 0.5 && copies.insert(sample.instance));
        match sums.last_mut() {
            Some(sum) if together => {
                sum.cpu += sample.cpu_percent;
                sum.rss += sample.rss_bytes as f64;
                sum.fds = sum.fds.max(sample.fds as f64);
                sum.threads = sum.threads.max(sample.threads as f64);
            }
            _ => {
                copies = BTreeSet::from([sample.instance]);
                sums.push(Use {
                    age_s,
                    cpu: sample.cpu_percent,
                    rss: sample.rss_bytes as f64,
                    fds: sample.fds as f64,
                    threads: sample.threads as f64,
                });
            }
        }
    }
    // A picture of ten minutes; the newest stay as they are.
    let old = sums.len().saturating_sub(60);
    let step = old.div_ceil(60).max(1);
    sums.into_iter()
        .enumerate()
        .filter(|(place, _)| *place >= old || place % step == 0)
        .map(|(_, one)| one)
        .collect()
}

fn dead(facts: &dyn Facts, name: &ProcessName) -> Vec<Dead> {
    let now = facts.now();
    let all = deaths::deaths(facts, name, i64::MAX);
    let skip = all.len().saturating_sub(12);
    all.into_iter()
        .skip(skip)
        .map(|death| Dead {
            no_start: death.exit.starts_with("it could not be started"),
            age_s: seconds(death.at, now),
            id: death.id,
            code: death.code,
            signal: death.signal,
            exit: death.exit,
            uptime_s: death.uptime_s,
            error: death.error,
            error_id: death.error_id,
            output: death.output,
            output_id: death.output_id,
            words: death.last_words,
            place: death.place,
            source: death.source,
            before: death.before,
            same: death.same,
            poses_as_order: death.poses_as_order,
            kind: "",
        })
        .collect()
}

/// What the texts name on this machine: files, locks, ports.
fn named(scene: &mut Scene, facts: &dyn Facts, name: &ProcessName) {
    let mut paths: Vec<String> = Vec::new();
    let mut locks: Vec<String> = Vec::new();
    let mut ports: Vec<u16> = scene.ports.clone();
    let mut parse = false;
    let troubled = scene
        .lines
        .iter()
        .rev()
        .filter(|line| !line.kind.is_empty())
        .take(20)
        .map(|line| (line.kind, line.text.clone()));
    let deadly = scene.deaths.iter().rev().take(2).flat_map(|dead| {
        let kind = dead.kind;
        std::iter::once(dead.error.clone())
            .chain(dead.words.iter().cloned())
            .filter(|text| !knowledge::is_frame(text))
            .chain([dead.source.clone()])
            .chain(dead.before.iter().cloned())
            .map(move |text| (kind, text))
    });
    for (kind, line) in deadly.chain(troubled) {
        match kind {
            "port" => ports.extend(text::port(&line)),
            "lock" => locks.extend(text::paths(&line)),
            "parse" => {
                parse = true;
                paths.extend(text::paths(&line));
                paths.extend(text::quoted(&line));
            }
            "file" | "permission" | "module" | "disk" | "certificate" | "descriptors" => {
                paths.extend(text::error_path(&line));
                paths.extend(text::paths(&line));
            }
            _ => {}
        }
    }
    parse |= scene.is_down() && scene.deaths.iter().any(|dead| dead.kind == "exception");
    let mut seen = BTreeSet::new();
    for path in paths {
        if scene.files.len() < NAMED && path.len() < 300 && seen.insert(path.clone()) {
            scene.files.extend(facts.file(name, &path));
        }
    }
    seen.clear();
    for path in locks {
        if scene.locks.len() < NAMED && path.len() < 300 && seen.insert(path.clone()) {
            scene.locks.extend(facts.lock_file(name, &path));
        }
    }
    if parse {
        scene.broken = facts.broken_files(name);
    }
    // Who sits on a port matters when it is wanted and not had.
    let wanted = scene.said("port").is_some()
        || (scene.probed && !scene.is_well())
        || scene
            .death()
            .is_some_and(|dead| dead.signal.is_some() && dead.age_s < 60.0);
    ports.sort_unstable();
    ports.dedup();
    for port in ports.into_iter().take(4) {
        if wanted {
            scene.owners.extend(facts.port_owner(port));
        }
    }
}

fn is_certificate(path: &str) -> bool {
    [".pem", ".crt", ".cer", ".cert"]
        .iter()
        .any(|ending| path.ends_with(ending))
}

/// Whom it cannot reach, and whose certificate it does not believe.
fn addresses(scene: &mut Scene, facts: &dyn Facts, name: &ProcessName) {
    let mut wanted: Vec<(String, u16)> = Vec::new();
    let lines = scene.lines.iter().rev().filter(|line| line.age_s <= 60.0);
    let deadly = scene.deaths.iter().rev().take(1).flat_map(|dead| {
        dead.words
            .iter()
            .chain([&dead.error])
            .filter(|text| !knowledge::is_frame(text))
            .map(|text| (dead.kind, text.as_str()))
    });
    for (kind, line) in deadly.chain(lines.map(|line| (line.kind, line.text.as_str()))) {
        match kind {
            "dependency" | "certificate" | "timeout" => wanted.extend(text::addresses(line)),
            "dns" => wanted.extend(text::host(line).map(|host| (host, 0))),
            _ => {}
        }
        if wanted.len() > 30 {
            break;
        }
    }
    let mut seen = BTreeSet::new();
    wanted.retain(|address| seen.insert(address.clone()));
    wanted.truncate(NAMED);
    if !wanted.is_empty() {
        scene.reach = facts.reach(&wanted);
    }
    if scene.said("certificate").is_some() {
        let files: Vec<String> = scene
            .files
            .iter()
            .filter(|file| file.exists && is_certificate(&file.path))
            .map(|file| file.path.clone())
            .collect();
        let open: Vec<(String, u16)> = scene
            .reach
            .iter()
            .filter(|one| one.answer == "open")
            .map(|one| (one.host.clone(), one.port))
            .collect();
        scene.certificates = facts.certificates(name, &open, &files);
    }
}
