//! Problems of a config file, each with its place in the file.

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};
use serde_json::{Value, json};
use supervisor::config::{Problem, Severity};

use super::text;

/// How problems are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Columns to keep.
    pub(crate) width: usize,
    /// With colour?
    pub(crate) colour: bool,
}

/// Bytes of a line above which only what is around the place is shown.
const LONG_LINE: usize = 1_000;

/// All problems, one below the other.
pub(crate) fn render(problems: &[Problem], look: Look) -> String {
    problems
        .iter()
        .map(|problem| picture(problem, look))
        .collect::<Vec<_>>()
        .join("\n")
}

fn picture(problem: &Problem, look: Look) -> String {
    // A file may hold controls of the terminal; then the plain form is shown, made harmless.
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    // A picture holds whole lines, and one of a minified file fills screens.
    let long = |line: &str| line.len() > LONG_LINE;
    let source = &problem.source.text;
    if !source.chars().all(harmless) || source.lines().any(long) {
        return text::clean_block(&problem.render());
    }
    let severity = match problem.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let mut diagnostic = MietteDiagnostic::new(text::clean(&problem.message))
        .with_severity(severity)
        .with_label(LabeledSpan::underline(problem.span.clone()));
    if let Some(help) = &problem.help {
        diagnostic = diagnostic.with_help(text::clean(help));
    }
    let name = problem.source.path.display().to_string();
    let report = Report::new(diagnostic)
        .with_source_code(NamedSource::new(name, problem.source.text.clone()));
    let mut theme = if look.colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    theme.characters.underline = '^';
    theme.characters.underbar = '^';
    let mut drawn = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(look.width)
        .with_links(false)
        .with_context_lines(1);
    match handler.render_report(&mut drawn, report.as_ref()) {
        Ok(()) => drawn,
        Err(_) => text::clean_block(&problem.render()),
    }
}

/// A problem for machines.
pub(crate) fn to_json(problem: &Problem) -> Value {
    json!({
        "file": problem.source.path,
        "line": problem.line,
        "column": problem.column,
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": problem.message,
        "help": problem.help,
    })
}
