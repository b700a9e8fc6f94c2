//! What every adapter must do, whatever the platform.
//!
//! [`conforms`] drives a [`Channel`] as the daemon does, while a [`Counterpart`] plays the
//! platform and the person in front of it: it writes and presses as a user, and says what that
//! user sees. This suite is the contract of `Channel`; what only one platform has is tested
//! beside it.

#![allow(dead_code, reason = "each adapter's tests use a part of it")]

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chat::{
    Block, Button, Card, Channel, ChatError, Document, Incoming, MenuEntry, MessageRef, Note,
    Place, Press, Style, Tone, What,
};

/// A platform, and somebody who uses it in a chat with the bot.
#[async_trait]
pub(crate) trait Counterpart: Send + Sync {
    /// The chat, private or with the bot addressed by whatever is written.
    fn place(&self) -> Place;

    /// The user's id.
    fn user(&self) -> String;

    /// A chat that the bot was put out of, or that is no more.
    fn gone(&self) -> Place;

    /// The user writes.
    async fn write(&self, text: &str);

    /// The user presses what carries this, under this message.
    async fn press(&self, message: &MessageRef, payload: &str);

    /// The messages of the bot in the chat, oldest first, as the user sees them.
    async fn shown(&self) -> Vec<Shown>;

    /// What only the user saw, oldest first.
    async fn answers(&self) -> Vec<String>;

    /// Somebody deletes a message of the bot.
    async fn remove(&self, message: &MessageRef);

    /// The commands that are listed. `None` when the counterpart has no such list.
    async fn menu(&self) -> Option<Vec<String>>;

    /// The platform delivers again what it was not told is taken. Those that do so by
    /// themselves have nothing to do; `false` when this counterpart cannot.
    async fn redeliver(&self) -> bool {
        true
    }

    /// Does the counterpart take files?
    fn has_files(&self) -> bool {
        true
    }
}

/// A message as a user sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its id.
    pub(crate) id: String,
    /// All its text, without markup and without letters that nobody sees.
    pub(crate) text: String,
    /// Labels of its buttons and what they carry.
    pub(crate) buttons: Vec<(String, String)>,
    /// Files, by name and content, that came with it or as a reply to it.
    pub(crate) files: Vec<(String, String)>,
    /// What the platform would make of its plain text: mentions, links, formatting. Whatever
    /// the adapter wrote as markup of its own is none of it.
    pub(crate) live: Vec<String>,
}

/// Texts that should do nothing on any platform.
const HOSTILE: [&str; 12] = [
    "</pre><b>bold</b> & &lt;x&gt; harmless",
    "@everyone @here @ana harmless",
    "<!channel> <@U0123> <@123456> <@&77> <#C0123> harmless",
    "[click](http://evil.example/?a=1&b=2) harmless",
    "http://evil.example tg://user?id=1 www.evil.example harmless",
    "<http://evil.example|click> <https://evil.example> harmless",
    "```\nrm -rf\n``` `x` harmless",
    "*bold* _italic_ ~gone~ ||hidden|| > quote\n# head harmless",
    "\u{202e}desrever\u{202c} \u{0}\u{7}\u{1b}[31m harmless",
    "mail ana@evil.example harmless",
    ":smile: \\*no\\* \\` harmless",
    "</i></b><a href=\"tg://user?id=1\">x</a> harmless",
];

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Drives the channel through everything.
pub(crate) async fn conforms(channel: &dyn Channel, other: &dyn Counterpart) {
    let me = within("connect", channel.connect()).await.unwrap();
    assert!(!me.id.is_empty() && !me.name.is_empty(), "{me:?}");
    assert_eq!(other.place().platform, channel.platform());
    lists_its_commands(channel, other).await;
    hears_until_it_is_taken(channel, other).await;
    let first = shows_and_changes(channel, other).await;
    carries_presses(channel, other).await;
    cuts_what_is_too_long(channel, other).await;
    makes_nothing_of_hostile_texts(channel, other).await;
    sends_files(channel, other).await;
    says_what_is_gone(channel, other, &first).await;
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} takes too long"),
    }
}

async fn lists_its_commands(channel: &dyn Channel, other: &dyn Counterpart) {
    let entry = |name, arguments, about| MenuEntry {
        name,
        arguments,
        about,
    };
    let entries = [
        entry("status", "[app]", "how all are, or one"),
        entry("restart", "<app>", "restart one"),
        entry("help", "", "what you may do"),
    ];
    let Some(before) = other.menu().await else {
        return;
    };
    within("menu", channel.menu(&entries)).await.unwrap();
    let after = other.menu().await.unwrap_or_default();
    assert!(
        entries
            .iter()
            .all(|one| after.contains(&one.name.to_owned())),
        "{before:?} became {after:?}"
    );
}

async fn heard(channel: &dyn Channel) -> Incoming {
    within("receive", channel.receive()).await.unwrap()
}

fn text_of(incoming: &Incoming) -> &str {
    match &incoming.what {
        What::Text { text, .. } => text,
        What::Press { payload, .. } => panic!("a press of {payload}"),
    }
}

