//! JSON as models write it.
//!
//! What is read besides JSON: a comma before a closing bracket, `//` and `/* */` comments,
//! line ends within texts, `'texts'` in single quotes, and Python's `True`, `False` and
//! `None`. An object that never ends is given without its last, unfinished member.

use serde_json::{Map, Number, Value};

/// Deepest nesting; an answer of ours has four levels.
const DEEPEST: u32 = 32;
/// Most places at which an object may begin, so that a text of braces is read in linear time.
const STARTS: usize = 64;

/// Every object that stands by itself.
pub(super) fn objects(text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cut = None;
    let mut at = 0;
    for _ in 0..STARTS {
        let Some(found) = text[at..].find('{') else {
            break;
        };
        let start = at + found;
        let mut reader = Reader::at(text, start);
        match reader.object(0) {
            Ok(object) => {
                all.push(object);
                at = reader.at;
            }
            Err(Trouble::End(Some(part))) if cut.is_none() => {
                cut = Some(part);
                at = start + 1;
            }
            Err(_) => at = start + 1,
        }
    }
    // What is whole counts before what may only look cut: a stray quote reads to the end.
    all.extend(cut);
    all
}

/// Why a value cannot be read.
enum Trouble {
    /// It is no value.
    Wrong,
    /// The text ends within it; what there is of a list or an object.
    End(Option<Value>),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn at(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Skips blanks and comments.
    fn blank(&mut self) {
        loop {
            let trimmed = self.rest().trim_start();
            self.at = self.text.len() - trimmed.len();
            let end = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else {
                return;
            };
            self.at += end;
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, Trouble> {
        if depth > DEEPEST {
            return Err(Trouble::Wrong);
        }
        self.blank();
        match self.peek() {
            None => Err(Trouble::End(None)),
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"' | '\'') => self.string().map(Value::String),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            Some(_) => self.word(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Value, Trouble> {
        let mut members = Map::new();
        self.take();
        loop {
            self.blank();
            match self.peek() {
                None => return Err(Trouble::End(Some(Value::Object(members)))),
                Some('}') => {
                    self.take();
                    return Ok(Value::Object(members));
                }
                Some('"' | '\'') => {}
                Some(_) => return Err(Trouble::Wrong),
            }
            let cut = |members: Map<String, Value>| Trouble::End(Some(Value::Object(members)));
            let name = match self.string() {
                Ok(name) => name,
                Err(Trouble::End(_)) => return Err(cut(members)),
                Err(wrong) => return Err(wrong),
            };
            self.blank();
            match self.take() {
                Some(':') => {}
                None => return Err(cut(members)),
                Some(_) => return Err(Trouble::Wrong),
            }
            match self.value(depth + 1) {
                Ok(value) => {
                    members.insert(name, value);
                }
                Err(Trouble::End(part)) => {
                    if let Some(part) = part {
                        members.insert(name, part);
                    }
                    return Err(cut(members));
                }
                Err(wrong) => return Err(wrong),
            }
            if !self.goes_on('}')? {
                return Ok(Value::Object(members));
            }
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value, Trouble> {
        let mut items = Vec::new();
        self.take();
        loop {
            self.blank();
            match self.peek() {
                None => return Err(Trouble::End(Some(Value::Array(items)))),
                Some(']') => {
                    self.take();
                    return Ok(Value::Array(items));
                }
                Some(_) => {}
            }
            match self.value(depth + 1) {
                Ok(value) => items.push(value),
                // Half an item, such as half an action, is none.
                Err(Trouble::End(_)) => return Err(Trouble::End(Some(Value::Array(items)))),
                Err(wrong) => return Err(wrong),
            }
            if !self.goes_on(']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    /// After a member: is there another one? The end of the text is found by the next look.
    fn goes_on(&mut self, close: char) -> Result<bool, Trouble> {
        self.blank();
        match self.peek() {
            Some(',') => {
                self.take();
                Ok(true)
            }
            Some(c) if c == close => {
                self.take();
                Ok(false)
            }
            None => Ok(true),
            Some(_) => Err(Trouble::Wrong),
        }
    }

    fn string(&mut self) -> Result<String, Trouble> {
        let quote = self.take();
        let mut out = String::new();
        loop {
            match self.take().ok_or(Trouble::End(None))? {
                c if Some(c) == quote => return Ok(out),
                '\\' => match self.take().ok_or(Trouble::End(None))? {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'u' => out.push(self.unicode()?),
                    other => out.push(other),
                },
                c => out.push(c),
            }
        }
    }

    /// The character of four hexadecimal digits, or of two such groups.
    fn unicode(&mut self) -> Result<char, Trouble> {
        let first = self.hex()?;
        if (0xD800..0xDC00).contains(&first) && self.eat("\\u") {
            let second = self.hex()?;
            let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400);
            let both = low.map(|low| 0x10000 + ((first - 0xD800) << 10) + low);
            return Ok(both
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, Trouble> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.take().ok_or(Trouble::End(None))?;
            number = number * 16 + digit.to_digit(16).ok_or(Trouble::Wrong)?;
        }
        Ok(number)
    }

    fn number(&mut self) -> Result<Value, Trouble> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == rest.len() {
            // The next digit may be missing.
            return Err(Trouble::End(None));
        }
        let number: Number = rest[..end].parse().map_err(|_| Trouble::Wrong)?;
        self.at += end;
        Ok(Value::Number(number))
    }

    fn word(&mut self) -> Result<Value, Trouble> {
        let words = [
            ("true", Value::Bool(true)),
            ("True", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("False", Value::Bool(false)),
            ("null", Value::Null),
            ("None", Value::Null),
        ];
        let rest = self.rest();
        if words.iter().any(|(word, _)| word.starts_with(rest)) {
            return Err(Trouble::End(None));
        }
        let found = words.into_iter().find(|(word, _)| self.eat(word));
        found.map(|(_, value)| value).ok_or(Trouble::Wrong)
    }
}
