//! Asks one provider after the other until somebody answers.
//!
//! ```text
//!   Request ──► first provider: up to 3 tries ──no answer──► the next one ──► …
//!                 │ breaker, pace, account                    │ the same
//! ```
//!
//! A question is made for the first one: one that takes in less is asked only what fits, since
//! a server that cuts a question takes the rules away and leaves the untrusted end.
//! All of it within one time limit. A provider with others behind it gets half of what is
//! left, so that a slow one leaves them time to answer.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, clock::QuantaClock};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use super::account::{Account, Order};
use super::breaker::{Breaker, Input};
use super::heard::Heard;
use super::ledger::Caps;
use super::prices::Price;
use super::provider::Provider;
use super::{Abilities, Limits, Message, Model, ModelError, ModelId, Reply, Request, Sink};
use crate::incident::IncidentId;

/// Tries of one provider.
const TRIES: u32 = 3;
/// Wait before the second try where the provider names none; twice that before the third.
const BACKOFF: Duration = Duration::from_millis(500);

/// Those who can be asked, in order, and what they may cost.
pub(super) struct Core {
    pub(super) seats: Vec<Seat>,
    /// Why others that the settings name are not asked.
    pub(super) left_out: Vec<String>,
    pub(super) caps: Caps,
    pub(super) pace: DefaultDirectRateLimiter,
    pub(super) per_minute: u32,
    pub(super) max_tokens: u32,
    pub(super) temperature: Option<f32>,
    pub(super) timeout: Duration,
}

/// One provider, ready to be asked.
pub(super) struct Seat {
    pub(super) id: ModelId,
    pub(super) provider: Box<dyn Provider>,
    pub(super) abilities: Abilities,
    /// None: nobody knows it.
    pub(super) price: Option<Price>,
    pub(super) breaker: Mutex<Breaker>,
}

/// The chain on behalf of somebody.
pub(super) struct Chain {
    pub(super) core: Arc<Core>,
    pub(super) account: Arc<Account>,
    pub(super) incident: Option<IncidentId>,
}

#[async_trait]
impl Model for Chain {
    fn id(&self) -> &ModelId {
        &self.first().id
    }

    fn abilities(&self) -> Abilities {
        self.first().abilities
    }

    async fn ask(&self, request: &Request, sink: &dyn Sink) -> Result<Reply, ModelError> {
        let mut request = request.clone();
        self.limit(&mut request.limits);
        let whole = request.limits.timeout;
        let end = Instant::now() + whole;
        let mut first_error = None;
        let last = self.core.seats.len().saturating_sub(1);
        let tokens = request_tokens(&request);
        for (place, seat) in self.core.seats.iter().enumerate() {
            let most = seat.abilities.context_tokens;
            if most < self.abilities().context_tokens && tokens > most as usize {
                warn!(model = %seat.id.model, tokens, most, "A question is too long for a fallback: raise its `context_tokens`.");
                continue;
            }
            let until = if place == last {
                end
            } else {
                end - end.saturating_duration_since(Instant::now()) / 2
            };
            let error = match self.ask_one(seat, &request, sink, until).await {
                Ok(reply) => return Ok(reply),
                Err(Ended { error, shown: true }) if !sink.begin_anew() => return Err(error),
                Err(Ended { error, .. }) => error,
            };
            if place < last {
                warn!(model = %seat.id.model, %error, "A model did not answer; the next one is asked.");
            }
            first_error.get_or_insert(match error {
                ModelError::Late(_) => ModelError::Late(whole),
                other => other,
            });
        }
        Err(first_error.unwrap_or_else(|| ModelError::NotSetUp("nobody is to be asked".into())))
    }
}

/// How the tries of a provider ended.
struct Ended {
    error: ModelError,
    /// Somebody has been shown a part of an answer.
    shown: bool,
}

impl From<ModelError> for Ended {
    fn from(error: ModelError) -> Self {
        Self {
            error,
            shown: false,
        }
    }
}

impl Chain {
    fn first(&self) -> &Seat {
        self.core
            .seats
            .first()
            .expect("a chain is made of one provider at least")
    }

    /// The limits of the settings and those of the question together.
    fn limit(&self, limits: &mut Limits) {
        limits.max_tokens = limits.max_tokens.min(self.core.max_tokens).max(1);
        limits.temperature = self.core.temperature.unwrap_or(limits.temperature);
        // Who asks for less than usual means it; who says nothing gets what is configured.
        limits.timeout = if limits.timeout < Limits::default().timeout {
            limits.timeout.min(self.core.timeout)
        } else {
            self.core.timeout
        };
    }

