//! What an engineer would look at, for the brain: trees, sockets, files, addresses.
//!
//! Reads only, each bounded: few files, short ones, no links out of a folder, half a second
//! for addresses. Values of secrets are masked before the brain sees them.
//! It is one piece although it is long: a short function for each look, and their limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use brain::{
    AttemptLook, BrokenFile, CertificateLook, ChangeLook, EnvFileLook, Facts, FileLook, LockLook,
    NeighbourLook, OrderLook, ProcessFacts, ReachLook, seconds,
};
use serde_json::Value;
use supervisor::audit::{Audit, Phase};
use supervisor::secret::is_secret_name;
use supervisor::sys::inspect::{self, CloseLook, DiskRoom, PortOwner};

use supervisor::{EventKind, ProcessName, ProcessSpec, until};

use super::certificate;
use super::facts::LiveFacts;

/// How long the use of the processor is measured.
const MOMENT: Duration = Duration::from_millis(120);
/// Copies that are looked at.
const COPIES: usize = 4;
/// How long all addresses together may take.
const REACH: Duration = Duration::from_millis(500);
/// Files that are checked for their format, how large, and how deep below the folder.
const CHECKED: usize = 200;
const CHECKED_BYTES: u64 = 1 << 20;
const CHECKED_DEPTH: usize = 3;
/// Folders that hold what was installed.
const INSTALLED: [&str; 8] = [
    "node_modules",
    "vendor",
    "venv",
    "__pycache__",
    "target",
    "dist",
    "build",
    "site-packages",
];
/// Neighbours in one answer, and those of which the output is read.
const NEIGHBOURS: usize = 30;
const HEARD: usize = 10;
/// How far back neighbours are looked at.
const WINDOW: Duration = Duration::from_secs(600);
/// Longest value that is shown.
const VALUE: usize = 64;
/// Lines that sound like trouble, or like being slow.
const COMPLAINT: &str = r"(?i)error|exception|fatal|panic|fail|refus|denied|timed? ?out|unavailable|too many|out of memory|slow|took \d{4,} ?ms|fall(?:ing|s)? back|full scan|closed|lost";

pub(super) fn close_look(process: &ProcessFacts) -> Vec<CloseLook> {
    let pids: Vec<i32> = process
        .instances
        .iter()
        .filter(|one| one.alive)
        .filter_map(|one| one.pid)
        .take(COPIES)
        .collect();
    inspect::close_look(&pids, MOMENT)
}

pub(super) fn port_owner(facts: &LiveFacts, port: u16) -> Option<PortOwner> {
    inspect::port_owner(port, facts.paths.home())
}

pub(super) fn disks(facts: &LiveFacts, name: &ProcessName) -> Vec<DiskRoom> {
    let cwd = facts.registry.glance(name).map(|glance| glance.spec.cwd);
    let mut all: Vec<DiskRoom> = Vec::new();
    for path in cwd
        .into_iter()
        .chain([facts.paths.logs(), std::env::temp_dir()])
    {
        if let Some(room) = inspect::disk_room(&path)
            // The same file system once.
            && !all.iter().any(|old| (old.total, old.free) == (room.total, room.free))
        {
            all.push(room);
        }
    }
    all
}

fn age_s(facts: &LiveFacts, written: SystemTime) -> f64 {
    jiff::Timestamp::try_from(written).map_or(0.0, |at| seconds(at, facts.clock.now()))
}

pub(super) fn file(facts: &LiveFacts, name: &ProcessName, path: &str) -> Option<FileLook> {
    use std::os::unix::fs::MetadataExt;
    let cwd = facts.registry.glance(name)?.spec.cwd;
    let full = cwd.join(path);
    let mut look = FileLook {
        path: path.to_owned(),
        ..FileLook::default()
    };
    match fs::symlink_metadata(&full) {
        Ok(first) => {
            let is_link = first.file_type().is_symlink();
            let meta = fs::metadata(&full).unwrap_or(first);
            look.exists = true;
            look.kind = match () {
                () if is_link => "link",
                () if meta.is_dir() => "folder",
                () if meta.is_file() => "file",
                () => "other",
            }
            .to_owned();
            look.mode = meta.mode() & 0o7777;
            look.owner = meta.uid();
            look.bytes = meta.len();
            look.written_s = meta.modified().ok().map(|at| age_s(facts, at));
            look.inside = full
                .canonicalize()
                .ok()
                .zip(cwd.canonicalize().ok())
                .is_some_and(|(full, cwd)| full.starts_with(cwd));
        }
        Err(_) => {
            look.nearest = full
                .ancestors()
                .skip(1)
                .find(|folder| folder.is_dir())
                .map(|folder| folder.display().to_string())
                .unwrap_or_default();
        }
    }
    Some(look)
}

