//! The registry with real processes, a real store and real logs.

use std::sync::Arc;
use std::time::Duration;

use supervisor::Sampler;
use supervisor::command::view::{ProcessView, StartChange};
use supervisor::command::{Apply, Command, Reply, ScaleChange, Target};
use supervisor::launch::Launcher;
use supervisor::logs::{Ingest, LogQuery};
use supervisor::spec::{Argv, EnvLayers, ProcessConfig, ProcessSpec};
use supervisor::state::Reason;
use supervisor::store::StoreHandle;
use supervisor::sys::OsLauncher;
use supervisor::{
    Bus, Caller, Clock, ControlError, Foundation, OsText, Paths, RegistryHandle, Status, Tasks,
};

/// Longest any of these tests waits for something that should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A registry in a home of its own, as a daemon would build it.
struct Rig {
    registry: RegistryHandle,
    tasks: Tasks,
    home: Arc<tempfile::TempDir>,
    ingest: Ingest,
}

impl Rig {
    async fn new() -> Self {
        Self::at(Arc::new(tempfile::tempdir().expect("a folder"))).await
    }

    async fn at(home: Arc<tempfile::TempDir>) -> Self {
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
    async fn crash(self) -> Arc<tempfile::TempDir> {
        self.tasks.shutdown(PATIENCE).await;
        self.ingest.stop();
        self.home
    }

    async fn call(&self, command: Command) -> Result<Reply, ControlError> {
        self.registry.call(&Caller::system(), command).await
    }

    async fn apply(&self, specs: Vec<ProcessSpec>) -> Result<Reply, ControlError> {
        let apply = Apply {
            processes: specs,
            groups: Vec::new(),
            prune: false,
            force: false,
            reset_scale: false,
            wait: Some(PATIENCE),
        };
        self.call(Command::Apply(apply)).await
    }

    async fn view(&self, name: &str) -> ProcessView {
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
    async fn until(
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
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn finish(self) {
        let left = self.registry.close(true, PATIENCE).await;
        assert!(left.is_empty(), "{left:?}");
        self.crash().await;
    }
}

fn spec(name: &str, script: &str, extra: &str) -> ProcessSpec {
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

fn pid(view: &ProcessView) -> i32 {
    view.instances[0].pid.expect("it runs")
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
}

/// A process that is killed is started again, with a new pid, and the history says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_comes_back() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig
        .until("web", "online", |view| view.state == Status::Online)
        .await;
    kill(pid(&before));
    let after = rig
        .until("web", "online again", |view| {
            view.state == Status::Online && view.restarts == 1
        })
        .await;
    assert_ne!(pid(&before), pid(&after));
    let history = Command::History {
        target: Some(Target("web".into())),
        since: None,
        limit: 50,
    };
    let Ok(Reply::Events(events)) = rig.call(history).await else {
        panic!("no history")
    };
    let kinds: Vec<String> = events
        .iter()
        .rev()
        .map(|event| event.kind.to_string())
        .collect();
    assert_eq!(
        kinds,
        ["start", "online", "crash", "restart", "start", "online"]
    );
    rig.finish().await;
}

/// Without a delay the crash, the decision and the next run are one step; the history tells
/// them in order all the same, each crash with the last lines of its own run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_without_delay_is_told_in_order() {
    const KILLS: usize = 8;
    let rig = Rig::new().await;
    let mut web = spec("web", "echo run $MHOST_GENERATION >&2; exec sleep 600", "");
    web.config.restart_delay = Duration::ZERO;
    web.config.max_restarts = 0;
    rig.apply(vec![web]).await.expect("starts");
    let generation = |view: &ProcessView| view.instances[0].generation;
    let mut seen = rig.view("web").await;
    for _ in 0..KILLS {
        let folder = rig.home.path().join("logs/web-0.err.log");
        let said = format!("run {}\n", generation(&seen));
        let end = tokio::time::Instant::now() + PATIENCE;
        while !std::fs::read_to_string(&folder).is_ok_and(|text| text.ends_with(&said)) {
            assert!(tokio::time::Instant::now() < end, "{said} is not there");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        kill(pid(&seen));
        let next = generation(&seen) + 1;
        let is_next =
            |view: &ProcessView| generation(view) == next && view.instances[0].pid.is_some();
        seen = rig.until("web", "the next run", is_next).await;
    }
    let history = Command::History {
        target: Some(Target("web".into())),
        since: None,
        limit: 100,
    };
    let Ok(Reply::Events(mut events)) = rig.call(history).await else {
        panic!("no history")
    };
    events.reverse();
    events.retain(|event| event.kind.to_string() != "online");
    let kinds: Vec<String> = events.iter().map(|event| event.kind.to_string()).collect();
    let mut expected = vec!["start"];
    for _ in 0..KILLS {
        expected.extend(["crash", "restart", "start"]);
    }
    assert_eq!(kinds, expected);
    let crashes = events
        .iter()
        .filter(|event| event.kind.to_string() == "crash");
    for (run, crash) in (1..).zip(crashes) {
        assert_eq!(
            crash.data["last_lines"],
            serde_json::json!([format!("run {run}")])
        );
        assert_eq!(crash.data["signal"], 9);
    }
    rig.finish().await;
}

/// Children outlive the daemon and are adopted with pid, counters and log stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_daemon_adopts_what_runs() {
    let rig = Rig::new().await;
    let script = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done";
    rig.apply(vec![spec("writer", script, "")])
        .await
        .expect("starts");
    let before = rig
        .until("writer", "online", |view| view.state == Status::Online)
        .await;
    let home = rig.crash().await;
    let rig = Rig::at(home).await;
    let after = rig
        .until("writer", "online", |view| view.state == Status::Online)
        .await;
    assert_eq!(pid(&before), pid(&after));
    assert_eq!(
        before.instances[0].generation,
        after.instances[0].generation
    );
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let query = LogQuery {
            target: Some(Target("writer".into())),
            lines: 10_000,
            ..LogQuery::default()
        };
        let Ok(Reply::Logs(page)) = rig.call(Command::Logs(query)).await else {
            panic!("no logs")
        };
        let numbers: Vec<usize> = page
            .lines
            .iter()
            .filter_map(|line| line.message.strip_prefix("line ")?.parse().ok())
            .collect();
        assert_eq!(
            numbers,
            (1..=numbers.len()).collect::<Vec<_>>(),
            "a line is lost, doubled or out of order"
        );
        if numbers.len() > 100 {
            break;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "the stream is not read: {} lines",
            numbers.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.finish().await;
}

/// What exited while nobody looked is known as ended, and is started again by its rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_died_meanwhile_is_started_again() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig
        .until("web", "online", |view| view.state == Status::Online)
        .await;
    let home = rig.crash().await;
    kill(pid(&before));
    let rig = Rig::at(home).await;
    let after = rig
        .until("web", "online again", |view| {
            view.state == Status::Online && view.instances[0].generation == 2
        })
        .await;
    assert_ne!(pid(&before), pid(&after));
    rig.finish().await;
}

/// Scaling touches only what is added or taken away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaling_leaves_the_others_alone() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "instances = 2")])
        .await
        .expect("starts");
    let before = rig
        .until("web", "online", |view| view.state == Status::Online)
        .await;
    let up = Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::By(2),
    };
    rig.call(up).await.expect("scales up");
    rig.until("web", "four online", |view| {
        view.instances.len() == 4 && view.instances.iter().all(|one| one.state == Status::Online)
    })
    .await;
    let down = Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::To(2),
    };
    rig.call(down).await.expect("scales down");
    let after = rig.view("web").await;
    let pids = |view: &ProcessView| view.instances.iter().map(|one| one.pid).collect::<Vec<_>>();
    assert_eq!(pids(&before), pids(&after));
    rig.finish().await;
}

