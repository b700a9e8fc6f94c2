//! An incident's message in its five states, as each platform is sent it.
//!
//! They are kept in `docs/cards/cards.json`, of which `docs/cards/draw.py` makes the pictures of
//! `docs/chat.md`. `UPDATE=1 cargo test -p chat gallery` writes it anew.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::{Role, after};

use crate::desk::{Answered, Question};
use crate::thread::{Incident, Phase};
use crate::{Card, Ticket, show};

/// A leak, from its first sign to its end; and the same where the cure did not help.
fn states() -> Vec<(&'static str, Card)> {
    let opened: Timestamp = "2026-11-02T14:31:07Z".parse().expect("a time");
    let at = |seconds| after(opened, Duration::from_secs(seconds));
    let seen = Incident {
        id: "inc-41".into(),
        process: "api".into(),
        title: "memory grows without end: 212 MB to 498 MB in 6 m".into(),
        phase: Phase::Seen,
        cause: None,
        evidence: Vec::new(),
        question: None,
        actions: Vec::new(),
        leave: None,
        outcome: None,
        victims: Vec::new(),
        opened,
        closed: None,
    };
    let question = Question {
        votes: None,
        grantable: true,
        ticket: Ticket {
            id: "k3v9qa".into(),
            nonce: "0f3a9c2d51e7b864".into(),
        },
        process: "api".into(),
        incident: "inc-41".into(),
        cause: "it leaks".into(),
        steps: vec!["restart api".into()],
        risk: "low".into(),
        by: "memory-leak".into(),
        needed: Role::Operator,
        asked: at(12),
        expires: at(612),
        state: Answered::Open,
        decided_by: None,
        decided_at: None,
        outcome: None,
    };
    let asked = Incident {
        phase: Phase::Asked,
        cause: Some("it leaks 48 MB a minute; the limit of 512 MB is 18 s away".into()),
        evidence: vec![
            "rss 212 MB at 14:25, 355 MB at 14:28, 498 MB at 14:31".into(),
            "WARN cache holds 1,204,332 entries <user=ana&co>".into(),
        ],
        question: Some(question.clone()),
        ..seen.clone()
    };
    let yes = Question {
        state: Answered::Yes,
        decided_by: Some("telegram:42".into()),
        decided_at: Some(at(40)),
        ..question
    };
    let acting = Incident {
        phase: Phase::Acting,
        question: Some(yes),
        ..asked.clone()
    };
    let healed = Incident {
        phase: Phase::Healed,
        actions: vec![("restart".into(), "done: pid 18234".into())],
        outcome: Some("measured: it helped".into()),
        closed: Some(at(104)),
        ..acting.clone()
    };
    let handed = Incident {
        phase: Phase::Handed,
        actions: vec![("restart".into(), "done: pid 18234".into())],
        outcome: Some("measured: it did not help".into()),
        ..acting.clone()
    };
    [
        ("seen", seen),
        ("asked", asked),
        ("being mended", acting),
        ("well again", healed),
        ("needs a person", handed),
    ]
    .map(|(name, incident)| (name, show::incident(&incident, at(14))))
    .into()
}

/// What each platform is sent.
fn sent(card: &Card) -> Value {
    json!({
        "telegram": crate::telegram::drawn(card),
        "slack": crate::slack::drawn(card),
        "discord": crate::discord::drawn(card),
    })
}

#[test]
fn the_gallery_shows_what_is_sent() {
    let cards: Vec<Value> = states()
        .iter()
        .map(|(state, card)| json!({ "state": state, "sent": sent(card) }))
        .collect();
    let cards = serde_json::to_string_pretty(&cards).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cards/cards.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &cards).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, cards,
        "docs/cards/cards.json is old: UPDATE=1 cargo test -p chat gallery, then docs/cards/draw.py"
    );
}
