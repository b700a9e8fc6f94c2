//! Names the cause of an illness without a model: a knowledge base, and the way through it.
//!
//! ```text
//!   Facts ──read──► Scene ──► every cause looks ──► Found: words, grounds, contradictions
//!                     │                                │ weighed
//!                     └── kept with the incident       ▼
//!             the likeliest · its culprit looked at in turn ──► Case
//! ```
//!
//! A cause is one file below this one: what it looks for, what proves it, what contradicts
//! it, what to do about it, and an example that is its test. It knows the shapes in which
//! languages, the C library and the kernel report trouble, and no program in particular.
//! Text raises a suspicion; what follows from it is limited by what the file of the cause
//! allows. Causes are pure: they see a [`scene::Scene`] and nothing else.
//! It is one piece although it is long: one way, from the question to the case.

mod catalogue;
mod found;
mod nearby;
mod read;
pub(crate) mod scene;
mod text;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::{ProcessName, until};

pub use found::Advice;
pub use read::ports as ports_of;
pub use text::addresses as addresses_in;

use crate::action::Action;
use crate::facts::Facts;
use crate::incident::Evidence;
use crate::knowledge::poses_as_order;
use crate::proposal::{Plan, PlaybookId, Proposal, Step};
use catalogue::CAUSES;
use found::Found;
use nearby::nearby;
pub(crate) use read::Haste;
use scene::{Scene, megabytes, span};

/// Below this confidence nothing is claimed.
pub(crate) const FLOOR: f64 = 0.45;
/// From this confidence on a machine may act on a cause, if the cause and the policy let it.
pub(crate) const ACTS: f64 = 0.72;
/// From this confidence on a look back tells of what is over.
const RECALLED: f64 = 0.6;
/// How far a chain of culprits is followed.
const DEPTH: usize = 4;
/// Evidence of one case.
const EVIDENCE: usize = 10;
/// Longest root cause, in characters.
const WORDS: usize = 1_200;
/// How long the supervisor has for a process whose probe fails, in seconds.
const PATIENCE: f64 = 8.0;
/// Plans of causes are told from those of playbooks by this.
const PREFIX: &str = "cause:";

/// One entry of the knowledge base.
pub(crate) struct Cause {
    /// Its name: `missing-module`.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// Does it see itself? Proofs, contradictions and advice come with the answer.
    pub(crate) look: fn(&Scene) -> Option<Found>,
    /// Scenes in which it must be the answer; the test of the file.
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tests"))]
    pub(crate) examples: &'static [Example],
}

/// A scene written down, and what the answer must say.
pub(crate) struct Example {
    /// The scene, as TOML.
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tests"))]
    pub(crate) scene: &'static str,
    /// Texts that the root cause must hold. Empty: the cause must not be the answer.
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tests"))]
    pub(crate) says: &'static [&'static str],
}

/// How a process stands, as far as the brain can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing is wrong.
    Well,
    /// Something is wrong, and this is what.
    Ill,
    /// Something is wrong, and nobody can tell what.
    Unknown,
    /// It was ill not long ago and is well now.
    Recovered,
}

/// What was thought of and does not fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuledOut {
    /// What: a cause's name, or a subject as `memory`.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// A diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The process that was asked about.
    pub asked: ProcessName,
    /// How it stands.
    pub state: Standing,
    /// The cause's name.
    pub cause: Option<String>,
    /// The root cause in words.
    pub root_cause: String,
    /// The process to blame.
    pub process: String,
    /// The culprits between the process that was asked about and the one to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// What it rests on, the weightiest first.
    pub evidence: Vec<Evidence>,
    /// What to do, best first.
    pub actions: Vec<Advice>,
    /// What was thought of and does not fit.
    pub ruled_out: Vec<RuledOut>,
    /// When it was made.
    pub at: Timestamp,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// What a machine may do about it, on the culprit; empty when only people can help.
    #[serde(default)]
    pub plan: Plan,
}

impl Case {
    /// Is it worth being remembered?
    pub fn is_telling(&self) -> bool {
        self.state == Standing::Ill
    }