async fn hears_until_it_is_taken(channel: &dyn Channel, other: &dyn Counterpart) {
    other.write("/status api").await;
    let first = heard(channel).await;
    assert_eq!(text_of(&first), "/status api");
    assert_eq!(first.sender.id, other.user());
    assert_eq!(first.place, other.place());
    assert_eq!(first.message().place, first.place);
    let origin = first.origin;
    assert!(origin.private || origin.addressed, "{origin:?}");
    assert!(!origin.bot && !origin.forwarded && !origin.edited && !origin.anonymous);
    if other.redeliver().await {
        let again = heard(channel).await;
        assert_eq!(
            again.delivery, first.delivery,
            "not taken, so it comes again"
        );
        assert_eq!(again.what, first.what);
    }
    channel.taken(&first).await.unwrap();
    let mut seen = BTreeSet::from([first.delivery]);

    other.write("/logs api 20").await;
    other.write("/health").await;
    let (second, third) = (heard(channel).await, heard(channel).await);
    assert_eq!(text_of(&second), "/logs api 20");
    assert_eq!(text_of(&third), "/health");
    channel.taken(&third).await.unwrap();
    if other.redeliver().await {
        let again = heard(channel).await;
        assert_eq!(
            again.delivery, second.delivery,
            "the later one was taken, not this"
        );
    }
    channel.taken(&second).await.unwrap();
    for one in [second, third] {
        assert!(seen.insert(one.delivery), "each has its own id");
    }

    other.redeliver().await;
    other.write("and nothing else").await;
    let last = heard(channel).await;
    assert_eq!(text_of(&last), "and nothing else");
    assert!(seen.insert(last.delivery.clone()), "what was taken is over");
    channel.taken(&last).await.unwrap();
}

/// The message of this id, as it is seen now.
async fn seen(other: &dyn Counterpart, message: &MessageRef) -> Shown {
    let shown = other.shown().await;
    let found = shown.iter().find(|one| one.id == message.id);
    found
        .cloned()
        .unwrap_or_else(|| panic!("{message:?} is not in {shown:#?}"))
}

fn order(label: &str, order: &str) -> Button {
    Button::new(label, Press::Order(order.to_owned()))
}

async fn shows_and_changes(channel: &dyn Channel, other: &dyn Counterpart) -> MessageRef {
    let card = Card::titled(Tone::Critical, "api crashed")
        .text("It ended with code 1, the third time in a minute.")
        .block(Block::Fields(vec![
            ("uptime".into(), "3 s".into()),
            ("restarts".into(), "3".into()),
        ]))
        .block(Block::Steps(vec!["restart api".into(), "watch it".into()]))
        .block(Block::Code("panic at main.rs:3\n  | column".into()))
        .row(vec![
            order("Restart", "restart api"),
            order("Logs", "logs api"),
        ])
        .footer("host web-1");
    let message = within("send", channel.send(&other.place(), &card))
        .await
        .unwrap();
    assert_eq!(message.place, other.place());
    let shown = seen(other, &message).await;
    for words in [
        "api crashed",
        "It ended with code 1",
        "uptime",
        "3 s",
        "restart api",
        "watch it",
        "panic at main.rs:3\n  | column",
        "host web-1",
    ] {
        assert!(
            shown.text.contains(words),
            "{words} is not in {}",
            shown.text
        );
    }
    let labels: Vec<&str> = shown.buttons.iter().map(|(label, _)| &**label).collect();
    assert_eq!(labels, ["Restart", "Logs"]);

    let settled = Card::titled(Tone::Good, "api runs again")
        .text("approved by ana")
        .row(vec![order("Status", "status api")]);
    for _ in 0..2 {
        // The second time it looks like that already, which is no error.
        within("edit", channel.edit(&message, &settled))
            .await
            .unwrap();
    }
    let shown = seen(other, &message).await;
    assert!(shown.text.contains("api runs again") && !shown.text.contains("crashed"));
    assert_eq!(shown.buttons.len(), 1);
    within("edit", channel.edit(&message, &settled.settled()))
        .await
        .unwrap();
    assert_eq!(seen(other, &message).await.buttons, [], "buttons can go");
    message
}

