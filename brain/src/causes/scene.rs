//! All that is known about a process at one moment, read once.
//!
//! Causes are pure functions over it: no cause asks the world. It is kept with the incident,
//! so a diagnosis can be made again, and an example of a cause is a small scene written down.
//! It is one piece although it is long: its fields and the questions causes ask about them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::sys::inspect::{CloseLook, DiskRoom, HostLook, PortOwner};

use super::text;
use crate::facts::{
    AttemptLook, BrokenFile, CertificateLook, ChangeLook, EnvFileLook, FileLook, LockLook,
    NeighbourLook, OrderLook, ReachLook,
};
use crate::incident::fingerprint::{template, trouble};
use crate::knowledge;

/// A symptom that was seen longer ago is over, unless something else says that it goes on.
pub(crate) const FRESH_S: f64 = 20.0;

/// A line of output.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, from = "LineForm")]
pub(crate) struct Line {
    /// Where it can be looked up.
    pub(crate) id: String,
    /// Seconds ago.
    pub(crate) age_s: f64,
    /// What it says.
    pub(crate) text: String,
    /// The kind of illness it speaks of, if it sounds like trouble.
    #[serde(skip)]
    pub(crate) kind: &'static str,
}

/// A line as written in an example: only its text, or all of it.
#[derive(Deserialize)]
#[serde(untagged)]
enum LineForm {
    Text(String),
    All {
        #[serde(default)]
        id: String,
        #[serde(default)]
        age_s: f64,
        text: String,
    },
}

impl From<LineForm> for Line {
    fn from(form: LineForm) -> Self {
        let (id, age_s, text) = match form {
            LineForm::Text(text) => (String::new(), 0.0, text),
            LineForm::All { id, age_s, text } => (id, age_s, text),
        };
        Self {
            id,
            age_s,
            text,
            kind: "",
        }
    }
}

impl Line {
    /// Fit to be shown.
    pub(crate) fn shown(&self) -> String {
        knowledge::quotable(&self.text)
    }

    /// Does it say that the trouble it speaks of was dealt with?
    pub(crate) fn was_handled(&self) -> bool {
        knowledge::was_handled(&self.text)
    }
}

/// How a run died.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Dead {
    pub(crate) id: String,
    pub(crate) age_s: f64,
    pub(crate) code: Option<i64>,
    pub(crate) signal: Option<i64>,
    /// In words.
    pub(crate) exit: String,
    pub(crate) uptime_s: f64,
    /// The line that tells most.
    pub(crate) error: String,
    pub(crate) error_id: String,
    /// What it printed last that is no part of its last words.
    pub(crate) output: String,
    pub(crate) output_id: String,
    /// Its last words.
    pub(crate) words: Vec<String>,
    /// `worker.js:6`.
    pub(crate) place: String,
    /// The line of source there.
    pub(crate) source: String,
    /// The lines before it, nearest first.
    pub(crate) before: Vec<String>,
    /// Deaths in a row like this one.
    pub(crate) same: i64,
    /// It could not even be started.
    pub(crate) no_start: bool,
    pub(crate) poses_as_order: bool,
    /// The kind of illness it speaks of.
    #[serde(skip)]
    pub(crate) kind: &'static str,
}

impl Dead {
    /// Its last words without the lines of stacks.
    pub(crate) fn told(&self) -> Vec<&str> {
        let words = self.words.iter().map(String::as_str);
        words.filter(|line| !knowledge::is_frame(line)).collect()
    }

    /// Files that the source names where it failed, nearest first.
    pub(crate) fn sources(&self) -> Vec<String> {
        std::iter::once(&self.source)
            .chain(&self.before)
            .flat_map(|line| {
                let quoted = text::quoted(line).into_iter();
                quoted.filter(|name| name.contains(['.', '/']) && !name.contains(' '))
            })
            .collect()
    }
}

/// What a moment cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Use {
    pub(crate) age_s: f64,
    pub(crate) cpu: f64,
    pub(crate) rss: f64,
    pub(crate) fds: f64,
    pub(crate) threads: f64,
}

