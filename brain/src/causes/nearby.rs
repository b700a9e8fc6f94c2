//! Trouble beside a process that is well itself.
//!
//! Whoever asks about a process has noticed something; perhaps it was its neighbour.

use super::scene::{Scene, megabytes, span};
use crate::facts::NeighbourLook;
use crate::incident::Evidence;

/// Trouble of a neighbour not long ago that a well process may have felt, or been spared: whoever
/// asks about it has noticed something.
pub(super) fn nearby(scene: &Scene) -> Option<(String, Evidence)> {
    let over = |one: &&NeighbourLook| one.over_memory > 0;
    let hog = scene.neighbours.iter().filter(over);
    if let Some(one) = hog.max_by_key(|one| one.over_bytes) {
        let used = megabytes(one.over_bytes as f64);
        let limit = one.max_memory.map_or_else(String::new, |limit| {
            format!(" of {}", megabytes(limit as f64))
        });
        let times = match one.over_memory {
            1 => "not long ago".to_owned(),
            times => format!("{times} times lately"),
        };
        let fate = match &one.restarted {
            Some((ago, _)) => format!(" It was restarted {} ago.", span(*ago)),
            None => String::new(),
        };
        let words = format!(
            " Its neighbour `{}` was over its memory limit{limit} with {used} (rss) {times}, and may have taken what `{}` needed.{fate}",
            one.name, scene.name,
        );
        let id = format!("event:{}", one.over_event.unwrap_or_default());
        let text = format!("{} passed its memory limit with {used}", one.name);
        return Some((words, Evidence { id, text }));
    }
    let dependency = |name: &String| scene.neighbour(name);
    let ill = scene.depends_on.iter().filter_map(dependency);
    let one = ill.into_iter().find(|one| !one.well)?;
    let words = format!(
        " But `{}`, on which it depends, is not well: {}.",
        one.name, one.detail
    );
    let (id, text) = (format!("process:{}", one.name), one.detail.clone());
    Some((words, Evidence { id, text }))
}
