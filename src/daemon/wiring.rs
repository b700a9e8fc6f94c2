//! Joins the brain and the agent to the daemon.
//!
//! ```text
//!   registry, store, sampler, logs ──facts──► agent (brain inside) ──Control──► gate
//!   socket ──► gate ──port──► AgentHandle
//! ```
//!
//! Only adapters stand here: nothing in this folder decides anything.

mod ai;
mod approvals;
mod ask;
mod asker;
mod certificate;
mod external;
mod facts;
mod figures;
mod guest;
mod health;
mod learning;
mod lock;
mod looks;
mod mind;
mod model;
mod playbooks;
mod port;
mod shown;
mod talk;
mod timeline;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use agent::{Agent, Parts, PlaybookSettings, Revisions, Settings};
use async_trait::async_trait;
use brain::helper::Helpers;
use brain::prompts::Prompts;
use brain::{BrainStore, PlaybookOverride, Playbooks};
use supervisor::config::DaemonConfig;
use supervisor::logs::Ingest;
use supervisor::metrics::Metrics;
use supervisor::store::StoreHandle;
use supervisor::{Clock, EventId, Paths, ProcessName, ProcessSpec, RegistryHandle, Sampler, Tasks};
use tokio::sync::watch;
use tracing::{error, warn};

use super::chat::{Hears, approvers, roles};
use super::gate::Gate;
use super::metrics::Collector;
use super::notify::Ears;
use super::trouble::Troubles;
use ai::AiPort;
use asker::Asker;
use facts::LiveFacts;
use figures::BrainFigures;
use health::HealthWatch;
use learning::Learning;
use mind::PlaybookMind;
use model::ModelFigures;
pub(crate) use model::Redactors;
use port::{BrainPort, Off};
use told::Told;

/// What the brain is joined to.
pub(crate) struct Wires {
    /// The way to act, and where the methods are opened.
    pub(crate) gate: Arc<Gate>,
    /// Knows every process.
    pub(crate) registry: RegistryHandle,
    /// Past events.
    pub(crate) store: StoreHandle,
    /// Past figures.
    pub(crate) metrics: Metrics,
    /// The newest event from before this daemon.
    pub(crate) heard: EventId,
    /// What trees use.
    pub(crate) sampler: Sampler,
    /// What programs print.
    pub(crate) ingest: Ingest,
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The time.
    pub(crate) clock: Clock,
    /// Where tasks run.
    pub(crate) tasks: Tasks,
    /// Who puts the figures for Prometheus together.
    pub(crate) collector: Arc<Collector>,
    /// Where it is said that there is no brain.
    pub(crate) troubles: Troubles,
    /// Hears of incidents, for the chats.
    pub(crate) hears: Hears,
    /// Hears of the agent, for the notifications.
    pub(crate) ears: Ears,
    /// The settings in force, and those that follow.
    pub(crate) settings: watch::Receiver<Arc<DaemonConfig>>,
}

/// Starts the brain and the agent, and opens their methods. What fails here is told and
/// leaves a supervisor without a brain: processes do not depend on it.
///
/// Answers with the memory of the brain, to be closed when nobody writes any more.
pub(crate) async fn start(wires: Wires) -> Option<BrainStore> {
    let config = wires.settings.borrow().clone();
    let (gate, troubles) = (wires.gate.clone(), wires.troubles.clone());
    if !config.brain.enabled {
        gate.register(Arc::new(Off::by_config()));
        return None;
    }
    match join(wires, &config).await {
        Ok(memory) => Some(memory),
        Err(error) => {
            let error = with_sources(error.as_ref());
            error!(%error, "The brain could not be started; processes are supervised without it.");
            troubles.add(format!(
                "the brain and the agent are off: {error}; mend that, then: mhost daemon upgrade"
            ));
            gate.register(Arc::new(Off::by_failure(&error)));
            None
        }
    }
}

