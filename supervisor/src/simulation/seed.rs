//! A seed: the kind of a story and its number.

use std::fmt;
use std::str::FromStr;

use super::coverage::Coverage;
use super::{fleet, story};

/// What a story is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One instance.
    Instance,
    /// A registry, a project and several clients.
    Registry,
}

/// A story: `17` is of an instance, `r17` of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed {
    pub(super) kind: Kind,
    pub(super) number: u64,
}

/// What came of a story.
pub(super) struct Told {
    pub(super) lines: Vec<String>,
    pub(super) broken: Vec<String>,
    /// So many daemons died in it.
    pub(super) deaths: u64,
    pub(super) coverage: Coverage,
}

impl Seed {
    /// Tells the story.
    pub(super) fn tell(self) -> Told {
        drop(Coverage::take());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let promises = runtime.block_on(async {
            match self.kind {
                Kind::Instance => story::tell(self.number).await,
                Kind::Registry => fleet::tell(self.number).await,
            }
        });
        let (lines, broken, deaths) = promises.take();
        Told {
            lines,
            broken,
            deaths,
            coverage: Coverage::take(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Kind::Instance => "an instance",
            Kind::Registry => "a registry",
        })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, number } = self;
        match kind {
            Kind::Instance => write!(out, "{number}"),
            Kind::Registry => write!(out, "r{number}"),
        }
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, number) = match text.strip_prefix('r') {
            Some(number) => (Kind::Registry, number),
            None => (Kind::Instance, text),
        };
        let number = number.parse()?;
        Ok(Self { kind, number })
    }
}

#[test]
fn a_seed_is_written_as_it_is_read() {
    for text in ["17", "r0"] {
        let seed: Seed = text.parse().expect("a seed");
        assert_eq!(seed.to_string(), text);
    }
    assert!("x17".parse::<Seed>().is_err());
}
