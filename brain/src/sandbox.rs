//! The only place a script engine comes from.
//!
//! A script may compute and nothing else. It is stopped by the number of operations, by
//! depth, by the size of what it builds and by the time it computes; it cannot load code, sleep,
//! read the time, or reach anything that was not handed to it. The tests below feed it bombs.
//!
//! These limits are for scripts that are wrong. The engine cannot see all that one costs: a chain
//! of closures is freed as deep as it was built, and one call may make a text of gigabytes
//! (`tests/breakout.rs` has them). So the daemon runs no script in its own process, but in one
//! that may end: see [`crate::helper`].
//!
//! Its own computing counts, not the time that looking things up for it takes, and not how long
//! it waits for its turn: on a busy machine a sound playbook must not be taken for a bomb.

use std::cell::Cell;
use std::time::Duration;

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{Package, StandardPackage};
use rhai::{Dynamic, Engine, EvalAltResult, Position};
use supervisor::sys::thread_time;
use tokio::time::Instant;

/// Longest a call of one script function may compute.
pub const CPU_TIME: Duration = Duration::from_millis(200);
/// Longest it may take with all that it waits for: nobody waits longer for an answer.
pub const WALL_CLOCK: Duration = Duration::from_secs(5);
/// Why a script is stopped that computes too long.
const COMPUTES_ON: &str = "it computed for more than 200 ms";
/// Why one is stopped that does not get on.
const TAKES_ON: &str = "it took more than 5 s";

/// About 30 ms of work without optimisation.
const OPERATIONS: u64 = 200_000;
const CALL_DEPTH: usize = 32;
const EXPRESSION_DEPTH: usize = 64;
const FUNCTION_EXPRESSION_DEPTH: usize = 32;
const STRING_BYTES: usize = 64 * 1024;
const ARRAY_ITEMS: usize = 1_000;
const MAP_ITEMS: usize = 500;
const VARIABLES: usize = 200;
/// The clock is read once in this many operations: reading it costs as much as several.
const CLOCK_EVERY: u64 = 256;

thread_local! {
    // A script runs on one thread from start to end, and engines are shared by threads.
    static LIMITS: Cell<Option<Limits>> = const { Cell::new(None) };
}

/// How long the call that runs on this thread may go on.
#[derive(Debug, Clone, Copy)]
struct Limits {
    began: Instant,
    /// By the clock of the thread.
    cpu: Duration,
}

impl Limits {
    fn from_now() -> Self {
        Self {
            began: Instant::now(),
            cpu: thread_time() + CPU_TIME,
        }
    }

    /// Which one is passed.
    fn passed(self) -> Option<&'static str> {
        let took = self.began.elapsed();
        // Nobody computes longer than it takes, and this clock costs less.
        if took > CPU_TIME && thread_time() > self.cpu {
            Some(COMPUTES_ON)
        } else {
            (took > WALL_CLOCK).then_some(TAKES_ON)
        }
    }
}

/// A new engine with every limit set. It knows the standard functions of the language and
/// nothing of mhost.
pub fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    engine
        .set_module_resolver(DummyModuleResolver::new())
        .set_max_modules(0)
        .disable_symbol("eval")
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_max_operations(OPERATIONS)
        .set_max_call_levels(CALL_DEPTH)
        .set_max_expr_depths(EXPRESSION_DEPTH, FUNCTION_EXPRESSION_DEPTH)
        .set_max_string_size(STRING_BYTES)
        .set_max_array_size(ARRAY_ITEMS)
        .set_max_map_size(MAP_ITEMS)
        .set_max_variables(VARIABLES)
        .on_print(|text| tracing::trace!(text, "A playbook printed."))
        .on_debug(|text, _, position| tracing::trace!(text, %position, "A playbook debugged."))
        .on_progress(|operations| {
            let looks = operations % CLOCK_EVERY == 0;
            let limits = LIMITS.get().filter(|_| looks);
            limits.and_then(Limits::passed).map(Dynamic::from)
        });
    // `sleep` is in the core package, blocks the thread, and no limit counts it; with
    // `timestamp` a replay would differ from what it replays.
    engine.register_fn("sleep", |_: i64| refuse::<()>("a playbook cannot sleep"));
    engine.register_fn("sleep", |_: f64| refuse::<()>("a playbook cannot sleep"));
    engine.register_fn("timestamp", || {
        refuse::<Dynamic>("a playbook cannot read the clock; use c.now")
    });
    engine
}

/// Runs `call` with the clocks running against it.
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> T {
    let before = LIMITS.replace(Some(Limits::from_now()));
    let result = call();
    LIMITS.set(before);
    result
}

/// Looks something up for the script that runs: what that computes does not count against it.
pub(crate) fn untimed<T>(look: impl FnOnce() -> T) -> T {
    let before = thread_time();
    let result = look();
    let used = thread_time().saturating_sub(before);
    LIMITS.set(LIMITS.get().map(|limits| Limits {
        cpu: limits.cpu + used,
        ..limits
    }));
    result
}

