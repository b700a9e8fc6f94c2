//! A Web API that says no, says nonsense, or says nothing; and channels that are not there.

use std::time::Duration;

use chat::slack::{Settings, Slack};
use chat::{Card, Channel, ChatError, Document, MessageRef, Note, Place, Tone};
use serde_json::json;

use crate::ana::{ANA, PRIVATE};
use crate::platform::{APP_TOKEN, ARCHIVED, BOT_TOKEN, OPS, Platform, Said};
use crate::{bot, settings};

fn place(chat: &str) -> Place {
    Place::chat(chat::Platform::Slack, chat)
}

fn card() -> Card {
    Card::titled(Tone::Plain, "hello")
}

fn status(status: u16, body: &str) -> Said {
    Said {
        status,
        body: body.to_owned(),
        retry_after: None,
    }
}

#[tokio::test]
async fn a_wrong_token_is_told_as_one_and_never_shown() {
    let platform = Platform::start().await;
    let wrong = Slack::new(&Settings {
        bot_token: "xoxb-wrong-secret".into(),
        ..settings(&platform)
    })
    .unwrap();
    let error = wrong.connect().await.unwrap_err();
    assert_eq!(error, ChatError::Unauthorised("invalid_auth".into()));
    let wrong = Slack::new(&Settings {
        app_token: Some("xapp-wrong-secret".into()),
        ..settings(&platform)
    })
    .unwrap();
    let error = wrong.connect().await.unwrap_err();
    assert_eq!(error, ChatError::Unauthorised("invalid_auth".into()));
    assert!(!format!("{wrong:?}").contains("secret"));
    let bot = bot(&platform).await;
    let echo = format!("no {BOT_TOKEN} and no {APP_TOKEN}\n");
    platform.say("chat.postMessage", [Said::error(&echo)]);
    let error = bot
        .send(&place(OPS), &card())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("***") && !error.contains("secret"),
        "{error}"
    );
    platform.say("chat.postMessage", [Said::error("token_revoked")]);
    let error = bot.send(&place(OPS), &card()).await.unwrap_err();
    assert_eq!(error, ChatError::Unauthorised("token_revoked".into()));
    // A person's own token would post in their name.
    let person = json!({ "ok": true, "user_id": ANA, "team_id": "T0ACME" });
    platform.say("auth.test", [status(200, &person.to_string())]);
    let error = bot.connect().await.unwrap_err();
    assert!(matches!(error, ChatError::Unauthorised(_)), "{error:?}");
}

#[tokio::test]
async fn a_wait_is_obeyed_without_asking_again() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    let slow = Said {
        retry_after: Some(30),
        ..status(429, r#"{"ok":false,"error":"ratelimited"}"#)
    };
    platform.say("chat.postMessage", [slow.clone()]);
    let after = Duration::from_secs(30);
    let error = bot.send(&place(OPS), &card()).await.unwrap_err();
    assert_eq!(error, ChatError::TooFast { after });
    let error = bot.send(&place(OPS), &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::TooFast { after: left } if left <= after));
    let message = bot.send(&place(ANA), &card()).await;
    let message = message.expect("others need not wait");
    assert_eq!(platform.of("chat.postMessage").len(), 1);
    platform.say("chat.update", [slow]);
    for _ in 0..2 {
        let error = bot.edit(&message, &card()).await.unwrap_err();
        assert!(matches!(error, ChatError::TooFast { .. }), "{error:?}");
    }
    assert_eq!(platform.of("chat.update").len(), 0);
}

