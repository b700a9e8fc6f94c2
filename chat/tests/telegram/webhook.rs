//! Deliveries by requests: played here as Telegram does it, several at a time, and sent by the
//! strict server, which does it one after the other.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use chat::telegram::{Settings, Telegram, Webhook};
use chat::{Card, Channel, ChatError, Tone, What};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::between::Between;
use crate::conformance::{Counterpart, conforms};
use crate::people::{Ana, GONE, Server};
use crate::strict::{BOT, Strict, UNKNOWN, port};
use crate::{TOKEN, described};

const ADDRESS: &str = "https://bot.example/telegram";

/// Telegram's own end of a webhook, beside a server for all the rest.
#[derive(Default)]
struct Hooked {
    to: OnceLock<(SocketAddr, String)>,
    next: AtomicI64,
    /// What was not answered well.
    open: Arc<Mutex<Vec<Value>>>,
}

impl Hooked {
    async fn deliver(&self, update: Value) {
        let (to, secret) = self.to.get().expect("it was told where");
        self.open.lock().unwrap().push(update.clone());
        let open = self.open.clone();
        let (to, secret) = (*to, secret.clone());
        let answer = knock(to, Some(&secret), &update.to_string()).await;
        tokio::spawn(async move {
            if status(answer).await == 200 {
                let id = &update["update_id"];
                open.lock().unwrap().retain(|one| one["update_id"] != *id);
            }
        });
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[async_trait]
impl Server for Hooked {
    async fn message(&self, message: Value) {
        let update = json!({ "update_id": self.number(), "message": message });
        self.deliver(update).await;
    }

    async fn query(&self, mut query: Value) {
        query.as_object_mut().unwrap().remove("botToken");
        let update = json!({ "update_id": self.number(), "callback_query": query });
        self.deliver(update).await;
    }

    async fn again(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        for update in open {
            self.deliver(update).await;
        }
    }

    fn is_whole(&self) -> bool {
        true
    }
}

/// Sends a request whose body is waited for, so that requests keep their order. What answers it.
async fn knock(to: SocketAddr, secret: Option<&str>, body: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(to).await.unwrap();
    let mut stream = BufReader::new(stream);
    let secret = secret.map(|one| format!("X-Telegram-Bot-Api-Secret-Token: {one}\r\n"));
    let head = format!(
        "POST /telegram HTTP/1.1\r\nHost: bot.example\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n{}\r\n",
        body.len(),
        secret.unwrap_or_default()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    stream.read_line(&mut line).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

async fn status(mut stream: BufReader<TcpStream>) -> u16 {
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    let status = answer.split(' ').nth(1);
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn bot(url: &str, address: &str, listen: SocketAddr) -> Telegram {
    let webhook = Webhook {
        check: Duration::from_millis(200),
        ..Webhook::new(address, listen).unwrap()
    };
    let settings = Settings {
        base_url: url.to_owned(),
        webhook: Some(webhook),
        ..Settings::new(TOKEN)
    };
    Telegram::new(&settings).unwrap()
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A bot that is knocked at, and who knocks. The server must be kept.
async fn hooked() -> Option<(Strict, Telegram, Ana<Hooked>)> {
    let strict = Strict::start().await?;
    let between = Between::start(strict.url(), &UNKNOWN, &[GONE]).await;
    let bot = bot(&between.url, ADDRESS, any_port());
    bot.connect().await.unwrap();
    let set = between.of("setWebhook");
    let secret = set[0].fields["secret_token"].as_str().unwrap().to_owned();
    assert_eq!(set[0].fields["url"], ADDRESS);
    assert!(!secret.contains(TOKEN.split(':').nth(1).unwrap()));
    let hooked = Hooked::default();
    let to = bot.listens_at().await.unwrap();
    hooked.to.set((to, secret)).unwrap();
    Some((strict, bot, Ana::new(hooked, between, BOT)))
}

#[tokio::test]
async fn it_conforms_by_webhook() {
    let Some((_strict, bot, ana)) = hooked().await else {
        return;
    };
    conforms(&bot, &ana).await;
    assert!(ana.between.of("getUpdates").is_empty());
    described::check(&ana.between.calls());
}

#[tokio::test]
async fn only_whoever_knows_the_secret_is_listened_to() {
    let Some((_strict, bot, ana)) = hooked().await else {
        return;
    };
    let (to, secret) = ana.server.to.get().unwrap().clone();
    let update = json!({ "update_id": 1, "message": {
        "message_id": 1, "date": 1, "text": "/delete all",
        "from": { "id": 1, "first_name": "Eve" }, "chat": { "id": 1, "type": "private" },
    } });
    let update = update.to_string();
    let said = async |secret: Option<&str>, body: &str| status(knock(to, secret, body).await).await;
    assert_eq!(said(None, &update).await, 403);
    for wrong in ["x", &secret[1..], &secret.to_uppercase()] {
        assert_eq!(said(Some(wrong), &update).await, 403, "{wrong}");
    }
    for nonsense in ["{", "[]", "{}"] {
        assert_eq!(said(Some(&secret), nonsense).await, 400, "{nonsense}");
    }
    let newer = r#"{"update_id":2,"message":{"of":"tomorrow"}}"#;
    assert_eq!(said(Some(&secret), newer).await, 200);
    ana.write("/status").await;
    let first = bot.receive().await.unwrap();
    assert!(matches!(&first.what, What::Text { text, .. } if text == "/status"));
}

#[tokio::test]
async fn a_delivery_that_fails_is_told() {
    let Some((_strict, bot, ana)) = hooked().await else {
        return;
    };
    // Somebody else has set another address.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/bot{TOKEN}/setWebhook", ana.between.url);
    let body = json!({ "url": "https://other.example/" });
    client.post(url).json(&body).send().await.unwrap();
    let error = bot.receive().await.unwrap_err();
    assert!(matches!(error, ChatError::Conflict(_)), "{error:?}");
    bot.connect().await.unwrap();
    ana.write("/status").await;
    bot.receive().await.unwrap();
}

#[tokio::test]
async fn the_strict_server_delivers_by_itself() {
    let Some(ana) = Strict::with_ana().await else {
        return;
    };
    let listen: SocketAddr = ([127, 0, 0, 1], port()).into();
    let bot = bot(&ana.between.url, &format!("http://{listen}/"), listen);
    bot.connect().await.unwrap();
    for text in ["/status", "/logs api"] {
        // The server is done with it once it is on record.
        let write = ana.write(text);
        let take = async {
            let incoming = bot.receive().await.unwrap();
            assert!(matches!(&incoming.what, What::Text { text: one, .. } if one == text));
            bot.taken(&incoming).await.unwrap();
            let card = Card::titled(Tone::Plain, "heard");
            bot.send(&incoming.place, &card).await.unwrap();
        };
        tokio::join!(write, take);
    }
    let verdict = ana.server.verdict(&["setWebhook", "sendMessage"]);
    assert_eq!(verdict["ok"], true, "{verdict:#}");
}
