//! What an address of a definition answers over HTTP.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, object, process, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "check_http",
    about: "GET a URL and show its status and first bytes. Only URLs that the definition of the \
            process names, exactly as written there.",
    parameters: || {
        object(
            json!({"process": process(), "url": {"type": "string", "maxLength": 300}}),
            &["url"],
        )
    },
    run,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    url: String,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let known = desk.facts.urls(&found.name);
    let wanted = args.url.trim();
    let Some((place, url)) = known.iter().enumerate().find(|(_, url)| *url == wanted) else {
        return Err(format!(
            "the definition of `{}` names no such URL; it names: {}",
            found.name,
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        ));
    };
    let mut answer = Found::new(format!(
        "check_http process={} url={}",
        found.name,
        json!(url)
    ));
    // By its place: a URL may hold brackets, which end an id.
    let id = format!("http:{}:{}", found.name, place + 1);
    answer.fact(id, desk.facts.http_get(&found.name, url)?);
    Ok(answer)
}
