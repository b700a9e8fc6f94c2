//! Native code crashed: a signal of the kernel ended it.
//!
//! Looks for SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT. Against: it aborted because memory ran
//! out. Once may be chance, so the supervisor's restart is enough; again and again is a bug.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "native-crash",
    title: "native code crashed",
    look,
    examples: &[Example {
        scene: r#"
            uptime_s = 2.0
            [[deaths]]
            signal = 11
            uptime_s = 300.0
            output = "decode frame 1881"
        "#,
        says: &["SIGSEGV", "segmentation", "decode frame 1881"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let dead = scene.death()?;
    let signal = dead.signal.or_else(|| {
        // A shell in between tells it as 128 + n.
        dead.code
            .filter(|code| (129..=159).contains(code))
            .map(|code| code - 128)
    })?;
    let native = matches!(signal, 4 | 6 | 7 | 8 | 11 | 31);
    if !native {
        return None;
    }
    let last = if dead.output.is_empty() {
        &dead.error
    } else {
        &dead.output
    };
    let before = if last.is_empty() {
        String::new()
    } else {
        format!(" Its last output before that: `{}`.", quotable(last))
    };
    let memory = dead.kind == "memory";
    let again = if dead.same > 1 {
        format!(" That is {} times in a row.", dead.same)
    } else {
        String::new()
    };
    let found = Found::new(format!(
        "`{}` died in native code: {} after {} of running; not an exception of its own, and not a limit.{before}{again}",
        scene.name,
        knowledge::signal_words(signal),
        span(dead.uptime_s),
    ))
    .proof(0.88, dead.id.clone(), format!("it ended with {}", knowledge::signal_words(signal)))
    .proof_if(!last.is_empty(), 0.2, if dead.output.is_empty() { dead.error_id.clone() } else { dead.output_id.clone() }, last.clone())
    .against(memory, 0.7, "it aborted because memory ran out")
    .against(signal == 6 && !dead.kind.is_empty() && dead.kind != "unknown" && !memory, 0.4, "it aborted itself and says why")
    .unless_well(scene);
    let found = if dead.same >= 4 {
        found.auto(
            Action::Halt {
                reason: format!("the same native crash {} times in a row", dead.same),
            },
            "another try ends the same way",
        )
    } else {
        found.advise(
            "restart",
            "the supervisor starts it again; once may be chance",
        )
    };
    Some(found.person("keep what it was asked just before, and find the fault in its native code (a core dump helps)"))
}
