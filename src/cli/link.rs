//! `mhost link`: what starts after what.

use std::collections::BTreeSet;
use std::fmt::Write;

use clap::{Args, ValueEnum};
use serde_json::json;
use supervisor::command::view::LinkView;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Show what depends on what
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
}

/// A way to show a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What a process needs is below it
    Tree,
    /// For Graphviz
    Dot,
    /// One JSON value
    Json,
}

impl Link {
    /// Prints the graph.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let links: LinkView = ctx.call("link.get", json!({}))?;
        match self.format {
            _ if ctx.output.is_json() => ctx.output.json(&links)?,
            Format::Json => ctx.output.json(&links)?,
            Format::Dot => ctx.output.write(&dot(&links))?,
            Format::Tree if links.processes.is_empty() => {
                ctx.output
                    .note("No processes. Start one: mhost start <app>");
            }
            Format::Tree => ctx.output.write(&tree(&links))?,
        }
        Ok(Exit::Success)
    }
}

/// Each process nobody needs, with what it needs below it; then the groups.
fn tree(links: &LinkView) -> String {
    let needed: BTreeSet<&str> = links.edges.iter().map(|edge| edge.to.as_str()).collect();
    let mut out = String::new();
    for process in &links.processes {
        if !needed.contains(process.as_str()) {
            let _ = writeln!(out, "{process}");
            branches(
                links,
                process.as_str(),
                "",
                &mut vec![process.as_str()],
                &mut out,
            );
        }
    }
    for group in &links.groups {
        let members: Vec<&str> = group.members.iter().map(|name| name.as_str()).collect();
        let _ = writeln!(out, "group {}: {}", group.name, members.join(" → "));
    }
    out
}

/// `path` holds the names above, so that even a cycle would come to an end.
fn branches<'a>(
    links: &'a LinkView,
    name: &str,
    prefix: &str,
    path: &mut Vec<&'a str>,
    out: &mut String,
) {
    let below: Vec<_> = links
        .edges
        .iter()
        .filter(|edge| edge.from.as_str() == name && !path.contains(&edge.to.as_str()))
        .collect();
    for (place, edge) in below.iter().enumerate() {
        let last = place + 1 == below.len();
        let (knot, line) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let why = match edge.why.as_str() {
            "depends_on" => String::new(),
            other => format!("  ({other})"),
        };
        let _ = writeln!(out, "{prefix}{knot}{}{why}", edge.to);
        path.push(edge.to.as_str());
        branches(
            links,
            edge.to.as_str(),
            &format!("{prefix}{line}"),
            path,
            out,
        );
        path.pop();
    }
}

fn dot(links: &LinkView) -> String {
    let mut out = String::from("digraph mhost {\n  rankdir=LR;\n");
    for process in &links.processes {
        let _ = writeln!(out, "  {:?};", process.as_str());
    }
    for edge in &links.edges {
        let style = if edge.why == "depends_on" {
            String::new()
        } else {
            format!(" [style=dashed, label={:?}]", edge.why)
        };
        let _ = writeln!(
            out,
            "  {:?} -> {:?}{style};",
            edge.from.as_str(),
            edge.to.as_str()
        );
    }
    out.push_str("}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LinkView {
        serde_json::from_value(json!({
            "processes": ["api", "db", "queue", "worker"],
            "edges": [
                { "from": "api", "to": "db", "why": "depends_on" },
                { "from": "worker", "to": "api", "why": "group:backend" },
                { "from": "worker", "to": "queue", "why": "depends_on" }
            ],
            "groups": [{ "name": "backend", "members": ["api", "worker"] }]
        }))
        .expect("a valid answer")
    }

    #[test]
    fn the_tree_shows_needs_below() {
        insta::assert_snapshot!(tree(&sample()), @r"
        worker
        ├─ api  (group:backend)
        │  └─ db
        └─ queue
        group backend: api → worker
        ");
    }

    #[test]
    fn the_dot_form_is_quoted() {
        insta::assert_snapshot!(dot(&sample()), @r#"
        digraph mhost {
          rankdir=LR;
          "api";
          "db";
          "queue";
          "worker";
          "api" -> "db";
          "worker" -> "api" [style=dashed, label="group:backend"];
          "worker" -> "queue";
        }
        "#);
    }
}
