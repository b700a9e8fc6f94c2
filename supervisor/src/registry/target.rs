//! From what a person writes to what exists.

use std::collections::BTreeSet;

use globset::Glob;

use super::{Inner, RegistryHandle};
use crate::command::Target;
use crate::control::ControlError;
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;
use crate::logs::Copies;

/// Largest edit distance of a name that is suggested.
const NEAR: usize = 2;
/// Most names that are suggested.
const SUGGESTIONS: usize = 3;

/// What a target picks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picked {
    /// In order.
    pub(super) items: Vec<Pick>,
    /// A group: changes roll over its members one at a time, in order.
    pub(super) rolling: bool,
}

/// A process, or one instance of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) name: ProcessName,
    pub(super) index: Option<u16>,
}

impl Pick {
    /// All copies of a process.
    pub(super) fn whole(name: &ProcessName) -> Self {
        Self {
            name: name.clone(),
            index: None,
        }
    }

    /// As a person writes it.
    pub(super) fn text(&self) -> String {
        match self.index {
            Some(index) => format!("{}:{index}", self.name),
            None => self.name.to_string(),
        }
    }
}

impl Inner {
    /// Resolves a target: exact name, `name:2`, index, `all`, group, glob, then `name-2`.
    pub(super) fn pick(&self, target: &Target) -> Result<Picked, ControlError> {
        self.pick_with(target, &Copies::default())
    }

    /// As [`Inner::pick`], also of what is no more and has kept lines: copies that were scaled
    /// away, and last a process that was deleted without its logs.
    pub(super) fn pick_with(&self, target: &Target, kept: &Copies) -> Result<Picked, ControlError> {
        let text = target.0.trim();
        let exact = |items: Vec<Pick>| {
            Ok(Picked {
                items,
                rolling: false,
            })
        };
        if text == "all" {
            return exact(
                self.processes
                    .iter()
                    .map(|entry| Pick::whole(entry.name()))
                    .collect(),
            );
        }
        if let Some(group) = text.strip_prefix("group:") {
            return self.pick_group(group).ok_or_else(|| self.unknown(text));
        }
        if let Some(name) = self.named(text) {
            return exact(vec![Pick::whole(name)]);
        }
        if let Some((base, index)) = text.rsplit_once(':') {
            let name = self
                .named(base)
                .or_else(|| self.at_index(base))
                .or_else(|| kept.named(base))
                .ok_or_else(|| self.unknown(text))?;
            let one = self.one(name, index, kept);
            return exact(vec![one.ok_or_else(|| self.unknown(text))?]);
        }
        if let Some(name) = self.at_index(text) {
            return exact(vec![Pick::whole(name)]);
        }
        if let Some(picked) = self.pick_group(text) {
            return Ok(picked);
        }
        if text.contains(['*', '?', '['])
            && let Ok(glob) = Glob::new(text)
        {
            let matcher = glob.compile_matcher();
            let items: Vec<Pick> = self
                .processes
                .iter()
                .map(super::Entry::name)
                .filter(|name| matcher.is_match(name.as_str()))
                .map(Pick::whole)
                .collect();
            return if items.is_empty() {
                Err(self.unknown(text))
            } else {
                exact(items)
            };
        }
        if let Some(pick) = text
            .rsplit_once('-')
            .and_then(|(base, index)| self.one(self.named(base)?, index, kept))
        {
            return exact(vec![pick]);
        }
        if let Some(name) = kept.named(text) {
            return exact(vec![Pick::whole(name)]);
        }
        Err(self.unknown(text))
    }

    fn named(&self, text: &str) -> Option<&ProcessName> {
        self.processes
            .iter()
            .map(super::Entry::name)
            .find(|name| name.as_str() == text)
    }

    fn at_index(&self, text: &str) -> Option<&ProcessName> {
        self.processes
            .get(text.parse::<usize>().ok()?)
            .map(super::Entry::name)
    }

    fn one(&self, name: &ProcessName, index: &str, kept: &Copies) -> Option<Pick> {
        let index = index.parse::<u16>().ok()?;
        let exists = kept.has(name, index)
            || self
                .entry(name)
                .is_some_and(|entry| usize::from(index) < entry.handles.len());
        exists.then(|| Pick {
            name: name.clone(),
            index: Some(index),
        })
    }

    fn pick_group(&self, name: &str) -> Option<Picked> {
        let members = &self.groups.get(name)?.members;
        let items = members
            .iter()
            .filter(|member| self.entry(member).is_some())
            .map(Pick::whole)
            .collect();
        Some(Picked {
            items,
            rolling: true,
        })
    }

    pub(super) fn unknown(&self, text: &str) -> ControlError {
        let names = self.processes.iter().map(|entry| entry.name().as_str());
        let groups = self.groups.keys().map(String::as_str);
        let mut near: Vec<(usize, &str)> = names
            .chain(groups)
            .map(|name| (strsim::levenshtein(text, name), name))
            .filter(|(distance, _)| *distance <= NEAR)
            .collect();
        near.sort_unstable();
        near.dedup();
        let near = near
            .into_iter()
            .take(SUGGESTIONS)
            .map(|(_, name)| name.to_owned())
            .collect();
        ControlError::NotFound {
            target: text.to_owned(),
            near,
        }
    }

    /// The handles a pick stands for.
    pub(super) fn handles(&self, pick: &Pick) -> Vec<InstanceHandle> {
        let Some(entry) = self.entry(&pick.name) else {
            return Vec::new();
        };
        match pick.index {
            Some(index) => entry
                .handles
                .get(usize::from(index))
                .cloned()
                .into_iter()
                .collect(),
            None => entry.handles.clone(),
        }
    }
}

/// The copies of a pick: those there are, and those of which lines are kept.
pub(super) fn copies(inner: &Inner, pick: &Pick, kept: &Copies) -> Vec<InstanceId> {
    let handles = inner.handles(pick);
    let mut indices: BTreeSet<u16> = handles.iter().map(|handle| handle.id().index).collect();
    indices.extend(kept.of(&pick.name));
    let wanted = |index: &u16| pick.index.is_none_or(|only| only == *index);
    let id = |index| InstanceId::new(pick.name.clone(), index);
    indices.into_iter().filter(wanted).map(id).collect()
}

impl RegistryHandle {
    /// The instances a target picks.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], with names that are close.
    pub fn resolve(&self, target: &Target) -> Result<Vec<InstanceId>, ControlError> {
        let inner = self.inner();
        let picked = inner.pick(target)?;
        Ok(picked
            .items
            .iter()
            .flat_map(|pick| inner.handles(pick))
            .map(|handle| handle.id().clone())
            .collect())
    }
}