pub(super) fn broken_files(facts: &LiveFacts, name: &ProcessName) -> Vec<BrokenFile> {
    let Some(cwd) = facts.registry.glance(name).map(|glance| glance.spec.cwd) else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    let mut folders = vec![(cwd.clone(), 0)];
    let mut left = CHECKED;
    let mut entries_left = CHECKED * 10;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            entries_left = entries_left.saturating_sub(1);
            if left == 0 || entries_left == 0 {
                return broken;
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                let hidden = name.starts_with('.') || INSTALLED.contains(&name);
                if !hidden && depth + 1 < CHECKED_DEPTH {
                    folders.push((entry.path(), depth + 1));
                }
                continue;
            }
            let format = match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("json") => "JSON",
                Some("toml") => "TOML",
                _ => continue,
            };
            if kind.is_file() {
                left -= 1;
                broken.extend(check(facts, &cwd, &entry.path(), format));
            }
        }
    }
    broken
}

fn check(facts: &LiveFacts, cwd: &Path, path: &Path, format: &str) -> Option<BrokenFile> {
    let meta = fs::metadata(path).ok()?;
    if meta.len() > CHECKED_BYTES {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let (error, cut_off) = match format {
        "JSON" => match serde_json::from_str::<Value>(&text) {
            Ok(_) => return None,
            Err(error) => (error.to_string(), error.is_eof()),
        },
        _ => match toml::from_str::<toml::Table>(&text) {
            Ok(_) => return None,
            Err(error) => {
                let line = error
                    .span()
                    .map_or(1, |span| text[..span.start].lines().count().max(1));
                (format!("{} at line {line}", error.message()), false)
            }
        },
    };
    Some(BrokenFile {
        path: path.strip_prefix(cwd).unwrap_or(path).display().to_string(),
        format: format.to_owned(),
        error,
        cut_off,
        written_s: meta.modified().map_or(0.0, |at| age_s(facts, at)),
    })
}

pub(super) fn lock_file(facts: &LiveFacts, name: &ProcessName, path: &str) -> Option<LockLook> {
    let cwd = facts.registry.glance(name)?.spec.cwd.canonicalize().ok()?;
    look_at_lock(&cwd, path, facts.paths.home(), |written| {
        age_s(facts, written)
    })
}

/// A lock file as it is now. Its folder is followed through links, itself is not.
pub(super) fn look_at_lock(
    cwd: &Path,
    path: &str,
    home: &Path,
    age: impl Fn(SystemTime) -> f64,
) -> Option<LockLook> {
    use std::os::unix::fs::MetadataExt;
    let named = cwd.join(path);
    let full = named
        .parent()?
        .canonicalize()
        .ok()?
        .join(named.file_name()?);
    let meta = fs::symlink_metadata(&full).ok()?;
    let regular = meta.file_type().is_file() && meta.nlink() == 1;
    let held = if regular && meta.len() <= 4096 {
        fs::read_to_string(&full).unwrap_or_default()
    } else {
        String::new()
    };
    let pid = held
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| !digits.is_empty())
        .and_then(|digits| digits.parse().ok())
        .filter(|pid| *pid > 1);
    Some(LockLook {
        inside: full.starts_with(cwd),
        path: full.to_str()?.to_owned(),
        regular,
        pid,
        holder: pid.and_then(inspect::command_of),
        holder_ours: pid
            .filter(|pid| inspect::command_of(*pid).is_some())
            .and_then(|pid| inspect::run_of(pid, home)),
        open_by: locked_by(meta.ino()),
        written_s: meta.modified().map_or(0.0, age),
    })
}

/// Who holds a lock of the kernel on the file with this inode.
fn locked_by(inode: u64) -> Option<i32> {
    let table = fs::read_to_string("/proc/locks").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [.., pid, place, _, _] = fields[..] else {
            return None;
        };
        let (_, found) = place.rsplit_once(':')?;
        (found.parse() == Ok(inode)).then(|| pid.parse().ok())?
    })
}

pub(super) fn last_change(facts: &LiveFacts, name: &ProcessName) -> Option<ChangeLook> {
    let glance = facts.registry.glance(name)?;
    let changed = glance.changed_at?;
    let previous = facts.registry.previous(name)?;
    let mut keys = Vec::new();
    differences(
        "",
        &serde_json::to_value(&previous.config).unwrap_or_default(),
        &serde_json::to_value(&glance.spec.config).unwrap_or_default(),
        &mut keys,
    );
    Some(ChangeLook {
        age_s: seconds(changed, facts.clock.now()),
        keys,
    })
}

