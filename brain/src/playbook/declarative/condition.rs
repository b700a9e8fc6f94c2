//! The conditions of TOML playbooks: `cpu > 90% for 60s AND NOT errored`.
//!
//! ```text
//!   expr := term (("AND" | "OR") term)*       AND binds tighter; parentheses group
//!   term := flag | metric op number[unit] ["for" duration]
//! ```
//!
//! A condition becomes an expression of the script; nothing is evaluated here.

use super::quote;

/// Where the text is wrong, as a byte offset, and why.
type Wrong = (usize, String);

const METRICS: [&str; 12] = [
    "cpu",
    "memory",
    "memory_growth",
    "restarts",
    "crashes",
    "error_rate",
    "latency",
    "score",
    "uptime",
    "probe_failures",
    "log",
    "instances",
];
const FLAGS: [&str; 5] = ["health_fail", "errored", "stopped", "held", "healthy"];

/// Parentheses and NOTs that lie in each other. Each is read on the stack of whoever loads the
/// file, and the engine takes 32.
const DEPTH: usize = 16;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64, String),
    Op(&'static str),
    Open,
    Close,
}

/// The expression of a condition.
pub(super) fn translate(text: &str) -> Result<String, Wrong> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    let expression = parser.either()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some((at, _)) => Err((
            *at,
            "the condition should end here, or go on with AND or OR".into(),
        )),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let mut all = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        let mut take = |keep: fn(char) -> bool| {
            let mut end = at + letter.len_utf8();
            while let Some((next, more)) = rest.peek().copied() {
                if !keep(more) {
                    break;
                }
                end = next + more.len_utf8();
                rest.next();
            }
            &text[at..end]
        };
        let token = match letter {
            ' ' | '\t' | '\n' => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' | '<' | '=' | '!' => match take(|more| more == '=') {
                ">" => Token::Op(">"),
                "<" => Token::Op("<"),
                ">=" => Token::Op(">="),
                "<=" => Token::Op("<="),
                "==" | "=" => Token::Op("=="),
                "!=" => Token::Op("!="),
                other => return Err((at, format!("there is no comparison `{other}`"))),
            },
            '0'..='9' => {
                let word = take(|more| more.is_ascii_alphanumeric() || more == '.' || more == '%');
                let split = word
                    .find(|c: char| !c.is_ascii_digit() && c != '.')
                    .unwrap_or(word.len());
                let (number, unit) = word.split_at(split);
                let number = number
                    .parse()
                    .map_err(|_| (at, format!("`{number}` is no number")))?;
                Token::Number(number, unit.to_owned())
            }
            '"' | '\'' => {
                let mut end = None;
                for (next, more) in rest.by_ref() {
                    if more == letter {
                        end = Some(next);
                        break;
                    }
                }
                let end = end.ok_or((at, "the text has no end".to_owned()))?;
                Token::Text(text[at + 1..end].to_owned())
            }
            letter if letter.is_ascii_alphabetic() || letter == '_' => {
                Token::Word(take(|more| more.is_ascii_alphanumeric() || more == '_').to_owned())
            }
            other => return Err((at, format!("`{other}` has no meaning here"))),
        };
        all.push((at, token));
    }
    Ok(all)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    /// Parentheses and NOTs around the term that is read.
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(at, _)| *at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += 1;
        token
    }

    fn word(&mut self, word: &str) -> bool {
        let there =
            matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(there);
        there
    }

    fn either(&mut self) -> Result<String, Wrong> {
        let mut parts = vec![self.both()?];
        while self.word("OR") {
            parts.push(self.both()?);
        }
        Ok(join(parts, " || "))
    }

    fn both(&mut self) -> Result<String, Wrong> {
        let mut parts = vec![self.term()?];
        while self.word("AND") {
            parts.push(self.term()?);
        }
        Ok(join(parts, " && "))
    }

    fn term(&mut self) -> Result<String, Wrong> {
        let place = self.place();
        if self.depth > DEPTH {
            return Err((
                place,
                format!("more than {DEPTH} parentheses and NOTs lie in each other here"),
            ));
        }
        self.depth += 1;
        let term = self.inner(place);
        self.depth -= 1;
        term
    }

    fn inner(&mut self, place: usize) -> Result<String, Wrong> {
        if self.word("NOT") {
            return Ok(format!("!({})", self.term()?));
        }
        match self.next() {
            Some(Token::Open) => {
                let inner = self.either()?;
                match self.next() {
                    Some(Token::Close) => Ok(format!("({inner})")),
                    _ => Err((place, "this parenthesis is not closed".into())),
                }
            }
            Some(Token::Word(word)) => self.named(place, &word),
            _ => Err((
                place,
                format!(
                    "here should stand one of: {}, {}",
                    METRICS.join(", "),
                    FLAGS.join(", ")
                ),
            )),
        }
    }

    fn named(&mut self, place: usize, word: &str) -> Result<String, Wrong> {
        match word {
            "health_fail" => return Ok("c.probe_failures() > 0".into()),
            "errored" | "stopped" => return Ok(format!("c.state == {}", quote(word))),
            "held" | "healthy" => return Ok(format!("c.{word}")),
            _ => {}
        }
        if !METRICS.contains(&word) {
            let known = METRICS.iter().chain(&FLAGS).copied();
            let near = super::super::reference::near(word, known);
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err((place, format!("there is no metric `{word}`{hint}")));
        }
        let pattern = if word == "log" {
            Some(self.pattern(place)?)
        } else {
            None
        };
        let at = self.place();
        let Some(Token::Op(op)) = self.next() else {
            return Err((at, "here should stand a comparison: > >= < <= == !=".into()));
        };
        let at = self.place();
        let Some(Token::Number(number, unit)) = self.next() else {
            return Err((at, "here should stand a number".into()));
        };
        let span = if self.word("for") {
            let at = self.place();
            match self.next() {
                Some(Token::Number(count, unit))
                    if matches!(unit.as_str(), "ms" | "s" | "m" | "h") =>
                {
                    Some(format!("{count}{unit}"))
                }
                _ => return Err((at, "here should stand a duration such as 60s".into())),
            }
        } else {
            None
        };
        if span.is_some() && !matches!(word, "cpu" | "memory" | "log") {
            return Err((place, format!("`{word}` cannot be asked `for` a time")));
        }
        compare(word, pattern, op, number, &unit, span.as_deref()).map_err(|message| (at, message))
    }

    fn pattern(&mut self, place: usize) -> Result<String, Wrong> {
        let found = (self.next(), self.next(), self.next());
        let (Some(Token::Open), Some(Token::Text(text)), Some(Token::Close)) = found else {
            return Err((place, "write log(\"a regular expression\")".into()));
        };
        regex::Regex::new(&text)
            .map_err(|error| (place, format!("it is no regular expression: {error}")))?;
        Ok(text)
    }
}

