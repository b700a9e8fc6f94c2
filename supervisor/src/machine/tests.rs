//! Every pair of state and input, the rules of counters, and random lives.
//! It is one piece although it is long: all of it walks the same table.

use proptest::prelude::*;

use super::*;
use crate::clock::{after, until};
use crate::spec::{Autorestart, Sign};

pub(super) fn rules() -> Rules {
    Rules {
        max_restarts: 0,
        min_uptime: Duration::from_secs(1),
        stable_after: Duration::from_secs(60),
        restart_delay: Duration::from_millis(100),
        max_restart_delay: Duration::from_secs(30),
        grace_period: Duration::from_secs(10),
        stop_signal: Signal::TERM,
        autorestart: Autorestart::OnFailure,
        start_timeout: Duration::from_secs(30),
        probed: false,
        sign: None,
        kill_tree: true,
        newest: 0,
        jitter: None,
        unwanted: false,
    }
}

pub(super) fn at(millis: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, Duration::from_millis(millis))
}

fn process(pid: i32) -> ProcessRef {
    ProcessRef {
        pid,
        start_time: 1,
        boot_id: "b".into(),
    }
}

pub(super) fn run() -> Run {
    Run {
        generation: 1,
        process: process(7),
        started_at: at(0),
    }
}

pub(super) fn saved(state: State) -> Saved {
    let counters = crate::state::Counters {
        generation: 1,
        ..Default::default()
    };
    Saved {
        state,
        counters,
        ..Saved::default()
    }
}

fn starting(said: bool) -> State {
    State::Starting {
        run: run(),
        said,
        extended: None,
    }
}

/// One of each state, with every hold.
pub(super) fn all_states() -> Vec<State> {
    let stopping = |exit, then| State::Stopping {
        run: run(),
        then,
        reason: Reason::Manual,
        deadline: at(10_000),
        killed: false,
        exit,
    };
    let errored = |hold| State::Errored { hold };
    vec![
        State::Stopped,
        State::Spawning {
            generation: 1,
            since: at(0),
            cause: None,
        },
        starting(false),
        starting(true),
        State::Online {
            run: run(),
            since: at(0),
            leaving: false,
        },
        State::Online {
            run: run(),
            since: at(0),
            leaving: true,
        },
        stopping(None, AfterStop::Stay),
        stopping(Some(ExitStatus::Code(0)), AfterStop::Start),
        errored(Hold::Retrying {
            next_at: at(100),
            attempt: 1,
            cause: Reason::Crash,
        }),
        errored(Hold::Breaker),
        errored(Hold::Held {
            by: "p".into(),
            reason: "r".into(),
        }),
        errored(Hold::NoAutorestart),
        errored(Hold::Unkillable {
            run: run(),
            then: AfterStop::Start,
            reason: Reason::Manual,
        }),
    ]
}

pub(super) fn all_inputs() -> Vec<Input> {
    let missing = SpawnError::NotFound {
        program: "x".into(),
        hint: String::new(),
    };
    vec![
        Input::Start,
        Input::Stop {
            reason: Reason::Manual,
            force: false,
            signal: None,
        },
        Input::Stop {
            reason: Reason::Manual,
            force: true,
            signal: None,
        },
        Input::Restart {
            reason: Reason::Manual,
            force: false,
            path: None,
        },
        Input::Restart {
            reason: Reason::Cron,
            force: false,
            path: None,
        },
        Input::Hold {
            by: "p".into(),
            reason: "r".into(),
        },
        Input::ClearError,
        Input::Spawned(process(9)),
        Input::SpawnFailed(missing),
        Input::SpawnLost,
        Input::Exited(ExitStatus::Code(1)),
        Input::Exited(ExitStatus::Unknown),
        Input::TreeGone,
        Input::Ready,
        Input::SaidReady,
        Input::Extended(Duration::from_secs(60)),
        Input::SaidStopping,
        Input::ProbeFailed,
        Input::MemoryExceeded { rss: 2, limit: 1 },
        Input::Woken,
    ]
}

