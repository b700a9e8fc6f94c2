//! The REST API: who may ask, how fast, and what comes of it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Given;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ANA, ANAS, APPLICATION, BOB, BOBS, BOT, Call, EVE, EVES, GUILD, HIDDEN, Message, Shared, State,
    TOKEN, check,
};

/// So many requests of a kind within so long. Discord has five in five seconds for most; a
/// shorter time tells as much and lets nobody wait.
const COUNT: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

type Said = (u16, Value);
type Headers = Vec<(&'static str, String)>;

/// A request as it came.
struct Request {
    method: String,
    /// Without `/api/v10`, in its parts.
    path: Vec<String>,
    body: Value,
    files: Vec<(String, String)>,
}

pub(super) async fn answer(
    Given((shared, address)): Given<(Shared, SocketAddr)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_look = method == Method::GET && uri.path().contains("/channels/");
    while is_look && shared.lock().unwrap().rules.looks_away {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut state = shared.lock().unwrap();
    let Some(path) = uri.path().strip_prefix("/api/v10/") else {
        state.fault(format!("{method} {uri} is no address of the API"));
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = header(&headers, "content-type");
    let (body, files) = read(kind, &body);
    // Some libraries write the `@` of `@original` and `@me` so.
    let path = path.replace("%40", "@");
    let request = Request {
        method: method.to_string(),
        path: path.split('/').map(str::to_owned).collect(),
        body,
        files,
    };
    let line = format!("{method} /{path}");
    let mut more = Headers::new();
    let (status, text) = match state.scripted(&line) {
        Some((status, headers, body)) => {
            more = headers;
            (status, body)
        }
        None => {
            let (status, answer) = state.counted(&request, &headers, &mut more, address);
            let text = if status == 204 {
                String::new()
            } else {
                answer.to_string()
            };
            (status, text)
        }
    };
    let call = Call {
        method: request.method,
        path: format!("/{path}"),
        body: request.body,
        files: request.files,
        status,
        answer: serde_json::from_str(&text).unwrap_or(Value::Null),
    };
    state.calls.push(call);
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = match text.as_str() {
        "" => status.into_response(),
        _ => (status, [("content-type", "application/json")], text).into_response(),
    };
    for (name, value) in more {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// The body, and the files of a form.
fn read(kind: &str, body: &[u8]) -> (Value, Vec<(String, String)>) {
    let Some((_, boundary)) = kind.split_once("boundary=") else {
        return (
            serde_json::from_slice(body).unwrap_or(Value::Null),
            Vec::new(),
        );
    };
    let (mut json, mut files) = (Value::Null, Vec::new());
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mark = format!("--{}", boundary.trim_matches('"'));
    for part in text.split(mark.as_str()) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        let content = content.strip_suffix("\r\n").unwrap();
        let quoted = |name: &str| {
            let (_, rest) = head.split_once(&format!(" {name}=\""))?;
            rest.split('"').next()
        };
        match (quoted("name"), quoted("filename")) {
            (Some("payload_json"), None) => json = serde_json::from_str(content).unwrap(),
            (Some(_), Some(file)) => files.push((file.to_owned(), content.to_owned())),
            (name, _) => panic!("a part {name:?}"),
        }
    }
    (json, files)
}

fn refused(status: u16, code: u32, message: impl Into<String>) -> Said {
    (status, json!({ "message": message.into(), "code": code }))
}

impl State {
    fn scripted(&mut self, line: &str) -> Option<(u16, Headers, String)> {
        let at = self
            .instead
            .iter()
            .position(|one| line.starts_with(&one.of))?;
        let one = &mut self.instead[at];
        let said = (one.status, one.headers.clone(), one.body.clone());
        one.times -= 1;
        if one.times == 0 {
            self.instead.remove(at);
        }
        Some(said)
    }

    /// Answers, unless it is too fast or nobody knows who asks.
    fn counted(
        &mut self,
        request: &Request,
        headers: &HeaderMap,
        more: &mut Headers,
        address: SocketAddr,
    ) -> Said {
        let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let bare = matches!(parts[0], "interactions" | "webhooks");
        let agent = header(headers, "user-agent");
        if !agent.starts_with("DiscordBot (http") || !agent.contains(", ") {
            self.fault(format!("the user agent is {agent}"));
        }
        let authorised = header(headers, "authorization");
        if !bare && authorised != format!("Bot {TOKEN}") {
            return refused(401, 0, "401: Unauthorized");
        }
        if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH")
            && request.files.is_empty()
            && !header(headers, "content-type").starts_with("application/json")
            && !request.body.is_object()
        {
            self.fault(format!("{} {parts:?} is no JSON", request.method));
        }
        if parts[0] != "interactions" {
            let kind = format!(
                "{} {}",
                request.method,
                parts[..parts.len().min(3)].join("/")
            );
            let now = Instant::now();
            let (count, until) = self
                .counted
                .entry(kind.clone())
                .or_insert((0, now + WINDOW));
            if *until <= now {
                (*count, *until) = (0, now + WINDOW);
            }
            *count += 1;
            let left = (*until - now).as_secs_f64();
            let over = *count > COUNT;
            more.extend([
                ("x-ratelimit-limit", COUNT.to_string()),
                (
                    "x-ratelimit-remaining",
                    COUNT.saturating_sub(*count).to_string(),
                ),
                ("x-ratelimit-reset-after", format!("{left:.3}")),
                ("x-ratelimit-bucket", format!("{:x}", kind.len())),
            ]);
            if over {
                self.fault(format!("{kind}: too fast, although it was told"));
                let body = json!({
                    "message": "You are being rate limited.", "retry_after": left, "global": false,
                });
                return (429, body);
            }
        }
        self.routed(request, &parts, address)
    }

    fn routed(&mut self, request: &Request, parts: &[&str], address: SocketAddr) -> Said {
        let body = &request.body;
        match (request.method.as_str(), parts) {
            ("GET", ["users", "@me"]) => (200, Self::user(BOT)),
            ("GET", ["applications", "@me"]) => {
                let application = json!({ "id": APPLICATION, "name": "mhost", "flags": 0,
                    "description": "", "bot_public": false, "bot_require_code_grant": false });
                (200, application)
            }
            ("GET", ["gateway", "bot"]) => {
                let starts = json!({ "total": 1_000, "remaining": self.rules.starts,
                    "reset_after": 3_600_000, "max_concurrency": 1 });
                let url = format!("ws://{address}/gateway");
                (
                    200,
                    json!({ "url": url, "shards": 1, "session_start_limit": starts }),
                )
            }
            ("PUT", ["applications", APPLICATION, "commands"]) => self.list("everywhere", body),
            ("PUT", ["applications", APPLICATION, "guilds", GUILD, "commands"]) => {
                self.list(GUILD, body)
            }
            ("PUT", ["applications", ..]) => refused(403, 20_012, "You are not authorized"),
            ("POST", ["users", "@me", "channels"]) => self.open(body),
            ("GET", ["channels", id]) => match Self::channel(id) {
                Some(_) if *id == HIDDEN => refused(403, 50_001, "Missing Access"),
                Some(channel) => (200, channel),
                None => refused(404, 10_003, "Unknown Channel"),
            },
            ("POST", ["channels", id, "messages"]) => self.send(id, request),
            ("PATCH", ["channels", id, "messages", message]) => self.edit(id, message, request),
            ("DELETE", ["channels", id, "messages", message]) => self.drop(id, message),
            ("POST", ["interactions", id, token, "callback"]) => self.acknowledge(id, token, body),
            ("POST", ["webhooks", APPLICATION, token]) => self.follow(token, request),
            ("GET", ["webhooks", APPLICATION, token, "messages", id]) => {
                self.webhook(token, id, |state, id| (200, state.described(id)))
            }
            ("PATCH", ["webhooks", APPLICATION, token, "messages", id]) => {
                self.respond(token, id, request)
            }
            ("DELETE", ["webhooks", APPLICATION, token, "messages", id]) => self.take(token, id),
            (method, _) => {
                self.fault(format!("{method} /{} is unknown", parts.join("/")));
                refused(404, 0, "404: Not Found")
            }
        }
    }

    fn list(&mut self, place: &str, body: &Value) -> Said {
        let problems = check::commands(body, place == "everywhere");
        if !problems.is_empty() {
            return self.invalid("commands", problems);
        }
        let mut all = body.as_array().unwrap().clone();
        for one in &mut all {
            one["id"] = json!(self.id().to_string());
            one["application_id"] = json!(APPLICATION);
            one["version"] = json!("1");
        }
        self.commands.insert(place.to_owned(), all.clone());
        (200, Value::Array(all))
    }

    fn open(&mut self, body: &Value) -> Said {
        let problems = check::fields(body, &["recipient_id"], "body");
        if !problems.is_empty() {
            return self.invalid("channels", problems);
        }
        let chat = match body["recipient_id"].as_str() {
            Some(ANA) => ANAS,
            Some(BOB) => BOBS,
            Some(EVE) => EVES,
            _ => return refused(400, 50_033, "Invalid Recipient(s)"),
        };
        (200, Self::channel(chat).unwrap())
    }

    fn send(&mut self, channel: &str, request: &Request) -> Said {
        match Self::channel(channel) {
            None => return refused(404, 10_003, "Unknown Channel"),
            Some(_) if channel == HIDDEN => return refused(403, 50_001, "Missing Access"),
            Some(_) => {}
        }
        self.make(channel, None, request)
    }

    /// A new message.
    fn make(&mut self, channel: &str, only: Option<String>, request: &Request) -> Said {
        let silent = self.rules.silent;
        let problems = check::message(&request.body, request.files.len(), true, silent);
        if !problems.is_empty() {
            return self.invalid("message", problems);
        }
        let id = self.id();
        let one = Message {
            id,
            channel: channel.to_owned(),
            only,
            ..Message::default()
        };
        self.messages.insert(id, one);
        self.fill(id, request);
        (200, self.described(id))
    }

    /// A message that is seen in a channel.
    fn found(&self, channel: &str, id: &str) -> Option<u64> {
        id.parse().ok().filter(|id| {
            let one = self.messages.get(id);
            one.is_some_and(|one| !one.deleted && one.channel == channel && one.only.is_none())
        })
    }

    fn drop(&mut self, channel: &str, id: &str) -> Said {
        match self.found(channel, id) {
            Some(id) => {
                self.messages.get_mut(&id).unwrap().deleted = true;
                (204, Value::Null)
            }
            None => refused(404, 10_008, "Unknown Message"),
        }
    }

    fn edit(&mut self, channel: &str, id: &str, request: &Request) -> Said {
        if channel == HIDDEN {
            return refused(403, 50_001, "Missing Access");
        }
        match self.found(channel, id) {
            Some(id) => self.change(id, request),
            None => refused(404, 10_008, "Unknown Message"),
        }
    }

    fn change(&mut self, id: u64, request: &Request) -> Said {
        let silent = self.rules.silent;
        let problems = check::message(&request.body, request.files.len(), false, silent);
        if !problems.is_empty() {
            return self.invalid("message", problems);
        }
        self.fill(id, request);
        (200, self.described(id))
    }

    /// Puts what the request has into a message; what it has not, stays.
    fn fill(&mut self, id: u64, request: &Request) {
        let one = self.messages.get_mut(&id).unwrap();
        let body = &request.body;
        if let Some(content) = body.get("content") {
            one.content = content.as_str().unwrap_or_default().to_owned();
        }
        let list = |name: &str| body.get(name).map(|all| all.as_array().cloned());
        if let Some(embeds) = list("embeds") {
            one.embeds = embeds.unwrap_or_default();
        }
        if let Some(components) = list("components") {
            one.components = components.unwrap_or_default();
        }
        if body.get("attachments").is_some() {
            one.files.clear();
        }
        one.files.extend(request.files.clone());
    }

    fn acknowledge(&mut self, id: &str, token: &str, body: &Value) -> Said {
        let known = id.parse().ok().and_then(|id| self.interactions.get(&id));
        let Some(one) = known.filter(|one| one.token == token).cloned() else {
            return refused(404, 10_062, "Unknown interaction");
        };
        if one.acknowledged.is_some() {
            return refused(400, 40_060, "Interaction has already been acknowledged.");
        }
        if one.at.elapsed() > check::ACKNOWLEDGE {
            self.fault(format!("interaction {id} was acknowledged too late"));
            return refused(404, 10_062, "Unknown interaction");
        }
        let problems = check::acknowledgement(one.kind, body);
        if !problems.is_empty() {
            return self.invalid("answer", problems);
        }
        let said = u8::try_from(body["type"].as_u64().unwrap()).unwrap();
        let only = body["data"]["flags"] == 64;
        let id: u64 = id.parse().unwrap();
        let one = self.interactions.get_mut(&id).unwrap();
        one.acknowledged = Some((said, only));
        (204, Value::Null)
    }

    /// The interaction of a token, once it is acknowledged.
    fn token(&self, token: &str) -> Option<u64> {
        let mut all = self.interactions.iter();
        let found = all.find(|(_, one)| one.token == token && one.acknowledged.is_some());
        found.map(|(id, _)| *id)
    }

    fn webhook(
        &mut self,
        token: &str,
        id: &str,
        then: impl FnOnce(&mut Self, u64) -> Said,
    ) -> Said {
        let Some(interaction) = self.token(token) else {
            return refused(404, 10_015, "Unknown Webhook");
        };
        let original = self.interactions[&interaction].original;
        let id = if id == "@original" {
            original
        } else {
            id.parse().ok()
        };
        match id.filter(|id| self.messages.get(id).is_some_and(|one| !one.deleted)) {
            Some(id) => then(self, id),
            None => refused(404, 10_008, "Unknown Message"),
        }
    }

    /// Puts something in the place of "thinking …", or changes a message.
    fn respond(&mut self, token: &str, id: &str, request: &Request) -> Said {
        let thinks = self.thinks(token);
        if id == "@original"
            && let Some(interaction) = thinks
        {
            return self.begin(interaction, request);
        }
        self.webhook(token, id, |state, id| state.change(id, request))
    }

    /// The interaction, while it still shows "thinking …".
    fn thinks(&self, token: &str) -> Option<u64> {
        let interaction = self.token(token)?;
        let one = &self.interactions[&interaction];
        let waits = matches!(one.acknowledged, Some((5, _)));
        (waits && one.original.is_none() && !one.removed).then_some(interaction)
    }

    fn begin(&mut self, interaction: u64, request: &Request) -> Said {
        let one = self.interactions[&interaction].clone();
        let only = matches!(one.acknowledged, Some((_, true))).then_some(one.user);
        let said = self.make(&one.channel, only, request);
        let made = said.1["id"].as_str().and_then(|id| id.parse().ok());
        self.interactions.get_mut(&interaction).unwrap().original = made;
        said
    }

    /// Sends another message. As at Discord, the first one takes the place of "thinking …", and
    /// is seen by whom that was seen.
    fn follow(&mut self, token: &str, request: &Request) -> Said {
        let Some(interaction) = self.token(token) else {
            return refused(404, 10_015, "Unknown Webhook");
        };
        if self.thinks(token).is_some() {
            return self.begin(interaction, request);
        }
        let one = self.interactions[&interaction].clone();
        let only = request.body["flags"].as_u64().unwrap_or_default() & 64 != 0;
        self.make(&one.channel, only.then_some(one.user), request)
    }

    fn take(&mut self, token: &str, id: &str) -> Said {
        if id == "@original"
            && let Some(interaction) = self.thinks(token)
        {
            self.interactions.get_mut(&interaction).unwrap().removed = true;
            return (204, Value::Null);
        }
        self.webhook(token, id, |state, id| {
            state.messages.get_mut(&id).unwrap().deleted = true;
            (204, Value::Null)
        })
    }

    fn invalid(&mut self, what: &str, problems: Vec<String>) -> Said {
        self.faults
            .extend(problems.iter().map(|one| format!("{what}: {one}")));
        let (status, mut said) = refused(400, 50_035, "Invalid Form Body");
        said["errors"] = json!({ what: { "_errors": problems } });
        (status, said)
    }
}
