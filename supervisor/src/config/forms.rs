//! What a text must look like, for keys whose type says only "text".
//!
//! A field names its form in the schema (`x-form`), so that a bad duration is found in the
//! same pass as an unknown key. It is one piece although it is long: a form for each kind of
//! text, with its example and what is wrong with it.

use std::time::Duration;

use globset::Glob;

use super::suggest::nearest;
use crate::schedule::Schedule;
use crate::spec::{
    CAPABILITIES, Capability, ListenAddress, ListenError, Signal, SocketMode, full_capability_name,
    is_socket_name, line_pattern,
};
use crate::units::{ByteSize, parse_duration};

/// What is wrong with a text, and what to type.
pub(crate) type Complaint = (String, String);

/// Every form a field may name.
#[cfg(test)]
pub(crate) const FORMS: [&str; 25] = [
    "duration",
    "size",
    "memory",
    "signal",
    "cron",
    "timezone",
    "glob",
    "url",
    "method",
    "port",
    "command",
    "time",
    "variable",
    "hours",
    "endpoint",
    "ip",
    "urlpath",
    "interval",
    "socket",
    "quiet",
    "listen",
    "socketname",
    "mode",
    "regex",
    "capability",
];

/// An example of a form, as it is typed, with its quotes.
pub(crate) fn example(form: &str) -> Option<&'static str> {
    Some(match form {
        "duration" => "\"10s\"",
        "size" | "memory" => "\"512MB\"",
        "signal" => "\"SIGTERM\"",
        "cron" => "\"0 3 * * *\"",
        "timezone" => "\"Europe/Berlin\"",
        "glob" => "\"src/**/*.js\"",
        "url" => "\"http://localhost:${PORT}/health\"",
        "endpoint" => "\"http://localhost:3100\"",
        "method" => "\"GET\"",
        "port" => "8080",
        "command" => "\"node server.js\"",
        "time" => "\"YYYY-MM-DD HH:mm:ss\"",
        "variable" => "\"PORT\"",
        "hours" => "\"22:00-07:00\"",
        "quiet" => "\"22:00-07:00 Europe/Berlin\"",
        "ip" => "\"127.0.0.1\"",
        "urlpath" => "\"/metrics\"",
        "interval" => "\"5s\"",
        "socket" => "\"127.0.0.1:3001\"",
        "listen" => "\"tcp://127.0.0.1:3000\"",
        "socketname" => "\"http\"",
        "mode" => "\"0660\"",
        "regex" => "\"listening on\"",
        "capability" => "\"CAP_NET_BIND_SERVICE\"",
        _ => return None,
    })
}

/// Is a bare number most likely a forgotten unit? Then the text to type.
pub(crate) fn with_unit(form: &str, number: &str) -> Option<String> {
    match form {
        "duration" | "interval" => Some(format!("\"{number}s\"")),
        "size" | "memory" => Some(format!("\"{number}MB\"")),
        _ => None,
    }
}

/// Checks a text against a form.
pub(crate) fn check(form: &str, text: &str) -> Result<(), Complaint> {
    match form {
        "duration" => duration(text).map(drop),
        "interval" => {
            let bounds = Duration::from_secs(1)..=Duration::from_secs(60);
            if bounds.contains(&duration(text)?) {
                return Ok(());
            }
            Err((
                format!("`{text}` is not a time between two samples"),
                "write a time from `\"1s\"` to `\"1m\"`".to_owned(),
            ))
        }
        "size" => size(text).map(drop),
        "memory" => {
            if size(text)? < ByteSize::mib(1) {
                return Err((
                    format!("`{text}` is less than 1MB"),
                    "no program fits into that; write at least `\"1MB\"`".to_owned(),
                ));
            }
            Ok(())
        }
        "signal" => signal(text),
        "cron" => cron(text),
        "timezone" => timezone(text),
        "glob" => glob(text),
        "url" => url(text),
        "endpoint" => endpoint(text),
        "method" => method(text),
        "port" => port(text),
        "command" => command(text),
        "time" => time(text),
        "variable" => variable(text),
        "hours" => hours(text),
        "quiet" => quiet(text),
        "ip" => ip(text),
        "socket" => socket(text),
        "urlpath" => url_path(text),
        "listen" => complaint(text.parse::<ListenAddress>()),
        "mode" => complaint(text.parse::<SocketMode>()),
        "socketname" => socket_name(text),
        "regex" => regex(text),
        "capability" => capability(text),
        _ => Ok(()),
    }
}

