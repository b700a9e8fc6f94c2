//! The account of all requests to models: what is spent, by whom, and on whose behalf.
//!
//! ```text
//!   chain ──open──► ledger says yes ──► row in history.db ──► Bill ──close──► ledger, row, figures
//! ```
//!
//! It outlives every change of the settings. The row is written before the request goes out,
//! with the most that it may cost: a daemon that dies meanwhile has not asked for free.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use supervisor::Clock;
use tracing::warn;

use super::heard::Heard;
use super::ledger::{Caps, Ledger, REMEMBERED, Spent};
use super::prices::{Cost, Price};
use super::{ModelError, ModelId, Usage};
use crate::incident::IncidentId;
use crate::store::{BrainStore, BrainStoreError, ModelCall};

/// Keeps the account.
#[derive(Debug)]
pub(super) struct Account {
    store: Option<BrainStore>,
    clock: Clock,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    ledger: Ledger,
    figures: BTreeMap<String, Figures>,
}

/// What became of the requests to one provider since the daemon started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Requests by how they ended: `ok`, or the code of an error.
    pub requests: BTreeMap<String, u64>,
    /// Tokens of questions.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub answer_tokens: u64,
    /// US dollars.
    pub cost_usd: Cost,
    /// The newest failure.
    pub last_error: Option<String>,
}

impl Figures {
    fn add(&mut self, usage: Usage, cost: Cost) {
        self.prompt_tokens += usage.prompt_tokens;
        self.answer_tokens += usage.answer_tokens;
        self.cost_usd.prompt += cost.prompt;
        self.cost_usd.answer += cost.answer;
    }
}

/// A request that is about to go out.
pub(super) struct Order<'a> {
    pub(super) model: &'a ModelId,
    pub(super) incident: Option<IncidentId>,
    pub(super) price: Price,
    pub(super) caps: &'a Caps,
    /// Bytes of the question.
    pub(super) bytes: usize,
    pub(super) max_tokens: u32,
}

/// A request that is under way. Should nobody want its answer any more, it is paid for all
/// the same.
pub(super) struct Bill<'a> {
    account: &'a Account,
    model: ModelId,
    price: Price,
    bytes: usize,
    most: Spent,
    row: Option<i64>,
    heard: &'a Heard<'a>,
    open: bool,
}

/// Tokens that providers put around a question.
const AROUND: u64 = 1_000;

impl Account {
    /// An account that survives with this store, and begins with what it knows.
    pub(super) async fn open(
        store: BrainStore,
        clock: Clock,
        zone: TimeZone,
    ) -> Result<Arc<Self>, BrainStoreError> {
        let now = clock.now();
        let mut ledger = Ledger::new(zone, now);
        let since = now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        for call in store.calls(since).await? {
            let tokens = call
                .usage
                .prompt_tokens
                .saturating_add(call.usage.answer_tokens);
            let cost_usd = call.cost_usd;
            ledger.recall(call.at, call.incident, Spent { tokens, cost_usd });
        }
        Ok(Self::with(Some(store), clock, ledger))
    }

    /// An account that begins with nothing. Without a store it ends with this process.
    pub(super) fn empty(store: Option<BrainStore>, clock: Clock) -> Arc<Self> {
        let ledger = Ledger::new(TimeZone::system(), clock.now());
        Self::with(store, clock, ledger)
    }

