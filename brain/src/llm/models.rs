//! The models that are set up at the moment.
//!
//! A handle that lives as long as the daemon, while the settings behind it change. Who wants
//! to ask takes a model at the time and keeps it for one conversation; it cannot be asked
//! before it has a redactor: [`Unguarded::guarded`]. What was spent belongs to the handle and
//! not to the settings: saving a file makes nothing cheaper.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use supervisor::Clock;
use supervisor::config::{AiConfig, AiProvider, AiProviderConfig};
use tracing::{info, warn};

use super::account::{Account, lost};
use super::breaker::Breaker;
use super::chain::{Chain, Core, Seat};
use super::ledger::Caps;
use super::prices::{self, Price};
use super::provider::{Member, known};
use super::report::{MemberReport, Report, Today};
use super::{Limits, Model, ModelError, ModelId, Usage};
use crate::guard::Unguarded;
use crate::incident::IncidentId;
use crate::store::{BrainStore, BrainStoreError};

/// Hands out whoever can be asked now. Clones are the same.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

struct Inner {
    account: Arc<Account>,
    state: RwLock<State>,
}

enum State {
    /// Nobody, and why.
    Nobody {
        why: String,
        config: Option<AiConfig>,
    },
    /// As the settings say.
    Ready { core: Arc<Core>, config: AiConfig },
}

const NOT_SET_UP: &str = "write an [ai] table into config.toml, or run: mhost ai setup";

impl Models {
    /// Nobody can be asked.
    pub fn none() -> Self {
        Self::nobody(Account::empty(None, Clock::system()))
    }

    fn nobody(account: Arc<Account>) -> Self {
        let state = RwLock::new(State::Nobody {
            why: NOT_SET_UP.to_owned(),
            config: None,
        });
        Self(Arc::new(Inner { account, state }))
    }

    /// These settings, on an account of this process only: for a test of them.
    ///
    /// # Errors
    /// [`ModelError::NotSetUp`] with what to do about it.
    pub fn once(config: &AiConfig) -> Result<Unguarded, ModelError> {
        let models = Self::none();
        models.configure(Some(config));
        models.current()
    }

    /// Counts a request that was made by [`Models::once`], at the price of the settings in force.
    ///
    /// # Errors
    /// When it cannot be written down; until this daemon ends it counts all the same.
    pub async fn count_trial(&self, model: &ModelId, usage: Usage) -> Result<(), BrainStoreError> {
        let price = match &*self.0.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Nobody { .. } => None,
            State::Ready { core, .. } => {
                let seat = core.seats.iter().find(|seat| seat.id == *model);
                seat.and_then(|seat| seat.price)
            }
        };
        let account = &self.0.account;
        account
            .count(model, price.unwrap_or(Price::FREE), usage)
            .await
    }

    /// The usual variable for a provider's key; none where there is no key.
    pub fn key_variable(provider: AiProvider) -> Option<&'static str> {
        known(provider).key
    }

    /// The model that is asked where none is named.
    pub fn usual_model(provider: AiProvider) -> &'static str {
        known(provider).model
    }

    /// Nobody yet, and an account that begins with what this store knows of today.
    pub async fn open(store: BrainStore, clock: Clock) -> Self {
        let opened = Account::open(store.clone(), clock.clone(), TimeZone::system()).await;
        let account = opened.unwrap_or_else(|error| {
            lost(&error);
            Account::empty(Some(store), clock)
        });
        Self::nobody(account)
    }

    /// Follows the settings: `config` is the table `[ai]`, if there is one. Keys that are not
    /// written there come from the environment of this process. The same settings again
    /// change nothing.
    pub fn configure(&self, config: Option<&AiConfig>) {
        self.configure_with(config, &variable);
    }

    /// As [`Models::configure`], with another environment.
    pub fn configure_with(
        &self,
        config: Option<&AiConfig>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) {
        {
            let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
            let present = match &*state {
                State::Nobody { config, .. } => config.as_ref(),
                State::Ready { config, .. } => Some(config),
            };
            if present == config {
                return;
            }
        }
        let state = match config.map(|config| (core(config, variable), config)) {
            None => State::Nobody {
                why: NOT_SET_UP.to_owned(),
                config: None,
            },
            Some((Ok(core), config)) => {
                let names = core.seats.iter().map(|seat| seat.id.model.as_str());
                let model = names.collect::<Vec<_>>().join(", ");
                info!(model, "A language model is set up.");
                State::Ready {
                    core: Arc::new(core),
                    config: config.clone(),
                }
            }
            Some((Err(error), config)) => {
                warn!(%error, "No language model is set up.");
                State::Nobody {
                    why: why(error),
                    config: Some(config.clone()),
                }
            }
        };
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Do the settings name somebody, whether or not that one can be asked?
    pub fn is_wanted(&self) -> bool {
        match &*self.0.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Nobody { config, .. } => config.is_some(),
            State::Ready { .. } => true,
        }
    }

    /// Whoever can be asked, on nobody's account.
    ///
    /// # Errors
    /// [`ModelError::NotSetUp`] with what to do about it.
    pub fn current(&self) -> Result<Unguarded, ModelError> {
        self.hand_out(None)
    }

    /// The same, on the account of an incident: the cap per incident counts its requests.
    ///
    /// # Errors
    /// As [`Models::current`].
    pub fn for_incident(&self, incident: IncidentId) -> Result<Unguarded, ModelError> {
        self.hand_out(Some(incident))
    }

    /// The same, for a question that may as well not be asked: only while less than half of each
    /// cap is spent. The other half is for incidents and people.
    ///
    /// # Errors
    /// As [`Models::current`], and [`ModelError::OverBudget`].
    pub fn spare(&self) -> Result<Unguarded, ModelError> {
        if let State::Ready { core, .. } =
            &*self.0.state.read().unwrap_or_else(PoisonError::into_inner)
            && let Some(key) = self.0.account.half_spent(&core.caps)
        {
            return Err(ModelError::OverBudget(format!(
                "half of `{key}` in [ai], and the rest is kept for incidents and people"
            )));
        }
        self.current()
    }

    fn hand_out(&self, incident: Option<IncidentId>) -> Result<Unguarded, ModelError> {
        let model: Arc<dyn Model> =
            match &*self.0.state.read().unwrap_or_else(PoisonError::into_inner) {
                State::Nobody { why, .. } => return Err(ModelError::NotSetUp(why.clone())),
                State::Ready { core, .. } => Arc::new(Chain {
                    core: core.clone(),
                    account: self.0.account.clone(),
                    incident,
                }),
            };
        Ok(Unguarded::new(model))
    }

    /// How long one answer may take: `timeout` under `[ai]`.
    pub fn timeout(&self) -> Duration {
        match &*self.0.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Nobody { config, .. } => config.as_ref().map(|config| config.timeout),
            State::Ready { config, .. } => Some(config.timeout),
        }
        .unwrap_or(Limits::default().timeout)
    }

    /// Who is set up, how they do, and what was spent.
    pub fn report(&self) -> Report {
        let account = &self.0.account;
        let now = account.clock().now();
        let (requests, spent, until) = account.today();
        let figures = account.figures();
        let mut report = Report {
            why_nobody: None,
            members: Vec::new(),
            left_out: Vec::new(),
            today: Today {
                requests,
                tokens: spent.tokens,
                cost_usd: spent.cost_usd,
                until,
                max_tokens: None,
                max_cost_usd: None,
            },
            prices_as_of: prices::AS_OF.to_owned(),
        };
        let mut member = |provider: &str, model: &str, price, resting_until| {
            report.members.push(MemberReport {
                provider: provider.to_owned(),
                model: model.to_owned(),
                price,
                resting_until,
                figures: figures.get(provider).cloned().unwrap_or_default(),
            });
        };
        match &*self.0.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Nobody { why, .. } => report.why_nobody = Some(why.clone()),
            State::Ready { core, .. } => {
                for seat in &core.seats {
                    let resting: Option<Timestamp> = seat.lock().resting_until(now);
                    member(&seat.id.provider, &seat.id.model, seat.price, resting);
                }
                report.left_out.clone_from(&core.left_out);
                report.today.max_tokens = core.caps.tokens_per_day;
                report.today.max_cost_usd = core.caps.cost_per_day;
            }
        }
        report
    }

    /// What became of the requests to each provider since the daemon started.
    pub fn figures(&self) -> std::collections::BTreeMap<String, super::Figures> {
        self.0.account.figures()
    }
}

