//! Takes secrets out of text before a model is told it.
//!
//! ```text
//!   text ──one pass for all of these──► known values, in every form, also in patterns of lines
//!                                       gates of ~90 formats ──► the pattern of each, near its gate
//!        ──words of 20 bytes and more──► formats without a gate, base64 and URL inside, chance
//!        ──► «redacted:aws-key#1»: the same secret has the same number in all of a conversation
//! ```
//!
//! Values that are known (environments, settings) go wherever they stand. What is not known is
//! told by its form, by the name beside it, or, last, by looking like chance. Nothing is
//! redacted twice: what was redacted comes out as it went in. The one place that applies this
//! to everything a model sees is [`Guarded`](crate::guard::Guarded).
//! It is one piece although it is long: one pass, and what it finds on the way.

mod entropy;
mod formats;
mod known;
mod marks;
mod names;
mod spans;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;
use supervisor::secret::Secret;
use supervisor::templates::{Pattern, Remnant};

use formats::{FORMATS, decoded};
use known::Rule;
pub use marks::Marks;
use spans::Span;

/// What is taken out beside known values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedactOptions {
    /// What looks like a secret: by its form, by the name beside it, by chance.
    pub shapes: bool,
    /// Addresses of e-mail.
    pub email: bool,
    /// IPv4 addresses that are not of this machine.
    pub ipv4: bool,
}

impl Default for RedactOptions {
    fn default() -> Self {
        Self {
            shapes: true,
            email: false,
            ipv4: false,
        }
    }
}

/// Takes secrets out of texts, and gives each the same mark in one conversation.
pub struct Redactor {
    rules: Arc<Rules>,
    marks: Marks,
}

/// What is looked for. It takes a while to build, so that conversations share it.
struct Rules {
    options: RedactOptions,
    finder: AhoCorasick,
    needles: Vec<Needle>,
    known: Vec<String>,
    /// What patterns of lines may have left of the known ones, and of which.
    remnants: Vec<(usize, Remnant)>,
}

/// What one entry of the finder stands for.
enum Needle {
    /// One of these formats may be near.
    Gate(Vec<usize>),
    /// A form of this known value.
    Known {
        value: usize,
        rule: Rule,
        text: String,
    },
}

/// How a mark begins and ends.
const OPEN: &str = "«redacted:";
const CLOSE: &str = "»";
/// Most bytes of a mark between them.
const MARK: usize = 64;
/// Rounds over one text: a mark may bring a name and a value together.
const ROUNDS: usize = 4;
/// Most patterns for which the fast and large automaton is built.
const FAST: usize = 3_000;

/// Kinds that no format has.
const KNOWN: &str = "secret";
const RANDOM: &str = "random";
const DATA: &str = "data";
const EMAIL: &str = "email";
const IPV4: &str = "ipv4";

static EMAILS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,6}\.[A-Za-z]{2,24}\b").expect("a constant")
});
static ADDRESSES: LazyLock<Regex> = LazyLock::new(|| {
    let byte = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
    Regex::new(&format!(r"\b(?:{byte}\.){{3}}{byte}\b")).expect("a constant")
});
/// Where a text goes on behind its quotes or behind a colour of a terminal: `"abc" + "def"`,
/// `'abc''def'`, a line that is continued.
static JOINTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\\?["'`]\s*(?:[+.&]\s*)?\\?["'`]|\\\r?\n\s*|\x1b\[[0-9;:?]*[A-Za-z]"#)
        .expect("a constant")
});

/// Knows no value, and gives no numbers.
static SHAPES: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new([], RedactOptions::default()).with(Marks::unnumbered()));

/// A text without what looks like a secret, wherever it goes and whatever the settings say. The
/// marks have no numbers, so that equal texts stay equal: for what is compared, counted or kept.
pub fn hide_shapes(text: &str) -> String {
    SHAPES.redact(text)
}

impl Redactor {
    /// One that knows these values.
    pub fn new(known: impl IntoIterator<Item = Secret>, options: RedactOptions) -> Self {
        Self::of(Arc::new(Rules::new(sorted(known), options)))
    }

    /// One for the next conversation, which knows these values: at once where this one does.
    pub fn next(&self, known: impl IntoIterator<Item = Secret>, options: RedactOptions) -> Self {
        let known = sorted(known);
        if self.rules.known == known && self.rules.options == options {
            return Self::of(self.rules.clone());
        }
        Self::of(Arc::new(Rules::new(known, options)))
    }

    /// The same for a conversation that has given marks already.
    pub fn with(&self, marks: Marks) -> Self {
        Self {
            rules: self.rules.clone(),
            marks,
        }
    }

