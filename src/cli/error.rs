//! What a person is told when a command fails: what, why, and what to type next.

use std::io;

use serde_json::{Value, json};

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Something to tell.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
    /// The answer could not be written.
    #[error("could not write the answer")]
    Output(#[from] io::Error),
}

/// A failure with all that is known of it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: Option<i32>,
    message: String,
    details: Vec<String>,
    help: Option<String>,
    report: Option<String>,
    problems: Value,
}

impl CliError {
    /// A failure with its message: a fragment without a full stop.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure {
            exit,
            code: None,
            message: message.into(),
            details: Vec::new(),
            help: None,
            report: None,
            problems: Value::Null,
        }))
    }

    /// Anything that has no exit code of its own.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// A wrong flag, value or file.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Config, message)
    }

    /// With what to type next.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.help = Some(help.into());
        }
        self
    }

    /// With the code of the JSON-RPC error it comes from.
    #[must_use]
    pub(crate) fn with_code(mut self, code: i32) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.code = Some(code);
        }
        self
    }

    /// With lines that say more.
    #[must_use]
    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.details = details;
            // A single problem is the message already.
            failure
                .details
                .retain(|detail| !failure.message.contains(detail.as_str()));
        }
        self
    }

    /// With the problems of a file, for `--json`.
    #[must_use]
    pub(crate) fn with_problems(mut self, problems: Value) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.problems = problems;
        }
        self
    }

    /// With a finished picture of the place in the file, which is shown above the message.
    #[must_use]
    pub(crate) fn with_report(mut self, report: String) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.report = Some(report);
        }
        self
    }

    /// The exit code. A reader that went away has what it wanted.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Failed(failure) => failure.exit,
            Self::Output(_) if self.is_broken_pipe() => Exit::Success,
            Self::Output(_) => Exit::Failure,
        }
    }

    /// The code of the JSON-RPC error it comes from.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Failed(failure) => failure.code,
            Self::Output(_) => None,
        }
    }

    /// Nobody reads any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Is there nothing left to tell?
    pub(crate) fn is_silent(&self) -> bool {
        self.is_broken_pipe()
    }

    /// What to type next.
    pub(crate) fn help(&self) -> Option<&str> {
        match self {
            Self::Failed(failure) => failure.help.as_deref(),
            _ => None,
        }
    }

    /// Lines that say more.
    pub(crate) fn details(&self) -> &[String] {
        match self {
            Self::Failed(failure) => &failure.details,
            _ => &[],
        }
    }

    /// The picture of the place in the file.
    pub(crate) fn report(&self) -> Option<&str> {
        match self {
            Self::Failed(failure) => failure.report.as_deref(),
            _ => None,
        }
    }

    /// As `--json` shows it. `code` is the JSON-RPC code where there is one, else the exit code.
    pub(crate) fn to_json(&self) -> Value {
        let exit = self.exit().code();
        let mut error = json!({ "code": exit, "message": self.to_string(), "exit": exit });
        if let Self::Failed(failure) = self {
            if let Some(code) = failure.code {
                error["code"] = json!(code);
            }
            if !failure.details.is_empty() {
                error["details"] = json!(failure.details);
            }
            if !failure.problems.is_null() {
                error["problems"] = failure.problems.clone();
            }
            if let Some(help) = &failure.help {
                error["help"] = json!(help);
            }
        }
        json!({ "error": error })
    }
}