/// A restart, a stop, a change: seconds ago, why, and the event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Past {
    pub(crate) age_s: f64,
    pub(crate) what: String,
    pub(crate) event: i64,
    pub(crate) actor: String,
    /// `memory_exceeded`: bytes; `health_fail`: how often.
    pub(crate) figure: f64,
}

/// All that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scene {
    /// The moment it is of.
    pub(crate) now: Timestamp,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) detail: String,
    pub(crate) wanted: bool,
    pub(crate) held: bool,
    pub(crate) copies: u64,
    pub(crate) online: u64,
    pub(crate) uptime_s: f64,
    /// Was it ever up, within the hour?
    pub(crate) was_online: bool,
    pub(crate) probed: bool,
    pub(crate) probe_failures: u32,
    pub(crate) probe_down_s: f64,
    pub(crate) probe_error: String,
    pub(crate) attempts: Vec<AttemptLook>,
    pub(crate) max_memory: Option<u64>,
    pub(crate) max_instances: u64,
    pub(crate) depends_on: Vec<String>,
    pub(crate) ports: Vec<u16>,
    pub(crate) env_keys: Vec<String>,
    pub(crate) command: String,
    pub(crate) deaths: Vec<Dead>,
    /// Crashes, also those before somebody last stepped in.
    pub(crate) crashes: Vec<Past>,
    /// Ends with exit code 0 that nobody asked for.
    pub(crate) exits: Vec<Past>,
    pub(crate) restarts: Vec<Past>,
    pub(crate) over_memory: Vec<Past>,
    pub(crate) health_fails: Vec<Past>,
    pub(crate) lines: Vec<Line>,
    pub(crate) log_bytes_per_s: f64,
    pub(crate) log_lines_per_s: f64,
    pub(crate) samples: Vec<Use>,
    pub(crate) close: Vec<CloseLook>,
    pub(crate) owners: Vec<PortOwner>,
    pub(crate) disks: Vec<DiskRoom>,
    pub(crate) files: Vec<FileLook>,
    pub(crate) broken: Vec<BrokenFile>,
    pub(crate) locks: Vec<LockLook>,
    pub(crate) change: Option<ChangeLook>,
    pub(crate) has_previous: bool,
    pub(crate) env_files: Vec<EnvFileLook>,
    pub(crate) reach: Vec<ReachLook>,
    pub(crate) certificates: Vec<CertificateLook>,
    /// What somebody told mhost to do with it.
    pub(crate) orders: Vec<OrderLook>,
    pub(crate) neighbours: Vec<NeighbourLook>,
    pub(crate) host: HostLook,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            name: "api".to_owned(),
            state: "online".to_owned(),
            detail: "online".to_owned(),
            wanted: true,
            held: false,
            copies: 1,
            online: 1,
            uptime_s: 60.0,
            was_online: true,
            probed: false,
            probe_failures: 0,
            probe_down_s: 0.0,
            probe_error: String::new(),
            attempts: Vec::new(),
            max_memory: None,
            max_instances: 4,
            depends_on: Vec::new(),
            ports: Vec::new(),
            env_keys: Vec::new(),
            command: String::new(),
            deaths: Vec::new(),
            crashes: Vec::new(),
            exits: Vec::new(),
            restarts: Vec::new(),
            over_memory: Vec::new(),
            health_fails: Vec::new(),
            lines: Vec::new(),
            log_bytes_per_s: 0.0,
            log_lines_per_s: 0.0,
            samples: Vec::new(),
            close: Vec::new(),
            owners: Vec::new(),
            disks: Vec::new(),
            files: Vec::new(),
            broken: Vec::new(),
            locks: Vec::new(),
            change: None,
            has_previous: false,
            env_files: Vec::new(),
            reach: Vec::new(),
            certificates: Vec::new(),
            orders: Vec::new(),
            neighbours: Vec::new(),
            host: HostLook::default(),
        }
    }
}

