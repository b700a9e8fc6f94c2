//! What people may and may not do in a chat, over a screen and a desk that remember all.
//! It is one piece although it is long: a test for each promise, all on the same bench.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use supervisor::{Role, after};

use super::*;
use crate::What;
use crate::desk::Answered;
use crate::store::Taken;
use crate::testing::{FakeDesk, Screen, press, text};

const GROUP: &str = "telegram:-100";
const TICKET: &str = "k3v9qa:0f3a9c2d51e7b864";

/// A router, the rest of mhost, a screen, and the ids of an admin (1), an operator (2), a
/// viewer (3), a blocked admin (4); 9 is not listed.
pub(super) struct Bench {
    pub(super) router: Router,
    pub(super) desk: Arc<FakeDesk>,
    pub(super) screen: Arc<Screen>,
    deliveries: std::cell::Cell<u32>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = Clock::system();
        let store = Store::in_memory(clock.clone()).unwrap();
        let desk = FakeDesk::new();
        let pace = Pace::new(std::num::NonZeroU32::new(100_000).unwrap());
        let router = Router::new(desk.clone(), store, clock, pace);
        router.reconfigure(settings());
        Self {
            router,
            desk,
            screen: Arc::default(),
            deliveries: std::cell::Cell::default(),
        }
    }

    /// As the bot does it: taken once, then handled.
    pub(super) async fn hears(&self, mut incoming: Incoming) -> Taken {
        if incoming.delivery == "1" {
            self.deliveries.set(self.deliveries.get() + 1);
            incoming.delivery = format!("d{}", self.deliveries.get());
        }
        let taken = self.router.store.take(&incoming).await.unwrap();
        if taken == Taken::New {
            self.router
                .handle(self.screen.as_ref(), &incoming, None)
                .await;
        }
        taken
    }

    /// The question's incident has a message in this chat.
    pub(super) async fn told_in(&self, place: &str) {
        let shown = crate::store::Shown {
            message: text(place, "1", "").message().clone(),
            card: String::new(),
            over: false,
        };
        let here = &shown.message.place;
        self.router.store.show("inc-7", here, &shown).await.unwrap();
    }

    async fn says(&self, who: &str, words: &str) {
        self.hears(text(GROUP, who, words)).await;
    }

    async fn presses(&self, who: &str, payload: &str) {
        let mut pressed = press(GROUP, who, payload);
        if let What::Press { message, .. } = &mut pressed.what
            && let Some((newest, _)) = self.screen.shown.lock().unwrap().last()
        {
            message.clone_from(newest);
        }
        self.hears(pressed).await;
    }
}

fn settings() -> Settings {
    Settings {
        people: People {
            roles: BTreeMap::from([
                ("telegram:1".into(), Role::Admin),
                ("telegram:2".into(), Role::Operator),
                ("telegram:3".into(), Role::Viewer),
                ("telegram:4".into(), Role::Admin),
            ]),
            blocked: BTreeSet::from(["telegram:4".into()]),
            chats: BTreeSet::from([GROUP.into()]),
        },
        ..Settings::default()
    }
}

#[tokio::test]
async fn an_order_is_done_under_the_senders_role_and_recorded() {
    let bench = Bench::new();
    bench.says("2", "/restart api").await;
    assert_eq!(
        bench.desk.done(),
        ["process.restart api by chat:telegram:2"]
    );
    assert_eq!(bench.screen.titles(), ["restart api: done"]);
    let attempts = bench.desk.attempts.lock().unwrap();
    let [one] = attempts.as_slice() else {
        panic!("{attempts:?}");
    };
    assert_eq!(
        (one.command.as_str(), one.arguments.as_str()),
        ("/restart", "api")
    );
    assert_eq!(
        (one.caller.role, one.verdict),
        (Role::Operator, Verdict::Done)
    );
}

