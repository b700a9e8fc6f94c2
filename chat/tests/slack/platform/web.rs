//! The Web API: methods, files, and addresses for answers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{APP_TOKEN, ARCHIVED, BOT, BOT_ID, BOT_TOKEN, Call, GONE, Seen, Shared, TEAM};
use super::{blocks, page};

/// What each method takes: must and may. More or fewer is a fault.
const METHODS: [(&str, &[&str], &[&str]); 9] = [
    ("auth.test", &[], &[]),
    ("apps.connections.open", &[], &[]),
    ("conversations.open", &["users"], &["return_im"]),
    (
        "chat.postMessage",
        &["channel", "text"],
        &[
            "blocks",
            "thread_ts",
            "mrkdwn",
            "parse",
            "link_names",
            "unfurl_links",
            "unfurl_media",
        ],
    ),
    (
        "chat.update",
        &["channel", "ts", "text"],
        &["blocks", "parse", "link_names"],
    ),
    (
        "chat.postEphemeral",
        &["channel", "user", "text"],
        &["blocks", "thread_ts", "parse", "link_names"],
    ),
    ("chat.delete", &["channel", "ts"], &[]),
    (
        "files.getUploadURLExternal",
        &["filename", "length"],
        &["alt_txt", "snippet_type"],
    ),
    (
        "files.completeUploadExternal",
        &["files"],
        &["channel_id", "thread_ts", "initial_comment"],
    ),
];

/// The one method that reads nothing but forms.
const FORM_ONLY: &str = "files.getUploadURLExternal";

pub(super) async fn call(
    State(shared): State<Arc<Shared>>,
    Path(method): Path<String>,
    verb: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let scripted = shared
        .lock()
        .script
        .get_mut(&method)
        .and_then(std::collections::VecDeque::pop_front);
    if let Some(said) = scripted {
        let status = StatusCode::from_u16(said.status).unwrap();
        let mut response = (status, said.body).into_response();
        if let Some(wait) = said.retry_after {
            let wait = wait.to_string().parse().unwrap();
            response.headers_mut().insert("retry-after", wait);
        }
        return response;
    }
    let mut call = match read(&method, &verb, &headers, &body) {
        Ok(call) => call,
        Err(fault) => {
            shared.fault(format!("{method}: {fault}"));
            return said(StatusCode::OK, &no("invalid_arguments"));
        }
    };
    call.answer = match authorised(&method, &headers) {
        Ok(()) => answered(&shared, &call),
        Err(word) => no(word),
    };
    let answer = call.answer.clone();
    shared.lock().calls.push(call);
    said(StatusCode::OK, &answer)
}

fn no(word: &str) -> Value {
    json!({ "ok": false, "error": word })
}

fn said(status: StatusCode, answer: &Value) -> Response {
    let kind = [("content-type", "application/json; charset=utf-8")];
    (status, kind, answer.to_string()).into_response()
}

fn authorised(method: &str, headers: &HeaderMap) -> Result<(), &'static str> {
    let token = match method {
        "apps.connections.open" => APP_TOKEN,
        _ => BOT_TOKEN,
    };
    let given = headers
        .get("authorization")
        .and_then(|one| one.to_str().ok());
    let given = given.and_then(|given| given.strip_prefix("Bearer "));
    match given {
        Some(given) if given == token => Ok(()),
        Some(given) if given == APP_TOKEN || given == BOT_TOKEN => Err("not_allowed_token_type"),
        Some(_) => Err("invalid_auth"),
        None => Err("not_authed"),
    }
}