/// What must hold after any step, whatever led to it.
fn check_invariants(before: &Saved, input: &Input, after: &Saved, effects: &[Effect]) {
    let spawns = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Spawn { .. }))
        .count();
    assert!(spawns <= 1);
    if spawns == 1 {
        assert!(
            matches!(after.state, State::Spawning { .. }),
            "a spawn is written as intention: {after:?}"
        );
        let ends = matches!(input, Input::Exited(_) | Input::TreeGone);
        let is_ending = match before.state {
            State::Stopping { .. } => true,
            State::Errored {
                hold: Hold::Unkillable { .. },
            } => ends,
            _ => false,
        };
        let had_leader = before.state.run().is_some() && !is_ending;
        assert!(
            !had_leader,
            "{input:?} spawned beside a live run: {before:?}"
        );
        assert!(
            after.counters.generation == before.counters.generation + 1,
            "generations rise by one"
        );
        assert!(
            matches!(effects.last(), Some(Effect::Spawn { .. })),
            "a spawn is the last effect"
        );
    }
    if matches!(
        before.state,
        State::Errored {
            hold: Hold::Held { .. }
        }
    ) && matches!(input, Input::Woken)
    {
        assert_eq!(before, after, "nobody is woken from a hold");
    }
}

#[test]
fn every_pair_is_decided() {
    let mut refused = 0;
    for state in all_states() {
        for input in all_inputs() {
            let before = saved(state.clone());
            match step(&before, input.clone(), &rules(), at(5_000)) {
                Ok((after, effects)) => check_invariants(&before, &input, &after, &effects),
                Err(_) => refused += 1,
            }
        }
    }
    // Illegal are: all but three inputs while spawning, a spawn's answer elsewhere, an exit
    // where there is no leader, a start of what will not die.
    assert_eq!(
        refused, 71,
        "the number of illegal pairs has changed: look at each"
    );
}

#[test]
fn a_crash_is_retried_with_growing_delays() {
    let mut now = 0;
    let mut life = saved(State::Stopped);
    life = step(&life, Input::Start, &rules(), at(now))
        .expect("starts")
        .0;
    let mut delays = Vec::new();
    for pid in 0..11 {
        life = step(&life, Input::Spawned(process(pid)), &rules(), at(now))
            .expect("spawned")
            .0;
        life = step(&life, Input::Exited(ExitStatus::Code(1)), &rules(), at(now))
            .expect("crashed")
            .0;
        let State::Errored {
            hold: Hold::Retrying { next_at, .. },
        } = &life.state
        else {
            panic!("{life:?}")
        };
        let wait = until(at(now), *next_at).as_millis() as u64;
        delays.push(wait);
        now += wait;
        life = step(&life, Input::Woken, &rules(), at(now))
            .expect("woken")
            .0;
    }
    assert_eq!(
        delays,
        [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000
        ]
    );
    assert_eq!(life.counters.restarts, 10);
}

#[test]
fn the_breaker_opens_after_so_many_short_runs() {
    let rules = Rules {
        max_restarts: 3,
        ..rules()
    };
    let mut life = step(&saved(State::Stopped), Input::Start, &rules, at(0))
        .expect("starts")
        .0;
    for pid in 0..2 {
        life = step(&life, Input::Spawned(process(pid)), &rules, at(0))
            .expect("spawned")
            .0;
        life = step(&life, Input::Exited(ExitStatus::Code(1)), &rules, at(0))
            .expect("crashed")
            .0;
        life = step(&life, Input::Woken, &rules, at(100_000))
            .expect("woken")
            .0;
    }
    life = step(&life, Input::Spawned(process(9)), &rules, at(0))
        .expect("spawned")
        .0;
    let (held, _) =
        step(&life, Input::Exited(ExitStatus::Code(1)), &rules, at(0)).expect("crashed");
    assert_eq!(
        held.state,
        State::Errored {
            hold: Hold::Breaker
        }
    );
    // A longer run in between starts the count again.
    let (again, _) =
        step(&life, Input::Exited(ExitStatus::Code(1)), &rules, at(1_500)).expect("crashed");
    assert!(
        matches!(
            again.state,
            State::Errored {
                hold: Hold::Retrying { .. }
            }
        ),
        "{again:?}"
    );
    assert_eq!(again.counters.breaker, 0);
}

