//! A small HTTP listener, for platforms that knock instead of being asked.
//!
//! Anybody may knock: a body has a bound, a slow sender has no time, and there are never more
//! connections than a platform needs. What a request says, and whether it is the platform at
//! all, is the business of whoever listens. TLS is that of the proxy before it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most bytes of a body: a press brings the message it is under, which is some 100 KB.
const BODY: usize = 1 << 20;
/// Longest time for the head of a request, and for its body.
const HEAD: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at once.
const AT_ONCE: usize = 64;
/// After a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Whoever listens.
#[async_trait]
pub(crate) trait Listener: Send + Sync + 'static {
    /// What is answered to a POST. `body` is whole.
    async fn knock(&self, headers: &HeaderMap, body: &[u8]) -> Answer;
}

/// An answer to a knock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Option<Value>,
}

impl Answer {
    /// It is in good hands.
    pub(crate) fn ok() -> Self {
        Self::status(StatusCode::OK)
    }

    /// With a body.
    pub(crate) fn json(body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::ok()
        }
    }

    /// Not from the platform, or not of today. It is not said why.
    pub(crate) fn forbidden() -> Self {
        Self::status(StatusCode::FORBIDDEN)
    }

    /// It means nothing.
    pub(crate) fn bad() -> Self {
        Self::status(StatusCode::BAD_REQUEST)
    }

    /// Not now; it should come again.
    pub(crate) fn later() -> Self {
        Self::status(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn status(status: StatusCode) -> Self {
        Self { status, body: None }
    }
}

/// An open door. Dropped, nobody listens any more.
#[derive(Debug)]
pub(crate) struct Hook {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Hook {
    /// Listens at this address.
    ///
    /// # Errors
    /// When somebody else does, or it is no address of this machine.
    pub(crate) async fn open(address: SocketAddr, listener: Arc<dyn Listener>) -> io::Result<Self> {
        let door = TcpListener::bind(address).await?;
        let address = door.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(serve(door, listener));
        Ok(Self {
            address,
            _task: task,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(door: TcpListener, listener: Arc<dyn Listener>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut guests = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        while guests.try_join_next().is_some() {}
        match door.accept().await {
            Ok((stream, _)) => {
                let listener = Arc::clone(&listener);
                guests.spawn(async move {
                    receive(stream, listener).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn receive(stream: TcpStream, listener: Arc<dyn Listener>) {
    let service = service_fn(|request| {
        let listener = Arc::clone(&listener);
        async move { Ok::<_, Infallible>(answered(request, listener.as_ref()).await) }
    });
    // Whoever breaks off, or speaks no HTTP, is told by the library, if at all.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // One request each, so that nobody holds a place for good.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answered(request: Request<Incoming>, listener: &dyn Listener) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return response(Answer::status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let (head, body) = request.into_parts();
    let whole = Limited::new(body, BODY).collect();
    let answer = match tokio::time::timeout(PATIENCE, whole).await {
        Ok(Ok(body)) => listener.knock(&head.headers, &body.to_bytes()).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Answer::status(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Answer::bad(),
        Err(_) => Answer::status(StatusCode::REQUEST_TIMEOUT),
    };
    response(answer)
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let bytes = answer.body.map(|body| Bytes::from(body.to_string()));
    let mut response = Response::new(Full::new(bytes.clone().unwrap_or_default()));
    *response.status_mut() = answer.status;
    if bytes.is_some() {
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Echo;

    #[async_trait]
    impl Listener for Echo {
        async fn knock(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
            Answer::json(json!({ "bytes": body.len(), "heads": headers.len() }))
        }
    }

    async fn said(hook: &Hook, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(hook.address()).await.unwrap();
        // A server that has heard enough closes before all of it is written.
        let _ = stream.write_all(request).await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn only_whole_and_short_posts_are_heard() {
        let here = "127.0.0.1:0".parse().unwrap();
        let hook = Hook::open(here, Arc::new(Echo)).await.unwrap();
        let head = "Host: x\r\nConnection: close\r\n";
        let post =
            |length: usize| format!("POST / HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n");
        let good = said(&hook, format!("{}abc", post(3)).as_bytes()).await;
        assert!(good.starts_with("HTTP/1.1 200"), "{good}");
        assert!(good.ends_with(r#"{"bytes":3,"heads":3}"#), "{good}");
        let get = said(&hook, format!("GET / HTTP/1.1\r\n{head}\r\n").as_bytes()).await;
        assert!(get.starts_with("HTTP/1.1 405"), "{get}");
        let long = [post(BODY + 1).into_bytes(), vec![b'x'; BODY + 1]].concat();
        let long = said(&hook, &long).await;
        assert!(
            long.is_empty() || long.starts_with("HTTP/1.1 413"),
            "{long}"
        );
        let none = said(&hook, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").await;
        assert!(
            none.is_empty() || none.starts_with("HTTP/1.1 400"),
            "{none}"
        );
        let again = said(&hook, format!("{}abc", post(3)).as_bytes()).await;
        assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    }

    #[tokio::test]
    async fn a_closed_door_is_closed() {
        let here = "127.0.0.1:0".parse().unwrap();
        let hook = Hook::open(here, Arc::new(Echo)).await.unwrap();
        let address = hook.address();
        let taken = Hook::open(address, Arc::new(Echo)).await;
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(hook);
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
