//! `sendMessage` of Telegram's Bot API, with HTML.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use supervisor::secret::Secret;

use super::http::{Http, address};
use super::{SendError, text};
use crate::notify::{Outgoing, Telegram, Templates};

/// Longest text, in UTF-16 units once it is read. Marks and entities only make it shorter.
const MOST: usize = 4_096;

pub(super) struct Sender {
    settings: Telegram,
    url: Url,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Telegram, templates: Templates) -> Result<Self, SendError> {
        let token = settings.bot_token.expose();
        let odd = |letter: char| !(letter.is_ascii_alphanumeric() || ":_-".contains(letter));
        if token.contains(odd) {
            return Err(SendError::Final(
                "`bot_token` is not a bot's token".to_owned(),
            ));
        }
        let base = settings.base_url.as_deref();
        let url = format!("https://api.telegram.org/bot{token}/sendMessage");
        Ok(Self {
            url: address(&url, base)?,
            http: Http::new([settings.bot_token.clone(), Secret::from(url)]),
            settings,
            templates,
        })
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let said = self.templates.render("telegram", message).await;
        let body = body(message, said, &self.settings);
        self.http.json(&self.url, HeaderMap::new(), &body).await
    }
}

fn body(message: &Outgoing, said: String, settings: &Telegram) -> Value {
    let mut body = json!({
        "chat_id": settings.chat_id,
        "text": fitting(&said, MOST),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true},
    });
    if let Some(thread) = settings.thread_id {
        body["message_thread_id"] = thread.into();
    }
    if settings.silent {
        body["disable_notification"] = true.into();
    }
    let links: Vec<Value> = text::links(&message.notice)
        .map(|(label, url)| json!([{"text": label, "url": url}]))
        .collect();
    if !links.is_empty() {
        body["reply_markup"] = json!({"inline_keyboard": links});
    }
    body
}

/// HTML that is cut: not inside of a tag or an entity, and every tag is closed.
fn fitting(html: &str, most: usize) -> String {
    let units = |text: &str| text.encode_utf16().count();
    if units(html) <= most {
        return html.to_owned();
    }
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut used = 0;
    let mut rest = html;
    // Room for the sign and for the ends of tags.
    let room = most.saturating_sub(40);
    while !rest.is_empty() {
        let piece = match rest.as_bytes()[0] {
            b'<' => &rest[..rest.find('>').map_or(rest.len(), |at| at + 1)],
            b'&' => &rest[..rest.find(';').map_or(1, |at| at + 1)],
            _ => &rest[..rest.chars().next().map_or(1, char::len_utf8)],
        };
        used += units(piece);
        if used > room {
            break;
        }
        if let Some(tag) = piece.strip_prefix("</") {
            open.retain(|one| *one != tag.trim_end_matches('>'));
        } else if let Some(tag) = piece.strip_prefix('<') {
            open.push(
                tag.trim_end_matches('>')
                    .split(' ')
                    .next()
                    .unwrap_or_default(),
            );
        }
        out.push_str(piece);
        rest = &rest[piece.len()..];
    }
    out.push('…');
    for tag in open.iter().rev() {
        out.push_str(&format!("</{tag}>"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_letters_and_closed() {
        let text = format!("<b>a</b> <pre>{}</pre>", "&lt;x&gt; 🔴".repeat(900));
        let cut = fitting(&text, MOST);
        assert!(cut.encode_utf16().count() <= MOST);
        assert!(cut.ends_with("…</pre>"), "{}", &cut[cut.len() - 20..]);
        let inside = cut.trim_end_matches("…</pre>");
        let end = inside.rfind('&').unwrap();
        assert!(inside[end..].contains(';'), "{}", &inside[end..]);
    }
}