async fn carries_presses(channel: &dyn Channel, other: &dyn Counterpart) {
    let presses = [
        Press::Confirm("9fk2".into()),
        Press::Cancel("9fk2".into()),
        Press::Order("scale api +1".into()),
    ];
    let [confirm, cancel, more] = presses.clone();
    let card = Card::titled(Tone::Warning, "stop api?").row(vec![
        Button::new("Confirm", confirm).styled(Style::Danger),
        Button::new("Cancel", cancel).styled(Style::Primary),
        Button::new("More", more),
    ]);
    let message = within("send", channel.send(&other.place(), &card))
        .await
        .unwrap();
    let shown = seen(other, &message).await;
    assert_eq!(shown.buttons.len(), 3);
    for ((label, payload), expected) in shown.buttons.iter().zip(presses) {
        other.press(&message, payload).await;
        let incoming = heard(channel).await;
        let What::Press {
            message: under,
            payload,
        } = &incoming.what
        else {
            panic!("{label} is no press: {incoming:?}");
        };
        assert_eq!(payload.parse::<Press>().as_ref(), Ok(&expected), "{label}");
        assert_eq!(*under, message);
        assert_eq!(incoming.sender.id, other.user());
        assert!(!incoming.origin.forwarded && !incoming.origin.bot);
        channel.taken(&incoming).await.unwrap();
        let said = format!("{label}: done");
        let note = Note::passing(said.clone());
        within("answer", channel.answer(&incoming, &note))
            .await
            .unwrap();
        let answers = other.answers().await;
        assert_eq!(answers.last(), Some(&said), "{answers:?}");
    }
    // What nobody here has made arrives as it is; the router judges it.
    other.press(&message, "a:<b>:").await;
    let forged = heard(channel).await;
    assert!(matches!(&forged.what, What::Press { payload, .. } if payload == "a:<b>:"));
    channel.taken(&forged).await.unwrap();
    let long = Note::alert("x".repeat(500));
    within("answer", channel.answer(&forged, &long))
        .await
        .unwrap();
}

async fn cuts_what_is_too_long(channel: &dyn Channel, other: &dyn Counterpart) {
    let line = "<api> 12:00:01 & still waiting for the database, try 17\n";
    let card = Card::titled(Tone::Plain, "x".repeat(3_000))
        .text("y".repeat(3_000))
        .block(Block::Code(line.repeat(400)))
        .block(Block::Fields(vec![("z".repeat(500), "z".repeat(5_000))]))
        .footer("asked by ana")
        .row(vec![order("More", "logs api 50")]);
    let message = within("send", channel.send(&other.place(), &card))
        .await
        .unwrap();
    let shown = seen(other, &message).await;
    assert!(shown.text.contains('…'), "there is a sign that it was cut");
    assert!(
        shown.text.trim_end().ends_with("asked by ana"),
        "{}",
        shown.text
    );
    assert_eq!(shown.buttons.len(), 1);
    let code = Card::titled(Tone::Plain, "Logs").block(Block::Code(line.repeat(400)));
    within("edit", channel.edit(&message, &code)).await.unwrap();
    let shown = seen(other, &message).await;
    assert!(shown.text.contains(line.trim_end()) && shown.text.contains('…'));
}

async fn makes_nothing_of_hostile_texts(channel: &dyn Channel, other: &dyn Counterpart) {
    let all = || HOSTILE.iter().map(|text| (*text).to_owned());
    let pairs = || all().zip(all()).collect();
    let mut cards = vec![
        Card::titled(Tone::Plain, "fields").block(Block::Fields(pairs())),
        Card::titled(Tone::Plain, "steps").block(Block::Steps(all().collect())),
        Card::titled(Tone::Plain, "code").block(Block::Code(all().collect::<Vec<_>>().join("\n"))),
        Card::titled(Tone::Plain, "text").text(all().collect::<Vec<_>>().join("\n")),
    ];
    // Three at a time, since platforms ask for a second between two edits.
    cards.extend(HOSTILE.chunks(3).map(|texts| {
        let buttons = texts.iter().map(|text| order(text, "status api"));
        Card::titled(Tone::Info, texts.join(" "))
            .footer(texts.join(" "))
            .row(buttons.collect())
    }));
    let first = Card::titled(Tone::Plain, "begin");
    let message = within("send", channel.send(&other.place(), &first))
        .await
        .unwrap();
    for card in cards {
        within("edit", channel.edit(&message, &card)).await.unwrap();
        let shown = seen(other, &message).await;
        assert_eq!(shown.live, [""; 0], "{}", shown.text);
        assert!(shown.text.contains("harmless"), "{}", shown.text);
    }
}

async fn sends_files(channel: &dyn Channel, other: &dyn Counterpart) {
    if !other.has_files() {
        return;
    }
    let text = "12:00:01 <b>line</b> & ä 👩‍🔧\n".repeat(2_000);
    let card = Card {
        file: Some(Document {
            name: "api.log".into(),
            text: text.clone(),
        }),
        ..Card::titled(Tone::Plain, "Logs of api")
    };
    let message = within("send", channel.send(&other.place(), &card))
        .await
        .unwrap();
    let shown = seen(other, &message).await;
    assert_eq!(shown.files.len(), 1);
    assert_eq!(shown.files[0].0, "api.log");
    assert!(shown.files[0].1 == text, "the file is whole");
}

async fn says_what_is_gone(channel: &dyn Channel, other: &dyn Counterpart, message: &MessageRef) {
    other.remove(message).await;
    let card = Card::titled(Tone::Plain, "too late");
    let edited = within("edit", channel.edit(message, &card)).await;
    assert!(matches!(edited, Err(ChatError::Gone(_))), "{edited:?}");
    let sent = within("send", channel.send(&other.gone(), &card)).await;
    assert!(matches!(sent, Err(ChatError::Gone(_))), "{sent:?}");
    // And all others are as before.
    within("send", channel.send(&other.place(), &card))
        .await
        .unwrap();
}
