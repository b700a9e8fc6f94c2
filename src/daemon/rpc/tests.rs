//! The server over a real socket, with a fake behind the gate.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use supervisor::audit::Audit;
use supervisor::command::view::PlannedChange;
use supervisor::logs::{LogLine, LogPage};
use supervisor::{
    Bus, Caller, Clock, Command, ControlError, EventKind, InstanceId, NewEvent, Paths, Reply,
    Stream, Target,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Notify;

use super::*;
use crate::daemon::dispatch::Dispatch;

/// Lines that an answer of the fake has room for.
const ROOM: usize = 2;

/// Answers `process.status` only after it was asked for `process.cron`, and has one log line
/// per growth.
struct Fake {
    released: Notify,
    printed: Mutex<Vec<String>>,
}

#[async_trait]
impl Dispatch for Fake {
    async fn call(&self, _: &Caller, command: Command) -> Result<Reply, ControlError> {
        match command {
            Command::Status { .. } => {
                self.released.notified().await;
                Ok(Reply::Processes(vec![]))
            }
            Command::Cron => {
                self.released.notify_one();
                Ok(Reply::Cron(vec![]))
            }
            Command::Logs(query) => {
                let printed = self.printed.lock().unwrap().clone();
                let from = query.after.map_or(0, |after| after.parse().unwrap());
                let line = |(index, message): (usize, String)| LogLine {
                    id: index.to_string(),
                    ts: jiff::Timestamp::UNIX_EPOCH,
                    process: "api".parse().unwrap(),
                    instance: 0,
                    stream: Stream::Out,
                    message,
                    truncated: false,
                    partial: false,
                    guessed: false,
                    context: false,
                };
                let to = printed.len().min(from + ROOM);
                Ok(Reply::Logs(LogPage {
                    next: to.to_string(),
                    cut: to < printed.len(),
                    lost: Vec::new(),
                    counts: None,
                    templates: None,
                    lines: printed
                        .into_iter()
                        .enumerate()
                        .skip(from)
                        .take(ROOM)
                        .map(line)
                        .collect(),
                }))
            }
            Command::Stop { target, .. } => Err(ControlError::NotFound {
                target: target.0,
                near: vec!["api".into()],
            }),
            _ => Ok(Reply::Ok),
        }
    }

    async fn plan(&self, _: &Command) -> Result<Vec<PlannedChange>, ControlError> {
        Ok(vec![])
    }

    async fn resolve(&self, _: &Target) -> Result<Vec<InstanceId>, ControlError> {
        Ok(vec![InstanceId::new("api".parse().unwrap(), 0)])
    }
}

struct Running {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    bus: Bus,
    grow: watch::Sender<u64>,
    tasks: Tasks,
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let fake = Arc::new(Fake {
            released: Notify::new(),
            printed: Mutex::default(),
        });
        let bus = Bus::new();
        let audit = Audit::new(&paths, Clock::system());
        let gate = Arc::new(Gate::new(fake.clone(), audit, bus.clone()));
        let (grow, grew) = watch::channel(0);
        let tasks = Tasks::new();
        let server = Server::new(gate, tasks.clone(), grew);
        let socket = Socket::open(paths.clone(), Home::default()).await.unwrap();
        tasks.spawn("server", server.serve(socket));
        Self {
            folder,
            fake,
            bus,
            grow,
            tasks,
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("mhost.sock")
    }

    async fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        Client {
            stream: BufReader::new(stream),
        }
    }

    fn print(&self, text: &str) {
        self.fake.printed.lock().unwrap().push(text.into());
        self.grow.send_modify(|count| *count += 1);
    }
}

struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn ask(&mut self, id: Value, method: &str, params: Value) {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(format!("{request}\n").as_bytes()).await;
    }

    async fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        tokio::time::timeout(Duration::from_secs(60), read)
            .await
            .expect("an answer in time")
            .unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

