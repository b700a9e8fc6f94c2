//! Between the adapter and a server that plays Telegram: writes down every call, takes out what
//! the server does not know, and answers in Telegram's words where the server has no memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

/// A call of the adapter.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `sendMessage`.
    pub(crate) method: String,
    /// Its fields. In a form all of them are texts, as they were sent.
    pub(crate) fields: Map<String, Value>,
    /// Files of a form: field, name, content.
    pub(crate) files: Vec<(String, String, String)>,
    /// Was it a form?
    pub(crate) is_form: bool,
    /// What came back.
    pub(crate) answer: Value,
}

impl Call {
    /// A number among its fields.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        let value = self.fields.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// What stands between.
pub(crate) struct Between {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    /// Fields that the server behind does not know, though Telegram does.
    unknown: Vec<&'static str>,
    calls: Mutex<Vec<Call>>,
    /// Text and keyboard of each message, by chat and id; `None` once it was deleted.
    messages: Mutex<HashMap<(i64, i64), Option<String>>>,
    /// Chats that the bot was put out of.
    gone: Vec<i64>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Between {
    /// Before the server at this address.
    pub(crate) async fn start(upstream: &str, unknown: &[&'static str], gone: &[i64]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            unknown: unknown.to_vec(),
            calls: Mutex::default(),
            messages: Mutex::default(),
            gone: gone.to_vec(),
        });
        let router = Router::new()
            .fallback(carry)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = tokio::net::TcpListener::bind(any).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, shared, task }
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// All of one method.
    pub(crate) fn of(&self, method: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.method == method);
        calls
    }

    /// Somebody deletes this message.
    pub(crate) fn remove(&self, chat: i64, message: i64) {
        let mut messages = self.shared.messages.lock().unwrap();
        messages.insert((chat, message), None);
    }
}

async fn carry(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let mut call = read(uri.path(), kind.unwrap_or_default(), &body);
    let (status, answer) = match shared.refusal(&call) {
        Some(refusal) => refusal,
        None => shared.pass(uri.path(), kind, &call, body).await,
    };
    call.answer = answer.clone();
    shared.remember(&call);
    shared.calls.lock().unwrap().push(call);
    (
        status,
        [("content-type", "application/json")],
        answer.to_string(),
    )
        .into_response()
}

impl Shared {
    /// What Telegram knows and the server behind does not.
    fn refusal(&self, call: &Call) -> Option<(StatusCode, Value)> {
        let no = |code: u16, text: &str| {
            let answer = json!({ "ok": false, "error_code": code, "description": text });
            Some((StatusCode::from_u16(code).unwrap(), answer))
        };
        let chat = call.number("chat_id")?;
        if self.gone.contains(&chat) {
            return no(403, "Forbidden: bot was kicked from the supergroup chat");
        }
        if call.method != "editMessageText" {
            return None;
        }
        let messages = self.messages.lock().unwrap();
        match messages.get(&(chat, call.number("message_id")?)) {
            Some(Some(looks)) if *looks == appearance(call) => no(
                400,
                "Bad Request: message is not modified: specified new message content and reply \
                 markup are exactly the same as a current content and reply markup of the message",
            ),
            Some(Some(_)) => None,
            Some(None) | None => no(400, "Bad Request: message to edit not found"),
        }
    }

    async fn pass(
        &self,
        path: &str,
        kind: Option<&str>,
        call: &Call,
        body: Bytes,
    ) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.upstream);
        let mut request = self.client.post(url);
        if call.is_form {
            request = request.header("content-type", kind.unwrap()).body(body);
        } else {
            let mut fields = call.fields.clone();
            fields.retain(|name, _| !self.unknown.contains(&name.as_str()));
            request = request.json(&fields);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let answer = response.json().await.unwrap_or(Value::Null);
        (StatusCode::from_u16(status).unwrap(), answer)
    }

    fn remember(&self, call: &Call) {
        if call.answer["ok"] != true {
            return;
        }
        let id = match &*call.method {
            "sendMessage" => call.answer["result"]["message_id"].as_i64(),
            "editMessageText" => call.number("message_id"),
            _ => None,
        };
        if let (Some(chat), Some(id)) = (call.number("chat_id"), id) {
            let mut messages = self.messages.lock().unwrap();
            messages.insert((chat, id), Some(appearance(call)));
        }
    }
}

fn appearance(call: &Call) -> String {
    let none = json!({ "inline_keyboard": [] });
    let markup = call.fields.get("reply_markup").unwrap_or(&none);
    format!("{}\n{markup}", call.fields["text"])
}

fn read(path: &str, kind: &str, body: &[u8]) -> Call {
    let method = path.rsplit('/').next().unwrap().to_owned();
    let mut call = Call {
        method,
        fields: Map::new(),
        files: Vec::new(),
        is_form: false,
        answer: Value::Null,
    };
    if let Some((_, boundary)) = kind.split_once("boundary=") {
        call.is_form = true;
        let text = String::from_utf8(body.to_vec()).unwrap();
        let mark = format!("--{boundary}");
        for part in text.split(mark.as_str()) {
            let Some((head, content)) = part.split_once("\r\n\r\n") else {
                continue;
            };
            let quoted = |name: &str| {
                let (_, rest) = head.split_once(&format!(" {name}=\""))?;
                Some(rest.split('"').next().unwrap().to_owned())
            };
            let name = quoted("name").unwrap();
            let content = content.strip_suffix("\r\n").unwrap().to_owned();
            match quoted("filename") {
                Some(file) => call.files.push((name, file, content)),
                None => {
                    call.fields.insert(name, Value::String(content));
                }
            }
        }
    } else if !body.is_empty() {
        let fields: Value = serde_json::from_slice(body).unwrap();
        call.fields = fields.as_object().cloned().unwrap_or_default();
    }
    call
}