#[tokio::test]
async fn a_server_in_trouble_is_unavailable_and_the_next_call_goes_on() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    let trouble = [
        status(502, "<html>Bad Gateway</html>"),
        status(200, "<html>Wifi login</html>"),
        status(200, "[1, 2"),
        status(200, r#"{"ok":true}"#),
        status(500, r#"{"ok":false,"error":"fatal_error"}"#),
        Said::error("internal_error"),
        status(302, ""),
        status(200, &"x".repeat(5 << 20)),
    ];
    let count = trouble.len();
    platform.say("auth.test", trouble);
    for number in 0..count {
        let error = bot.connect().await.unwrap_err();
        assert!(
            matches!(error, ChatError::Unavailable(_)),
            "{number}: {error:?}"
        );
    }
    bot.connect().await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let platform = Platform::start().await;
    let bot = Slack::new(&settings(&platform)).unwrap();
    drop(platform);
    let error = bot.connect().await.unwrap_err();
    assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn places_where_nothing_can_be_written_are_gone() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    for chat in [ARCHIVED, "C0ELSEWHERE"] {
        let error = bot.send(&place(chat), &card()).await.unwrap_err();
        assert!(matches!(error, ChatError::Gone(_)), "{chat}: {error:?}");
    }
    for chat in ["#general", "../x", "", "c0ops", PRIVATE] {
        let error = bot.send(&place(chat), &card()).await.unwrap_err();
        assert!(matches!(error, ChatError::Refused(_)), "{chat}: {error:?}");
    }
    let nobody = bot.send(&place("W0NOBODY"), &card()).await.unwrap_err();
    assert_eq!(nobody, ChatError::Gone("user_not_found".into()));
    let scope = json!({ "ok": false, "error": "missing_scope", "needed": "chat:write" });
    platform.say("chat.postMessage", [status(200, &scope.to_string())]);
    let error = bot
        .send(&place(OPS), &card())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("add the scope chat:write"), "{error}");
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn a_user_is_written_to_in_private() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    // Whoever is of another workspace has it before their id.
    for user in [ANA, "T0OTHER-U0ANA"] {
        let message = bot.send(&place(user), &card()).await.unwrap();
        assert_eq!(message.place.chat, user, "it is found again under that");
        bot.edit(&message, &Card::titled(Tone::Good, "changed"))
            .await
            .unwrap();
        assert_eq!(platform.last(PRIVATE).unwrap().text, "🟢 changed");
    }
    assert_eq!(platform.of("conversations.open").len(), 1, "once");
    // A question to an admin and its press are in the same place.
    platform.presses(&platform.last(PRIVATE).unwrap(), ANA, "c:x");
    assert_eq!(bot.receive().await.unwrap().place, place(ANA));
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn threads_stay_threads() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    let thread = json!({ "thread_ts": "1600000000.000001" });
    platform.writes(OPS, ANA, "<@U0BOT> logs api", thread);
    let incoming = bot.receive().await.unwrap();
    bot.taken(&incoming).await.unwrap();
    let message = bot.send(&incoming.place, &card()).await.unwrap();
    let shown = platform.last(OPS).unwrap();
    assert_eq!(shown.thread.as_deref(), Some("1600000000.000001"));
    platform.presses(&shown, ANA, "o:status");
    let pressed = bot.receive().await.unwrap();
    assert_eq!(*pressed.message(), message);
    let told = bot
        .answer(&incoming, &Note::alert("<only> you & @ana"))
        .await;
    assert_eq!(told, Ok(()));
    assert_eq!(
        platform.whispers(),
        [(ANA.into(), "<only> you & @ana".into())]
    );
    let whisper = &platform.of("chat.postEphemeral")[0];
    assert_eq!(whisper.fields["thread_ts"], "1600000000.000001");
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn an_answer_finds_another_way_when_its_address_is_used_up() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    platform.types(OPS, ANA, "status");
    let incoming = bot.receive().await.unwrap();
    bot.taken(&incoming).await.unwrap();
    for number in 1..=6 {
        let note = Note::passing(format!("answer {number}"));
        bot.answer(&incoming, &note).await.unwrap();
    }
    let answers: Vec<String> = platform.whispers().into_iter().map(|one| one.1).collect();
    assert_eq!(answers.len(), 6, "{answers:?}");
    assert_eq!(platform.of("chat.postEphemeral").len(), 1);
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn whoever_asks_where_the_bot_is_not_is_told() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    platform.types("C0ELSEWHERE", ANA, "status");
    let incoming = bot.receive().await.unwrap();
    bot.taken(&incoming).await.unwrap();
    for _ in 0..2 {
        let error = bot.send(&incoming.place, &card()).await.unwrap_err();
        assert!(matches!(error, ChatError::Gone(_)), "{error:?}");
    }
    let [(who, said)] = &platform.whispers()[..] else {
        panic!("once: {:?}", platform.whispers());
    };
    assert!(who == ANA && said.contains("/invite"), "{said}");
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn a_file_that_fails_leaves_no_message_behind() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    let file = Document {
        name: "a.log".into(),
        text: "x".into(),
    };
    let card = Card {
        file: Some(file),
        ..card()
    };
    platform.say(
        "files.completeUploadExternal",
        [Said::error("file_not_found")],
    );
    let error = bot.send(&place(OPS), &card).await.unwrap_err();
    assert!(matches!(error, ChatError::Gone(_)), "{error:?}");
    let asked: Vec<String> = platform.calls().into_iter().map(|one| one.method).collect();
    let [.., before, last] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(
        (&**before, &**last),
        ("files.getUploadURLExternal", "chat.delete")
    );
    let elsewhere = json!({ "ok": true, "file_id": "F1", "upload_url": "https://evil.example/" });
    platform.say(
        "files.getUploadURLExternal",
        [status(200, &elsewhere.to_string())],
    );
    let error = bot.send(&place(ANA), &card).await.unwrap_err().to_string();
    assert!(error.contains("is not at Slack"), "{error}");
    let gone = MessageRef {
        place: place(OPS),
        id: "1.0".into(),
    };
    let error = bot.edit(&gone, &card).await.unwrap_err();
    assert!(matches!(error, ChatError::Gone(_)), "{error:?}");
}
