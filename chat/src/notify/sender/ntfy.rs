//! ntfy: plain text, with title, priority and tags as headers.

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use super::http::{Http, address, header};
use super::{SendError, text};
use crate::notify::templates::cut;
use crate::notify::{Ntfy, Outgoing, Severity, Templates};

/// Longer texts become files there.
const MOST: usize = 4_000;

pub(super) struct Sender {
    settings: Ntfy,
    url: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Ntfy, templates: Templates) -> Result<Self, SendError> {
        let mut url = address(&settings.url, None)?;
        url.path_segments_mut()
            .map_err(|()| SendError::Final("the address cannot be read".to_owned()))?
            .pop_if_empty()
            .push(settings.topic.expose());
        let mut secrets = vec![settings.topic.clone()];
        secrets.extend(settings.token.clone());
        Ok(Self {
            url,
            http: Http::new(secrets),
            settings,
            templates,
        })
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let said = self.templates.render("ntfy", message).await;
        let mut body = said;
        body.truncate(body.floor_char_boundary(MOST));
        let (priority, tags) = match (message.resolves, message.notice.severity) {
            (true, _) => ("3", "white_check_mark"),
            (false, Severity::Critical) => ("5", "rotating_light"),
            (false, Severity::Warning) => ("4", "warning"),
            (false, Severity::Info) => ("3", "information_source"),
        };
        let mut headers = HeaderMap::new();
        let title = crate::notify::templates::escape::line(&message.title());
        header(&mut headers, "Title", &words(&cut(&title, 200)))?;
        header(&mut headers, "Priority", priority)?;
        let tags = format!("{tags},{}", message.notice.event);
        header(&mut headers, "Tags", &tags)?;
        if let Some((_, url)) = text::links(&message.notice).next() {
            header(&mut headers, "Click", url)?;
        }
        if let Some(token) = &self.settings.token {
            let bearer = format!("Bearer {}", token.expose());
            header(&mut headers, "Authorization", &bearer)?;
        }
        let body = text::filled(body).into_bytes();
        let answer = self.http.request(Method::POST, &self.url, headers, body);
        answer.await
    }
}

/// A header is ASCII; all else is an encoded word of RFC 2047, which holds 75 letters at most.
fn words(text: &str) -> String {
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if text.bytes().all(plain) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for letter in text.chars() {
        let mut bytes = [0; 4];
        let coded: String = letter
            .encode_utf8(&mut bytes)
            .bytes()
            .map(|byte| format!("={byte:02X}"))
            .collect();
        let coded = if letter.is_ascii_alphanumeric() {
            letter.to_string()
        } else {
            coded
        };
        if words
            .last()
            .is_some_and(|word| word.len() + coded.len() > 63)
        {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push_str(&coded);
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?Q?{word}?="))
        .collect();
    words.join(" ")
}