    fn of(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            marks: Marks::default(),
        }
    }

    /// The text without its secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..ROUNDS {
            match self.round(&text) {
                Some(better) => text = better,
                None => break,
            }
        }
        text
    }

    /// A JSON value without the secrets of its texts. Names of fields are kept: a value under
    /// a telling name goes with it.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text) => *text = self.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(map) => {
                for (name, item) in map {
                    if let Value::String(text) = item
                        && self.rules.options.shapes
                        && supervisor::secret::is_secret_name(name)
                        && !is_schema_word(text)
                    {
                        let shown =
                            format!("{name}={}", serde_json::to_string(text).unwrap_or_default());
                        let hidden = self.redact(&shown);
                        if hidden != shown {
                            *text = hidden[name.len() + 1..].trim_matches('"').to_owned();
                        }
                    }
                    self.redact_json(item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// One pass; none if there was nothing to take out.
    fn round(&self, text: &str) -> Option<String> {
        let marks = marks(text);
        let mut found = Vec::new();
        self.scan(text, true, &mut found);
        self.scan_joined(text, &mut found);
        self.scan_pattern(text, &mut found);
        if self.rules.options.shapes {
            self.scan_words(text, &mut found);
        }
        if self.rules.options.email && text.contains('@') {
            for one in EMAILS.find_iter(text) {
                found.push(Span::new(one.range(), EMAIL, usize::MAX - 3, one.as_str()));
            }
        }
        if self.rules.options.ipv4 {
            for one in ADDRESSES.find_iter(text) {
                if !is_own_address(one.as_str()) {
                    found.push(Span::new(one.range(), IPV4, usize::MAX - 2, one.as_str()));
                }
            }
        }
        let spans = spans::settle(text, found, &marks);
        if spans.is_empty() {
            return None;
        }
        let mut better = String::with_capacity(text.len());
        let mut at = 0;
        for span in &spans {
            better.push_str(&text[at..span.from]);
            better.push_str(&self.marks.of(span));
            at = span.to;
        }
        better.push_str(&text[at..]);
        Some(better)
    }

    /// Known values, and formats near their gates.
    fn scan(&self, text: &str, with_context: bool, found: &mut Vec<Span>) {
        // Per format: where the last secret ended.
        let mut ended: Vec<usize> = vec![0; FORMATS.len()];
        for hit in self.rules.finder.find_overlapping_iter(text) {
            match &self.rules.needles[hit.pattern().as_usize()] {
                Needle::Known {
                    value,
                    rule,
                    text: form,
                } => {
                    if let Some(range) =
                        known::range(text, hit.range(), *rule, form, &self.rules.known[*value])
                    {
                        found.push(Span::new(range, KNOWN, 0, &self.rules.known[*value]));
                    }
                }
                Needle::Gate(formats) => {
                    for place in formats {
                        let format = &FORMATS[*place];
                        if (format.context && !with_context) || hit.end() <= ended[*place] {
                            continue;
                        }
                        format.near(text, hit.range(), |from, to| {
                            ended[*place] = ended[*place].max(to);
                            let secret = &text[from..to];
                            found.push(Span::new(from..to, format.kind, place + 1, secret));
                        });
                    }
                }
            }
        }
    }

    /// Known values in the patterns of lines, which have holes.
    fn scan_pattern(&self, text: &str, found: &mut Vec<Span>) {
        let Some(pattern) = Pattern::of(text) else {
            return;
        };
        for (value, remnant) in &self.rules.remnants {
            for place in pattern.places(remnant) {
                found.push(Span::new(place, KNOWN, 0, &self.rules.known[*value]));
            }
        }
    }

    /// Texts in pieces: what stands across their joints.
    fn scan_joined(&self, text: &str, found: &mut Vec<Span>) {
        let mut joined = String::new();
        // Where each joint was: place in the joined text, and how much was left out by then.
        let mut joints: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        for joint in JOINTS.find_iter(text) {
            joined.push_str(&text[at..joint.start()]);
            at = joint.end();
            joints.push((joined.len(), at - joined.len()));
        }
        if joints.is_empty() {
            return;
        }
        joined.push_str(&text[at..]);
        // Joints before a place, and those before and at it.
        let before = |place: usize| joints.partition_point(|(joint, _)| *joint < place);
        let up_to = |place: usize| joints.partition_point(|(joint, _)| *joint <= place);
        let left_out = |count: usize| count.checked_sub(1).map_or(0, |last| joints[last].1);
        let mut inner = Vec::new();
        self.scan(&joined, false, &mut inner);
        if self.rules.options.shapes {
            self.scan_words(&joined, &mut inner);
        }
        for span in inner {
            let (first, last) = (up_to(span.from), before(span.to));
            if first < last {
                found.push(Span {
                    from: span.from + left_out(first),
                    to: span.to + left_out(last),
                    ..span
                });
            }
        }
    }

    /// Long words: formats that begin with nothing in particular, what is encoded, chance.
    fn scan_words(&self, text: &str, found: &mut Vec<Span>) {
        let ungated: Vec<usize> = (0..FORMATS.len())
            .filter(|place| FORMATS[*place].gates.is_empty())
            .collect();
        entropy::words(text, |from, to| {
            let word = &text[from..to];
            let before = found.len();
            for place in &ungated {
                let format = &FORMATS[*place];
                format.find(text, from, to, |from, to| {
                    found.push(Span::new(from..to, format.kind, place + 1, &text[from..to]));
                });
            }
            if found.len() > before {
                return;
            }
            if let Some(inner) = self.inside(word) {
                found.push(Span { from, to, ..inner });
                return;
            }
            let kind = match entropy::judge(word, &text[..from]) {
                entropy::Kind::Plain => return,
                entropy::Kind::Random => RANDOM,
                entropy::Kind::Data => DATA,
            };
            found.push(Span::new(from..to, kind, usize::MAX, word));
        });
    }

    /// What a word holds once it is decoded.
    fn inside(&self, word: &str) -> Option<Span> {
        let mut inner = Vec::new();
        let mut look = |plain: &str| {
            self.scan(plain, true, &mut inner);
            inner.sort_by_key(|span| span.rank);
            !inner.is_empty()
        };
        let plain = word
            .contains('%')
            .then(|| known::percent_decoded(word))
            .flatten();
        let through_url = plain.is_some_and(|plain| look(&plain));
        if !through_url {
            let value = word.rsplit_once(['.', '~']).map_or(word, |(_, last)| last);
            let value = match value.trim_end_matches('=').rsplit_once('=') {
                Some((_, last)) => last,
                None => value,
            };
            if let Some(plain) = decoded(value) {
                look(&plain);
            }
        }
        (!inner.is_empty()).then(|| inner.swap_remove(0))
    }
}

impl Rules {
    fn new(known: Vec<String>, options: RedactOptions) -> Self {
        let mut patterns: Vec<String> = Vec::new();
        let mut needles = Vec::new();
        if options.shapes {
            let mut gates: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (place, format) in FORMATS.iter().enumerate() {
                for gate in &format.gates {
                    gates.entry(gate).or_default().push(place);
                }
            }
            for (gate, formats) in gates {
                patterns.push(gate.to_owned());
                needles.push(Needle::Gate(formats));
            }
        }
        for (value, text) in known.iter().enumerate() {
            for form in known::forms(text) {
                patterns.push(form.text.clone());
                needles.push(Needle::Known {
                    value,
                    rule: form.rule,
                    text: form.text,
                });
            }
        }
        let remnants = known.iter().enumerate().filter_map(|(value, text)| {
            let remnant = (!known::is_plain(text)).then(|| Remnant::of(text))?;
            Some((value, remnant?))
        });
        let remnants = remnants.collect();
        let kind = if patterns.len() <= FAST {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let build = |kind, patterns: &[String]| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(kind)
                .build(patterns)
        };
        // It fails only when there are billions of states: then the gates alone must do.
        let finder = build(Some(kind), &patterns)
            .or_else(|_| build(None, &patterns[..patterns.len().min(FAST)]))
            .expect("a few thousand patterns always fit");
        Self {
            options,
            finder,
            needles,
            remnants,
            known,
        }
    }
}

/// Each value once, without the space around it.
fn sorted(known: impl IntoIterator<Item = Secret>) -> Vec<String> {
    let known = known.into_iter().map(|one| one.expose().trim().to_owned());
    let all: BTreeSet<String> = known.collect();
    all.into_iter().collect()
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("options", &self.rules.options)
            .field("known", &self.rules.known.len())
            .finish_non_exhaustive()
    }
}

