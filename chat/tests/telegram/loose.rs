//! `telegram-test-api`: another one's idea of Telegram, which forgets what it has delivered,
//! answers edits with nothing, and has neither menus nor files.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::between::Between;
use crate::conformance::conforms;
use crate::people::{Ana, GONE, Server};
use crate::strict::{command, port};
use crate::{TOKEN, bot, described, folder};

/// Who the bot is there.
const BOT: i64 = 666;

const MAIN: &str = r#"
const Server = require(process.argv[1]);
const server = new Server({ port: Number(process.argv[2]), host: "127.0.0.1", storage: "RAM" });
server.start().then(() => console.log("ready"));
"#;

/// A server that ends with the test.
struct Loose {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl Drop for Loose {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Loose {
    fn start() -> Option<Self> {
        let package = folder("node_modules/telegram-test-api")?;
        let port = port();
        let mut child = command("node")
            .args(["-e", MAIN])
            .arg(package)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        Some(Self { child, url, client })
    }

    async fn post(&self, path: &str, body: &Value) {
        let url = format!("{}/{path}", self.url);
        let said = self.client.post(url).json(body).send().await.unwrap();
        let said: Value = said.json().await.unwrap();
        assert_eq!(said["ok"], true, "{said}");
    }
}

#[async_trait]
impl Server for Loose {
    async fn message(&self, mut message: Value) {
        message["botToken"] = json!(TOKEN);
        self.post("sendMessage", &message).await;
    }

    async fn query(&self, query: Value) {
        self.post("sendCallback", &query).await;
    }

    fn is_whole(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn it_conforms_at_a_loose_server() {
    let Some(loose) = Loose::start() else {
        return;
    };
    let between = Between::start(&loose.url, &[], &[GONE]).await;
    let ana = Ana::new(loose, between, BOT);
    let bot = bot(&ana.between.url);
    conforms(&bot, &ana).await;
    described::check(&ana.between.calls());
}