#[test]
fn a_job_that_ends_well_stays_down() {
    let online = saved(State::Online {
        run: run(),
        since: at(0),
        leaving: false,
    });
    let done = Input::Exited(ExitStatus::Code(0));
    let (after, _) = step(&online, done.clone(), &rules(), at(9)).expect("exited");
    assert_eq!(after.state, State::Stopped);
    let always = Rules {
        autorestart: Autorestart::Always,
        ..rules()
    };
    let (after, _) = step(&online, done, &always, at(9)).expect("exited");
    assert!(matches!(
        after.state,
        State::Errored {
            hold: Hold::Retrying { .. }
        }
    ));
}

#[test]
fn a_stop_ends_in_sigkill_and_then_in_unkillable() {
    let online = saved(State::Online {
        run: run(),
        since: at(0),
        leaving: false,
    });
    let stop = Input::Stop {
        reason: Reason::Manual,
        force: false,
        signal: None,
    };
    let (stopping, effects) = step(&online, stop, &rules(), at(0)).expect("stops");
    let term = Effect::Signal {
        run: run(),
        signal: Signal::TERM,
        scope: Scope::Tree(run().generation),
    };
    assert!(effects.contains(&term));
    assert_eq!(
        wake(&stopping, &rules()).map(|wake| wake.deadline),
        Some(at(10_000))
    );
    let (killed, effects) = step(&stopping, Input::Woken, &rules(), at(10_000)).expect("woken");
    assert!(effects.contains(&Effect::Signal {
        run: run(),
        signal: Signal::KILL,
        scope: Scope::Tree(run().generation)
    }));
    let (stuck, _) = step(&killed, Input::Woken, &rules(), at(15_000)).expect("woken");
    assert_eq!(
        stuck.state,
        State::Errored {
            hold: Hold::Unkillable {
                run: run(),
                then: AfterStop::Stay,
                reason: Reason::Manual,
            }
        }
    );
    assert_eq!(after_its_end(&stuck).state, State::Stopped);
}

#[test]
fn a_restart_outlasts_a_process_that_does_not_die() {
    let stuck = saved(State::Errored {
        hold: Hold::Unkillable {
            run: run(),
            then: AfterStop::Start,
            reason: Reason::Watch,
        },
    });
    let again = after_its_end(&stuck).state;
    let cause = Some(Reason::Watch);
    assert!(matches!(again, State::Spawning { cause: because, .. } if because == cause));

    let stop = Input::Stop {
        reason: Reason::Shutdown,
        force: false,
        signal: None,
    };
    let (stopped, _) = step(&stuck, stop, &rules(), at(16_000)).expect("stops");
    assert_eq!(after_its_end(&stopped).state, State::Stopped);
}

/// The leader of an unkillable run ends after all, then the rest of its tree.
fn after_its_end(stuck: &Saved) -> Saved {
    let exited = Input::Exited(ExitStatus::Signal(9));
    let (waiting, effects) = step(stuck, exited, &rules(), at(20_000)).expect("exited");
    assert_eq!(effects, [Effect::AwaitTree { run: run() }]);
    step(&waiting, Input::TreeGone, &rules(), at(21_000))
        .expect("gone")
        .0
}

#[test]
fn an_exit_during_a_stop_waits_for_the_tree() {
    let online = saved(State::Online {
        run: run(),
        since: at(0),
        leaving: false,
    });
    let stop = Input::Stop {
        reason: Reason::Manual,
        force: false,
        signal: None,
    };
    let (stopping, _) = step(&online, stop, &rules(), at(0)).expect("stops");
    let (waiting, effects) = step(
        &stopping,
        Input::Exited(ExitStatus::Signal(15)),
        &rules(),
        at(1),
    )
    .expect("exited");
    assert_eq!(effects, [Effect::AwaitTree { run: run() }]);
    assert_eq!(waiting.state.status(), crate::state::Status::Stopping);
    let (stopped, _) = step(&waiting, Input::TreeGone, &rules(), at(2)).expect("gone");
    assert_eq!(stopped.state, State::Stopped);
}

/// What waited for its next try when the daemon ended was not stopped by a person.
#[test]
fn a_stop_between_two_tries_says_why() {
    let stop = Input::Stop {
        reason: Reason::Shutdown,
        force: false,
        signal: None,
    };
    let errored = State::Errored {
        hold: Hold::Breaker,
    };
    let (after, effects) = step(&saved(errored), stop, &rules(), at(0)).unwrap();
    assert_eq!(after.state, State::Stopped);
    let told = Effect::Event {
        kind: EventKind::Stop,
        data: json!({ "reason": "shutdown" }),
    };
    assert_eq!(effects, [told]);
}