/// Keys of which the values differ, with both.
fn differences(at: &str, old: &Value, new: &Value, found: &mut Vec<(String, String, String)>) {
    if old == new || found.len() >= 20 {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let path = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            let of =
                |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            differences(&path, &of(old), &of(new), found);
        }
        return;
    }
    let name = at.rsplit('.').next().unwrap_or(at);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => shown(name, text),
        other => shown(name, &other.to_string()),
    };
    // `key` in a table other than the environment is no secret.
    found.push((at.to_owned(), text(old), text(new)));
}

/// A value fit to be shown: no secrets, no addresses with passwords, not long.
fn shown(name: &str, value: &str) -> String {
    if is_secret_name(name) || (value.contains("://") && value.contains('@')) {
        return "***".to_owned();
    }
    value.chars().take(VALUE).collect()
}

pub(super) fn env_files(facts: &LiveFacts, name: &ProcessName) -> Vec<EnvFileLook> {
    let Some(glance) = facts.registry.glance(name) else {
        return Vec::new();
    };
    let spec = &glance.spec;
    let configured = serde_json::to_value(&spec.config.env_file).unwrap_or_default();
    let names: Vec<String> = match &configured {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        Value::Bool(true) => vec![".env".to_owned()],
        _ => return Vec::new(),
    };
    let now = supervisor::config::read_env_files(spec).unwrap_or_default();
    let mut changed: Vec<(String, String, String)> = Vec::new();
    // What a restart found changed is told by its event; what no start has read yet, by now.
    for event in facts.events(name, Some(EventKind::ConfigChanged), WINDOW) {
        for one in event.data["changed"].as_array().into_iter().flatten() {
            if let Ok(one) = serde_json::from_value(one.clone()) {
                changed.push(one);
            }
        }
    }
    let keys: std::collections::BTreeSet<&String> =
        now.keys().chain(spec.env.files.keys()).collect();
    for key in keys {
        let of = |map: &std::collections::BTreeMap<String, String>| {
            map.get(key)
                .map(|value| shown(key, value))
                .unwrap_or_default()
        };
        if now.get(key) != spec.env.files.get(key) {
            changed.push((key.clone(), of(&spec.env.files), of(&now)));
        }
    }
    let values: Vec<(String, String)> = now
        .iter()
        .take(40)
        .map(|(key, value)| (key.clone(), shown(key, value)))
        .collect();
    let last = names.len().saturating_sub(1);
    names
        .into_iter()
        .enumerate()
        .map(|(place, path)| {
            let meta = env_path(spec, &path).and_then(|full| fs::metadata(full).ok());
            EnvFileLook {
                path,
                exists: meta.is_some(),
                written_s: meta
                    .and_then(|meta| meta.modified().ok())
                    .map_or(0.0, |at| age_s(facts, at)),
                // Which of several files it was, the later one is the likelier.
                changed: if place == last {
                    changed.clone()
                } else {
                    Vec::new()
                },
                values: if place == last {
                    values.clone()
                } else {
                    Vec::new()
                },
            }
        })
        .collect()
}

fn env_path(spec: &ProcessSpec, path: &str) -> Option<PathBuf> {
    let folder = spec
        .project
        .as_ref()
        .and_then(|project| project.file.parent())
        .unwrap_or(&spec.cwd);
    [folder.join(path), spec.cwd.join(path)]
        .into_iter()
        .find(|full| full.exists())
}

pub(super) fn reach(facts: &LiveFacts, addresses: &[(String, u16)]) -> Vec<ReachLook> {
    let begun = facts.clock.now();
    let (sender, answers) = mpsc::channel();
    for (place, (host, port)) in addresses.iter().enumerate().take(8) {
        let (sender, host, port) = (sender.clone(), host.clone(), *port);
        // A resolver may take long and cannot be stopped: its thread ends when it answers.
        let _ = std::thread::Builder::new()
            .name("reach".into())
            .spawn(move || sender.send((place, attempt(&host, port))));
    }
    drop(sender);
    let mut looks: Vec<ReachLook> = addresses
        .iter()
        .map(|(host, port)| ReachLook {
            host: host.clone(),
            port: *port,
            answer: "timeout".to_owned(),
            took_ms: REACH.as_millis() as u64,
            process: owner(facts, host, *port),
        })
        .collect();
    loop {
        let left = REACH.saturating_sub(until(begun, facts.clock.now()));
        let Ok((place, answer)) = answers.recv_timeout(left) else {
            break;
        };
        if let Some(look) = looks.get_mut(place) {
            look.answer = answer;
            look.took_ms = until(begun, facts.clock.now()).as_millis() as u64;
        }
    }
    looks
}