/// A dependency comes first; what depends on a failed one stays down and says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_dependency_stops_its_dependents() {
    let rig = Rig::new().await;
    let mut missing = spec("db", "exit 0", "");
    missing.argv.program = "/no/such/program".into();
    let api = spec("api", "exec sleep 600", "depends_on = [\"db\"]");
    let Ok(Reply::Started(outcome)) = rig.apply(vec![api, missing]).await else {
        panic!("no outcome")
    };
    let error = |name: &str| {
        let started = outcome
            .processes
            .iter()
            .find(|one| one.name.as_str() == name)
            .expect("named");
        started.error.clone().unwrap_or_default()
    };
    assert!(error("db").contains("not found"), "{}", error("db"));
    assert!(error("api").contains("dependency `db`"), "{}", error("api"));
    assert_eq!(rig.view("api").await.state, Status::Stopped);
    rig.finish().await;
}

/// A held process is not restarted before somebody asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_process_stays_down() {
    let rig = Rig::new().await;
    let _ = rig
        .apply(vec![spec("bad", "exit 3", "max_restart_delay = \"50ms\"")])
        .await;
    rig.until("bad", "crashing", |view| view.restarts >= 2)
        .await;
    let hold = Command::Hold {
        target: Target("bad".into()),
        reason: "for the test".into(),
    };
    rig.call(hold).await.expect("holds");
    let held = rig
        .until("bad", "held", |view| view.detail.contains("held"))
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.view("bad").await.restarts, held.restarts);
    let restart = Command::Restart {
        target: Target("bad".into()),
        update_env: None,
        reason: Reason::Manual,
        force: false,
    };
    rig.call(restart).await.expect("restarts");
    rig.until("bad", "tried again", |view| view.restarts > held.restarts)
        .await;
    rig.finish().await;
}

