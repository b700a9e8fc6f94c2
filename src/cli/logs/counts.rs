//! `mhost logs --count-by`: how many lines have which value.

use serde_json::json;
use supervisor::logs::{Count, LogPage};

use super::line::csv_cell;
use super::{Format, with_lost};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::table::{Cell, Column, Table};

/// What stands for lines that have no such field.
const NONE: &str = "–";

/// `VALUE COUNT SHARE`, the most frequent first.
pub(super) fn show(
    ctx: &Context,
    by: &str,
    format: Format,
    page: &LogPage,
) -> Result<Exit, CliError> {
    let counts = page.counts.as_deref().unwrap_or_default();
    match format {
        Format::Json => {
            let answer = json!({ "by": by, "counts": counts });
            ctx.output.json(&with_lost(answer, page))?;
        }
        Format::Jsonl => {
            for count in counts {
                ctx.output.write(&format!("{}\n", json!(count)))?;
            }
        }
        Format::Csv => {
            let mut text = "value,count,share\n".to_owned();
            for Count {
                value,
                count,
                share,
            } in counts
            {
                let value = csv_cell(value.as_deref().unwrap_or(""));
                text.push_str(&format!("{value},{count},{share:.6}\n"));
            }
            ctx.output.write(&text)?;
        }
        Format::Text => {
            if counts.is_empty() {
                ctx.output.note("No lines match.");
                return Ok(Exit::Success);
            }
            let mut table = Table::new([
                Column::name("VALUE"),
                Column::new("COUNT", 1),
                Column::new("SHARE", 2),
            ]);
            for Count {
                value,
                count,
                share,
            } in counts
            {
                table.row([
                    Cell::from(value.as_deref().unwrap_or(NONE)),
                    Cell::from(count.to_string()),
                    Cell::from(format!("{:.1}%", share * 100.0)),
                ]);
            }
            ctx.output.table(&table)?;
        }
    }
    Ok(Exit::Success)
}
