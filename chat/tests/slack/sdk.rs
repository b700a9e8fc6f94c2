//! The server, proven: Slack's own client connects to it, receives and acknowledges, posts,
//! changes, whispers and sends a file. What it is content with is what an adapter may rely on.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::ana::{ANA, PRIVATE};
use crate::platform::{APP_TOKEN, BOT_TOKEN, Platform};
use crate::{folder, until};

const MAIN: &str = r#"
import sys, threading
from slack_sdk.web import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.errors import SlackApiError

url, app_token, bot_token = sys.argv[1:]
web = WebClient(token=bot_token, base_url=url + "/")
me = web.auth_test()
assert me["user_id"] == "U0BOT" and me["team_id"] == "T0ACME", me
try:
    WebClient(token="xoxb-wrong", base_url=url + "/").auth_test()
    raise SystemExit("a wrong token was taken")
except SlackApiError as error:
    assert error.response["error"] == "invalid_auth", error

button = {"type": "button", "action_id": "1", "value": "c:1",
          "text": {"type": "plain_text", "text": "Confirm", "emoji": False}}
blocks = [{"type": "section", "text": {"type": "plain_text", "text": "Sure?"}},
          {"type": "actions", "elements": [button]}]
over, seen, ends = threading.Event(), [], []

def heard(client, request):
    client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
    seen.append(request.type)
    try:
        answer(request)
    except Exception as error:
        ends.append(repr(error))
        over.set()

def answer(request):
    payload = request.payload
    if request.type == "events_api":
        event = payload["event"]
        assert event["type"] == "message" and event["text"] == "status", event
        sent = web.chat_postMessage(channel=event["channel"], text="Sure?", blocks=blocks)
        web.chat_update(channel=sent["channel"], ts=sent["ts"], text="Surely?", blocks=blocks)
        web.chat_postEphemeral(channel=event["channel"], user=event["user"], text="psst")
        web.files_upload_v2(channel=event["channel"], thread_ts=sent["ts"],
                            filename="a.log", content="line\n")
    elif request.type == "slash_commands":
        assert payload["command"] == "/mhost" and payload["text"] == "status api", payload
    elif request.type == "interactive":
        action = payload["actions"][0]
        assert payload["type"] == "block_actions" and action["value"] == "c:1", payload
        over.set()

client = SocketModeClient(app_token=app_token, web_client=web)
client.socket_mode_request_listeners.append(heard)
client.connect()
if not over.wait(110):
    raise SystemExit(f"only {seen} came")
client.close()
if ends:
    raise SystemExit(ends[0])
"#;

#[expect(clippy::disallowed_methods, reason = "the client is a real one")]
fn python(program: &str) -> Command {
    Command::new(program)
}

#[tokio::test]
async fn slacks_own_client_is_content_with_the_server() {
    let Some(packages) = folder("slack") else {
        return;
    };
    let platform = Platform::start().await;
    let mut child = python("python3")
        .args(["-c", MAIN, &platform.base_url(), APP_TOKEN, BOT_TOKEN])
        .env("PYTHONPATH", packages)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    until("it is connected", || platform.lines() == 1).await;
    platform.types(PRIVATE, ANA, "status api");
    platform.writes(PRIVATE, ANA, "status", json!({}));
    until("it has answered, with a file", || {
        platform
            .last(PRIVATE)
            .is_some_and(|one| one.files.len() == 1)
    })
    .await;
    let shown = platform.last(PRIVATE).unwrap();
    assert_eq!(shown.text, "Sure?");
    assert_eq!(shown.payload("Confirm").as_deref(), Some("c:1"));
    assert_eq!(shown.files, [("a.log".into(), "line\n".into())]);
    assert_eq!(platform.whispers(), [(ANA.into(), "psst".into())]);
    platform.presses(&shown, ANA, "c:1");
    let ended = tokio::task::spawn_blocking(move || {
        let said = std::io::read_to_string(stderr).unwrap();
        (child.wait().unwrap(), said)
    });
    let (status, said) = ended.await.unwrap();
    assert!(status.success(), "{said}");
    assert_eq!(platform.acknowledged(), 3);
    assert_eq!((platform.unacknowledged(), platform.faults()), (0, vec![]));
}
