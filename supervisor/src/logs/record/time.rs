//! The time a record names.

use jiff::Timestamp;

/// Epoch seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude: each is
/// right for the years from 1973 to 5138.
pub(crate) fn of_integer(number: i64) -> Option<Timestamp> {
    let size = number.unsigned_abs();
    let time = if size < 100_000_000_000 {
        Timestamp::from_second(number)
    } else if size < 100_000_000_000_000 {
        Timestamp::from_millisecond(number)
    } else if size < 100_000_000_000_000_000 {
        Timestamp::from_microsecond(number)
    } else {
        Timestamp::from_nanosecond(i128::from(number))
    };
    time.ok()
}

/// As [`of_integer`], with decimals.
pub(super) fn of_float(number: f64) -> Option<Timestamp> {
    let size = number.abs();
    if !size.is_finite() || size >= 1e18 {
        return None;
    }
    let unit = if size < 1e11 {
        1e9
    } else if size < 1e14 {
        1e6
    } else if size < 1e17 {
        1e3
    } else {
        1.0
    };
    Timestamp::from_nanosecond((number * unit) as i128).ok()
}

/// RFC 3339, or a number in quotes.
pub(super) fn of_text(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    // A date with its separators: jiff takes many more forms than are meant here.
    if bytes.len() >= 20 && bytes[4] == b'-' && bytes[7] == b'-' {
        return text.parse().ok();
    }
    if bytes.is_empty() || bytes.len() > 20 || !bytes[0].is_ascii_digit() {
        return None;
    }
    match text.parse::<i64>() {
        Ok(number) => of_integer(number),
        Err(_) => text.parse::<f64>().ok().and_then(of_float),
    }
}
