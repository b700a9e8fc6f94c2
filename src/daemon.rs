//! The daemon: everything that runs when nobody is looking.
//!
//! `mhost daemon run` is the guard ([`run_guard`]), which starts the daemon proper
//! ([`run_core`]) and starts it again when it dies. Only this module knows how the two find
//! each other.

mod alone;
pub(crate) mod audit_port;
mod chat;
pub(crate) mod dispatch;
pub(crate) mod gate;
mod guarded;
mod hearer;
mod logs;
mod metrics;
mod notify;
mod pace;
mod patch;
mod pid_file;
pub(crate) mod port;
mod proof;
pub(crate) mod rpc;
mod run;
mod settings;
mod sinks_port;
mod systemd;
mod trouble;
mod upgrade;
mod wiring;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supervisor::Paths;
use supervisor::sys::{FileLock, GuardLink, HomeName, guard};

/// Runs the guard of a home's daemon until the daemon ends of its own will. With `resurrect`
/// the daemon starts what `mhost save` wrote down.
pub(crate) fn run_guard(paths: &Paths, resurrect: bool) -> u8 {
    let Some(_lock) = alone::only_guard(paths) else {
        return 1;
    };
    guard::run(&own_path(), &arguments(paths, Part::Core { resurrect }))
}

/// Runs the guard of a daemon that runs already and has lost its former one.
pub(crate) fn run_new_guard(paths: &Paths, daemon: i32) -> u8 {
    // Watching matters more than being alone: another guard that is about to leave is no harm.
    let _lock = FileLock::try_acquire(&paths.guard_lock());
    let _name = HomeName::take(paths.home(), supervisor::sys::Part::Guard);
    let arguments = arguments(paths, Part::Core { resurrect: false });
    guard::watch(&own_path(), &arguments, daemon)
}

/// Runs the daemon proper.
pub(crate) fn run_core(paths: &Paths, resurrect: bool) -> u8 {
    run::run(paths, resurrect)
}

/// The arguments of the process that runs the daemon's playbooks.
const PLAYBOOK_PROCESS: [&str; 2] = ["daemon", "run-playbooks"];

/// Is this the process that the daemon has started for its playbooks?
pub(crate) fn is_playbook_process(args: &[OsString]) -> bool {
    args.get(1..)
        .is_some_and(|args| args == PLAYBOOK_PROCESS.map(OsString::from))
}

/// Starts a guard for this process, in the place of one that died.
fn new_guard(paths: &Paths) -> io::Result<Arc<GuardLink>> {
    let daemon = std::process::id();
    GuardLink::start_another(&own_path(), &arguments(paths, Part::NewGuard { daemon }))
}

enum Part {
    Core { resurrect: bool },
    NewGuard { daemon: u32 },
}

/// The command line of one of the parts.
fn arguments(paths: &Paths, part: Part) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--home".into(), paths.home().into()];
    arguments.extend(["daemon", "run"].map(Into::into));
    match part {
        Part::Core { resurrect } => {
            arguments.push("--core".into());
            arguments.extend(resurrect.then(|| "--resurrect".into()));
        }
        Part::NewGuard { daemon } => {
            arguments.extend(["--guard-of".into(), daemon.to_string().into()]);
        }
    }
    arguments
}

/// The path of this program. A file that was replaced meanwhile has the same name.
fn own_path() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| Path::new("mhost").to_owned());
    match path.to_string_lossy().strip_suffix(" (deleted)") {
        Some(path) => PathBuf::from(path),
        None => path,
    }
}