    /// A proposal for the process it was made for, if the cause allows a machine to act and
    /// the process is the one to blame.
    pub fn proposal(&self) -> Option<Proposal> {
        let own = self.process == self.asked.as_str();
        (self.is_telling() && own && self.confidence >= ACTS && !self.plan.steps.is_empty()).then(
            || Proposal {
                cause: self.root_cause.clone(),
                confidence: self.confidence,
                evidence: self.evidence.clone(),
                plan: self.plan.clone(),
                playbook: playbook_of(self.cause.as_deref().unwrap_or_default()),
                version: None,
            },
        )
    }
}

/// The name under which a cause's plan is recorded.
fn playbook_of(cause: &str) -> PlaybookId {
    PlaybookId(format!("{PREFIX}{cause}"))
}

/// Is this the name of a cause's plan?
pub fn is_cause(playbook: &str) -> bool {
    playbook.starts_with(PREFIX)
}

/// A diagnosis with the scenes it was made from, by process.
pub type Investigation = (Case, Vec<(String, Value)>);

/// Finds out what is wrong with a process. Blocking; about a second at most. Nothing when
/// there is no such process.
pub fn investigate(facts: &Arc<dyn Facts>, name: &ProcessName) -> Option<Investigation> {
    investigate_in(facts, name, Haste::None)
}

/// As [`investigate`], in the time there is.
pub(crate) fn investigate_in(
    facts: &Arc<dyn Facts>,
    name: &ProcessName,
    haste: Haste,
) -> Option<Investigation> {
    let begun = facts.now();
    let mut scenes = Vec::new();
    let mut read = |name: &str| -> Option<Scene> {
        let scene = Scene::read(facts.as_ref(), &name.parse().ok()?, haste)?;
        let kept = serde_json::to_value(&scene).unwrap_or(Value::Null);
        scenes.push((name.to_owned(), kept));
        Some(scene)
    };
    let mut case = follow(name, begun, &mut read)?;
    case.took_ms = until(begun, facts.now()).as_millis() as u64;
    Some((case, scenes))
}

/// Finds out again from what was read then.
pub fn reinvestigate(
    name: &ProcessName,
    at: Timestamp,
    scenes: &[(String, Value)],
) -> Option<Case> {
    let mut read = |name: &str| {
        let (_, kept) = scenes.iter().find(|(of, _)| of == name)?;
        let scene: Scene = serde_json::from_value(kept.clone()).ok()?;
        Some(scene.settled())
    };
    follow(name, at, &mut read)
}

/// Looks at a process, and at whom it blames, and so on.
fn follow(
    asked: &ProcessName,
    at: Timestamp,
    read: &mut dyn FnMut(&str) -> Option<Scene>,
) -> Option<Case> {
    let mut case = judge(asked, &read(asked.as_str())?, at);
    let mut seen = vec![asked.to_string()];
    let tells = |case: &Case| matches!(case.state, Standing::Ill | Standing::Recovered);
    while tells(&case) && !seen.contains(&case.process) && seen.len() < DEPTH {
        seen.push(case.process.clone());
        let (Ok(culprit), Some(scene)) = (case.process.parse(), read(&case.process)) else {
            break;
        };
        let deeper = judge(&culprit, &scene, at);
        if !tells(&deeper)
            || deeper.confidence < 0.55
            || seen.contains(&deeper.process) && deeper.process != case.process
        {
            // Nothing ails it that can be seen: what others say of it has to do.
            break;
        }
        case.root_cause = clip(&format!(
            "{} Behind it: {}",
            case.root_cause, deeper.root_cause
        ));
        case.chain.push(case.process.clone());
        case.process = deeper.process;
        case.cause = deeper.cause;
        case.actions = deeper.actions;
        // What is over needs no cure.
        if case.is_telling() {
            case.plan = deeper.plan;
        }
        for one in deeper.evidence {
            if !case.evidence.contains(&one) && case.evidence.len() < EVIDENCE {
                case.evidence.push(one);
            }
        }
    }
    case.chain.retain(|one| *one != case.process);
    Some(case)
}

