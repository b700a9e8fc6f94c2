//! The real [`Launcher`]: keeps a pidfd for every run and answers through it.
//!
//! An ended leader is read but not collected before [`Launcher::forget`]: until then its pid,
//! which is also the number of its group and session, cannot be used again, so that what is
//! left of its tree can be found and ended without doubt.
//!
//! It owns the table of runs, and is one piece although it is long: everything in it works on
//! that table. What one run is, is in `kept`.

mod voice;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tracing::warn;

use super::cgroup::{Cgroup, Cgroups};
use super::confine::Confinement;
use super::image::Image;
use super::kept::Kept;
use super::notify_socket::{self, NotifySocket};
use super::pass::{self, Marked, Pass};
use super::sockets::{self, Sockets};
use super::spawn::{self, Plan};
use super::tree::{self, Generations, Run};
use super::users::Identity;
use super::{accepted, fifo, guard_link, kernel, proc_scan, process, reap, spool, users};
use crate::ids::{Generation, InstanceId, ProcessName};
use crate::launch::{
    Acceptance, Connection, Ear, Found, Launcher, Listening, Scope, SpawnError, SpawnOrder, Voice,
};
use crate::os_text::OsText;
use crate::paths::Paths;
use crate::spec::{Listen, Signal};
use crate::state::{self, ExitStatus, ProcessRef};

/// When a process that runs and cannot be watched is tried again.
const WATCH_AGAIN: Duration = Duration::from_millis(100);

/// Forks at the same time: more would only wait for each other in the kernel.
const FORKS_AT_ONCE: usize = 4;

/// The operating system. Cheap to clone; all clones share one table.
#[derive(Debug, Clone)]
pub struct OsLauncher {
    paths: Paths,
    kept: Arc<Mutex<BTreeMap<tree::Key, Arc<Kept>>>>,
    sockets: Arc<Sockets>,
    /// Where runs speak to.
    voices: Arc<Mutex<BTreeMap<tree::Key, Arc<NotifySocket>>>>,
    forks: Arc<Semaphore>,
    /// Looked for when first needed.
    cgroups: Arc<OnceLock<Option<Cgroups>>>,
}

/// What is left of a tree.
enum Rest {
    /// So many.
    Known(usize),
    /// A look at the whole machine for this run tells.
    OnlySeenBy(Box<Run>),
}

impl OsLauncher {
    /// A launcher for the runs of one home.
    pub fn new(paths: Paths) -> Self {
        Self {
            paths,
            kept: Arc::default(),
            sockets: Arc::default(),
            voices: Arc::default(),
            forks: Arc::new(Semaphore::new(FORKS_AT_ONCE)),
            cgroups: Arc::default(),
        }
    }

    /// The same, as on a host that gives us no control groups.
    pub fn without_cgroups(paths: Paths) -> Self {
        Self {
            cgroups: Arc::new(OnceLock::from(None)),
            ..Self::new(paths)
        }
    }

    fn cgroups(&self) -> Option<&Cgroups> {
        let detect = || Cgroups::detect(self.paths.home());
        self.cgroups.get_or_init(detect).as_ref()
    }