#[test]
fn a_schedule_does_not_lift_a_hold() {
    let held = saved(State::Errored {
        hold: Hold::Held {
            by: "p".into(),
            reason: "r".into(),
        },
    });
    let cron = Input::Restart {
        reason: Reason::Cron,
        force: false,
        path: None,
    };
    assert_eq!(step(&held, cron, &rules(), at(0)).expect("ignored").0, held);
    let manual = Input::Restart {
        reason: Reason::Manual,
        force: false,
        path: None,
    };
    assert!(matches!(
        step(&held, manual, &rules(), at(0))
            .expect("lifted")
            .0
            .state,
        State::Spawning { .. }
    ));
}

#[test]
fn a_changed_file_is_named_by_the_restart_it_caused_and_by_no_other() {
    let online = State::Online {
        run: run(),
        since: at(0),
        leaving: false,
    };
    let watch = Input::Restart {
        reason: Reason::Watch,
        force: false,
        path: Some("src/app.js".into()),
    };
    let mut saved = saved(online);
    let mut told = Vec::new();
    let inputs = [
        watch,
        Input::Exited(ExitStatus::Signal(15)),
        Input::TreeGone,
        Input::Spawned(process(8)),
        Input::Exited(ExitStatus::Code(1)),
        Input::Woken,
        Input::Spawned(process(9)),
    ];
    for input in inputs {
        let (next, effects) = step(&saved, input, &rules(), at(100)).expect("fits");
        saved = next;
        told.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Event {
                kind: EventKind::Restart,
                data,
            } => Some(data),
            _ => None,
        }));
    }
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["reason"], "watch");
    assert_eq!(told[0]["path"], "src/app.js");
    assert_eq!(told[1].get("path"), None);
}

/// Deadlines are kept in wall time, so that they outlive the daemon; a clock that is set back
/// by a day must not make a stop or a retry wait for a day.
#[test]
fn a_clock_that_is_set_back_lets_nothing_wait_longer() {
    let day = 86_400_000;
    let starting = saved(State::Starting {
        run: Run {
            started_at: at(day),
            ..run()
        },
        said: false,
        extended: None,
    });
    let online = saved(State::Online {
        run: run(),
        since: at(day),
        leaving: false,
    });
    let stop = Input::Stop {
        reason: Reason::Manual,
        force: false,
        signal: None,
    };
    let (stopping, _) = step(&online, stop, &rules(), at(day)).expect("stops");
    let (retrying, _) = step(
        &online,
        Input::Exited(ExitStatus::Code(3)),
        &rules(),
        at(day),
    )
    .expect("exits");
    let (retrying, _) = step(&retrying, Input::TreeGone, &rules(), at(day)).expect("is gone");
    for (waiting, usual, longest) in [
        (&starting, 1_000, 1_000),
        (&stopping, 10_000, 10_000),
        (&retrying, 100, 60_000),
    ] {
        let wait = |now| {
            wake(waiting, &rules())
                .expect("waits")
                .wait(at(now))
                .as_millis()
        };
        assert_eq!(wait(day), usual, "{waiting:?}");
        assert_eq!(wait(0), longest, "set back: {waiting:?}");
        assert_eq!(wait(2 * day), 0, "set forward: {waiting:?}");
    }
    // What was set back is no crash loop of its own, and the counters stay sane.
    let (killed, _) = step(&stopping, Input::Woken, &rules(), at(0)).expect("woken");
    let wait = wake(&killed, &rules()).expect("waits").wait(at(0));
    assert_eq!(wait, KILL_WAIT);
    let (again, _) = step(&retrying, Input::Woken, &rules(), at(0)).expect("woken");
    assert!(matches!(again.state, State::Spawning { .. }), "{again:?}");
}

