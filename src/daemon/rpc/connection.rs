//! One connection: reads lines, runs what they ask side by side, writes the answers.
//!
//! ```text
//!   lines ──► request task ─┐
//!         ──► request task ─┼─► queue ──► writer task
//!             streams ──────┘
//! ```
//!
//! A request that has begun is finished, also when the client is gone. A client that reads
//! slowly fills its own queue and then is not read from any more; nobody else notices.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use supervisor::{Caller, Control};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, FramedRead};
use tokio_util::sync::CancellationToken;

use super::Server;
use super::message::{Call, Incoming, MAX_LINE, Malformed, RpcError, answer, notification};
use super::params::{Params, TargetText};
use super::subscription::{self, Sink};
use super::{definition, logs, method};
use crate::daemon::hearer::{self, Part};

/// Requests of one connection that run at the same time.
const IN_FLIGHT: usize = 64;
/// Answers of one connection that wait for the client to read.
const QUEUE: usize = 16;

/// What the tasks of one connection share.
struct Connection {
    server: Arc<Server>,
    principal: String,
    out: mpsc::Sender<Vec<u8>>,
    streams: Mutex<Streams>,
    cancel: CancellationToken,
}

#[derive(Default)]
struct Streams {
    count: u64,
    open: HashMap<String, CancellationToken>,
}

/// A stream that begins once its subscription has been answered.
type Begin = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one client until it hangs up or the server ends.
pub(super) async fn serve(server: Arc<Server>, stream: UnixStream, principal: String) {
    let (read, write) = stream.into_split();
    let (out, queue) = mpsc::channel(QUEUE);
    server.tasks.spawn("rpc writer", write_lines(write, queue));
    let cancel = server.tasks.token().child_token();
    let connection = Arc::new(Connection {
        server,
        principal,
        out,
        streams: Mutex::default(),
        cancel: cancel.clone(),
    });
    let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), MAX_LINE);
    let mut frames = FramedRead::new(read, codec);
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut after_error = false;
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            break;
        };
        let frame = tokio::select! {
            () = cancel.cancelled() => break,
            frame = frames.next() => frame,
        };
        match frame {
            Some(Ok(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
            Some(Ok(line)) => {
                let (tasks, connection) = (connection.server.tasks.clone(), connection.clone());
                tasks.spawn("rpc request", async move {
                    connection.handle(Incoming::read(&line)).await;
                    drop(permit);
                });
            }
            Some(Err(AnyDelimiterCodecError::MaxChunkLengthExceeded)) => {
                after_error = true;
                let error = RpcError::invalid_request("the line is longer than 16 MB");
                connection.send(answer(&Value::Null, Err(error))).await;
            }
            Some(Err(AnyDelimiterCodecError::Io(_))) => break,
            // After an error the stream pauses once and then goes on behind the bad line.
            None if after_error => after_error = false,
            None => break,
        }
    }
    // Ends the streams. Requests in flight still answer: they hold the queue open.
    cancel.cancel();
}

async fn write_lines(mut write: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(text) = queue.recv().await {
        if write.write_all(&text).await.is_err() {
            return;
        }
    }
}

impl Connection {
    async fn send(&self, message: String) {
        let mut line = message.into_bytes();
        line.push(b'\n');
        // An error means that the client is gone.
        let _ = self.out.send(line).await;
    }

    async fn handle(self: Arc<Self>, incoming: Incoming) {
        let mut begins = Vec::new();
        match incoming {
            Incoming::One(call) => {
                let (answer, begin) = self.answer(call).await;
                if let Some(answer) = answer {
                    self.send(answer).await;
                }
                begins.extend(begin);
            }
            Incoming::Batch(calls) => {
                let done = join_all(calls.into_iter().map(|call| self.answer(call))).await;
                let (answers, streams): (Vec<_>, Vec<_>) = done.into_iter().unzip();
                let answers: Vec<String> = answers.into_iter().flatten().collect();
                if !answers.is_empty() {
                    self.send(format!("[{}]", answers.join(","))).await;
                }
                begins.extend(streams.into_iter().flatten());
            }
        }
        for begin in begins {
            self.server.tasks.spawn("rpc stream", begin);
        }
    }

    /// The answer, and the stream that follows it. A notification has neither.
    async fn answer(
        self: &Arc<Self>,
        call: Result<Call, Malformed>,
    ) -> (Option<String>, Option<Begin>) {
        let call = match call {
            Ok(call) => call,
            Err(Malformed { id, error }) => return (Some(answer(&id, Err(*error))), None),
        };
        let id = call.id.clone();
        match (self.perform(call).await, id) {
            (_, None) => (None, None),
            (Ok((result, begin)), Some(id)) => (Some(answer(&id, Ok(result))), begin),
            (Err(error), Some(id)) => (Some(answer(&id, Err(error))), None),
        }
    }

