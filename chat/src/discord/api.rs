//! One call of the REST API: a request there, its answer back.
//!
//! What is sent is typed by `twilight-model` or here; it goes over the one HTTP client of the
//! workspace, so that no second TLS stack comes with it.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use supervisor::config::is_here;
use supervisor::secret::{Secret, masked};
use tokio::sync::OnceCell;

use super::failure::{Failure, Refusal, seconds};
use super::flow::{Flow, Left};
use super::settings::is_id;
use super::wire::Application;
use super::{Settings, SettingsError};
use crate::Document;
use crate::http;

/// The version of the API whose shapes these are.
const VERSION: u8 = 10;
/// Longest time until the connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time of a call.
const CALL: Duration = Duration::from_secs(20);
/// Longest time of an acknowledgement: Discord waits three seconds for it.
pub(super) const ACKNOWLEDGE: Duration = Duration::from_secs(3);
/// Longest time for a file.
const UPLOAD: Duration = Duration::from_secs(120);
/// Most bytes of an answer: a message with its embed has some 20 KiB.
const ANSWER: usize = 4 << 20;
/// Most characters of an error that are told.
const TOLD: usize = 300;
/// How often something is sent that Discord wants slower.
const TRIES: usize = 3;

/// The way to one bot.
pub(super) struct Api {
    client: Client,
    base: String,
    token: Secret,
    flow: Flow,
    application: OnceCell<String>,
}

/// Where a request goes.
pub(super) struct Route {
    method: Method,
    path: String,
    /// Nothing but the address says who asks: the token of an interaction stands in it.
    bare: bool,
}