/// What brings a run up, with what is awaited: the sign and the probes, in either order.
#[test]
fn it_is_up_when_all_that_is_awaited_has_come() {
    let both = Rules {
        sign: Some(Sign::Notify),
        probed: true,
        ..rules()
    };
    let says = Rules {
        probed: false,
        ..both.clone()
    };
    let come = |rules: &Rules, inputs: &[Input]| {
        let mut saved = saved(starting(false));
        for input in inputs {
            saved = step(&saved, input.clone(), rules, at(500)).expect("fits").0;
        }
        saved.state
    };
    let is_up = |state: &State| matches!(state, State::Online { .. });
    let (ready, said) = (Input::Ready, Input::SaidReady);
    assert!(is_up(&come(&says, std::slice::from_ref(&said))));
    assert_eq!(come(&both, std::slice::from_ref(&ready)), starting(false));
    let waiting = come(&both, std::slice::from_ref(&said));
    assert_eq!(waiting, starting(true), "the sign is not needed twice");
    assert!(is_up(&come(&both, &[said.clone(), ready])));
    // Who was not asked for a sign is up after a second, as always.
    assert_eq!(come(&rules(), &[said]), starting(false));
    assert!(is_up(&come(&rules(), &[Input::Woken])));
}

#[test]
fn what_was_awaited_in_vain_is_told() {
    let rules = Rules {
        sign: Some(Sign::Line),
        ..rules()
    };
    let mut saved = saved(starting(false));
    let wait = wake(&saved, &rules).expect("waits").deadline;
    assert_eq!(wait, at(30_000));
    let mut told = Vec::new();
    let inputs = [
        Input::Woken,
        Input::Exited(ExitStatus::Signal(15)),
        Input::TreeGone,
    ];
    for input in inputs {
        let (next, effects) = step(&saved, input, &rules, at(30_000)).expect("fits");
        saved = next;
        told.extend(effects);
    }
    let error = told.into_iter().find_map(|effect| match effect {
        Effect::Event {
            kind: EventKind::Errored,
            data,
        } => Some(data["error"].clone()),
        _ => None,
    });
    let text = "it waited in vain for the line of `ready`";
    assert_eq!(error, Some(json!(text)));
}

#[test]
fn more_time_is_given_and_not_without_end() {
    let rules = Rules {
        sign: Some(Sign::Notify),
        ..rules()
    };
    let mut saved = saved(starting(false));
    let mut ask = |seconds, now| {
        let more = Input::Extended(Duration::from_secs(seconds));
        saved = step(&saved, more, &rules, at(now)).expect("fits").0;
        wake(&saved, &rules).expect("waits").deadline
    };
    assert_eq!(ask(60, 10_000), at(70_000));
    assert_eq!(ask(5, 20_000), at(70_000), "it never gets less");
    assert_eq!(ask(1, 10_000), at(70_000));
    assert_eq!(ask(100_000, 20_000), at(300_000));
    assert_eq!(ask(u64::MAX, 290_000), at(300_000));
}

#[test]
fn who_says_that_it_ends_is_not_restarted_by_its_probes() {
    let online = saved(State::Online {
        run: run(),
        since: at(0),
        leaving: false,
    });
    let (leaving, _) = step(&online, Input::SaidStopping, &rules(), at(1)).expect("fits");
    let (same, effects) = step(&leaving, Input::ProbeFailed, &rules(), at(2)).expect("fits");
    assert_eq!((&same, effects), (&leaving, Vec::new()));
    let (failed, _) = step(&online, Input::ProbeFailed, &rules(), at(2)).expect("fits");
    assert!(matches!(failed.state, State::Stopping { .. }));
}

/// A daemon of an older release wrote states without the newer keys.
#[test]
fn states_of_older_releases_are_read() {
    let mut written = serde_json::to_value(starting(true)).expect("writes");
    written.as_object_mut().expect("a table").remove("said");
    let read: State = serde_json::from_value(written).expect("reads");
    assert_eq!(read, starting(false));
}

/// A program that is over its limit as soon as it runs is not started again each second.
#[test]
fn restarts_for_memory_right_after_the_start_take_ever_longer() {
    let mut saved = saved(starting(false));
    let mut delays = Vec::new();
    let mut now = 2_000;
    for pid in 8..12 {
        let inputs = [
            Input::MemoryExceeded { rss: 2, limit: 1 },
            Input::Exited(ExitStatus::Signal(15)),
            Input::TreeGone,
        ];
        for input in inputs {
            saved = step(&saved, input, &rules(), at(now)).expect("fits").0;
        }
        let wait = wake(&saved, &rules()).expect("it waits").wait(at(now));
        delays.push(wait);
        assert_eq!(saved.counters.breaker, 0);
        now += wait.as_millis() as u64;
        for input in [Input::Woken, Input::Spawned(process(pid))] {
            saved = step(&saved, input, &rules(), at(now)).expect("fits").0;
        }
        now += 2_000;
    }
    let first = rules().restart_delay;
    assert_eq!(delays, [first, first * 2, first * 4, first * 8]);
    // After a run that was stable it is a restart without a pause.
    now += rules().stable_after.as_millis() as u64;
    let inputs = [
        Input::MemoryExceeded { rss: 2, limit: 1 },
        Input::Exited(ExitStatus::Signal(15)),
        Input::TreeGone,
    ];
    for input in inputs {
        saved = step(&saved, input, &rules(), at(now)).expect("fits").0;
    }
    assert!(matches!(saved.state, State::Spawning { .. }));
}