/// Lines of one kind that a process prints, or died with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// The newest of them.
    pub(crate) line: Line,
    /// How many in the last minute; deaths in a row for a deadly one.
    pub(crate) times: usize,
    /// Seconds since the oldest of them.
    pub(crate) since_s: f64,
    /// It died with these words.
    pub(crate) deadly: bool,
    /// All it said then.
    pub(crate) all: String,
}

impl Said {
    /// How sure one is by these words alone.
    pub(crate) fn weight(&self) -> f64 {
        if self.deadly {
            return 0.78;
        }
        match self.times {
            0 => 0.0,
            1 => 0.45,
            2 => 0.6,
            3..=4 => 0.7,
            _ => 0.8,
        }
    }
}

impl Scene {
    /// Fills what follows from the rest. To be called once, after reading or writing it down.
    pub(crate) fn settled(mut self) -> Self {
        for (place, line) in self.lines.iter_mut().enumerate() {
            if line.id.is_empty() {
                line.id = format!("log:{place}");
            }
            line.kind = knowledge::kind_of(&line.text);
        }
        for (place, dead) in self.deaths.iter_mut().enumerate() {
            if dead.id.is_empty() {
                dead.id = format!("event:{place}");
            }
            if dead.error_id.is_empty() {
                dead.error_id.clone_from(&dead.id);
            }
            if dead.output_id.is_empty() && !dead.output.is_empty() {
                dead.output_id.clone_from(&dead.id);
            }
            dead.same = dead.same.max(1);
            if dead.exit.is_empty() {
                dead.exit = match (dead.signal, dead.code) {
                    (Some(signal), _) => knowledge::signal_words(signal),
                    (None, Some(code)) => format!("exit code {code}"),
                    (None, None) => "an unknown exit".to_owned(),
                };
            }
            let words = dead.words.join("\n");
            let line = (!dead.error.is_empty()).then_some(dead.error.as_str());
            dead.kind = knowledge::illness(line, &words).kind;
        }
        self
    }

    /// Every copy is up, and no probe fails.
    pub(crate) fn is_well(&self) -> bool {
        self.state == "online" && self.online >= self.copies && self.probe_failures == 0
    }

    /// It should run and does not, or only for a moment at a time.
    pub(crate) fn is_down(&self) -> bool {
        self.wanted && (self.online == 0 || self.held)
    }

    /// The newest death that still counts.
    pub(crate) fn death(&self) -> Option<&Dead> {
        self.deaths.last()
    }

    /// What it says of one kind of illness: with its last words, or while it lives.
    pub(crate) fn said(&self, kind: &str) -> Option<Said> {
        self.said_any(&[kind])
    }

    /// As [`Scene::said`], of any of these kinds.
    pub(crate) fn said_any(&self, kinds: &[&str]) -> Option<Said> {
        if let Some(dead) = self.death()
            && kinds.contains(&dead.kind)
        {
            let text = match dead.error.as_str() {
                "" => dead.words.last().cloned().unwrap_or_default(),
                error => error.to_owned(),
            };
            return Some(Said {
                line: Line {
                    id: dead.error_id.clone(),
                    age_s: dead.age_s,
                    text,
                    kind: dead.kind,
                },
                times: usize::try_from(dead.same).unwrap_or(1),
                since_s: dead.age_s,
                deadly: true,
                all: dead.told().join("\n"),
            });
        }
        let lines: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| kinds.contains(&line.kind) && self.is_of_now(line))
            .collect();
        let newest = lines.last()?;
        Some(Said {
            line: (*newest).clone(),
            times: lines.len(),
            since_s: lines.iter().map(|line| line.age_s).fold(0.0, f64::max),
            deadly: false,
            all: lines
                .iter()
                .rev()
                .take(10)
                .map(|line| line.text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
        })
    }

    /// Was it printed in the last minute, by a run that is still there, and since that is ill?
    /// What a former run complained of ended with it, unless this one complains, too; and what
    /// it complained of while its probe failed is over when the probe passes again.
    fn is_of_now(&self, line: &Line) -> bool {
        const MARGIN_S: f64 = 1.0;
        let former = self.copies == 1 && line.age_s > self.uptime_s + MARGIN_S
            || self.got_well_s().is_some_and(|ago| line.age_s > ago);
        let former = self.is_well() && former;
        line.age_s <= 60.0 && !former && !knowledge::is_frame(&line.text)
    }

