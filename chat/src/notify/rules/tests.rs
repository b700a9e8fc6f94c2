//! The rules, one by one.

use std::time::Duration;

use jiff::Timestamp;
use supervisor::after;

use super::*;
use crate::notify::settings::Target;
use crate::notify::{PagerDuty, QuietHours, Severity, Wanted};

const START: &str = "2026-01-10T12:00:00Z";

/// Rules with a time of their own.
pub(super) struct Desk {
    pub rules: Rules,
    pub now: Timestamp,
    pub sent: Vec<(Timestamp, Outgoing)>,
    count: u32,
    steps: u32,
}

pub(super) fn channel(name: &str) -> ChannelSettings {
    ChannelSettings::new(name, Target::example())
}

pub(super) fn pager(name: &str) -> ChannelSettings {
    let target = Target::PagerDuty(PagerDuty {
        routing_key: "k".into(),
        severity_map: Default::default(),
        base_url: None,
    });
    ChannelSettings::new(name, target)
}

impl Desk {
    pub(super) fn with(channels: impl IntoIterator<Item = ChannelSettings>) -> Self {
        let channels: Vec<_> = channels.into_iter().collect();
        assert!(crate::notify::check(&channels).is_empty());
        Self {
            rules: Rules::new(channels, "h1", State::default()),
            now: START.parse().unwrap(),
            sent: Vec::new(),
            count: 0,
            steps: 0,
        }
    }

    /// Lets time pass, and everything that is due with it, as a timer would.
    pub(super) fn wait(&mut self, seconds: f64) -> &mut Self {
        let end = after(self.now, Duration::from_secs_f64(seconds));
        for _ in 0..10_000 {
            let Some(due) = self.rules.due().filter(|due| *due <= end) else {
                self.now = end;
                return self;
            };
            self.now = due.max(self.now);
            self.put(Input::Tick);
        }
        panic!("a timer that is always due: {:?}", self.rules.state());
    }

    pub(super) fn put(&mut self, input: Input) -> &mut Self {
        self.steps += 1;
        // It is written and read between two steps, as over a restart; seldom where there are
        // many, for the sake of time.
        if self.steps < 50 || self.steps.is_multiple_of(97) {
            let kept = serde_json::to_string(self.rules.state()).unwrap();
            let read: State = serde_json::from_str(&kept).unwrap();
            assert_eq!(&read, self.rules.state());
            let settings = self.rules.channels.iter().map(|(one, _)| one.clone());
            self.rules = Rules::new(settings.collect(), "h1", read);
        }
        let out = self.rules.step(input, self.now);
        let now = self.now;
        self.sent.extend(out.into_iter().map(|one| (now, one)));
        self
    }

    pub(super) fn tell(&mut self, event: EventName, process: &str) -> &mut Self {
        self.count += 1;
        let id = format!("e{}", self.count);
        let text = format!("{event} of {process}");
        let notice = Notice::new(id, event, process, text, self.now);
        self.put(Input::Notice(Box::new(notice), ProcessWish::default()))
    }

    /// What was sent since the last call, in words.
    pub(super) fn words(&mut self) -> Vec<String> {
        let word = |(_, one): (Timestamp, Outgoing)| {
            let lines: Vec<String> = one
                .lines
                .iter()
                .map(|line| format!("{}: {}", line.process, line.words()))
                .collect();
            let mut word = format!("{} {}", one.channel, one.notice.event);
            if one.notice.severity == Severity::Critical {
                word.push('!');
            }
            if one.resolves {
                word.push_str(&format!(" ends {}", one.class));
            }
            if one.suppressed > 0 {
                word.push_str(&format!(" +{}", one.suppressed));
            }
            if one.escalated_after_s.is_some() {
                word.push_str(" escalated");
            }
            if !lines.is_empty() {
                word.push_str(&format!(" [{}]", lines.join("; ")));
            }
            word
        };
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(word)
            .collect()
    }
}

use EventName::{Crash, DeployFailed, Errored, HealthFail, HealthRecover, MemoryExceeded, Restart};

