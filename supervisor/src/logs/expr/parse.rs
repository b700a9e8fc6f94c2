//! Text to tree, by descent.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use regex::RegexBuilder;

use super::lex::Lexer;
use super::{Expr, ExprError, Field, MAX_TEXT, Op, Operand, Pattern};
use crate::logs::record::Level;

/// Deepest nesting of brackets and NOTs: the stack is finite.
const MAX_DEPTH: usize = 64;
/// Most parts of one condition; SQLite knows no more than 1,000 levels of an expression.
const MAX_PARTS: usize = 200;

pub(super) fn parse(text: &str, now_ms: i64) -> Result<Expr, ExprError> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        now_ms,
        depth: 0,
        parts: 0,
    };
    if text.len() > MAX_TEXT {
        return Err(parser
            .lexer
            .error(0, format!("a condition has at most {MAX_TEXT} bytes")));
    }
    let expr = parser.or()?;
    if !parser.lexer.is_at_end() {
        return Err(parser.expected("AND, OR or the end"));
    }
    Ok(expr)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    now_ms: i64,
    depth: usize,
    parts: usize,
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

impl Parser<'_> {
    fn expected(&mut self, what: &str) -> ExprError {
        let (at, found) = (self.lexer.place(), self.lexer.found());
        self.lexer
            .error(at, format!("expected {what}, found {found}"))
    }

    fn or(&mut self) -> Result<Expr, ExprError> {
        let mut parts = vec![self.and()?];
        while self.lexer.keyword("or") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, ExprError> {
        let mut parts = vec![self.not()?];
        while self.lexer.keyword("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn not(&mut self) -> Result<Expr, ExprError> {
        let at = self.lexer.place();
        self.depth += 1;
        self.parts += 1;
        if self.depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return Err(self.lexer.error(at, "the condition has too many parts"));
        }
        let expr = if self.lexer.keyword("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.lexer.take("(") {
            let inner = self.or()?;
            if !self.lexer.take(")") {
                return Err(self.expected("`)`"));
            }
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn field(&mut self) -> Result<Field, ExprError> {
        let at = self.lexer.place();
        let Some(name) = self.lexer.word() else {
            return Err(self.expected("the name of a field"));
        };
        let begins = |c: char| c.is_alphabetic() || matches!(c, '_' | '@');
        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-');
        if !name.starts_with(begins) || !name.chars().all(goes_on) {
            let message = format!(
                "expected the name of a field, found `{}`",
                name.escape_debug()
            );
            return Err(self.lexer.error(at, message));
        }
        Ok(Field::of_name(name))
    }

    /// `a = 1 AND AND b = 2`: no field has to be called that, unless an operator follows.
    fn refuse_lone_joint(&mut self) -> Result<(), ExprError> {
        let mut ahead = self.lexer.clone();
        let joints = ["and", "or", "in", "like", "is", "between"];
        let is_joint = ahead
            .word()
            .is_some_and(|word| joints.iter().any(|joint| word.eq_ignore_ascii_case(joint)));
        let signs = ["=", "!", "<", ">", "~"];
        let is_field = signs.iter().any(|sign| ahead.take(sign));
        let words = ["is", "in", "like", "between", "not"];
        if !is_joint || is_field || words.iter().any(|word| ahead.keyword(word)) {
            return Ok(());
        }
        Err(self.expected("the name of a field"))
    }

    fn predicate(&mut self) -> Result<Expr, ExprError> {
        self.refuse_lone_joint()?;
        let field = self.field()?;
        if let Some(op) = self.operator() {
            let value = self.operand(&field)?;
            return Ok(Expr::Compare(field, op, value));
        }
        if self.lexer.take("~") {
            return self.pattern(field);
        }
        if self.lexer.keyword("is") {
            let negated = self.lexer.keyword("not");
            if !self.lexer.keyword("null") {
                return Err(self.expected("NULL"));
            }
            return Ok(negate(Expr::IsNull(field), negated));
        }
        let negated = self.lexer.keyword("not");
        let expr = if self.lexer.keyword("in") {
            self.list(field)?
        } else if self.lexer.keyword("like") {
            let at = self.lexer.place();
            match self
                .lexer
                .quoted()?
                .or_else(|| self.lexer.word().map(str::to_owned))
            {
                Some(pattern) if pattern.len() <= 1000 => Expr::Like(field, pattern),
                Some(_) => return Err(self.lexer.error(at, "a pattern has at most 1000 bytes")),
                None => return Err(self.expected("a pattern such as '%timeout%'")),
            }
        } else if self.lexer.keyword("between") {
            let low = self.operand(&field)?;
            if !self.lexer.keyword("and") {
                return Err(self.expected("AND"));
            }
            let high = self.operand(&field)?;
            Expr::Between(field, low, high)
        } else {
            let what = match negated {
                true => "IN, LIKE or BETWEEN",
                false => "an operator such as =, !=, <, >=, ~, LIKE, IN or IS NULL",
            };
            return Err(self.expected(what));
        };
        Ok(negate(expr, negated))
    }

    fn operator(&mut self) -> Option<Op> {
        // Longer signs first: `<=` is not `<`.
        let signs = [
            ("==", Op::Equal),
            ("!=", Op::Unequal),
            ("<>", Op::Unequal),
            ("<=", Op::AtMost),
            (">=", Op::AtLeast),
            ("=", Op::Equal),
            ("<", Op::Less),
            (">", Op::Greater),
        ];
        signs
            .into_iter()
            .find_map(|(sign, op)| self.lexer.take(sign).then_some(op))
    }

    fn pattern(&mut self, field: Field) -> Result<Expr, ExprError> {
        let at = self.lexer.place();
        let Some(text) = self
            .lexer
            .quoted()?
            .or_else(|| self.lexer.word().map(str::to_owned))
        else {
            return Err(self.expected("a regular expression in quotes"));
        };
        let built = RegexBuilder::new(&text).size_limit(1 << 20).build();
        match built {
            Ok(regex) => Ok(Expr::Matches(field, Pattern(regex))),
            Err(_) => Err(self.lexer.error(at, "this is not a regular expression")),
        }
    }

    fn list(&mut self, field: Field) -> Result<Expr, ExprError> {
        if !self.lexer.take("(") {
            return Err(self.expected("`(`"));
        }
        let mut values = vec![self.operand(&field)?];
        while self.lexer.take(",") {
            self.parts += 1;
            let at = self.lexer.place();
            if self.parts > MAX_PARTS {
                return Err(self.lexer.error(at, "the condition has too many parts"));
            }
            values.push(self.operand(&field)?);
        }
        if !self.lexer.take(")") {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(Expr::In(field, values))
    }

    /// A value, in the form in which its field is stored.
    fn operand(&mut self, field: &Field) -> Result<Operand, ExprError> {
        let at = self.lexer.place();
        let (text, literal) = match self.lexer.quoted()? {
            Some(text) => (text, true),
            None => match self.lexer.word() {
                Some(word) => (word.to_owned(), false),
                None => return Err(self.expected("a value")),
            },
        };
        if !literal {
            if let Some(ms) = self.time_word(&text)? {
                return Ok(Operand::of_number(ms, &time_text(ms)));
            }
            for (word, number) in [("true", 1), ("false", 0)] {
                if text.eq_ignore_ascii_case(word) {
                    return Ok(Operand::of_number(number, word));
                }
            }
        }
        match field {
            Field::Level => {
                let level = Level::parse(&text).or_else(|| {
                    let number = text.parse().ok()?;
                    Level::of_pino(number)
                });
                let Some(level) = level else {
                    let message = "a level is one of trace, debug, info, warn, error, fatal";
                    return Err(self.lexer.error(at, message));
                };
                Ok(Operand::of_number(i64::from(level.rank()), level.as_str()))
            }
            Field::Ts => match time(&text) {
                Some(ms) => Ok(Operand::of_number(ms, &text)),
                None => Err(self.lexer.error(
                    at,
                    "a time is `now - 1h`, '2026-03-28 14:00' (UTC), RFC 3339 or epoch seconds",
                )),
            },
            _ => Ok(Operand::of_text(text)),
        }
    }

    /// `now`, `now - 1h`, `now+5m`, `datetime('now', '-1 hour')`, as epoch milliseconds.
    fn time_word(&mut self, word: &str) -> Result<Option<i64>, ExprError> {
        if word.eq_ignore_ascii_case("datetime") && self.lexer.take("(") {
            return self.datetime().map(Some);
        }
        let Some(rest) = word
            .get(..3)
            .filter(|head| head.eq_ignore_ascii_case("now"))
            .map(|_| &word[3..])
        else {
            return Ok(None);
        };
        let at = self.lexer.place();
        let mut tail = rest.to_owned();
        if tail.is_empty() {
            let mut ahead = self.lexer.clone();
            match ahead.word() {
                Some(next) if next.starts_with(['-', '+']) => {
                    tail = next.to_owned();
                    self.lexer = ahead;
                }
                _ => return Ok(Some(self.now_ms)),
            }
        }
        let Some(sign) = tail.chars().next().filter(|c| matches!(c, '-' | '+')) else {
            // A word such as `nowhere`.
            return Ok(None);
        };
        let mut length = tail[1..].to_owned();
        if length.is_empty() {
            length = self.lexer.word().unwrap_or_default().to_owned();
        }
        let Ok(wait) = humantime::parse_duration(&length) else {
            return Err(self
                .lexer
                .error(at, "expected a duration such as 30m, 1h or 7d"));
        };
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4);
        let moved = match sign {
            '-' => self.now_ms.saturating_sub(wait),
            _ => self.now_ms.saturating_add(wait),
        };
        Ok(Some(moved))
    }

    /// The rest of `datetime('now', '-1 hour', …)`.
    fn datetime(&mut self) -> Result<i64, ExprError> {
        let at = self.lexer.place();
        let Some(start) = self.lexer.quoted()? else {
            return Err(self.expected("'now' or a time in quotes"));
        };
        let mut ms = match start.eq_ignore_ascii_case("now") {
            true => self.now_ms,
            false => time(&start).ok_or_else(|| self.lexer.error(at, "this is not a time"))?,
        };
        while self.lexer.take(",") {
            let at = self.lexer.place();
            let Some(change) = self.lexer.quoted()? else {
                return Err(self.expected("a change such as '-1 hour'"));
            };
            let moved = moved(ms, &change);
            ms = moved.ok_or_else(|| {
                self.lexer.error(
                    at,
                    "expected a change such as '-1 hour', '+30 minutes' or '-7 days'",
                )
            })?;
        }
        if !self.lexer.take(")") {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(ms)
    }
}

fn negate(expr: Expr, negated: bool) -> Expr {
    match negated {
        true => Expr::Not(Box::new(expr)),
        false => expr,
    }
}

fn time_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// RFC 3339, a date with or without a time (UTC), or epoch numbers by magnitude.
fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(crate::logs::record::epoch(number)?.as_millisecond());
    }
    let civil: DateTime = text.parse().ok().or_else(|| {
        let short = [("%Y-%m-%d %H:%M"), ("%Y-%m-%dT%H:%M")];
        short
            .iter()
            .find_map(|form| DateTime::strptime(form, text).ok())
    })?;
    let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// `ms` moved by `-1 hour` and its like, as SQLite reads them; months and years by calendar.
fn moved(ms: i64, change: &str) -> Option<i64> {
    let change = change.trim();
    let (count, unit) = change.split_once(char::is_whitespace)?;
    let count: f64 = count.strip_prefix('+').unwrap_or(count).parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('s').unwrap_or(&unit);
    let each = match unit {
        "second" => 1e3,
        "minute" => 60e3,
        "hour" => 3_600e3,
        "day" => 86_400e3,
        "week" => 7.0 * 86_400e3,
        "month" | "year" => {
            let count = count as i64;
            let span = match unit {
                "month" => Span::new().try_months(count).ok()?,
                _ => Span::new().try_years(count).ok()?,
            };
            let zoned = Timestamp::from_millisecond(ms)
                .ok()?
                .to_zoned(TimeZone::UTC);
            return Some(zoned.checked_add(span).ok()?.timestamp().as_millisecond());
        }
        _ => return None,
    };
    let by = count * each;
    (by.abs() < 1e17).then(|| ms.saturating_add(by as i64))
}
