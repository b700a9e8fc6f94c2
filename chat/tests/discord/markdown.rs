//! Discord's markdown as somebody else has written its rules down: `discord-markdown-parser` of
//! npm. Whatever it finds in a text that is none of the adapter's own markup is live.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::server::Call;
use crate::{command, folder};

/// Prints the kinds of nodes of each text but for those that only are text.
const PARSE: &str = r#"
const { parse } = require(process.argv[1]);
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
const kinds = (node) => Array.isArray(node) ? node.flatMap(kinds)
  : [node.type, ...(Array.isArray(node.content) ? kinds(node.content) : [])];
const plain = ["text", "br", "newline", "twemoji", "emoticon"];
const found = texts.map((text) => kinds(parse(text, "extended")).filter((k) => !plain.includes(k)));
console.log(JSON.stringify(found));
"#;

fn kinds(texts: &[String]) -> Option<Vec<Vec<String>>> {
    let parser = folder("node_modules/discord-markdown-parser")?;
    let mut child = command("node")
        .args(["-e", PARSE])
        .arg(parser)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(json!(texts).to_string().as_bytes())
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Holds the texts of all requests against the parser, if it is there.
pub(crate) fn check(calls: &[Call]) {
    let embeds = calls.iter().flat_map(|call| {
        let embeds = call.body["embeds"].as_array().cloned();
        embeds.unwrap_or_default()
    });
    let texts: Vec<String> = embeds
        .flat_map(|embed| {
            let text = |name: &str| embed[name].as_str().map(str::to_owned);
            [text("title"), text("description")]
        })
        .flatten()
        .collect();
    let Some(found) = kinds(&texts) else {
        return;
    };
    for (text, kinds) in texts.iter().zip(found) {
        let fields = text.lines().filter(|line| line.starts_with("**")).count();
        let blocks = text.matches("```").count() / 2;
        let count = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
        assert_eq!(count("strong"), fields, "{text}");
        assert_eq!(count("codeBlock"), blocks, "{text}");
        let all = fields + blocks;
        assert_eq!(kinds.len(), all, "{kinds:?} in {text}");
    }
}

#[test]
fn live_things_are_found() {
    let texts = [
        "plain \\*text\\*",
        "*x*",
        "<@100000000000000021>",
        "@everyone",
        "http://x.y",
        "`x`",
        "[a](http://b.c)",
    ];
    let Some(found) = kinds(&texts.map(str::to_owned)) else {
        return;
    };
    assert_eq!(found[0], [""; 0]);
    for (text, kinds) in texts.iter().zip(found).skip(1) {
        assert!(!kinds.is_empty(), "{text}");
    }
}