#[test]
fn within_the_window_the_first_is_told_and_the_next_says_how_many_were_not() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(MemoryExceeded, "api").wait(10.0);
    for _ in 0..7 {
        desk.tell(MemoryExceeded, "api").wait(1.0);
    }
    // Another process and another class have windows of their own.
    desk.tell(MemoryExceeded, "web").wait(70.0);
    assert_eq!(desk.words(), ["a memory_exceeded", "a memory_exceeded"]);
    desk.tell(MemoryExceeded, "api");
    assert_eq!(desk.words(), ["a memory_exceeded +7"]);
}

#[test]
fn what_is_worse_passes_at_once_and_the_third_crash_is_worse() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(Crash, "api")
        .wait(2.0)
        .tell(Crash, "api")
        .wait(2.0);
    assert_eq!(desk.words(), ["a crash"]);
    desk.tell(Crash, "api");
    assert_eq!(desk.words(), ["a crash! +1"]);
    desk.wait(2.0).tell(Errored, "api");
    assert!(desk.words().is_empty(), "it is as bad as the last");
}

#[test]
fn recovery_is_never_throttled_and_ends_what_was_told() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(HealthFail, "api")
        .wait(5.0)
        .tell(HealthRecover, "api");
    assert_eq!(
        desk.words(),
        ["a health_fail", "a health_recover ends health"]
    );
    // Its probe passed for a minute: nothing is left to be told.
    desk.wait(120.0);
    assert!(desk.words().is_empty());
    // A crash is over once the process was up for a minute.
    desk.tell(Crash, "api")
        .put(Input::Online("api".into()))
        .wait(59.0);
    assert_eq!(desk.words(), ["a crash"]);
    desk.wait(2.0);
    assert_eq!(desk.words(), ["a health_recover ends crash"]);
}

#[test]
fn trouble_right_after_a_recovery_is_told_when_the_window_ends() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(HealthFail, "api")
        .wait(5.0)
        .tell(HealthRecover, "api");
    desk.wait(5.0).tell(HealthFail, "api");
    assert_eq!(desk.words().len(), 2);
    desk.wait(49.0);
    assert!(desk.words().is_empty());
    desk.wait(2.0);
    assert_eq!(
        desk.words(),
        ["a health_fail"],
        "nobody believes that it is well"
    );
    // When it recovers within the window, too, nothing has changed for anybody.
    desk.tell(HealthRecover, "api")
        .wait(1.0)
        .tell(HealthFail, "api");
    desk.wait(1.0).tell(HealthRecover, "api").wait(70.0);
    assert_eq!(desk.words(), ["a health_recover ends health"]);
}

#[test]
fn a_probe_that_fails_for_five_minutes_is_critical() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(HealthFail, "api").wait(299.0);
    assert_eq!(desk.words(), ["a health_fail"]);
    desk.wait(2.0);
    assert_eq!(desk.words(), ["a health_fail!"]);
    desk.wait(3_600.0);
    assert!(desk.words().is_empty());
}

#[test]
fn filters_choose_by_event_process_severity_and_the_wish_of_the_process() {
    let mut only = channel("a");
    only.events = Wanted::of(["crash", "errored"]).unwrap();
    only.processes = vec!["api-*".into()];
    let mut bad = channel("b");
    bad.min_severity = Severity::Critical;
    let mut off = channel("c");
    off.enabled = false;
    let mut desk = Desk::with([only, bad, off]);
    desk.tell(Crash, "web")
        .tell(Restart, "api-1")
        .tell(Crash, "api-1");
    assert_eq!(desk.words(), ["a crash"]);
    desk.tell(DeployFailed, "web");
    assert_eq!(desk.words(), ["b deploy_failed!"]);
    // A process that names its channels is told of nowhere else; its mute is obeyed.
    let wish = ProcessWish {
        channels: vec!["a".into()],
        adds: Wanted::of(["deploy_failed"]).unwrap(),
        mute: false,
    };
    desk.wait(100.0);
    let notice = Notice::new("n", DeployFailed, "api-2", "x", desk.now);
    desk.put(Input::Notice(Box::new(notice.clone()), wish.clone()));
    assert_eq!(desk.words(), ["a deploy_failed!"]);
    let wish = ProcessWish { mute: true, ..wish };
    desk.put(Input::Notice(Box::new(notice), wish));
    assert!(desk.words().is_empty());
}

