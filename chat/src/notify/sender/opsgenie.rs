//! Opsgenie's alerts. The alias names an alert, so that its end finds it.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::http::{Http, address, header};
use super::{SendError, text};
use crate::notify::templates::cut;
use crate::notify::templates::escape::line;
use crate::notify::{Opsgenie, Outgoing, Region, Severity, Templates};

const MESSAGE: usize = 130;
const DESCRIPTION: usize = 15_000;
const ALIAS: usize = 512;
/// `source` has at most 100 characters, a tag 50.
const SOURCE: usize = 100;
const TAG: usize = 50;

pub(super) struct Sender {
    settings: Opsgenie,
    alerts: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Opsgenie, templates: Templates) -> Result<Self, SendError> {
        let url = match settings.region {
            Region::Us => "https://api.opsgenie.com/v2/alerts",
            Region::Eu => "https://api.eu.opsgenie.com/v2/alerts",
        };
        Ok(Self {
            alerts: address(url, settings.base_url.as_deref())?,
            http: Http::new([settings.api_key.clone()]),
            settings,
            templates,
        })
    }

    fn priority(&self, severity: Severity) -> &str {
        let own = self.settings.priority_map.get(&severity);
        own.map_or(
            match severity {
                Severity::Critical => "P1",
                Severity::Warning => "P3",
                Severity::Info => "P5",
            },
            String::as_str,
        )
    }

    /// `team:ops` and its like, as objects.
    fn responders(&self) -> Vec<Value> {
        let responder = |text: &String| match text.split_once(':') {
            Some(("user", name)) => json!({"type": "user", "username": name}),
            Some((kind @ ("team" | "schedule" | "escalation"), name)) => {
                json!({"type": kind, "name": name})
            }
            _ => json!({"type": "team", "name": text}),
        };
        self.settings.responders.iter().map(responder).collect()
    }

    fn alert(&self, message: &Outgoing, said: &str) -> Value {
        let notice = &message.notice;
        let fields = text::fields(notice, 30, 500);
        let mut details: serde_json::Map<String, Value> = fields
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        for (label, url) in text::links(notice) {
            details.insert(label, url.into());
        }
        if let Some(incident) = &notice.incident {
            details.insert("incident".into(), incident.as_str().into());
        }
        let mut tags = vec!["mhost", notice.event.as_str(), notice.severity.as_str()];
        tags.dedup();
        let mut alert = json!({
            "message": cut(&line(&message.title()), MESSAGE),
            "alias": cut(&message.alert_key(), ALIAS),
            "description": text::filled(cut(said, DESCRIPTION)),
            "priority": self.priority(notice.severity),
            "tags": tags.into_iter().map(|tag| cut(tag, TAG)).collect::<Vec<_>>(),
            "details": details,
            "source": cut(&format!("mhost {}", notice.host), SOURCE),
        });
        if !notice.process.is_empty() {
            alert["entity"] = cut(&notice.process, ALIAS).into();
        }
        let responders = self.responders();
        if !responders.is_empty() {
            alert["responders"] = responders.into();
        }
        alert
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let mut headers = HeaderMap::new();
        let key = format!("GenieKey {}", self.settings.api_key.expose());
        header(&mut headers, "Authorization", &key)?;
        let mut url = self.alerts.clone();
        let body = match message.resolves {
            true => {
                let alias = cut(&message.alert_key(), ALIAS);
                let mut path = url
                    .path_segments_mut()
                    .map_err(|()| SendError::Final("the address cannot be read".to_owned()))?;
                path.extend([alias.as_str(), "close"]);
                drop(path);
                url.query_pairs_mut().append_pair("identifierType", "alias");
                json!({"source": "mhost", "note": cut(&line(&message.text()), 1_000)})
            }
            false => {
                let said = self.templates.render("opsgenie", message).await;
                self.alert(message, &said)
            }
        };
        self.http.json(&url, headers, &body).await
    }
}
