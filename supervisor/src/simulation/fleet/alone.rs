//! Copies that were stopped by themselves, and the orders that leave them so.

use crate::Target;
use crate::command::{Command, ScaleChange};
use crate::ids::ProcessName;
use crate::simulation::disk::copies;
use crate::store::ProcessRow;

/// The copy of this process that a target names, if it names one.
pub(super) fn copy_of(target: &Target, name: &ProcessName) -> Option<u16> {
    let index = target.0.strip_prefix(name.as_str())?.strip_prefix(':')?;
    index.parse().ok()
}

/// Is a copy that was stopped by itself down after this order as before, if no other is under way?
pub(super) fn leaves_down(command: &Command, row: &ProcessRow, index: u16) -> bool {
    let name = &row.spec.name;
    match command {
        Command::Scale { change, .. } => match change {
            ScaleChange::By(step) => *step >= 0,
            ScaleChange::To(count) => *count > index,
        },
        Command::Start { target, .. } => match copy_of(target, name) {
            Some(other) => other != index,
            None => row.down.contains(&index) && is_dependency(target, row),
        },
        Command::Stop { target, .. }
        | Command::Restart { target, .. }
        | Command::Hold { target, .. } => copy_of(target, name).is_some_and(|other| other != index),
        // A hold is lifted by that.
        Command::ClearError { .. } => row.down.contains(&index),
        _ => false,
    }
}

/// Is it reached by a start of something else, and does it have another copy to run?
fn is_dependency(target: &Target, row: &ProcessRow) -> bool {
    let is_meant = ["all", row.spec.name.as_str()].contains(&target.0.as_str());
    let mut all = 0..copies(row);
    !is_meant && all.any(|index| !row.down.contains(&index))
}

/// The copies of a stopped process that stay down when one of them is started.
pub(super) fn others_of(command: &Command, row: &ProcessRow) -> Vec<u16> {
    let (Command::Start { target, .. } | Command::Restart { target, .. }) = command else {
        return Vec::new();
    };
    let started = copy_of(target, &row.spec.name);
    let others = |started: u16| (0..copies(row)).filter(move |index| *index != started);
    let started = started.filter(|index| *index < copies(row));
    started.map_or_else(Vec::new, |started| others(started).collect())
}
