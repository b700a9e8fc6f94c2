//! Slack's incoming webhooks, and `chat.postMessage` of an app: an attachment for the colour,
//! and blocks in it.
//!
//! Texts from outside are `plain_text` or `rich_text`, in which Slack reads no markup.

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use supervisor::secret::Secret;

use super::http::{Http, address, header};
use super::{SendError, text};
use crate::notify::templates::cut;
use crate::notify::templates::escape::entities;
use crate::notify::{Outgoing, Slack, Templates};

pub(super) struct Sender {
    channel: Option<String>,
    token: Option<Secret>,
    url: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Slack, templates: Templates) -> Result<Self, SendError> {
        let url = match settings.bot_token {
            Some(_) => "https://slack.com/api/chat.postMessage",
            None => settings.webhook_url.expose(),
        };
        Ok(Self {
            url: address(url, settings.base_url.as_deref())?,
            channel: settings.channel,
            http: Http::new(
                [settings.webhook_url]
                    .into_iter()
                    .chain(settings.bot_token.clone()),
            ),
            token: settings.bot_token,
            templates,
        })
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let said = self.templates.render("slack", message).await;
        let body = body(message, said, self.channel.as_deref());
        let Some(token) = &self.token else {
            return self.http.json(&self.url, HeaderMap::new(), &body).await;
        };
        let mut headers = HeaderMap::new();
        // Without the letters Slack warns in each answer.
        let kind = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
        header(
            &mut headers,
            "Authorization",
            &format!("Bearer {}", token.expose()),
        )?;
        let bytes = body.to_string().into_bytes();
        let answered = self.http.answered(Method::POST, &self.url, headers, bytes);
        let (status, said) = answered.await?;
        // Whether it was taken stands in the body of a good status.
        let said: Value = serde_json::from_slice(&said).unwrap_or_default();
        if said["ok"] == true {
            return Ok(status);
        }
        let error = said["error"].as_str().unwrap_or("no JSON");
        let text = format!("{status}: {}", self.http.clean(error));
        Err(match error {
            "ratelimited" | "internal_error" | "fatal_error" | "service_unavailable" => {
                SendError::later(text)
            }
            _ => SendError::Final(text),
        })
    }
}

fn body(message: &Outgoing, said: String, channel: Option<&str>) -> Value {
    let plain = |text: String| json!({"type": "plain_text", "text": text, "emoji": false});
    let notice = &message.notice;
    let mut blocks = vec![
        json!({"type": "header", "text": plain(text::title(message, 150))}),
        json!({"type": "section", "text": plain(text::filled(cut(&said, 3_000)))}),
    ];
    let fields: Vec<Value> = text::fields(notice, 10, 900)
        .into_iter()
        .map(|(name, value)| plain(format!("{name}\n{value}")))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    if let Some(output) = text::output(notice, 2_000) {
        let text = json!({"type": "text", "text": output});
        let code = json!({"type": "rich_text_preformatted", "elements": [text]});
        blocks.push(json!({"type": "rich_text", "elements": [code]}));
    }
    let mut small = vec![plain(text::footer(notice))];
    for (label, url) in text::links(notice) {
        let url = url.replace('|', "%7C").replace('>', "%3E");
        let link = format!(
            "<{}|{}>",
            entities(&url),
            entities(&label).replace('|', "/")
        );
        small.push(json!({"type": "mrkdwn", "text": link, "verbatim": true}));
    }
    small.truncate(10);
    blocks.push(json!({"type": "context", "elements": small}));
    let colour = format!("#{:06X}", notice.severity.colour());
    let mut body = json!({
        "attachments": [{
            "color": colour,
            "fallback": text::title(message, 150),
            "blocks": blocks,
        }],
    });
    if let Some(channel) = channel {
        body["channel"] = channel.into();
    }
    body
}