fn duration(text: &str) -> Result<Duration, Complaint> {
    parse_duration(text).map_err(|_| {
        (
            format!("`{text}` is not a duration"),
            match number(text) {
                Some(number) => format!(
                    "a duration needs a unit: write `\"{number}s\"` for seconds or `\"{number}ms\"` for milliseconds"
                ),
                None => "write a number with ms, s, m, h or d, such as `\"500ms\"` or `\"1h30m\"`"
                    .to_owned(),
            },
        )
    })
}

fn complaint<T>(read: Result<T, ListenError>) -> Result<(), Complaint> {
    read.map(drop).map_err(|error| (error.message, error.help))
}

fn socket_name(text: &str) -> Result<(), Complaint> {
    if is_socket_name(text) {
        return Ok(());
    }
    Err((
        format!("`{text}` cannot be the name of a socket"),
        "write at most 64 letters, digits, `.`, `_` and `-`, such as `\"http\"`".to_owned(),
    ))
}

fn regex(text: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Err((
            "the pattern is empty, and so matches every line".to_owned(),
            "write what the line says, such as `\"listening on\"`".to_owned(),
        ));
    }
    line_pattern(text).map(drop).map_err(|why| {
        (
            format!("`{text}` is not a regular expression: {why}"),
            "write what the line says, such as `\"listening on\"`; put `\\\\` before a character of `( ) [ { . * + ? | ^ $` that means itself"
                .to_owned(),
        )
    })
}

fn socket(text: &str) -> Result<(), Complaint> {
    text.parse::<std::net::SocketAddr>().map(drop).map_err(|_| {
        (
            format!("`{text}` is not an address with a port"),
            "write `\"127.0.0.1:3001\"` for this machine only; `0.0.0.0` is everybody".to_owned(),
        )
    })
}

fn ip(text: &str) -> Result<(), Complaint> {
    text.parse::<std::net::IpAddr>().map(drop).map_err(|_| {
        (
            format!("`{text}` is not an IP address"),
            "write `\"127.0.0.1\"` for this machine only, or `\"0.0.0.0\"` for everybody"
                .to_owned(),
        )
    })
}

fn url_path(text: &str) -> Result<(), Complaint> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    if text.starts_with('/') && text.chars().all(in_path) {
        return Ok(());
    }
    Err((
        format!("`{text}` is not the path of a page"),
        "write a slash and then letters, digits, `-`, `_`, `.` or `/`, such as `\"/metrics\"`"
            .to_owned(),
    ))
}

fn number(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).then_some(text)
}

fn size(text: &str) -> Result<ByteSize, Complaint> {
    text.parse().map_err(|_| {
        (
            format!("`{text}` is not a size"),
            match number(text) {
                Some(number) => format!("a size needs a unit: write `\"{number}MB\"`"),
                None => "write a number with KB, MB or GB, such as `\"512MB\"`".to_owned(),
            },
        )
    })
}

/// The signals people ask a program to stop or reload with.
const USUAL_SIGNALS: [&str; 9] = [
    "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGWINCH",
    "SIGCONT",
];

fn signal(text: &str) -> Result<(), Complaint> {
    text.parse::<Signal>().map(drop).map_err(|_| {
        let help = nearest(text, USUAL_SIGNALS).map_or_else(
            || {
                "write a name such as `\"SIGTERM\"` or `\"SIGUSR2\"`, or a number from 1 to 64"
                    .to_owned()
            },
            |near| format!("write `\"{near}\"`"),
        );
        (format!("`{text}` is not a signal"), help)
    })
}

fn capability(text: &str) -> Result<(), Complaint> {
    text.parse::<Capability>().map(drop).map_err(|_| {
        let help = match nearest(&full_capability_name(text), CAPABILITIES) {
            Some(near) => format!("write `\"{near}\"`"),
            None => {
                "write a name of capabilities(7), such as `\"CAP_NET_BIND_SERVICE\"`".to_owned()
            }
        };
        (format!("`{text}` is not a capability"), help)
    })
}

fn cron(text: &str) -> Result<(), Complaint> {
    Schedule::parse(text, "UTC").map(drop).map_err(|error| {
        let said = error.to_string();
        match said.split_once("; write ") {
            Some((message, instead)) => (message.to_owned(), format!("write {instead}")),
            None => (
                said,
                "an example is `\"0 3 * * *\"`, every day at 03:00".to_owned(),
            ),
        }
    })
}

