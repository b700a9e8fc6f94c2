//! A world without processes: fakes that the agent cannot tell from the real thing.
//! It is one piece although it is long: one fake for each part that the agent is joined to.

#![expect(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a fake world: what fails here fails the test"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::{
    Agent, AgentHandle, Approver, Asking, Check, Diagnosis, Inquiring, Mind, Notice, Parts,
    Revisions, Settings, Watching,
};
use async_trait::async_trait;
use brain::{
    Action, Approval, BrainStore, Facts, Fingerprint, Incident, InstanceFacts, LogHit, Plan,
    PlaybookId, ProcessFacts, Proposal, Sample, Step,
};
use jiff::Timestamp;
use serde_json::json;
use supervisor::{
    Bus, Caller, Clock, Control, ControlError, Event, EventId, EventKind, HealthStatus,
    ProcessName, ProcessSpec, Reply, Request, Role, Status, Tasks, Via, until,
};
use tokio::sync::broadcast;

/// What a command does to the world.
pub type Effect = Box<dyn Fn(&mut World, &str) -> Result<(), ControlError> + Send>;
/// What the brain would say.
pub type Thought = Box<dyn Fn(&Incident) -> Option<Proposal> + Send>;
/// What happens while the brain thinks.
pub type Meanwhile = Box<dyn Fn(&Incident) + Send>;
/// What asking a model would come to; it is told what did not help.
pub type Inquire = Box<dyn Fn(&Incident, &[String], &Arc<dyn Facts>) -> Inquiring + Send>;
/// What a slow look would find.
pub type Look = Box<dyn Fn(&ProcessName) -> Option<Proposal> + Send>;

pub struct World {
    pub processes: BTreeMap<String, ProcessFacts>,
    pub events: Vec<Event>,
    pub calls: Vec<String>,
    /// Commands never answer, as when the daemon is killed meanwhile: are they carried out?
    pub hang: Option<bool>,
    /// The next command is the end of the worker that gives it.
    pub panics: bool,
    pub asked: Vec<Approval>,
    pub told: Vec<Notice>,
    /// More is known of these.
    pub changed: Vec<brain::IncidentId>,
    pub effect: Effect,
    pub thought: Thought,
    /// What happens while the brain thinks.
    pub slow_thought: Option<Meanwhile>,
    pub inquire: Option<Inquire>,
    pub inquiries: u32,
    /// What happens when the brain is told what came of a plan.
    pub measured: Option<Box<dyn Fn() + Send>>,
    /// What a model would say about all processes.
    pub watch: Option<Box<dyn Fn() -> Watching + Send>>,
    pub watches: u32,
    pub silent: Look,
    pub otherwise: Vec<Action>,
    pub check: Check,
    pub fingerprint: bool,
    /// Which text every playbook has.
    pub version: Option<String>,
    clock: Clock,
    bus: Bus,
}

impl World {
    /// Something happens.
    pub fn event(&mut self, process: &str, kind: EventKind) {
        let event = Event {
            id: self.events.len() as i64 + 1,
            at: self.clock.now(),
            process: process.parse().unwrap(),
            instance: Some(0),
            kind,
            data: json!({"code": 1, "failures": 3}),
            actor: "system".into(),
        };
        self.events.push(event.clone());
        self.bus.publish(event);
    }

    pub fn set(&mut self, process: &str, state: Status, health: HealthStatus) {
        let facts = self.processes.get_mut(process).unwrap();
        facts.state = state;
        let one = &mut facts.instances[0];
        one.state = state;
        one.health = health;
        one.alive = matches!(state, Status::Online | Status::Starting);
        one.generation += u64::from(state == Status::Online);
        one.uptime_ms = one.alive.then_some(120_000);
    }

    pub fn add(&mut self, name: &str) {
        let name: ProcessName = name.parse().unwrap();
        let facts = ProcessFacts {
            name: name.clone(),
            state: Status::Online,
            detail: "online".into(),
            held: false,
            retries: false,
            wanted: true,
            desired: 1,
            instances: vec![InstanceFacts {
                index: 0,
                pid: Some(10),
                alive: true,
                state: Status::Online,
                rss_bytes: None,
                cpu_percent: None,
                uptime_ms: Some(120_000),
                health: HealthStatus::Off,
                probe_failures: 0,
                probe_down_ms: None,
                probe_error: None,
                generation: 1,
            }],
            restarts: 0,
            tags: vec![],
            autonomy: None,
            max_memory: None,
            max_restarts: 0,
            configured_instances: 1,
            depends_on: vec![],
            changed_at: None,
            has_previous: false,
            config: json!({}),
        };
        self.processes.insert(name.to_string(), facts);
    }
}

