//! Which processes of a project file a command is about.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::project::LoadedProject;
use super::suggest::{listed, nearest};
use crate::ids::ProcessName;
use crate::spec::ProcessSpec;

/// Which processes of a file to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `--only`: these processes.
    pub only: Vec<String>,
    /// `--group`: members of these groups.
    pub groups: Vec<String>,
    /// `--tag`: processes with one of these tags.
    pub tags: Vec<String>,
}

/// A name that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}` in {}; {help}", file.display())]
pub struct SelectError {
    /// `process`, `group` or `tag`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// What there is.
    pub help: String,
}

impl LoadedProject {
    /// Keeps the processes that all given kinds of selection take, and the groups that still
    /// have members.
    ///
    /// # Errors
    /// A name that the file does not have.
    pub fn select(&mut self, selection: &Selection) -> Result<(), SelectError> {
        let specs = &self.apply.processes;
        let processes: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let groups: Vec<&str> = self.apply.groups.iter().map(|g| g.name.as_str()).collect();
        let tags: BTreeSet<&str> = specs
            .iter()
            .flat_map(|spec| spec.config.tags.iter().map(String::as_str))
            .collect();
        self.known("process", &selection.only, &processes)?;
        self.known("group", &selection.groups, &groups)?;
        self.known(
            "tag",
            &selection.tags,
            &tags.into_iter().collect::<Vec<_>>(),
        )?;
        let Selection { only, groups, tags } = selection;
        let wanted = |spec: &ProcessSpec| {
            let of = |list: &[String], found: &[String]| {
                list.is_empty() || list.iter().any(|name| found.contains(name))
            };
            let member = spec.project.as_ref().map(|p| p.groups.as_slice());
            of(only, &[spec.name.to_string()])
                && of(groups, member.unwrap_or_default())
                && of(tags, &spec.config.tags)
        };
        let processes = std::mem::take(&mut self.apply.processes);
        let (chosen, others) = processes.into_iter().partition::<Vec<_>, _>(wanted);
        self.apply.processes = chosen;
        let others = others.into_iter().map(|spec| spec.name);
        self.apply.others.extend(others);
        let kept: Vec<ProcessName> = self
            .apply
            .processes
            .iter()
            .map(|s| s.name.clone())
            .collect();
        self.apply
            .groups
            .retain(|group| group.members.iter().any(|member| kept.contains(member)));
        Ok(())
    }

    fn known(
        &self,
        what: &'static str,
        names: &[String],
        known: &[&str],
    ) -> Result<(), SelectError> {
        let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "it has none".to_owned(),
            None => format!("it has {}", listed(known.iter().copied())),
        };
        Err(SelectError {
            what,
            name: name.clone(),
            file: self.file.clone(),
            help,
        })
    }
}
