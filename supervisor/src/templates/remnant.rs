//! What is left of a value in the pattern of its line, so that a secret can be hidden there, too.
//!
//! ```text
//!   value      Zq10-orange-umbrella-77
//!   patterns   set to Zq<*>-orange-umbrella-<*>, by digits
//!              set to <*>-orange-umbrella-<n>, by what other lines had there, or by others
//! ```
//!
//! Which parts of a value a pattern has left depends on the line around it, on the lines before
//! it and on who made the pattern. So no form of it is computed: a hole may stand for any part of
//! the value, and what lies between must be the same.

use std::ops::Range;

use super::mask::Masked;
use super::{Settings, token};

/// What stands for values: in patterns of logs, and in those that brains make of a line.
const HOLES: [&str; 6] = [token::VALUE, "<n>", "<hex>", "<str>", "<time>", "<uuid>"];
/// Letters and digits of a value that must be left in a pattern, at least.
const LEFT: usize = 6;
/// Longest value that is looked for: longer ones are documents.
const LONGEST: usize = 4_096;

/// A text with holes.
#[derive(Debug)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    place: Range<usize>,
    /// None for a hole.
    letter: Option<char>,
}

/// A value as patterns are searched for it.
#[derive(Debug)]
pub struct Remnant {
    forms: Vec<Vec<char>>,
    /// Letters and digits that must be left where its beginning is not.
    least: usize,
}

impl Pattern {
    /// Reads a text. None if it has no holes: then it shows values as they are.
    pub fn of(text: &str) -> Option<Self> {
        if !HOLES.iter().any(|hole| text.contains(hole)) {
            return None;
        }
        let mut pieces = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(letter) = text[at..].chars().next() {
            let hole = HOLES.iter().find(|hole| text[at..].starts_with(**hole));
            let end = at + hole.map_or(letter.len_utf8(), |hole| hole.len());
            pieces.push(Piece {
                place: at..end,
                letter: hole.is_none().then_some(letter),
            });
            at = end;
        }
        Some(Self { pieces })
    }

    /// Where something of the value stands, in order.
    pub fn places(&self, value: &Remnant) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for form in &value.forms {
            let mut told = (vec![false; form.len() + 1], vec![false; form.len() + 1]);
            let mut from = 0;
            while from < self.pieces.len() {
                let least = self.least(from, form, value);
                match least.and_then(|least| self.end(from, form, least, &mut told)) {
                    Some(end) => {
                        found.push(self.pieces[from].place.start..self.pieces[end].place.end);
                        from = end + 1;
                    }
                    None => from += 1,
                }
            }
        }
        found.sort_by_key(|place| (place.start, place.end));
        found
    }

    /// Letters and digits that must be left of a value that begins here; none if it cannot.
    fn least(&self, from: usize, form: &[char], value: &Remnant) -> Option<usize> {
        let rest = &self.pieces[from..];
        match rest[0].letter {
            // What has its beginning is told by fewer letters than what may begin anyhow.
            Some(letter) => {
                let near = &rest[..rest.len().min(form.len())];
                let is_near = || near.iter().any(|piece| piece.letter.is_none());
                (form.first() == Some(&letter) && is_near()).then_some(LEFT)
            }
            None => {
                let next = rest.get(1)?.letter;
                next.is_none_or(|next| form.contains(&next))
                    .then_some(value.least)
            }
        }
    }

    /// The last piece of what is left of a value that begins here.
    fn end(
        &self,
        from: usize,
        form: &[char],
        least: usize,
        (told, next): &mut (Vec<bool>, Vec<bool>),
    ) -> Option<usize> {
        // How much of the value the pieces so far may stand for.
        told.fill(false);
        told[0] = true;
        let (mut letters, mut holes, mut best) = (0, 0, None);
        for (place, piece) in self.pieces.iter().enumerate().skip(from) {
            next.fill(false);
            match piece.letter {
                None => {
                    holes += 1;
                    let first = told.iter().position(|one| *one)?;
                    next[first + 1..].fill(true);
                }
                // A text that was cut in the middle of a value.
                Some('…' | '\n') if holes > 0 && letters >= least => {
                    return best.or(Some(place - 1));
                }
                Some(letter) => {
                    letters += usize::from(letter.is_alphanumeric());
                    for (at, one) in form.iter().enumerate() {
                        next[at + 1] = told[at] && *one == letter;
                    }
                }
            }
            if !next.contains(&true) {
                return best;
            }
            if next[form.len()] && holes > 0 && letters >= least {
                best = Some(place);
            }
            std::mem::swap(told, next);
        }
        let is_cut = holes > 0 && letters >= least;
        best.or_else(|| is_cut.then(|| self.pieces.len() - 1))
    }
}