/// Marks that are in the text already.
fn marks(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(place) = text[at..].find(OPEN) {
        let from = at + place;
        let inner = from + OPEN.len();
        at = inner;
        let Some(length) = text[inner..ceil(text, inner + MARK)].find(CLOSE) else {
            continue;
        };
        let (kind, number) = match text[inner..inner + length].split_once('#') {
            Some((kind, number)) => (kind, number),
            None => (&text[inner..inner + length], "0"),
        };
        let ours = [KNOWN, RANDOM, DATA, EMAIL, IPV4].contains(&kind)
            || FORMATS.iter().any(|format| format.kind == kind);
        let numbered = !number.is_empty()
            && number.len() <= 4
            && number.bytes().all(|byte| byte.is_ascii_digit());
        if ours && numbered {
            at = inner + length + CLOSE.len();
            all.push(from..at);
        }
    }
    all
}

/// Texts of a JSON schema stand under names of fields that it describes.
fn is_schema_word(text: &str) -> bool {
    matches!(
        text,
        "string" | "number" | "integer" | "boolean" | "object" | "array" | "null"
    )
}

/// Addresses that say nothing about anybody.
fn is_own_address(address: &str) -> bool {
    address.starts_with("127.") || address == "0.0.0.0" || address == "255.255.255.255"
}

fn floor(text: &str, mut place: usize) -> usize {
    place = place.min(text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

fn ceil(text: &str, mut place: usize) -> usize {
    place = place.min(text.len());
    while !text.is_char_boundary(place) {
        place += 1;
    }
    place
}

#[cfg(test)]
mod tests;