/// A variable of this process's environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Everybody whom the settings name, ready to be asked.
fn core(config: &AiConfig, variable: &dyn Fn(&str) -> Option<String>) -> Result<Core, ModelError> {
    let (mut seats, mut left_out) = (Vec::new(), Vec::new());
    for (provider, own) in config.members() {
        match seat(provider, &own, config, variable) {
            Ok(seat) => seats.push(seat),
            Err(error) => {
                warn!(%error, "A model cannot be asked.");
                left_out.push(error);
            }
        }
    }
    // One that cannot be asked is no reason to ask nobody.
    if seats.is_empty() && !left_out.is_empty() {
        return Err(left_out.remove(0));
    }
    let left_out = left_out.into_iter().map(why).collect();
    let per_minute = NonZeroU32::new(config.requests_per_minute).unwrap_or(NonZeroU32::MIN);
    Ok(Core {
        seats,
        left_out,
        caps: Caps {
            calls_per_incident: config.max_calls_per_incident,
            calls_per_hour: config.max_calls_per_hour,
            tokens_per_day: config.max_tokens_per_day,
            cost_per_day: config.max_cost_per_day,
        },
        pace: RateLimiter::direct(Quota::per_minute(per_minute)),
        per_minute: per_minute.get(),
        max_tokens: config.max_tokens,
        temperature: config.temperature,
        timeout: config.timeout,
    })
}

/// One of them.
fn seat(
    provider: AiProvider,
    own: &AiProviderConfig,
    config: &AiConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Seat, ModelError> {
    let member = Member::new(provider, own, config, variable)?;
    let id = member.id.clone();
    let price = prices::price(&id.provider, &id.model, member.is_here(), &config.prices);
    if let (None, Some(_)) = (price, config.max_cost_per_day) {
        return Err(ModelError::NotSetUp(format!(
            "`max_cost_per_day` is set, but nobody knows what `{0}` costs: write \
             `[ai.prices.\"{0}\"]` with `prompt` and `answer` in US dollars per million \
             tokens into config.toml, or use `max_tokens_per_day`",
            id.model
        )));
    }
    Ok(Seat {
        provider: member.build()?,
        abilities: member.abilities,
        price,
        breaker: Mutex::new(Breaker::default()),
        id,
    })
}

/// What to do about an error, without the words before it.
fn why(error: ModelError) -> String {
    match error {
        ModelError::NotSetUp(why) => why,
        other => other.to_string(),
    }
}
