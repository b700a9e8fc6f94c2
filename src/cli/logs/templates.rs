//! `mhost logs --templates`: the kinds of lines that processes print.

use jiff::tz::TimeZone;
use serde_json::json;
use supervisor::logs::{LogPage, TemplateView};

use super::line::csv_cell;
use super::{Format, with_lost};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::metrics::sparkline;
use crate::exit::Exit;
use crate::output::figures;
use crate::output::table::{Cell, Column, Table};

/// `COUNT FIRST LAST TREND PATTERN`, the most frequent first; with the process where there are
/// more. The trend is over the time that was asked for.
pub(super) fn show(
    ctx: &Context,
    format: Format,
    page: &LogPage,
    zone: Option<&TimeZone>,
) -> Result<Exit, CliError> {
    let templates = page.templates.as_deref().unwrap_or_default();
    match format {
        Format::Json => {
            let answer = json!({ "templates": templates });
            ctx.output.json(&with_lost(answer, page))?;
        }
        Format::Jsonl => {
            for template in templates {
                ctx.output.write(&format!("{}\n", json!(template)))?;
            }
        }
        Format::Csv => {
            let mut text = "process,count,first,last,pattern\n".to_owned();
            for one in templates {
                text.push_str(&format!(
                    "{},{},{},{},{}\n",
                    one.process,
                    one.count,
                    one.first,
                    one.last,
                    csv_cell(&one.pattern)
                ));
            }
            ctx.output.write(&text)?;
        }
        Format::Text => {
            if templates.is_empty() {
                ctx.output.note("No lines yet.");
                return Ok(Exit::Success);
            }
            table(ctx, templates, zone)?;
        }
    }
    Ok(Exit::Success)
}

/// Counts as bars; a dot where there were none.
fn trend(counts: &[u64]) -> String {
    let points: Vec<Option<f64>> = counts
        .iter()
        .map(|count| (*count > 0).then_some(*count as f64))
        .collect();
    sparkline(&points)
}

fn table(
    ctx: &Context,
    templates: &[TemplateView],
    zone: Option<&TimeZone>,
) -> Result<(), CliError> {
    let several = templates
        .windows(2)
        .any(|pair| pair[0].process != pair[1].process);
    let mut columns = vec![
        Column::new("COUNT", 0),
        Column::new("FIRST", 3),
        Column::new("LAST", 2),
        Column::new("TREND", 4),
    ];
    if several {
        columns.push(Column::name("PROCESS"));
    }
    columns.push(Column::new("PATTERN", 0).at_least(20));
    let mut table = Table::new(columns);
    for one in templates {
        let mut cells = vec![
            Cell::from(one.count.to_string()),
            Cell::from(figures::time(one.first, zone)),
            Cell::from(figures::time(one.last, zone)),
            Cell::from(trend(&one.trend.counts)),
        ];
        if several {
            cells.push(Cell::from(one.process.as_str()));
        }
        cells.push(Cell::from(&one.pattern));
        table.row(cells);
    }
    ctx.output.table(&table)
}