/// A reload brings the new set up before the old one goes; one that fails leaves the old alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_never_leaves_a_gap() {
    let rig = Rig::new().await;
    let flag = rig.home.path().join("broken");
    let script = format!("test -e {} && exit 1; exec sleep 600", flag.display());
    let probe = "[health.script]\ncommand = \"true\"\ninterval = \"1s\"\ntimeout = \"1s\"";
    rig.apply(vec![spec("web", &script, probe)])
        .await
        .expect("starts");
    let first = rig
        .until("web", "online", |view| view.state == Status::Online)
        .await;
    let reload = || Command::Reload {
        target: Target("web".into()),
        timeout: Some(Duration::from_secs(5)),
        wait: true,
    };
    rig.call(reload()).await.expect("reloads");
    let second = rig.view("web").await;
    assert_ne!(pid(&first), pid(&second));
    assert_eq!(second.instances[0].generation, 2);
    std::fs::write(&flag, "").expect("a flag");
    let failed = rig.call(reload()).await;
    assert!(
        matches!(failed, Err(ControlError::ReloadFailed { .. })),
        "{failed:?}"
    );
    let kept = rig.view("web").await;
    assert_eq!(pid(&second), pid(&kept));
    assert_eq!(kept.state, Status::Online);
    rig.finish().await;
}

/// Reloads that come at the same time follow each other, and leave one set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_reloads_at_once_leave_one_set() {
    let rig = Rig::new().await;
    let probe = "[health.script]\ncommand = \"true\"\ninterval = \"1s\"\ntimeout = \"1s\"";
    rig.apply(vec![spec("web", "exec sleep 600", probe)])
        .await
        .expect("starts");
    let reload = || Command::Reload {
        target: Target("web".into()),
        timeout: Some(Duration::from_secs(5)),
        wait: true,
    };
    let (first, second) = tokio::join!(rig.call(reload()), rig.call(reload()));
    first.expect("reloads");
    second.expect("reloads");
    let view = rig.view("web").await;
    assert_eq!(view.instances[0].generation, 3);
    // Besides it there may be a probe for a moment.
    let end = tokio::time::Instant::now() + PATIENCE;
    while marked(rig.home.path()) != [pid(&view)] {
        assert!(tokio::time::Instant::now() < end, "two sets run");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.finish().await;
}

/// A daemon that dies in the middle of a reload leaves two runs; the next one ends the older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_during_a_reload_doubles_nothing() {
    let rig = Rig::new().await;
    let probe = "grace_period = \"1s\"\n[health.script]\ncommand = \"true\"\ninterval = \"1s\"\ntimeout = \"1s\"";
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    rig.apply(vec![spec("web", stubborn, probe)])
        .await
        .expect("starts");
    let old = pid(&rig.view("web").await);
    let registry = rig.registry.clone();
    let reload = tokio::spawn(async move {
        let reload = Command::Reload {
            target: Target("web".into()),
            timeout: Some(Duration::from_secs(5)),
            wait: true,
        };
        registry.call(&Caller::system(), reload).await
    });
    let new = rig
        .until("web", "replaced", |view| {
            view.instances[0].pid.is_some_and(|pid| pid != old) && view.state == Status::Online
        })
        .await;
    reload.abort();
    let two = [old, pid(&new)];
    let rig = Rig::at(rig.crash().await).await;
    // Which of the two counts is the one that was recorded last.
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let alive = marked(rig.home.path());
        let view = rig.view("web").await;
        let left: Vec<i32> = two.into_iter().filter(|pid| alive.contains(pid)).collect();
        if left.len() == 1 && view.state == Status::Online {
            assert_eq!(left, [pid(&view)]);
            break;
        }
        assert!(tokio::time::Instant::now() < end, "two runs stay: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.finish().await;
}

