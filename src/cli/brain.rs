//! `mhost brain`: what the on-call engineer sees, knows and did.

mod backtest;
mod chain;
mod draft;
mod explain;
mod files;
mod history;
mod import;
mod lint;
mod new;
mod playbooks;
mod status;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// See how well processes are, and what was done for them
#[derive(Debug, Args)]
pub(crate) struct Brain {
    #[command(subcommand)]
    command: BrainCommand,
}

#[derive(Debug, Subcommand)]
enum BrainCommand {
    /// Show the health score of every process, and where the agent stands
    Status {
        /// Only this process
        name: Option<String>,
    },
    /// Show incidents and what was done about them, newest first
    History {
        /// At most so many
        #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
        lines: u32,
        /// Only of this process
        #[arg(long, value_name = "NAME")]
        process: Option<String>,
        /// Only after this time: 1h, "2026-03-28 14:00", RFC 3339
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Show the playbooks, and how often they helped
    Playbooks,
    /// Write, check and try playbooks, and say which may act
    Playbook(Playbook),
    /// Ask a playbook what it would have done about everything that is recorded
    Backtest {
        /// A file, or the name of a playbook
        file: String,
        /// Only what was recorded after this time: 30d, 1h, "2026-03-28 14:00"
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: String,
    },
    /// Show which brains are asked about an incident, and how those of your own did
    Chain,
    /// Tell the story of an incident
    Explain {
        /// An incident, a process, or `crash` for the newest crash
        what: String,
    },
}

/// Write, check and try playbooks, and say which may act
#[derive(Debug, Args)]
struct Playbook {
    #[command(subcommand)]
    command: PlaybookCommand,
}

#[derive(Debug, Subcommand)]
enum PlaybookCommand {
    /// Show the playbooks, and how often they helped
    #[command(visible_alias = "ls")]
    List,
    /// Print a playbook, and the script that a declared one becomes
    Show {
        /// Its name
        name: String,
    },
    /// Write a commented starter, and the scenario that proves it
    New {
        /// Its name: letters, digits, `-`, `_` and `.`
        name: String,
        /// Write it in the declarative form
        #[arg(long)]
        toml: bool,
    },
    /// Write playbooks from rules in JSON: `trigger`, `action`, `wait_ms`
    Import {
        /// The file with a rule, or a list of them
        file: PathBuf,
    },
    /// Find mistakes before a playbook runs, each with line and column
    Lint {
        /// Files or names; all of your own when left out
        what: Vec<String>,
    },
    /// Show the playbook that the cure of an incident makes, against the one that is there
    Draft {
        /// The incident: inc-7
        incident: String,
    },
    /// Run its scenario, then ask it about your processes without doing anything
    Test {
        /// Its name, or a file
        name: String,
        /// Ask it about a recorded incident instead
        #[arg(long, value_name = "ID")]
        incident: Option<String>,
        /// Ask it about this process only
        #[arg(long, value_name = "NAME")]
        process: Option<String>,
    },
    /// Let a playbook be asked
    Enable {
        /// Its name
        name: String,
    },
    /// Have a playbook asked no more
    Disable {
        /// Its name
        name: String,
    },
    /// Say how far a learned playbook is believed
    Trust {
        /// Its name
        name: String,
        /// On probation it asks before it acts; retired, it is not asked
        #[arg(long, value_enum, default_value_t = Level::Trusted)]
        level: Level,
    },
    /// Print what playbooks can say: the reference, or definitions for an editor
    Reference {
        /// Definitions for the language server of Rhai
        #[arg(long)]
        definitions: bool,
    },
}

/// How far a person believes a playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// It acts by the usual rules
    Trusted,
    /// It asks before it acts
    Probation,
    /// It is not asked
    Retired,
}

impl Brain {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            BrainCommand::Status { name } => status::status(ctx, name),
            BrainCommand::History {
                lines,
                process,
                since,
            } => history::history(ctx, lines, process, since),
            BrainCommand::Playbooks => playbooks::list(ctx),
            BrainCommand::Playbook(Playbook { command }) => command.run(ctx),
            BrainCommand::Backtest { file, since } => backtest::backtest(ctx, &file, &since),
            BrainCommand::Chain => chain::chain(ctx),
            BrainCommand::Explain { what } => explain::explain(ctx, &what),
        }
    }
}

impl PlaybookCommand {
    fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self {
            PlaybookCommand::List => playbooks::list(ctx),
            PlaybookCommand::Show { name } => playbooks::show(ctx, &name),
            PlaybookCommand::New { name, toml } => new::new(ctx, &name, toml),
            PlaybookCommand::Import { file } => import::import(ctx, &file),
            PlaybookCommand::Draft { incident } => draft::draft(ctx, &incident),
            PlaybookCommand::Lint { what } => lint::lint(ctx, &what),
            PlaybookCommand::Test {
                name,
                incident,
                process,
            } => test::test(ctx, &name, incident, process),
            PlaybookCommand::Enable { name } => playbooks::enable(ctx, &name, true),
            PlaybookCommand::Disable { name } => playbooks::enable(ctx, &name, false),
            PlaybookCommand::Trust { name, level } => playbooks::trust(ctx, &name, level),
            PlaybookCommand::Reference { definitions } => {
                let text = if definitions {
                    brain::texts::definitions()
                } else {
                    brain::texts::markdown()
                };
                ctx.output.write(&text)?;
                Ok(Exit::Success)
            }
        }
    }
}

/// Where a person's playbooks lie.
fn folder(ctx: &Context) -> Result<PathBuf, CliError> {
    Ok(ctx.paths()?.playbooks())
}

fn reply<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, CliError> {
    T::deserialize(value).map_err(|error| {
        CliError::new(
            Exit::Protocol,
            format!("the daemon's answer is not as agreed: {error}"),
        )
        .with_help("the daemon may be of another version: mhost daemon upgrade")
    })
}