    fn remove_cgroup(&self, over: Option<Cgroup>) {
        if let Some(cgroups) = self.cgroups() {
            cgroups.remove(over);
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<tree::Key, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn voices(&self) -> MutexGuard<'_, BTreeMap<tree::Key, Arc<NotifySocket>>> {
        self.voices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a process; made now if the process can be proven to be there.
    fn kept(&self, process: &ProcessRef) -> Option<Arc<Kept>> {
        let known = self
            .table()
            .get(&(process.pid, process.start_time))
            .filter(|kept| kept.process == *process)
            .cloned();
        known.or_else(|| {
            let pidfd = process::prove(process)?;
            let stat = proc_scan::stat(process.pid)?;
            let ours = rustix::process::getpid().as_raw_nonzero().get();
            let cgroup = self.cgroups().and_then(|cgroups| cgroups.of(process.pid));
            let kept = Kept::new(process.clone(), pidfd, stat.parent == ours, cgroup).ok()?;
            if let Some(mark) = proc_scan::mark(process.pid, self.paths.home())
                && let Ok(name) = mark.name.parse()
            {
                kept.set_run(&InstanceId::new(name, mark.index), mark.generation);
            }
            Some(self.keep(kept))
        })
    }

    fn keep(&self, kept: Kept) -> Arc<Kept> {
        let kept = Arc::new(kept);
        let mut table = self.table();
        table.entry(kept.key()).or_insert(kept).clone()
    }

    /// What must be known to tell the run's processes from all others.
    fn run_of(&self, instance: &InstanceId, process: &ProcessRef, generation: Generation) -> Run {
        let key = (process.pid, process.start_time);
        let table = self.table();
        let this = table.get(&key);
        let cgroup = this.and_then(|kept| kept.cgroup.clone());
        let entered = cgroup.as_ref().and_then(|c| c.generation(instance));
        let mut foreign: BTreeSet<i32> = reap::owned();
        let mut except = BTreeSet::new();
        for (other_key, other) in table.iter() {
            if *other_key == key {
                continue;
            }
            foreign.insert(other.process.pid);
            except.extend(other.generation_of(instance));
        }
        foreign.remove(&process.pid);
        // One of another run would end what is not ours, and so would one in which somebody
        // else's leader is: it was started by a daemon that was in there itself.
        let cgroup = cgroup.filter(|cgroup| {
            entered == Some(generation) && cgroup.pids().iter().all(|pid| !foreign.contains(pid))
        });
        Run {
            home: self.paths.home().to_owned(),
            instance: instance.clone(),
            leader: key,
            number_is_safe: this.is_some_and(|kept| kept.number_is_safe()),
            generations: Generations {
                up_to: generation,
                except,
            },
            foreign,
            cgroup,
        }
    }

    fn spawn_now(&self, order: SpawnOrder) -> Result<ProcessRef, SpawnError> {
        let identity = users::identity(order.user.as_deref(), order.group.as_deref())?;
        let Some(voice) = order.voice else {
            return self.start(order, identity, None);
        };
        let owner = identity.as_ref().and_then(|identity| identity.uid);
        let socket = self.open_voice(&order.instance, order.generation, owner)?;
        let process = self.start(order, identity, Some((voice, &socket)));
        match &process {
            Ok(process) => self.keep_voice(process, socket),
            Err(_) => socket.close(),
        }
        process
    }

    fn start(
        &self,
        order: SpawnOrder,
        identity: Option<Identity>,
        voice: Option<(Voice, &NotifySocket)>,
    ) -> Result<ProcessRef, SpawnError> {
        let SpawnOrder {
            instance,
            generation,
            argv,
            cwd,
            mut env,
            limits,
            sandbox,
            user: _,
            group: _,
            stdout,
            stderr,
            listen,
            voice: _,
        } = order;
        self.mark(&mut env, &instance, generation);
        announce(&mut env, &listen);
        voice::announce(&mut env, voice);
        if let Err(error) = std::fs::metadata(&cwd) {
            return Err(SpawnError::Folder {
                path: cwd,
                error: spawn::plain(&error),
            });
        }
        let mut image = Image::new(&argv.program, &argv.args, &cwd, &env)?;
        if !listen.is_empty() {
            image = image.with_own_pid("LISTEN_PID");
        }
        if voice.is_some_and(|(voice, _)| voice.watchdog.is_some()) {
            image = image.with_own_pid(voice::WATCHDOG_PID);
        }
        let confinement = Confinement::of(sandbox)?;
        let seen = [("the program", &*image.file), ("the working folder", &*cwd)];
        let spoken_to = voice.map(|(_, socket)| ("the socket that it speaks to", socket.path()));
        for (what, path) in seen.into_iter().chain(spoken_to) {
            if confinement.hides(path) {
                let error = format!("it hides {what}, {}", path.display());
                let key = "private_tmp".to_owned();
                return Err(SpawnError::Sandbox { key, error });
            }
        }
        let owner = identity.as_ref().and_then(|identity| identity.uid);
        let open = |path: &std::path::PathBuf| {
            let opened = if crate::paths::is_spool(path) {
                spool::open_for_child(path, owner)
            } else {
                let opened = fifo::open_for_child(path, owner);
                guard_link::hold_output(path);
                opened
            };
            opened.map_err(|error| SpawnError::Output {
                path: path.clone(),
                error: spawn::plain(&error),
            })
        };
        let (stdout, stderr) = (open(&stdout)?, open(&stderr)?);
        let living = self.living(&instance.process);
        let sockets = self.sockets.open(&instance.process, &listen, &living)?;
        if living.is_empty() {
            sockets::make_blocking(&sockets);
        }
        let made = self.cgroups().and_then(|c| c.make(&instance, generation));
        let (cgroup, enter) = made.unzip();
        let plan = Plan {
            program: argv.program,
            image,
            cwd,
            stdout,
            stderr,
            limits,
            identity,
            confinement,
            cgroup: enter,
            sockets,
        };
        let child = spawn::start(plan).inspect_err(|_| {
            self.remove_cgroup(cgroup.clone());
        })?;
        // The child may have been refused: what counts is where it is.
        let cgroup = cgroup.filter(|made| {
            let entered = self.cgroups().and_then(|cgroups| cgroups.of(child.pid));
            entered.is_some_and(|entered| entered == *made) || {
                self.remove_cgroup(Some(made.clone()));
                false
            }
        });
        let unwatched = |pid: i32, error: io::Error| {
            // Our own child, not collected: the number is its group for sure.
            let _ = kernel::signal_group_number(pid, libc::SIGKILL);
            SpawnError::System {
                stage: "watching the new process".to_owned(),
                error: spawn::plain(&error),
            }
        };
        let process = child
            .reference()
            .map_err(|error| unwatched(child.pid, error))?;
        let (pid, pidfd) = child.release();
        let kept =
            Kept::new(process, pidfd, true, cgroup).map_err(|error| unwatched(pid, error))?;
        kept.set_run(&instance, generation);
        Ok(self.keep(kept).process.clone())
    }

    /// The runs of a process that have not ended.
    fn living(&self, process: &ProcessName) -> Vec<Arc<Kept>> {
        let table = self.table();
        let of_it = |kept: &&Arc<Kept>| kept.run().is_some_and(|(id, _)| id.process == *process);
        let runs = table.values().filter(of_it);
        runs.filter(|kept| !kept.has_exited()).cloned().collect()
    }

    /// The mark by which a run's processes are found again.
    fn mark(
        &self,
        env: &mut BTreeMap<String, OsText>,
        instance: &InstanceId,
        generation: Generation,
    ) {
        env.remove(guard_link::REAP_FD);
        let home = OsText::from(self.paths.home().as_os_str());
        env.insert("MHOST_HOME".to_owned(), home);
        let values = [
            ("MHOST_NAME", instance.process.to_string()),
            ("MHOST_INSTANCE", instance.index.to_string()),
            ("MHOST_GENERATION", generation.to_string()),
        ];
        for (key, value) in values {
            env.insert(key.to_owned(), OsText::from(value.as_str()));
        }
    }

    /// Signals the leader or its group. Was anybody there?
    fn signal_now(&self, process: &ProcessRef, signal: i32, scope: Scope) -> bool {
        let kept = self.kept(process);
        let leader_reached = kept.as_ref().is_some_and(|kept| match scope {
            Scope::Leader => kept.signal(signal),
            Scope::Group | Scope::Tree(_) => {
                let alive = !kept.has_exited();
                kept.signal_group(signal) && alive
            }
        });
        match scope {
            Scope::Leader | Scope::Tree(_) => leader_reached,
            // A group that holds nobody but its zombie leader takes the signal as well.
            Scope::Group => {
                leader_reached
                    || kept.is_some_and(|kept| {
                        kept.number_is_safe()
                            && Pass::shared().is_ok_and(|pass| {
                                let mut all = pass.all().values();
                                all.any(|stat| stat.group == process.pid && !stat.is_zombie())
                            })
                    })
            }
        }
    }

    /// What can be said of the rest of a run's tree without a look at the whole machine.
    fn remaining_now(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        generation: Generation,
    ) -> Rest {
        let kept = self.kept(process);
        if let Some(kept) = &kept {
            kept.set_run(instance, generation);
        }
        let mut cgroup = kept.as_ref().and_then(|kept| kept.cgroup.as_ref());
        if let Some(pids) = cgroup.map(Cgroup::pids)
            && pids.iter().any(|pid| *pid != process.pid)
        {
            let run = self.run_of(instance, process, generation);
            let inside = run.inside().len();
            if inside > 0 {
                return Rest::Known(inside);
            }
            cgroup = run.cgroup.and(cgroup);
        }
        if kept
            .as_ref()
            .is_some_and(|kept| self.has_no_strays(kept, cgroup))
        {
            return Rest::Known(0);
        }
        Rest::OnlySeenBy(Box::new(self.run_of(instance, process, generation)))
    }

    fn accepted_now(
        &self,
        instance: &InstanceId,
        run: &state::Run,
        connections: &[Connection],
    ) -> Acceptance {
        let Ok(taken) = accepted::by_anybody(connections) else {
            return Acceptance::Unseen;
        };
        let of = |pid: i32| {
            let own = accepted::sockets_of(pid)?;
            let place = taken.iter().find(|(_, inode)| own.contains(inode));
            Ok::<_, io::Error>(place.map(|(place, _)| Acceptance::Of(*place)))
        };
        match of(run.process.pid) {
            Ok(Some(of)) => return of,
            Ok(None) => {}
            Err(_) => return Acceptance::Unseen,
        }
        let tree = self.run_of(instance, &run.process, run.generation);
        let members = Pass::shared().and_then(|pass| tree::members(&tree, &pass));
        let mut members = members.into_iter().flatten();
        let found = members.find_map(|one| of(one.pid).ok().flatten());
        let rest = match taken.len() < connections.len() {
            true => Acceptance::Open,
            false => Acceptance::Others,
        };
        found.unwrap_or(rest)
    }

    /// The leader is gone, so what it left are children of the subreapers above it. If there
    /// are none at all, nobody needs to read all of `/proc`: the crash path.
    fn has_no_strays(&self, kept: &Kept, cgroup: Option<&Cgroup>) -> bool {
        kept.has_exited()
            && (kept.child || self.is_below_guard(kept))
            && reap::living_strays(kept.process.pid).is_some_and(|mut strays| {
                strays.retain(|stray| !self.is_in_other(cgroup, stray.pid));
                strays.is_empty()
            })
    }

    /// This run has a control group, and the process is in that of another run.
    fn is_in_other(&self, own: Option<&Cgroup>, pid: i32) -> bool {
        own.is_some_and(|own| {
            let other = self.cgroups().and_then(|cgroups| cgroups.of(pid));
            other.is_some_and(|other| other != *own)
        })
    }

    fn is_below_guard(&self, kept: &Kept) -> bool {
        guard_link::parent_guard().is_some_and(|guard| {
            proc_scan::stat(kept.process.pid).is_some_and(|stat| stat.parent == guard.pid())
        })
    }

    /// A spawn whose caller went away before the answer.
    fn find_unanswered(&self, instance: &InstanceId, generation: Generation) -> Option<ProcessRef> {
        let table = self.table();
        let mut all = table.values();
        let found = all.find(|kept| kept.generation_of(instance) == Some(generation));
        found.map(|kept| kept.process.clone())
    }

    fn find_unrecorded_in(
        &self,
        instance: &InstanceId,
        generation: Generation,
        all: &[(proc_scan::Stat, proc_scan::Mark)],
    ) -> io::Result<Option<ProcessRef>> {
        let boot = process::boot()?;
        let wanted = all
            .iter()
            .filter(|(_, mark)| mark.is_of(instance) && mark.generation == generation);
        let mut found: Vec<_> = wanted.map(|(stat, _)| stat).collect();
        // The leader first: it leads a session, and was there before its children.
        found.sort_unstable_by_key(|stat| (stat.pid != stat.session, stat.start_time, stat.pid));
        for stat in found {
            if let Some(process) = self.keep_found(stat, boot, instance, generation)? {
                return Ok(Some(process));
            }
        }
        Ok(None)
    }

    /// Keeps a process that was found by its mark; `None` when it is gone by now.
    fn keep_found(
        &self,
        stat: &proc_scan::Stat,
        boot: &str,
        instance: &InstanceId,
        generation: Generation,
    ) -> io::Result<Option<ProcessRef>> {
        let process = ProcessRef {
            pid: stat.pid,
            start_time: stat.start_time,
            boot_id: boot.to_owned(),
        };
        match self.kept(&process) {
            Some(kept) => {
                kept.set_run(instance, generation);
                Ok(Some(process))
            }
            None if process::is_gone(&process) => Ok(None),
            None => Err(io::Error::other("a process that runs cannot be watched")),
        }
    }

    fn strays_in(
        &self,
        instance: &InstanceId,
        counted: Option<Generation>,
        all: &[(proc_scan::Stat, proc_scan::Mark)],
    ) -> io::Result<Vec<(Generation, ProcessRef)>> {
        // Whoever started the guard may have been a managed process itself.
        let guard = guard_link::parent_guard().map(|guard| guard.pid());
        let ours = rustix::process::getpid().as_raw_nonzero().get();
        let boot = process::boot()?;
        let mut strays = Vec::new();
        for (stat, mark) in all {
            let ourselves = stat.pid == ours || Some(stat.pid) == guard;
            if stat.is_zombie() || ourselves || !mark.is_of(instance) {
                continue;
            }
            let generation = mark.generation;
            if Some(generation) != counted
                && let Some(process) = self.keep_found(stat, boot, instance, generation)?
            {
                strays.push((generation, process));
            }
        }
        Ok(strays)
    }
}

/// Tells a program of its sockets as systemd does. What the caller's own environment says of
/// sockets was meant for the caller.
fn announce(env: &mut BTreeMap<String, OsText>, listen: &[Listen]) {
    for key in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        env.remove(key);
    }
    if !listen.is_empty() {
        let names: Vec<_> = listen.iter().map(Listen::name).collect();
        env.insert(
            "LISTEN_FDS".to_owned(),
            OsText::from(&*listen.len().to_string()),
        );
        env.insert("LISTEN_FDNAMES".to_owned(), OsText::from(&*names.join(":")));
    }
}

/// Runs what reads `/proc` or forks on a thread where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Asks those of a home who carry a mark until there is an answer: whoever took "not known" for
/// "nobody" would start what runs already a second time.
async fn known<T: Default + Send + 'static>(
    paths: &Paths,
    ask: impl Fn(&Marked) -> io::Result<T> + Clone + Send + Sync + 'static,
) -> T {
    let mut told = false;
    loop {
        let answer = match pass::marked(paths.home()).await {
            Ok(all) => {
                let ask = ask.clone();
                blocking(move || ask(&all)).await
            }
            Err(error) => Some(Err(error)),
        };
        match answer {
            Some(Ok(answer)) => return answer,
            Some(Err(error)) if !told => {
                told = true;
                warn!(%error, "What runs cannot be seen yet.");
            }
            Some(Err(_)) => {}
            // The daemon goes down.
            None => return T::default(),
        }
        tokio::time::sleep(WATCH_AGAIN).await;
    }
}