/// A standing leave is asked about once more, whatever the settings say, and is an admin's.
#[tokio::test]
async fn leave_in_advance_is_an_admins_and_confirmed() {
    let bench = Bench::new();
    bench.router.reconfigure(Settings {
        confirm_destructive: false,
        ..settings()
    });
    bench.told_in(GROUP).await;
    let always = "o:always k3v9qa";
    bench.presses("2", always).await;
    assert_eq!(bench.desk.verdicts(), [Verdict::Denied]);
    bench.presses("1", always).await;
    assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Asked));
    assert!(bench.desk.done().is_empty());
    let asked = bench.screen.shown.lock().unwrap().last().unwrap().clone();
    let text = format!("{:?}", asked.1);
    assert!(
        text.contains("memory-leak may act on api without asking, for 7d"),
        "{text}"
    );
    assert!(text.contains("up to low risk"), "{text}");
    bench.says("1", "/confirm").await;
    assert_eq!(
        bench.desk.done(),
        [
            "decide k3v9qa true by chat:telegram:1",
            "allow memory-leak api 604800 by chat:telegram:1",
        ]
    );
    // Of a question that is decided nothing is allowed.
    bench.says("1", "/always k3v9qa").await;
    assert_ne!(bench.desk.verdicts().pop(), Some(Verdict::Asked));
    bench.says("1", "/allow drained web 1h").await;
    assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Asked));
    bench.says("1", "/cancel").await;
    bench.says("1", "/revoke x4m2ta").await;
    assert_eq!(
        bench.desk.done().last().map(String::as_str),
        Some("revoke x4m2ta by chat:telegram:1")
    );
    // An operator gives no leave, and may take it back.
    bench.says("2", "/allow drained web").await;
    assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Denied));
    bench.says("2", "/revoke x4m2ta").await;
    assert_eq!(
        bench.desk.done().last().map(String::as_str),
        Some("revoke x4m2ta by chat:telegram:2")
    );
    for words in ["/grants", "/revoke x4m2ta"] {
        bench.says("3", words).await;
        assert_eq!(
            bench.desk.verdicts().pop(),
            Some(Verdict::Denied),
            "{words}"
        );
    }
}

