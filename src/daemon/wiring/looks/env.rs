//! Env files of a process: what stands in them now, and what changed since it was started.

use std::fs;
use std::path::PathBuf;

use brain::{EnvFileLook, Facts};
use serde_json::Value;
use supervisor::{EventKind, ProcessName, ProcessSpec};

use super::{WINDOW, age_s, shown};
use crate::daemon::wiring::facts::LiveFacts;

pub(in crate::daemon::wiring) fn env_files(
    facts: &LiveFacts,
    name: &ProcessName,
) -> Vec<EnvFileLook> {
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
