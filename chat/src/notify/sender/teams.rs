//! Microsoft Teams: an Adaptive Card 1.4.
//!
//! Texts from outside are runs of text, in which Teams reads no markdown.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::http::{Http, address};
use super::{SendError, text};
use crate::notify::templates::cut;
use crate::notify::{Outgoing, Severity, Teams, Templates};

pub(super) struct Sender {
    url: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Teams, templates: Templates) -> Result<Self, SendError> {
        let url = settings.webhook_url.expose();
        Ok(Self {
            url: address(url, settings.base_url.as_deref())?,
            http: Http::new([settings.webhook_url]),
            templates,
        })
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let said = self.templates.render("teams", message).await;
        let body = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": card(message, &said),
            }],
        });
        self.http.json(&self.url, HeaderMap::new(), &body).await
    }
}

fn card(message: &Outgoing, said: &str) -> Value {
    let notice = &message.notice;
    let colour = match notice.severity {
        Severity::Critical => "Attention",
        Severity::Warning => "Warning",
        Severity::Info => "Good",
    };
    let run = |text: String| json!({"type": "TextRun", "text": text});
    let block = |inlines: Vec<Value>| json!({"type": "RichTextBlock", "inlines": inlines});
    let mut title = run(text::title(message, 200));
    title["size"] = "Large".into();
    title["weight"] = "Bolder".into();
    title["color"] = colour.into();
    let mut body = vec![block(vec![title])];
    for line in cut(said, 5_000)
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        body.push(block(vec![run(line.to_owned())]));
    }
    for (name, value) in text::fields(notice, 15, 300) {
        let mut name = run(format!("{name}: "));
        name["weight"] = "Bolder".into();
        body.push(block(vec![name, run(value)]));
    }
    let output = text::output(notice, 2_000).unwrap_or_default();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        let mut line = run(line.to_owned());
        line["fontType"] = "Monospace".into();
        body.push(block(vec![line]));
    }
    let mut footer = run(text::footer(notice));
    footer["isSubtle"] = true.into();
    footer["size"] = "Small".into();
    body.push(block(vec![footer]));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    let links: Vec<Value> = text::links(notice)
        .take(6)
        .map(|(title, url)| json!({"type": "Action.OpenUrl", "title": title, "url": url}))
        .collect();
    if !links.is_empty() {
        card["actions"] = links.into();
    }
    card
}