fn join(parts: Vec<String>, with: &str) -> String {
    parts.join(with)
}

/// The expression of one comparison.
fn compare(
    metric: &str,
    pattern: Option<String>,
    op: &str,
    number: f64,
    unit: &str,
    span: Option<&str>,
) -> Result<String, String> {
    let window = quote(span.unwrap_or("10s"));
    let above = op.starts_with('>');
    let plain = |expression: &str| Ok(format!("{expression} {op} {number:?}"));
    // What may be unknown is compared only when it is known.
    let maybe = |expression: &str, value: f64| {
        Ok(format!(
            "({expression} != () && {expression} {op} {value:?})"
        ))
    };
    let wants = |units: &[&str]| {
        if units.contains(&unit) {
            return Ok(());
        }
        Err(format!("`{metric}` has no unit `{unit}`"))
    };
    match metric {
        "cpu" => {
            wants(&["", "%"])?;
            match (span, above) {
                (Some(_), true) => Ok(format!("c.cpu_above({number:?}, {window})")),
                (Some(_), false) => plain(&format!("c.cpu_max({window})")),
                (None, _) => plain(&format!("c.cpu_avg({window})")),
            }
        }
        "memory" => {
            let value = match unit {
                "%" => format!("(c.max_memory * {:?})", number / 100.0),
                "" | "B" => format!("{number:?}"),
                "KB" => format!("{:?}", number * 1024.0),
                "MB" => format!("{:?}", number * 1024.0 * 1024.0),
                "GB" => format!("{:?}", number * 1024.0 * 1024.0 * 1024.0),
                _ => return Err(format!("`memory` has no unit `{unit}`")),
            };
            let test = match (span, above) {
                (Some(_), true) => format!("c.rss_above(({value}).to_int(), {window})"),
                _ => format!("c.rss_avg({window}) {op} {value}"),
            };
            Ok(if unit == "%" {
                format!("(c.max_memory != () && {test})")
            } else {
                test
            })
        }
        "memory_growth" => {
            wants(&["", "%"])?;
            Ok(format!("c.rss_growth(\"10m\") {op} {:?}", number / 100.0))
        }
        "error_rate" => {
            wants(&["", "%"])?;
            let share = if unit == "%" { number / 100.0 } else { number };
            maybe("c.error_rate(\"1m\")", share)
        }
        "latency" => {
            wants(&["", "ms", "s"])?;
            let ms = if unit == "s" { number * 1000.0 } else { number };
            maybe("c.latency_p95(\"1m\")", ms)
        }
        "uptime" => {
            wants(&["", "s", "m", "h"])?;
            let seconds = match unit {
                "m" => number * 60.0,
                "h" => number * 3600.0,
                _ => number,
            };
            Ok(format!("c.uptime_s {op} {seconds:?}"))
        }
        "score" => {
            wants(&[""])?;
            Ok(format!("(c.score != () && c.score.value {op} {number:?})"))
        }
        "log" => {
            wants(&[""])?;
            let window = quote(span.unwrap_or("1m"));
            let pattern = quote(&pattern.unwrap_or_default());
            plain(&format!("c.log_count({pattern}, {window})"))
        }
        _ => {
            wants(&[""])?;
            let expression = match metric {
                "crashes" => "c.crashes(\"5m\")",
                "probe_failures" => "c.probe_failures()",
                "instances" => "c.instances",
                _ => "c.restarts",
            };
            // Counts are whole.
            Ok(format!("{expression} {op} {}", number as i64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_expressions() {
        for (condition, wanted) in [
            ("restarts < 5", "c.restarts < 5"),
            ("uptime > 30s", "c.uptime_s > 30.0"),
            ("cpu > 90% for 60s", "c.cpu_above(90.0, \"60s\")"),
            (
                "errored OR health_fail AND score < 50",
                "c.state == \"errored\" || c.probe_failures() > 0 && (c.score != () && c.score.value < 50.0)",
            ),
            (
                "(errored OR held) AND NOT healthy",
                "(c.state == \"errored\" || c.held) && !(c.healthy)",
            ),
            (
                "log('refused|reset') >= 3",
                "c.log_count(\"refused|reset\", \"1m\") >= 3.0",
            ),
            (
                "memory > 80% for 30s",
                "(c.max_memory != () && c.rss_above(((c.max_memory * 0.8)).to_int(), \"30s\"))",
            ),
        ] {
            assert_eq!(translate(condition).as_deref(), Ok(wanted), "{condition}");
        }
    }

    /// Each is read by a call of its own: without an end they overflowed the daemon's stack.
    #[test]
    fn endless_parentheses_are_refused() {
        for open in ["(", "NOT "] {
            let (at, words) = translate(&open.repeat(200_000)).expect_err("too deep");
            assert_eq!(at, open.len() * (DEPTH + 1));
            assert!(words.contains("in each other"), "{words}");
        }
        let most = format!("{}errored{}", "(".repeat(DEPTH), ")".repeat(DEPTH));
        assert!(translate(&most).is_ok());
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (condition, at, words) in [
            ("restarts < ", 11, "a number"),
            ("cpu > 90 AND memroy > 5MB", 13, "`memory`"),
            ("cpu >> 5", 5, "a number"),
            ("uptime > 3GB", 9, "no unit"),
            ("(errored", 0, "not closed"),
            ("errored healthy", 8, "AND or OR"),
            ("score < 5 for 3s", 0, "cannot be asked"),
        ] {
            let (found, text) = translate(condition).unwrap_err();
            assert_eq!(found, at, "{condition}: {text}");
            assert!(text.contains(words), "{condition}: {text}");
        }
    }
}
