//! Alerts that are no incidents: each has an end, and none swallows the next.

use super::tests::{Desk, channel, pager};
use super::*;
use crate::notify::{OpenAlert, Wanted};

use EventName::{AgentAction, AgentApproval, Errored, Escalated, HealthScoreLow, SinkDown};

impl Desk {
    fn about(&mut self, event: EventName, process: &str, topic: Option<&str>) -> &mut Self {
        let mut notice = Notice::new("x1", event, process, format!("{event}"), self.now);
        notice.topic = topic.map(str::to_owned);
        notice.severity = notice.severity.max(crate::notify::Severity::Warning);
        self.put(Input::Notice(Box::new(notice), ProcessWish::default()))
    }

    fn over(&mut self, class: Class, process: &str, topic: Option<&str>) -> &mut Self {
        let alert = OpenAlert {
            process: process.into(),
            class,
            topic: topic.map(str::to_owned),
        };
        let message = "it is over".into();
        self.put(Input::Over(Box::new(Over { alert, message })))
    }

    fn keys(&mut self) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        let sign = |one: &Outgoing| if one.resolves { '-' } else { '+' };
        sent.map(|(_, one)| format!("{}{}", sign(&one), one.alert_key()))
            .collect()
    }
}

#[test]
fn each_class_that_opens_an_alert_has_an_end_under_its_name() {
    let all = [
        (Escalated, "api", Some("inc-7"), "api-escalation-inc-7"),
        (AgentApproval, "api", Some("k3v9qa"), "api-approval-k3v9qa"),
        (AgentAction, "api", Some("inc-7"), "api-agent-inc-7"),
        (
            EventName::BrainHeal,
            "api",
            Some("inc-8"),
            "api-agent-inc-8",
        ),
        (HealthScoreLow, "api", None, "api-score"),
        (EventName::DiskLow, "", None, "-disk"),
        (SinkDown, "", Some("central"), "-sink-central"),
    ];
    for (event, process, topic, key) in all {
        let mut desk = Desk::with([pager("p")]);
        desk.about(event, process, topic).wait(600.0);
        let open = desk.rules.overview().alerts;
        assert_eq!(open.len(), 1, "{event}");
        desk.over(event.class(), process, topic).wait(600.0);
        desk.about(event, process, topic);
        let key = match process {
            "" => format!("mhost-h1{key}"),
            _ => format!("mhost-h1-{key}"),
        };
        let key = key
            .replace("h1-disk", "h1--disk")
            .replace("h1-sink", "h1--sink");
        let expected = [format!("+{key}"), format!("-{key}"), format!("+{key}")];
        assert_eq!(desk.keys(), expected);
        desk.over(event.class(), process, topic);
        assert!(desk.rules.overview().alerts.is_empty(), "{event}");
    }
}

/// The second question of a process is no repetition of the first.
#[test]
fn two_of_a_kind_are_two_alerts() {
    let mut desk = Desk::with([pager("p")]);
    desk.about(AgentApproval, "api", Some("one"))
        .about(AgentApproval, "api", Some("two"))
        .over(Class::Approval, "api", Some("one"));
    let key = |id: &str| format!("mhost-h1-api-approval-{id}");
    let expected = [
        format!("+{}", key("one")),
        format!("+{}", key("two")),
        format!("-{}", key("one")),
    ];
    assert_eq!(desk.keys(), expected);
}

#[test]
fn what_nobody_will_end_has_a_name_of_its_own() {
    let mut desk = Desk::with([pager("p")]);
    desk.about(AgentAction, "api", None);
    let test = desk.rules.test("p", desk.now).unwrap();
    assert_eq!(desk.keys(), ["+mhost-h1-api-agent-x1"]);
    let second = desk.rules.test("p", desk.now).unwrap();
    assert_ne!(test.alert_key(), second.alert_key());
    assert!(desk.rules.overview().alerts.is_empty());
}

/// A process that is up for a minute has no answered questions and no better score.
#[test]
fn an_incident_that_ends_ends_no_other_alert() {
    let mut desk = Desk::with([pager("p")]);
    desk.about(HealthScoreLow, "api", None).tell(Errored, "api");
    desk.put(Input::Online("api".into())).wait(61.0);
    let words = desk.words();
    assert_eq!(words.last().unwrap(), "p health_recover ends crash");
    assert_eq!(desk.rules.overview().alerts.len(), 1);
    desk.over(Class::Score, "api", None);
    assert_eq!(desk.words(), ["p health_recover ends score"]);
}

#[test]
fn people_are_told_of_ends_that_are_news_where_they_were_told_of_the_beginning() {
    let mut deaf = channel("deaf");
    deaf.events = Wanted::of(["sink_down"]).unwrap();
    let mut other = channel("other");
    other.events = Wanted::of(["recovered"]).unwrap();
    let mut desk = Desk::with([channel("a"), deaf, other]);
    desk.about(SinkDown, "", Some("central"));
    desk.over(Class::Sink, "", Some("central"));
    let told = [
        "a sink_down",
        "deaf sink_down",
        "a health_recover ends sink",
    ];
    assert_eq!(desk.words(), told);
    desk.wait(90.0).about(AgentApproval, "api", Some("one"));
    desk.over(Class::Approval, "api", Some("one")).wait(90.0);
    assert_eq!(desk.words(), ["a agent_approval"]);
}

/// The same that is over before its turn came, or before a mute ended, is not told.
#[test]
fn what_is_over_before_it_was_told_is_not_told() {
    let mut desk = Desk::with([channel("a")]);
    desk.about(HealthScoreLow, "api", None);
    desk.over(Class::Score, "api", None).words();
    desk.about(HealthScoreLow, "api", None);
    assert_eq!(desk.rules.overview().alerts.len(), 1);
    desk.over(Class::Score, "api", None).wait(90.0);
    assert!(desk.words().is_empty());
    let until = Some(supervisor::after(desk.now, Duration::from_secs(60)));
    let process = "web".to_owned();
    desk.put(Input::Mute { process, until });
    desk.about(AgentApproval, "web", Some("one"));
    desk.about(AgentApproval, "web", Some("two"));
    assert_eq!(desk.rules.overview().alerts.len(), 2);
    desk.over(Class::Approval, "web", Some("one")).wait(61.0);
    assert_eq!(desk.words(), ["a agent_approval"]);
}

/// A process that stops flapping has no better score for it.
#[test]
fn an_end_of_flapping_ends_no_other_alert() {
    let mut desk = Desk::with([channel("a")]);
    desk.about(HealthScoreLow, "api", None)
        .about(HealthScoreLow, "api", None);
    for _ in 0..5 {
        desk.tell(EventName::HealthFail, "api").wait(9.0);
        desk.tell(EventName::HealthRecover, "api").wait(9.0);
    }
    desk.wait(700.0);
    let words = desk.words();
    let end = words.last().unwrap();
    assert!(
        end.starts_with("a health_recover ends flapping"),
        "{words:?}"
    );
    let alerts = desk.rules.overview().alerts;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    desk.over(Class::Score, "api", None);
    let words = desk.words();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(
        words[0].starts_with("a health_recover ends score"),
        "{words:?}"
    );
}
