//! `mhost logs`: what programs printed.
//!
//! The daemon selects lines; here they are only laid out. A terminal sees
//! `TIME  [name-instance]  text` with JSON records made readable; a pipe gets the lines as
//! they were printed.

mod counts;
mod follow;
mod line;
mod pages;
mod reindex;
mod templates;

use clap::{Args, Subcommand, ValueEnum};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use supervisor::Stream;
use supervisor::command::Target;
use supervisor::logs::expr::Expr;
use supervisor::logs::{Level, LogPage, LogQuery, MOST_CONTEXT};

use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use line::Layout;

/// Show what processes printed
///
/// On a terminal each line has its time and its process; into a pipe, or with --raw, lines
/// are passed on as they were printed. All filters combine, also with --follow.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Logs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Name, name:instance, index, group, or glob; all when left out
    ///
    /// Also copies that were scaled away, and a process that was deleted with --keep-logs, as
    /// long as lines of them are kept.
    target: Option<String>,
    /// The last so many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = lines, allow_negative_numbers = true)]
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
    /// Lines with these words: FTS5 syntax (a AND b, "a phrase", pre*), or just words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// The best matches of --search instead of the newest
    #[arg(long, requires = "search", conflicts_with = "follow")]
    rank: bool,
    /// Lines for which this holds: "level >= warn AND status >= 500"
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Lines of this level or a graver one
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// Count lines by a field: process, level, hour, day, or any field of JSON lines
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["follow", "context", "rank"])]
    count_by: Option<String>,
    /// Show the kinds of lines instead: COUNT FIRST LAST TREND PATTERN
    #[arg(long, conflicts_with_all = ["follow", "context", "rank", "count_by"])]
    templates: bool,
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
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = context)]
    context: usize,
    /// How lines are written: text, json, jsonl, csv
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text, hide_possible_values = true)]
    format: Format,
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

/// The answer, with what is missing for it on the disk.
fn with_lost(mut answer: Value, page: &LogPage) -> Value {
    if !page.lost.is_empty() {
        answer["lost"] = json!(page.lost);
    }
    answer
}

/// There is no least number of lines but 0, and no greatest.
fn lines(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "write a number of lines, 0 or more; --since says from when on".to_owned())
}

/// More lines around a hit than the daemon gives are refused, not left out.
fn context(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(lines) if lines <= MOST_CONTEXT => Ok(lines),
        Ok(_) => Err(format!("at most {MOST_CONTEXT}")),
        Err(error) => Err(format!("{error}")),
    }
}

/// What can be done about logs besides showing them.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make the search index anew from the kept logs
    Reindex(reindex::Reindex),
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person on a terminal, as printed elsewhere.
    Text,
    /// One object with all lines.
    Json,
    /// One object per line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

impl Logs {
    /// Prints the selected lines, then with `--follow` each new one.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        if let Some(Action::Reindex(reindex)) = self.action {
            return reindex.run(ctx);
        }
        let format = self.format(ctx);
        if ctx.output.is_json() && matches!(self.format, Format::Jsonl | Format::Csv) {
            return Err(
                CliError::config("--json and another --format cannot go together")
                    .with_help("leave out one of them"),
            );
        }
        if format != Format::Text && (self.raw || self.local) {
            let flag = if self.raw { "--raw" } else { "--local" };
            return Err(CliError::config(format!(
                "{flag} is about text, and this is another format"
            ))
            .with_help(format!("leave out {flag}, or --json and --format")));
        }
        if self.local && self.count_by.is_some() {
            return Err(CliError::config(
                "--local is about the times of lines, and --count-by shows none",
            )
            .with_help("leave out --local; minutes, hours and days are those of UTC"));
        }
        let query = self.query(ctx)?;
        let mut layout = self.layout(ctx)?;
        let ask = |query: &LogQuery| ctx.call("logs.query", json!(query));
        let page: LogPage = pages::ask_all(&query, ask)?;
        if page.cut {
            let count = page.lines.len();
            ctx.output.note(&format!(
                "Only the newest {count} lines fit into one answer; for older ones, say --until."
            ));
        }
        for lost in &page.lost {
            ctx.output.caution(&lost.to_string());
        }
        if let Some(by) = &self.count_by {
            return counts::show(ctx, by, self.format(ctx), &page);
        }
        if self.templates {
            let zone = self.local.then(TimeZone::system);
            return templates::show(ctx, self.format(ctx), &page, zone.as_ref());
        }
        if self.format(ctx) == Format::Json && !self.follow {
            let lines: Vec<Value> = page.lines.iter().map(line::object).collect();
            let answer = json!({ "lines": lines, "next": page.next });
            ctx.output.json(&with_lost(answer, &page))?;
            return Ok(Exit::Success);
        }
        if page.lines.is_empty() && !self.follow {
            ctx.output.note(self.nothing());
        }
        layout.see(&page.lines);
        if self.format == Format::Csv {
            ctx.output.write(line::CSV_HEADER)?;
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

    fn format(&self, ctx: &Context) -> Format {
        match self.format {
            Format::Text if ctx.output.is_json() => Format::Json,
            format => format,
        }
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
            search: self.search.clone(),
            rank: self.rank,
            condition: self.condition(ctx)?,
            level: self.level()?,
            count_by: self.count_by.clone(),
            templates: self.templates,
        })
    }

    /// Read here too, so that a mistake is told with its place and without a daemon.
    fn condition(&self, ctx: &Context) -> Result<Option<String>, CliError> {
        let Some(text) = &self.condition else {
            return Ok(None);
        };
        match Expr::parse(text, ctx.clock.now().as_millisecond()) {
            Ok(_) => Ok(Some(text.clone())),
            Err(error) => Err(
                CliError::config(format!("--where is not understood: {error}"))
                    .with_details(error.caret())
                    .with_help("write for example --where \"level >= warn AND status >= 500\""),
            ),
        }
    }

    fn level(&self) -> Result<Option<Level>, CliError> {
        let Some(text) = &self.level else {
            return Ok(None);
        };
        match Level::parse(text) {
            Some(level) => Ok(Some(level)),
            None => Err(CliError::config(format!("`{text}` is not a level"))
                .with_help("use one of trace, debug, info, warn, error, fatal")),
        }
    }

    fn layout(&self, ctx: &Context) -> Result<Layout, CliError> {
        match self.format(ctx) {
            Format::Json | Format::Jsonl => return Ok(Layout::Json),
            Format::Csv => {
                let harmless = ctx.output.is_terminal();
                return Ok(Layout::Csv { harmless });
            }
            Format::Text => {}
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
        let filters = [
            &self.since,
            &self.until,
            &self.grep,
            &self.search,
            &self.condition,
            &self.level,
        ];
        if self.lines == 0 {
            "No lines were asked for."
        } else if filters.iter().any(|filter| filter.is_some()) {
            "No lines match."
        } else {
            "No lines yet."
        }
    }
}