#[test]
fn quiet_hours_hold_back_what_is_not_critical_until_they_end() {
    let mut quiet = channel("a");
    quiet.quiet_hours = Some(QuietHours::parse("11:00-13:00 UTC").unwrap());
    let mut desk = Desk::with([quiet]);
    desk.tell(HealthFail, "api")
        .tell(MemoryExceeded, "web")
        .wait(60.0);
    assert!(desk.words().is_empty());
    desk.tell(Errored, "db").wait(1.0);
    assert_eq!(desk.words(), ["a errored!"]);
    desk.tell(HealthRecover, "api").wait(3_600.0);
    assert_eq!(
        desk.words(),
        ["a digest [api: health_fail, health_recover; web: memory_exceeded]"]
    );
}

#[test]
fn a_digest_collects_all_but_the_critical() {
    let mut digest = channel("a");
    digest.digest = Some(Duration::from_secs(900));
    let mut desk = Desk::with([digest]);
    desk.tell(Restart, "api")
        .wait(60.0)
        .tell(Restart, "api")
        .tell(HealthFail, "web");
    assert!(desk.words().is_empty());
    desk.tell(Errored, "db");
    assert_eq!(desk.words(), ["a errored!"]);
    desk.tell(HealthRecover, "web").wait(900.0);
    assert_eq!(
        desk.words(),
        ["a digest [web: health_fail, health_recover; api: 2 × restart]"]
    );
    desk.tell(Restart, "api").wait(901.0);
    assert_eq!(desk.words(), ["a restart"], "one thing is told as itself");
}

#[test]
fn flapping_is_told_once_and_then_nothing_until_it_is_stable() {
    let mut desk = Desk::with([channel("a"), pager("p")]);
    for _ in 0..20 {
        desk.tell(HealthFail, "api")
            .wait(20.0)
            .tell(HealthRecover, "api")
            .wait(20.0);
    }
    let words = desk.words();
    let flapping = words.iter().filter(|one| one.contains("flapping")).count();
    assert_eq!(flapping, 2, "{words:?}");
    assert!(words.last().unwrap().contains("flapping"), "{words:?}");
    desk.wait(500.0);
    assert!(desk.words().is_empty());
    desk.wait(100.0);
    let words = desk.words();
    assert!(
        words[0].starts_with("a health_recover ends flapping +"),
        "{words:?}"
    );
    // The pager has no alert left.
    assert!(
        words[1].starts_with("p health_recover ends flapping"),
        "{words:?}"
    );
    assert!(words.len() <= 3, "{words:?}");
    assert!(
        words[2..]
            .iter()
            .all(|one| one == "p health_recover ends health"),
        "{words:?}"
    );
    desk.tell(HealthFail, "api");
    assert_eq!(desk.words().len(), 2, "it is told again");
}

#[test]
fn that_a_flapping_process_is_given_up_is_told() {
    let mut desk = Desk::with([channel("a")]);
    for _ in 0..8 {
        desk.tell(HealthFail, "api")
            .wait(9.0)
            .tell(HealthRecover, "api")
            .wait(9.0);
    }
    desk.wait(100.0).words();
    desk.tell(Errored, "api").wait(5.0).tell(Errored, "api");
    assert_eq!(desk.words(), ["a errored!"]);
    desk.wait(700.0);
    let words = desk.words();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].starts_with("a flapping +"), "{words:?}");
}

