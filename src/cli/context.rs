//! What every command gets: the global flags, the output, the clock, the paths.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use supervisor::{Clock, HomeError, Paths};

use super::error::CliError;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{Output, Wishes};

/// Flags that every command understands.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Config file to use instead of looking for mhost.toml
    #[arg(
        long,
        short,
        global = true,
        value_name = "PATH",
        env = "MHOST_CONFIG",
        hide_env = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// State directory [default: $MHOST_HOME, else ~/.mhost]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Print errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Take every question as answered with yes
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,
    /// Longest time to wait for the daemon's answer
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

impl Global {
    /// What is said about output.
    pub(crate) fn wishes(&self) -> Wishes {
        Wishes {
            json: self.json,
            quiet: self.quiet,
            no_color: self.no_color,
        }
    }
}

/// The surroundings of one command.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global flags.
    pub(crate) global: Global,
    /// Where answers go.
    pub(crate) output: Output,
    /// The time.
    pub(crate) clock: Clock,
    /// The connection to the daemon, once there is one.
    pub(super) client: RefCell<Option<Client>>,
    /// From now on no daemon is started.
    only_looks: Cell<bool>,
}

impl Context {
    /// The surroundings that the flags describe.
    pub(crate) fn new(global: Global, output: Output) -> Self {
        Self {
            global,
            output,
            clock: Clock::system(),
            client: RefCell::default(),
            only_looks: Cell::default(),
        }
    }

    /// Starts no daemon any more, whatever is asked.
    pub(super) fn only_look(&self) {
        self.only_looks.set(true);
    }

    /// Is that so?
    pub(super) fn only_looks(&self) -> bool {
        self.only_looks.get()
    }

    /// The names under the home folder. Nothing is created.
    pub(crate) fn paths(&self) -> Result<Paths, CliError> {
        let paths = match &self.global.home {
            Some(home) => Paths::new(home),
            None => Paths::from_env(),
        };
        paths.map_err(|error| {
            let help = match &error {
                HomeError::Unknown => "say where it is: mhost --home <dir> …",
                HomeError::SocketPathTooLong { .. } => {
                    "choose a shorter folder: mhost --home /tmp/m …, or set MHOST_HOME"
                }
                HomeError::NotAFolder { .. } | HomeError::NotWritable { .. } => {
                    "choose another folder with --home"
                }
            };
            CliError::config(error.to_string()).with_help(help)
        })
    }

    /// Asks the person; without a terminal to ask on, only `--yes` is a yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), CliError> {
        use std::io::IsTerminal;
        if self.global.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || self.output.is_json() {
            return Err(CliError::new(
                Exit::Config,
                "this needs a confirmation, and there is no terminal to ask on",
            )
            .with_help("add --yes"));
        }
        super::questions::begin();
        match dialoguer::Confirm::new()
            .with_prompt(question)
            .default(false)
            .interact()
        {
            Ok(true) => Ok(()),
            Ok(false) => Err(CliError::failure("nothing was done")),
            Err(error) => Err(super::questions::gone(error)),
        }
    }
}

/// A duration of the command line: `500ms`, `1h30m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    supervisor::units::parse_cli_duration(text).map_err(|error| error.to_string())
}
