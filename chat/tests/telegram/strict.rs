//! `lo-bot-api-emulator`: long polls, offsets, and a refusal of whatever it does not know.

use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::between::Between;
use crate::conformance::conforms;
use crate::people::{Ana, GONE, Server};
use crate::{TOKEN, bot, described, folder};

/// Telegram knows them since 2023 and this server does not; they are checked by description.
pub(crate) const UNKNOWN: [&str; 2] = ["link_preview_options", "message_thread_id"];
/// Who the bot is there.
pub(crate) const BOT: i64 = 7;
const MAIN: &str = "from lo_bot_api_emulator import main; main()";

/// A server that ends with the test.
pub(crate) struct Strict {
    child: Child,
    url: String,
    packages: PathBuf,
    kept: tempfile::TempDir,
    client: reqwest::Client,
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the server is a real one")]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// A free port of this machine, for a program that takes no 0. It lies below those that the
/// kernel hands out: one of these may be the other end of somebody's connection a moment later.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % 12_000;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + (begin + next) % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until somebody answers there.
pub(crate) async fn answers(url: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..1_200 {
        if client.get(url).send().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody answers at {url}");
}

impl Strict {
    /// `None` when it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let packages = folder("telegram")?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kept = tempfile::tempdir().unwrap();
        let port = port();
        let child = command("python3")
            .args(["-c", MAIN, "--enable-control", "--port", &port.to_string()])
            .arg("--allow-insecure-loopback-webhooks")
            .arg("--journal")
            .arg(kept.path().join("journal.jsonl"))
            .env("PYTHONPATH", &packages)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let strict = Self {
            child,
            packages,
            kept,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            url,
        };
        answers(&strict.url).await;
        Some(strict)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ana in front of it.
    pub(crate) async fn with_ana() -> Option<Ana<Self>> {
        let strict = Self::start().await?;
        let between = Between::start(&strict.url, &UNKNOWN, &[GONE]).await;
        Some(Ana::new(strict, between, BOT))
    }

    async fn enqueue(&self, update: Value) {
        let url = format!("{}/__fixture/updates", self.url);
        let body = json!({ "token": TOKEN, "update": update });
        let said = self.client.post(url).json(&body).send().await.unwrap();
        let status = said.status();
        assert!(
            status.is_success(),
            "{status}: {}",
            said.text().await.unwrap()
        );
    }

    /// What it thinks of all that was asked.
    pub(crate) fn verdict(&self, methods: &[&str]) -> Value {
        let mut child = command("python3");
        child.args(["-c", MAIN, "verdict"]);
        child.arg(self.kept.path().join("journal.jsonl"));
        child.arg("--require-response");
        for method in methods {
            child.args(["--require-method", method]);
        }
        let mut child = child
            .env("PYTHONPATH", &self.packages)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = child.stdout.take().unwrap();
        output.read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        serde_json::from_str(&said).unwrap()
    }
}

#[async_trait]
impl Server for Strict {
    async fn message(&self, message: Value) {
        self.enqueue(json!({ "message": message })).await;
    }

    async fn query(&self, mut query: Value) {
        query.as_object_mut().unwrap().remove("botToken");
        self.enqueue(json!({ "callback_query": query })).await;
    }

    fn is_whole(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn it_conforms_at_a_strict_server() {
    let Some(ana) = Strict::with_ana().await else {
        return;
    };
    let bot = bot(&ana.between.url);
    conforms(&bot, &ana).await;
    let polls = ana.between.of("getUpdates");
    let kinds = json!(["message", "edited_message", "callback_query"]);
    assert!(
        polls
            .iter()
            .all(|poll| poll.fields["allowed_updates"] == kinds)
    );
    let verdict = ana.server.verdict(&[
        "getMe",
        "setMyCommands",
        "sendMessage",
        "editMessageText",
        "answerCallbackQuery",
        "sendDocument",
    ]);
    assert_eq!(verdict["ok"], true, "{verdict:#}");
    described::check(&ana.between.calls());
}