impl Route {
    /// One that the bot asks with its own token.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        let (path, bare) = (path.into(), false);
        Self { method, path, bare }
    }

    /// One that an interaction's token is enough for.
    pub(super) fn bare(method: Method, path: impl Into<String>) -> Self {
        let (path, bare) = (path.into(), true);
        Self { method, path, bare }
    }

    /// What Discord counts together, as far as one can know: the method, and the path up to a
    /// message.
    fn counted(&self) -> String {
        let path = self.path.split("/messages/").next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

impl Api {
    /// The way to the bot of these settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        // Already done in the daemon; a client without one cannot be made.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            // The token travels with every request; a redirect would carry it elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            // Discord asks for this form, and turns away what names no address.
            .user_agent(concat!(
                "DiscordBot (",
                env!("CARGO_PKG_REPOSITORY"),
                ", ",
                env!("CARGO_PKG_VERSION"),
                ") mhost"
            ));
        if is_here(&settings.base_url) {
            builder = builder.no_proxy();
        }
        let client = builder.build();
        Ok(Self {
            client: client.map_err(|error| SettingsError::Client(http::root(&error)))?,
            base: settings.base_url.trim_end_matches('/').to_owned(),
            token: settings.token.clone(),
            flow: Flow::new(),
            application: OnceCell::new_with(settings.application_id.clone()),
        })
    }

    /// Is the server on this machine?
    pub(super) fn is_here(&self) -> bool {
        is_here(&self.base)
    }

    /// The token, for the gateway.
    pub(super) fn token(&self) -> &Secret {
        &self.token
    }

    /// The id of the application, which Discord is asked for once if nobody has said it.
    pub(super) async fn application(&self) -> Result<&str, Failure> {
        let asked = || async {
            let one: Application = self.get("/applications/@me").await?;
            // It becomes a part of addresses.
            match is_id(&one.id) {
                true => Ok(one.id),
                false => Err(Failure::unanswered("the application has no id".into())),
            }
        };
        self.application
            .get_or_try_init(asked)
            .await
            .map(String::as_str)
    }

    /// Asks, and reads what comes back.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let route = Route::new(Method::GET, path);
        self.paced(&route, |request| request.timeout(CALL)).await
    }

    /// Sends a body, and reads what comes back.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        route: &Route,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.paced(route, |request| request.json(body).timeout(CALL))
            .await
    }

    /// Sends a body with a file: the one request that is no JSON.
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        route: &Route,
        body: &impl Serialize,
        file: &Document,
    ) -> Result<T, Failure> {
        let body = serde_json::to_string(body);
        let body = body.map_err(|error| Failure::unanswered(error.to_string()))?;
        let form = || {
            let part = Part::text(file.text.clone()).file_name(file.name.clone());
            // JSON and a text need no other type than they have.
            Form::new()
                .text("payload_json", body.clone())
                .part("files[0]", part)
        };
        self.paced(route, |request| request.multipart(form()).timeout(UPLOAD))
            .await
    }

    /// Takes something away.
    pub(super) async fn delete(&self, route: &Route) -> Result<(), Failure> {
        self.tell(route, |request| request.timeout(CALL)).await
    }

    /// Acknowledges an interaction. It is counted with nothing else, so it never waits.
    pub(super) async fn acknowledge(
        &self,
        route: &Route,
        body: &impl Serialize,
    ) -> Result<(), Failure> {
        let request = self.request(route).json(body).timeout(ACKNOWLEDGE);
        self.run(request).await.0.map(drop)
    }

    async fn paced<T: DeserializeOwned>(
        &self,
        route: &Route,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<T, Failure> {
        let bytes = self.bytes(route, fill).await?;
        // A success that cannot be read says no more than a server in trouble.
        serde_json::from_slice(&bytes)
            .map_err(|_| Failure::unanswered("the answer is not what Discord's is".into()))
    }

    async fn tell(
        &self,
        route: &Route,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(), Failure> {
        self.bytes(route, fill).await.map(drop)
    }

    /// Sends it as fast as Discord wants it, and again where it was too fast.
    async fn bytes(
        &self,
        route: &Route,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Vec<u8>, Failure> {
        let counted = route.counted();
        let mut tries = 0;
        loop {
            self.flow.admit(&counted).await?;
            let (answer, left) = self.run(fill(self.request(route))).await;
            if let Some(left) = left {
                self.flow.left(&counted, left);
            }
            let failure = match answer {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => failure,
            };
            tries += 1;
            let Some(wait) = failure.wait() else {
                return Err(failure);
            };
            self.flow.hold(&counted, wait, failure.global);
            if tries >= TRIES {
                return Err(failure);
            }
        }
    }

    fn request(&self, route: &Route) -> RequestBuilder {
        let url = format!("{}/v{VERSION}{}", self.base, route.path);
        let request = self.client.request(route.method.clone(), url);
        if route.bare {
            return request;
        }
        let value = format!("Bot {}", self.token.expose());
        match HeaderValue::from_str(&value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            // The settings let no such token through.
            Err(_) => request,
        }
    }

    async fn run(&self, request: RequestBuilder) -> (Result<Vec<u8>, Failure>, Option<Left>) {
        let unanswered = |text: &str| Failure::unanswered(self.told(text));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return (Err(unanswered(&http::root(&error))), None),
        };
        let status = response.status().as_u16();
        let said = header(&response, "retry-after").and_then(seconds);
        let left = Left::of(
            header(&response, "x-ratelimit-remaining"),
            header(&response, "x-ratelimit-reset-after"),
        );
        let bytes = match http::whole(response, ANSWER).await {
            Ok(bytes) => bytes,
            Err(error) => return (Err(unanswered(&error)), left),
        };
        if (200..300).contains(&status) {
            return (Ok(bytes), left);
        }
        // What stands before Discord answers without JSON.
        let refusal: Refusal = serde_json::from_slice(&bytes).unwrap_or_default();
        let mut text = match refusal.message.as_str() {
            "" => format!("status {status}"),
            message => message.to_owned(),
        };
        if let Some(errors) = &refusal.errors {
            text = format!("{text}: {errors}");
        }
        let failure = Failure {
            status: Some(status),
            code: refusal.code,
            text: self.told(&text),
            after: refusal.retry_after.and_then(seconds).or(said),
            global: refusal.global,
        };
        (Err(failure), left)
    }

    /// A text from outside, short, in one line and without the token.
    pub(super) fn told(&self, text: &str) -> String {
        let text = masked(text.to_owned(), std::slice::from_ref(&self.token));
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        text.chars().map(plain).take(TOLD).collect()
    }
}

fn header(response: &Response, name: &str) -> Option<f64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}