    /// So many seconds ago its probe passed again after it had failed, and has passed ever
    /// since, more than once.
    fn got_well_s(&self) -> Option<f64> {
        let bad = self.attempts.iter().rposition(|one| !one.passed)?;
        match self.attempts.get(bad + 1..)? {
            [first, _, ..] => Some(first.age_s),
            _ => None,
        }
    }

    /// Lines of the last minute that a pattern matches.
    pub(crate) fn matching(&self, pattern: &regex::Regex) -> Vec<&Line> {
        self.lines
            .iter()
            .filter(|line| self.is_of_now(line) && pattern.is_match(&line.text))
            .collect()
    }

    /// Lines that name an error, grouped by what they have in common; the most frequent first.
    pub(crate) fn storms(&self, window_s: f64) -> Vec<(Line, usize, f64)> {
        let mut groups: Vec<(String, Line, usize, f64)> = Vec::new();
        for line in &self.lines {
            let counts = line.age_s <= window_s && self.is_of_now(line);
            if !counts || trouble(&line.text) < 2 || line.was_handled() {
                continue;
            }
            let common = template(&line.text);
            match groups.iter_mut().find(|group| group.0 == common) {
                Some(group) => {
                    group.1 = line.clone();
                    group.2 += 1;
                }
                None => groups.push((common, line.clone(), 1, line.age_s)),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.2));
        groups
            .into_iter()
            .map(|(_, line, times, since)| (line, times, since - 0.0))
            .collect()
    }

    /// The newest line that says anything.
    pub(crate) fn last_line(&self) -> Option<&Line> {
        self.lines
            .iter()
            .rev()
            .find(|line| !line.text.trim().is_empty())
    }

    /// The newest line that tells of work: no error, no part of a stack.
    pub(crate) fn last_deed(&self) -> Option<&Line> {
        self.lines.iter().rev().find(|line| {
            let text = line.text.as_str();
            line.kind.is_empty()
                && text.chars().filter(|c| c.is_alphabetic()).count() > 3
                && !text.starts_with([' ', '\t'])
                && !text.starts_with("Traceback")
        })
    }

    /// Did a probe end the newest run a moment ago?
    pub(crate) fn failed_just_now(&self) -> bool {
        self.health_fails
            .last()
            .is_some_and(|fail| fail.age_s < FRESH_S)
    }

    /// Do its probes take far longer than they did?
    pub(crate) fn is_late(&self) -> bool {
        let passed = self.attempts.iter().filter(|one| one.passed);
        let usual = passed.map(|one| one.took_ms).min().unwrap_or(0);
        let newest = self.attempts.iter().rev().take(3);
        let newest = newest.map(|one| one.took_ms).max().unwrap_or(0);
        newest > 300 && newest > usual * 5
    }

    /// Percent of a core, on average over the last `window_s`; none without samples.
    pub(crate) fn cpu(&self, window_s: f64) -> Option<f64> {
        let all: Vec<f64> = self
            .samples
            .iter()
            .filter(|sample| sample.age_s <= window_s)
            .map(|sample| sample.cpu)
            .collect();
        if !all.is_empty() {
            return Some(all.iter().sum::<f64>() / all.len() as f64);
        }
        let seen: Vec<f64> = self.close.iter().map(|look| look.cpu_percent).collect();
        seen.iter().copied().reduce(f64::max)
    }

    /// Percent of a core at this very moment.
    pub(crate) fn cpu_now(&self) -> f64 {
        let close = self
            .close
            .iter()
            .map(|look| look.cpu_percent)
            .fold(0.0, f64::max);
        let newest = self.samples.last().map_or(0.0, |sample| sample.cpu);
        if self.close.is_empty() { newest } else { close }
    }

    /// Bytes now.
    pub(crate) fn rss(&self) -> Option<f64> {
        self.samples.last().map(|sample| sample.rss)
    }