/// The call, if it is one that Slack could make anything of.
fn read(method: &str, verb: &Method, headers: &HeaderMap, body: &[u8]) -> Result<Call, String> {
    let Some((_, must, may)) = METHODS.iter().find(|(name, ..)| *name == method) else {
        return Err("there is no such method".into());
    };
    if verb != Method::POST {
        return Err(format!("it is asked with {verb}"));
    }
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let is_form = match kind {
        Some("application/x-www-form-urlencoded") => true,
        Some(kind) if kind.starts_with("application/json") && method != FORM_ONLY => {
            // Slack warns of it in every answer.
            if !kind.ends_with("charset=utf-8") {
                return Err("there is no charset".into());
            }
            false
        }
        None if body.is_empty() => true,
        other => return Err(format!("it does not read {other:?}")),
    };
    let fields = fields(is_form, body)?;
    let mut must_be = must.iter();
    if let Some(name) = must_be.find(|name| !fields.contains_key(**name)) {
        return Err(format!("{name} is missing"));
    }
    let known = |name: &str| must.contains(&name) || may.contains(&name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return Err(format!("{name} is unknown"));
    }
    for name in ["channel", "text", "ts", "thread_ts", "user", "channel_id"] {
        if fields.get(name).is_some_and(|value| !value.is_string()) {
            return Err(format!("{name} is no text"));
        }
    }
    for name in ["mrkdwn", "link_names", "unfurl_links", "unfurl_media"] {
        if fields
            .get(name)
            .is_some_and(|value| !is_form && !value.is_boolean())
        {
            return Err(format!("{name} is no yes or no"));
        }
    }
    if fields
        .get("parse")
        .is_some_and(|parse| parse != "none" && parse != "full")
    {
        return Err("parse is none or full".into());
    }
    if fields.get("text").is_some_and(|text| text == "") && !fields.contains_key("blocks") {
        return Err("no_text".into());
    }
    if let Some(blocks) = fields.get("blocks") {
        let problems = blocks::problems(blocks);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
    }
    Ok(Call {
        method: method.to_owned(),
        fields,
        is_form,
        answer: Value::Null,
    })
}

fn fields(is_form: bool, body: &[u8]) -> Result<Map<String, Value>, String> {
    if !is_form {
        let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        return value.as_object().cloned().ok_or("no object".to_owned());
    }
    let mut url = reqwest::Url::parse("http://form/").unwrap();
    url.set_query(Some(
        std::str::from_utf8(body).map_err(|error| error.to_string())?,
    ));
    let read = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        // In a form these are JSON in a text.
        let value = match &*name {
            "blocks" | "files" => serde_json::from_str(&value).map_err(|e| e.to_string())?,
            _ => Value::from(value.into_owned()),
        };
        Ok((name.into_owned(), value))
    };
    url.query_pairs().map(read).collect()
}

fn answered(shared: &Shared, call: &Call) -> Value {
    let text = |name: &str| {
        call.fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (channel, ts) = (text("channel"), text("ts"));
    match &*call.method {
        "auth.test" => json!({
            "ok": true, "url": "https://acme.slack.com/", "team": "Acme", "user": "mhost",
            "team_id": TEAM, "user_id": BOT, "bot_id": BOT_ID, "is_enterprise_install": false,
        }),
        "apps.connections.open" => {
            let mut state = shared.lock();
            let ticket = format!("ticket-{}", state.number());
            state.tickets.push(ticket.clone());
            let address = shared.url.replacen("http", "ws", 1);
            json!({ "ok": true, "url": format!("{address}/link?ticket={ticket}&app_id=A0MHOST") })
        }
        "conversations.open" => match text("users").strip_prefix('U') {
            Some(rest) => json!({ "ok": true, "channel": { "id": format!("D{rest}") } }),
            None => json!({ "ok": false, "error": "user_not_found" }),
        },
        "chat.postMessage" => posted(shared, call),
        "chat.update" => {
            let mut seen = looks(call);
            let mut state = shared.lock();
            if let Some(error) = absent(channel) {
                return json!({ "ok": false, "error": error });
            }
            let gone = state.deleted.contains(&ts.to_owned());
            let old = state
                .shown
                .iter_mut()
                .find(|one| one.channel == channel && one.ts == ts);
            let Some(old) = old.filter(|_| !gone) else {
                return json!({ "ok": false, "error": "message_not_found" });
            };
            seen.ts.clone_from(&old.ts);
            seen.thread.clone_from(&old.thread);
            seen.files.clone_from(&old.files);
            *old = seen;
            json!({ "ok": true, "channel": channel, "ts": ts, "text": text("text"),
                "message": { "type": "message", "user": BOT } })
        }
        "chat.postEphemeral" => {
            if let Some(error) = absent(channel) {
                return json!({ "ok": false, "error": error });
            }
            let seen = looks(call);
            let mut state = shared.lock();
            state.whispers.push((text("user").to_owned(), seen.text));
            if !seen.live.is_empty() {
                state
                    .faults
                    .push(format!("a whisper is alive: {:?}", seen.live));
            }
            json!({ "ok": true, "message_ts": state.ts() })
        }
        "chat.delete" => {
            shared.lock().deleted.push(ts.to_owned());
            json!({ "ok": true, "channel": channel, "ts": ts })
        }
        "files.getUploadURLExternal" => {
            let mut state = shared.lock();
            let id = format!("F{}", state.number());
            let length = text("length").parse().unwrap_or_default();
            state
                .files
                .insert(id.clone(), (text("filename").to_owned(), length, None));
            let address = format!("{}/upload/{id}", shared.url);
            json!({ "ok": true, "upload_url": address, "file_id": id })
        }
        _ => completed(shared, call),
    }
}

/// Why nothing can be written there.
fn absent(channel: &str) -> Option<&'static str> {
    match channel {
        GONE => Some("channel_not_found"),
        ARCHIVED => Some("is_archived"),
        _ if channel.starts_with('D') || channel == super::OPS => None,
        _ if channel.starts_with('C') => Some("not_in_channel"),
        _ => Some("channel_not_found"),
    }
}