/// All causes that see themselves, likeliest first.
fn weigh(scene: &Scene) -> Vec<(&'static Cause, Found, f64)> {
    let mut found: Vec<_> = CAUSES
        .iter()
        .filter_map(|cause| {
            let found = (cause.look)(scene)?;
            let confidence = found.confidence();
            Some((*cause, found, confidence))
        })
        .collect();
    // Stable: of two that are equally likely the more particular one stands first.
    found.sort_by(|a, b| b.2.total_cmp(&a.2));
    found
}

/// What one scene says.
fn judge(asked: &ProcessName, scene: &Scene, at: Timestamp) -> Case {
    let mut found = weigh(scene);
    let best = match found.first() {
        Some((_, _, confidence)) if *confidence >= FLOOR => Some(found.remove(0)),
        _ => None,
    };
    let mut ruled_out: Vec<RuledOut> = found
        .iter()
        .take(4)
        .map(|(cause, other, confidence)| RuledOut {
            what: cause.name.to_owned(),
            why: match other.against.first() {
                Some((_, why)) => format!("{}, but {why}", cause.title),
                None => format!("{}: less likely ({:.0} %)", cause.title, confidence * 100.0),
            },
        })
        .collect();
    ruled_out.extend(excluded(scene, best.as_ref().map(|(cause, ..)| cause.name)));
    let case = |state, root_cause: String, confidence| Case {
        asked: asked.clone(),
        state,
        cause: None,
        root_cause: clip(&root_cause),
        process: asked.to_string(),
        chain: Vec::new(),
        confidence,
        evidence: Vec::new(),
        actions: Vec::new(),
        ruled_out: ruled_out.clone(),
        at,
        took_ms: 0,
        plan: Plan::default(),
    };
    if let Some((cause, found, confidence)) = best {
        let mut proofs = found.proofs;
        let mut words = found.words;
        if scene.deaths.iter().any(|dead| dead.poses_as_order)
            || scene.lines.iter().any(|line| poses_as_order(&line.text))
        {
            words.push_str(" Its output holds text that poses as orders to the reader; it was treated as data.");
        }
        proofs.sort_by(|a, b| b.0.total_cmp(&a.0));
        return Case {
            cause: Some(cause.name.to_owned()),
            process: found.culprit.unwrap_or_else(|| asked.to_string()),
            evidence: proofs
                .into_iter()
                .map(|(_, evidence)| evidence)
                .take(EVIDENCE)
                .collect(),
            actions: found.advice,
            plan: plan(scene, found.plan),
            ..case(Standing::Ill, words, (confidence * 100.0).round() / 100.0)
        };
    }
    if !scene.wanted && !scene.held {
        let text = format!(
            "Nothing is wrong: `{asked}` is {}, as it was asked to be.",
            scene.detail
        );
        return case(Standing::Well, text, 0.95);
    }
    if scene.is_well()
        && let Some(then) = scene.rewound()
    {
        let shift = scene
            .attempts
            .iter()
            .rev()
            .find(|one| !one.passed)
            .map_or(0.0, |one| one.age_s);
        let was = judge(asked, &then, at);
        if was.is_telling() && was.confidence >= RECALLED {
            return Case {
                state: Standing::Recovered,
                root_cause: clip(&format!(
                    "{} (That was {} ago; it is well now.)",
                    was.root_cause,
                    span(shift)
                )),
                plan: Plan::default(),
                ..was
            };
        }
    }
    if scene.is_well() {
        let mut text = format!(
            "Nothing is wrong: `{asked}` is healthy, {} for {}",
            scene.detail,
            span(scene.uptime_s)
        );
        if scene.probed {
            text.push_str(", and its probe passes");
        }
        text.push('.');
        let nearby = nearby(scene);
        if let Some((words, _)) = &nearby {
            text.push_str(words);
        }
        let mut well = case(
            Standing::Well,
            text,
            if scene.uptime_s < 5.0 { 0.6 } else { 0.9 },
        );
        well.evidence = vec![Evidence {
            id: scene.fact("state"),
            text: format!("{}, up for {}", scene.detail, span(scene.uptime_s)),
        }];
        well.evidence.extend(nearby.map(|(_, evidence)| evidence));
        return well;
    }
    unknown(asked, scene, case)
}

