//! One sink at work: takes batches, sends them, waits and tries again.
//!
//! ```text
//!   wait for a batch ──► send ──► taken ──► done
//!        ▲                │ some of it to be tried again, or an error
//!        │                └──► wait 1 s, 2 s … 60 s ──► send the rest
//!        └── too large: in halves; refused for good: dead letters
//! ```
//!
//! While it waits, its inbox goes on filling and drops its oldest. Whatever the sink does,
//! nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::SETTLED;
use super::dead::DeadLetters;
use super::place::PlaceFile;
use super::status::{Shown, SinkState};
use super::{Sent, Sink, SinkError};
use crate::backoff;
use crate::clock::Clock;
use crate::config::SinkConfig;
use crate::logs::feed::{FeedLine, Inbox};
use crate::secret::masked;

/// The first wait after a failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Most bytes of a batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// How often the place is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Longest error that is shown.
const MAX_ERROR: usize = 300;

type Batch = Vec<Arc<FeedLine>>;

/// A sink with all it works with.
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) config: SinkConfig,
    pub(super) sink: Box<dyn Sink>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) shown: Shown,
    pub(super) dead: DeadLetters,
    pub(super) clock: Clock,
    pub(super) cancel: CancellationToken,
    /// Failures in a row.
    pub(super) failures: u32,
}

impl Runner {
    /// Works until it is cancelled. What is not sent by then is sent by the next one.
    pub(super) async fn run(mut self) {
        let mut unsettled = false;
        let (cancel, inbox) = (self.cancel.clone(), self.inbox.clone());
        inbox.wait_for_me(true);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = inbox.ready(self.config.batch, self.config.flush) => {
                    let batch = inbox.take(self.config.batch, BATCH_BYTES);
                    if batch.is_empty() {
                        continue;
                    }
                    self.shown.lock().queued = batch.len() as u64;
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = self.deliver(batch.clone()) => {}
                    }
                    inbox.done(&batch);
                    self.shown.lock().queued = 0;
                    unsettled = true;
                }
                settled = self.settle(), if unsettled => unsettled = !settled,
            }
        }
    }

    /// Looks a second later whether what was written is really gone.
    async fn settle(&mut self) -> bool {
        tokio::time::sleep(SETTLED).await;
        match timeout(self.config.timeout, self.sink.settle()).await {
            Ok(Ok(sure)) => {
                if self.failures > 0 {
                    self.up();
                }
                sure
            }
            Ok(Err(error)) => {
                self.failed(&error.to_string());
                tokio::time::sleep(self.pause()).await;
                false
            }
            Err(_late) => {
                self.failed(&self.no_answer());
                false
            }
        }
    }

    /// Returns when every line was taken or refused.
    async fn deliver(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let limit = self.sink.patience(self.config.timeout, part.len());
            let result = timeout(limit + Duration::from_millis(500), self.sink.send(&part)).await;
            let result = result.unwrap_or_else(|_late| Err(SinkError::Retry(self.no_answer())));
            match result {
                Ok(sent) => {
                    if let Some(rest) = self.taken(part, sent).await {
                        parts.push(rest);
                        tokio::time::sleep(self.pause()).await;
                    }
                }
                Err(SinkError::TooLarge(_)) if part.len() > 1 => {
                    let mut first = part;
                    let second = first.split_off(first.len() / 2);
                    parts.extend([second, first]);
                }
                Err(SinkError::TooLarge(why) | SinkError::Rejected(why)) => {
                    let letters = part.into_iter().map(|line| (line, why.clone()));
                    self.reject(letters.collect()).await;
                    self.up();
                }
                Err(SinkError::Retry(why)) => {
                    self.failed(&why);
                    parts.push(part);
                    tokio::time::sleep(self.pause()).await;
                }
            }
        }
    }

    /// Counts what was taken; gives what is to be tried again.
    async fn taken(&mut self, part: Batch, sent: Sent) -> Option<Batch> {
        let taken = part.len() - sent.rejected.len() - sent.retry.len();
        if taken > 0 {
            let now = self.clock.now();
            let mut shown = self.shown.lock();
            shown.sent += taken as u64;
            shown.last_sent_at = Some(now);
        }
        let letters = sent.rejected.into_iter();
        let letters: Vec<(Arc<FeedLine>, String)> = letters
            .filter_map(|(place, why)| Some((part.get(place)?.clone(), why)))
            .collect();
        if !letters.is_empty() {
            self.reject(letters).await;
        }
        if !sent.retry.is_empty() {
            let why = sent.reason.as_deref();
            self.failed(why.unwrap_or("the server asked to try again"));
            let rest = sent.retry.iter().filter_map(|place| part.get(*place));
            return Some(rest.cloned().collect());
        }
        self.up();
        None
    }

    /// The server is there and took or refused all it got.
    fn up(&mut self) {
        if self.failures > 0 {
            info!(sink = self.name, "The sink is up again.");
        }
        self.failures = 0;
        self.inbox.wait_for_me(true);
        self.shown.lock().state = SinkState::Up;
    }

    /// Keeps lines that the server will never take.
    async fn reject(&mut self, mut letters: Vec<(Arc<FeedLine>, String)>) {
        for (_, why) in &mut letters {
            *why = self.scrubbed(why);
        }
        let first = letters.first().map(|(_, why)| why.clone());
        let now = self.clock.now();
        let former = {
            let mut shown = self.shown.lock();
            let former = shown.rejected;
            shown.rejected += letters.len() as u64;
            shown.failures += 1;
            shown.last_error = first.clone();
            shown.last_error_at = Some(now);
            former
        };
        if former == 0 {
            warn!(
                sink = self.name,
                error = first,
                "The server refuses lines; they are kept in a file beside its place."
            );
        }
        let dead = self.dead.clone();
        let kept = tokio::task::spawn_blocking(move || dead.keep(&letters, now)).await;
        if let Ok(Err(error)) = kept {
            warn!(sink = self.name, %error, "Refused lines could not be kept.");
        }
    }

    /// Notes a failure; the log of the daemon hears of the first in a row.
    fn failed(&mut self, why: &str) {
        let why = self.scrubbed(why);
        if self.failures == 0 {
            warn!(
                sink = self.name,
                error = why,
                "A sink failed; it is tried again."
            );
        }
        self.failures = self.failures.saturating_add(1);
        // Nobody knows how long it takes: its queue is what is kept now.
        self.inbox.wait_for_me(false);
        let now = self.clock.now();
        let mut shown = self.shown.lock();
        shown.state = SinkState::Down;
        shown.failures += 1;
        shown.last_error = Some(why);
        shown.last_error_at = Some(now);
    }

    fn no_answer(&self) -> String {
        let limit = crate::units::format_duration(self.config.timeout);
        format!("no answer within {limit}")
    }

    /// How long to wait after so many failures.
    fn pause(&self) -> Duration {
        let wait = backoff::delay(FIRST_WAIT, LONGEST_WAIT, self.failures.saturating_sub(1));
        let seed = self.name.bytes().map(u64::from).sum::<u64>() + u64::from(self.failures);
        backoff::jitter(wait, seed)
    }

    /// A text without anything that must not be shown. A server may echo what it was sent.
    fn scrubbed(&self, text: &str) -> String {
        let mut text = masked(text.to_owned(), &self.config.secrets());
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        text
    }
}