fn looks(call: &Call) -> Seen {
    let blocks = call.fields.get("blocks").cloned().unwrap_or_default();
    let text = |name: &str| call.fields.get(name).and_then(Value::as_str);
    Seen {
        channel: text("channel").unwrap_or_default().to_owned(),
        thread: text("thread_ts").map(str::to_owned),
        ..page::read(&blocks, text("text").unwrap_or_default())
    }
}

fn posted(shared: &Shared, call: &Call) -> Value {
    let mut seen = looks(call);
    if let Some(error) = absent(&seen.channel) {
        return json!({ "ok": false, "error": error });
    }
    let mut state = shared.lock();
    seen.ts = state.ts();
    state.shown.push(seen.clone());
    json!({
        "ok": true, "channel": seen.channel, "ts": seen.ts,
        "message": { "type": "message", "user": BOT, "bot_id": BOT_ID, "ts": seen.ts,
            "text": call.fields["text"], "team": TEAM },
    })
}

/// A file that was announced and sent is shown in a thread.
fn completed(shared: &Shared, call: &Call) -> Value {
    let text = |name: &str| call.fields.get(name).and_then(Value::as_str);
    let mut state = shared.lock();
    let mut files = Vec::new();
    for one in call.fields["files"].as_array().into_iter().flatten() {
        let id = one["id"].as_str().unwrap_or_default();
        match state.files.remove(id) {
            Some((name, length, Some(content))) if content.len() == length => {
                files.push((name, content));
            }
            _ => return json!({ "ok": false, "error": "file_not_found" }),
        }
    }
    let channel = text("channel_id").unwrap_or_default();
    if let Some(error) = absent(channel) {
        return json!({ "ok": false, "error": error });
    }
    let thread = text("thread_ts");
    let root = state
        .shown
        .iter_mut()
        .find(|one| one.channel == channel && Some(&*one.ts) == thread);
    match root {
        Some(root) => root.files.extend(files),
        None => return json!({ "ok": false, "error": "thread_not_found" }),
    }
    json!({ "ok": true, "files": call.fields["files"] })
}

pub(super) async fn upload(
    State(shared): State<Arc<Shared>>,
    Path(file): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.contains_key("authorization") {
        shared.fault("a token was sent with a file");
    }
    let mut state = shared.lock();
    let Some((_, length, content)) = state.files.get_mut(&file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if body.len() != *length {
        let fault = format!("a file of {} bytes was announced with {length}", body.len());
        state.faults.push(fault);
        return StatusCode::BAD_REQUEST.into_response();
    }
    *content = Some(String::from_utf8_lossy(&body).into_owned());
    format!("OK - {}", body.len()).into_response()
}

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = shared.lock();
    if headers.contains_key("authorization") {
        state.faults.push("a token was sent with an answer".into());
    }
    let Some((who, uses)) = state.answers.get_mut(&token) else {
        return said(StatusCode::NOT_FOUND, &no("expired_url"));
    };
    *uses += 1;
    if *uses > 5 {
        return said(StatusCode::NOT_FOUND, &no("used_url"));
    }
    let who = who.clone();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let known = ["response_type", "replace_original", "text"];
    let unknown = body.as_object().into_iter().flat_map(Map::keys);
    for name in unknown.filter(|name| !known.contains(&name.as_str())) {
        state.faults.push(format!("an answer has {name}"));
    }
    let text = body["text"].as_str().unwrap_or_default();
    if body["response_type"] != "ephemeral" || text.is_empty() {
        state
            .faults
            .push(format!("an answer for all, or of nothing: {body}"));
    }
    let seen = page::read(&Value::Null, text);
    if !seen.live.is_empty() {
        state
            .faults
            .push(format!("an answer is alive: {:?}", seen.live));
    }
    state.whispers.push((who, seen.text));
    "ok".into_response()
}