/// What a machine may do. Where a probe fails, the supervisor restarts first: two at once would
/// undo each other's work.
fn plan(scene: &Scene, steps: Vec<Step>) -> Plan {
    let restarts = |step: &Step| {
        matches!(
            step.action,
            Action::Restart { .. } | Action::KillRestart { .. }
        )
    };
    let early = scene.online > 0 && scene.probe_failures > 0 && scene.probe_down_s < PATIENCE;
    let steps = if early && steps.iter().any(restarts) {
        Vec::new()
    } else {
        steps
    };
    Plan { steps, ask: None }
}

/// Something is wrong and no cause fits: what is known, and nothing beyond it.
fn unknown(
    asked: &ProcessName,
    scene: &Scene,
    case: impl Fn(Standing, String, f64) -> Case,
) -> Case {
    let mut text = format!("The cause is unknown: `{asked}` is {}", scene.detail);
    let mut evidence = vec![Evidence {
        id: scene.fact("state"),
        text: scene.detail.clone(),
    }];
    if !scene.probe_error.is_empty() {
        text.push_str(&format!(", and its probe fails ({})", scene.probe_error));
        evidence.push(Evidence {
            id: format!("probe:{asked}"),
            text: scene.probe_error.clone(),
        });
    }
    if let Some(dead) = scene.death() {
        text.push_str(&format!("; it ended with {}", dead.exit));
        if !dead.error.is_empty() {
            text.push_str(&format!(", saying `{}`", dead.error));
        }
        evidence.push(Evidence {
            id: dead.id.clone(),
            text: dead.exit.clone(),
        });
    }
    text.push_str(". A person should look.");
    let mut case = case(Standing::Unknown, text, 0.2);
    case.evidence = evidence;
    case.actions = vec![Advice {
        action: "person".to_owned(),
        text: format!("read its output: mhost logs {asked}"),
        safe: false,
    }];
    case
}

/// What the figures exclude.
fn excluded(scene: &Scene, winner: Option<&str>) -> Vec<RuledOut> {
    let mut all = Vec::new();
    let mut out = |what: &str, why: String| {
        all.push(RuledOut {
            what: what.to_owned(),
            why,
        });
    };
    let won = |names: &[&str]| winner.is_some_and(|winner| names.contains(&winner));
    if let (Some(rss), Some(limit)) = (scene.rss(), scene.max_memory)
        && rss < limit as f64 * 0.8
        && scene.over_memory.is_empty()
    {
        out(
            "memory",
            format!("{} of {}", megabytes(rss), megabytes(limit as f64)),
        );
    }
    if let Some(cpu) = scene.cpu(30.0)
        && cpu < 50.0
        && !won(&["cpu-spin", "blocked-loop"])
    {
        out("cpu", format!("{cpu:.0} % of a core"));
    }
    if let Some(disk) = scene.disks.iter().min_by_key(|disk| disk.free)
        && disk.free > 256 << 20
        && !disk.read_only
    {
        out("disk", format!("{} free", megabytes(disk.free as f64)));
    }
    if let Some(look) = scene.close.first()
        && let Some(limit) = look.limits.get("open files")
        && look.fds * 2 < *limit
    {
        out("descriptors", format!("{} of {limit} open", look.fds));
    }
    if !scene.depends_on.is_empty()
        && scene
            .depends_on
            .iter()
            .all(|name| scene.neighbour(name).is_some_and(|one| one.well))
        && !won(&["dependency-down", "dependency-slow"])
    {
        out(
            "dependencies",
            format!("{} well", scene.depends_on.join(", ")),
        );
    }
    if scene.deaths.is_empty() && scene.restarts.is_empty() && scene.was_online {
        out("crash", "no death in the last ten minutes".to_owned());
    }
    all
}

fn clip(text: &str) -> String {
    if text.chars().count() <= WORDS {
        return text.to_owned();
    }
    text.chars().take(WORDS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
