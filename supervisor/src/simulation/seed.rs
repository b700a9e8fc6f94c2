//! A seed: the kind of a story and its number.

use std::fmt;
use std::str::FromStr;

use super::coverage::Coverage;
use super::fleet::Subject;
use super::{fleet, story};

/// What a story is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One instance.
    Instance,
    /// A registry, a project and several clients.
    Registry,
    /// The same, with processes of several copies and orders about single ones.
    Copies,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Instance, Self::Registry, Self::Copies];

    /// What its seeds begin with.
    const fn letter(self) -> &'static str {
        match self {
            Self::Instance => "",
            Self::Registry => "r",
            Self::Copies => "c",
        }
    }
}

/// A story: `17` is of an instance, `r17` of a registry, `c17` of one and its copies.
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
                Kind::Registry => fleet::tell(self.number, Subject::Whole).await,
                Kind::Copies => fleet::tell(self.number, Subject::Copies).await,
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
            Kind::Copies => "a registry and its copies",
        })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, number } = self;
        write!(out, "{}{number}", kind.letter())
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.chars().next().filter(char::is_ascii_alphabetic);
        let begins = |kind: &Kind| first.is_some_and(|first| kind.letter().starts_with(first));
        let kind = Kind::ALL.into_iter().find(begins);
        let kind = kind.unwrap_or(Kind::Instance);
        let number = text.strip_prefix(kind.letter()).unwrap_or(text).parse()?;
        Ok(Self { kind, number })
    }
}

#[test]
fn a_seed_is_written_as_it_is_read() {
    for text in ["17", "r0", "c4711"] {
        let seed: Seed = text.parse().expect("a seed");
        assert_eq!(seed.to_string(), text);
    }
    assert!("x17".parse::<Seed>().is_err());
}