    async fn ask_one(
        &self,
        seat: &Seat,
        request: &Request,
        sink: &dyn Sink,
        until: Instant,
    ) -> Result<Reply, Ended> {
        let clock = self.account.clock();
        seat.lock()
            .may_ask(clock.now())
            .map_err(ModelError::Resting)?;
        let stripped;
        let request = if request.tools.is_empty() || seat.abilities.tools {
            request
        } else {
            stripped = Request {
                tools: Vec::new(),
                ..request.clone()
            };
            &stripped
        };
        let bytes = weight(request);
        let mut tried = 1;
        loop {
            self.pace(until).await?;
            let heard = Heard::new(sink);
            let order = Order {
                model: &seat.id,
                incident: self.incident,
                price: seat.price.unwrap_or(Price::FREE),
                caps: &self.core.caps,
                bytes,
                max_tokens: request.limits.max_tokens,
            };
            let bill = self.account.admit(order, &heard).await?;
            let begun = Instant::now();
            let answer = match timeout_at(until, seat.provider.once(request, &heard)).await {
                Ok(answer) => answer,
                Err(_) => Err(ModelError::Late(until.saturating_duration_since(begun))),
            };
            let usage = bill.close(answer.as_ref().err());
            let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let error = match answer {
                Ok(mut reply) => {
                    let tokens = usage.prompt_tokens + usage.answer_tokens;
                    debug!(model = %seat.id.model, tokens, elapsed_ms, "A model has answered.");
                    seat.note(Input::Worked, clock.now());
                    reply.usage = usage;
                    reply.by = Some(seat.id.clone());
                    return Ok(reply);
                }
                Err(error) => error,
            };
            debug!(model = %seat.id.model, %error, elapsed_ms, tried, "A model did not answer.");
            let wanted = heard.wanted_wait();
            let wait = wanted.unwrap_or_else(|| backoff(tried));
            let shown = heard.has_shown();
            let is_final = tried >= TRIES
                || !error.retryable()
                || Instant::now() + wait >= until
                || (shown && !sink.begin_anew());
            if is_final {
                seat.note(judged(&error, wanted), clock.now());
                return Err(Ended { error, shown });
            }
            sleep(wait).await;
            tried += 1;
        }
    }

    /// Waits for a place in this minute.
    async fn pace(&self, until: Instant) -> Result<(), ModelError> {
        while let Err(not_yet) = self.core.pace.check() {
            let wait = not_yet.wait_time_from(QuantaClock::default().now());
            if Instant::now() + wait >= until {
                let limit = self.core.per_minute;
                return Err(ModelError::OverBudget(format!(
                    "{limit} requests in this minute, as many as `requests_per_minute` in [ai] allows"
                )));
            }
            sleep(wait).await;
        }
        Ok(())
    }
}

impl Seat {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, input: Input, now: jiff::Timestamp) {
        let mut breaker = self.lock();
        *breaker = breaker.step(input, now);
    }
}

/// What an error says about its provider.
fn judged(error: &ModelError, wanted: Option<Duration>) -> Input {
    match error {
        ModelError::RateLimited { .. } => wanted.map_or(Input::Failed, Input::Asked),
        ModelError::Refused { status, .. } if *status < 500 && *status != 408 => Input::Worked,
        ModelError::Unauthorised { .. }
        | ModelError::NotSetUp(_)
        | ModelError::NotRecorded(_)
        | ModelError::NotRedacted
        | ModelError::Declined(_)
        | ModelError::OverBudget(_) => Input::Worked,
        ModelError::Refused { .. }
        | ModelError::Unreachable(_)
        | ModelError::Late(_)
        | ModelError::Nonsense(_)
        | ModelError::Resting(_) => Input::Failed,
    }
}

/// Half a second, a second, each a little more or less so that not all come back at once.
fn backoff(tried: u32) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1_000;
    let factor = 0.75 + random as f64 / 2_000.0;
    (BACKOFF * 2u32.saturating_pow(tried - 1)).mul_f64(factor)
}

/// Bytes of everything that a request says.
fn weight(request: &Request) -> usize {
    // Cannot fail: it is text all through.
    serde_json::to_vec(request).map_or(0, |bytes| bytes.len())
}

/// Tokens of everything that a model reads, on the careful side: logs have few letters each.
fn request_tokens(request: &Request) -> usize {
    const BYTES: usize = 3;
    let messages = request.messages.iter().map(|message| match message {
        Message::User { text } | Message::Tool { text, .. } => text.len(),
        Message::Assistant { text, calls } => {
            let calls = calls.iter().map(|call| call.arguments.len());
            text.len() + calls.sum::<usize>()
        }
    });
    (request.system.len() + messages.sum::<usize>()) / BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_spread() {
        for _ in 0..100 {
            let (first, second) = (backoff(1), backoff(2));
            assert!((375..=625).contains(&first.as_millis()), "{first:?}");
            assert!((750..=1250).contains(&second.as_millis()), "{second:?}");
        }
    }

    #[test]
    fn a_wrong_key_says_nothing_against_the_provider() {
        let judge = |error| judged(&error, None);
        assert_eq!(
            judge(ModelError::Unauthorised { status: 401 }),
            Input::Worked
        );
        let refused = |status| ModelError::Refused {
            status,
            text: String::new(),
        };
        assert_eq!(judge(refused(404)), Input::Worked);
        assert_eq!(judge(refused(503)), Input::Failed);
        let wait = Some(Duration::from_secs(9));
        let limited = ModelError::RateLimited { retry_after: wait };
        assert_eq!(judged(&limited, wait), Input::Asked(Duration::from_secs(9)));
    }
}