/// Saves the place of a sink each second, and once more at its end.
pub(super) async fn save(inbox: Arc<Inbox>, file: PlaceFile, cancel: CancellationToken) {
    let mut saved = None;
    let mut told = false;
    loop {
        let over = tokio::select! {
            () = cancel.cancelled() => true,
            () = tokio::time::sleep(SAVE_EVERY) => false,
        };
        let places = inbox.places();
        if saved.as_ref() != Some(&places) {
            let (file, copy) = (file.clone(), places.clone());
            let written = tokio::task::spawn_blocking(move || file.save(&copy)).await;
            match written {
                Ok(Ok(())) => (saved, told) = (Some(places), false),
                Ok(Err(error)) if !told => {
                    warn!(%error, "The place of a sink could not be saved.");
                    told = true;
                }
                _ => {}
            }
        }
        if over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::time::Instant;

    use super::super::testing::{arcs, line};
    use super::*;
    use crate::config::SinkType;
    use crate::logs::feed::{Bounds, Places};

    /// Fails so many times, then takes all; some tries hang.
    struct Shaky {
        failures: usize,
        tries: Arc<Mutex<Vec<Instant>>>,
    }

    #[async_trait]
    impl Sink for Shaky {
        async fn send(&mut self, _batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError> {
            self.tries.lock().unwrap().push(Instant::now());
            if self.failures == 0 {
                return Ok(Sent::default());
            }
            self.failures -= 1;
            if self.failures == 3 {
                std::future::pending::<()>().await;
            }
            Err(SinkError::Retry("away; your key is s3cr3t".to_owned()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_from_a_second_to_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let tries: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let clock = Clock::system();
        let mut config = SinkConfig::new(SinkType::Elasticsearch);
        config.api_key = Some("s3cr3t".into());
        let sink = Shaky {
            failures: 9,
            tries: tries.clone(),
        };
        let mut runner = Runner {
            name: "es".to_owned(),
            sink: Box::new(sink),
            inbox: Arc::new(Inbox::new(
                Places::from_now(&clock),
                Bounds::default(),
                Box::new(|_| true),
            )),
            shown: Shown::new("es", config.kind),
            dead: DeadLetters::new(folder.path(), "es"),
            config,
            clock,
            cancel: CancellationToken::new(),
            failures: 0,
        };
        runner.deliver(arcs(vec![line("a"), line("b")])).await;
        let shown = runner.shown.lock().clone();
        assert_eq!((shown.sent, shown.failures), (2, 9));
        assert_eq!(shown.state, SinkState::Up);
        assert_eq!(
            shown.last_error.as_deref(),
            Some("away; your key is ***"),
            "a secret is not shown"
        );
        let tries = tries.lock().unwrap();
        let waits: Vec<f64> = tries
            .windows(2)
            .map(|two| (two[1] - two[0]).as_secs_f64())
            .collect();
        // The sixth hangs until its time is over.
        let expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0 + 10.5, 60.0, 60.0, 60.0];
        for (wait, expected) in waits.iter().zip(expected) {
            let least = if expected == 42.5 {
                39.0
            } else {
                expected * 0.89
            };
            assert!((least..=expected * 1.11).contains(wait), "{waits:?}");
        }
        assert_eq!(waits.len(), 9);
    }
}
