//! Finds the patterns behind the lines of a log, one line at a time.
//!
//! A program prints the same few sentences with other values in them. A [`Miner`] finds the
//! sentences: `user <*> logged in from <*>`. It is of the Drain family (He et al., 2017):
//! values that can be told by their form (numbers, hexadecimal, addresses, paths, quoted
//! text) are masked first, then a line joins the template of the same length that it is most
//! alike. Two things are different from Drain:
//!
//! - There is no tree over the first words. A line that was seen before in its masked form is
//!   found by one hash; all others are compared with every template of their length, so a
//!   value in the first place does no harm.
//! - A word is not given up for being different once. How easily it is depends on what it
//!   looks like and on where it stands (`user=root`, `from alpha`); a plain word becomes
//!   `<*>` only after a number of lines have differed in nothing else. So `session opened`
//!   and `session closed` stay apart, and the names of fifty hosts do not.
//!
//! The work for a line is bounded over time: text that has no patterns, such as what people
//! type, would else be compared with everything again and again. A line for which no work is
//! left goes to the template of all lines of its length, which is nothing but values.
//!
//! One miner serves one process. It is pure: no clock, no file, no lock. Its memory is
//! bounded: the templates least used go first. An identity is the hash of the pattern with
//! which a template was born; it stays when the pattern becomes more general, also over
//! [`Miner::restore`]. When two templates turn out to be one, the miner tells which identity
//! went into which ([`Miner::take_merges`]).

mod forms;
mod likeness;
mod mask;
mod remnant;
mod token;

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use likeness::Place;
use mask::Masked;
pub use remnant::{Pattern, Remnant};
use token::{Token, WILD};

/// What stands in a pattern for a value.
pub const VALUE: &str = token::VALUE;

/// How a miner works. One setting serves all programs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Templates that are kept; the least used go first.
    pub max_templates: usize,
    /// Words and marks of a line that are looked at; the rest counts as a value.
    pub max_tokens: usize,
    /// Bytes of a line that are looked at.
    pub max_bytes: usize,
    /// How much of a line may be given up for values at the first sight, 0 to 1.
    pub tolerance: f32,
    /// Lines that must differ in nothing but the same plain words until these are values.
    pub evidence: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_templates: 1_000,
            max_tokens: 100,
            max_bytes: 4_096,
            tolerance: 0.25,
            evidence: 6,
        }
    }
}

/// Names a template: the hash of the pattern with which it was born. Stable over versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemplateId(pub u64);

impl TemplateId {
    /// As a database holds it.
    pub fn to_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// From a database.
    pub fn from_i64(value: i64) -> Self {
        Self(value.cast_unsigned())
    }
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Was a line the first of its kind?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {
    /// Its template was known, or became a little more general.
    Known,
    /// It is a template of its own now.
    First,
}

/// A template as others see and keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name.
    pub id: TemplateId,
    /// Its text with `<*>` in place of values.
    pub pattern: String,
    /// Lines of it.
    pub count: u64,
}

/// Two templates turned out to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The name that is not used any more.
    pub from: TemplateId,
    /// The name that its lines have from now on.
    pub into: TemplateId,
}

/// Finds the templates of one log.
#[derive(Debug)]
pub struct Miner {
    settings: Settings,
    slots: Vec<Option<Held>>,
    free: Vec<u32>,
    /// Slots by number of tokens.
    by_length: HashMap<usize, Vec<u32>>,
    /// Masked lines seen lately. Direct-mapped: a newer line takes the place of an older one.
    seen: Vec<Seen>,
    merges: Vec<Merge>,
    masked: Masked,
    /// Lines so far: the age of what is used.
    tick: u64,
    living: usize,
    /// Comparisons that may still be made.
    work: usize,
}

#[derive(Debug)]
struct Held {
    id: TemplateId,
    text: Box<[u8]>,
    tokens: Box<[Token]>,
    count: u64,
    used: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    line: u64,
    /// The template's identity, so that a slot given to another one is noticed.
    id: u64,
    slot: u32,
}

/// Comparisons that each line adds to what may be done, and the most that is saved up.
const WORK: (usize, usize) = (32, 1 << 20);
/// Smallest and largest number of masked lines that are remembered.
const SEEN: (usize, usize) = (64, 4_096);
/// Part of the templates that goes when there are too many: one in eight.
const FORGET: usize = 8;