/// An old instance that crashes while its successor proves itself is started again as a run of
/// its own: the two never share a number, and so neither a FIFO nor a mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_beside_an_unproven_set_is_a_run_of_its_own() {
    let rig = Rig::new().await;
    let file = |name: &str| rig.home.path().join(name);
    let script = format!(
        "echo $MHOST_GENERATION >> {}; exec sleep 600",
        file("runs").display()
    );
    let probe = format!(
        "[health.script]\ncommand = \"test -e {}\"\ninterval = \"1s\"\ntimeout = \"1s\"\nretries = 1000",
        file("well").display()
    );
    std::fs::write(file("well"), "").expect("writes");
    rig.apply(vec![spec("web", &script, &probe)])
        .await
        .expect("starts");
    let old = pid(&rig.view("web").await);
    std::fs::remove_file(file("well")).expect("removes");
    let runs = || std::fs::read_to_string(file("runs")).unwrap_or_default();
    let registry = rig.registry.clone();
    let reload = tokio::spawn(async move {
        let reload = Command::Reload {
            target: Target("web".into()),
            timeout: Some(PATIENCE),
            wait: true,
        };
        registry.call(&Caller::system(), reload).await
    });
    let begun = |count: usize| async move {
        let end = tokio::time::Instant::now() + PATIENCE;
        while runs().lines().count() < count {
            assert!(tokio::time::Instant::now() < end, "runs: {}", runs());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    begun(2).await;
    kill(old);
    begun(3).await;
    assert_eq!(runs(), "1\n2\n3\n");
    std::fs::write(file("well"), "").expect("writes");
    reload.await.expect("no panic").expect("reloads");
    assert_eq!(rig.view("web").await.instances[0].generation, 2);
    let end = tokio::time::Instant::now() + PATIENCE;
    let own = pid(&rig.view("web").await);
    while marked(rig.home.path()) != [own] {
        assert!(tokio::time::Instant::now() < end, "two sets run");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.finish().await;
}

/// A start that is not waited for has begun when it is answered, and one of no copies says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_says_what_has_begun() {
    let rig = Rig::new().await;
    let mut none = spec("none", "exec sleep 600", "");
    none.instances = 0;
    let apply = Apply {
        processes: vec![spec("web", "exec sleep 600", ""), none],
        groups: Vec::new(),
        prune: false,
        force: false,
        reset_scale: false,
        wait: None,
    };
    let Ok(Reply::Started(outcome)) = rig.call(Command::Apply(apply)).await else {
        panic!("no start")
    };
    assert_ne!(rig.view("web").await.state, Status::Stopped);
    let empty = &outcome.processes[1];
    assert_eq!(empty.change, StartChange::Registered);
    assert!(!empty.online);
    let note = empty.note.as_deref().expect("a note");
    assert!(note.contains("mhost scale none 1"), "{note}");
    rig.finish().await;
}

/// Neither a restart nor a reload claims to have started a process of no copies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_copy_is_restarted_by_nobody() {
    let rig = Rig::new().await;
    let mut none = spec("none", "exec sleep 600", "");
    none.instances = 0;
    rig.apply(vec![none]).await.expect("registers");
    let restart = Command::Restart {
        target: Target("none".into()),
        update_env: None,
        reason: Reason::Manual,
        force: false,
    };
    let reload = Command::Reload {
        target: Target("none".into()),
        timeout: None,
        wait: true,
    };
    for command in [restart, reload] {
        let Ok(Reply::Done(done)) = rig.call(command).await else {
            panic!("no answer")
        };
        assert!(!done[0].changed, "{done:?}");
        let note = done[0].note.as_deref().expect("a note");
        assert_eq!(note, "has 0 instances; mhost scale none 1 starts one");
    }
    rig.finish().await;
}

