//! Mutes: what they hold back, how they end, and what is told then.

use std::time::Duration;

use supervisor::after;

use super::tests::{Desk, channel, pager};
use super::*;
use crate::notify::Wanted;
use EventName::{Crash, Errored, HealthFail, HealthRecover, MemoryExceeded};

const HOUR: f64 = 3_600.0;

impl Desk {
    fn mute(&mut self, process: &str, seconds: Option<f64>) -> &mut Self {
        let until = seconds.map(|seconds| after(self.now, Duration::from_secs_f64(seconds)));
        self.put(Input::Mute {
            process: process.into(),
            until,
        })
    }

    fn unmute(&mut self, process: &str) -> &mut Self {
        self.put(Input::Unmute(process.into()))
    }
}

#[test]
fn trouble_that_begins_while_muted_and_lasts_is_told_when_the_time_ends() {
    let mut desk = Desk::with([channel("a"), pager("p")]);
    desk.mute("api", Some(HOUR)).wait(60.0).tell(Errored, "api");
    desk.wait(HOUR - 61.0);
    assert!(desk.words().is_empty());
    desk.wait(2.0);
    let text = desk.sent[0].1.text();
    assert_eq!(text, "while it was muted: errored of api");
    assert_eq!(desk.words(), ["a errored!", "p errored!"]);
    // From then on it is as any other: told once, and its end, too.
    desk.wait(HOUR);
    assert!(desk.words().is_empty());
    desk.put(Input::Online("api".into())).wait(61.0);
    let ends = ["a health_recover ends crash", "p health_recover ends crash"];
    assert_eq!(desk.words(), ends);
}

/// One message for each channel: the worst that it wants to hear of.
#[test]
fn of_one_trouble_the_worst_is_told() {
    let mut mild = channel("mild");
    mild.events = Wanted::of(["crash"]).unwrap();
    let mut desk = Desk::with([channel("a"), mild]);
    desk.mute("api", Some(HOUR)).tell(Crash, "api");
    desk.wait(1.0).tell(Errored, "api").unmute("api");
    assert_eq!(desk.words(), ["a errored!", "mild crash"]);
}

#[test]
fn trouble_that_lasts_is_told_when_somebody_ends_the_mute() {
    let mut desk = Desk::with([channel("a")]);
    desk.mute("api", Some(HOUR)).tell(HealthFail, "api");
    desk.wait(60.0).unmute("api");
    assert_eq!(desk.words(), ["a health_fail"]);
    // For ten minutes, it is told as what it is by then.
    desk.mute("web", Some(HOUR)).tell(HealthFail, "web");
    desk.wait(600.0).words();
    desk.unmute("web");
    assert_eq!(desk.words(), ["a health_fail!"]);
    desk.unmute("web").unmute("api");
    assert!(desk.words().is_empty(), "once");
}

#[test]
fn what_is_over_when_a_mute_ends_is_not_told() {
    let mut desk = Desk::with([channel("a")]);
    desk.mute("api", Some(HOUR)).tell(HealthFail, "api");
    desk.wait(30.0).tell(HealthRecover, "api").unmute("api");
    desk.mute("web", Some(HOUR)).tell(Errored, "web");
    desk.put(Input::Gone("web".into())).unmute("web");
    desk.mute("db", Some(HOUR)).tell(Crash, "db");
    desk.put(Input::Online("db".into())).wait(10.0).unmute("db");
    desk.wait(HOUR);
    assert!(desk.words().is_empty());
}

#[test]
fn who_knew_of_it_before_is_told_only_what_is_worse() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(Crash, "api").wait(5.0).words();
    desk.mute("api", Some(HOUR)).tell(Crash, "api").wait(HOUR);
    assert!(desk.words().is_empty());
    desk.mute("api", Some(HOUR)).tell(Errored, "api").wait(HOUR);
    assert_eq!(desk.words(), ["a errored!"]);
}

/// What came too soon after the last message waits for its turn, also over a mute.
#[test]
fn what_waited_for_its_turn_when_the_mute_began_is_told_after_it() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(HealthFail, "api").wait(5.0);
    desk.tell(HealthRecover, "api").wait(5.0);
    desk.tell(HealthFail, "api").words();
    desk.mute("api", Some(200.0)).wait(199.0);
    assert!(desk.words().is_empty());
    desk.wait(2.0);
    assert_eq!(desk.words(), ["a health_fail"]);
}

#[test]
fn a_process_that_flapped_while_muted_is_told_as_flapping() {
    let mut desk = Desk::with([channel("a")]);
    desk.mute("api", Some(300.0));
    for _ in 0..10 {
        desk.tell(HealthFail, "api").wait(20.0);
        desk.tell(HealthRecover, "api").wait(20.0);
    }
    assert_eq!(desk.words(), ["a flapping"]);
    desk.wait(700.0);
    assert!(desk.words()[0].starts_with("a health_recover ends flapping"));
}

#[test]
fn a_mute_without_a_time_ends_with_the_trouble() {
    let mut desk = Desk::with([channel("a"), pager("p")]);
    desk.tell(HealthFail, "api").words();
    desk.mute("api", None).wait(90_000.0);
    desk.tell(Errored, "api");
    assert!(desk.words().is_empty());
    desk.tell(HealthRecover, "api").wait(61.0).words();
    assert!(desk.rules.overview().mutes.is_empty());
    desk.tell(Errored, "api");
    assert_eq!(desk.words().len(), 2);
    // It ends with its process, too.
    desk.mute("api", None).put(Input::Gone("api".into()));
    assert!(desk.rules.overview().mutes.is_empty());
}

/// Until it is well again would be for ever: it is refused, and says what to type.
#[test]
fn a_mute_without_a_time_needs_trouble() {
    let mut desk = Desk::with([channel("a")]);
    desk.mute("api", None);
    assert!(desk.rules.overview().mutes.is_empty());
    let refused = desk.rules.may_mute("api", None).unwrap_err().to_string();
    assert!(refused.ends_with("mhost notify mute api 1h"), "{refused}");
    desk.tell(MemoryExceeded, "api").mute("api", None);
    assert!(desk.rules.overview().mutes.contains_key("api"));
    // One of a version that took it ends by itself.
    let mut old = desk.rules.state().clone();
    old.mutes.insert("gone".into(), None);
    desk.rules = Rules::new(vec![channel("a")], "h1", old);
    desk.put(Input::Tick);
    let left: Vec<String> = desk.rules.overview().mutes.into_keys().collect();
    assert_eq!(left, ["api"]);
}

#[test]
fn one_mute_too_many_is_refused_and_says_what_to_type() {
    let mut desk = Desk::with([channel("a")]);
    let until = Some(after(desk.now, Duration::from_secs(60)));
    for number in 0..MOST_PROCESSES {
        desk.mute(&format!("app-{number}"), Some(60.0));
    }
    let refused = desk.rules.may_mute("one-more", until).unwrap_err();
    assert_eq!(refused, NoMute::TooMany);
    let told = refused.to_string();
    assert!(told.contains("mhost notify mute <process> off"), "{told}");
    assert_eq!(desk.rules.may_mute("app-7", until), Ok(()), "it has one");
    desk.wait(61.0);
    assert_eq!(desk.rules.may_mute("one-more", until), Ok(()));
}
