//! PagerDuty's Events API v2. The failure and its end carry the same `dedup_key`.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::http::{Http, address};
use super::{SendError, text};
use crate::notify::templates::cut;
use crate::notify::{Outgoing, PagerDuty, Severity, Templates};

const URL: &str = "https://events.pagerduty.com/v2/enqueue";
const SUMMARY: usize = 1_024;
const KEY: usize = 255;

pub(super) struct Sender {
    settings: PagerDuty,
    url: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: PagerDuty, templates: Templates) -> Result<Self, SendError> {
        Ok(Self {
            url: address(URL, settings.base_url.as_deref())?,
            http: Http::new([settings.routing_key.clone()]),
            settings,
            templates,
        })
    }

    fn severity(&self, severity: Severity) -> &str {
        let own = self.settings.severity_map.get(&severity);
        own.map_or(severity.as_str(), String::as_str)
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let key = self.settings.routing_key.expose();
        let mut body = json!({
            "routing_key": key,
            "event_action": if message.resolves { "resolve" } else { "trigger" },
            "dedup_key": cut(&message.alert_key(), KEY),
        });
        if !message.resolves {
            let said = self.templates.render("pagerduty", message).await;
            body["payload"] = payload(message, &said, self.severity(message.notice.severity));
            let links = text::links(&message.notice);
            let links: Vec<Value> = links
                .map(|(text, href)| json!({"href": href, "text": text}))
                .collect();
            if !links.is_empty() {
                body["links"] = links.into();
            }
        }
        self.http.json(&self.url, HeaderMap::new(), &body).await
    }
}

fn payload(message: &Outgoing, said: &str, severity: &str) -> Value {
    let notice = &message.notice;
    let mut details = serde_json::Map::new();
    details.insert("event".into(), notice.event.as_str().into());
    for (name, value) in text::fields(notice, 30, 1_000) {
        details.insert(name, value.into());
    }
    for line in &message.lines {
        details.insert(line.process.clone(), line.words().into());
    }
    if let Some(output) = text::output(notice, 2_000) {
        details.insert("last lines".into(), output.into());
    }
    if let Some(incident) = &notice.incident {
        details.insert("incident".into(), incident.as_str().into());
    }
    let mut payload = json!({
        "summary": text::filled(cut(said, SUMMARY)),
        "source": text::filled(notice.host.clone()),
        "severity": severity,
        "timestamp": notice.ts.to_string(),
        "class": message.class.as_str(),
        "custom_details": details,
    });
    if !notice.process.is_empty() {
        payload["component"] = notice.process.as_str().into();
    }
    payload
}
