//! `mhost logs`: what programs printed.
//!
//! The daemon selects lines; here they are only laid out. A terminal sees
//! `TIME  [name-instance]  text` with JSON records made readable; a pipe gets the lines as
//! they were printed.

mod follow;
mod line;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use supervisor::Stream;
use supervisor::command::Target;
use supervisor::logs::{LogPage, LogQuery};

use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use line::Layout;

/// Show what processes printed
///
/// On a terminal each line has its time and its process; into a pipe, or with --raw, lines
/// are passed on as they were printed. All filters combine.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Name, name:instance, index, group, or glob; all when left out
    target: Option<String>,
    /// The last so many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: usize,
    /// Go on with new lines, through restarts of processes and of the daemon
    #[arg(short, long)]
    follow: bool,
    /// From this time on: 1h, "2026-03-28 14:00", RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to this time
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,
    /// Standard error only
    #[arg(long, conflicts_with = "out")]
    err: bool,
    /// Standard output only
    #[arg(long)]
    out: bool,
    /// So many lines around each hit
    #[arg(long, value_name = "N", default_value_t = 0)]
    context: usize,
    /// Lines exactly as they were printed
    #[arg(long)]
    raw: bool,
    /// Times in the local zone
    #[arg(long)]
    local: bool,
    /// JSON records in full, indented
    #[arg(long, conflicts_with = "raw")]
    pretty: bool,
}

impl Logs {
    /// Prints the selected lines, then with `--follow` each new one.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let query = self.query(ctx)?;
        let layout = self.layout(ctx)?;
        let page: LogPage = ctx.call("logs.query", json!(query))?;
        if ctx.output.is_json() && !self.follow {
            ctx.output.json(&page)?;
            return Ok(Exit::Success);
        }
        if page.lines.is_empty() && !self.follow {
            ctx.output.note(self.nothing());
        }
        ctx.output.write(&layout.render(&page.lines))?;
        if self.follow {
            follow::follow(
                ctx,
                &layout,
                LogQuery {
                    after: Some(page.next),
                    ..query
                },
            )?;
        }
        Ok(Exit::Success)
    }

    fn query(&self, ctx: &Context) -> Result<LogQuery, CliError> {
        let now = ctx.clock.now();
        let zone = TimeZone::system();
        let time = |flag: &str, text: &Option<String>| {
            text.as_ref()
                .map(|text| when::parse(flag, text, now, &zone))
                .transpose()
        };
        let stream = match (self.out, self.err) {
            (true, _) => Some(Stream::Out),
            (_, true) => Some(Stream::Err),
            (false, false) => None,
        };
        Ok(LogQuery {
            target: self.target.clone().map(Target),
            lines: self.lines,
            since: time("--since", &self.since)?,
            until: time("--until", &self.until)?,
            grep: self.grep.clone(),
            stream,
            context: self.context,
            after: None,
        })
    }

    fn layout(&self, ctx: &Context) -> Result<Layout, CliError> {
        if ctx.output.is_json() {
            return Ok(Layout::Json);
        }
        if self.raw || !(ctx.output.is_terminal() || self.pretty) {
            return Ok(Layout::Raw);
        }
        let reply: Value = ctx.call("process.list", json!({}))?;
        let labels = line::Labels::new(&super::list::read(reply)?, self.target.as_deref());
        Ok(Layout::Human(Box::new(line::Human {
            labels,
            zone: self.local.then(TimeZone::system),
            pretty: self.pretty,
            painter: ctx.output.painter(),
        })))
    }

    fn nothing(&self) -> &'static str {
        if self.since.is_some() || self.until.is_some() || self.grep.is_some() {
            "No lines match."
        } else {
            "No lines yet."
        }
    }
}
