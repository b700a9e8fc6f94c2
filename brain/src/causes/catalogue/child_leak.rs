//! Children or threads pile up.
//!
//! Looks for EAGAIN of fork and for many live children or threads. Proof: their number and
//! what most of them are. A restart ends the whole tree.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "child-leak",
    title: "child processes or threads pile up",
    look,
    examples: &[
        Example {
            scene: r#"
                lines = ["fork: retry: Resource temporarily unavailable", "fork: retry: Resource temporarily unavailable"]
                [[close]]
                pid = 4
                members = 61
                children = { "sh -c helper" = 60 }
            "#,
            says: &["child processes", "60", "leak"],
        },
        Example {
            scene: r#"
                lines = ["java.lang.OutOfMemoryError: unable to create native thread", "RuntimeError: can't start new thread"]
                [[close]]
                pid = 4
                threads = 900
                members = 1
            "#,
            says: &["threads", "900"],
        },
        // It says nothing, and its memory is that of its threads.
        Example {
            scene: r#"
                samples = [
                    { age_s = 40.0, rss = 12000000.0, threads = 210.0 },
                    { age_s = 30.0, rss = 14000000.0, threads = 395.0 },
                    { age_s = 20.0, rss = 16000000.0, threads = 604.0 },
                    { age_s = 10.0, rss = 18000000.0, threads = 810.0 },
                    { age_s = 1.0, rss = 20000000.0, threads = 1003.0 },
                ]
                [[close]]
                pid = 4
                threads = 1020
                members = 1
            "#,
            says: &["threads pile up", "1020"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("children");
    let look = scene.close.iter().max_by_key(|look| look.members);
    let members = look.map_or(0, |look| look.members.saturating_sub(1));
    let threads = scene
        .close
        .iter()
        .map(|look| look.threads)
        .max()
        .unwrap_or(0);
    let most = look.and_then(|look| look.children.iter().max_by_key(|(_, count)| **count));
    let alike = most.map_or(0, |(_, count)| *count);
    let rising = scene
        .slope(|sample| sample.threads)
        .is_some_and(|(per_s, fit)| fit > 0.8 && per_s * 60.0 > 10.0);
    let by_threads = threads > 200 && (rising || said.is_some()) && threads > members * 4;
    let by_children = alike >= 12;
    let telling = said.is_some() || alike >= 24 || (by_threads && rising);
    if !telling {
        return None;
    }
    let (what, figure) = if by_threads {
        ("threads pile up", format!("{threads} threads"))
    } else {
        (
            "child processes pile up",
            format!(
                "{members} live children{}",
                most.filter(|_| by_children)
                    .map_or_else(String::new, |(command, count)| format!(
                        ", {count} of them `{}`",
                        quotable(command)
                    ))
            ),
        )
    };
    let mut found = Found::new(format!(
        "In `{}` {what}: a leak of {} that are started and never ended ({figure}), until the system gives it no more (resource temporarily unavailable, EAGAIN).{}",
        scene.name,
        if by_threads { "threads" } else { "children" },
        said.as_ref()
            .map_or_else(String::new, |said| format!(" {}", quote(said))),
    ));
    if let Some(said) = &said {
        found = found.line(said.weight() * 0.9, &said.line);
    }
    let found = found
        .proof_if(
            by_children,
            match alike {
                48.. => 0.75,
                24.. => 0.6,
                _ => 0.45,
            },
            scene.fact("children"),
            figure.clone(),
        )
        .proof_if(by_threads, 0.5, scene.fact("threads"), figure)
        .proof_if(
            by_threads && rising,
            0.4,
            "metric:threads",
            "its threads rise in a line",
        )
        .against(
            !by_children
                && !by_threads
                && !scene.close.is_empty()
                && said.as_ref().is_some_and(|said| !said.deadly),
            0.5,
            format!("it has only {members} children and {threads} threads now"),
        )
        .against(
            said.as_ref()
                .is_some_and(|said| !said.deadly && said.line.age_s > 30.0)
                && scene.is_well(),
            0.4,
            "it has not complained for a while",
        );
    let found = if said.is_some() && (by_children || by_threads) {
        found.auto(
            Action::Restart { instance: None },
            "a restart ends it with its whole tree",
        )
    } else {
        found.advise("restart", "a restart ends it with its whole tree")
    };
    Some(found.person("wait for what is started, and bound how many there may be"))
}