fn timezone(text: &str) -> Result<(), Complaint> {
    if jiff::tz::TimeZone::get(text).is_ok() {
        return Ok(());
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let near = nearest(text, known.iter().map(String::as_str)).or_else(|| {
        let city = text.replace(' ', "_");
        known
            .iter()
            .map(String::as_str)
            .find(|name| last(name) == last(&city))
    });
    let help = near.map_or_else(
        || "write an IANA name such as `\"Europe/Berlin\"` or `\"UTC\"`".to_owned(),
        |name| format!("write `\"{name}\"`"),
    );
    Err((format!("`{text}` is not a time zone"), help))
}

fn glob(text: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Err((
            "a glob cannot be empty".to_owned(),
            "write one such as `\"src/**/*.js\"`".to_owned(),
        ));
    }
    Glob::new(text).map(drop).map_err(|error| {
        (
            format!("`{text}` is not a glob: {}", error.kind()),
            "write one such as `\"src/**/*.js\"`; `[` and `{` need their closing bracket"
                .to_owned(),
        )
    })
}

/// The text with what an instance fills in replaced by something valid.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        out.push('1');
        let mut open = 0;
        let end = rest[at..].char_indices().find_map(|(i, c)| {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            (c == '}' && open == 0).then_some(at + i + 1)
        });
        rest = end.map_or("", |end| &rest[end..]);
    }
    out.push_str(rest);
    out.replace("{instance}", "1").replace("$$", "$")
}

/// An address that something is sent to. It may hold a password, so it is not repeated.
fn endpoint(text: &str) -> Result<(), Complaint> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        _ => Err((
            "it must be an address that begins with http:// or https://".to_owned(),
            "write one such as `\"http://localhost:3100\"`".to_owned(),
        )),
    }
}

fn url(text: &str) -> Result<(), Complaint> {
    let bad = |why: &str| {
        Err((
            format!("`{text}` is not a URL a probe can ask: {why}"),
            "write one such as `\"http://localhost:8080/health\"`".to_owned(),
        ))
    };
    match reqwest::Url::parse(&filled(text)) {
        Err(error) => {
            if !text.contains("://") && !text.is_empty() {
                return Err((
                    format!("`{text}` is not a URL: it has no scheme"),
                    format!("write `\"http://{text}\"`"),
                ));
            }
            bad(&error.to_string())
        }
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            let scheme = url.scheme().to_owned();
            if url.cannot_be_a_base() {
                return Err((
                    format!("`{text}` is not a URL: it has no scheme"),
                    format!("write `\"http://{text}\"`"),
                ));
            }
            bad(&format!("its scheme is `{scheme}`, not `http` or `https`"))
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => bad("it names no host"),
        Ok(_) => Ok(()),
    }
}

fn method(text: &str) -> Result<(), Complaint> {
    let token = |c: char| c.is_ascii_alphabetic() || c == '-';
    if !text.is_empty() && text.chars().all(token) {
        return Ok(());
    }
    Err((
        format!("`{text}` is not an HTTP method"),
        "write `\"GET\"` or `\"HEAD\"`".to_owned(),
    ))
}

fn port(text: &str) -> Result<(), Complaint> {
    let open = text.contains("${") || text.contains("{instance}");
    if open || text.parse::<u16>().is_ok_and(|port| port > 0) {
        return Ok(());
    }
    Err((
        format!("`{text}` is not a port"),
        "write a number from 1 to 65535, or `\"${PORT}\"`".to_owned(),
    ))
}

fn command(text: &str) -> Result<(), Complaint> {
    if text.trim().is_empty() {
        return Err((
            "the command is empty".to_owned(),
            "write what to run, such as `\"node server.js\"`".to_owned(),
        ));
    }
    if text.contains('\0') {
        return Err((
            "the command holds a NUL character".to_owned(),
            "remove it".to_owned(),
        ));
    }
    Ok(())
}

/// Tokens of `log_date_format`, longest first.
pub(crate) const TIME_TOKENS: [&str; 8] = ["YYYY", "SSS", "MM", "DD", "HH", "mm", "ss", "Z"];