pub(super) fn certificates(
    facts: &LiveFacts,
    name: &ProcessName,
    addresses: &[(String, u16)],
    files: &[String],
) -> Vec<CertificateLook> {
    const EACH: Duration = Duration::from_millis(200);
    const SERVERS: usize = 2;
    let cwd = facts.registry.glance(name).map(|glance| glance.spec.cwd);
    let of_files = files
        .iter()
        .filter_map(|file| certificate::of_file(file, &cwd.as_ref()?.join(file)));
    addresses
        .iter()
        .take(SERVERS)
        .filter_map(|(host, port)| certificate::of_server(host, *port, EACH))
        .chain(of_files)
        .collect()
}

/// What the audit log says about a process, besides questions.
pub(super) fn orders(
    facts: &LiveFacts,
    name: &ProcessName,
    since: jiff::Timestamp,
) -> Vec<OrderLook> {
    const ROWS: usize = 500;
    let now = facts.clock.now();
    let audit = Audit::new(&facts.paths, facts.clock.clone());
    let mut rows = audit.query(ROWS, Some(since)).unwrap_or_default();
    rows.sort_by_key(|row| row.ts);
    rows.into_iter()
        .filter(|row| row.phase == Phase::Intent && !row.dry_run)
        .filter(|row| {
            let mut subjects = row.subject.split([',', ' ', '#']);
            subjects.any(|subject| subject == name.as_str() || subject == "all")
        })
        .map(|row| OrderLook {
            age_s: seconds(row.ts, now),
            id: row.id,
            who: row.who,
            command: row.command.trim_start_matches("process.").to_owned(),
        })
        .collect()
}

fn attempt(host: &str, port: u16) -> String {
    use std::io::ErrorKind;
    use std::net::{TcpStream, ToSocketAddrs};
    let Some(address) = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next())
    else {
        return "unresolved".to_owned();
    };
    if port == 0 {
        return "resolved".to_owned();
    }
    match TcpStream::connect_timeout(&address, REACH) {
        Ok(_) => "open",
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => "refused",
        Err(error) if error.kind() == ErrorKind::TimedOut => "timeout",
        Err(_) => "unreachable",
    }
    .to_owned()
}

/// The process that should listen at an address here: by its definition, else by its socket.
fn owner(facts: &LiveFacts, host: &str, port: u16) -> Option<String> {
    let here = matches!(host, "localhost" | "0.0.0.0" | "::" | "::1") || host.starts_with("127.");
    if !here || port == 0 {
        return None;
    }
    let defined = facts.registry.names().into_iter().find(|name| {
        facts
            .registry
            .glance(name)
            .is_some_and(|glance| ports(&glance.spec).contains(&port))
    });
    match defined {
        Some(name) => Some(name.to_string()),
        None => port_owner(facts, port)?.ours,
    }
}

/// Ports that a definition gives to its process: in its probes, or as the usual variable.
fn ports(spec: &ProcessSpec) -> Vec<u16> {
    let config = serde_json::to_value(&spec.config).unwrap_or_default();
    let mut all = brain::ports_of(&config);
    for key in ["PORT", "LISTEN_PORT", "HTTP_PORT", "SERVER_PORT"] {
        let value: Option<u16> = config["env"][key]
            .as_str()
            .and_then(|port| port.parse().ok());
        all.extend(value);
    }
    all.dedup();
    all
}

pub(super) fn attempts(facts: &LiveFacts, name: &ProcessName) -> Vec<AttemptLook> {
    let now = facts.clock.now();
    let Some(glance) = facts.registry.glance(name) else {
        return Vec::new();
    };
    // Of the copy that is worst off: a mixture would seem to flap.
    let Some(row) = glance.health.iter().max_by_key(|row| {
        (
            row.failures,
            row.attempts.iter().filter(|one| !one.passed).count(),
        )
    }) else {
        return Vec::new();
    };
    row.attempts
        .iter()
        .map(|one| AttemptLook {
            age_s: seconds(one.at, now),
            passed: one.passed,
            took_ms: one.latency_ms,
            error: one.error.clone(),
        })
        .collect()
}

