//! The prompts that come with mhost: the folder `prompts/` of the repository. A test compares
//! this list with the folder.

use std::fmt;
use std::str::FromStr;

use super::Input;

macro_rules! file {
    ($($part:literal),+) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../prompts/", $($part),+))
    };
}

macro_rules! purposes {
    ($($variant:ident $name:literal $about:literal),+ $(,)?) => {
        /// What a model is asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Purpose {
            $(#[doc = $about] $variant),+
        }

        impl Purpose {
            /// All of them.
            pub const ALL: &'static [Purpose] = &[$(Purpose::$variant),+];

            /// Its name, also that of its files.
            pub fn name(self) -> &'static str {
                match self { $(Purpose::$variant => $name),+ }
            }

            /// What it is for, in a line.
            pub fn about(self) -> &'static str {
                match self { $(Purpose::$variant => $about),+ }
            }

            /// Its template as it is built in: the system part, a line `%%`, the user part.
            pub fn text(self) -> &'static str {
                match self { $(Purpose::$variant => file!($name, ".tera")),+ }
            }

            /// Something that it can be rendered with.
            pub fn example(self) -> Input {
                let text = match self {
                    $(Purpose::$variant => file!("examples/", $name, ".json")),+
                };
                serde_json::from_str(text).unwrap_or_default()
            }
        }
    };
}

purposes!(
    Agent "agent" "Looks into an incident that no playbook covers, and proposes what to do.",
    Diagnose "diagnose" "What ails a process, for a person who asks.",
    Small "small" "Both for a model that reads a few hundred tokens.",
    Explain "explain" "What a process or a config file is.",
    Fix "fix" "Changes of settings that cure an illness.",
    Logs "logs" "What happened, from lines and patterns.",
    LogsQuery "logs-query" "Turns a question about logs into a query.",
    Predict "predict" "Words for risks that were computed.",
    Optimize "optimize" "Better settings for one process, from how it ran.",
    Anomaly "anomaly" "Words for what is unusual.",
    Compare "compare" "Two windows of one process side by side.",
    Report "report" "A day of everything, for a person to send on.",
    Ask "ask" "Answers a question of a person.",
    Config "config" "Turns a description into a mhost.toml.",
    Postmortem "postmortem" "What happened in an incident, without blame.",
    Suggest "suggest" "Advice for all processes together.",
);

/// Parts that templates include.
pub(super) const PARTIALS: &[(&str, &str)] = &[
    ("rules", file!("_rules.tera")),
    ("fence", file!("_fence.tera")),
    ("facts", file!("_facts.tera")),
];

impl Purpose {
    /// The system part and the user part of its template.
    pub fn parts(self) -> (&'static str, &'static str) {
        let text = self.text();
        text.split_once(super::CUT).unwrap_or((text, ""))
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no prompt of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no prompt `{0}`")]
pub struct UnknownPurpose(pub String);

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Purpose::ALL.iter();
        all.find(|one| one.name() == name)
            .copied()
            .ok_or_else(|| UnknownPurpose(name.to_owned()))
    }
}
