//! It lives, and does not answer.
//!
//! Looks for a probe that times out over a live process. Idle and all threads waiting for
//! locks is a deadlock; one thread at a full core is a blocked loop; waiting on a disk is
//! neither. Connections that nobody accepts prove it. A restart is the cure; a kill, where it
//! does not go by itself.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "hang",
    title: "it hangs",
    look,
    examples: &[
        Example {
            scene: r#"
                probed = true
                probe_failures = 3
                probe_down_s = 4.0
                probe_error = "timeout"
                samples = [{ age_s = 1.0, cpu = 0.0 }]
                [[close]]
                pid = 5
                threads = 8
                places = { "S futex_do_wait" = 8 }
                listens = { "8080" = 4 }
            "#,
            says: &["deadlock", "not respond", "locks"],
        },
        Example {
            scene: r#"
                probed = true
                probe_failures = 3
                probe_down_s = 4.0
                probe_error = "timeout"
                samples = [{ age_s = 1.0, cpu = 100.0 }]
                [[close]]
                pid = 5
                threads = 11
                cpu_percent = 99.0
                busiest_percent = 99.0
                busiest = "node"
                places = { "R" = 1, "S futex_do_wait" = 10 }
            "#,
            says: &["event loop", "block", "cpu"],
        },
        // Two threads that take turns at one lock, on a machine that others use as well.
        Example {
            scene: r#"
                probed = true
                probe_failures = 3
                probe_down_s = 4.0
                probe_error = "timeout"
                samples = [{ age_s = 1.0, cpu = 50.0 }]
                [[close]]
                pid = 5
                threads = 5
                cpu_percent = 50.0
                busiest_percent = 25.0
                busiest = "python3"
                places = { "R" = 1, "S futex_do_wait" = 4 }
            "#,
            says: &["cpu", "spins"],
        },
    ],
};

/// Who uses more of a core than this works on something: on a busy machine one that spins gets
/// no whole core, and threads that take turns wait for each other's lock all the time.
const IDLE: f64 = 15.0;

fn look(scene: &Scene) -> Option<Found> {
    let lower = scene.probe_error.to_lowercase();
    let timeout = lower.contains("timeout") || lower.contains("timed out");
    let alive = scene.online > 0 || !scene.close.is_empty() || scene.failed_just_now();
    if !scene.probed
        || scene.probe_failures == 0
        || !timeout
        || !alive
        || (scene.uptime_s < 3.0 && !scene.was_online)
    {
        return None;
    }
    let cpu = scene.cpu_now().max(scene.cpu(8.0).unwrap_or(0.0));
    let busy = cpu >= 70.0;
    let waiting: u64 = scene
        .close
        .iter()
        .flat_map(|look| look.listens.values())
        .sum();
    let seen = scene.threads_seen();
    let locks = scene.threads_in(|place| place.contains("futex"));
    let disk = scene.threads_in(|place| place.starts_with('D'));
    let threads = scene
        .close
        .iter()
        .map(|look| look.threads)
        .max()
        .unwrap_or(0);
    let stopped = scene.threads_in(|place| place.starts_with('T'));
    let blaming = scene.said("dependency").is_some()
        || scene
            .neighbours
            .iter()
            .any(|one| scene.depends_on.contains(&one.name) && !one.well);
    let last = scene.last_deed().filter(|line| line.age_s < 120.0);
    // A sample from before the trouble says nothing about it.
    let measured = !scene.close.is_empty()
        || scene
            .samples
            .last()
            .is_some_and(|sample| sample.age_s < scene.probe_down_s);
    let after = last.map_or_else(String::new, |line| {
        format!(" Its last output: `{}`.", line.shown())
    });
    let queue = if waiting > 0 {
        format!(" {waiting} connections wait that nobody accepts.")
    } else {
        String::new()
    };
    let one_thread = threads <= 1
        || scene.close.iter().any(|look| {
            look.busiest_percent > 60.0 && look.busiest_percent > look.cpu_percent * 0.85
        });
    let what = if stopped > 0 {
        "it is stopped (state T): somebody sent it SIGSTOP, or a debugger holds it".to_owned()
    } else if busy && one_thread {
        format!(
            "its event loop is blocked: one thread is busy at {cpu:.0} % of a core (cpu) and answers nobody"
        )
    } else if busy {
        format!("it is busy: it uses {cpu:.0} % of a core (cpu spin) and answers nobody")
    } else if disk > 0 {
        "it waits for a disk (state D)".to_owned()
    } else if cpu >= IDLE && !scene.close.is_empty() {
        format!(
            "it is not idle: it gets {cpu:.0} % of a core (cpu) and answers nobody, so something in it spins or has too much to do"
        )
    } else if seen > 1 && locks * 3 >= seen * 2 {
        format!(
            "{locks} of {seen} threads wait for locks while its cpu is idle: a deadlock, or a pool whose threads all wait"
        )
    } else if !measured {
        "it is stuck (a deadlock) or busy (its cpu spins in a loop): it was ended before anybody could look at its threads".to_owned()
    } else {
        format!("its cpu is idle at {cpu:.0} %: it is stuck (a deadlock, or a wait without end)")
    };
    let found = Found::new(format!(
        "`{}` hangs: it lives but does not respond (unresponsive; its probe timed out {} times, for {}); {what}.{queue}{after}",
        scene.name, scene.probe_failures, span(scene.probe_down_s),
    ))
    .proof(if scene.probe_failures >= 3 { 0.7 } else { 0.5 }, format!("probe:{}", scene.name), format!("probe: {}, {} times", scene.probe_error, scene.probe_failures))
    .proof_if(busy, 0.3, "metric:cpu", format!("cpu at {cpu:.0} % of a core"))
    .proof_if(busy && one_thread, 0.4, scene.fact("threads"), "one thread does it all, and it is the one that should answer")
    .proof_if(!busy && !scene.close.is_empty(), 0.3, scene.fact("threads"), format!("cpu {cpu:.0} %, {locks} of {seen} threads wait for locks"))
    .proof_if(waiting > 0, 0.5, scene.fact("sockets"), format!("{waiting} connections nobody accepts"))
    .proof_if(last.is_some(), 0.1, last.map_or_else(String::new, |line| line.id.clone()), last.map(Line::shown).unwrap_or_default())
    .against(blaming, 0.5, "it waits for a dependency")
    .against(scene.said("descriptors").is_some(), 0.5, "it has no file handles left")
    .against(!scene.was_online, 0.5, "it never was up: it may still be starting");
    let found = if scene.probe_failures >= 3 && scene.was_online && disk == 0 && stopped == 0 {
        found.auto(
            Action::KillRestart { instance: None },
            "it answers nobody, so it is not asked to go politely for long",
        )
    } else {
        found.advise("restart", "restart it; by SIGKILL if it does not go")
    };
    Some(
        found
            .person("take a dump of its threads first, if it can be had (jstack, py-spy, SIGQUIT)"),
    )
}