fn time(text: &str) -> Result<(), Complaint> {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(token) = TIME_TOKENS.iter().find(|token| rest.starts_with(**token)) {
            rest = &rest[token.len()..];
        } else if first.is_alphabetic() && first != 'T' {
            let run: String = rest.chars().take_while(|c| *c == first).collect();
            let near = match first {
                'y' | 'Y' => "YYYY",
                'd' | 'D' => "DD",
                'h' | 'H' => "HH",
                'M' => "MM",
                'm' => "mm",
                's' => "ss",
                'S' => "SSS",
                'z' => "Z",
                _ => "",
            };
            let help = if near.is_empty() {
                "the tokens are `YYYY MM DD HH mm ss SSS Z`".to_owned()
            } else {
                format!("write `{near}`; the tokens are `YYYY MM DD HH mm ss SSS Z`")
            };
            return Err((format!("`{run}` is not part of a time format"), help));
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(())
}

fn variable(text: &str) -> Result<(), Complaint> {
    if super::expand::is_variable(text) {
        return Ok(());
    }
    Err((
        format!("`{text}` is not the name of a variable"),
        "write a name of letters, digits and `_`, such as `\"PORT\"`".to_owned(),
    ))
}

/// `22:00-07:00`, or empty for none.
fn hours(text: &str) -> Result<(), Complaint> {
    let clock = |part: &str| {
        let (hour, minute) = part.trim().split_once(':')?;
        let hour: u8 = hour.parse().ok().filter(|hour| *hour < 24)?;
        let minute: u8 = minute.parse().ok().filter(|minute| *minute < 60)?;
        Some((hour, minute))
    };
    let valid = text.is_empty()
        || text
            .split_once('-')
            .is_some_and(|(from, to)| clock(from).is_some() && clock(to).is_some());
    if valid {
        return Ok(());
    }
    Err((
        format!("`{text}` is not a span of the day"),
        "write `\"22:00-07:00\"`, or `\"\"` for none".to_owned(),
    ))
}

/// Hours with their time zone.
fn quiet(text: &str) -> Result<(), Complaint> {
    let (span, zone) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let same = span.split_once('-').is_none_or(|(from, to)| from == to);
    match zone.trim() {
        _ if same || hours(span).is_err() => Err((
            format!("`{span}` is not a span of the day"),
            "write `\"22:00-07:00 Europe/Berlin\"`".to_owned(),
        )),
        "" => Ok(()),
        zone => timezone(zone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_knows_good_from_bad() {
        for (form, good, bad) in [
            (
                "duration",
                vec!["500ms", "1h30m"],
                vec!["10", "", "soon", "-1s"],
            ),
            ("size", vec!["1KB", "2 GB"], vec!["12", "big"]),
            ("memory", vec!["1MB"], vec!["1023KB", "1B"]),
            (
                "signal",
                vec!["SIGTERM", "usr2", "9"],
                vec!["SIGNOPE", "0", "65"],
            ),
            (
                "cron",
                vec![
                    "0 3 * * *",
                    "30 0 3 * * *",
                    "@daily",
                    "*/5 8-18 * * MON-FRI",
                ],
                vec!["60 * * * *", "* * *", "soon", "1 2 3 4 5 6 7"],
            ),
            (
                "capability",
                vec!["CAP_CHOWN", "net_bind_service"],
                vec!["CAP_", "", "root", "10"],
            ),
            (
                "timezone",
                vec!["UTC", "America/New_York"],
                vec!["Mars/Olympus", ""],
            ),
            ("glob", vec!["src/**/*.{js,ts}"], vec!["a[", "", "{a"]),
            (
                "url",
                vec![
                    "http://localhost:${PORT:-${X:-1}}/h",
                    "https://x/{instance}",
                    "http://[::1]:80",
                ],
                vec!["localhost:80", "ftp://x/", "http://", "", "http://x:99999"],
            ),
            ("interval", vec!["1s", "1m"], vec!["999ms", "61s", "5"]),
            ("method", vec!["GET"], vec!["", "GE T"]),
            (
                "port",
                vec!["1", "${PORT}", "80{instance}"],
                vec!["0", "65536", "http"],
            ),
            ("command", vec!["x"], vec!["", "  ", "a\0b"]),
            (
                "time",
                vec!["YYYY-MM-DDTHH:mm:ss.SSSZ", "[HH:mm]", ""],
                vec!["hh:mm", "YY", "YYYY-mm-dd"],
            ),
            ("variable", vec!["PORT", "_a1"], vec!["1A", "", "A-B"]),
            (
                "regex",
                vec!["ready", "port \\d+$"],
                vec!["", "(", "a{2,1}"],
            ),
            (
                "hours",
                vec!["", "22:00-07:00"],
                vec!["22-7", "25:00-07:00"],
            ),
        ] {
            for text in good {
                assert_eq!(check(form, text), Ok(()), "{form} {text}");
            }
            for text in bad {
                assert!(check(form, text).is_err(), "{form} {text}");
            }
            assert!(FORMS.contains(&form) && example(form).is_some());
        }
    }

    #[test]
    fn help_says_what_to_type() {
        let help = |form, text| check(form, text).unwrap_err().1;
        assert!(help("duration", "10").contains("\"10s\""));
        assert!(help("memory", "512").contains("\"512MB\""));
        assert_eq!(
            help("url", "localhost:80/x"),
            "write `\"http://localhost:80/x\"`"
        );
        assert_eq!(
            help("timezone", "America/NewYork"),
            "write `\"America/New_York\"`"
        );
        assert_eq!(help("timezone", "Berlin"), "write `\"Europe/Berlin\"`");
        assert!(help("time", "hh:mm").contains("`HH`"));
    }
}
