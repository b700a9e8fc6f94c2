//! The workers that run now: one for each channel that is on, and never two.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervisor::{Clock, Tasks};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Make;
use crate::Place;
use crate::notify::worker::{Tried, Worker};
use crate::notify::{ChannelSettings, Outgoing, Rules, State, Target};
use crate::store::Store;

/// What every worker is made with, and those that run. Clones are the same.
#[derive(Clone)]
pub(super) struct Lanes(Arc<Inner>);

struct Inner {
    host: String,
    make: Make,
    store: Store,
    clock: Clock,
    tasks: Tasks,
    tried: broadcast::Sender<Tried>,
    running: Mutex<BTreeMap<String, Lane>>,
    /// For the question who takes over.
    settings: Mutex<Arc<Rules>>,
}

struct Lane {
    /// Where it leads. Other settings are the rules' business.
    target: Target,
    cards: Option<Place>,
    wake: Arc<Notify>,
    leave: CancellationToken,
    life: JoinHandle<()>,
}

impl Lanes {
    pub(super) fn new(
        host: &str,
        make: Make,
        store: Store,
        clock: Clock,
        tasks: Tasks,
        tried: broadcast::Sender<Tried>,
    ) -> Self {
        let settings = Arc::new(Rules::new(Vec::new(), host, State::default()));
        Self(Arc::new(Inner {
            host: host.to_owned(),
            make,
            store,
            clock,
            tasks,
            tried,
            running: Mutex::default(),
            settings: Mutex::new(settings),
        }))
    }

    /// Uses these channels from now on. A worker whose channel leads where it led goes on; one
    /// that follows another waits until that has ended its try. Answers with the channels that
    /// lead elsewhere than before.
    pub(super) fn follow(&self, channels: &[ChannelSettings]) -> Vec<String> {
        let rules = Rules::new(channels.to_vec(), &self.0.host, State::default());
        *lock(&self.0.settings) = Arc::new(rules);
        let mut running = lock(&self.0.running);
        let mut before = std::mem::take(&mut *running);
        let mut moved = Vec::new();
        for channel in channels.iter().filter(|one| one.enabled) {
            let former = before.remove(&channel.name);
            let lane = match former {
                Some(lane) if lane.target == channel.target && lane.cards == channel.cards => lane,
                former => {
                    let elsewhere = |one: &&Lane| one.target != channel.target;
                    let elsewhere = former.as_ref().filter(elsewhere);
                    moved.extend(elsewhere.map(|_| channel.name.clone()));
                    self.open(channel, former)
                }
            };
            running.insert(channel.name.clone(), lane);
        }
        for lane in before.into_values() {
            lane.leave.cancel();
        }
        moved
    }

    /// There is something new for a channel.
    pub(super) fn wake(&self, channel: &str) {
        if let Some(lane) = lock(&self.0.running).get(channel) {
            lane.wake.notify_one();
        }
    }

    fn open(&self, channel: &ChannelSettings, former: Option<Lane>) -> Lane {
        let wake = Arc::new(Notify::new());
        let (fallback, others) = (self.clone(), self.clone());
        let worker = Worker {
            channel: channel.name.clone(),
            cards: channel.cards.clone(),
            sender: (self.0.make)(channel),
            store: self.0.store.clone(),
            clock: self.0.clock.clone(),
            wake: wake.clone(),
            fallback: Arc::new(move |failed| fallback.instead(failed)),
            wake_others: Arc::new(move |name| others.wake(name)),
            tried: self.0.tried.clone(),
        };
        let leave = self.0.tasks.token().child_token();
        let token = leave.clone();
        let life = self
            .0
            .tasks
            .spawn(format!("notify {}", channel.name), async move {
                if let Some(former) = former {
                    former.leave.cancel();
                    // One message at a time goes to a place, also across a change of it.
                    let _ = former.life.await;
                }
                worker.run(token).await;
            });
        Lane {
            target: channel.target.clone(),
            cards: channel.cards.clone(),
            wake,
            leave,
            life,
        }
    }

    fn instead(&self, failed: &Outgoing) -> Option<Outgoing> {
        let settings = lock(&self.0.settings).clone();
        settings.fallback(failed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
