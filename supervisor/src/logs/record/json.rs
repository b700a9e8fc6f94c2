//! Lines that are a JSON object, taken apart while they are read.

mod huge;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    Form, LEVEL_KEYS, Level, MAX_DEPTH, MAX_FIELDS, MESSAGE_KEYS, Record, TIME_KEYS, time,
};

/// A value found for one of the recognised keys, and how good the key is: 0 is the best.
type Hit<T> = Option<(usize, T)>;

#[derive(Default)]
struct Parts<'a> {
    level: Hit<Level>,
    message: Hit<Cow<'a, str>>,
    time: Hit<jiff::Timestamp>,
    fields: Vec<(String, Value)>,
}

/// `None` when the line is not one JSON object.
pub(super) fn parse(line: &str) -> Option<Record<'_>> {
    match read(line) {
        Ok(parts) => Some(record(parts, line)),
        Err(error) if huge::is_meant(&error) => {
            let quoted = huge::quoted(line);
            let read = record(read(&quoted).ok()?, line);
            let message = match read.whole {
                true => Cow::Borrowed(line),
                false => Cow::Owned(read.message.into_owned()),
            };
            Some(Record { message, ..read })
        }
        Err(_) => None,
    }
}

fn read(line: &str) -> Result<Parts<'_>, serde_json::Error> {
    let mut parts = Parts::default();
    let mut reader = serde_json::Deserializer::from_str(line);
    reader.deserialize_map(Top { parts: &mut parts })?;
    reader.end()?;
    Ok(parts)
}

fn record<'a>(parts: Parts<'a>, line: &'a str) -> Record<'a> {
    let Parts {
        level,
        message,
        time,
        fields,
    } = parts;
    Record {
        form: Form::Json,
        level: level.map(|(_, level)| level),
        whole: message.is_none(),
        message: message.map_or(Cow::Borrowed(line), |(_, message)| message),
        time: time.map(|(_, time)| time),
        fields,
    }
}

impl Parts<'_> {
    fn put(&mut self, key: String, value: Value) {
        // As parsers do with a key that comes twice: the last one counts.
        if let Some(known) = self.fields.iter_mut().find(|(name, _)| *name == key) {
            known.1 = value;
        } else if self.fields.len() < MAX_FIELDS {
            self.fields.push((key, value));
        }
    }

    /// A value that was the best for its key gives way to a better one and becomes a field.
    fn level(&mut self, at: usize, value: Value) {
        let found = match &value {
            Value::String(text) => Level::of_value(text),
            Value::Number(number) => number.as_i64().and_then(Level::of_pino),
            _ => None,
        };
        match (found, &self.level) {
            (Some(level), Some((best, other))) if at < *best => {
                let (name, other) = (LEVEL_KEYS[*best], other.as_str());
                self.put(name.to_owned(), Value::from(other));
                self.level = Some((at, level));
            }
            (Some(level), None) => self.level = Some((at, level)),
            _ => self.put(LEVEL_KEYS[at].to_owned(), value),
        }
    }

    fn time(&mut self, at: usize, value: Value) {
        let found = match &value {
            Value::String(text) => time::of_text(text),
            Value::Number(number) => match number.as_i64() {
                Some(number) => time::of_integer(number),
                None => number.as_f64().and_then(time::of_float),
            },
            _ => None,
        };
        match (found, &self.time) {
            (Some(found), Some((best, other))) if at < *best => {
                let (name, other) = (TIME_KEYS[*best], other.to_string());
                self.put(name.to_owned(), Value::from(other));
                self.time = Some((at, found));
            }
            (Some(found), None) => self.time = Some((at, found)),
            _ => self.put(TIME_KEYS[at].to_owned(), value),
        }
    }
}

/// The whole line.
struct Top<'p, 'a> {
    parts: &'p mut Parts<'a>,
}

impl<'de> Visitor<'de> for Top<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let place = |keys: &[&str], key: &str| keys.iter().position(|known| *known == key);
        while let Some(key) = map.next_key_seed(Text)? {
            if let Some(at) = place(&LEVEL_KEYS, &key) {
                let value = map.next_value()?;
                self.parts.level(at, value);
            } else if let Some(at) = place(&MESSAGE_KEYS, &key) {
                match map.next_value_seed(Scalar)? {
                    Ok(text) => match &mut self.parts.message {
                        Some((best, other)) if at < *best => {
                            let name = MESSAGE_KEYS[*best].to_owned();
                            let other = std::mem::replace(other, text).into_owned();
                            *best = at;
                            self.parts.put(name, Value::from(other));
                        }
                        Some(_) => {
                            let text = Value::from(text.into_owned());
                            self.parts.put(key.into_owned(), text);
                        }
                        none => *none = Some((at, text)),
                    },
                    Err(value) => self.parts.put(key.into_owned(), value),
                }
            } else if let Some(at) = place(&TIME_KEYS, &key) {
                let value = map.next_value()?;
                self.parts.time(at, value);
            } else {
                map.next_value_seed(Flatten {
                    parts: self.parts,
                    name: key,
                    depth: 1,
                })?;
            }
        }
        Ok(())
    }
}

/// A key, borrowed from the line where it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A message: text, borrowed where it has no escapes; `Err` holds any other value.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Result<Cow<'de, str>, Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Result<Cow<'de, str>, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Ok(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Ok(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Err(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Ok(Cow::Owned(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Ok(Cow::Owned(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Ok(Cow::Owned(value.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Err(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Err(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, value)) = map.next_entry()? {
            object.insert(key, value);
        }
        Ok(Err(Value::Object(object)))
    }
}

/// Any other value; objects are taken apart.
struct Flatten<'p, 'a> {
    parts: &'p mut Parts<'a>,
    name: Cow<'a, str>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Flatten<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        if self.parts.fields.len() >= MAX_FIELDS {
            return input.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        input.deserialize_any(self)
    }
}

impl Flatten<'_, '_> {
    fn put(self, value: impl Into<Value>) {
        self.parts.put(self.name.into_owned(), value.into());
    }
}

impl<'de> Visitor<'de> for Flatten<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.put(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(Number::from_f64(value).map_or(Value::Null, Value::Number));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(Value::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items: Vec<Value> = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        self.put(Value::Array(items));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth >= MAX_DEPTH {
            let mut object = Map::new();
            while let Some((key, value)) = map.next_entry()? {
                object.insert(key, value);
            }
            self.put(Value::Object(object));
            return Ok(());
        }
        while let Some(key) = map.next_key_seed(Text)? {
            map.next_value_seed(Flatten {
                name: Cow::Owned(format!("{}.{key}", self.name)),
                parts: self.parts,
                depth: self.depth + 1,
            })?;
        }
        Ok(())
    }
}
