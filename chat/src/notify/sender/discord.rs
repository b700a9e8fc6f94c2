//! Discord's webhooks: one embed. Nobody is mentioned, whatever it says.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::http::{Http, address};
use super::{SendError, text};
use crate::notify::templates::cut;
use crate::notify::templates::escape::markdown;
use crate::notify::{Discord, Outgoing, Templates};
use crate::text::units;

/// All texts of an embed together, in UTF-16 units.
const MOST: usize = 6_000;

pub(super) struct Sender {
    url: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Discord, templates: Templates) -> Result<Self, SendError> {
        let url = settings.webhook_url.expose();
        let mut url = address(url, settings.base_url.as_deref())?;
        // Without it Discord does not say whether it took the message.
        url.query_pairs_mut().append_pair("wait", "true");
        Ok(Self {
            url,
            http: Http::new([settings.webhook_url]),
            templates,
        })
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let said = self.templates.render("discord", message).await;
        let body = body(message, said);
        self.http.json(&self.url, HeaderMap::new(), &body).await
    }
}

fn body(message: &Outgoing, said: String) -> Value {
    let notice = &message.notice;
    let mut description = cut(&said, 2_000);
    if let Some(output) = text::output(notice, 1_000) {
        // A backtick would end the block.
        description.push_str(&format!("\n```\n{}\n```", output.replace('`', "ˋ")));
    }
    let title = cut(&markdown(&text::title(message, 100)), 256);
    let footer = text::footer(notice);
    let mut room = MOST
        - [&description, &title, &footer]
            .map(|one| units(one))
            .iter()
            .sum::<usize>();
    let mut fields = Vec::new();
    let mut field = |name: String, value: String, inline: bool| {
        let takes = units(&name) + units(&value);
        if takes <= room {
            room -= takes;
            fields.push(json!({"name": name, "value": value, "inline": inline}));
        }
    };
    for (label, url) in text::links(notice).take(4) {
        let url = url.replace(')', "%29").replace('(', "%28");
        field(
            "link".into(),
            format!("[{}]({url})", markdown(&label)),
            false,
        );
    }
    for (name, value) in text::fields(notice, 12, 100) {
        field(markdown(&name), markdown(&value), true);
    }
    json!({
        "embeds": [{
            "title": title,
            "description": description,
            "color": notice.severity.colour(),
            "timestamp": notice.ts.to_string(),
            "fields": fields,
            "footer": {"text": footer},
        }],
        "allowed_mentions": {"parse": []},
    })
}