#[tokio::test]
async fn requests_are_pipelined_and_answered_out_of_order() {
    let running = Running::start().await;
    let mut client = running.connect().await;
    client
        .ask(json!("slow"), "process.status", json!({ "name": "api" }))
        .await;
    client.ask(json!(2), "process.cron", json!({})).await;
    assert_eq!(client.read().await["id"], 2);
    let slow = client.read().await;
    assert_eq!(slow["id"], "slow");
    assert_eq!(slow["result"], json!({ "processes": [] }));
}

#[tokio::test]
async fn garbage_is_answered_and_does_no_harm() {
    let running = Running::start().await;
    let mut client = running.connect().await;
    client.send(b"\n  \n\xff\xfe\n{\"half\": \n").await;
    assert_eq!(client.read().await["error"]["code"], -32700);
    assert_eq!(client.read().await["error"]["code"], -32700);
    client.ask(json!(1), "no.such", json!({})).await;
    assert_eq!(client.read().await["error"]["code"], -32601);
    client
        .ask(json!(2), "process.stop", json!({ "name": "apii" }))
        .await;
    let error = client.read().await;
    assert_eq!(error["error"]["code"], -32000);
    assert_eq!(error["error"]["data"]["near"], json!(["api"]));
    client
        .ask(json!(3), "logs.query", json!({ "context": 1_001 }))
        .await;
    let error = client.read().await["error"]["message"].clone();
    assert!(
        error.as_str().unwrap().contains("at most 1000 lines"),
        "{error}"
    );

    let mut half = running.connect().await;
    half.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,").await;
    drop(half);

    client
        .send(b"[{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"process.cron\"},7,{\"jsonrpc\":\"2.0\",\"method\":\"process.cron\"}]\n")
        .await;
    let batch = client.read().await;
    assert_eq!(batch.as_array().map(Vec::len), Some(2));
    assert_eq!(batch[0]["result"], json!({ "cron": [] }));
    assert_eq!(batch[1]["error"]["code"], -32600);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_the_next_one_served() {
    let running = Running::start().await;
    let mut client = running.connect().await;
    let mut long = vec![b'x'; message::MAX_LINE + 10];
    long.push(b'\n');
    client.send(&long).await;
    assert_eq!(client.read().await["error"]["code"], -32600);
    client.ask(json!(1), "process.cron", json!({})).await;
    assert_eq!(client.read().await["id"], 1);
}

#[tokio::test]
async fn a_follower_gets_every_line_and_can_stop() {
    let running = Running::start().await;
    running.print("one");
    let mut client = running.connect().await;
    client.ask(json!(1), "logs.stream", json!({})).await;
    assert_eq!(client.read().await["result"]["subscription"], "s1");
    let first = client.read().await;
    assert_eq!(first["method"], "logs.line");
    assert_eq!(first["params"]["subscription"], "s1");
    assert_eq!(first["params"]["line"]["message"], "one");
    running.print("two");
    assert_eq!(client.read().await["params"]["line"]["message"], "two");
    client
        .ask(
            json!(2),
            "logs.unsubscribe",
            json!({ "subscription": "s1" }),
        )
        .await;
    assert_eq!(client.read().await["result"], json!({}));
    running.print("three");
    client
        .ask(
            json!(3),
            "logs.unsubscribe",
            json!({ "subscription": "s1" }),
        )
        .await;
    let refused = client.read().await;
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(3), &json!(-32602))
    );
}

/// A follower that fell behind by more than one answer holds is not left waiting for the next
/// line that is printed.
#[tokio::test]
async fn a_follower_gets_what_one_answer_has_no_room_for() {
    let running = Running::start().await;
    let all: Vec<String> = (0..ROOM * 3).map(|n| n.to_string()).collect();
    for text in &all {
        running.print(text);
    }
    let mut client = running.connect().await;
    client.ask(json!(1), "logs.stream", json!({})).await;
    assert_eq!(client.read().await["result"]["subscription"], "s1");
    for text in &all {
        assert_eq!(client.read().await["params"]["line"]["message"], **text);
    }
}

