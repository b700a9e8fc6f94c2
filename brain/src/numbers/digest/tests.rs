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
        "`crasher` needs attention: it is errored (held). In 24 hours there were 2 incidents and 6 crashes; \
         mhost cured 1 of them by itself. A person should look at `crasher` (inc-2). \
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
        text.contains("by brain:oom-restart, and that helped by measurement."),
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
        ("verified", "helped by measurement"),
        ("contained", "kept the damage from growing"),
        ("recovered", "well again by itself"),
        ("failed", "did not help"),
    ] {
        let mut digest = digest();
        digest.incidents[0].outcome = Some(outcome.into());
        let text = digest.markdown(None, &TimeZone::UTC);
        assert!(text.contains(words), "{outcome}: {text}");
        let cured = digest.summary().join(" ").contains("mhost cured 1");
        assert_eq!(cured, outcome == "verified", "{outcome}");
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
        text.contains("1. **a, b**: set max_memory, since a leak takes all: `mhost"),
        "{text}"
    );
    assert!(
        text.contains("2. **c**: mend it, since it has no file: `mhost"),
        "{text}"
    );
    assert_eq!(length(604_800.0), "7 days");
    assert_eq!(length(95.0), "1m 35s");
}

#[test]
fn names_cannot_break_the_tables() {
    assert_eq!(plain("a|b\n*c*_d"), "a\\|b \\*c\\*_d");
}
