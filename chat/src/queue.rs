//! What has come in: what waits, what is being worked on, and what is on record.
//!
//! ```text
//!   delivered ─► waits ─► handed out ─► taken: acknowledged, and known for a while
//!                  ▲          │
//!                  └──────────┘ connected again, or delivered again
//! ```
//!
//! For platforms that deliver by themselves. Slack wants an acknowledgement within three
//! seconds, on record or not. Whoever carries a delivery sees to that; here it is only said when
//! one is on record. What was acknowledged and is not on record is still here, so that it is
//! lost with this process only.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::{ChatError, Incoming};

/// Most deliveries that wait. More are not acknowledged, so that they come again.
const WAITING: usize = 256;
/// Deliveries that are known to be on record. The store knows all of a day; this spares it those
/// that come again at once.
const KNOWN: usize = 1_024;

/// How somebody is told, once, that a delivery is on record.
pub(crate) struct Ack(Box<dyn FnOnce() + Send>);

impl Ack {
    /// In any way.
    pub(crate) fn new(tell: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(tell))
    }

    /// To a request that waits.
    pub(crate) fn of_request(request: oneshot::Sender<()>) -> Self {
        Self::new(move || {
            // Whoever waits no longer was answered otherwise.
            let _ = request.send(());
        })
    }

    fn tell(self) {
        (self.0)();
    }
}

/// All that has come in and is not over.
pub(crate) struct Queue<D> {
    state: Mutex<State<D>>,
    changed: Notify,
}

struct State<D> {
    waiting: VecDeque<(Thing<D>, Option<Ack>)>,
    /// Handed out and not taken yet.
    open: HashMap<String, (Incoming, Option<Ack>)>,
    known: HashSet<String>,
    order: VecDeque<String>,
    /// Why nothing more comes.
    broken: Option<ChatError>,
}

enum Thing<D> {
    /// As it was delivered, and when.
    Raw(D, Instant),
    Read(Box<Incoming>),
}

impl<D> Default for Queue<D> {
    fn default() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            open: HashMap::new(),
            known: HashSet::new(),
            order: VecDeque::new(),
            broken: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }
}

impl<D> Queue<D> {
    /// Something was delivered. `false` when there is no room: it must not be acknowledged.
    pub(crate) fn push(&self, delivery: D, ack: Ack) -> bool {
        let mut state = self.lock();
        if state.waiting.len() >= WAITING {
            return false;
        }
        state
            .waiting
            .push_back((Thing::Raw(delivery, Instant::now()), Some(ack)));
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Nothing more comes, for this reason. It is said once.
    pub(crate) fn fail(&self, why: ChatError) {
        self.lock().broken = Some(why);
        self.changed.notify_one();
    }

    /// Will the next one be an error?
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().broken.is_some()
    }

