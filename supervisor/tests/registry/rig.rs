//! A registry in a home of its own, with what tests do to it.

use std::sync::Arc;
use std::time::Duration;

use supervisor::Sampler;
use supervisor::command::view::ProcessView;
use supervisor::command::{Apply, Command, Reply, Target};
use supervisor::launch::Launcher;
use supervisor::logs::Ingest;
use supervisor::spec::{Argv, EnvLayers, ProcessConfig, ProcessSpec};
use supervisor::store::StoreHandle;
use supervisor::sys::OsLauncher;
use supervisor::{
    Bus, Caller, Clock, ControlError, Event, Foundation, OsText, Paths, RegistryHandle, Status,
    Tasks,
};

/// Longest any of these tests waits for something that should take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// A registry in a home of its own, as a daemon would build it.
pub(crate) struct Rig {
    pub(crate) registry: RegistryHandle,
    pub(crate) tasks: Tasks,
    pub(crate) home: Arc<tempfile::TempDir>,
    pub(crate) ingest: Ingest,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::at(Arc::new(tempfile::tempdir().expect("a folder"))).await
    }

    pub(crate) async fn at(home: Arc<tempfile::TempDir>) -> Self {
        let paths = Paths::new(home.path()).expect("paths");
        paths.create().expect("folders");
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let (store, _thread) =
            StoreHandle::open(&paths.database(), clock.clone()).expect("a store");
        let loaded = store.load().await.expect("rows");
        let ingest = Ingest::start(&paths, &clock).expect("capture");
        let launcher: Arc<dyn Launcher> = Arc::new(OsLauncher::new(paths.clone()));
        let sampler = Sampler::start(&tasks, &clock);
        let foundation = Foundation {
            clock,
            launcher,
            store,
            ingest: ingest.clone(),
            sampler,
            bus: Bus::new(),
            paths,
            tasks: tasks.clone(),
            version: "test".into(),
        };
        std::mem::forget(_thread);
        Self {
            registry: RegistryHandle::open(foundation, loaded),
            tasks,
            home,
            ingest,
        }
    }

    /// The daemon dies: its tasks end where they are, the children live on.
    pub(crate) async fn crash(self) -> Arc<tempfile::TempDir> {
        self.tasks.shutdown(PATIENCE).await;
        self.ingest.stop();
        self.home
    }

    pub(crate) async fn call(&self, command: Command) -> Result<Reply, ControlError> {
        self.registry.call(&Caller::system(), command).await
    }

    pub(crate) async fn apply(&self, specs: Vec<ProcessSpec>) -> Result<Reply, ControlError> {
        let apply = Apply {
            processes: specs,
            groups: Vec::new(),
            prune: false,
            force: false,
            reset_scale: false,
            others: Vec::new(),
            wait: Some(PATIENCE),
        };
        self.call(Command::Apply(apply)).await
    }

    pub(crate) async fn view(&self, name: &str) -> ProcessView {
        match self
            .call(Command::Status {
                target: Target(name.into()),
            })
            .await
        {
            Ok(Reply::Processes(mut views)) => views.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Polls until the view satisfies the condition.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&ProcessView) -> bool,
    ) -> ProcessView {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let view = self.view(name).await;
            if condition(&view) {
                return view;
            }
            assert!(tokio::time::Instant::now() < end, "never {what}: {view:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it is online.
    pub(crate) async fn online(&self, name: &str) -> ProcessView {
        self.until(name, "online", |view| view.state == Status::Online)
            .await
    }

    /// What happened to it, oldest first.
    pub(crate) async fn history(&self, name: &str) -> Vec<Event> {
        let history = Command::History {
            target: Some(Target(name.into())),
            since: None,
            limit: 100,
        };
        match self.call(history).await {
            Ok(Reply::Events(events)) => events.into_iter().rev().collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until this run is the only one of the home. Beside it there may be a probe for a
    /// moment.
    pub(crate) async fn until_only(&self, pid: i32) {
        self.until_only_these(&[pid]).await;
    }

    /// The same for several.
    pub(crate) async fn until_only_these(&self, pids: &[i32]) {
        let home = self.home.path();
        let mut wanted = pids.to_vec();
        wanted.sort_unstable();
        let found = || {
            let mut found = marked(home);
            found.sort_unstable();
            found == wanted
        };
        wait_until("the other runs to end", found).await;
    }

    /// Waits until nothing that was started here is left.
    pub(crate) async fn until_nothing_runs(&self) {
        let home = self.home.path();
        wait_until("all runs to end", || marked(home).is_empty()).await;
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        match self.call(Command::List { tag: None }).await {
            Ok(Reply::Processes(views)) => views.iter().map(|v| v.name.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn finish(self) {
        let left = self.registry.close(true, PATIENCE).await;
        assert!(left.is_empty(), "{left:?}");
        self.crash().await;
    }
}

/// Waits for a condition.
pub(crate) async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "waited for {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// A reload as the definition says it, waited for to its end.
pub(crate) fn reload_as_said(name: &str) -> Command {
    Command::Reload {
        target: Target(name.into()),
        timeout: None,
        wait: true,
    }
}

/// What a reload said that failed.
pub(crate) fn failure(reloaded: Result<Reply, ControlError>) -> String {
    match reloaded {
        Err(ControlError::ReloadFailed { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

/// A reload that is waited for to its end.
pub(crate) fn reload(name: &str, timeout: Duration) -> Command {
    Command::Reload {
        target: Target(name.into()),
        timeout: Some(timeout),
        wait: true,
    }
}

/// A probe of this command that is asked each second.
pub(crate) fn probe(command: &str) -> String {
    format!("[health.script]\ncommand = \"{command}\"\ninterval = \"1s\"\ntimeout = \"1s\"\n")
}

pub(crate) fn spec(name: &str, script: &str, extra: &str) -> ProcessSpec {
    let config: ProcessConfig = toml::from_str(&format!(
        "command = \"sh\"\nrestart_delay = \"10ms\"\n{extra}"
    ))
    .expect("a config");
    let instances = match config.instances {
        supervisor::spec::Instances::Count(count) => count,
        supervisor::spec::Instances::Max => 2,
    };
    let path = std::env::var_os("PATH").map(|path| ("PATH".to_owned(), OsText(path)));
    ProcessSpec {
        name: name.parse().expect("a name"),
        config,
        instances,
        project: None,
        cwd: std::env::temp_dir(),
        argv: Argv {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            interpreter: None,
        },
        env: EnvLayers {
            os: path.into_iter().collect(),
            ..EnvLayers::default()
        },
    }
}

pub(crate) fn pid(view: &ProcessView) -> i32 {
    view.instances[0].pid.expect("it runs")
}

/// The pids of all instances, in their order.
pub(crate) fn pids(view: &ProcessView) -> Vec<i32> {
    let pids = view.instances.iter().map(|one| one.pid);
    pids.map(|pid| pid.expect("it runs")).collect()
}

pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
}

/// The leaders of runs of this home, by the marks in their environment.
pub(crate) fn marked(home: &std::path::Path) -> Vec<i32> {
    let mark = format!("MHOST_HOME={}", home.display());
    let leads = |pid: &i32| {
        let id = rustix::process::Pid::from_raw(*pid);
        rustix::process::getsid(id).is_ok_and(|session| Some(session) == id)
    };
    let has_mark = |pid: &i32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|b| *b == 0).any(|one| one == mark.as_bytes())
    };
    std::fs::read_dir("/proc")
        .expect("a proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(has_mark)
        .filter(leads)
        .collect()
}
