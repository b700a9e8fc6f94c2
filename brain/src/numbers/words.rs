//! Figures as people say them.

/// `512KB`, `48MB`, `1.2GB`.
pub(super) fn size(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    let bytes = bytes.max(0.0);
    if bytes >= KIB * KIB * KIB {
        format!("{:.1}GB", bytes / KIB / KIB / KIB)
    } else if bytes >= KIB * KIB {
        format!("{:.0}MB", bytes / KIB / KIB)
    } else if bytes >= KIB {
        format!("{:.0}KB", bytes / KIB)
    } else {
        format!("{bytes:.0}B")
    }
}

/// The two largest units of so many seconds: `2d 14h`, `3m 12s`, `0s`.
pub fn span(seconds: f64) -> String {
    let mut rest = seconds.max(0.0).round().min(1e15) as u64;
    let mut parts: Vec<String> = Vec::new();
    for (name, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}

/// `12 times`, `once`.
pub(super) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// A share of 1: `99.95 %`, `100 %`. What is not all is never called 100 %.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if share >= 1.0 {
        "100 %".to_owned()
    } else if percent >= 99.0 {
        format!("{:.2} %", percent.min(99.99))
    } else if percent >= 10.0 || percent <= 0.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(size(48.0 * 1024.0 * 1024.0), "48MB");
        assert_eq!(size(-3.0), "0B");
        assert_eq!(span(223_200.0), "2d 14h");
        assert_eq!(span(3_601.0), "1h");
        assert_eq!(span(0.2), "0s");
        assert_eq!(times(1), "once");
        assert_eq!(percent(0.99999), "99.99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.123), "12 %");
    }
}