    /// What was handed out and not taken waits again, and nothing is broken.
    pub(crate) fn again(&self) {
        let mut state = self.lock();
        state.broken = None;
        let mut open: Vec<_> = std::mem::take(&mut state.open).into_values().collect();
        open.sort_by_key(|(incoming, _)| std::cmp::Reverse(incoming.at));
        for (incoming, ack) in open {
            let thing = Thing::Read(Box::new(incoming));
            state.waiting.push_front((thing, ack));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for the next thing. What `read` makes nothing of is over, and so is what is on
    /// record. It is told how long ago the delivery came.
    pub(crate) async fn next(
        &self,
        read: impl Fn(D, Duration) -> Option<Incoming>,
    ) -> Result<Incoming, ChatError> {
        loop {
            let changed = self.changed.notified();
            if let Some(next) = self.pop(&read) {
                return next;
            }
            changed.await;
        }
    }

    fn pop(
        &self,
        read: impl Fn(D, Duration) -> Option<Incoming>,
    ) -> Option<Result<Incoming, ChatError>> {
        let mut state = self.lock();
        while let Some((thing, ack)) = state.waiting.pop_front() {
            let incoming = match thing {
                Thing::Raw(delivery, came) => read(delivery, came.elapsed()),
                Thing::Read(incoming) => Some(*incoming),
            };
            let new = incoming.filter(|one| !state.known.contains(&one.delivery));
            let Some(incoming) = new else {
                ack.into_iter().for_each(Ack::tell);
                continue;
            };
            let kept = (incoming.clone(), ack);
            state.open.insert(incoming.delivery.clone(), kept);
            return Some(Ok(incoming));
        }
        state.broken.take().map(Err)
    }

    /// It is on record.
    pub(crate) fn taken(&self, incoming: &Incoming) {
        let mut state = self.lock();
        let State {
            open, known, order, ..
        } = &mut *state;
        let ack = open.remove(&incoming.delivery).and_then(|(_, ack)| ack);
        if known.insert(incoming.delivery.clone()) {
            order.push_back(incoming.delivery.clone());
        }
        if order.len() > KNOWN
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        ack.into_iter().for_each(Ack::tell);
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::text;

    fn delivered(queue: &Queue<String>, id: &str) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        assert!(queue.push(id.to_owned(), Ack::of_request(tell)));
        told
    }

    fn read(delivery: String, _: Duration) -> Option<Incoming> {
        let mut incoming = text("slack:C1", "U1", "/status");
        incoming.delivery.clone_from(&delivery);
        (delivery != "nothing").then_some(incoming)
    }

    /// What has no time of its own came when it was delivered, however long anybody waited
    /// before that or reads it after.
    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_as_old_as_it_is() {
        let queue = Queue::default();
        let ages = Mutex::new(Vec::new());
        let timed = |delivery: String, age: Duration| {
            ages.lock().unwrap().push(age.as_secs());
            read(delivery, age)
        };
        let (waits, ()) = tokio::join!(queue.next(timed), async {
            tokio::time::sleep(Duration::from_secs(90)).await;
            drop(delivered(&queue, "1"));
        });
        waits.unwrap();
        let _kept = delivered(&queue, "2");
        tokio::time::sleep(Duration::from_secs(70)).await;
        queue.next(timed).await.unwrap();
        assert_eq!(*ages.lock().unwrap(), [0, 70]);
    }

    #[tokio::test]
    async fn it_comes_until_it_is_taken_and_never_after() {
        let queue = Queue::default();
        let mut first = delivered(&queue, "1");
        let one = queue.next(read).await.unwrap();
        assert!(first.try_recv().is_err(), "not on record yet");
        let mut second = delivered(&queue, "1");
        // It is read anew, perhaps within another millisecond.
        let again = queue.next(read).await.unwrap();
        assert_eq!((&again.delivery, &again.what), (&one.delivery, &one.what));
        queue.taken(&one);
        assert_eq!(second.try_recv(), Ok(()));
        let mut third = delivered(&queue, "1");
        let mut nothing = delivered(&queue, "nothing");
        delivered(&queue, "2");
        assert_eq!(queue.next(read).await.unwrap().delivery, "2");
        assert_eq!((third.try_recv(), nothing.try_recv()), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn what_was_not_taken_comes_again_with_the_next_connection() {
        let queue = Queue::default();
        let mut told = delivered(&queue, "1");
        queue.next(read).await.unwrap();
        queue.fail(ChatError::Closed);
        assert_eq!(queue.next(read).await, Err(ChatError::Closed));
        queue.again();
        let one = queue.next(read).await.unwrap();
        assert_eq!(one.delivery, "1");
        queue.taken(&one);
        assert_eq!(told.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn a_flood_is_bounded() {
        let queue = Queue::default();
        let mut told = Vec::new();
        for number in 0..WAITING {
            told.push(delivered(&queue, &number.to_string()));
        }
        assert!(!queue.push("x".into(), Ack::new(|| panic!("it must not be told"))));
        for _ in 0..WAITING {
            let one = queue.next(read).await.unwrap();
            queue.taken(&one);
        }
        assert!(told.iter_mut().all(|one| one.try_recv() == Ok(())));
        for number in 0..2 * KNOWN {
            let mut incoming = text("slack:C1", "U1", "/status");
            incoming.delivery = number.to_string();
            queue.taken(&incoming);
        }
        let state = queue.lock();
        assert_eq!((state.known.len(), state.order.len()), (KNOWN, KNOWN));
    }
}