/// A long chain of dependencies is no deeper for the stack than a short one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_thousands_is_started_and_stopped() {
    let rig = Rig::new().await;
    let link = |index: usize| {
        let on = match index {
            0 => String::new(),
            _ => format!("depends_on = [\"p{}\"]\n", index - 1),
        };
        let mut link = spec(&format!("p{index}"), "exit 0", &on);
        link.instances = 0;
        link
    };
    rig.apply((0..2000).map(link).collect())
        .await
        .expect("starts");
    let all = Command::Stop {
        target: Target("all".into()),
        force: false,
        signal: None,
    };
    rig.call(all).await.expect("stops");
    rig.finish().await;
}

/// The leaders of runs of this home, by the marks in their environment.
fn marked(home: &std::path::Path) -> Vec<i32> {
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

/// What a file says twice is done once; what changed is restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applying_twice_changes_nothing() {
    use supervisor::command::view::StartChange;
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig
        .until("web", "online", |view| view.state == Status::Online)
        .await;
    let change = |reply: Result<Reply, ControlError>| match reply {
        Ok(Reply::Started(outcome)) => outcome.processes[0].change,
        other => panic!("{other:?}"),
    };
    let again = rig.apply(vec![spec("web", "exec sleep 600", "")]).await;
    assert_eq!(change(again), StartChange::Unchanged);
    assert_eq!(pid(&rig.view("web").await), pid(&before));
    let changed = rig.apply(vec![spec("web", "exec sleep 601", "")]).await;
    assert_eq!(change(changed), StartChange::Updated);
    assert_ne!(pid(&rig.view("web").await), pid(&before));
    rig.finish().await;
}

/// A file that is applied again does not call a crash loop online.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applying_again_tells_a_crash_loop() {
    let rig = Rig::new().await;
    let bad = || spec("bad", "exit 3", "max_restart_delay = \"50ms\"");
    for _ in 0..2 {
        let Ok(Reply::Started(outcome)) = rig.apply(vec![bad()]).await else {
            panic!("no outcome");
        };
        assert!(!outcome.processes[0].online, "{outcome:?}");
        let error = outcome.processes[0].error.clone().unwrap_or_default();
        assert!(error.contains("code 3"), "{error}");
    }
    rig.finish().await;
}

/// Takes its whole grace period to stop.
fn stubborn(name: &str, grace: &str, extra: &str) -> ProcessSpec {
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    spec(
        name,
        script,
        &format!("grace_period = \"{grace}\"\n{extra}"),
    )
}

fn delete(name: &str) -> Command {
    Command::Delete {
        target: Target(name.into()),
        force: false,
        keep_logs: false,
    }
}