#[async_trait]
impl Launcher for OsLauncher {
    async fn spawn(&self, order: SpawnOrder) -> Result<ProcessRef, SpawnError> {
        let turn = self.forks.clone().acquire_owned().await;
        let launcher = self.clone();
        // If the caller goes away meanwhile the run stays in the table, where
        // `find_unrecorded` sees it.
        let spawned = blocking(move || {
            let _turn = turn;
            launcher.spawn_now(order)
        });
        spawned.await.unwrap_or_else(|| {
            Err(SpawnError::System {
                stage: "fork".to_owned(),
                error: "the daemon is going down".to_owned(),
            })
        })
    }

    async fn exited(&self, process: &ProcessRef) -> ExitStatus {
        match self.kept(process) {
            Some(kept) => kept.wait().await,
            None => ExitStatus::Unknown,
        }
    }

    async fn signal(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        signal: Signal,
        scope: Scope,
    ) -> bool {
        let (launcher, instance, process) = (self.clone(), instance.clone(), process.clone());
        let signal = signal.0;
        let sent = blocking(move || {
            let reached = launcher.signal_now(&process, signal, scope);
            let tree = match scope {
                Scope::Tree(generation) => Some(launcher.run_of(&instance, &process, generation)),
                Scope::Leader | Scope::Group => None,
            };
            (reached, tree)
        });
        match sent.await {
            Some((reached, Some(tree))) => tree::signal_members(tree, signal).await > 0 || reached,
            Some((reached, None)) => reached,
            None => false,
        }
    }

