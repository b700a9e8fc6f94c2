//! The end of a story: all faults end, and everything is as it was answered, on record, and up
//! when somebody asks for it.

use std::time::Duration;

use super::{Fleet, copies};
use crate::command::Command;
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;
use crate::simulation::life::Fate;
use crate::simulation::os::{Leader, Mood};
use crate::simulation::promises::Wish;
use crate::state::State;
use crate::store::ProcessRow;

/// Longest that it may take until all is up.
const LIMIT: Duration = Duration::from_secs(150);

type Entries = Vec<(ProcessRow, Vec<InstanceHandle>)>;

impl Fleet {
    pub(super) async fn calm_down(&mut self) {
        self.promises.tell("all faults end");
        self.daemon.life.doom(Fate::Lives);
        self.disk.set(false, None);
        self.os.set_mood(Mood::Well);
        tokio::time::sleep(Duration::from_secs(200)).await;
        if self.daemon.life.is_over() {
            self.next_daemon().await;
        }
        while !self.clients.are_idle() && !self.promises.is_broken() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(LIMIT).await;
        self.look_for_lost();
        self.look_at_wishes();
        self.look_at_copies();
        self.look_at_records().await;
        let start = Command::Start {
            target: crate::Target("all".into()),
            wait: Some(LIMIT),
        };
        if self.promises.is_broken() || self.order_and_wait(start).await.is_none() {
            return;
        }
        self.until_up().await;
        self.look_for_lost();
        self.look_for_orphans();
        self.look_at_records().await;
        self.daemon.life.kill();
    }

    fn entries(&self) -> Entries {
        self.daemon.registry.entries()
    }

    /// What was answered is so.
    fn look_at_wishes(&self) {
        let entries = self.entries();
        let living = self.os.all_leaders();
        for name in self.project.names() {
            let wished = self.promises.wished(name);
            let lives = living.iter().any(|one| one.instance.process == *name);
            let handles = entries.iter().find(|(row, _)| row.spec.name == *name);
            let handles = handles.map_or(&[][..], |(_, handles)| handles);
            let is_up = |handle: &InstanceHandle| {
                let state = &handle.snapshot().saved.state;
                matches!(state, State::Online { .. })
            };
            match wished {
                Wish::Down | Wish::Gone if lives => {
                    self.promises
                        .broke(format!("{name} lives and was to be {wished:?}"));
                }
                Wish::Gone if self.disk.row(name).is_some() => {
                    self.promises
                        .broke(format!("{name} was deleted and is on record"));
                }
                Wish::Up if !self.has_schedule(name) && !handles.iter().all(is_up) => {
                    let shown = handles.iter().map(shown).collect::<Vec<_>>();
                    self.promises
                        .broke(format!("{name} was to be up: {shown:?}"));
                }
                Wish::Open | Wish::Down | Wish::Gone | Wish::Up => {}
            }
        }
    }

    /// Copies that were stopped by themselves are down.
    fn look_at_copies(&self) {
        let wished = self.promises.wished_down();
        for leader in self.os.all_leaders() {
            if wished.contains(&leader.instance) {
                let copy = &leader.instance;
                self.promises
                    .broke(format!("{copy} lives and was to stay down by itself"));
            }
        }
    }

    fn has_schedule(&self, name: &ProcessName) -> bool {
        let row = self.disk.row(name);
        row.is_some_and(|row| row.spec.config.cron_restart.is_some())
    }

    /// Waits until every process is up, in its number of copies and with its definition of now.
    async fn until_up(&self) {
        let mut missing = Vec::new();
        for _ in 0..LIMIT.as_secs() {
            missing = self.what_is_not_up();
            if missing.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.promises
            .broke(format!("it does not come up again: {missing:?}"));
    }

    fn what_is_not_up(&self) -> Vec<String> {
        let living = self.os.all_leaders();
        let mut missing = Vec::new();
        for (row, handles) in self.entries() {
            if handles.len() != usize::from(copies(&row)) {
                let (has, wants) = (handles.len(), copies(&row));
                missing.push(format!("{} has {has} of {wants} copies", row.spec.name));
            }
            for handle in &handles {
                let snapshot = handle.snapshot();
                let run = match &snapshot.saved.state {
                    State::Online { run, .. } => run,
                    _ => {
                        missing.push(shown(handle));
                        continue;
                    }
                };
                let leader = living.iter().find(|one| one.process == run.process);
                match leader {
                    // A leader that ended while there was no daemon left one of its tree, which
                    // counts as the run.
                    None if self.os.lives(&run.process) => {}
                    None => missing.push(format!("{} is long gone", handle.id())),
                    Some(leader) if leader.args != row.spec.argv.args => {
                        let (is, wanted) = (&leader.args, &row.spec.argv.args);
                        missing.push(format!("{} is {is:?} and not {wanted:?}", handle.id()));
                    }
                    Some(_) => {}
                }
            }
        }
        missing
    }

    /// Nobody is left whose leader is gone, and no leader that is not the one of its instance.
    fn look_for_orphans(&self) {
        let entries = self.entries();
        let known = |id: &InstanceId| {
            let mut handles = entries.iter().flat_map(|(_, handles)| handles);
            let handle = handles.find(|handle| handle.id() == id)?;
            let snapshot = handle.snapshot();
            snapshot.saved.state.run().cloned()
        };
        let leaders = self.os.all_leaders().into_iter();
        let counts =
            |one: &Leader| known(&one.instance).is_some_and(|run| run.process == one.process);
        let strange = leaders.filter(|one| !counts(one));
        let strange: Vec<_> = strange.map(|one| one.instance.to_string()).collect();
        let orphans = self.os.orphans(known);
        if !strange.is_empty() || !orphans.is_empty() {
            self.promises.broke(format!(
                "lost are leaders of {strange:?} and children of {orphans:?}"
            ));
        }
    }

    /// What is on record is what is so. A schedule may be at something just now.
    async fn look_at_records(&self) {
        if self.what_differs().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for text in self.what_differs() {
            self.promises.broke(text);
        }
    }

    /// What the record says otherwise than the daemon.
    fn what_differs(&self) -> Vec<String> {
        let mut found = Vec::new();
        let entries = self.entries();
        for (row, handles) in &entries {
            let name = &row.spec.name;
            let recorded = self.disk.row(name);
            if recorded.as_ref() != Some(row) {
                let text = recorded.map_or("nothing".to_owned(), |row| told(&row));
                found.push(format!(
                    "of {name} the record says {text} and the daemon {}",
                    told(row)
                ));
            }
            for handle in handles {
                let id = handle.id();
                let (is, recorded) = (handle.snapshot().saved.clone(), self.disk.saved(id));
                if is != recorded {
                    found.push(format!(
                        "of {id} the record says {recorded:?} and the daemon {is:?}"
                    ));
                }
            }
        }
        let mut recorded = self.disk.instances();
        recorded.retain(|id| !self.daemon.knows(id));
        found.extend(
            recorded
                .iter()
                .map(|id| format!("{id} is on record and nowhere else")),
        );
        found
    }
}

fn shown(handle: &InstanceHandle) -> String {
    format!("{} {:?}", handle.id(), handle.snapshot().saved.state)
}

fn told(row: &ProcessRow) -> String {
    format!(
        "{:?}, wanted {:?}, scaled {:?}, removal {:?}, due {:?}, down {:?}",
        row.spec.argv.args, row.desired, row.scaled, row.removal, row.due, row.down
    )
}