#[tokio::test]
async fn the_role_decides_and_a_refusal_is_recorded() {
    let bench = Bench::new();
    for (who, words) in [
        ("3", "/restart api"),
        ("2", "/stop api"),
        ("2", "/delete api"),
        ("2", "/restart all"),
        ("3", "/approve k3v9qa"),
        ("9", "/restart api"),
        ("4", "/restart api"),
        ("2", "/ask why?"),
        ("2", "why is it slow?"),
    ] {
        bench.says(who, words).await;
        assert_eq!(
            bench.desk.verdicts().pop(),
            Some(Verdict::Denied),
            "{who} {words}"
        );
    }
    assert!(bench.desk.done().is_empty());
    // Of strangers and blocked users nothing is shown in the group; a stranger is told once.
    assert!(bench.screen.titles().is_empty());
    let told = bench.screen.noted();
    assert!(
        told.contains(&"You are not authorised; your id is telegram:9.".into()),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_ends_something_is_asked_about_first() {
    let bench = Bench::new();
    bench.says("1", "/stop api").await;
    assert!(bench.desk.done().is_empty());
    assert_eq!(bench.screen.last().title, "Really /stop api?");
    let confirm = bench.screen.button("Confirm");
    // Somebody else, the same word in another chat, and a wrong nonce do not count.
    bench.presses("2", &confirm).await;
    bench.presses("1", "c:000000000000").await;
    bench.hears(text("telegram:-200", "1", "/confirm")).await;
    assert!(bench.desk.done().is_empty());
    bench.presses("1", &confirm).await;
    assert_eq!(bench.desk.done(), ["process.stop api by chat:telegram:1"]);
    bench.presses("1", &confirm).await;
    assert_eq!(bench.desk.done().len(), 1, "once");
    assert_eq!(bench.screen.titles()[0], "Confirmed: /stop api");
}

#[tokio::test]
async fn fewer_copies_are_asked_about_and_more_are_not() {
    let bench = Bench::new();
    bench.says("2", "/scale api -1").await;
    assert!(bench.desk.done().is_empty());
    assert_eq!(bench.screen.last().title, "Really /scale api -1?");
    bench.says("2", "/scale api +1").await;
    assert_eq!(bench.desk.done().len(), 1);
}

/// Who lost the right to say all between asking and confirming does not get it by confirming.
#[tokio::test]
async fn all_is_for_admins_also_when_it_is_confirmed() {
    let bench = Bench::new();
    bench.says("1", "/restart all").await;
    let mut fewer = settings();
    let operator = Role::Operator;
    fewer.people.roles.insert("telegram:1".into(), operator);
    bench.router.reconfigure(fewer);
    bench.presses("1", &bench.screen.button("Confirm")).await;
    assert!(bench.desk.done().is_empty());
}

#[tokio::test]
async fn no_means_no_and_a_yes_in_words_counts() {
    let bench = Bench::new();
    bench.says("1", "/delete web").await;
    bench.says("1", "no").await;
    assert_eq!(bench.screen.last().title, "Cancelled: /delete web");
    bench.says("1", "/restart all").await;
    bench.says("1", "yes").await;
    assert_eq!(
        bench.desk.done(),
        ["process.restart all by chat:telegram:1"]
    );
}

#[tokio::test]
async fn a_role_that_was_taken_away_meanwhile_is_gone() {
    let bench = Bench::new();
    bench.says("1", "/stop api").await;
    let mut fewer = settings();
    fewer.people.roles.insert("telegram:1".into(), Role::Viewer);
    bench.router.reconfigure(fewer);
    bench.presses("1", &bench.screen.button("Confirm")).await;
    assert!(bench.desk.done().is_empty());
    let mut none = settings();
    none.people.roles.remove("telegram:1");
    bench.router.reconfigure(none);
    bench.presses("1", &format!("a:{TICKET}")).await;
    assert!(bench.desk.done().is_empty());
}

#[tokio::test]
async fn a_question_is_decided_once_and_only_where_it_was_put() {
    let bench = Bench::new();
    bench.told_in("telegram:-200").await;
    bench.presses("1", &format!("a:{TICKET}")).await;
    assert!(bench.desk.done().is_empty());
    bench.told_in(GROUP).await;
    bench.presses("3", &format!("a:{TICKET}")).await;
    bench.presses("2", "a:k3v9qa:ffffffffffffffff").await;
    assert!(bench.desk.done().is_empty());
    bench.presses("2", &format!("d:{TICKET}")).await;
    bench.presses("1", &format!("a:{TICKET}")).await;
    assert_eq!(
        bench.desk.done(),
        ["decide k3v9qa false by chat:telegram:2"]
    );
    let told = bench.screen.noted();
    assert!(
        told.last().unwrap().starts_with("Too late: it was denied"),
        "{told:?}"
    );
}

/// A message is seen before it is written down where it stands.
#[tokio::test]
async fn a_press_may_be_faster_than_what_is_written_down() {
    let bench = Bench::new();
    let written = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(bench.desk.done().is_empty());
        bench.told_in(GROUP).await;
    };
    let payload = format!("a:{TICKET}");
    tokio::join!(bench.presses("2", &payload), written);
    assert_eq!(bench.desk.done(), ["decide k3v9qa true by chat:telegram:2"]);
}

#[tokio::test]
async fn a_plain_yes_answers_the_only_question() {
    let bench = Bench::new();
    // It stands in another chat, or nowhere.
    bench.says("2", "yes").await;
    assert!(bench.desk.done().is_empty());
    bench.told_in(GROUP).await;
    // It was put after the words were written.
    let mut early = text(GROUP, "2", "yes");
    early.at -= Duration::from_secs(30);
    bench.hears(early).await;
    assert!(bench.desk.done().is_empty());
    bench.says("2", "👍").await;
    assert_eq!(bench.desk.done(), ["decide k3v9qa true by chat:telegram:2"]);
    bench.says("2", "yes").await;
    assert_eq!(bench.screen.noted().last().unwrap(), "No question is open.");
    // Among people it is nobody's business.
    let bench = Bench::new();
    let mut aside = text(GROUP, "2", "yes");
    aside.origin.addressed = false;
    bench.hears(aside).await;
    assert_eq!(bench.desk.question.lock().unwrap().state, Answered::Open);
    assert!(bench.desk.verdicts().is_empty());
}

#[tokio::test]
async fn what_is_old_edited_or_forwarded_changes_nothing() {
    let bench = Bench::new();
    let now = Clock::system().now();
    let changes: [&dyn Fn(&mut Incoming); 5] = [
        &|one| one.at = now - FRESH - Duration::from_secs(5),
        &|one| one.origin.forwarded = true,
        &|one| one.origin.edited = true,
        &|one| one.origin.anonymous = true,
        &|one| one.origin.bot = true,
    ];
    for change in changes {
        for words in ["/restart api", "/scale api +1", "/approve k3v9qa"] {
            let mut incoming = text(GROUP, "1", words);
            change(&mut incoming);
            bench.hears(incoming).await;
        }
        let mut pressed = press(GROUP, "1", "o:restart api");
        change(&mut pressed);
        bench.hears(pressed).await;
    }
    assert!(bench.desk.done().is_empty());
    assert_eq!(bench.desk.verdicts().len(), 20);
    // To look does no harm.
    let mut old = text(GROUP, "3", "/status");
    old.at = now - Duration::from_secs(3_600);
    bench.hears(old).await;
    assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Done));
}