#[derive(Clone)]
pub struct Shared(pub Arc<Mutex<World>>);

impl Facts for Shared {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().clock.now()
    }
    fn process(&self, name: &ProcessName) -> Option<ProcessFacts> {
        self.0.lock().unwrap().processes.get(name.as_str()).cloned()
    }
    fn processes(&self) -> Vec<ProcessName> {
        let world = self.0.lock().unwrap();
        world.processes.keys().map(|k| k.parse().unwrap()).collect()
    }
    fn events(&self, name: &ProcessName, kind: Option<EventKind>, window: Duration) -> Vec<Event> {
        let world = self.0.lock().unwrap();
        let now = world.clock.now();
        world
            .events
            .iter()
            .filter(|event| event.process == *name && until(event.at, now) <= window)
            .filter(|event| kind.is_none_or(|kind| event.kind == kind))
            .cloned()
            .collect()
    }
    fn samples(&self, _: &ProcessName, _: Duration) -> Vec<Sample> {
        vec![]
    }
    fn log_lines(&self, _: &ProcessName, _: &str, _: Duration, _: usize) -> Vec<LogHit> {
        vec![]
    }
    fn log_count(&self, _: &ProcessName, _: &str, _: Duration) -> u64 {
        0
    }
    fn log_bytes(&self, _: &ProcessName, _: Duration) -> u64 {
        0
    }
    fn port_holder(&self, _: u16) -> Option<(i32, String)> {
        None
    }
}

#[async_trait]
impl Control for Shared {
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ControlError> {
        let text = format!(
            "{} {} as {:?}",
            request.command.name(),
            request.command.subject(),
            caller.role
        );
        let (hang, result) = {
            let mut world = self.0.lock().unwrap();
            world.calls.push(text.clone());
            let hang = world.hang;
            if hang == Some(false) {
                (hang, Ok(()))
            } else {
                let effect = std::mem::replace(&mut world.effect, Box::new(|_, _| Ok(())));
                let result = effect(&mut world, request.command.name());
                world.effect = effect;
                (hang, result)
            }
        };
        let panics = std::mem::take(&mut self.0.lock().unwrap().panics);
        assert!(!panics, "the end of a worker");
        if hang.is_some() {
            std::future::pending::<()>().await;
        }
        result.map(|()| Reply::Ok)
    }
    fn watch(&self, _: &Caller) -> Result<broadcast::Receiver<Arc<Event>>, ControlError> {
        Ok(self.0.lock().unwrap().bus.subscribe())
    }
}

#[async_trait]
impl Revisions for Shared {
    async fn previous(&self, _: &ProcessName) -> Option<ProcessSpec> {
        None
    }
}

