//! Text that the operating system does not promise to be UTF-8.
//!
//! Written to JSON as a plain string where it is UTF-8 and as `{"hex": "…"}` where it is not,
//! so that any environment value comes through a save and a restart unchanged.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An environment value or a path as the system has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OsText(pub OsString);

impl OsText {
    /// The text, where it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        self.0.to_str()
    }
}

impl From<&str> for OsText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&OsStr> for OsText {
    fn from(text: &OsStr) -> Self {
        Self(text.to_owned())
    }
}

#[derive(Serialize, Deserialize)]
struct Hex {
    hex: String,
}

impl Serialize for OsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => Hex {
                hex: self
                    .0
                    .as_bytes()
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = OsText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string, or a map with the key `hex`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<OsText, E> {
                Ok(OsText::from(text))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<OsText, A::Error> {
                let Hex { hex } =
                    Hex::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let byte = |i: usize| {
                    hex.get(i..i + 2)
                        .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                };
                let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
                bytes
                    .map(|b| OsText(OsString::from_vec(b)))
                    .ok_or_else(|| A::Error::custom("`hex` is not hexadecimal"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_json() {
        for bytes in [b"plain \xc3\xbc".to_vec(), b"bad \xff\xfe".to_vec()] {
            let text = OsText(OsString::from_vec(bytes));
            let json = serde_json::to_string(&text).expect("serializes");
            assert_eq!(serde_json::from_str::<OsText>(&json).expect("reads"), text);
        }
    }
}