/// A kill between taking a press and acting on it: acted on once. A kill in between acting and
/// saying so: not repeated.
#[tokio::test]
async fn after_a_kill_nothing_is_lost_or_done_twice() {
    let bench = Bench::new();
    bench.told_in(GROUP).await;
    let store = &bench.router.store;
    let mut order = text(GROUP, "2", "/restart api");
    order.delivery = "o".into();
    let mut yes = press(GROUP, "2", &format!("a:{TICKET}"));
    yes.delivery = "p".into();
    store.take(&order).await.unwrap();
    store.take(&yes).await.unwrap();
    for (incoming, stage) in store.unanswered().await.unwrap() {
        assert_eq!(stage, Stage::Taken);
        bench
            .router
            .handle(bench.screen.as_ref(), &incoming, Some(stage))
            .await;
    }
    assert_eq!(bench.desk.done().len(), 2);
    assert_eq!(bench.hears(order.clone()).await, Taken::Again);

    // Begun and not decided: it is decided now. Begun and decided: not again.
    for (delivery, decided) in [("r", false), ("s", true)] {
        if !decided {
            let mut question = bench.desk.question.lock().unwrap();
            (question.state, question.decided_by) = (Answered::Open, None);
        }
        yes.delivery = delivery.into();
        store.take(&yes).await.unwrap();
        assert!(store.advance(&yes, Stage::Begun).await.unwrap());
        for (incoming, stage) in store.unanswered().await.unwrap() {
            let screen = bench.screen.as_ref();
            bench.router.handle(screen, &incoming, Some(stage)).await;
        }
        assert_eq!(bench.desk.done().len(), 3);
    }
    order.delivery = "q".into();
    let mut deny = text(GROUP, "2", "/deny k3v9qa");
    deny.delivery = "t".into();
    for one in [&order, &deny] {
        store.take(one).await.unwrap();
        assert!(store.advance(one, Stage::Begun).await.unwrap());
    }
    for (incoming, stage) in store.unanswered().await.unwrap() {
        assert_eq!(stage, Stage::Begun);
        bench
            .router
            .handle(bench.screen.as_ref(), &incoming, Some(stage))
            .await;
    }
    assert_eq!(bench.desk.done().len(), 3);
    assert!(store.unanswered().await.unwrap().is_empty());
}

/// What a button carries is chosen by whoever presses it: a list is turned only where one stands.
#[tokio::test]
async fn no_press_overwrites_a_message() {
    let bench = Bench::new();
    bench.says("1", "/stop api").await;
    bench.presses("3", "o:status page 0").await;
    assert_eq!(bench.screen.titles()[0], "Really /stop api?");
    assert_eq!(bench.screen.titles().len(), 2);
    bench.presses("3", "o:status page 0").await;
    assert_eq!(bench.screen.titles().len(), 2, "turned in place");
}

/// Words that were written before a question was put do not answer it.
#[tokio::test]
async fn an_earlier_yes_is_not_about_a_later_question() {
    let bench = Bench::new();
    bench.says("1", "/stop api").await;
    for words in ["yes", "/confirm"] {
        let mut early = text(GROUP, "1", words);
        early.at -= Duration::from_secs(20);
        bench.hears(early).await;
        assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Stale), "{words}");
    }
    assert!(bench.desk.done().is_empty());
    bench.says("1", "yes").await;
    assert_eq!(bench.desk.done().len(), 1);
}

/// A list of questions loses its buttons when they are answered elsewhere.
#[tokio::test]
async fn copies_of_a_question_come_to_their_end() {
    let bench = Bench::new();
    let screens: [Arc<dyn Channel>; 1] = [bench.screen.clone()];
    bench.told_in("telegram:-200").await;
    bench.says("2", "/approvals").await;
    assert!(!bench.screen.last().buttons.is_empty());
    bench.router.close_copies(&screens).await;
    assert!(!bench.screen.last().buttons.is_empty());
    bench.desk.question.lock().unwrap().state = Answered::No;
    bench.router.close_copies(&screens).await;
    assert!(bench.screen.last().buttons.is_empty());
    assert!(bench.router.store.copies().await.unwrap().is_empty());
}

