//! The project of a story: its processes, who depends on whom, and how they change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::Subject;
use crate::Target;
use crate::command::{Apply, Command};
use crate::ids::ProcessName;
use crate::simulation::promises::Promises;
use crate::simulation::story::table;
use crate::spec::{ProcessSpec, Project as File};
use crate::testing::spec_in;

/// Names in the order of dependency: each depends on some of those before it.
const NAMES: [&str; 5] = ["db", "cache", "api", "worker", "web"];

/// The file that defines them.
const FILE: &str = "/project/mhost.toml";

#[derive(Debug)]
pub(super) struct Project {
    subject: Subject,
    names: Vec<ProcessName>,
    specs: BTreeMap<ProcessName, ProcessSpec>,
    loose: BTreeSet<ProcessName>,
    revision: u32,
}

impl Project {
    pub(super) fn new(subject: Subject, rng: &mut fastrand::Rng, promises: &Promises) -> Self {
        let names = NAMES[..rng.usize(2..=NAMES.len())].iter();
        let names: Vec<ProcessName> = names.map(|name| name.parse().expect("a name")).collect();
        let loose = names.iter().filter(|_| rng.u8(..5) == 0).cloned().collect();
        let mut project = Self {
            subject,
            names: names.clone(),
            specs: BTreeMap::new(),
            loose,
            revision: 0,
        };
        for name in names {
            project.define(rng, promises, &name);
        }
        project
    }

    pub(super) fn names(&self) -> &[ProcessName] {
        &self.names
    }

    /// Of these the rest of a tree may outlive its leader. That never changes.
    pub(super) fn loose(&self) -> BTreeSet<ProcessName> {
        self.loose.clone()
    }

    pub(super) fn some_name(&self, rng: &mut fastrand::Rng) -> ProcessName {
        self.names[rng.usize(..self.names.len())].clone()
    }

    /// Mostly that process, at times all of them or one copy of it.
    pub(super) fn target(&self, rng: &mut fastrand::Rng, name: &ProcessName) -> Target {
        match (self.subject, rng.u8(..10)) {
            (_, 0) => Target("all".into()),
            (Subject::Whole, 1) => Target(format!("{name}:0")),
            (Subject::Copies, 1..=5) => Target(format!("{name}:{}", rng.u16(..3))),
            _ => Target::process(name),
        }
    }

    /// Defines a process anew.
    fn define(&mut self, rng: &mut fastrand::Rng, promises: &Promises, name: &ProcessName) {
        let place = self.names.iter().position(|one| one == name);
        let before = &self.names[..place.unwrap_or(0)];
        let on: Vec<&str> = before
            .iter()
            .filter(|_| rng.u8(..3) == 0)
            .map(ProcessName::as_str)
            .collect();
        let mut lines = table(rng).replace("kill_tree = false", "kill_tree = true");
        if self.loose.contains(name) {
            lines = lines.replace("kill_tree = true", "kill_tree = false");
        }
        lines.push_str(&format!("\ndepends_on = {on:?}"));
        if rng.bool() {
            lines.push_str("\nready = \"notify\"");
        }
        lines.push_str(match rng.u8(..4) {
            0 => "\nreload = { surge = 1 }",
            1 => "\nreload = { mode = \"signal\" }",
            2 => "\nreload = { timeout = \"5s\" }",
            _ => "",
        });
        if rng.u8(..8) == 0 {
            lines.push_str("\ncron_restart = \"*/3 * * * *\"\ntimezone = \"UTC\"");
        }
        self.revision += 1;
        let mut spec = spec_in(Path::new("/"), &lines);
        spec.name = name.clone();
        let counts = match self.subject {
            Subject::Whole => [1, 1, 2, 3],
            Subject::Copies => [1, 2, 3, 3],
        };
        spec.instances = counts[rng.usize(..4)];
        spec.argv.args = vec![format!("revision {}", self.revision)];
        spec.project = Some(File {
            file: FILE.into(),
            groups: Vec::new(),
        });
        promises.tell(format!(
            "{name}, {} copies, revision {}: {}",
            spec.instances,
            self.revision,
            lines.replace('\n', "; ")
        ));
        self.specs.insert(name.clone(), spec);
    }

    /// The file as it is, or with changes; at times without one of them.
    pub(super) fn apply(&mut self, rng: &mut fastrand::Rng, promises: &Promises) -> Command {
        for name in self.names.clone() {
            if rng.u8(..4) == 0 {
                self.define(rng, promises, &name);
            }
        }
        let without = match rng.u8(..4) {
            // Nobody depends on the last.
            0 => self.names.last().cloned(),
            _ => None,
        };
        let kept = self
            .names
            .iter()
            .filter(|name| without.as_ref() != Some(name));
        Command::Apply(Apply {
            processes: kept.map(|name| self.specs[name].clone()).collect(),
            groups: Vec::new(),
            others: Vec::new(),
            prune: rng.bool(),
            force: rng.u8(..6) == 0,
            reset_scale: rng.u8(..4) == 0,
            wait: rng.bool().then_some(Duration::from_secs(30)),
        })
    }

    /// The processes of which an order may change what is to be so.
    pub(super) fn touched_by(&self, command: &Command) -> Vec<ProcessName> {
        let with_dependencies = matches!(command, Command::Start { .. });
        match command {
            Command::Apply(_) => self.names.clone(),
            Command::Links => Vec::new(),
            _ => {
                let target = command.target().map(|target| target.0.as_str());
                let named = target.map(|text| text.split(':').next().unwrap_or(text));
                let place = self
                    .names
                    .iter()
                    .position(|one| Some(one.as_str()) == named);
                match place {
                    Some(place) if with_dependencies => self.names[..=place].to_vec(),
                    Some(place) => vec![self.names[place].clone()],
                    None => self.names.clone(),
                }
            }
        }
    }
}