    fn with(store: Option<BrainStore>, clock: Clock, ledger: Ledger) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            books: Mutex::new(Books {
                ledger,
                figures: BTreeMap::new(),
            }),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lets a request out, or says which cap is reached.
    pub(super) async fn admit<'a>(
        &'a self,
        order: Order<'_>,
        heard: &'a Heard<'a>,
    ) -> Result<Bill<'a>, ModelError> {
        let now = self.clock.now();
        // A token is a byte at least.
        let usage = Usage {
            prompt_tokens: order.bytes as u64 + AROUND,
            answer_tokens: u64::from(order.max_tokens),
            estimated: true,
        };
        let most = spent(usage, order.price);
        let admitted = self
            .lock()
            .ledger
            .admit(now, order.caps, order.incident, most);
        if let Err(full) = admitted {
            let error = ModelError::OverBudget(full.to_string());
            self.note(&order.model.provider, error.code(), None);
            return Err(error);
        }
        let mut bill = Bill {
            account: self,
            model: order.model.clone(),
            price: order.price,
            bytes: order.bytes,
            most,
            row: None,
            heard,
            open: true,
        };
        if let Some(store) = &self.store {
            let begun = store.begin_call(ModelCall {
                at: now,
                model: order.model.clone(),
                incident: order.incident,
                usage,
                cost_usd: most.cost_usd,
                result: None,
            });
            match begun.await {
                Ok(row) => bill.row = Some(row),
                Err(error) => {
                    bill.open = false;
                    self.lock().ledger.withdraw(most);
                    let error = ModelError::NotRecorded(error.to_string());
                    self.note(&order.model.provider, error.code(), Some(&error));
                    return Err(error);
                }
            }
        }
        Ok(bill)
    }

    /// Counts a request that somebody else has made: a trial of settings.
    pub(super) async fn count(
        &self,
        model: &ModelId,
        price: Price,
        usage: Usage,
    ) -> Result<(), BrainStoreError> {
        let now = self.clock.now();
        let (cost, paid) = (price.of(usage), spent(usage, price));
        {
            let mut books = self.lock();
            books.ledger.include(now, paid);
            let figures = books.figures.entry(model.provider.clone()).or_default();
            figures.add(usage, cost);
        }
        self.note(&model.provider, "ok", None);
        if let Some(store) = &self.store {
            let call = ModelCall {
                at: now,
                model: model.clone(),
                incident: None,
                usage,
                cost_usd: cost.total(),
                result: Some("ok".into()),
            };
            store.begin_call(call).await?;
        }
        Ok(())
    }

    /// Counts how a request ended.
    fn note(&self, provider: &str, result: &str, error: Option<&ModelError>) {
        let mut books = self.lock();
        let figures = books.figures.entry(provider.to_owned()).or_default();
        *figures.requests.entry(result.to_owned()).or_default() += 1;
        if let Some(error) = error {
            figures.last_error = Some(error.to_string());
        }
    }

    fn settle(&self, bill: &Bill<'_>, usage: Usage, result: &str, error: Option<&ModelError>) {
        let cost = bill.price.of(usage);
        let paid = spent(usage, bill.price);
        let now = self.clock.now();
        {
            let mut books = self.lock();
            books.ledger.settle(now, bill.most, paid);
            let figures = books
                .figures
                .entry(bill.model.provider.clone())
                .or_default();
            figures.add(usage, cost);
        }
        self.note(&bill.model.provider, result, error);
        if let (Some(store), Some(row)) = (&self.store, bill.row) {
            // Nobody waits for it; the row holds the most it may have cost until then.
            drop(store.end_call(row, usage, cost.total(), result));
        }
    }

    /// A cap of which half is spent, by its key.
    pub(super) fn half_spent(&self, caps: &Caps) -> Option<&'static str> {
        let now = self.clock.now();
        self.lock().ledger.half_spent(now, caps)
    }

    /// Requests, tokens and US dollars since midnight, and when the day ends.
    pub(super) fn today(&self) -> (u64, Spent, Timestamp) {
        let now = self.clock.now();
        let mut books = self.lock();
        let (calls, spent) = books.ledger.today(now);
        (calls, spent, books.ledger.midnight())
    }

    /// What became of all requests, by provider.
    pub(super) fn figures(&self) -> BTreeMap<String, Figures> {
        self.lock().figures.clone()
    }
}

impl Bill<'_> {
    /// Closes it, and says what it cost.
    pub(super) fn close(mut self, error: Option<&ModelError>) -> Usage {
        self.open = false;
        let is_free = match error {
            None | Some(ModelError::Late(_)) => false,
            // A refusal costs nothing, and neither does who is not there.
            Some(_) => !self.heard.has_begun(),
        };
        let usage = match error {
            Some(_) if is_free => Usage::default(),
            Some(_) => self.heard.cost_so_far(self.bytes),
            None => self.heard.cost(self.bytes),
        };
        let result = error.map_or("ok", ModelError::code);
        self.account.settle(&self, usage, result, error);
        usage
    }
}

impl Drop for Bill<'_> {
    fn drop(&mut self) {
        if self.open {
            let usage = self.heard.cost_so_far(self.bytes);
            self.account.settle(self, usage, "dropped", None);
        }
    }
}

fn spent(usage: Usage, price: Price) -> Spent {
    Spent {
        tokens: usage.prompt_tokens.saturating_add(usage.answer_tokens),
        cost_usd: price.of(usage).total(),
    }
}

/// Tells that an account could not be read: then it begins anew.
pub(super) fn lost(error: &BrainStoreError) {
    warn!(%error, "What was spent on models today could not be read.");
}