/// One person who asks much delays no decision of others.
#[tokio::test]
async fn a_crowd_does_not_keep_an_admin_from_deciding() {
    let bench = Bench::new();
    bench.told_in(GROUP).await;
    // The chat has had its sixty commands of this minute.
    for _ in 0..80 {
        bench.says("3", "/version").await;
    }
    assert!(bench.desk.verdicts().contains(&Verdict::TooFast));
    bench.presses("1", &format!("a:{TICKET}")).await;
    assert_eq!(bench.desk.done(), ["decide k3v9qa true by chat:telegram:1"]);
}

/// A yes to "are you sure?" that was received before a kill: done once, wherever it was cut off
/// before the deed, and not again after it.
#[tokio::test]
async fn a_confirmation_survives_a_kill() {
    for begun in [false, true] {
        let bench = Bench::new();
        let store = &bench.router.store;
        bench.says("1", "/stop api").await;
        let mut yes = press(GROUP, "1", &bench.screen.button("Confirm"));
        yes.delivery = "c".into();
        store.take(&yes).await.unwrap();
        if begun {
            assert!(store.advance(&yes, Stage::Begun).await.unwrap());
        }
        // Another daemon, which knows only what is stored.
        let router = Router::new(
            bench.desk.clone(),
            store.clone(),
            Clock::system(),
            Pace::default(),
        );
        router.reconfigure(settings());
        for (incoming, stage) in store.unanswered().await.unwrap() {
            router
                .handle(bench.screen.as_ref(), &incoming, Some(stage))
                .await;
        }
        assert_eq!(bench.desk.done(), ["process.stop api by chat:telegram:1"]);
        // And cut off after the deed.
        yes.delivery = "d".into();
        store.take(&yes).await.unwrap();
        store.advance(&yes, Stage::Begun).await.unwrap();
        for (incoming, stage) in store.unanswered().await.unwrap() {
            router
                .handle(bench.screen.as_ref(), &incoming, Some(stage))
                .await;
        }
        assert_eq!(bench.desk.done().len(), 1);
        assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Stale));
    }
}

/// Questions are answered where they are listed, and a press is acknowledged before the deed.
#[tokio::test]
async fn a_list_of_questions_has_buttons() {
    let bench = Bench::new();
    bench.says("2", "/approvals").await;
    bench
        .presses("2", &bench.screen.button("Approve k3v9qa"))
        .await;
    assert_eq!(bench.desk.done(), ["decide k3v9qa true by chat:telegram:2"]);
    bench.presses("2", "o:restart api").await;
    assert_eq!(bench.screen.noted().last().unwrap(), "");
}

#[tokio::test]
async fn a_name_is_completed_only_to_read() {
    let bench = Bench::new();
    bench.says("3", "/status wor").await;
    assert_eq!(bench.desk.verdicts().pop(), Some(Verdict::Done));
    bench.says("2", "/restart wor").await;
    assert!(bench.desk.done().is_empty());
    // The near name stands on a button that does the same.
    assert_eq!(bench.screen.button("api"), "o:restart api");
}

