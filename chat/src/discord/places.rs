//! Where channels are: a thread is in its channel, and only Discord knows which are threads.
//!
//! It is asked beside everything else, since it may take long: what needs no look-up is handed
//! out meanwhile. What comes from one place stays in its order.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::api::Api;
use super::wire::Chat;
use super::{ids, lock, read};
use crate::{Place, Platform};

/// Channels that are remembered.
const MOST: usize = 1_000;
/// Look-ups at once.
const AT_ONCE: usize = 8;

/// What is known of channels.
pub(super) struct Places {
    api: Arc<Api>,
    room: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
    running: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, Place>,
    /// Channels that are being looked up.
    asked: HashSet<String>,
}

impl Places {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            state: Arc::default(),
            running: Mutex::default(),
        }
    }

    /// Finds out where a channel is, and says it: at once when it is known, and once for all
    /// who ask meanwhile. One that cannot be looked at is taken for a channel of its own.
    pub(super) fn find(&self, channel: &str, say: impl FnOnce(Place) + Send + 'static) {
        {
            let mut state = lock(&self.state);
            if let Some(place) = state.known.get(channel).cloned() {
                drop(state);
                return say(place);
            }
            if !state.asked.insert(channel.to_owned()) {
                return;
            }
        }
        let (api, room) = (Arc::clone(&self.api), Arc::clone(&self.room));
        let (state, channel) = (Arc::clone(&self.state), channel.to_owned());
        let mut running = lock(&self.running);
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            let _room = room.acquire().await;
            let found = asked(&api, &channel).await;
            {
                let mut state = lock(&state);
                // Before it is said: whoever asks from now on asks anew.
                state.asked.remove(&channel);
                if let Some(place) = &found {
                    if state.known.len() >= MOST {
                        state.known.clear();
                    }
                    state.known.insert(channel.clone(), place.clone());
                }
            }
            say(found.unwrap_or_else(|| Place::chat(Platform::Discord, &channel)));
        });
    }
}

async fn asked(api: &Api, channel: &str) -> Option<Place> {
    let id = ids::number(channel, "channel").ok()?;
    let chat: Chat = api.get(&format!("/channels/{id}")).await.ok()?;
    read::place(Some(&chat), None)
}