impl Mind for Shared {
    fn diagnose(&self, incident: &Incident, _: &Arc<dyn Facts>, _: &Asking) -> Diagnosis {
        // Taken out, since it changes the world.
        let meanwhile = self.0.lock().unwrap().slow_thought.take();
        if let Some(meanwhile) = meanwhile {
            meanwhile(incident);
        }
        let world = self.0.lock().unwrap();
        Diagnosis {
            fingerprint: world.fingerprint.then(|| Fingerprint {
                hash: "00000000000000aa".into(),
                readable: "crash".into(),
            }),
            proposal: made((world.thought)(incident), &world),
            ..Diagnosis::default()
        }
    }
    fn inquire(
        &self,
        incident: &Incident,
        _: &Diagnosis,
        tried: &[String],
        facts: &Arc<dyn Facts>,
    ) -> Option<Inquiring> {
        let mut world = self.0.lock().unwrap();
        let asked = world.inquire.as_ref()?(incident, tried, facts);
        world.inquiries += 1;
        Some(asked)
    }
    fn watch(&self) -> Option<Watching> {
        let mut world = self.0.lock().unwrap();
        let asked = world.watch.as_ref()?();
        world.watches += 1;
        Some(asked)
    }
    fn look(&self, process: &ProcessName, _: &Arc<dyn Facts>, _: &Asking) -> Diagnosis {
        let world = self.0.lock().unwrap();
        Diagnosis {
            proposal: made((world.silent)(process), &world),
            ..Diagnosis::default()
        }
    }
    fn verify(&self, _: &PlaybookId, _: &Incident, _: Timestamp, _: &Arc<dyn Facts>) -> Check {
        self.0.lock().unwrap().check
    }
    fn on_failure(
        &self,
        _: &PlaybookId,
        _: &Incident,
        _: Timestamp,
        _: &Arc<dyn Facts>,
    ) -> Option<Plan> {
        let world = self.0.lock().unwrap();
        let steps = world.otherwise.iter().map(|action| Step {
            action: action.clone(),
            why: "it did not help".into(),
        });
        let steps: Vec<_> = steps.collect();
        (!steps.is_empty()).then_some(Plan { steps, ask: None })
    }
    fn outcome(&self, _: &PlaybookId, _: bool) {
        if let Some(measured) = &self.0.lock().unwrap().measured {
            measured();
        }
    }
    fn version(&self, _: &str) -> Option<String> {
        self.0.lock().unwrap().version.clone()
    }
    fn cooldown(&self, _: &str) -> Option<Duration> {
        None
    }
}

#[async_trait]
impl Approver for Shared {
    async fn ask(&self, approval: &Approval) {
        self.0.lock().unwrap().asked.push(approval.clone());
    }
    async fn announce(&self, notice: &Notice) {
        self.0.lock().unwrap().told.push(notice.clone());
    }
    fn changed(&self, incident: brain::IncidentId) {
        self.0.lock().unwrap().changed.push(incident);
    }
}

/// The next look at the world: the clock of a paused runtime moves only when it has nothing
/// else to do.
async fn moment() {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    looks.tick().await;
    looks.tick().await;
}

/// A proposal of one playbook.
pub fn proposal(playbook: &str, actions: Vec<Action>) -> Proposal {
    Proposal {
        cause: "api lost its mind".into(),
        confidence: 0.9,
        evidence: vec![],
        plan: Plan {
            steps: actions
                .into_iter()
                .map(|action| Step {
                    action,
                    why: "it may help".into(),
                })
                .collect(),
            ask: None,
        },
        playbook: PlaybookId(playbook.into()),
        version: None,
    }
}

/// What a plan says of the text that made it, where a test does not: the one there is.
fn made(proposal: Option<Proposal>, world: &World) -> Option<Proposal> {
    let proposal = proposal?;
    Some(Proposal {
        version: proposal.version.or_else(|| world.version.clone()),
        ..proposal
    })
}

pub fn restart() -> Action {
    Action::Restart { instance: None }
}

pub fn person(role: Role) -> Caller {
    Caller {
        principal: "ana".into(),
        role,
        via: Via::Cli,
    }
}

/// An agent in a world of its own. Time is paused and moves when nobody works.
pub struct Rig {
    pub world: Shared,
    pub agent: AgentHandle,
    pub tasks: Tasks,
    pub clock: Clock,
    /// What a daemon that comes back finds in its file.
    pub settings: Settings,
    pub folder: tempfile::TempDir,
}

impl Rig {
    /// One process `api` that is online; a restart brings it back; the brain says `actions`
    /// whenever it is asked about a crash or a failing probe.
    pub async fn new(actions: Vec<Action>) -> Rig {
        Rig::with(Settings::default(), actions).await
    }