    /// Straight line through a series by least squares: a second's change, and how well the
    /// line fits (R², 0 to 1). None with too little to go by.
    pub(crate) fn slope(&self, of: impl Fn(&Use) -> f64) -> Option<(f64, f64)> {
        let alive: Vec<&Use> = self
            .samples
            .iter()
            .filter(|sample| sample.age_s <= self.uptime_s.max(1.0))
            .collect();
        if alive.len() < 4 {
            return None;
        }
        let n = alive.len() as f64;
        let mean_t = alive.iter().map(|s| -s.age_s).sum::<f64>() / n;
        let mean_v = alive.iter().map(|s| of(s)).sum::<f64>() / n;
        let (mut over, mut time, mut value) = (0.0, 0.0, 0.0);
        for sample in &alive {
            let (dt, dv) = (-sample.age_s - mean_t, of(sample) - mean_v);
            over += dt * dv;
            time += dt * dt;
            value += dv * dv;
        }
        if time <= 0.0 {
            return None;
        }
        let fit = if value > 0.0 {
            over * over / (time * value)
        } else {
            0.0
        };
        Some((over / time, fit))
    }

    /// The moment when its probe last failed after it had passed, as far as it can be told
    /// from what is kept: what came later is left out. Nothing when it did not fail lately.
    pub(crate) fn rewound(&self) -> Option<Self> {
        const LATELY_S: f64 = 180.0;
        let up = self.attempts.iter().position(|one| one.passed)?;
        let after = self.attempts.get(up..)?;
        let bad = after.iter().rposition(|one| !one.passed)?;
        let shift = after[bad].age_s;
        if !(1.0..=LATELY_S).contains(&shift) {
            return None;
        }
        let mut then = self.clone();
        let past = |age: &mut f64| {
            *age -= shift;
            *age > -0.6
        };
        then.lines.retain_mut(|line| past(&mut line.age_s));
        then.samples.retain_mut(|one| past(&mut one.age_s));
        then.attempts.retain_mut(|one| past(&mut one.age_s));
        then.deaths.retain_mut(|one| past(&mut one.age_s));
        for list in [
            &mut then.restarts,
            &mut then.over_memory,
            &mut then.health_fails,
            &mut then.crashes,
            &mut then.exits,
        ] {
            list.retain_mut(|one| past(&mut one.age_s));
        }
        then.close.clear();
        then.reach.clear();
        then.owners.clear();
        let row = after[..=bad]
            .iter()
            .rev()
            .take_while(|one| !one.passed)
            .count();
        then.probe_failures = u32::try_from(row).unwrap_or(1);
        then.probe_error = after[bad].error.clone().unwrap_or_default();
        then.uptime_s = (self.uptime_s - shift).max(5.0);
        Some(then)
    }

    /// A neighbour by name.
    pub(crate) fn neighbour(&self, name: &str) -> Option<&NeighbourLook> {
        self.neighbours.iter().find(|one| one.name == name)
    }

    /// Threads in a place, over all copies.
    pub(crate) fn threads_in(&self, place: impl Fn(&str) -> bool) -> u64 {
        self.close
            .iter()
            .flat_map(|look| &look.places)
            .filter(|(name, _)| place(name))
            .map(|(_, count)| count)
            .sum()
    }

    /// All threads that were looked at.
    pub(crate) fn threads_seen(&self) -> u64 {
        self.threads_in(|_| true)
    }

    /// Where a file lies on which the last words or errors rest.
    pub(crate) fn file(&self, path: &str) -> Option<&FileLook> {
        self.files.iter().find(|file| file.path == path)
    }

    /// An id for the state as such.
    pub(crate) fn fact(&self, what: &str) -> String {
        format!("fact:{}/{what}", self.name)
    }
}

/// `12.3 MB`.
pub(crate) fn megabytes(bytes: f64) -> String {
    let mb = bytes / f64::from(1 << 20);
    if mb >= 100.0 {
        format!("{mb:.0} MB")
    } else {
        format!("{mb:.1} MB")
    }
}

/// `12 s`, `4 min`, `2 h`.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