    async fn signal_one(&self, process: &ProcessRef, signal: Signal) -> bool {
        let process = process.clone();
        let sent = blocking(move || {
            let pidfd = process::prove_alive(&process);
            pidfd.is_some_and(|pidfd| kernel::signal(pidfd.as_fd(), signal.0).is_ok())
        });
        sent.await.unwrap_or_default()
    }

    async fn has_one(&self, process: &ProcessRef) -> bool {
        let process = process.clone();
        let found = blocking(move || process::prove_alive(&process).is_some());
        found.await.unwrap_or_default()
    }

    async fn remaining(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        generation: Generation,
    ) -> Option<usize> {
        let (launcher, instance, process) = (self.clone(), instance.clone(), process.clone());
        let now = blocking(move || launcher.remaining_now(&instance, &process, generation));
        match now.await? {
            Rest::Known(count) => Some(count),
            Rest::OnlySeenBy(run) => {
                let pass = Pass::next().await.ok()?;
                let look = blocking(move || {
                    let count = tree::members(&run, &pass).ok()?.len();
                    let is_known = count > 0 || !tree::has_lost(&run, &pass, &BTreeSet::new());
                    is_known.then_some(count)
                });
                look.await?
            }
        }
    }

    fn left_nothing(&self, process: &ProcessRef) -> bool {
        let key = (process.pid, process.start_time);
        let kept = self.table().get(&key).cloned();
        // A control group is looked into where that may block.
        kept.is_some_and(|kept| kept.cgroup.is_none() && self.has_no_strays(&kept, None))
    }

