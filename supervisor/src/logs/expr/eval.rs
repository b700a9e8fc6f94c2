//! A condition asked about one line.
//!
//! `None` is SQL's NULL: neither true nor false. The rules of comparison are those of the SQL
//! that [`super::sql`] makes; a test compares the two.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Expr, Field, Number, Op, Operand};
use crate::logs::record::{Level, Record};
use crate::paths::Stream;

/// A line, as conditions see it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// When it came, in epoch milliseconds.
    pub ts_ms: i64,
    /// Its process.
    pub process: &'a str,
    /// The copy.
    pub instance: u16,
    /// Where it was printed.
    pub stream: Stream,
    /// Its level, as [`Record::severity`] gives it.
    pub level: Option<Level>,
    /// What it says.
    pub record: &'a Record<'a>,
}

/// A value of a line.
enum Found<'a> {
    Number(Number),
    Text(Cow<'a, str>),
}

impl Subject<'_> {
    fn value(&self, field: &Field) -> Option<Found<'_>> {
        let whole = |number: i64| Some(Found::Number(Number::Whole(number)));
        let text = |text| Some(Found::Text(Cow::Borrowed(text)));
        match field {
            Field::Ts => whole(self.ts_ms),
            Field::Process => text(self.process),
            Field::Instance => whole(i64::from(self.instance)),
            Field::Stream => text(self.stream.as_str()),
            Field::Level => whole(i64::from(self.level?.rank())),
            Field::Message => text(&self.record.message),
            Field::Named(name) => match self.record.field(name)? {
                Value::Null => None,
                Value::Bool(value) => whole(i64::from(*value)),
                Value::String(value) => text(value),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => whole(number),
                    None => Some(Found::Number(Number::Real(number.as_f64()?))),
                },
                other => Some(Found::Text(Cow::Owned(other.to_string()))),
            },
        }
    }

    /// The value as text, for patterns: a level by its name.
    pub(in crate::logs) fn text(&self, field: &Field) -> Option<Cow<'_, str>> {
        if *field == Field::Level {
            return self.level.map(|level| Cow::Borrowed(level.as_str()));
        }
        self.value(field).map(|value| match value {
            Found::Text(text) => text,
            Found::Number(Number::Whole(number)) => Cow::Owned(number.to_string()),
            Found::Number(Number::Real(number)) => Cow::Owned(number.to_string()),
        })
    }
}

fn compare_numbers(a: Number, b: Number) -> Option<Ordering> {
    let real = |number| match number {
        Number::Whole(number) => number as f64,
        Number::Real(number) => number,
    };
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        _ => real(a).partial_cmp(&real(b)),
    }
}

fn compare(found: &Found<'_>, operand: &Operand) -> Option<Ordering> {
    match (found, operand.number) {
        (Found::Number(a), Some(b)) => compare_numbers(*a, b),
        // As in SQLite: any number is less than any text.
        (Found::Number(_), None) => Some(Ordering::Less),
        (Found::Text(text), _) => Some(text.as_bytes().cmp(operand.text.as_bytes())),
    }
}

impl Op {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Op::Equal => order.is_eq(),
            Op::Unequal => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::AtMost => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::AtLeast => order.is_ge(),
        }
    }
}

impl Expr {
    /// Does it hold for the line?
    pub fn holds(&self, line: &Subject<'_>) -> bool {
        self.truth(line) == Some(true)
    }

    fn truth(&self, line: &Subject<'_>) -> Option<bool> {
        match self {
            Expr::And(parts) => {
                let mut known = true;
                for part in parts {
                    match part.truth(line) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => known = false,
                    }
                }
                known.then_some(true)
            }
            Expr::Or(parts) => {
                let mut known = true;
                for part in parts {
                    match part.truth(line) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = false,
                    }
                }
                known.then_some(false)
            }
            Expr::Not(inner) => inner.truth(line).map(|truth| !truth),
            Expr::Compare(field, op, operand) => {
                let order = compare(&line.value(field)?, operand)?;
                Some(op.holds(order))
            }
            Expr::In(field, operands) => {
                let value = line.value(field)?;
                let equal = |operand| compare(&value, operand).is_some_and(Ordering::is_eq);
                Some(operands.iter().any(equal))
            }
            Expr::Between(field, low, high) => {
                let value = line.value(field)?;
                Some(compare(&value, low)?.is_ge() && compare(&value, high)?.is_le())
            }
            Expr::IsNull(field) => Some(line.value(field).is_none()),
            Expr::Like(field, pattern) => Some(like(pattern, &line.text(field)?)),
            Expr::Matches(field, pattern) => Some(pattern.0.is_match(&line.text(field)?)),
        }
    }
}

/// SQL's LIKE: `%` any text, `_` any character, ASCII letters in any case.
fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let same = |a: char, b: char| a.eq_ignore_ascii_case(&b);
    // The last `%`, and how much of the text it took: only that one is ever tried again.
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'%') {
            back = Some((p, t));
            p += 1;
        } else if pattern
            .get(p)
            .is_some_and(|c| *c == '_' || same(*c, text[t]))
        {
            p += 1;
            t += 1;
        } else if let Some((star, taken)) = back {
            back = Some((star, taken + 1));
            p = star + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}