#[tokio::test]
async fn events_are_streamed_and_a_slow_reader_is_told_its_gap() {
    let running = Running::start().await;
    let mut client = running.connect().await;
    client
        .ask(json!(1), "events.stream", json!({ "name": "api" }))
        .await;
    assert_eq!(client.read().await["result"]["subscription"], "s1");
    let publish = |id: i64, process: &str| {
        let event = NewEvent {
            at: jiff::Timestamp::UNIX_EPOCH,
            process: process.parse().unwrap(),
            instance: None,
            kind: EventKind::Start,
            data: json!({}),
            actor: "system".into(),
        };
        running.bus.publish(event.with_id(id));
    };
    publish(1, "other");
    publish(2, "api");
    assert_eq!(client.read().await["params"]["event"]["id"], 2);
    // The test does not yield meanwhile, so the bus overflows.
    for id in 3..5_000 {
        publish(id, "api");
    }
    let gap = client.read().await;
    assert_eq!(gap["method"], "events.gap");
    assert!(gap["params"]["dropped"].as_u64() > Some(1_000));
    // A second client is served while the first one does not read.
    let mut other = running.connect().await;
    other.ask(json!(9), "process.cron", json!({})).await;
    assert_eq!(other.read().await["id"], 9);
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let running = Running::start().await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = running.connect().await;
        client.ask(json!(1), "process.cron", json!({})).await;
        client.read().await;
        clients.push(client);
    }
    let mut surplus = running.connect().await;
    assert_eq!(surplus.read().await["error"]["code"], -32007);
}

#[tokio::test]
async fn the_end_answers_what_was_asked_and_removes_the_socket() {
    let running = Running::start().await;
    let mut client = running.connect().await;
    client
        .ask(json!(1), "process.status", json!({ "name": "api" }))
        .await;
    client.ask(json!(2), "process.list", json!({})).await;
    assert_eq!(client.read().await["id"], 2);
    running.fake.released.notify_one();
    assert!(
        running
            .tasks
            .shutdown(Duration::from_secs(60))
            .await
            .is_empty()
    );
    assert_eq!(client.read().await["id"], 1);
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert!(!running.socket().exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let path = paths.socket();
    let open = || Socket::open(paths.clone(), Home::default());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = open().await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = open().await;
    assert_eq!(
        second.err().map(|error| error.kind()),
        Some(io::ErrorKind::AddrInUse)
    );
    drop(socket);
    assert!(!path.exists());
}

/// Somebody who removed the whole home finds the daemon there, and is told what that means.
#[tokio::test]
async fn a_home_that_was_removed_comes_back_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path().join("home")).unwrap();
    paths.create().unwrap();
    std::fs::write(paths.database(), "").unwrap();
    let home = Home::default();
    let mut socket = Socket::open(paths.clone(), home.clone()).await.unwrap();
    socket.restore().await;
    assert_eq!(home.problem(), None);
    std::fs::remove_dir_all(paths.home()).unwrap();
    socket.restore().await;
    UnixStream::connect(paths.socket()).await.unwrap();
    assert!(home.problem().unwrap().contains("mhost save"));
}

/// Somebody who tidied the socket away is answered again; another daemon's is left alone.
#[tokio::test]
async fn a_socket_that_was_removed_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let path = paths.socket();
    let open = || Socket::open(paths.clone(), Home::default());
    let mut socket = open().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    socket.restore().await;
    UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let others = open().await.unwrap();
    socket.restore().await;
    drop(socket);
    UnixStream::connect(&path).await.unwrap();
    drop(others);
    assert!(!path.exists());
}

#[test]
fn users_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let passwd = folder.path().join("passwd");
    std::fs::write(&passwd, "root:x:0:0::/root:/bin/sh\nana:x:1000:1000:::\n").unwrap();
    assert_eq!(user_name(&passwd, 1000), "ana");
    assert_eq!(user_name(&passwd, 7), "uid:7");
    assert_eq!(user_name(Path::new("/nonexistent"), 7), "uid:7");
}
