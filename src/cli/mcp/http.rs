//! Listening on loopback, for whoever knows the token.
//!
//! A page in a browser on the same machine must not get in: each request needs the token, a
//! `Host` that is ours, and no `Origin` of a page. Who comes when all places are taken is told
//! so.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::bridge::Bridge;
use super::sessions::{MOST, Sessions, with_refusal};
use super::token::Token;
use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Where it is served.
const PATH: &str = "/mcp";
/// Longest body of a request, in bytes.
const BODY: usize = 1024 * 1024;
/// How long open connections may take to end.
const LEAVING: Duration = Duration::from_secs(2);

/// Serves until somebody ends the program.
pub(super) async fn serve(
    ctx: &Context,
    address: SocketAddr,
    bridge: Bridge,
) -> Result<(), CliError> {
    let token = Token::of(&ctx.paths()?)?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CliError::failure(format!("cannot listen on {address}: {error}"))
            .with_help("choose another port, 0 for any: mhost mcp --http 127.0.0.1:0")
    })?;
    let bound = listener
        .local_addr()
        .map_err(|error| CliError::failure(format!("cannot listen on {address}: {error}")))?;
    ctx.output.note(&format!("Serving on http://{bound}{PATH}"));
    ctx.output.note(&format!(
        "Send the header `Authorization: Bearer <token>`; the token is in {}",
        token.path().display()
    ));
    let ending = CancellationToken::new();
    let ends = {
        let ending = ending.clone();
        async move {
            end_signal().await;
            ending.cancel();
        }
    };
    let routes = routes(bridge, token, bound, ending.clone());
    let served = axum::serve(listener, routes).with_graceful_shutdown(ends);
    let late = async {
        ending.cancelled().await;
        tokio::time::sleep(LEAVING).await;
    };
    tokio::select! {
        served = served.into_future() => {
            served.map_err(|error| CliError::failure(format!("serving ended: {error}")))
        }
        // A client that holds its stream keeps nobody from leaving.
        () = late => Ok(()),
    }
}

fn routes(bridge: Bridge, token: Token, bound: SocketAddr, ending: CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts(bound))
        .enforce_origin_validation()
        .with_max_request_body_bytes(BODY)
        .with_cancellation_token(ending);
    // A session that nobody uses ends after five minutes.
    let sessions = Arc::new(Sessions::default());
    let service = StreamableHttpService::new(move || Ok(bridge.fresh()), sessions, config);
    Router::new()
        .route_service(PATH, service)
        .layer(from_fn(told_when_full))
        .layer(from_fn_with_state(Arc::new(token), known))
}

/// The names under which this address may be called.
fn hosts(bound: SocketAddr) -> [String; 3] {
    let port = bound.port();
    [
        bound.to_string(),
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
    ]
}

/// Lets in who knows the token.
async fn known(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    let sent = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if sent.is_some_and(|sent| token.is(sent)) {
        return next.run(request).await;
    }
    let mut refusal = (
        StatusCode::UNAUTHORIZED,
        "this needs the header `Authorization: Bearer <token>`; `mhost mcp --http` says where the token is\n",
    )
        .into_response();
    let scheme = header::HeaderValue::from_static("Bearer");
    refusal
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    refusal
}

/// Says that there is no room for one more agent, and what to do.
async fn told_when_full(request: Request, next: Next) -> Response {
    let (answer, refused) = with_refusal(next.run(request)).await;
    if !refused {
        return answer;
    }
    let why = format!(
        "{MOST} agents are connected, and there is no room for more: end one, or try again later; \
         a session ends when it was not used for five minutes\n"
    );
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "60")],
        why,
    )
        .into_response()
}

/// Somebody presses Ctrl-C, or asks for an orderly end.
async fn end_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Then Ctrl-C and the default action of the other are left.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
