//! Which blocks Slack takes: their fields, their lengths and their number, by its reference.

use serde_json::Value;

/// What is wrong with the blocks of a message.
pub(super) fn problems(blocks: &Value) -> Vec<String> {
    let Some(all) = blocks.as_array() else {
        return vec!["blocks are no array".into()];
    };
    let mut check = Check::default();
    if all.is_empty() || all.len() > 50 {
        check.no(format!("{} blocks", all.len()));
    }
    for block in all {
        check.block(block);
    }
    check.problems
}

#[derive(Default)]
struct Check {
    problems: Vec<String>,
    ids: Vec<String>,
}

impl Check {
    fn no(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// Has these fields and may have those.
    fn fields(&mut self, value: &Value, must: &[&str], may: &[&str]) {
        let Some(fields) = value.as_object() else {
            self.no(format!("{value} is no object"));
            return;
        };
        for name in must.iter().filter(|name| !fields.contains_key(**name)) {
            self.no(format!("{name} is missing in {value}"));
        }
        let known = |name: &str| name == "type" || must.contains(&name) || may.contains(&name);
        for name in fields.keys().filter(|name| !known(name)) {
            self.no(format!("{name} is unknown in {value}"));
        }
    }

    fn list<'a>(&mut self, value: &'a Value, most: usize) -> &'a [Value] {
        match value.as_array() {
            Some(all) if (1..=most).contains(&all.len()) => all,
            _ => {
                self.no(format!("not 1 to {most}: {value}"));
                &[]
            }
        }
    }

    fn text(&mut self, value: &Value, kinds: &[&str], most: usize) {
        let kind = value["type"].as_str().unwrap_or_default();
        if !kinds.contains(&kind) {
            self.no(format!("`{kind}` is none of {kinds:?}"));
        }
        let extra: &[&str] = match kind {
            "mrkdwn" => &["verbatim"],
            _ => &["emoji"],
        };
        self.fields(value, &["text"], extra);
        let length = value["text"]
            .as_str()
            .unwrap_or_default()
            .encode_utf16()
            .count();
        if length == 0 || length > most {
            self.no(format!("a text of {length}, not 1 to {most}"));
        }
    }

    fn block(&mut self, block: &Value) {
        match block["type"].as_str().unwrap_or_default() {
            "header" => {
                self.fields(block, &["text"], &["block_id"]);
                self.text(&block["text"], &["plain_text"], 150);
            }
            "section" => {
                self.fields(block, &[], &["text", "fields", "block_id"]);
                if block["fields"].is_null() {
                    self.text(&block["text"], &["plain_text", "mrkdwn"], 3_000);
                } else {
                    for field in self.list(&block["fields"], 10) {
                        self.text(field, &["plain_text", "mrkdwn"], 2_000);
                    }
                }
            }
            "context" => {
                self.fields(block, &["elements"], &["block_id"]);
                for element in self.list(&block["elements"], 10) {
                    self.text(element, &["plain_text", "mrkdwn"], 3_000);
                }
            }
            "divider" => self.fields(block, &[], &["block_id"]),
            "actions" => {
                self.fields(block, &["elements"], &["block_id"]);
                for element in self.list(&block["elements"], 25) {
                    self.button(element);
                }
            }
            "rich_text" => {
                self.fields(block, &["elements"], &["block_id"]);
                for element in self.list(&block["elements"], 100) {
                    self.rich(element);
                }
            }
            other => self.no(format!("there is no block `{other}`")),
        }
    }

    fn button(&mut self, button: &Value) {
        if button["type"] != "button" {
            self.no(format!("{button} is no button"));
        }
        self.fields(button, &["text", "action_id"], &["value", "style", "url"]);
        self.text(&button["text"], &["plain_text"], 75);
        let text = |name: &str| button[name].as_str().unwrap_or_default();
        if text("value").len() > 2_000 || text("action_id").len() > 255 {
            self.no("a button carries too much");
        }
        let id = text("action_id").to_owned();
        if id.is_empty() || self.ids.contains(&id) {
            self.no(format!("action_id `{id}` is not its own"));
        }
        self.ids.push(id);
        let style = &button["style"];
        if !style.is_null() && style != "primary" && style != "danger" {
            self.no(format!("there is no style {style}"));
        }
    }

    fn rich(&mut self, element: &Value) {
        match element["type"].as_str().unwrap_or_default() {
            "rich_text_section" => {
                self.fields(element, &["elements"], &[]);
                self.run(element, &["bold", "italic", "strike", "code"]);
            }
            "rich_text_preformatted" => {
                self.fields(element, &["elements"], &["border", "language"]);
                self.run(element, &[]);
            }
            "rich_text_list" => {
                self.fields(
                    element,
                    &["elements", "style"],
                    &["indent", "offset", "border"],
                );
                if element["style"] != "ordered" && element["style"] != "bullet" {
                    self.no(format!("there is no list {}", element["style"]));
                }
                for item in self.list(&element["elements"], 500) {
                    if item["type"] != "rich_text_section" {
                        self.no(format!("{item} is no item of a list"));
                    }
                    self.rich(item);
                }
            }
            other => self.no(format!("there is no `{other}` in a rich text")),
        }
    }

    fn run(&mut self, of: &Value, styles: &[&str]) {
        let mut length = 0;
        for part in self.list(&of["elements"], 500) {
            if part["type"] != "text" {
                self.no(format!("{part} is no text"));
            }
            self.fields(part, &["text"], &["style"]);
            for name in part["style"]
                .as_object()
                .into_iter()
                .flat_map(|style| style.keys())
            {
                if !styles.contains(&name.as_str()) {
                    self.no(format!("there is no style {name} here"));
                }
            }
            let text = part["text"].as_str().unwrap_or_default();
            if text.is_empty() {
                self.no("an empty text");
            }
            length += text.encode_utf16().count();
        }
        if length > 3_000 {
            self.no(format!("a text of {length}, not 1 to 3000"));
        }
    }
}

#[test]
fn what_slack_would_refuse_is_found() {
    use serde_json::json;
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let good = json!([
        { "type": "header", "text": plain("x") },
        { "type": "actions", "elements": [
            { "type": "button", "action_id": "1", "text": plain("x"), "value": "y" },
        ] },
        { "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [
                { "type": "text", "text": "x", "style": { "bold": true } },
            ] },
        ] },
    ]);
    assert_eq!(problems(&good), [""; 0]);
    let button = json!({ "type": "button", "action_id": "1", "text": plain("x") });
    for wrong in [
        json!([]),
        json!("x"),
        json!([{ "type": "header", "text": plain("") }]),
        json!([{ "type": "header", "text": plain(&"x".repeat(151)) }]),
        json!([{ "type": "header", "text": { "type": "mrkdwn", "text": "x" } }]),
        json!([{ "type": "header", "text": plain("x"), "colour": 1 }]),
        json!([{ "type": "box" }]),
        json!([{ "type": "actions", "elements": [] }]),
        json!([{ "type": "actions", "elements": [button, button] }]),
        json!([{ "type": "actions", "elements": vec![button.clone(); 26] }]),
        json!([{ "type": "rich_text", "elements": [{ "type": "rich_text_section",
            "elements": [{ "type": "text", "text": "" }] }] }]),
        json!([{ "type": "rich_text", "elements": [{ "type": "rich_text_section",
            "elements": [{ "type": "text", "text": "x".repeat(3_001) }] }] }]),
        json!([{ "type": "section", "text": plain(&"x".repeat(3_001)) }]),
        json!(vec![json!({ "type": "divider" }); 51]),
    ] {
        assert!(!problems(&wrong).is_empty(), "{wrong}");
    }
}