    async fn perform(
        self: &Arc<Self>,
        mut call: Call,
    ) -> Result<(String, Option<Begin>), RpcError> {
        let caller = Caller::local(self.principal.clone(), call.via);
        let caller = match call.role {
            Some(role) => caller.at_most(role),
            None => caller,
        };
        let name = method::canonical(&call.method);
        match name {
            "logs.stream" => self.open_logs(&caller, name, call.params).await,
            "events.stream" => self.open_events(&caller, name, call.params).await,
            "logs.unsubscribe" | "events.unsubscribe" => self.unsubscribe(name, call.params),
            _ => {
                let gate = &self.server.gate;
                let port = gate.announced_method(name).await;
                let listens = port.is_some_and(|port| port.streams)
                    && call.params.remove("stream") == Some(Value::Bool(true))
                    && call.id.is_some();
                let id = call.id.clone();
                let request = if definition::is_one(&call.params) {
                    // It reads files, which may lie on a slow disk.
                    let name = name.to_owned();
                    let read = move || method::request(&name, call.params, port);
                    let read = tokio::task::spawn_blocking(read).await;
                    read.map_err(|error| RpcError::internal(error.to_string()))??
                } else {
                    method::request(name, call.params, port)?
                };
                let reply = if listens {
                    let id = id.unwrap_or_default();
                    hearer::heard(gate.call(&caller, request), |parts| self.tell(&id, parts))
                        .await?
                } else {
                    gate.call(&caller, request).await?
                };
                Ok((method::result(name, &reply)?, None))
            }
        }
    }

    /// Tells parts of an answer before it is whole.
    async fn tell(&self, id: &Value, parts: Vec<Part>) {
        for part in parts {
            let part = match part {
                Part::Local(found) => json!({ "request": id, "local": found }),
                Part::Text(text) => json!({ "request": id, "text": text }),
                Part::LookUp(what) => json!({ "request": id, "lookup": what }),
            };
            self.send(notification("answer.part", part).to_string())
                .await;
        }
    }

    async fn open_logs(
        self: &Arc<Self>,
        caller: &Caller,
        method: &str,
        values: Map<String, Value>,
    ) -> Result<(String, Option<Begin>), RpcError> {
        let query = logs::query(Params { method, values })?;
        let mut grew = self.server.grew.clone();
        grew.mark_unchanged();
        let gate = self.server.gate.clone();
        let page = subscription::open(&gate, caller, &query).await?;
        let sink = self.subscribe();
        let subscription = sink.subscription.clone();
        let stream = subscription::logs(gate, caller.clone(), query, page, grew, sink);
        Ok((
            json!({ "subscription": subscription }).to_string(),
            Some(Box::pin(stream)),
        ))
    }

    async fn open_events(
        self: &Arc<Self>,
        caller: &Caller,
        method: &str,
        values: Map<String, Value>,
    ) -> Result<(String, Option<Begin>), RpcError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Filter {
            name: Option<TargetText>,
        }
        let filter: Filter = Params { method, values }.read()?;
        let receiver = self.server.gate.watch(caller)?;
        let processes = match filter.name {
            None => None,
            Some(name) => {
                let instances = self.server.gate.resolve(&name.0).await?;
                Some(instances.into_iter().map(|id| id.process).collect())
            }
        };
        let sink = self.subscribe();
        let subscription = sink.subscription.clone();
        let stream = subscription::events(receiver, processes, sink);
        Ok((
            json!({ "subscription": subscription }).to_string(),
            Some(Box::pin(stream)),
        ))
    }

    fn subscribe(&self) -> Sink {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.count += 1;
        let subscription = format!("s{}", streams.count);
        let cancel = self.cancel.child_token();
        streams.open.insert(subscription.clone(), cancel.clone());
        Sink {
            subscription,
            out: self.out.clone(),
            cancel,
        }
    }

    fn unsubscribe(
        &self,
        method: &str,
        values: Map<String, Value>,
    ) -> Result<(String, Option<Begin>), RpcError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Which {
            subscription: String,
        }
        let which: Which = Params { method, values }.read()?;
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        match streams.open.remove(&which.subscription) {
            Some(cancel) => {
                cancel.cancel();
                Ok(("{}".to_owned(), None))
            }
            None => Err(RpcError::bad_params(format!(
                "{method}: this connection has no subscription `{}`",
                which.subscription
            ))),
        }
    }
}

/// Tells a client why it is not served, and hangs up.
pub(super) async fn refuse(mut stream: UnixStream, error: RpcError) {
    let mut line = answer(&Value::Null, Err(error)).into_bytes();
    line.push(b'\n');
    // The client may be gone already.
    let _ = stream.write_all(&line).await;
}
