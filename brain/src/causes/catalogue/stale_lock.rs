//! A lock or pid file is in the way of a start.
//!
//! Looks for complaints about lock and pid files. Proof that it is stale: the file is there,
//! below the working folder, and the pid in it is dead or another program's. Against: its
//! holder lives and is one of ours. A proven stale lock is moved aside, never deleted.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "stale-lock",
    title: "a lock file is in the way",
    look,
    examples: &[Example {
        scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 2
                error = "Error: pid file /srv/app/tmp/server.pid already exists (pid 812)"
                [[locks]]
                path = "/srv/app/tmp/server.pid"
                regular = true
                inside = true
                pid = 812
                written_s = 90.0
            "#,
        says: &["stale lock", "server.pid", "812", "no longer"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("lock")?;
    let lock = scene
        .locks
        .iter()
        .find(|lock| lock.regular)
        .or(scene.locks.first());
    let path = lock
        .map(|lock| lock.path.clone())
        .or_else(|| text::paths(&said.line.text).into_iter().next());
    let shown = path.clone().map_or_else(
        || "a lock file".to_owned(),
        |path| format!("the lock file {path}"),
    );
    let pid = lock
        .and_then(|lock| lock.pid)
        .or_else(|| text::pid(&said.line.text));
    let dead = lock
        .is_some_and(|lock| lock.holder.is_none() && lock.open_by.is_none() && lock.pid.is_some());
    let stranger = lock.is_some_and(|lock| {
        lock.holder.is_some()
            && lock.open_by.is_none()
            && !related(lock.holder.as_deref(), &scene.command)
            && lock.holder_ours.is_none()
    });
    let alive = lock.is_some_and(|lock| lock.holder_ours.is_some() || lock.open_by.is_some());
    let stale = dead || stranger;
    let who = match (pid, lock) {
        (Some(pid), Some(_)) if dead => format!(
            " The pid {pid} in it is no longer running: the lock is stale, left behind by a run that was killed and could not remove it."
        ),
        (Some(pid), Some(lock)) if stranger => format!(
            " The pid {pid} in it now belongs to another program ({}): the lock is stale.",
            quotable(lock.holder.as_deref().unwrap_or_default())
        ),
        (Some(pid), Some(lock)) if lock.holder.is_some() => format!(
            " Its holder, pid {pid} ({}), lives.",
            quotable(lock.holder.as_deref().unwrap_or_default())
        ),
        _ => String::new(),
    };
    let word = if stale { "a stale lock" } else { "a lock" };
    let found = Found::new(format!(
        "`{}` does not start because of {word}: {shown} is in the way.{who} {}{}",
        scene.name,
        quote(&said),
        again(&said),
    ))
    .line(said.weight() * 0.8, &said.line)
    .proof_if(
        dead,
        0.75,
        pid.map_or_else(|| scene.fact("lock"), |pid| format!("pid:{pid}")),
        format!("the holder {} is dead", pid.unwrap_or_default()),
    )
    .proof_if(
        stranger,
        0.6,
        pid.map_or_else(|| scene.fact("lock"), |pid| format!("pid:{pid}")),
        "its pid belongs to another program now",
    )
    .proof_if(
        lock.is_some(),
        0.2,
        path.clone()
            .map_or_else(|| scene.fact("lock"), |path| format!("file:{path}")),
        format!("{shown} is there"),
    )
    .against(
        alive,
        0.4,
        "its holder lives: it may be no stale lock, but a second copy",
    )
    .against(
        said.line.was_handled(),
        0.6,
        "it says itself that it was dealt with",
    )
    .unless_well(scene);
    let clear = lock.filter(|lock| stale && lock.regular && lock.inside && scene.online == 0);
    Some(match clear {
        Some(lock) => found
            .auto(
                Action::ClearLock {
                    path: lock.path.clone(),
                },
                format!(
                    "{} is stale: it is moved aside, and can be put back",
                    lock.path
                ),
            )
            .auto(Action::Start, "nothing is in the way any more"),
        None => found.person(match &path {
            Some(path) => format!(
                "if no copy of it runs, remove {path}, then: mhost start {}",
                scene.name
            ),
            None => "find out who holds the lock".to_owned(),
        }),
    })
}

/// Could this command line be the program's?
fn related(holder: Option<&str>, command: &str) -> bool {
    let Some(holder) = holder else { return false };
    let name = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let words: Vec<String> = command
        .split_whitespace()
        .map(name)
        .filter(|word| word.len() > 2)
        .collect();
    holder
        .split_whitespace()
        .map(name)
        .any(|word| words.contains(&word))
}