#[test]
fn what_nobody_acknowledges_is_passed_on_along_the_chain() {
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    let mut a = channel("a");
    (a.escalation_after, a.escalation_target) = (minutes(15), Some("b".into()));
    let mut b = channel("b");
    b.enabled = false;
    (b.escalation_after, b.escalation_target) = (minutes(5), Some("c".into()));
    let mut c = channel("c");
    c.events = Wanted::none();
    (c.escalation_after, c.escalation_target) = (minutes(5), Some("p".into()));
    let mut p = pager("p");
    p.events = Wanted::none();
    let all = [a, b, c, p];
    let mut desk = Desk::with(all.clone());
    desk.tell(Errored, "api").wait(14.9 * 60.0);
    assert_eq!(desk.words(), ["a errored!"]);
    desk.wait(10.0);
    let message = desk.sent[0].1.text();
    assert!(message.starts_with("ESCALATED after 15m: "), "{message}");
    assert_eq!(desk.words(), ["c errored! escalated"]);
    desk.wait(301.0);
    assert_eq!(desk.words(), ["p errored! escalated"]);
    desk.wait(3_600.0);
    assert!(desk.words().is_empty());
    // Everybody who knows is told of the end, as far as they want to hear of it.
    desk.put(Input::Online("api".into())).wait(61.0);
    assert_eq!(
        desk.words(),
        ["a health_recover ends crash", "p health_recover ends crash"]
    );

    // Acknowledged, recovered or closed by hand: nobody else is woken.
    for end in 0..3 {
        let mut desk = Desk::with(all.clone());
        desk.tell(Errored, "api").wait(60.0);
        let incident = desk.sent[0].1.notice.incident.clone().unwrap();
        desk.words();
        match end {
            0 => desk.put(Input::Acknowledge {
                incident,
                by: "ana".into(),
            }),
            1 => desk.put(Input::Online("api".into())),
            _ => desk.put(Input::Close { incident }),
        };
        desk.wait(3_600.0);
        let words = desk.words();
        assert!(
            !words.iter().any(|one| one.contains("escalated")),
            "{words:?}"
        );
    }
}

#[test]
fn mute_silences_a_process_until_it_ends_and_lets_alerts_end() {
    let mut desk = Desk::with([channel("a"), pager("p")]);
    desk.tell(HealthFail, "api").words();
    let until = Some(after(desk.now, Duration::from_secs(3_600)));
    desk.put(Input::Mute {
        process: "api".into(),
        until,
    });
    desk.wait(10.0)
        .tell(HealthRecover, "api")
        .wait(600.0)
        .tell(Errored, "api");
    assert_eq!(desk.words(), ["p health_recover ends health"]);
    desk.wait(3_000.0);
    assert_eq!(desk.words(), ["a errored!", "p errored!"]);
}

#[test]
fn an_alert_is_ended_under_the_name_it_was_opened_with() {
    let mut desk = Desk::with([pager("p")]);
    desk.tell(Crash, "api").tell(Restart, "api");
    let opened = desk.sent[0].1.alert_key();
    assert_eq!(opened, "mhost-h1-api-crash");
    desk.put(Input::Online("api".into())).wait(61.0);
    assert_eq!(
        desk.sent.len(),
        2,
        "nobody would end what is only good to know"
    );
    assert!(desk.sent[1].1.resolves);
    assert_eq!(desk.sent[1].1.alert_key(), opened);
    // Also when it was stopped on purpose.
    desk.wait(60.0).words();
    desk.tell(MemoryExceeded, "api")
        .put(Input::Gone("api".into()));
    assert_eq!(
        desk.words(),
        ["p memory_exceeded", "p health_recover ends memory"]
    );
}

#[test]
fn what_does_not_arrive_goes_to_the_next_channel_and_never_in_a_circle() {
    let mut a = channel("a");
    a.escalation_target = Some("b".into());
    let mut desk = Desk::with([a, channel("b")]);
    desk.tell(Errored, "api");
    let failed = desk.sent[0].1.clone();
    let second = desk.rules.fallback(&failed).unwrap();
    assert_eq!(
        (second.channel.as_str(), &second.via[..]),
        ("b", &["a".to_owned()][..])
    );
    assert_ne!(second.id, failed.id);
    assert!(desk.rules.fallback(&second).is_none());
    let test = desk.rules.test("a", desk.now).unwrap();
    assert!(
        desk.rules.fallback(&test).is_none(),
        "a test tests its channel"
    );
}