#[test]
fn a_run_is_numbered_after_the_newest_of_both_sets_of_a_reload() {
    let rules = Rules {
        newest: 7,
        ..rules()
    };
    let (saved, _) = step(&saved(State::Stopped), Input::Start, &rules, at(0)).expect("fits");
    assert_eq!(saved.counters.generation, 8);
}

/// What a random life may meet.
fn any_input() -> impl Strategy<Value = Input> {
    proptest::sample::select(all_inputs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Random commands, exits and timers: never two live copies, never a restart while held,
    /// and a stop always leads to an end.
    #[test]
    fn random_lives_keep_the_rules(
        inputs in proptest::collection::vec((any_input(), 0_u64..20_000), 1..200),
        max_restarts in 0_u32..4,
        probed: bool,
        says: bool,
        kill_tree: bool,
    ) {
        let sign = says.then_some(Sign::Notify);
        let rules = Rules { max_restarts, probed, sign, kill_tree, ..rules() };
        let mut life = Saved::default();
        let mut now = 0;
        let mut live: Option<i32> = None; // the leader, as the outside world has it
        let mut pid = 0;
        for (input, wait) in inputs {
            now += wait;
            // The world only reports what is: an exit needs a leader, a spawn an order.
            let input = match (&life.state, input) {
                (State::Spawning { .. }, Input::SpawnFailed(error)) => Input::SpawnFailed(error),
                (State::Spawning { .. }, _) => {
                    pid += 1;
                    prop_assert!(live.is_none(), "a second copy beside {:?}", live);
                    live = Some(pid);
                    Input::Spawned(process(pid))
                }
                (_, Input::Spawned(_) | Input::SpawnFailed(_) | Input::SpawnLost) => continue,
                (_, Input::Exited(status)) => match live.take() {
                    Some(_) => Input::Exited(status),
                    None => continue,
                },
                (_, Input::TreeGone) if live.is_some() => continue,
                (State::Errored { hold: Hold::Unkillable { .. } }, Input::Start | Input::Restart { .. } | Input::Hold { .. } | Input::ClearError) => continue,
                (_, input) => input,
            };
            let held = matches!(life.state, State::Errored { hold: Hold::Held { .. } | Hold::Breaker });
            let by_itself = matches!(input, Input::Woken | Input::TreeGone | Input::Ready | Input::SaidReady | Input::Extended(_) | Input::SaidStopping | Input::ProbeFailed | Input::MemoryExceeded { .. });
            let (next, effects) = step(&life, input.clone(), &rules, at(now)).expect("the world is consistent");
            check_invariants(&life, &input, &next, &effects);
            if held && by_itself {
                let spawned = effects.iter().any(|effect| matches!(effect, Effect::Spawn { .. }));
                prop_assert!(!spawned, "a held instance was started by {:?}", input);
            }
            life = next;
        }
        // However it stands: a stop, then what the world answers, ends in an end state.
        if matches!(life.state, State::Spawning { .. }) {
            life = step(&life, Input::Spawned(process(999)), &rules, at(now)).expect("spawned").0;
            live = Some(999);
        }
        let stop = Input::Stop { reason: Reason::Manual, force: true, signal: None };
        life = step(&life, stop, &rules, at(now)).expect("stops").0;
        if live.is_some() {
            life = step(&life, Input::Exited(ExitStatus::Signal(9)), &rules, at(now)).expect("exits").0;
        }
        life = step(&life, Input::TreeGone, &rules, at(now)).expect("tree gone").0;
        prop_assert!(matches!(life.state, State::Stopped), "{:?}", life.state);
    }
}
