//! The page that Prometheus reads: whether it is served, where, and by whom.
//!
//! What `mhost metrics start` and `stop` said last counts, also for the next daemon; without
//! that the settings do. Connections are few and short, so that nobody can hold the daemon
//! up: at most [`CONNECTIONS`] at a time, each for one page and [`PATIENCE`] at most.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use serde::{Deserialize, Serialize};
use supervisor::Tasks;
use supervisor::config::{DaemonConfig, MetricsConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::collect::Collector;
use super::exposition;

/// Connections at a time. Further ones wait in the kernel.
const CONNECTIONS: usize = 16;
/// How long a connection may take from its first to its last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// Asks for the durations of probes in milliseconds, too.
const WITH_MS: &str = "with=ms";
/// How long to wait when the address is taken.
const RETRY: Duration = Duration::from_secs(30);
/// How long to wait when no connection could be taken, such as without descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// What somebody asked for last, kept in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Switch {
    /// Where to listen; absent: not at all.
    listen: Option<SocketAddr>,
}

/// Serves the page, or does not. Clones are the same.
#[derive(Clone)]
pub(crate) struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    collector: Arc<Collector>,
    settings: watch::Receiver<Arc<DaemonConfig>>,
    switch: PathBuf,
    tasks: Tasks,
    serving: Mutex<Option<Serving>>,
}

struct Serving {
    wanted: SocketAddr,
    bound: SocketAddr,
    path: String,
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    /// Serves what the settings and the last command say, and follows the settings.
    pub(crate) fn start(
        collector: Arc<Collector>,
        settings: watch::Receiver<Arc<DaemonConfig>>,
        switch: PathBuf,
        tasks: &Tasks,
    ) -> Self {
        let endpoint = Self {
            shared: Arc::new(Shared {
                collector,
                settings: settings.clone(),
                switch,
                tasks: tasks.clone(),
                serving: Mutex::default(),
            }),
        };
        let (task, mut settings, cancel) = (endpoint.clone(), settings, tasks.token());
        tasks.spawn("metrics settings", async move {
            loop {
                let served = task.follow().await;
                tokio::select! {
                    () = cancel.cancelled() => break,
                    changed = settings.changed() => if changed.is_err() { break },
                    () = tokio::time::sleep(RETRY), if !served => {}
                }
            }
            task.serve(None).await.ok();
        });
        endpoint
    }

    /// Listens from now on, where the settings say or at `listen`. Answers the address of
    /// the page.
    pub(crate) async fn switch_on(&self, listen: Option<SocketAddr>) -> io::Result<String> {
        let listen = match listen {
            Some(listen) => listen,
            None => address(&self.settings())?,
        };
        let url = self.serve(Some(listen)).await?.unwrap_or_default();
        self.remember(Some(listen)).await;
        Ok(url)
    }

    /// Does not listen any more. Answers whether it did.
    pub(crate) async fn switch_off(&self) -> bool {
        let was = self.shared.serving.lock().await.is_some();
        self.serve(None).await.ok();
        self.remember(None).await;
        was
    }

    fn settings(&self) -> MetricsConfig {
        self.shared.settings.borrow().metrics.clone()
    }

    async fn remember(&self, listen: Option<SocketAddr>) {
        let path = self.shared.switch.clone();
        let written = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_string(&Switch { listen })?;
            let new = path.with_extension("json.new");
            std::fs::write(&new, text)?;
            std::fs::rename(&new, &path)
        });
        if let Ok(Err(error)) = written.await {
            warn!(%error, "The next daemon will not know where to serve metrics.");
        }
    }

    /// Does what the last command said, else what the settings say. Answers whether it could.
    async fn follow(&self) -> bool {
        let path = self.shared.switch.clone();
        let switch = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let switch = switch
            .ok()
            .and_then(Result::ok)
            .and_then(|text| serde_json::from_str::<Switch>(&text).ok());
        let settings = self.settings();
        let wanted = match switch {
            Some(switch) => Ok(switch.listen),
            None if settings.enabled => address(&settings).map(Some),
            None => Ok(None),
        };
        let served = match wanted {
            Ok(wanted) => self.serve(wanted).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = &served {
            warn!(%error, "Metrics cannot be served; it is tried again.");
        }
        served.is_ok()
    }

    /// Serves at this address or nowhere, and answers the address of the page.
    async fn serve(&self, wanted: Option<SocketAddr>) -> io::Result<Option<String>> {
        let path = self.settings().path;
        let mut serving = self.shared.serving.lock().await;
        if let Some(now) = &*serving
            && Some(now.wanted) == wanted
            && now.path == path
            && !now.done.is_finished()
        {
            return Ok(Some(url(now.bound, &path)));
        }
        // The new one first, so that a wrong address leaves the old one as it is. The same
        // address cannot be bound twice, so then the old one ends before.
        let same = serving
            .as_ref()
            .is_some_and(|now| Some(now.wanted) == wanted);
        if same && let Some(now) = serving.take() {
            now.end().await;
        }
        let bound = match wanted {
            Some(wanted) => Some((wanted, TcpListener::bind(wanted).await?)),
            None => None,
        };
        if let Some(now) = serving.take() {
            now.end().await;
            info!("Metrics are not served any more.");
        }
        let Some((wanted, listener)) = bound else {
            return Ok(None);
        };
        let bound = listener.local_addr()?;
        let url = url(bound, &path);
        let stop = self.shared.tasks.token().child_token();
        let page = Page {
            collector: self.shared.collector.clone(),
            path: path.clone(),
        };
        let router = Router::new().fallback(answer).with_state(Arc::new(page));
        let server = axum::serve(Bounded::new(listener), router)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let done = self.shared.tasks.spawn("metrics endpoint", async move {
            // It cannot fail: see its documentation.
            let _ = server.await;
        });
        info!(url, "Metrics are served.");
        *serving = Some(Serving {
            wanted,
            bound,
            path,
            stop,
            done,
        });
        Ok(Some(url))
    }
}

impl Serving {
    async fn end(self) {
        self.stop.cancel();
        // Connections end after their patience at the latest.
        let _ = self.done.await;
    }
}

fn address(settings: &MetricsConfig) -> io::Result<SocketAddr> {
    let ip = settings.bind.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` is not an IP address", settings.bind),
        )
    })?;
    Ok(SocketAddr::new(ip, settings.port))
}

fn url(bound: SocketAddr, path: &str) -> String {
    format!("http://{bound}{path}")
}

struct Page {
    collector: Arc<Collector>,
    path: String,
}

async fn answer(State(page): State<Arc<Page>>, request: Request) -> Response {
    let head = request.method() == Method::HEAD;
    let mut response = if request.uri().path() != page.path {
        let text = format!("metrics are at {}\n", page.path);
        (StatusCode::NOT_FOUND, text).into_response()
    } else if request.method() == Method::GET || head {
        let with_ms = request.uri().query() == Some(WITH_MS);
        let text = page.collector.page(with_ms).await;
        ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response()
    } else {
        StatusCode::METHOD_NOT_ALLOWED.into_response()
    };
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Takes few connections at a time.
struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Bounded {
    fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }
}

impl Listener for Bounded {
    type Io = Hasty;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Hasty, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                // Nobody closes it.
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    let hasty = Hasty {
                        stream,
                        end: Box::pin(tokio::time::sleep(PATIENCE)),
                        _place: place,
                    };
                    return (hasty, from);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends after its time, whatever the other side does.
struct Hasty {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Hasty {
    fn is_over(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Hasty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Hasty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
