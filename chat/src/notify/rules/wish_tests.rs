//! What a process wants for its messages.

use std::time::Duration;

use super::tests::{Desk, channel};
use super::*;
use crate::notify::Wanted;

use EventName::HealthFail;

#[test]
fn what_a_process_wants_holds_when_nobody_reacts_and_when_a_channel_fails() {
    let chain = || {
        let mut a = channel("a");
        a.escalation_after = Some(Duration::from_secs(60));
        a.escalation_target = Some("b".into());
        let mut b = channel("b");
        b.escalation_target = Some("c".into());
        let mut c = channel("c");
        c.events = Wanted::none();
        [a, b, c]
    };
    let tell = |desk: &mut Desk, only: &[&str]| {
        let wish = ProcessWish {
            channels: only.iter().map(|one| (*one).to_owned()).collect(),
            ..ProcessWish::default()
        };
        let notice = Notice::new("n", HealthFail, "api", "x", desk.now);
        desk.put(Input::Notice(Box::new(notice), wish));
        let first = desk.sent[0].1.clone();
        assert_eq!(desk.words(), ["a health_fail"]);
        let instead = desk.rules.fallback(&first).map(|one| one.channel);
        desk.wait(400.0);
        (instead, desk.words())
    };
    let mut desk = Desk::with(chain());
    let (instead, told) = tell(&mut desk, &["a"]);
    assert_eq!(instead, None);
    assert_eq!(told, ["a health_fail!"], "it stays where it may be told");
    let mut desk = Desk::with(chain());
    let (instead, told) = tell(&mut desk, &["a", "c"]);
    assert_eq!(instead.as_deref(), Some("c"));
    assert_eq!(told, ["c health_fail! escalated", "a health_fail!"]);
}