    async fn adopt(&self, process: &ProcessRef) -> Found {
        let mut told = false;
        loop {
            match self.kept(process) {
                Some(kept) if kept.has_exited() => return Found::Ended(kept.wait().await),
                Some(kept) => {
                    if let Some((id, _)) = kept.run() {
                        self.sockets.recover(&id.process, &kept);
                    }
                    return Found::Alive(process.clone());
                }
                None if process::is_gone(process) => return Found::Ended(ExitStatus::Unknown),
                // Whoever took it for dead would start it a second time.
                None if told => {}
                None => {
                    told = true;
                    warn!(
                        pid = process.pid,
                        "A process that runs cannot be watched yet: no descriptor is left."
                    );
                }
            }
            tokio::time::sleep(WATCH_AGAIN).await;
        }
    }

    async fn find_unrecorded(
        &self,
        instance: &InstanceId,
        generation: Generation,
    ) -> Option<ProcessRef> {
        if let Some(found) = self.find_unanswered(instance, generation) {
            return Some(found);
        }
        let (launcher, instance) = (self.clone(), instance.clone());
        let find = move |all: &Marked| launcher.find_unrecorded_in(&instance, generation, all);
        known(&self.paths, find).await
    }

    async fn strays(
        &self,
        instance: &InstanceId,
        counted: Option<Generation>,
    ) -> Vec<(Generation, ProcessRef)> {
        let (launcher, instance) = (self.clone(), instance.clone());
        let find = move |all: &Marked| launcher.strays_in(&instance, counted, all);
        known(&self.paths, find).await
    }