/// The text of an error, also of one that the clock made.
pub(crate) fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorTerminated(why, _) => why.to_string(),
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => message(inner),
        other => other.to_string(),
    }
}

/// Did a script run into a limit by its own doing? Then it is no use to try it again.
pub(crate) fn is_bomb(error: &EvalAltResult) -> bool {
    match error {
        EvalAltResult::ErrorTerminated(why, _) => why.to_string() != TAKES_ON,
        EvalAltResult::ErrorTooManyOperations(_)
        | EvalAltResult::ErrorStackOverflow(_)
        | EvalAltResult::ErrorDataTooLarge(..) => true,
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => is_bomb(inner),
        _ => false,
    }
}

/// Where an error is, also one in a function that was called.
pub(crate) fn place(error: &EvalAltResult) -> Position {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, at) => {
            let inner = place(inner);
            if inner.is_none() { *at } else { inner }
        }
        other => other.position(),
    }
}

fn refuse<T>(why: &'static str) -> Result<T, Box<EvalAltResult>> {
    Err(EvalAltResult::ErrorRuntime(why.into(), Position::NONE).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script that must be stopped, and gives the reason.
    fn bomb(script: &str) -> String {
        let engine = engine();
        // Without the clocks: on a slow machine they would be faster than the counters.
        engine
            .eval::<Dynamic>(script)
            .expect_err(script)
            .to_string()
    }

    #[test]
    fn an_endless_loop_is_stopped() {
        let error = bomb("let x = 0; loop { x += 1; }");
        assert!(error.contains("Too many operations"), "{error}");
        let error = bomb("fn f() { try { loop { } } catch { loop { } } } f()");
        assert!(error.contains("Too many operations"), "{error}");
    }

    #[test]
    fn endless_recursion_is_stopped() {
        let error = bomb("fn f(x) { f(x + 1) } f(0)");
        assert!(error.contains("Stack overflow"), "{error}");
    }

    #[test]
    fn growing_values_are_stopped() {
        let error = bomb(r#"let s = "x"; loop { s += s; }"#);
        assert!(error.contains("Length of string too large"), "{error}");
        let error = bomb("let a = []; loop { a.push(1); }");
        assert!(error.contains("Size of array"), "{error}");
        let error = bomb("let a = []; a.pad(1000000000, 0); a");
        assert!(error.contains("Size of array"), "{error}");
        let error = bomb("let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }");
        assert!(
            error.contains("Too many operations") || error.contains("Size of object map"),
            "{error}"
        );
    }

    #[test]
    fn no_code_comes_from_outside() {
        let error = bomb(r#"eval("1 + 1")"#);
        assert!(error.contains("eval"), "{error}");
        let error = bomb(r#"import "/etc/passwd" as p; p::x"#);
        assert!(
            error.contains("modules") || error.contains("Module"),
            "{error}"
        );
    }

    #[test]
    fn no_waiting_and_no_clock() {
        assert!(bomb("sleep(1)").contains("cannot sleep"));
        assert!(bomb("sleep(0.5)").contains("cannot sleep"));
        assert!(bomb("timestamp()").contains("cannot read the clock"));
    }

    /// Computes on this thread for longer than a script may.
    fn compute() {
        let end = thread_time() + CPU_TIME * 2;
        while thread_time() < end {
            std::hint::spin_loop();
        }
    }

    /// An engine in which a script may wait for its turn, compute, and look things up.
    fn slow() -> Engine {
        let mut engine = engine();
        engine.set_max_operations(0);
        engine.register_fn("wait", || {
            // What it waits for computes elsewhere, as on a busy machine.
            std::thread::spawn(compute).join().expect("it ends");
        });
        engine.register_fn("compute", compute);
        engine.register_fn("look_up", || untimed(compute));
        engine
    }

    #[test]
    fn the_clock_stops_what_the_counter_does_not() {
        let engine = slow();
        for script in ["loop { }", "compute(); loop { }"] {
            let error = timed(|| engine.eval::<Dynamic>(script)).expect_err("the clock stops it");
            assert_eq!(message(&error), COMPUTES_ON);
            assert!(is_bomb(&error));
        }
    }

    #[test]
    fn a_busy_machine_makes_no_bomb_of_a_script() {
        let engine = slow();
        for script in ["wait();", "look_up();"] {
            let script = format!("{script} let n = 0; while n < 1000 {{ n += 1; }} n");
            let done = timed(|| engine.eval::<i64>(&script));
            assert_eq!(done.map_err(|error| message(&error)), Ok(1_000));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_get_on_is_stopped_and_may_be_tried_again() {
        let limits = Limits::from_now();
        tokio::time::advance(WALL_CLOCK * 2).await;
        assert_eq!(limits.passed(), Some(TAKES_ON));
        let error = EvalAltResult::ErrorTerminated(TAKES_ON.into(), Position::NONE);
        assert!(!is_bomb(&error));
    }

    #[test]
    fn unknown_variables_are_found_at_compile_time() {
        let error = engine().compile("fn f(c) { d.x }").expect_err("strict");
        assert!(error.to_string().contains('d'), "{error}");
    }
}
