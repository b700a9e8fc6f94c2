//! A server that says no, says nonsense, or says nothing. It is one of ours: what Telegram
//! says in these cases is documented, and no server of others says it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use chat::{Card, Channel, ChatError, Document, MessageRef, Place, Platform, Tone};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{TOKEN, bot};

type Script = Arc<Mutex<(VecDeque<(u16, String)>, Vec<String>)>>;

/// Gives these answers, one after the other.
struct Faulty {
    url: String,
    script: Script,
    task: JoinHandle<()>,
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Faulty {
    async fn start(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let answers = answers
            .into_iter()
            .map(|(code, value)| (code, value.to_string()));
        Self::raw(answers).await
    }

    async fn raw(answers: impl IntoIterator<Item = (u16, String)>) -> Self {
        let script: Script = Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new())));
        let say = |State(script): State<Script>, uri: Uri| async move {
            let mut script = script.lock().unwrap();
            let method = uri.path().rsplit('/').next().unwrap().to_owned();
            script.1.push(method);
            let (code, text) = script.0.pop_front().expect("one more answer");
            (StatusCode::from_u16(code).unwrap(), text)
        };
        let router = Router::new().fallback(say).with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, script, task }
    }

    fn asked(&self) -> Vec<String> {
        self.script.lock().unwrap().1.clone()
    }
}

fn no(code: u16, text: &str) -> (u16, Value) {
    (
        code,
        json!({ "ok": false, "error_code": code, "description": text }),
    )
}

fn yes(result: Value) -> (u16, Value) {
    (200, json!({ "ok": true, "result": result }))
}

fn me() -> (u16, Value) {
    yes(json!({ "id": 42, "is_bot": true, "first_name": "mhost", "username": "mhost_bot" }))
}

fn ana() -> Place {
    Place::chat(Platform::Telegram, "77")
}

fn card() -> Card {
    Card::titled(Tone::Plain, "hello")
}

#[tokio::test]
async fn a_wrong_token_is_told_as_one_and_never_shown() {
    for (code, text) in [(401, "Unauthorized"), (404, "Not Found")] {
        let server = Faulty::start([no(code, text)]).await;
        let error = bot(&server.url).connect().await.unwrap_err();
        assert_eq!(error, ChatError::Unauthorised(text.into()));
    }
    let echo = format!("no bot at /bot{TOKEN}/getMe\n");
    let server = Faulty::start([no(400, &echo)]).await;
    let error = bot(&server.url).connect().await.unwrap_err().to_string();
    assert!(
        error.contains("***") && !error.contains("secret"),
        "{error}"
    );
    let printed = format!("{:?}", bot(&server.url));
    assert!(!printed.contains("secret"), "{printed}");
}

#[tokio::test]
async fn somebody_else_who_polls_is_a_conflict() {
    let text = "Conflict: terminated by other getUpdates request; \
                make sure that only one bot instance is running";
    let server = Faulty::start([me(), no(409, text)]).await;
    let error = bot(&server.url).receive().await.unwrap_err();
    assert_eq!(error, ChatError::Conflict(text.into()));
}

#[tokio::test]
async fn a_wait_is_obeyed_without_asking_again() {
    let slow = (
        429,
        json!({ "ok": false, "error_code": 429,
        "description": "Too Many Requests: retry after 30",
        "parameters": { "retry_after": 30 } }),
    );
    let server = Faulty::start([slow, yes(json!({ "message_id": 5 }))]).await;
    let bot = bot(&server.url);
    let after = Duration::from_secs(30);
    let error = bot.send(&ana(), &card()).await.unwrap_err();
    assert_eq!(error, ChatError::TooFast { after });
    let error = bot.send(&ana(), &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::TooFast { after: left } if left <= after));
    assert_eq!(server.asked(), ["sendMessage"]);
    let other = Place::chat(Platform::Telegram, "78");
    assert!(
        bot.send(&other, &card()).await.is_ok(),
        "others need not wait"
    );
}

#[tokio::test]
async fn a_server_in_trouble_is_unavailable_and_the_next_call_goes_on() {
    let update = json!([{ "update_id": 3, "message": { "message_id": 1, "date": 1,
        "from": { "id": 77, "first_name": "Ana" }, "chat": { "id": 77, "type": "private" },
        "text": "/status" } }]);
    let server = Faulty::raw([
        (502, "<html>Bad Gateway</html>".to_owned()),
        (200, "<html>Wifi login</html>".to_owned()),
        (200, "[1, 2".to_owned()),
        (200, json!({ "ok": true }).to_string()),
        (200, "x".repeat(17 << 20)),
        (200, me().1.to_string()),
        (500, no(500, "Internal Server Error").1.to_string()),
        (302, String::new()),
        (200, yes(update).1.to_string()),
    ])
    .await;
    let bot = bot(&server.url);
    for number in 0..7 {
        let error = bot.receive().await.unwrap_err();
        assert!(
            matches!(error, ChatError::Unavailable(_)),
            "{number}: {error:?}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(bot.receive().await.unwrap().delivery, "3");
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let server = Faulty::start([]).await;
    let url = server.url.clone();
    server.task.abort();
    drop(server);
    let bot = bot(&url);
    // The port may be open for a moment yet.
    let error = bot.connect().await.unwrap_err();
    assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_followed() {
    let moved = (
        400,
        json!({ "ok": false, "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": { "migrate_to_chat_id": -100_500 } }),
    );
    let sent = yes(json!({ "message_id": 5 }));
    let server = Faulty::start([moved, sent.clone(), sent]).await;
    let bot = bot(&server.url);
    let group = Place::chat(Platform::Telegram, "-500");
    let message = bot.send(&group, &card()).await.unwrap();
    assert_eq!(message.place.chat, "-100500");
    bot.send(&group, &card()).await.unwrap();
    assert_eq!(server.asked().len(), 3, "the second time it is known");
    // The same number in the supergroup is another message.
    let old = MessageRef {
        place: group,
        id: "5".into(),
    };
    let error = bot.edit(&old, &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::Gone(_)), "{error:?}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_file_that_fails_leaves_no_message_behind() {
    let server = Faulty::start([
        yes(json!({ "message_id": 5 })),
        no(413, "Request Entity Too Large"),
        yes(json!(true)),
    ])
    .await;
    let file = Document {
        name: "a.log".into(),
        text: "x".into(),
    };
    let card = Card {
        file: Some(file),
        ..card()
    };
    let error = bot(&server.url).send(&ana(), &card).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused(_)), "{error:?}");
    assert_eq!(
        server.asked(),
        ["sendMessage", "sendDocument", "deleteMessage"]
    );
}

#[tokio::test]
async fn words_of_a_refusal_decide_whether_it_is_gone() {
    let gone = [
        no(403, "Forbidden: bot was blocked by the user"),
        no(400, "Bad Request: chat not found"),
        no(400, "Bad Request: message thread not found"),
    ];
    for answer in gone {
        let server = Faulty::start([answer.clone()]).await;
        let error = bot(&server.url).send(&ana(), &card()).await.unwrap_err();
        assert!(matches!(error, ChatError::Gone(_)), "{answer:?}");
    }
    let server = Faulty::start([no(
        400,
        "Bad Request: not enough rights to send text messages",
    )])
    .await;
    let error = bot(&server.url).send(&ana(), &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused(_)), "{error:?}");
}
