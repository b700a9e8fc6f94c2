//! Sizes and durations as people write them.
//!
//! Sizes are 1024-based for every spelling (`512MB`, `512MiB` and `512M` are the same), as
//! the documents of the seed project read them. A duration needs a unit in a file; the
//! command line takes a bare number as seconds.

pub mod short;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a number with KB, MB or GB, such as `512MB`")]
pub struct SizeError(pub String);

const SIZE_UNITS: [(&str, u64); 3] = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

impl ByteSize {
    /// `n` mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let bad = || SizeError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let split = lower
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(lower.len());
        let (number, unit) = lower.split_at(split);
        let number: f64 = number.parse().map_err(|_| bad())?;
        let unit = unit.trim();
        let factor = if unit == "b" {
            1
        } else {
            let stem = unit
                .strip_suffix("ib")
                .or(unit.strip_suffix('b'))
                .unwrap_or(unit);
            SIZE_UNITS
                .iter()
                .find(|(name, _)| *name == stem)
                .ok_or_else(bad)?
                .1
        };
        let bytes = (number * factor as f64).round();
        // More than any machine will have is a slip, and would be cut to the largest number.
        if bytes >= i64::MAX as f64 {
            return Err(bad());
        }
        Ok(Self(bytes as u64))
    }
}

/// The shortest exact spelling: `512MB`, `1.5GB` stays `1536MB`, `100B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GB", 1u64 << 30), ("MB", 1 << 20), ("KB", 1 << 10)] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration; write a number with ms, s, m, h, d or w, such as `500ms` or `1h30m`"
)]
pub struct DurationError(pub String);

/// Reads `500ms`, `10s`, `1h30m`. A unit is required.
///
/// # Errors
/// The text itself, when it is not a duration.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    humantime::parse_duration(text.trim()).map_err(|_| DurationError(text.to_owned()))
}

/// As [`parse_duration`], but a bare number is seconds: the rule of the command line.
///
/// # Errors
/// The text itself, when it is not a duration.
pub fn parse_cli_duration(text: &str) -> Result<Duration, DurationError> {
    match text.trim().parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => parse_duration(text),
    }
}

/// The exact spelling without spaces: `1h30m`, `500ms`.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

/// For `#[serde(with = "crate::units::duration")]`: a duration as its spelling.
pub mod duration {
    use super::*;

    /// Writes the spelling.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*value))
    }

    /// Reads the spelling.
    ///
    /// # Errors
    /// When it is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The same for a key that may be left out.
pub mod optional_duration {
    use super::*;

    /// Writes the spelling.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_str(&format_duration(*value)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the spelling.
    ///
    /// # Errors
    /// When it is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| parse_duration(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_1024_based() {
        for (text, bytes) in [
            ("512MB", 512 << 20),
            ("1.5 GiB", 3 << 29),
            ("4k", 4096),
            ("7b", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for bad in ["", "12", "MB", "12 parsecs", "-1MB", "99999999999GB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
        assert_eq!(ByteSize(3 << 29).to_string(), "1536MB");
    }

    #[test]
    fn durations_need_a_unit_in_files_only() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(parse_duration("10").is_err());
        assert_eq!(parse_cli_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(format_duration(Duration::from_millis(1500)), "1s500ms");
    }
}
