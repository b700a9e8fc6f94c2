//! What a report says, and that names from outside cannot break it.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_774_700_000 + second).unwrap()
}

fn digest() -> Digest {
    let row = |name: &str, state: &str, down_s: f64, crashes: u64| ProcessRow {
        name: name.into(),
        state: state.into(),
        is_down: state.starts_with("errored"),
        uptime: Some(1.0 - down_s / 86_400.0),
        down_s,
        wanted_s: 86_400.0,
        copies: 1,
        crashes,
        restarts: crashes,
        score: Some(90.0),
    };
    Digest {
        from: at(0),
        to: at(86_400),
        host: "web1".into(),
        processes: vec![
            row("api", "online", 0.0, 0),
            row("crasher", "errored (held)", 43_200.0, 6),
        ],
        incidents: vec![
            IncidentRow {
                id: "inc-1".into(),
                process: "leaker".into(),
                opened: at(100),
                closed: Some(at(190)),
                trigger: "memory_exceeded".into(),
                cause: Some("memory grew over its limit of 64MB".into()),
                done: vec!["restart".into()],
                not_done: Vec::new(),
                outcome: Some("verified".into()),
                by: "brain:oom-restart".into(),
                escalated: false,
                victims: Vec::new(),
            },
            IncidentRow {
                id: "inc-2".into(),
                process: "crasher".into(),
                opened: at(200),
                closed: None,
                trigger: "crash".into(),
                cause: Some("settings.json is no valid JSON".into()),
                done: vec!["halt".into(), "notify".into()],
                not_done: Vec::new(),
                outcome: None,
                by: "brain:same-death".into(),
                escalated: true,
                victims: vec!["api".into()],
            },
        ],
        actions: vec![ActionRow {
            at: at(205),
            process: "crasher".into(),
            action: "halt".into(),
            by: "brain:same-death".into(),
            result: "done".into(),
        }],
        errors: vec![ErrorRow {
            process: "crasher".into(),
            pattern: "Error: `x` | \u{1b}[31m<script>".into(),
            count: 6,
            last: at(204),
        }],
        recommendations: Vec::new(),
    }
}

#[test]
fn the_first_words_say_how_it_went_and_what_is_left() {
    let said = digest().summary().join(" ");
    assert_eq!(
        said,
        "`crasher` needs attention: it is errored (held). In 24 hours there were 2 incidents and 6 crashes: \
         mhost cured one and one is not over. A person should look at `crasher` (inc-2). \
         Uptime of the fleet was 75 %."
    );
    let quiet = Digest {
        processes: vec![digest().processes.remove(0)],
        incidents: Vec::new(),
        ..digest()
    };
    assert_eq!(
        quiet.summary().join(" "),
        "Everything runs. In 24 hours there was no incident; nothing crashed. Uptime of the fleet was 100 %."
    );
    let mut stopped = quiet.clone();
    stopped.processes[0].state = "stopped".into();
    assert_eq!(stopped.summary()[0], "All processes are stopped.");
}

#[test]
fn the_report_has_its_parts_and_acts_on_nothing() {
    let text = digest().markdown(Some("All quiet but one."), &TimeZone::UTC);
    for part in [
        "# mhost report: web1",
        "## Summary",
        "All quiet but one.",
        "## Incidents",
        "## Uptime",
        "## Actions taken",
        "## Top errors",
        "## Recommendations",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("`Error: 'x' \\|  [31m<script>`"), "{text}");
    assert!(
        text.contains("Done: the playbook oom-restart restarted it; by measurement that helped."),
        "{text}"
    );
    assert!(
        text.contains("| crasher | errored (held) | 50 % | 12h | 6 | 6 | 90 |"),
        "{text}"
    );
}

/// The words are those that the agent writes.
#[test]
fn every_outcome_is_told_apart() {
    for (outcome, words) in [
        ("verified", "by measurement that helped"),
        ("contained", "kept the damage from growing"),
        ("recovered", "well again by itself"),
        ("failed", "did not help"),
    ] {
        let mut digest = digest();
        digest.incidents[0].outcome = Some(outcome.into());
        let text = digest.markdown(None, &TimeZone::UTC);
        assert!(text.contains(words), "{outcome}: {text}");
        let cured = digest.summary().join(" ").contains("mhost cured one");
        assert_eq!(cured, outcome == "verified", "{outcome}");
    }
}

