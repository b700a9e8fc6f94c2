//! Turns cures into learned playbooks, and keeps their standing.
//!
//! ```text
//!   a verified cure ──draft──► checks ──► tried on what is recorded ──► learned/<name>.rhai
//!   an outcome of a learned playbook ──► a step on its ladder of trust
//! ```
//!
//! What is learned and when it is believed is decided in `brain::memory` and by
//! `brain::Trust`; this file reads the history, and writes files and rows. All of it blocks.

use std::io::Write;
use std::path::{Path, PathBuf};

use brain::memory::{Cure, Draft, NeverLearned, draft};
use brain::{
    Answered, BrainStore, Fingerprint, Format, IncidentId, Moment, PlaybookInfo, PlaybookSource,
    PlaybookState, Playbooks, Recording, StoredAction, Switch, Trust, TrustInput, Weight, backtest,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supervisor::Clock;
use tracing::{info, warn};

use super::model::Redactors;

/// How far back recorded moments must not be disturbed.
const BACK: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Foreign moments, recorded and written down, that it must have been silent on.
const LEAST_SILENT: usize = 20;
/// Recorded moments that a draft is tried on.
const MOMENTS: u32 = 400;

/// Learns.
pub(super) struct Learning {
    pub(super) playbooks: Playbooks,
    pub(super) memory: BrainStore,
    pub(super) folder: PathBuf,
    pub(super) clock: Clock,
    pub(super) redactors: Redactors,
}

/// Why nothing came of a cure.
#[derive(Debug, thiserror::Error)]
enum NotLearned {
    #[error(transparent)]
    Never(#[from] NeverLearned),
    #[error("the draft has a flaw: {0}")]
    Flawed(String),
    #[error("the draft does not recognise its own incident")]
    Deaf,
    #[error("the draft would have acted on {0}")]
    FalseAlarm(String),
    #[error("the draft could be tried on {0} foreign moments only")]
    Untried(usize),
    #[error(transparent)]
    Store(#[from] brain::BrainStoreError),
    #[error("the draft could not be written: {0}")]
    Write(#[from] std::io::Error),
}

impl Learning {
    /// Makes a playbook of a cure, if the rules allow it. The story of the incident says what
    /// came of it.
    pub(super) fn learn(&self, mut cure: Cure) {
        let id = cure.incident.id;
        let story = match self.try_learn(&mut cure) {
            Ok((draft, silent)) => {
                info!(incident = %id, playbook = draft.name, "A cure became a playbook.");
                json!({
                    "playbook": draft.name,
                    "fingerprint": draft.fingerprint,
                    "trust": Trust::Probation,
                    "silent_on": silent,
                })
            }
            Err(error) => json!({ "nothing": error.to_string() }),
        };
        let told = self.memory.add_step(id, self.clock.now(), "learned", story);
        if let Err(error) = told.wait() {
            warn!(incident = %id, %error, "It could not be recorded what was learned.");
        }
    }

    fn try_learn(&self, cure: &mut Cure) -> Result<(Draft, usize), NotLearned> {
        cure.illness = self.illness(cure)?;
        let draft = draft(cure)?;
        if let Some(known) = self.known(&draft) {
            return Err(NeverLearned::Known(known).into());
        }
        let silent = self.check(&draft.name, &draft.text, &draft.fingerprint)?;
        let path = self
            .folder
            .join("learned")
            .join(format!("{}.rhai", draft.name));
        write(&path, &draft.text)?;
        let switch = Switch {
            name: draft.name.clone(),
            enabled: None,
            trust: Trust::Probation,
            hash: self.hash_of(&draft.name),
            helped: 0,
            failed_in_a_row: 0,
            fingerprint: Some(draft.fingerprint.clone()),
            by: "brain".into(),
            at: self.clock.now(),
        };
        self.memory.set_switch(switch.clone()).wait()?;
        self.playbooks.switch([switch]);
        Ok((draft, silent))
    }

    /// The playbook that an incident's cure makes, with what its checks say and what is
    /// installed under its name now. Nothing is written.
    pub(super) fn drafted(&self, id: IncidentId) -> Result<Value, String> {
        let told = |error: brain::BrainStoreError| error.to_string();
        let stored = self.memory.incident(id).wait().map_err(told)?;
        let stored = stored.ok_or_else(|| format!("there is no incident {id}"))?;
        let rows = self.memory.actions(id).wait().map_err(told)?;
        let helped = |row: &&StoredAction| {
            row.outcome.as_deref() == Some("success") && row.result.as_deref() == Some("done")
        };
        let done: Vec<&StoredAction> = rows.iter().filter(helped).collect();
        let Some(last) = done.last() else {
            return Err(format!(
                "nothing that was done about {id} was measured to help"
            ));
        };
        let by = match (&last.action.playbook, &last.action.approval) {
            (Some(idea), Some(_)) => format!("{idea}, with leave of {},", last.action.actor),
            _ => last.action.actor.clone(),
        };
        let mut cure = Cure {
            confidence: stored.confidence.unwrap_or(0.0),
            plan: done.iter().map(|row| row.action.action.clone()).collect(),
            illness: None,
            by,
            at: stored.incident.closed.unwrap_or_else(|| self.clock.now()),
            incident: stored.incident,
        };
        cure.illness = self.illness(&cure).map_err(|error| error.to_string())?;
        let draft = draft(&cure).map_err(|error| error.to_string())?;
        let former = self.playbooks.text(&draft.name).map(|(text, _)| text);
        let (silent, refused) = match self.check(&draft.name, &draft.text, &draft.fingerprint) {
            Ok(silent) => (Some(silent), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(json!({
            "incident": id.to_string(),
            "name": draft.name,
            "text": draft.text,
            "former": former,
            "silent_on": silent,
            "refused": refused,
        }))
    }

    /// As it was told when the incident was thought about.
    /// Its words become part of a file: without the secrets of the line that told it. What it
    /// is recognised by is its hash.
    fn illness(&self, cure: &Cure) -> Result<Option<Fingerprint>, NotLearned> {
        let recordings = self.memory.recordings(cure.incident.id).wait()?;
        let mut illness = recordings.iter().rev().find_map(told_illness);
        if let Some(told) = &mut illness {
            told.readable = self.redactors.for_file().redact(&told.readable);
        }
        Ok(illness)
    }

    /// A learned playbook for the same illness of the same process.
    fn known(&self, draft: &Draft) -> Option<String> {
        let mut all = self.playbooks.list().into_iter();
        all.find(|info| info.source == PlaybookSource::Learned && info.name == draft.name)
            .map(|info| info.name)
    }

    fn hash_of(&self, name: &str) -> u64 {
        let mut all = self.playbooks.list().into_iter();
        all.find(|info| info.name == name)
            .map_or(0, |info| info.hash)
    }

    /// Steps 1 and 2 of the ladder: its text, its own incident, and everything else that is
    /// recorded. Answers on how many moments it was silent.
    fn check(&self, name: &str, text: &str, fingerprint: &str) -> Result<usize, NotLearned> {
        let findings = self.playbooks.lint(name, Format::Rhai, text);
        if let Some(error) = findings.iter().find(|one| one.weight == Weight::Error) {
            return Err(NotLearned::Flawed(error.text.clone()));
        }
        let one = self.playbooks.beside(name, Format::Rhai, text);
        if let Some(PlaybookState::Broken { error, .. }) = one.list().pop().map(|it| it.state) {
            return Err(NotLearned::Flawed(error));
        }
        let since = self.clock.now().checked_sub(BACK).unwrap_or(Timestamp::MIN);
        let (own, others): (Vec<Moment>, Vec<Moment>) = self
            .memory
            .moments(since, MOMENTS)
            .wait()?
            .into_iter()
            .partition(|moment| {
                let illness = told_illness(&moment.recording);
                moment.incident.is_some() && illness.is_some_and(|print| print.hash == fingerprint)
            });
        let acts = |answered: &Answered| {
            matches!(answered, Answered::Acts { .. } | Answered::Rests { .. })
        };
        if !backtest(&one, own).iter().any(|it| acts(&it.answered)) {
            return Err(NotLearned::Deaf);
        }
        let about = one.list().pop().and_then(|it| it.process.parse().ok());
        let worlds = match about {
            Some(process) => brain::scenario::silent_on(&one, &process, fingerprint)
                .map_err(NotLearned::FalseAlarm)?,
            None => 0,
        };
        let tried = backtest(&one, others);
        if let Some(alarm) = tried.iter().find(|it| acts(&it.answered)) {
            let what = alarm.incident.clone();
            let what = what.unwrap_or_else(|| format!("a quiet {}", alarm.process));
            return Err(NotLearned::FalseAlarm(what));
        }
        let silent = worlds + tried.len();
        if silent < LEAST_SILENT {
            return Err(NotLearned::Untried(silent));
        }
        Ok(silent)
    }

    /// An outcome moves a learned playbook on its ladder.
    pub(super) fn outcome(&self, name: &str, helped: bool) {
        let info = self.learned(name);
        let stored = self.memory.switches().wait().unwrap_or_default();
        let Some(mut switch) = stored.into_iter().find(|one| one.name == name) else {
            return;
        };
        if info.is_none_or(|info| info.hash != switch.hash) {
            return;
        }
        let before = switch.trust;
        switch.apply(helped);
        switch.by = "brain".into();
        switch.at = self.clock.now();
        if switch.trust != before {
            info!(
                playbook = name,
                from = before.as_str(),
                to = switch.trust.as_str(),
                "A learned playbook moved on its ladder."
            );
        }
        if let Err(error) = self.memory.set_switch(switch.clone()).wait() {
            warn!(playbook = name, %error, "The standing of a playbook could not be recorded.");
        }
        self.playbooks.switch([switch]);
    }

    /// Looks at learned playbooks that are drafts, because somebody edited them: those that
    /// hold go on probation.
    pub(super) fn recheck(&self) {
        let drafts: Vec<PlaybookInfo> = self
            .playbooks
            .list()
            .into_iter()
            .filter(|info| info.source == PlaybookSource::Learned && info.trust == Trust::Draft)
            .collect();
        for info in drafts {
            let Some((text, _)) = self.playbooks.text(&info.name) else {
                continue;
            };
            let stored = self.memory.switches().wait().unwrap_or_default();
            let former = stored.into_iter().find(|one| one.name == info.name);
            let checked = former.as_ref().is_some_and(|one| one.hash == info.hash);
            let fingerprint = former.and_then(|one| one.fingerprint);
            let Some(fingerprint) = fingerprint.filter(|_| !checked) else {
                continue;
            };
            let result = self.check(&info.name, &text, &fingerprint);
            let trust = Trust::Draft.step(TrustInput::Checked).step(match &result {
                Ok(_) => TrustInput::Silent,
                Err(_) => TrustInput::Rejected,
            });
            if let Err(error) = &result {
                warn!(playbook = info.name, %error, "An edited playbook stays a draft.");
            }
            let switch = Switch {
                name: info.name.clone(),
                enabled: None,
                trust,
                hash: info.hash,
                helped: 0,
                failed_in_a_row: 0,
                fingerprint: Some(fingerprint),
                by: "brain".into(),
                at: self.clock.now(),
            };
            if let Err(error) = self.memory.set_switch(switch.clone()).wait() {
                warn!(playbook = info.name, %error, "The standing of a playbook could not be recorded.");
            }
            self.playbooks.switch([switch]);
        }
    }

    /// Why a person should be asked before a learned playbook acts; none when there is no
    /// reason to.
    pub(super) fn caution(&self, name: &str) -> Option<String> {
        let info = self.learned(name)?;
        if info.trust == Trust::Trusted {
            return None;
        }
        let stored = self.memory.switches().wait().unwrap_or_default();
        let helped = stored
            .iter()
            .find(|one| one.name == name)
            .map_or(0, |one| one.helped);
        Some(format!(
            "`{name}` was learned and has helped {helped} of {} times",
            brain::TRUSTED_AFTER
        ))
    }

    fn learned(&self, name: &str) -> Option<PlaybookInfo> {
        let mut all = self.playbooks.list().into_iter();
        all.find(|info| info.name == name && info.source == PlaybookSource::Learned)
    }
}

/// Which illness a recording tells of.
fn told_illness(recording: &Recording) -> Option<Fingerprint> {
    let told = recording.answer("illness")?;
    serde_json::from_value(told.clone()).ok().flatten()
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("new");
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}
