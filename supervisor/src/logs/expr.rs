//! Conditions on lines: `level >= warn AND status IN (500, 502)`.
//!
//! ```text
//! expr  := and ('OR' and)*        and := not ('AND' not)*
//! not   := 'NOT' not | '(' expr ')' | pred
//! pred  := field op value | field ['NOT'] 'IN' '(' value,… ')' | field ['NOT'] 'LIKE' str
//!        | field 'IS' ['NOT'] 'NULL' | field ['NOT'] 'BETWEEN' value 'AND' value
//! op    := = == != <> < <= > >= ~
//! value := 'str' | "str" | number | word | true | false | now [-|+ dur] | datetime('now', …)
//! ```
//!
//! A text becomes a tree here ([`Expr::parse`]); the tree becomes SQL with bound parameters for
//! lines in the index ([`Expr::sql`]) and is asked directly about lines that are scanned or
//! followed ([`Expr::holds`]). Both give the same answer. Text of a user never becomes SQL.
//!
//! A condition on a field that a line does not have is neither true nor false, as in SQL.

mod eval;
mod lex;
mod parse;
mod sql;

use regex::Regex;
use unicode_width::UnicodeWidthStr;

use super::record::Level;

pub use eval::Subject;
pub(super) use sql::{Param, Sql};

/// Longest text of a condition, in bytes.
pub const MAX_TEXT: usize = 16 << 10;

/// What a condition speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// When the line came.
    Ts,
    /// The name of its process.
    Process,
    /// The number of the copy.
    Instance,
    /// `out` or `err`.
    Stream,
    /// Its level, compared by rank.
    Level,
    /// Its text.
    Message,
    /// A field of a JSON or logfmt record; nested names are joined with dots.
    Named(String),
}

impl Field {
    /// The field a name means.
    pub fn of_name(name: &str) -> Field {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("ts") || is("time") {
            Field::Ts
        } else if is("process") || is("name") {
            Field::Process
        } else if is("instance") {
            Field::Instance
        } else if is("stream") {
            Field::Stream
        } else if is("level") {
            Field::Level
        } else if is("message") || is("msg") {
            Field::Message
        } else {
            Field::Named(name.to_owned())
        }
    }
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// A value of a condition. Text that reads as a number compares as one with numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    text: String,
    number: Option<Number>,
}

/// A number, whole where it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i64),
    Real(f64),
}

/// A pattern of `~`, compared by its text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// One of them holds.
    Or(Vec<Expr>),
    /// All of them hold.
    And(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// `field op value`
    Compare(Field, Op, Operand),
    /// `field IN (value, …)`
    In(Field, Vec<Operand>),
    /// `field LIKE 'a%'`: `%` is any text and `_` any character; ASCII letters in any case.
    Like(Field, String),
    /// `field IS NULL`
    IsNull(Field),
    /// `field BETWEEN low AND high`
    Between(Field, Operand, Operand),
    /// `field ~ 'regex'`
    Matches(Field, Pattern),
}

/// Why a text is not a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// What is wrong, and what was expected.
    pub message: String,
    /// The whole text.
    pub text: String,
    /// Where, in bytes from its beginning.
    pub at: usize,
}

impl ExprError {
    /// The text, and a caret under the place.
    pub fn caret(&self) -> Vec<String> {
        let visible: String = self
            .text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let before = self.text.get(..self.at).unwrap_or(&self.text);
        let before: String = visible.chars().take(before.chars().count()).collect();
        vec![visible, format!("{}^", " ".repeat(before.width()))]
    }
}

impl Expr {
    /// Reads a condition. `now_ms` is what `now` means in it.
    ///
    /// # Errors
    /// With the place where it is not understood.
    pub fn parse(text: &str, now_ms: i64) -> Result<Expr, ExprError> {
        parse::parse(text, now_ms)
    }

    /// `level >= …`, as a flag says it.
    pub(super) fn at_least(level: Level) -> Expr {
        let rank = Operand::of_number(i64::from(level.rank()), level.as_str());
        Expr::Compare(Field::Level, Op::AtLeast, rank)
    }

    /// The parts that all have to hold.
    pub(super) fn conjuncts(self) -> Vec<Expr> {
        match self {
            Expr::And(parts) => parts.into_iter().flat_map(Expr::conjuncts).collect(),
            other => vec![other],
        }
    }
}

impl Operand {
    fn of_number(number: i64, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            number: Some(Number::Whole(number)),
        }
    }

    /// The rank, when it is that of a level.
    pub(super) fn rank(&self) -> Option<u8> {
        match self.number {
            Some(Number::Whole(rank)) => u8::try_from(rank).ok(),
            _ => None,
        }
    }

    /// Text; a number too, if it reads as one.
    fn of_text(text: String) -> Self {
        let number = Number::read(&text);
        Self { text, number }
    }
}

impl Number {
    /// A decimal number, also with an exponent; not `inf`, `nan` or hexadecimal.
    fn read(text: &str) -> Option<Self> {
        let first = text.trim_start_matches(['-', '+']).bytes().next()?;
        if text.len() > 64 || !(first.is_ascii_digit() || first == b'.') {
            return None;
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Whole(number));
        }
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(Number::Real)
    }
}

#[cfg(test)]
mod tests;