    fn forget(&self, process: &ProcessRef) {
        let key = (process.pid, process.start_time);
        tree::forget(key);
        self.forget_voice(process);
        // Outside the lock: dropping it collects the zombie.
        let gone = self.table().remove(&key);
        self.remove_cgroup(gone.as_ref().and_then(|kept| kept.cgroup.clone()));
        drop(gone);
    }

    fn ear(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        generation: Generation,
        user: Option<&str>,
    ) -> io::Result<Box<dyn Ear>> {
        self.ear_of(instance, process, generation, user)
    }

    fn inherit_sockets(&self, wanted: Vec<(ProcessName, Vec<Listen>)>) {
        self.sockets.inherit(wanted);
        notify_socket::sweep(&self.paths.run(), self.paths.home());
    }

    fn listening(&self, process: &ProcessName) -> Vec<Listening> {
        self.sockets.listening(process)
    }

    async fn accepted(
        &self,
        instance: &InstanceId,
        run: &state::Run,
        connections: Vec<Connection>,
    ) -> Acceptance {
        let (launcher, instance, run) = (self.clone(), instance.clone(), run.clone());
        blocking(move || launcher.accepted_now(&instance, &run, &connections))
            .await
            .unwrap_or(Acceptance::Open)
    }

    fn close_sockets(&self, process: &ProcessName) {
        self.sockets.close(process);
    }
}
