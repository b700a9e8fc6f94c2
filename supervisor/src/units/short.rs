//! Figures as people read them at a glance: sizes, percentages, spans of time.

use std::time::Duration;

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * 1024.0;
const GIB: f64 = MIB * 1024.0;

/// `512KB`, `48MB`, `1.2GB`.
pub fn memory(bytes: u64) -> String {
    let size = bytes as f64;
    if size >= GIB {
        format!("{:.1}GB", size / GIB)
    } else if size >= MIB {
        format!("{:.0}MB", size / MIB)
    } else if size >= KIB {
        format!("{:.0}KB", size / KIB)
    } else {
        format!("{bytes}B")
    }
}

/// Percent of one core, one decimal.
pub fn cpu(percent: f64) -> String {
    format!("{percent:.1}%")
}

/// The two largest units: `2d 14h`, `3m 12s`, `12s`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts: Vec<String> = Vec::new();
    for (name, length) in units {
        let count = rest / length;
        rest %= length;
        if count > 0 || (name == "s" && parts.is_empty()) {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(memory(48 << 20), "48MB");
        assert_eq!(memory(1_288_490_189), "1.2GB");
        assert_eq!(memory(700), "700B");
        assert_eq!(memory(512 << 10), "512KB");
    }

    #[test]
    fn spans_have_two_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (192, "3m 12s"),
            (3_601, "1h"),
            (223_200, "2d 14h"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), wanted);
        }
    }
}