impl Miner {
    /// A miner that knows nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            free: Vec::new(),
            by_length: HashMap::new(),
            seen: vec![Seen::default(); SEEN.0],
            merges: Vec::new(),
            masked: Masked::default(),
            tick: 0,
            living: 0,
            work: WORK.1,
        }
    }

    /// A miner that goes on with what another one had found.
    pub fn restore(settings: Settings, known: impl IntoIterator<Item = Template>) -> Self {
        let mut miner = Self::new(settings);
        for template in known {
            let (text, tokens) = token::parse(&template.pattern, settings.max_tokens);
            miner.tick += 1;
            miner.insert(template.id, text, tokens, template.count);
        }
        miner
    }

    /// Takes a line's message (without time and level) and gives its template.
    pub fn add(&mut self, message: &str) -> (TemplateId, New) {
        self.tick += 1;
        self.work = (self.work + WORK.0).min(WORK.1);
        let mut masked = std::mem::take(&mut self.masked);
        masked.read(message, self.settings.max_bytes, self.settings.max_tokens);
        let answer = self.find(&masked);
        self.masked = masked;
        answer
    }

    fn find(&mut self, masked: &Masked) -> (TemplateId, New) {
        let line = token::sequence(&masked.tokens);
        let at = line as usize & (self.seen.len() - 1);
        let seen = self.seen[at];
        if seen.line == line
            && let Some(held) = held(&mut self.slots, seen.slot)
            && held.id.0 == seen.id
        {
            held.count += 1;
            held.used = self.tick;
            return (held.id, New::Known);
        }
        let (slot, new) = match self.matching(masked) {
            Some(slot) => (slot, New::Known),
            None => self.learn_or_give_up(masked),
        };
        let tick = self.tick;
        let Some(held) = held(&mut self.slots, slot) else {
            unreachable!("a slot that was just found is not empty");
        };
        held.count += 1;
        held.used = tick;
        let id = held.id;
        let at = line as usize & (self.seen.len() - 1);
        self.seen[at] = Seen {
            line,
            id: id.0,
            slot,
        };
        (id, new)
    }

    /// The most exact template that fits as it is.
    fn matching(&self, masked: &Masked) -> Option<u32> {
        let bucket = self.by_length.get(&masked.tokens.len())?;
        let mut best: Option<((usize, TemplateId), u32)> = None;
        for slot in bucket {
            let Some(held) = &self.slots[*slot as usize] else {
                continue;
            };
            if fits(&held.tokens, &masked.tokens) {
                let constants = held.tokens.iter().filter(|token| !token.is_wild());
                let exact = (constants.count(), held.id);
                if best.is_none_or(|(most, _)| exact > most) {
                    best = Some((exact, *slot));
                }
            }
        }
        best.map(|(_, slot)| slot)
    }

    /// Learns from a line, if there is work left for it.
    fn learn_or_give_up(&mut self, masked: &Masked) -> (u32, New) {
        let bucket = self.by_length.get(&masked.tokens.len());
        let needed = bucket.map_or(0, Vec::len);
        if let Some(left) = self.work.checked_sub(needed) {
            self.work = left;
            return self.learn(masked);
        }
        let mut tokens = masked.tokens.clone();
        tokens.iter_mut().for_each(Token::make_wild);
        let id = TemplateId(token::hash(
            token::pattern(&masked.text, &tokens).as_bytes(),
        ));
        let length = tokens.len();
        let slot = self.insert(id, masked.text.clone(), tokens, 0);
        // Those that were seen once or twice are text of that kind, too.
        self.absorb_covered(slot, length, 2);
        (slot, New::Known)
    }

    /// Makes a template more general, joins several, or makes a new one.
    fn learn(&mut self, masked: &Masked) -> (u32, New) {
        let length = masked.tokens.len();
        let mut nearest: Option<(f32, u32)> = None;
        // Templates that differ from the line in few words: which words, and who.
        let mut near: Vec<(u128, u32)> = Vec::new();
        for slot in self.by_length.get(&length).into_iter().flatten() {
            let Some(held) = &self.slots[*slot as usize] else {
                continue;
            };
            let known = Place {
                text: &held.text,
                tokens: &held.tokens,
            };
            let line = Place {
                text: &masked.text,
                tokens: &masked.tokens,
            };
            let Some(difference) = likeness::compare(known, line) else {
                continue;
            };
            if difference.share <= self.settings.tolerance
                && nearest.is_none_or(|(share, _)| difference.share < share)
            {
                nearest = Some((difference.share, *slot));
            }
            if difference.places.count_ones() <= likeness::MANY {
                near.push((difference.places, *slot));
            }
        }
        if let Some((_, slot)) = nearest {
            if let Some(held) = held(&mut self.slots, slot) {
                for (known, line) in held.tokens.iter_mut().zip(&masked.tokens) {
                    if known.hash != line.hash {
                        known.make_wild();
                    }
                }
            }
            self.absorb_covered(slot, length, u64::MAX);
            return (slot, New::Known);
        }
        if let Some((places, slot)) = self.enough_alike(&near) {
            if let Some(held) = held(&mut self.slots, slot) {
                for (at, token) in held.tokens.iter_mut().enumerate() {
                    if places >> at & 1 == 1 {
                        token.make_wild();
                    }
                }
            }
            self.absorb_covered(slot, length, u64::MAX);
            return (slot, New::Known);
        }
        let id = TemplateId(token::hash(
            token::pattern(&masked.text, &masked.tokens).as_bytes(),
        ));
        let slot = self.insert(id, masked.text.clone(), masked.tokens.clone(), 0);
        (slot, New::First)
    }

    /// The words in which enough templates differ from a line, and the oldest of these.
    fn enough_alike(&self, near: &[(u128, u32)]) -> Option<(u128, u32)> {
        near.iter().find_map(|(places, _)| {
            let same = || near.iter().filter(|(others, _)| others == places);
            // With the line itself.
            if same().count() + 1 < self.settings.evidence {
                return None;
            }
            let most = same().max_by_key(|(_, slot)| {
                let held = self.slots[*slot as usize].as_ref();
                held.map(|held| (held.count, u32::MAX - *slot))
            })?;
            Some(*most)
        })
    }

    /// Takes in every template that the one in `slot` has become general enough for, if it has
    /// no more lines than `most`.
    fn absorb_covered(&mut self, slot: u32, length: usize, most: u64) {
        let Some(into) = self.slots[slot as usize].take() else {
            return;
        };
        let mut count = 0;
        let bucket = self.by_length.entry(length).or_default();
        let (slots, free, merges) = (&mut self.slots, &mut self.free, &mut self.merges);
        bucket.retain(|other| {
            let Some(held) = slots[*other as usize]
                .take_if(|o| o.count <= most && fits(&into.tokens, &o.tokens))
            else {
                return true;
            };
            count += held.count;
            free.push(*other);
            merges.push(Merge {
                from: held.id,
                into: into.id,
            });
            self.living -= 1;
            false
        });
        // Nobody may be interested in them.
        let too_many = merges.len().saturating_sub(self.settings.max_templates);
        merges.drain(..too_many);
        self.slots[slot as usize] = Some(Held {
            count: into.count + count,
            ..into
        });
    }

    fn insert(&mut self, id: TemplateId, text: Vec<u8>, tokens: Vec<Token>, count: u64) -> u32 {
        if self.living >= self.settings.max_templates.max(1) {
            self.forget();
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.by_length.entry(tokens.len()).or_default().push(slot);
        self.slots[slot as usize] = Some(Held {
            id,
            text: text.into_boxed_slice(),
            tokens: tokens.into_boxed_slice(),
            count,
            used: self.tick,
        });
        self.living += 1;
        if self.living * 4 > self.seen.len() && self.seen.len() < SEEN.1 {
            self.seen = vec![Seen::default(); self.seen.len() * 4];
        }
        slot
    }

    /// Makes room: what was seen only a few times goes first, and of that the oldest.
    fn forget(&mut self) {
        let mut ages: Vec<(u64, u64, u32)> = (0u32..)
            .zip(&self.slots)
            .filter_map(|(slot, held)| {
                let held = held.as_ref()?;
                Some((held.count.min(4), held.used, slot))
            })
            .collect();
        ages.sort_unstable();
        ages.truncate((self.living / FORGET).max(1));
        for (_, _, slot) in &ages {
            self.slots[*slot as usize] = None;
            self.free.push(*slot);
        }
        self.living -= ages.len();
        let slots = &self.slots;
        self.by_length.retain(|_, bucket| {
            bucket.retain(|slot| slots[*slot as usize].is_some());
            !bucket.is_empty()
        });
    }

    /// Number of templates.
    pub fn len(&self) -> usize {
        self.living
    }

    /// Is nothing known yet?
    pub fn is_empty(&self) -> bool {
        self.living == 0
    }

    /// All templates, in no order.
    pub fn templates(&self) -> impl Iterator<Item = Template> {
        self.slots.iter().flatten().map(Held::shown)
    }

    /// One template.
    pub fn template(&self, id: TemplateId) -> Option<Template> {
        let held = self.slots.iter().flatten().find(|held| held.id == id)?;
        Some(held.shown())
    }

    /// What was joined since the last call, oldest first.
    pub fn take_merges(&mut self) -> Vec<Merge> {
        std::mem::take(&mut self.merges)
    }
}

impl Default for Miner {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Held {
    fn shown(&self) -> Template {
        Template {
            id: self.id,
            pattern: token::pattern(&self.text, &self.tokens),
            count: self.count,
        }
    }
}

fn held(slots: &mut [Option<Held>], slot: u32) -> Option<&mut Held> {
    slots.get_mut(slot as usize)?.as_mut()
}

/// Is every token of the line that of the template, or a value there?
fn fits(template: &[Token], line: &[Token]) -> bool {
    template.len() == line.len()
        && template
            .iter()
            .zip(line)
            .all(|(known, token)| known.hash == token.hash || known.hash == WILD)
}

#[cfg(test)]
mod tests;