impl Rig {
    /// Polls until nothing that was started here is left.
    async fn until_nothing_runs(&self) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while !marked(self.home.path()).is_empty() {
            assert!(tokio::time::Instant::now() < end, "processes are left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn names(&self) -> Vec<String> {
        match self.call(Command::List { tag: None }).await {
            Ok(Reply::Processes(views)) => views.iter().map(|v| v.name.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }
}

/// A stop returns although somebody starts the process again before it was seen to be down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_middle_of_a_stop_hangs_nobody() {
    let rig = Arc::new(Rig::new().await);
    rig.apply(vec![stubborn("web", "1s", "")])
        .await
        .expect("starts");
    let stopper = Arc::clone(&rig);
    let stop = tokio::spawn(async move {
        let target = Target("web".into());
        let stop = Command::Stop {
            target,
            force: false,
            signal: None,
        };
        stopper.call(stop).await
    });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    let start = Command::Start {
        target: Target("web".into()),
        wait: Some(PATIENCE),
    };
    rig.call(start).await.expect("starts");
    let stopped = tokio::time::timeout(PATIENCE, stop).await.expect("returns");
    let Ok(Reply::Done(done)) = stopped.expect("no panic") else {
        panic!("no answer")
    };
    let note = done[0].note.clone().unwrap_or_default();
    assert!(note.contains("started again"), "{done:?}");
    assert_eq!(rig.view("web").await.state, Status::Online);
    Arc::into_inner(rig).expect("alone").finish().await;
}

/// A reload that has proven its new set while the old one is deleted leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_in_the_middle_of_a_reload_leaves_nothing() {
    let probe = "[health.script]\ncommand = \"true\"\ninterval = \"1s\"\ntimeout = \"1s\"";
    let rig = Arc::new(Rig::new().await);
    rig.apply(vec![stubborn("web", "3s", probe)])
        .await
        .expect("starts");
    let reloader = Arc::clone(&rig);
    let reload = tokio::spawn(async move {
        let target = Target("web".into());
        reloader
            .call(Command::Reload {
                target,
                timeout: None,
                wait: true,
            })
            .await
    });
    let two = || marked(rig.home.path()).len() >= 2;
    let end = tokio::time::Instant::now() + PATIENCE;
    while !two() {
        assert!(tokio::time::Instant::now() < end, "no new set");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let Ok(Reply::Done(done)) = rig.call(delete("web")).await else {
        panic!("no answer")
    };
    assert_eq!(done[0].error, None);
    // What is said to be deleted is gone, the new set as well.
    rig.until_nothing_runs().await;
    assert!(rig.names().await.is_empty());
    let reloaded = reload.await.expect("no panic");
    assert!(
        matches!(reloaded, Err(ControlError::ReloadFailed { .. })),
        "{reloaded:?}"
    );
    Arc::into_inner(rig).expect("alone").finish().await;
}

/// Who starts what is being deleted is refused; who registers it anew gets a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_deleted_is_not_started() {
    let rig = Arc::new(Rig::new().await);
    rig.apply(vec![stubborn("web", "1s", "")])
        .await
        .expect("starts");
    let deleter = Arc::clone(&rig);
    let deletion = tokio::spawn(async move { deleter.call(delete("web")).await });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    let start = Command::Start {
        target: Target("web".into()),
        wait: Some(PATIENCE),
    };
    let Ok(Reply::Started(outcome)) = rig.call(start).await else {
        panic!("no answer")
    };
    let error = outcome.processes[0].error.clone().unwrap_or_default();
    assert!(error.contains("being removed"), "{outcome:?}");
    let scale = Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::To(3),
    };
    assert!(rig.call(scale).await.is_err());
    rig.apply(vec![stubborn("web", "100ms", "")])
        .await
        .expect("starts anew");
    deletion.await.expect("no panic").expect("deleted");
    let view = rig.view("web").await;
    assert_eq!(
        (view.state, view.instances[0].generation),
        (Status::Online, 1)
    );
    assert_eq!(marked(rig.home.path()), [pid(&view)]);
    let home = Arc::into_inner(rig).expect("alone").crash().await;
    let rig = Rig::at(home).await;
    assert_eq!(pid(&rig.view("web").await), pid(&view));
    rig.finish().await;
}

/// A daemon that dies in the middle of a deletion leaves an intention; the next one finishes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_finished_by_the_next_daemon() {
    let rig = Arc::new(Rig::new().await);
    let web = stubborn("web", "2s", "");
    rig.apply(vec![web, spec("other", "exec sleep 600", "")])
        .await
        .expect("starts");
    let deleter = Arc::clone(&rig);
    let deletion = tokio::spawn(async move { deleter.call(delete("web")).await });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    let home = {
        rig.tasks.shutdown(PATIENCE).await;
        rig.ingest.stop();
        let Ok(Reply::Done(done)) = deletion.await.expect("no panic") else {
            panic!("no answer")
        };
        assert!(done[0].error.is_some(), "{done:?}");
        Arc::clone(&rig.home)
    };
    let other = pid(&rig.view("other").await);
    let rig = Rig::at(home).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    while rig.names().await != ["other"] {
        assert!(tokio::time::Instant::now() < end, "it was not deleted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(marked(rig.home.path()), [other]);
    assert!(!rig.home.path().join("logs/web-0.out.log").exists());
    rig.finish().await;
}

/// A daemon that dies while it scales down leaves no copy too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scaling_down_is_finished_by_the_next_daemon() {
    let rig = Arc::new(Rig::new().await);
    let mut web = stubborn("web", "1s", "");
    web.instances = 3;
    rig.apply(vec![web]).await.expect("starts");
    let scaler = Arc::clone(&rig);
    let scaling = tokio::spawn(async move {
        let change = ScaleChange::To(1);
        let target = Target("web".into());
        scaler.call(Command::Scale { target, change }).await
    });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    rig.tasks.shutdown(PATIENCE).await;
    rig.ingest.stop();
    assert!(scaling.await.expect("no panic").is_err());
    let rig = Rig::at(Arc::clone(&rig.home)).await;
    let left = rig
        .until("web", "one", |view| view.instances.len() == 1)
        .await;
    assert_eq!(marked(rig.home.path()), [pid(&left)]);
    rig.finish().await;
}
