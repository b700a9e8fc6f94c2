//! The bots that are connected now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chat::router::Router;
use chat::store::Store;
use chat::thread::{Places, Threads};
use chat::{Bot, BotStatus, Channel, Incoming, Platform};
use supervisor::config::{BotConfig, DaemonConfig};
use supervisor::{Clock, Tasks};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::made::Made;
use super::redacted::Redacted;
use super::tables;
use crate::daemon::wiring::Redactors;

/// All bots, and why there are none if they cannot be.
#[derive(Default)]
pub(super) struct Bots(Mutex<State>);

#[derive(Default)]
struct State {
    running: Vec<Running>,
    /// Why none can be connected.
    failure: Option<String>,
    /// Why one platform cannot.
    failures: BTreeMap<Platform, String>,
}

/// What every bot is made with.
pub(super) struct Base {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) redactors: Redactors,
}

struct Running {
    /// What it was connected with; another one needs another bot.
    made_of: Made,
    bot: Bot,
    leave: CancellationToken,
    life: JoinHandle<()>,
}

/// For whoever speaks through a bot without being asked.
impl chat::notify::Bots for Bots {
    fn channel(&self, platform: Platform) -> Option<Arc<dyn Channel>> {
        let state = self.lock();
        let bot = state.running.iter().map(|one| &one.bot);
        let mut ours = bot.filter(|bot| bot.status().platform == platform);
        ours.next().map(Bot::channel)
    }
}

impl Bots {
    /// The chats cannot be connected at all.
    pub(super) fn fail(&self, why: &str) {
        self.lock().failure = Some(why.to_owned());
    }

    /// Why they cannot, if so.
    pub(super) fn failure(&self) -> Option<String> {
        let state = self.lock();
        let one = state.failures.iter().next();
        let one = one.map(|(platform, why)| format!("{platform}: {why}"));
        state.failure.clone().or(one)
    }

    /// How each does.
    pub(super) fn status(&self) -> Vec<BotStatus> {
        self.lock()
            .running
            .iter()
            .map(|one| one.bot.status())
            .collect()
    }

    /// Their platforms.
    pub(super) fn channels(&self) -> Vec<Arc<dyn Channel>> {
        self.lock()
            .running
            .iter()
            .map(|one| one.bot.channel())
            .collect()
    }

    /// Connects and leaves as the settings say, and hands them on.
    pub(super) async fn follow(
        &self,
        config: &DaemonConfig,
        router: &Arc<Router>,
        threads: &Threads,
        base: &Base,
    ) {
        let none = BotConfig {
            enabled: false,
            ..BotConfig::default()
        };
        let asked = config.agent.chats();
        let config = config.bot.as_ref().unwrap_or(&none);
        router.reconfigure(tables::settings(config));
        router.keep_pace(tables::per_minute(config));
        let wanted = Made::all(config);
        let gone: Vec<Running> = {
            let mut state = self.lock();
            let (kept, gone) = std::mem::take(&mut state.running)
                .into_iter()
                .partition(|one| wanted.contains(&one.made_of));
            state.running = kept;
            state
                .failures
                .retain(|platform, _| wanted.iter().any(|one| one.platform() == *platform));
            gone
        };
        // One bot at a time receives with a token.
        for one in &gone {
            one.leave.cancel();
        }
        for one in gone {
            let _ = one.life.await;
        }
        for made in wanted {
            let runs = self.lock().running.iter().any(|one| one.made_of == made);
            if !runs {
                self.connect(made, router, base);
            }
        }
        threads.speak_in(Places {
            channels: self.channels(),
            places: tables::places(config, &asked),
        });
    }

    fn connect(&self, made: Made, router: &Arc<Router>, base: &Base) {
        let platform = made.platform();
        let known = Arc::clone(router);
        let names = Arc::new(move |incoming: &Incoming| known.names(incoming));
        let channel = match made.channel(names) {
            Ok(inner) => Arc::new(Redacted {
                inner,
                redactors: base.redactors.clone(),
            }),
            Err(error) => {
                tracing::error!(%platform, %error, "The bot cannot be connected.");
                self.lock().failures.insert(platform, error);
                return;
            }
        };
        let bot = Bot::new(
            channel,
            router.clone(),
            base.store.clone(),
            base.clock.clone(),
        );
        let leave = base.tasks.token().child_token();
        let life = base
            .tasks
            .spawn(platform.as_str(), bot.clone().run(leave.clone()));
        let mut state = self.lock();
        state.failures.remove(&platform);
        state.running.push(Running {
            made_of: made,
            bot,
            leave,
            life,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