    pub async fn with(settings: Settings, actions: Vec<Action>) -> Rig {
        let clock = Clock::system();
        let mut world = World {
            processes: BTreeMap::new(),
            events: vec![],
            calls: vec![],
            hang: None,
            panics: false,
            asked: vec![],
            told: vec![],
            changed: vec![],
            effect: Box::new(|world, command| {
                match command {
                    "process.restart" | "process.start" => {
                        world.set("api", Status::Online, HealthStatus::Pass);
                    }
                    "process.hold" => world.set("api", Status::Errored, HealthStatus::Off),
                    _ => {}
                }
                Ok(())
            }),
            thought: Box::new(move |_| Some(proposal("bring-back", actions.clone()))),
            slow_thought: None,
            inquire: None,
            inquiries: 0,
            measured: None,
            watch: None,
            watches: 0,
            silent: Box::new(|_| None),
            otherwise: vec![],
            check: Check::None,
            fingerprint: false,
            version: None,
            clock: clock.clone(),
            bus: Bus::new(),
        };
        world.add("api");
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            switch: Some(folder.path().join("agent.json")),
            ..settings
        };
        let world = Shared(Arc::new(Mutex::new(world)));
        Rig::start(world, clock, settings, folder, None).await
    }

    async fn start(
        world: Shared,
        clock: Clock,
        settings: Settings,
        folder: tempfile::TempDir,
        heard: Option<EventId>,
    ) -> Rig {
        let (store, _thread) = BrainStore::open(&folder.path().join("history.db")).unwrap();
        let tasks = Tasks::new();
        let agent = Agent::start_after(
            Parts {
                control: Arc::new(world.clone()),
                revisions: Arc::new(world.clone()),
                store,
                mind: Arc::new(world.clone()),
                facts: Arc::new(world.clone()),
                approver: Arc::new(world.clone()),
                clock: clock.clone(),
                settings: settings.clone(),
            },
            &tasks,
            heard,
        )
        .await
        .unwrap();
        Rig {
            world,
            agent,
            tasks,
            clock,
            settings,
            folder,
        }
    }

    /// The daemon dies and comes back.
    pub async fn reborn(self) -> Rig {
        self.reborn_while(|_| {}).await
    }

    /// The same, and this happens while processes are adopted and the agent is not there yet.
    pub async fn reborn_while(self, happens: impl FnOnce(&mut World)) -> Rig {
        assert!(self.tasks.shutdown(Duration::from_secs(5)).await.is_empty());
        let Rig {
            world,
            clock,
            settings,
            folder,
            ..
        } = self;
        let heard = {
            let mut world = world.0.lock().unwrap();
            let heard = world.events.last().map_or(0, |event| event.id);
            happens(&mut world);
            heard
        };
        Rig::start(world, clock, settings, folder, Some(heard)).await
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.0.lock().unwrap())
    }

    /// `api` dies and stays down.
    pub fn crash(&self) {
        self.change(|world| {
            world.set("api", Status::Errored, HealthStatus::Off);
            world.event("api", EventKind::Crash);
        });
    }

    pub fn calls(&self) -> Vec<String> {
        self.change(|world| world.calls.clone())
    }

    /// Lets paused time pass: until the clock of the world says so.
    pub async fn pass(&self, seconds: u64) {
        let end = self.clock.now() + Duration::from_secs(seconds);
        let looks = seconds * 20 + 20;
        for _ in 0..looks {
            if self.clock.now() >= end {
                return;
            }
            moment().await;
        }
        panic!("{seconds} s of paused time do not pass in {looks} looks");
    }

    /// Lets time pass until something is true, at most `seconds`.
    pub async fn until(&self, what: &str, seconds: u64, mut ready: impl AsyncFnMut(&Rig) -> bool) {
        for _ in 0..seconds * 20 {
            if ready(self).await {
                return;
            }
            moment().await;
        }
        let history = self.agent.history(Default::default()).await.unwrap();
        panic!(
            "never: {what}\ncalls: {:?}\nhistory: {history:#?}",
            self.calls()
        );
    }

    /// Waits until the newest incident ended or stands like this: `outcome`.
    pub async fn outcome(&self, wanted: &str, seconds: u64) -> agent::Entry {
        self.until(&format!("outcome {wanted}"), seconds, async |rig: &Rig| {
            let history = rig.agent.history(Default::default()).await.unwrap();
            history.first().and_then(|row| row.outcome.as_deref()) == Some(wanted)
        })
        .await;
        self.agent
            .history(Default::default())
            .await
            .unwrap()
            .remove(0)
    }

    /// Waits for an open question.
    pub async fn question(&self) -> agent::Question {
        self.until("a question", 60, async |rig: &Rig| {
            !rig.agent.status().await.unwrap().pending.is_empty()
        })
        .await;
        self.agent.status().await.unwrap().pending.remove(0)
    }
}