#[tokio::test(start_paused = true)]
async fn silence_is_not_consent() {
    let bench = Bench::new();
    bench.says("1", "/stop api").await;
    let confirm = bench.screen.button("Confirm");
    tokio::time::advance(Duration::from_secs(31)).await;
    bench.presses("1", &confirm).await;
    assert!(bench.desk.done().is_empty());
    // The question does not stand there as if it could still be answered.
    assert_eq!(
        bench.screen.last().title,
        "Not done, nobody confirmed: /stop api"
    );
    assert!(bench.screen.last().buttons.is_empty());
    let late = after(bench.router.now(), Duration::ZERO);
    let left = bench.router.confirmations.expired(late).await.unwrap();
    assert!(left.is_empty());
    // And one that nobody presses loses its buttons by itself.
    bench.says("1", "/stop web").await;
    tokio::time::advance(Duration::from_secs(45)).await;
    let screen = bench.screen.clone();
    bench.router.close_expired(&[screen]).await;
    assert_eq!(
        bench.screen.last().title,
        "Not done, nobody confirmed: /stop web"
    );
    assert!(bench.desk.done().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written or pressed by people without a right to it, 2,560 times: nothing is
    /// done, and each attempt is on record.
    #[test]
    fn nobody_talks_their_way_in(
        attempts in proptest::collection::vec(attempt(), 40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            let mut count = 0;
            for incoming in attempts {
                bench.hears(incoming).await;
                count += 1;
            }
            assert_eq!(bench.desk.done(), Vec::<String>::new());
            assert_eq!(bench.desk.verdicts().len(), count);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Presses of those who may, that are none of theirs to make: of another plan, another
    /// question, another person's or an answered one, of another chat, moved, or made up. 2,560
    /// of them: nothing is done, and each is on record.
    #[test]
    fn no_button_does_what_it_did_not_say(
        attempts in proptest::collection::vec(misuse(), 40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            // In the group the question was put and has been decided; in another chat it was not.
            bench.told_in(GROUP).await;
            bench.presses("2", &format!("d:{TICKET}")).await;
            // Somebody else's, and one's own that was cancelled.
            bench.says("2", "/scale api 0").await;
            let others = bench.screen.button("Confirm");
            bench.says("1", "/stop web").await;
            let mine = bench.screen.button("Confirm");
            bench.says("1", "/cancel").await;
            let before = (bench.desk.done(), bench.desk.verdicts().len());
            let mut count = 0;
            for (who, place, kind, made_up, moved) in attempts {
                let payload = match kind {
                    0 => format!("a:{TICKET}"),
                    1 => format!("d:{TICKET}"),
                    2 => format!("z:{TICKET}"),
                    3 => "a:k3v9qa:ffffffffffffffff".into(),
                    4 => "a:zzzzzz:0f3a9c2d51e7b864".into(),
                    5 => others.clone(),
                    6 => mine.clone(),
                    7 => made_up,
                    _ => "o:restart api".into(),
                };
                let mut incoming = press(place, who, &payload);
                // An honest press of Restart is the only one here that may do something.
                incoming.origin.forwarded = moved || kind > 7;
                bench.hears(incoming).await;
                count += 1;
            }
            assert_eq!(bench.desk.done(), before.0);
            assert_eq!(bench.desk.verdicts().len(), before.1 + count);
        });
    }
}

/// Who, where, what kind of press, a payload that is made up, and whether it was forwarded.
fn misuse() -> impl Strategy<Value = (&'static str, &'static str, u8, String, bool)> {
    let made_up = prop_oneof![
        "[adizcx]:[a-z0-9]{1,12}(:[a-z0-9]{1,20})?",
        "\\PC{0,80}",
        "[a-z:]{65,200}"
    ];
    let who = Just("1");
    (
        who,
        prop_oneof![Just(GROUP), Just("telegram:-200")],
        0..9u8,
        made_up,
        any::<bool>(),
    )
}

/// Something that would change a process, by somebody or in a way that may not.
fn attempt() -> impl Strategy<Value = Incoming> {
    let words = prop_oneof![
        Just("/restart api".to_owned()),
        Just("/stop api".to_owned()),
        Just("/delete all".to_owned()),
        Just("/scale api 0".to_owned()),
        Just("/approve k3v9qa".to_owned()),
        Just("/confirm".to_owned()),
        Just("/pause".to_owned()),
        "/(restart|stop|approve) [a-z0-9 /;|&$`.*-]{0,20}",
        "/re\u{200b}start api",
        "/[rг][eе]start api",
    ];
    let payload = prop_oneof![
        Just(format!("a:{TICKET}")),
        Just("o:restart api".to_owned()),
        Just("o:delete all".to_owned()),
        Just("c:000000000000".to_owned()),
        "[a-z]:[a-z0-9:]{0,40}",
        "\\PC{0,80}",
    ];
    let what = prop_oneof![
        words.prop_map(|words| text(GROUP, "9", &words)),
        payload.prop_map(|payload| press(GROUP, "9", &payload)),
    ];
    (what, 0..7u8).prop_map(|(mut incoming, how)| {
        match how {
            // Not listed; looks like an admin.
            0 => incoming.sender.name = "1".into(),
            // A viewer, a blocked admin.
            1 => incoming.sender.id = "3".into(),
            2 => incoming.sender.id = "4".into(),
            // An admin, in a way that does not count.
            3 => {
                incoming.sender.id = "1".into();
                incoming.place.chat = "-200".into();
            }
            4 => {
                incoming.sender.id = "1".into();
                incoming.origin.anonymous = true;
            }
            5 => {
                incoming.sender.id = "1".into();
                incoming.origin.forwarded = true;
            }
            _ => {
                incoming.sender.id = "1".into();
                incoming.origin.edited = true;
            }
        }
        incoming
    })
}