/// An error and what lies behind it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |one| one.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn join(wires: Wires, config: &DaemonConfig) -> Result<BrainStore, Failure> {
    let Wires {
        gate,
        registry,
        store,
        metrics,
        heard,
        sampler,
        ingest,
        paths,
        clock,
        tasks,
        collector,
        troubles,
        hears,
        ears,
        mut settings,
    } = wires;
    let told = settings_of(config, &paths);
    let (history, folder) = (paths.brain_history(), paths.playbooks());
    let overrides = overrides_of(config);
    let helpers = Helpers::new(&super::PLAYBOOK_PROCESS, clock.clone());
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let (store, thread, aside) = BrainStore::open_or_begin_anew(&history)?;
        if let Some(aside) = aside {
            let aside = aside.display();
            warn!(%aside, "The history of the brain was damaged; it begins anew.");
            troubles.add(format!(
                "the history of the brain was damaged and was moved to {aside}; incidents, what \
                 was learned and leave given in advance are lost. When it is of no use: rm {aside}"
            ));
        }
        let playbooks = Playbooks::load_apart(helpers, Some(folder), overrides);
        Ok::<_, Failure>((store, thread, playbooks))
    });
    // The thread ends with the last handle, which is never dropped; there is nothing to wait
    // for, since every answer was awaited by whoever asked, and the last one is that of the end.
    let (memory, _thread, playbooks) = opened.await??;
    playbooks.switch(memory.switches().await?);
    let models = model::open(memory.clone(), clock.clone(), config).await;
    collector.add(Arc::new(ModelFigures(models.clone())));
    let redactors = Redactors::new(registry.clone(), settings.clone());
    let facts = Arc::new(LiveFacts {
        registry: registry.clone(),
        store: store.clone(),
        sampler,
        ingest,
        paths: paths.clone(),
        clock: clock.clone(),
        bounds: told.bounds,
        looked: facts::Looked::default(),
    });
    let learning = Arc::new(Learning {
        playbooks: playbooks.clone(),
        memory: memory.clone(),
        folder: paths.playbooks(),
        clock: clock.clone(),
        redactors: redactors.clone(),
    });
    let asker = Asker {
        models: models.clone(),
        playbooks: playbooks.clone(),
        memory: memory.clone(),
        facts: facts.clone(),
        redactors: redactors.clone(),
        prompts: Prompts::new(paths.prompts()),
    };
    let mind = Arc::new(PlaybookMind::new(
        playbooks.clone(),
        learning.clone(),
        paths.brain(),
        asker.clone(),
    ));
    mind.reconfigure(&config.brain);
    let handle = Agent::start_after(
        Parts {
            control: gate.clone(),
            revisions: Arc::new(StoredRevisions(store.clone())),
            store: memory.clone(),
            mind: mind.clone(),
            facts: facts.clone(),
            approver: Arc::new(Told {
                registry: registry.clone(),
                hears,
                ears,
            }),
            clock: clock.clone(),
            settings: told,
        },
        &tasks,
        Some(heard),
    )
    .await?;
    collector.add(Arc::new(BrainFigures::new(facts.clone(), memory.clone())));
    gate.register(Arc::new(BrainPort::new(
        handle.clone(),
        playbooks.clone(),
        memory.clone(),
        facts.clone(),
        mind.clone(),
        learning.clone(),
        asker.clone(),
    )));
    gate.register(Arc::new(AiPort {
        registry: registry.clone(),
        store,
        metrics,
        memory: memory.clone(),
        facts: facts.clone(),
        agent: handle.clone(),
        models: models.clone(),
        redactors,
        settings: settings.clone(),
        prompts: Prompts::new(paths.prompts()),
        clock: clock.clone(),
    }));
    let watch = HealthWatch {
        registry,
        facts,
        memory: memory.clone(),
        agent: handle.clone(),
        learning,
        clock,
    };
    tasks.spawn("health", watch.run(tasks.token()));
    let token = tasks.token();
    tasks.spawn("brain settings", async move {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                changed = settings.changed() => if changed.is_err() { return },
            }
            let config = settings.borrow_and_update().clone();
            handle.reconfigure(settings_of(&config, &paths));
            mind.reconfigure(&config.brain);
            model::follow(&models, &config).await;
            let (playbooks, overrides) = (playbooks.clone(), overrides_of(&config));
            let read = tokio::task::spawn_blocking(move || playbooks.reconfigure(overrides));
            if let Err(error) = read.await {
                error!(%error, "The playbooks could not be read again.");
            }
        }
    });
    Ok(memory)
}

/// The agent's settings as `config.toml` says.
fn settings_of(config: &DaemonConfig, paths: &Paths) -> Settings {
    let (brain, agent) = (&config.brain, &config.agent);
    let defaults = Settings::default();
    let quiet = agent.quiet_hours.trim();
    let quiet_hours = match quiet.parse() {
        _ if quiet.is_empty() => None,
        Ok(hours) => Some(hours),
        Err(error) => {
            let error: agent::policy::QuietHoursError = error;
            warn!(%error, "The quiet hours are not in force.");
            None
        }
    };
    Settings {
        enabled: agent.enabled,
        autonomy: agent.autonomy,
        brain_autonomy: brain.autonomy,
        poll_interval: agent.poll_interval,
        think_when: agent.think_when,
        limits: agent::budget::Limits {
            per_hour: agent.max_actions_per_hour,
            per_process: agent.max_actions_per_process_per_hour,
            cooldown: brain.cooldown,
        },
        approval_timeout: agent.approval_timeout,
        approvers: approvers(config),
        approvals: agent::Approvals {
            low: agent.approvals.low,
            high: agent.approvals.high,
        },
        chats: Some(roles(config)),
        blocked: agent.blocked_actions.clone(),
        quiet_hours,
        bounds: agent::policy::Bounds {
            max_instances: agent.bounds.max_instances,
            max_memory_factor: agent.bounds.max_memory_factor,
            ..defaults.bounds
        },
        verify_window: agent.verify_window,
        playbooks: brain
            .playbooks
            .iter()
            .map(|(name, one)| {
                let settings = PlaybookSettings {
                    autonomy: one.autonomy,
                    cooldown: one.cooldown,
                };
                (name.clone(), settings)
            })
            .collect(),
        switch: Some(paths.brain().join("agent.json")),
        ..defaults
    }
}

fn overrides_of(config: &DaemonConfig) -> BTreeMap<String, PlaybookOverride> {
    let playbooks = config.brain.playbooks.iter();
    playbooks
        .map(|(name, one)| {
            let own = PlaybookOverride {
                enabled: one.enabled,
                cooldown: one.cooldown,
                max_per_hour: None,
                params: one.params.clone(),
            };
            (name.clone(), own)
        })
        .collect()
}

/// Definitions that were in force before, from the state database.
struct StoredRevisions(StoreHandle);

#[async_trait]
impl Revisions for StoredRevisions {
    async fn previous(&self, process: &ProcessName) -> Option<ProcessSpec> {
        let loaded = match self.0.load().await {
            Ok(loaded) => loaded,
            Err(error) => {
                warn!(%error, "The former definition could not be read.");
                return None;
            }
        };
        let row = loaded
            .processes
            .into_iter()
            .find(|row| row.spec.name == *process)?;
        row.previous.map(Arc::unwrap_or_clone)
    }
}
