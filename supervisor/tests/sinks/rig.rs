//! A home with captured programs, and sinks as its settings say. What a program prints is
//! written by the test into the program's pipe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use supervisor::config::DaemonConfig;
use supervisor::logs::feed::{Feed, FeedSource};
use supervisor::logs::{Ingest, Source};
use supervisor::sinks::{SinkStatus, Sinks};
use supervisor::{Clock, InstanceId, Paths, Stream, Tasks};
use tokio::sync::watch;
use tokio::time::Instant;

/// Far more than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    home: tempfile::TempDir,
    pub(crate) paths: Paths,
    pub(crate) clock: Clock,
    tasks: Tasks,
    ingest: Ingest,
    sources: Arc<Mutex<Vec<FeedSource>>>,
    settings: watch::Sender<Arc<DaemonConfig>>,
    pub(crate) feed: Feed,
    sinks: Sinks,
}

impl Rig {
    /// With these settings from the start.
    pub(crate) fn new(settings: &str) -> Self {
        Self::open(tempfile::tempdir().unwrap(), settings, Arc::default())
    }

    fn open(home: tempfile::TempDir, settings: &str, sources: Arc<Mutex<Vec<FeedSource>>>) -> Self {
        let paths = Paths::new(home.path()).unwrap();
        paths.create().unwrap();
        let clock = Clock::system();
        let tasks = Tasks::new();
        let ingest = Ingest::start(&paths, &clock).unwrap();
        let settings = watch::Sender::new(Arc::new(load(&paths, settings)));
        let list = sources.clone();
        let list = Arc::new(move || list.lock().unwrap().clone());
        let feed = Feed::new(&tasks, ingest.clone(), clock.clone(), list);
        let sinks = Sinks::start(&tasks, feed.clone(), &paths, &clock, settings.subscribe());
        Self {
            home,
            paths,
            clock,
            tasks,
            ingest,
            sources,
            settings,
            feed,
            sinks,
        }
    }

    /// The daemon ends and another one comes.
    pub(crate) async fn restart(self, settings: &str) -> Self {
        let left = self.tasks.shutdown(PATIENCE).await;
        assert_eq!(left, Vec::<String>::new());
        self.ingest.stop();
        Self::open(self.home, settings, self.sources)
    }

    /// Other settings come into force.
    pub(crate) fn reload(&self, settings: &str) {
        self.settings
            .send_replace(Arc::new(load(&self.paths, settings)));
    }

    /// Begins a run of a program; what is written to the file is printed by it.
    pub(crate) async fn program(&self, name: &str, instance: u16, stream: Stream) -> Program {
        let id = InstanceId::new(name.parse().unwrap(), instance);
        let fifo = self.paths.fifo(&id, 1, stream);
        self.ingest.attach(&id, 1, stream, &fifo).await.unwrap();
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&fifo, flags, Mode::empty()).unwrap());
        let mut sources = self.sources.lock().unwrap();
        if !sources.iter().any(|source| source.source.instance == id) {
            sources.push(FeedSource {
                source: Source {
                    instance: id,
                    streams: Stream::BOTH.to_vec(),
                    folder: self.paths.logs(),
                },
                run: Some((1, 4711)),
            });
        }
        Program { file }
    }

    pub(crate) fn status(&self, name: &str) -> SinkStatus {
        let all = self.sinks.status();
        let found = all.into_iter().find(|sink| sink.name == name);
        found.unwrap_or_else(|| panic!("there is no sink {name}"))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.sinks.status();
        all.into_iter().map(|sink| sink.name).collect()
    }

    /// Waits until the status of a sink is as wanted.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&SinkStatus) -> bool) {
        until(
            || wanted(&self.status(name)),
            || format!("{:?}", self.status(name)),
        )
        .await;
    }

    /// Waits until sinks know where they begin.
    pub(crate) async fn ready(&self, names: &[&str]) {
        let here = || {
            names
                .iter()
                .all(|name| self.names().iter().any(|n| n == name))
        };
        until(here, || format!("{:?}", self.names())).await;
    }
}

/// Prints what a test says.
pub(crate) struct Program {
    file: File,
}

impl Program {
    /// Blocks while the pipe is full, as a program would.
    pub(crate) fn print(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }
}

fn load(paths: &Paths, settings: &str) -> DaemonConfig {
    std::fs::write(paths.config(), settings).unwrap();
    let loaded = DaemonConfig::load_with(&paths.config(), &BTreeMap::new());
    loaded
        .unwrap_or_else(|error| panic!("{:#?}", error.problems()))
        .0
}

/// Waits for a condition, or says how things are instead.
pub(crate) async fn until(mut condition: impl FnMut() -> bool, state: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {}", state());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
