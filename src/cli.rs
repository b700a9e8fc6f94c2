//! The command line: a file per command, and here the tree of them.
//!
//! A command is a clap struct, whose doc is its help text, and a `run(self, &Context)` that
//! returns how it ended. To add one: a file, a `mod` line, a variant of [`Command`] with its
//! arm in [`Command::run`], and its name in [`help::GROUPS`].

pub(crate) mod context;
pub(crate) mod error;
mod help;
mod hint;
mod session;
mod settings;
mod target;
mod watch;
mod when;

mod agent;
mod ai;
mod audit;
mod bot;
mod brain;
mod check;
mod completion;
mod config;
mod cron;
mod daemon;
mod delete;
mod demo;
mod env;
mod flush;
mod health;
pub(crate) mod history;
mod info;
mod init;
mod limits;
mod link;
mod list;
mod logs;
mod mcp;
mod metrics;
mod monit;
mod notify;
mod ping;
mod questions;
mod reload;
mod replay;
mod restart;
mod resurrect;
mod save;
mod scale;
mod signal;
mod sinks;
mod start;
mod startup;
mod status;
mod stop;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::exit::Exit;
use crate::output::{Output, Wishes};
use context::{Context, Global};
use error::CliError;

/// A process supervisor whose on-call engineer is built in.
#[derive(Debug, Parser)]
#[command(
    name = "mhost",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 100,
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    /// Print the version
    #[arg(short = 'V', short_alias = 'v', long, action = clap::ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

/// All commands, in the order of the help.
#[derive(Debug, Subcommand)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, and it lives as long as the program"
)]
enum Command {
    Start(start::Start),
    Stop(stop::Stop),
    Restart(restart::Restart),
    Reload(reload::Reload),
    #[command(visible_aliases = ["rm", "del"])]
    Delete(delete::Delete),
    #[command(visible_alias = "cluster")]
    Scale(scale::Scale),
    Signal(signal::Signal),
    #[command(visible_alias = "ls")]
    List(list::List),
    Status(status::Status),
    #[command(visible_alias = "describe")]
    Info(info::Info),
    Logs(Box<logs::Logs>),
    Monit(monit::Monit),
    Health(health::Health),
    History(history::History),
    Metrics(metrics::Metrics),
    Replay(replay::Replay),
    Limits(limits::Limits),
    Cron(cron::Cron),
    Link(link::Link),
    Env(env::Env),
    Config(config::Config),
    Audit(audit::Audit),
    Sinks(sinks::Sinks),
    Flush(flush::Flush),
    Save(save::Save),
    Resurrect(resurrect::Resurrect),
    Startup(startup::Startup),
    Unstartup(startup::Unstartup),
    Init(init::Init),
    Demo(demo::Demo),
    Check(check::Check),
    Completion(completion::Completion),
    Brain(brain::Brain),
    Agent(agent::Agent),
    Ai(ai::Ai),
    Mcp(mcp::Mcp),
    Bot(bot::Bot),
    Notify(notify::Notify),
    Daemon(daemon::Daemon),
    Ping(ping::Ping),
    Kill(daemon::Kill),
}

impl Command {
    fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self {
            Command::Start(command) => command.run(ctx),
            Command::Demo(command) => command.run(ctx),
            Command::Check(command) => command.run(ctx),
            Command::Stop(command) => command.run(ctx),
            Command::Restart(command) => command.run(ctx),
            Command::Reload(command) => command.run(ctx),
            Command::Delete(command) => command.run(ctx),
            Command::Scale(command) => command.run(ctx),
            Command::Signal(command) => command.run(ctx),
            Command::List(command) => command.run(ctx),
            Command::Status(command) => command.run(ctx),
            Command::Info(command) => command.run(ctx),
            Command::Logs(command) => command.run(ctx),
            Command::Monit(command) => command.run(ctx),
            Command::Health(command) => command.run(ctx),
            Command::History(command) => command.run(ctx),
            Command::Metrics(command) => command.run(ctx),
            Command::Replay(command) => command.run(ctx),
            Command::Limits(command) => command.run(ctx),
            Command::Cron(command) => command.run(ctx),
            Command::Link(command) => command.run(ctx),
            Command::Env(command) => command.run(ctx),
            Command::Config(command) => command.run(ctx),
            Command::Audit(command) => command.run(ctx),
            Command::Sinks(command) => command.run(ctx),
            Command::Flush(command) => command.run(ctx),
            Command::Save(command) => command.run(ctx),
            Command::Resurrect(command) => command.run(ctx),
            Command::Startup(command) => command.run(ctx),
            Command::Unstartup(command) => command.run(ctx),
            Command::Init(command) => command.run(ctx),
            Command::Completion(command) => command.run(ctx),
            Command::Brain(command) => command.run(ctx),
            Command::Agent(command) => command.run(ctx),
            Command::Ai(command) => command.run(ctx),
            Command::Mcp(command) => command.run(ctx),
            Command::Bot(command) => command.run(ctx),
            Command::Notify(command) => command.run(ctx),
            Command::Daemon(command) => command.run(ctx),
            Command::Ping(command) => command.run(ctx),
            Command::Kill(command) => command.run(ctx),
        }
    }
}

/// The whole tree, for help, completions and tests.
pub(crate) fn tree() -> clap::Command {
    Cli::command()
}

/// Reads the command line, does what it says, and tells how that ended.
pub(crate) fn main(args: Vec<OsString>) -> Exit {
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&args, &error),
    };
    let output = Output::new(cli.global.wishes());
    let ctx = Context::new(cli.global, output);
    match cli.command.run(&ctx) {
        Ok(exit) => exit,
        Err(error) => {
            ctx.output.error(&error);
            error.exit()
        }
    }
}

/// The whole tree, with what follows from its parts.
fn built() -> clap::Command {
    let mut tree = tree();
    tree.build();
    tree
}

fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut tree = tree();
    if has_flag(args, "--no-color") {
        tree = tree.color(clap::ColorChoice::Never);
    }
    if help::is_wanted(args) {
        tree = help::grouped(tree);
    }
    Cli::from_arg_matches(&tree.try_get_matches_from(args)?)
}

/// Tells about help, the version, or a wrong command line.
fn usage(args: &[OsString], error: &clap::Error) -> Exit {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked_for
        && has_flag(args, "--json")
        && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let output = Output::new(Wishes {
            json: true,
            ..Wishes::default()
        });
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        let plain = || CliError::config(message.trim_start_matches("error: "));
        output.error(&hint::of(&built(), args, error).unwrap_or_else(plain));
        return Exit::Config;
    }
    if let Some(better) = hint::of(&built(), args, error) {
        let no_color = has_flag(args, "--no-color");
        let wishes = Wishes {
            no_color,
            ..Wishes::default()
        };
        Output::new(wishes).error(&better);
        return Exit::Config;
    }
    // A closed pipe is no failure here either.
    let _ = error.print();
    if asked_for {
        Exit::Success
    } else {
        Exit::Config
    }
}

/// Is the flag among mhost's own arguments, before `--`?
fn has_flag(args: &[OsString], flag: &str) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        tree().debug_assert();
    }

    #[test]
    fn wrong_usage_is_a_configuration_error() {
        let args = ["mhost", "no-such-command"].map(OsString::from);
        assert_eq!(main(args.to_vec()), Exit::Config);
    }
}
