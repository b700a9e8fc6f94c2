//! Asks a URL.
//!
//! Two clients serve all probes of the daemon: one checks certificates against the system's
//! roots, the other does not look at them and also serves `http://`, so that the roots are
//! only loaded once somebody needs them. Redirects are answers, proxy variables are ignored
//! and every attempt opens its own connection, since an old one proves nothing.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use reqwest::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Body, Client, Method, Response, Url};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::tracker::{Outcome, is_ours};
use crate::spec::{ExpectedCode, HttpProbe};

/// Who asks.
const AGENT: &str = concat!("mhost/", env!("CARGO_PKG_VERSION"));

/// Most of a body that is searched for `body_contains`.
const MAX_BODY: usize = 64 << 10;

/// Most of a body that is kept.
pub(super) const MAX_OUTPUT: usize = 512;

/// How long a body is waited for when it is only wanted for the history.
const OUTPUT_WAIT: Duration = Duration::from_millis(200);

/// Longest error text that is passed on.
const MAX_ERROR: usize = 200;

#[derive(Debug)]
pub(super) struct HttpCheck {
    request: Result<Box<Request>, String>,
    expected: ExpectedCode,
    body_contains: Option<String>,
    insecure: bool,
}

#[derive(Debug)]
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
}

impl HttpCheck {
    /// `expand` fills in what differs per instance.
    pub(super) fn new(probe: &HttpProbe, expand: impl Fn(&str) -> String) -> Self {
        Self {
            request: request(probe, &expand),
            expected: probe.expected_code.clone(),
            body_contains: probe.body_contains.as_deref().map(&expand),
            insecure: probe.insecure,
        }
    }

    pub(super) async fn run(&self) -> Outcome {
        let request = match &self.request {
            Ok(request) => request,
            Err(error) => return Outcome::fail(error),
        };
        let client = if self.insecure || request.url.scheme() == "http" {
            unverified()
        } else {
            verifying().await
        };
        let client = match client {
            Ok(client) => client,
            Err(error) => return Outcome::fail(error),
        };
        let sent = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .send()
            .await;
        match sent {
            Ok(response) => self.judge(response).await,
            Err(error) if is_our_fault(&error) => Outcome::unmade(describe(&error)),
            Err(error) => Outcome::fail(describe(&error)),
        }
    }

    /// Whom it asks, if it can ask on a connection that somebody else has opened: in the clear
    /// and without a password.
    pub(super) fn place(&self) -> Option<(String, u16)> {
        let url = &self.request.as_ref().ok()?.url;
        let is_plain = url.scheme() == "http" && url.username().is_empty();
        let host = url.host_str().filter(|_| is_plain)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), url.port_or_known_default()?))
    }

    /// Asks on a connection that is open.
    pub(super) async fn run_on(&self, stream: TcpStream) -> Outcome {
        let request = match &self.request {
            Ok(request) => request.on_its_own(),
            Err(error) => Err(error.clone()),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return Outcome::fail(error),
        };
        let opened = handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = match opened {
            Ok(opened) => opened,
            Err(error) => return Outcome::fail(cut(&error.to_string())),
        };
        let asked = async {
            match sender.send_request(request).await {
                Ok(response) => self.judge(response.map(Body::wrap).into()).await,
                Err(error) => Outcome::fail(cut(&root_text(&error))),
            }
        };
        tokio::pin!(asked);
        tokio::select! {
            outcome = &mut asked => outcome,
            // What it had to say is there already.
            _ = connection => asked.await,
        }
    }

    async fn judge(&self, mut response: Response) -> Outcome {
        let status = response.status().as_u16();
        if !self.expected.accepts(status) {
            let mut body = Vec::new();
            // A body that does not come changes nothing about the status.
            let _ =
                tokio::time::timeout(OUTPUT_WAIT, fill(&mut response, &mut body, MAX_OUTPUT)).await;
            return Outcome::fail(format!("status {status}")).with_output(head(&body));
        }
        let Some(wanted) = &self.body_contains else {
            return Outcome::pass();
        };
        let mut body = Vec::new();
        if let Err(error) = fill(&mut response, &mut body, MAX_BODY).await {
            return Outcome::fail(describe(&error)).with_output(head(&body));
        }
        let found = memchr::memmem::find(&body, wanted.as_bytes()).is_some();
        match found {
            true => Outcome::pass(),
            false => Outcome::fail(cut(&format!("body does not contain `{wanted}`"))),
        }
        .with_output(head(&body))
    }
}