/// Only what ran was done; what was denied, expired, refused or waits is told as such.
#[test]
fn what_was_only_proposed_was_not_done() {
    let results = [
        ("pending", "waits for an answer"),
        ("denied: by cli:ana", "denied by ana"),
        ("expired", "nobody answered in time"),
        (
            "refused: the level is manual",
            "refused: the level is manual",
        ),
        ("skipped: the plan changed", "withdrawn: the plan changed"),
    ];
    for (result, words) in results {
        let mut digest = digest();
        let one = &mut digest.incidents[0];
        one.done.clear();
        one.outcome = None;
        one.not_done = vec![NotDone {
            action: "kill_restart".into(),
            result: result.into(),
        }];
        digest.actions[0].action = "stop".into();
        digest.actions[0].result = result.into();
        let text = digest.markdown(None, &TimeZone::UTC);
        assert!(text.contains("  Done: nothing."), "{text}");
        let told = format!("Proposed and not done: kill restart ({words}).");
        assert!(text.contains(&told), "{text}");
        assert!(text.contains("## Actions taken\n\nNone.\n"), "{text}");
        let row = format!("| stop | the playbook same-death | {words} |");
        assert!(text.contains(&row), "{text}");
        assert!(!text.contains("stopped it"), "{text}");
    }
    let mut failed = digest();
    for (result, words) in [
        ("success", "that helped"),
        ("failed", "that did not help"),
        ("failed: it exited", "failed: it exited"),
    ] {
        failed.actions[0].result = result.into();
        let text = failed.markdown(None, &TimeZone::UTC);
        let row = format!("| held it | the playbook same-death | {words} |");
        assert!(text.contains(&row), "{text}");
        assert!(!text.contains("not done"), "{text}");
    }
}

/// Words of a model, and of programs whose lines are quoted in a cause.
#[test]
fn words_of_others_make_no_headings_links_or_pictures() {
    let said = "# Big\nTitle\n===\nother\n---\n![x](http://evil.example/?q=1) and [a](b) <img>\n\
                | a | b |\n```\n- a point\n* another";
    let text = prose(said);
    for line in [
        "\\# Big",
        "\\===",
        "\\---",
        "\\| a | b |",
        "\\```",
        "- a point",
        "* another",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert!(
        text.contains("!\\[x](http") && text.contains("\\[a](b)"),
        "{text}"
    );
    assert!(!text.contains('<'), "{text}");
    let mut digest = digest();
    digest.incidents[0].cause = Some("it said ![x](http://evil.example/)".into());
    let text = digest.markdown(None, &TimeZone::UTC);
    assert!(text.contains("!\\[x](http"), "{text}");
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let mut long = digest();
    let one = long.errors.remove(0);
    long.errors = vec![one; 30];
    let text = long.markdown(None, &TimeZone::UTC);
    assert!(text.contains("… and 10 more."), "{text}");
}

#[test]
fn what_is_to_be_done_to_several_is_said_once() {
    let hint = |name: &str, what: &str, why: &str| Hint {
        weight: "high".into(),
        process: name.parse().unwrap(),
        what: what.into(),
        why: why.into(),
        how: format!("mhost ai diagnose {name}"),
    };
    let mut digest = digest();
    digest.recommendations = vec![
        hint("a", "set max_memory", "a leak takes all"),
        hint("b", "set max_memory", "a leak takes all"),
        hint("c", "mend it", "it has no file. It died of it."),
    ];
    let text = digest.markdown(None, &TimeZone::UTC);
    assert!(
        text.contains("1. **a and b**: set max_memory. Why: a leak takes all. Begin with `mhost"),
        "{text}"
    );
    assert!(
        text.contains("2. **c**: mend it. Why: it has no file. Begin with `mhost"),
        "{text}"
    );
    assert_eq!(length(604_800.0), "7 days");
    assert_eq!(length(95.0), "1m 35s");
}

#[test]
fn names_cannot_break_the_tables() {
    assert_eq!(plain("a|b\n*c*_d"), "a\\|b \\*c\\*_d");
}

/// A fleet that began a minute ago was not up for a day.
#[test]
fn uptime_counts_what_is_on_record() {
    let mut young = digest();
    for row in &mut young.processes {
        (row.wanted_s, row.down_s) = (60.0, 0.0);
    }
    young.processes[1].down_s = 60.0;
    let said = young.summary().join(" ");
    assert!(
        said.ends_with("Uptime of the fleet was 50 %, over the 1m that it is on record."),
        "{said}"
    );
}

#[test]
fn people_and_playbooks_are_called_by_their_names() {
    for (by, words) in [
        ("brain:same-death", "the playbook same-death"),
        ("brain", "mhost"),
        ("cli:ana", "ana"),
        ("model:mcp/claude", "the model mcp/claude"),
        (
            "model:ollama/tulip, with leave of cli:ana,",
            "the model ollama/tulip, with leave of ana,",
        ),
    ] {
        assert_eq!(who(by), words);
    }
}

/// First what waits for somebody; and what only keeps a record was not done to anything.
#[test]
fn a_reader_finds_what_is_left_to_do_first() {
    let mut digest = digest();
    digest.incidents[1].opened = at(50);
    digest.actions.push(ActionRow {
        action: "log_only".into(),
        ..digest.actions[0].clone()
    });
    let text = digest.markdown(None, &TimeZone::UTC);
    let place = |part: &str| text.find(part).expect(part);
    assert!(place("(inc-2)") < place("(inc-1)"), "{text}");
    assert!(
        text.contains("| held it | the playbook same-death | done |"),
        "{text}"
    );
    assert!(!text.contains("log_only"), "{text}");
}