pub(super) fn neighbours(facts: &LiveFacts, name: &ProcessName) -> Vec<NeighbourLook> {
    let own = facts.process(name);
    let depends: Vec<ProcessName> = own.map(|own| own.depends_on).unwrap_or_default();
    let mut names = depends.clone();
    names.extend(
        facts
            .processes()
            .into_iter()
            .filter(|other| other != name && !depends.contains(other)),
    );
    names
        .into_iter()
        .take(NEIGHBOURS)
        .enumerate()
        .filter_map(|(place, other)| neighbour(facts, &other, place < HEARD))
        .collect()
}

fn neighbour(facts: &LiveFacts, name: &ProcessName, heard: bool) -> Option<NeighbourLook> {
    let now = facts.clock.now();
    let glance = facts.registry.glance(name)?;
    let ports = ports(&glance.spec);
    let probe_ms = glance.health.iter().filter_map(|row| row.latency_ms).max();
    let process = facts.process(name)?;
    let over = facts.events(name, Some(EventKind::MemoryExceeded), WINDOW);
    let restarted = facts
        .events(name, Some(EventKind::Restart), WINDOW)
        .pop()
        .map(|event| {
            let reason = event.data["reason"].as_str().unwrap_or_default().to_owned();
            (seconds(event.at, now), reason)
        });
    let died = facts
        .events(name, Some(EventKind::Crash), WINDOW)
        .pop()
        .map(|event| {
            (
                event.id,
                event.data["signal"].as_i64(),
                event.data["code"].as_i64(),
            )
        })
        .map(|(id, signal, code)| {
            let how = match (signal, code) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, Some(code)) => format!("exit code {code}"),
                (None, None) => "an unknown exit".to_owned(),
            };
            (id, how)
        });
    let complaint = if heard {
        facts
            .log_lines(name, COMPLAINT, Duration::from_secs(30), 1)
            .pop()
            .map(|hit| {
                let text = hit.text.chars().take(200).collect();
                (format!("log:{}", hit.id), text)
            })
    } else {
        None
    };
    let well = brain::is_well(&process);
    Some(NeighbourLook {
        name: name.to_string(),
        detail: process.detail,
        well,
        cpu_percent: process
            .instances
            .iter()
            .filter_map(|one| one.cpu_percent)
            .sum(),
        rss_bytes: process
            .instances
            .iter()
            .filter_map(|one| one.rss_bytes)
            .sum(),
        max_memory: process.max_memory,
        over_memory: over.len() as u64,
        over_bytes: over
            .iter()
            .filter_map(|event| event.data["rss"].as_u64())
            .max()
            .unwrap_or(0),
        over_event: over.last().map(|event| event.id),
        probe_error: process
            .instances
            .iter()
            .filter(|one| one.probe_failures > 0)
            .find_map(|one| one.probe_error.clone()),
        probe_ms,
        ports,
        died,
        complaint,
        restarted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_looked_at_without_following_it() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().canonicalize().unwrap();
        fs::create_dir(cwd.join("run")).unwrap();
        fs::write(cwd.join("run/a.pid"), format!("{}\n", i32::MAX)).unwrap();
        std::os::unix::fs::symlink(cwd.join("run/a.pid"), cwd.join("run/link.pid")).unwrap();
        let look = |path: &str| look_at_lock(&cwd, path, Path::new("/nowhere"), |_| 0.0);
        let dead = look("run/a.pid").unwrap();
        assert!(
            dead.regular && dead.inside && dead.holder.is_none(),
            "{dead:?}"
        );
        assert_eq!(dead.pid, Some(i32::MAX));
        assert!(!look("run/link.pid").unwrap().regular);
        assert!(look("run/none.pid").is_none());
        fs::write(cwd.join("run/own.pid"), std::process::id().to_string()).unwrap();
        assert!(look("run/own.pid").unwrap().holder.is_some());
    }

    #[test]
    fn differences_show_no_secrets() {
        let mut found = Vec::new();
        differences(
            "",
            &serde_json::json!({"command": "a", "env": {"API_TOKEN": "x", "MODE": "1"}}),
            &serde_json::json!({"command": "b", "env": {"API_TOKEN": "y", "MODE": "1"}}),
            &mut found,
        );
        assert_eq!(
            found,
            [
                ("command".into(), "a".into(), "b".into()),
                ("env.API_TOKEN".into(), "***".into(), "***".into())
            ]
        );
    }

    #[test]
    fn addresses_are_tried() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(attempt("127.0.0.1", port), "open");
        drop(listener);
        assert_ne!(attempt("127.0.0.1", 1), "open");
    }
}