impl Request {
    /// As it is sent on a connection that serves it alone.
    fn on_its_own(&self) -> Result<hyper::Request<String>, String> {
        let (url, host) = (&self.url, self.url.host_str().unwrap_or_default());
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(target)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "*/*")
            .body(String::new())
            .map_err(|error| error.to_string())?;
        request.headers_mut().extend(self.headers.clone());
        request
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }
}

fn request(probe: &HttpProbe, expand: &impl Fn(&str) -> String) -> Result<Box<Request>, String> {
    let text = expand(&probe.url);
    let url: Url = text.parse().map_err(|error| format!("url: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("url: it must start with http:// or https://".to_owned());
    }
    // `http://host:${PORT}/` with an unset PORT would silently ask port 80.
    let authority = text.split("://").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.ends_with(':') {
        return Err("url: the port is empty".to_owned());
    }
    let method = Method::from_bytes(probe.method.trim().to_ascii_uppercase().as_bytes())
        .map_err(|_| format!("`{}` is not a method", probe.method))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &probe.headers {
        let key: HeaderName = name
            .parse()
            .map_err(|_| format!("`{name}` is not a header name"))?;
        let value: HeaderValue = expand(value)
            .parse()
            .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        headers.append(key, value);
    }
    Ok(Box::new(Request {
        method,
        url,
        headers,
    }))
}

/// Reads until `body` holds `limit` bytes or the answer ends.
async fn fill(
    response: &mut Response,
    body: &mut Vec<u8>,
    limit: usize,
) -> Result<(), reqwest::Error> {
    while body.len() < limit {
        match response.chunk().await? {
            Some(chunk) => body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]),
            None => break,
        }
    }
    Ok(())
}

/// The start of some bytes as text.
pub(super) fn head(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_OUTPUT)]);
    // A replacement character takes three bytes.
    text[..text.floor_char_boundary(MAX_OUTPUT)].to_owned()
}

/// For `http://` and `insecure = true`. A failure is not kept here either.
fn unverified() -> Result<Client, String> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client.clone());
    }
    let client = build(|builder| builder.tls_danger_accept_invalid_certs(true))?;
    Ok(CLIENT.get_or_init(|| client).clone())
}

/// For `https://`. A failure is not kept: the certificates may be installed meanwhile.
async fn verifying() -> Result<Client, String> {
    static CLIENT: OnceCell<Client> = OnceCell::const_new();
    CLIENT
        .get_or_try_init(|| async {
            // Reading the system's certificates takes milliseconds.
            let built = tokio::task::spawn_blocking(|| build(|builder| builder)).await;
            built.map_err(|error| error.to_string()).flatten()
        })
        .await
        .cloned()
}

fn build(
    configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Client, String> {
    // Building a client panics without one. Err means that somebody installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The port of the URL takes the place of 0. Both families, without a look-up: a probe
    // of this machine must not wait for a resolver.
    let localhost: [SocketAddr; 2] = [
        (Ipv6Addr::LOCALHOST, 0).into(),
        (Ipv4Addr::LOCALHOST, 0).into(),
    ];
    let builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(AGENT)
        .resolve_to_addrs("localhost", &localhost);
    configure(builder)
        .build()
        .map_err(|error| match root_text(&error) {
            text if text.contains("No CA certificates") => {
                "tls: this system has no CA certificates; install ca-certificates".to_owned()
            }
            text => format!("tls: {text}"),
        })
}

/// Was it for want of a descriptor or of memory here?
fn is_our_fault(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(link) = cause {
        if link.downcast_ref::<io::Error>().is_some_and(is_ours) {
            return true;
        }
        cause = link.source();
    }
    false
}

/// A short word for what went wrong. It never holds the URL, which may hold a token.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timeout".to_owned();
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(link) = cause {
        if link.to_string().starts_with("dns error") {
            return cut(&format!("dns: {}", root_text(link)));
        }
        if let Some(tls) = link.downcast_ref::<rustls::Error>() {
            return cut(&format!("tls: {tls}"));
        }
        if let Some(io) = link.downcast_ref::<io::Error>() {
            return io_text(io);
        }
        cause = link.source();
    }
    cut(&root_text(error))
}

/// A short word for a failed connection.
pub(crate) fn io_text(error: &io::Error) -> String {
    // `io::Error::source` skips the error it wraps.
    if let Some(inner) = error.get_ref() {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return cut(&format!("tls: {tls}"));
        }
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io_text(io);
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset => "reset".to_owned(),
        io::ErrorKind::TimedOut => "timeout".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "unreachable".to_owned()
        }
        _ => cut(&error.to_string()),
    }
}

fn root_text(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_ERROR)].to_owned()
}
