//! Who is set up, how they do, and what was spent: for `mhost agent status` and the like.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Figures;
use super::prices::Price;

/// How the models do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Why nobody can be asked.
    pub why_nobody: Option<String>,
    /// Who is asked, in order.
    pub members: Vec<MemberReport>,
    /// Why others that the settings name are not asked.
    pub left_out: Vec<String>,
    /// What was spent since midnight, by all of them.
    pub today: Today,
    /// When the built-in table of prices was made.
    pub prices_as_of: String,
}

/// How one model does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Who offers it.
    pub provider: String,
    /// As the provider calls it.
    pub model: String,
    /// What it costs, as far as anybody knows.
    pub price: Option<Price>,
    /// It failed too often and is left alone until then.
    pub resting_until: Option<Timestamp>,
    /// What became of the requests since the daemon started.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What was spent since midnight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Today {
    /// Requests that went out.
    pub requests: u64,
    /// Tokens of questions and answers.
    pub tokens: u64,
    /// US dollars.
    pub cost_usd: f64,
    /// When the day ends.
    pub until: Timestamp,
    /// The cap on tokens.
    pub max_tokens: Option<u64>,
    /// The cap on cost.
    pub max_cost_usd: Option<f64>,
}
