//! How Slack would show a message: what is read, and what of it would be more than text.

#[path = "../../conformance/live.rs"]
mod live;

use serde_json::Value;

use super::Seen;
use live::live;

/// Not seen, and ends whatever somebody would make a link or a mention of.
const JOINER: char = '\u{2060}';

/// Reads the blocks of a message, and as suspiciously the line of its notification.
pub(super) fn read(blocks: &Value, notice: &str) -> Seen {
    let mut page = Page::default();
    for block in blocks.as_array().into_iter().flatten() {
        page.block(block);
        page.seen.text.push('\n');
    }
    if blocks.as_array().is_none_or(Vec::is_empty) {
        page.marked(notice);
    } else {
        let mut line = Page::default();
        line.marked(notice);
        page.seen.live.extend(line.seen.live);
    }
    page.seen.text = page.seen.text.trim_end().to_owned();
    page.seen
}

#[derive(Default)]
struct Page {
    seen: Seen,
}

impl Page {
    fn block(&mut self, block: &Value) {
        match block["type"].as_str().unwrap_or_default() {
            "header" => self.object(&block["text"]),
            "section" => {
                self.object(&block["text"]);
                for field in block["fields"].as_array().into_iter().flatten() {
                    self.object(field);
                    self.seen.text.push('\n');
                }
            }
            "context" => {
                for element in block["elements"].as_array().into_iter().flatten() {
                    self.object(element);
                }
            }
            "rich_text" => {
                for element in block["elements"].as_array().into_iter().flatten() {
                    self.rich(element);
                    self.seen.text.push('\n');
                }
            }
            "actions" => {
                for button in block["elements"].as_array().into_iter().flatten() {
                    let mut label = Self::default();
                    label.object(&button["text"]);
                    self.seen.live.extend(label.seen.live);
                    let value = button["value"].as_str().unwrap_or_default().to_owned();
                    self.seen.buttons.push((label.seen.text, value));
                }
            }
            _ => {}
        }
    }

    /// A text object: plain or with markup.
    fn object(&mut self, object: &Value) {
        let text = object["text"].as_str().unwrap_or_default();
        if object["type"] == "mrkdwn" {
            self.marked(text);
            return;
        }
        if object["emoji"] != false && has_emoji(text) {
            self.seen.live.push(text.to_owned());
        }
        self.plain(text);
    }

    /// Whatever Slack does with plain text is nobody's promise: nothing may look like a link.
    fn plain(&mut self, text: &str) {
        self.seen.live.extend(live(text));
        self.seen.text.extend(text.chars().filter(|c| *c != JOINER));
    }

    /// A text in which Slack reads `<…>`; stars and such are looked for only where they stand
    /// for something to be seen, which a notification has not.
    fn marked(&mut self, text: &str) {
        let bare = |text: &str| text.contains(['<', '>']);
        if bare(text) {
            self.seen.live.push(text.to_owned());
        }
        let entity = |rest: &str| {
            ["amp;", "lt;", "gt;"]
                .iter()
                .any(|one| rest.starts_with(one))
        };
        if !text.split('&').skip(1).all(entity) {
            self.seen.live.push(format!("a bare & in {text}"));
        }
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        self.plain(&text);
    }

    fn rich(&mut self, element: &Value) {
        let inner = || element["elements"].as_array().into_iter().flatten();
        match element["type"].as_str().unwrap_or_default() {
            "rich_text_section" => {
                let parts = inner().map(|part| part["text"].as_str().unwrap_or_default());
                self.plain(&parts.collect::<String>());
                let other = inner().filter(|part| part["type"] != "text");
                self.seen.live.extend(other.map(Value::to_string));
            }
            "rich_text_list" => {
                for item in inner() {
                    self.rich(item);
                    self.seen.text.push('\n');
                }
            }
            "rich_text_preformatted" => {
                let parts = inner().map(|part| part["text"].as_str().unwrap_or_default());
                self.seen.text.extend(parts);
            }
            other => self.seen.live.push(other.to_owned()),
        }
    }
}

/// `:word:`
fn has_emoji(text: &str) -> bool {
    let mut parts = text.split(':').skip(1);
    parts.any(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()))
}
