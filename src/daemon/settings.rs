//! The daemon's settings: `config.toml`, read at the start and again when asked.
//!
//! A wrong file changes nothing: at the start the defaults count, since supervision must not
//! wait for a file; later the former settings stay. Either way every problem is told. What the
//! file forbids the agent nobody knows then, so that only observes until it can be read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use supervisor::config::{DaemonConfig, LoadError, LogLevel, Problem};
use supervisor::spec::AutonomyLimit;
use supervisor::{ControlError, Paths, Tasks};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes the level of `daemon.log` while it runs.
pub(crate) type Level = reload::Handle<LevelFilter, Registry>;

/// Sends what the daemon says to standard error, which the guard appended to `daemon.log`.
pub(crate) fn log_to_stderr() -> Level {
    let (filter, level) = reload::Layer::new(LevelFilter::INFO);
    let text = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // Fails only when a subscriber is there already, and then that one counts.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(text)
        .try_init();
    level
}

/// The settings, and who hears of their changes. Clones are the same settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    paths: Paths,
    level: Level,
    current: watch::Sender<Arc<DaemonConfig>>,
    problem: Arc<Mutex<Option<String>>>,
    /// The file could be read once.
    read: Arc<AtomicBool>,
    /// It could not be read at the last try, whatever is in it.
    unreadable: Arc<AtomicBool>,
}

impl Settings {
    /// Reads the file. A wrong one is told loudly, and careful defaults count.
    pub(crate) fn load(paths: &Paths, level: Level) -> Self {
        let settings = Self {
            paths: paths.clone(),
            level,
            current: watch::Sender::new(Arc::new(careful())),
            problem: Arc::default(),
            read: Arc::default(),
            unreadable: Arc::default(),
        };
        if let Err(error) = settings.reload() {
            error!(%error, "config.toml is wrong; careful defaults count until it is mended.");
        }
        settings
    }

    /// Reads the file again. Blocks.
    pub(crate) fn reload(&self) -> Result<(), ControlError> {
        let result = DaemonConfig::load(&self.paths);
        let problem = result.as_ref().err().map(|error| self.said(error));
        *self.lock_problem() = problem;
        let unreadable = matches!(result, Err(LoadError::Unreadable { .. }));
        self.unreadable.store(unreadable, Ordering::Relaxed);
        let (config, warnings) = result.map_err(invalid)?;
        self.read.store(true, Ordering::Relaxed);
        for warning in &warnings {
            warn!(problem = text(warning), "config.toml has a problem.");
        }
        let filter = filter(config.daemon.log_level);
        if let Err(error) = self.level.reload(filter) {
            warn!(%error, "The log level could not be changed.");
        }
        self.current.send_replace(Arc::new(config));
        info!("The settings are in force.");
        Ok(())
    }

    /// The file is there and could not be read: without a free descriptor, for example. Then it
    /// is worth another try without anybody asking.
    pub(crate) fn are_unread(&self) -> bool {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// The settings in force.
    pub(crate) fn current(&self) -> Arc<DaemonConfig> {
        self.current.borrow().clone()
    }

    /// Hears of changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<DaemonConfig>> {
        self.current.subscribe()
    }

    /// A part of the settings, also after they have changed.
    pub(crate) fn follow<T: Send + Sync + 'static>(
        &self,
        tasks: &Tasks,
        name: &'static str,
        part: impl Fn(&DaemonConfig) -> T + Send + Sync + 'static,
    ) -> watch::Receiver<T> {
        let (sender, followed) = watch::channel(part(&self.current()));
        let (mut changes, cancel) = (self.watch(), tasks.token());
        let follow = async move {
            while changes.changed().await.is_ok() {
                sender.send_replace(part(&changes.borrow_and_update()));
            }
        };
        tasks.spawn(name, async move {
            cancel.run_until_cancelled(follow).await;
        });
        followed
    }

    /// What is wrong with the file, for people.
    pub(crate) fn problem(&self) -> Option<String> {
        self.lock_problem().clone()
    }

    /// What is wrong, what counts instead, and what to type.
    fn said(&self, error: &LoadError) -> String {
        let counts = match self.read.load(Ordering::Relaxed) {
            true => "the former settings count",
            false => "the defaults count, and the agent only observes,",
        };
        let (file, pid) = (self.paths.config(), std::process::id());
        format!(
            "config.toml is wrong and not in force: {}; {counts} until it is mended: \
             mhost check {} && kill -HUP {pid}",
            first_line(error),
            file.display()
        )
    }

    fn lock_problem(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts while nobody knows what the file allows.
fn careful() -> DaemonConfig {
    let mut config = DaemonConfig::default();
    config.brain.autonomy = AutonomyLimit::Manual;
    config.agent.autonomy = AutonomyLimit::Manual;
    config
}

fn first_line(error: &LoadError) -> String {
    let problems = error.problems();
    problems.first().map_or_else(|| error.to_string(), text)
}

/// A problem in one line.
fn text(problem: &Problem) -> String {
    let Problem {
        source,
        line,
        column,
        message,
        ..
    } = problem;
    format!("{}:{line}:{column}: {message}", source.path.display())
}

fn invalid(error: LoadError) -> ControlError {
    ControlError::Invalid {
        message: first_line(&error),
        details: error.problems().iter().map(text).collect(),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