impl Remnant {
    /// None for a value of which a pattern never has enough left to be told by.
    pub fn of(value: &str) -> Option<Self> {
        let plain = |text: &str| {
            text.chars()
                .filter(|letter| letter.is_alphanumeric())
                .count()
        };
        if value.len() > LONGEST || plain(value) < LEFT {
            return None;
        }
        let settings = Settings::default();
        let mut masked = Masked::default();
        masked.read(value, settings.max_bytes, settings.max_tokens);
        let alone = token::pattern(&masked.text, &masked.tokens).replace(token::VALUE, "");
        // Half of it, or less where no more of it is left by itself.
        let least = match plain(&alone) {
            left if left >= LEFT => left.min(plain(value) / 2),
            _ => plain(value) / 2,
        };
        let large = value.to_ascii_uppercase();
        let mut forms = vec![value.chars().collect()];
        if large != value {
            forms.push(large.chars().collect());
        }
        Some(Self {
            forms,
            least: least.max(LEFT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with `***` for what is left of the value.
    fn hidden(text: &str, value: &str) -> String {
        let (Some(pattern), Some(value)) = (Pattern::of(text), Remnant::of(value)) else {
            return text.to_owned();
        };
        let mut shown = text.to_owned();
        for place in pattern.places(&value).into_iter().rev() {
            shown.replace_range(place, "***");
        }
        shown
    }

    #[test]
    fn what_a_pattern_has_left_of_a_value_is_found() {
        let value = "Zq10-orange-umbrella-77";
        for (text, left) in [
            ("set Zq<*>-orange-umbrella-<*> at <*>", "set *** at <*>"),
            ("set Zq<n>-orange-umbrella<n>, ok", "set ***, ok"),
            ("set <*>-orange-umbrella-<*>", "set ***"),
            ("set <*>-orange-umbrella<str>", "set ***"),
            ("set=Zq<*>-orange-<*>", "set=***"),
            ("set=x<*>x Zq<*>-<*>-umbrella-77", "set=x<*>x ***"),
            ("ZQ<*>-ORANGE-UMBRELLA-<*> <*>", "*** <*>"),
            (
                "Zq<*>-orange-umbrella-<*>Zq<*>-orange-umbrella-<*>",
                "******",
            ),
            ("cut: Zq<*>-orange-umb…", "cut: ***…"),
            ("cut: Zq<*>-orange-umb", "cut: ***"),
        ] {
            assert_eq!(hidden(text, value), left, "{text}");
        }
        assert_eq!(hidden("key hunter<*> <n>", "hunter22"), "key *** <n>");
        assert_eq!(
            hidden("is <*> horse battery <*>", "a horse battery"),
            "is *** <*>"
        );
        assert_eq!(hidden("<*>-hunter in", "deadbeefcafe1234-hunter"), "*** in");
        assert_eq!(hidden("schlüssel<*>ä", "schlüssel12ä"), "***");
    }

    #[test]
    fn what_is_like_a_value_by_chance_stays() {
        let value = "Zq10-orange-umbrella-77";
        for text in [
            "the orange umbrella of <*>",
            "<*> orange umbrella <*>",
            "Zq<*>-orange in",
            "Zq<*>-orange-table-<*>",
            "<*> <n> <*>",
            "<*>-77 and Zq<*>",
        ] {
            assert_eq!(hidden(text, value), text);
        }
        let worker = "svc-prod-cluster-worker";
        assert_eq!(hidden("node-<*>-worker", worker), "node-<*>-worker");
        assert_eq!(hidden("no hole, hunter22", "hunter22"), "no hole, hunter22");
        assert_eq!(hidden("code <*>", "1234567890"), "code <*>");
    }
}
