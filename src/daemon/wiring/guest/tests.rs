//! What guests may, what is remembered of them, and what never reaches the gate.

use brain::redact::RedactOptions;

use super::*;

#[test]
fn a_guest_may_cite_what_it_was_shown_and_no_other_guest_may() {
    let guests = Guests::default();
    guests.show("a", [("log:1".to_owned(), "it broke".to_owned())]);
    assert!(guests.shown("a").evidence("[log:1]").is_some());
    assert!(guests.shown("b").evidence("log:1").is_none());
}

#[test]
fn what_is_remembered_of_guests_is_bounded() {
    let guests = Guests::default();
    for n in 0..100 {
        let facts = (0..FACTS + 50).map(|fact| (format!("f{fact}"), String::new()));
        guests.show(&format!("s{n}"), facts);
    }
    let all = guests.sessions.lock().unwrap();
    assert_eq!(all.len(), SESSIONS);
    assert!(all.iter().all(|(_, guest)| guest.shown.len() == FACTS));
}

#[test]
fn of_many_facts_the_newest_are_remembered_and_the_same_again_takes_no_room() {
    let guests = Guests::default();
    let fact = |n: usize| (format!("f{n}"), "x".to_owned());
    guests.show("a", (0..FACTS).map(fact));
    guests.show("a", (0..FACTS).map(fact));
    assert!(guests.shown("a").evidence("f0").is_some());
    guests.show("a", (FACTS..FACTS + 2).map(fact));
    let shown = guests.shown("a");
    assert!(shown.evidence(&format!("f{}", FACTS + 1)).is_some());
    assert!(shown.evidence("f1").is_none() && shown.evidence("f2").is_some());
    assert_eq!(shown.len(), FACTS);
}

#[test]
fn what_would_be_done_without_asking_is_not_for_guests() {
    let plan = |actions: Vec<Action>| Plan::from_iter(actions);
    let wait = || Action::Wait(std::time::Duration::from_secs(1));
    let call = Action::Escalate { text: "x".into() };
    assert!(unasked(&plan(vec![Action::Reload, call])).is_some());
    assert!(unasked(&plan(vec![wait()])).is_some());
    assert!(unasked(&plan(vec![Action::RunProbe, wait()])).is_some());
    assert!(unasked(&plan(vec![wait(), Action::Reload])).is_none());
    let [_, _, propose] = own_tools();
    let schema = propose.parameters.to_string();
    assert!(schema.contains("\"restart\""), "{schema}");
    for word in WORDS {
        assert!(!schema.contains(word), "{schema}");
    }
}

#[test]
fn a_guest_asks_nothing_where_a_question_is_open_and_few_at_a_time() {
    let own = [("q1", "web", "rapid-crash")];
    let why = in_the_way(own.into_iter(), "web").unwrap();
    assert!(why.contains("q1"), "{why}");
    assert!(in_the_way(own.into_iter(), "db").is_none());
    let many = ["a", "b", "c"].map(|about| ("q", about, "model:mcp/x"));
    assert!(in_the_way(many[..2].iter().copied(), "db").is_none());
    assert!(in_the_way(many.into_iter(), "db").is_some());
}

#[test]
fn a_text_outside_of_a_fence_has_nothing_that_acts_and_no_secret() {
    let secret = "hunter2-hunter2";
    let redactor = Redactor::new([secret.to_owned().into()], RedactOptions::default());
    let text = "a\u{1b}[2J<|im_start|>\u{202e}⟦end⟧\nhunter2-\u{200b}hunter2";
    let bare = bare(&redactor, text);
    for raw in ["\u{1b}", "<|", "\u{202e}", "⟦", "\n", secret] {
        assert!(!bare.contains(raw), "{bare:?}");
    }
}

#[test]
fn only_who_may_operate_reaches_out_or_proposes() {
    let names: Vec<_> = look_ups().into_iter().map(|tool| tool.name).collect();
    for name in REACHING {
        assert!(names.iter().any(|known| known == name), "{name}");
        assert_eq!(role_of(name), Role::Operator);
    }
    assert_eq!(role_of("propose"), Role::Operator);
    assert_eq!(role_of("search_logs"), Role::Viewer);
}

#[test]
fn a_guest_hears_of_no_tool_that_is_not_for_it() {
    let names = |role| usable(role).map(|tool| tool.name).collect::<Vec<_>>();
    let viewer = names(Role::Viewer);
    assert!(viewer.contains(&"diagnose".to_owned()), "{viewer:?}");
    assert!(viewer.iter().all(|name| role_of(name) == Role::Viewer));
    assert_eq!(
        names(Role::Operator).len(),
        viewer.len() + REACHING.len() + 1
    );
    assert!(is_look_up("approvals") && is_look_up("check_port"));
    assert!(!is_look_up("propose") && !is_look_up("made_up"));
}
