//! What a line names: files, addresses, ports, pids, variables, modules, things worked on.
//!
//! These are the shapes in which runtimes and the C library write, not words of any one
//! program. What is found here is a suspicion; the facts are asked before anything is claimed.

use std::sync::LazyLock;

use regex::Regex;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant")
}

/// First group that took part of the first pattern that matches.
fn first(patterns: &[Regex], text: &str) -> Option<String> {
    patterns.iter().find_map(|pattern| {
        let found = pattern.captures(text)?;
        found
            .iter()
            .skip(1)
            .flatten()
            .map(|group| group.as_str().trim())
            .find(|group| !group.is_empty())
            .map(str::to_owned)
    })
}

/// Texts in quotes of any kind.
pub(crate) fn quoted(text: &str) -> Vec<String> {
    static QUOTED: LazyLock<Regex> =
        LazyLock::new(|| regex(r#"'([^'\n]{1,200})'|"([^"\n]{1,200})"|`([^`\n]{1,200})`"#));
    QUOTED
        .captures_iter(text)
        .filter_map(|found| {
            let group = found.iter().skip(1).flatten().next()?;
            Some(group.as_str().to_owned())
        })
        .collect()
}

/// Files a text names, in order: with a folder in front or with an ending, no addresses.
pub(crate) fn paths(text: &str) -> Vec<String> {
    static PATH: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r#"(?:^|[\s'"`(=\[:,<])((?:~|\.{1,2})?/?(?:[\w.@+-]+/)+[\w.@+-]+|\.?[\w@+-]+(?:\.[\w-]+)*\.(?:json|jsonc|toml|ya?ml|ini|conf|cfg|env|xml|csv|txt|log|lock|pid|sock|db|sqlite3?|pem|crt|key|js|mjs|cjs|ts|py|rb|jar|so|sh|bin|dat|data|idx|index|cache|tmp|properties|wal|gz|zip|tar|html|sql|proto)|\.env(?:\.\w+)?)(?:$|[\s'"`),;:\]>])"#,
        )
    });
    let mut all: Vec<String> = Vec::new();
    let mut at = 0;
    // Neighbours share their separator, so matching goes on behind the name.
    while let Some(found) = text.get(at..).and_then(|rest| PATH.captures(rest)) {
        let Some(name) = found.get(1) else { break };
        let path = name.as_str().trim_end_matches(['.', ':']).to_owned();
        at += name.end();
        let is_url = text[..at].trim_end_matches(&path).ends_with("//");
        if !is_url && !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

/// The file an error of the system is about: `open 'x'`, `x: Permission denied`.
pub(crate) fn error_path(text: &str) -> Option<String> {
    static BEFORE: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [
            // The shell, ls, go, ruby, java: the name stands before the words.
            regex(
                r"(?:^|[\s:(])((?:~|\.{0,2})?/?[\w.@+-]+(?:/[\w.@+-]+)*):? \(?(?:[Nn]o such file|[Pp]ermission denied|[Nn]ot a directory|[Ii]s a directory|cannot execute|command not found|not found$|Read-only file)",
            ),
            // node, python, ruby, rust: behind the words.
            regex(
                r#"(?:(?:rb_sysopen -|open|scandir|stat|lstat|access|mkdir|unlink|spawn|execvp?|rename|read|rb_sysopen|directory|denied|found|exist|file)[:,@ -]*)['"“]?((?:~|\.{1,2})?/?[\w.@+-]*(?:/[\w.@+-]+)+|[\w@+-]+\.[\w.-]+)"#,
            ),
        ]
    });
    quoted(text)
        .into_iter()
        .find(|name| {
            !name.contains(char::is_whitespace) && (name.contains('/') || name.contains('.'))
        })
        .or_else(|| {
            static RUBY: LazyLock<Regex> = LazyLock::new(|| regex(r"@ \w+ - (\S+)"));
            RUBY.captures(text).map(|found| found[1].to_owned())
        })
        .or_else(|| first(&*BEFORE, text))
        .or_else(|| paths(text).into_iter().next())
        .map(|path| path.trim_end_matches(['.', ':', ',']).to_owned())
        .filter(|path| path.len() > 1)
}

/// The module or package an import error is about.
pub(crate) fn module(text: &str) -> Option<String> {
    static NAMES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r#"(?:Cannot find|Could not find|no required) (?:module|package|crate)\s+(?:providing package )?['"`]?([^'"`\s,;]+)"#,
            r#"No module named ['"]?([^'"\s;]+)"#,
            r#"cannot import name ['"]([^'"]+)['"]"#,
            r"cannot load such file -- (\S+)",
            r#"Could not find (?:gem )?['"]?([\w-]+)"#,
            r"(?:ClassNotFoundException|NoClassDefFoundError): ([\w./$]+)",
            r"error while loading shared libraries: ([^\s:]+)",
            r#"Class ["']?([\w\\]+)["']? not found"#,
            r"(\S+\.so[\d.]*): cannot open shared object file",
            r"Can't locate (\S+) in @INC",
            r"Could not load file or assembly '([^',]+)",
        ]
        .iter()
        .map(|pattern| regex(pattern))
        .collect()
    });
    first(&NAMES, text)
}

/// The variables that a text says are missing: the first that one of the usual shapes names,
/// with those that stand beside it in a list.
pub(crate) fn variables(text: &str) -> Vec<String> {
    static LIST: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+(?:(?:, | and |, and )[A-Z][A-Z0-9]*_[A-Z0-9_]+)+")
    });
    let Some(first) = variable(text) else {
        return Vec::new();
    };
    let list = LIST
        .find_iter(text)
        .find(|list| list.as_str().contains(&first));
    list.map_or_else(
        || vec![first.clone()],
        |list| {
            let names = list.as_str().split([',', ' ']);
            names
                .filter(|name| name.contains('_'))
                .map(str::to_owned)
                .collect()
        },
    )
}

/// The variable that a line of source reads.
pub(crate) fn read_variable(source: &str) -> Option<String> {
    static READS: LazyLock<[Regex; 1]> = LazyLock::new(|| {
        [regex(
            r#"(?:process\.env(?:\.|\[['"])|environ(?:\.get\(|\[)['"]|[gG]et[eE]nv\(['"]|LookupEnv\("|env::var(?:_os)?\("|\$?ENV(?:\.fetch\(|\[|\{)['"]?|\$\{)([A-Za-z_][A-Za-z0-9_]+)"#,
        )]
    });
    first(&*READS, source)
}

/// The variable that is missing.
pub(crate) fn variable(text: &str) -> Option<String> {
    static NAMES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r#"KeyError: ['"]([A-Z][A-Z0-9_]+)['"]"#,
            r"placeholder '([\w.]+)'",
            r"(?:line )?\d+: ([A-Z][A-Z0-9_]{2,}): ",
            r"required key (\w+) missing",
            // Settings of a class: the field stands on a line of its own.
            r"\n(\w+)\n\s+Field required",
            r#"key not found: "([A-Z][A-Z0-9_]+)""#,
            r"(?i:environment variable|env(?:ironment)? var(?:iable)?|variable|env)\S* [`'\x22]?\$?([A-Z][A-Z0-9_]{2,})",
            r"[`'\x22]?\$?\b([A-Z][A-Z0-9_]{2,})[`'\x22]? (?:is|was|are|were|must be|has to be|needs to be|must not be|environment)?\s*(?:not (?:set|defined|found|provided|specified|given|configured|be empty)|unset|required|missing|undefined|empty|set\b|unbound)",
            r"\b([A-Z][A-Z0-9_]{2,}): (?:unbound variable|parameter (?:null or )?not set)",
            r"(?i:missing|required|unset|undefined|set|provide|need)[^A-Z\n]{0,24}[`'\x22]?\$?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)",
        ]
        .iter()
        .map(|pattern| regex(pattern))
        .collect()
    });
    first(&NAMES, text)
}

/// Addresses a text names: host and port.
pub fn addresses(text: &str) -> Vec<(String, u16)> {
    static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?:^|[\s/@'\x22(=,\[])((?:[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9])?)|(?:\[[0-9a-fA-F:]+\])|::1):(\d{1,5})\b",
        )
    });
    // curl, rsync, nc: `to db.internal port 5432`.
    static APART: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:to|host|at|server|on) \x22?([\w-]+(?:\.[\w-]+)*)\x22?(?: \([\d.]+\))?,? (?:on )?(?:TCP/IP )?port:? (\d{2,5})\b",
        )
    });
    let mut all = Vec::new();
    for found in ADDRESS.captures_iter(text).chain(APART.captures_iter(text)) {
        let host = found[1].trim_matches(['[', ']']).to_owned();
        let Ok(port) = found[2].parse::<u16>() else {
            continue;
        };
        // `worker.js:42` and `12:30:05` are no addresses.
        let clock = host.chars().all(|c| c.is_ascii_digit());
        let file = [
            ".js", ".ts", ".py", ".rb", ".go", ".rs", ".java", ".php", ".mjs", ".cjs", ".c", ".sh",
        ]
        .iter()
        .any(|ending| host.ends_with(ending));
        let known = all.iter().any(|(h, p)| *h == host && *p == port);
        // `timers:581:17` is a place in a source.
        let rest = found.get(2).map_or("", |port| &text[port.end()..]);
        let place = rest
            .strip_prefix(':')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if !clock && !file && !place && port > 0 && !known {
            all.push((host, port));
        }
    }
    all
}

/// The port an error about listening is about.
pub(crate) fn port(text: &str) -> Option<u16> {
    static PORT: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r"(?i)\bport[ =:#]*(\d{2,5})\b",
            r"(?:\d|\]|\*|:|localhost|[A-Za-z]):(\d{2,5})\b",
            r"(?i)\b(?:on|to|bind(?:ing)?|listen(?:ing|er)?|address)[ =:#]+(\d{3,5})\b",
            r"['\x22],? ?(\d{2,5})\)",
        ]
        .iter()
        .map(|pattern| regex(pattern))
        .collect()
    });
    first(&PORT, text).and_then(|port| port.parse().ok())
}

/// The host name that cannot be resolved.
pub(crate) fn host(text: &str) -> Option<String> {
    static HOST: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r"(?:ENOTFOUND|EAI_AGAIN|EAI_NONAME)\s+([\w.-]+)",
            r"lookup ([\w.-]+)",
            r"(?i)(?:resolve|resolving|translate)(?: the)?(?: host(?: ?name)?)?:? ['\x22]?([\w-]+(?:\.[\w-]+)*)",
            r"UnknownHostException: ([\w.-]+)",
            r"(?i)host(?: ?name)? ['\x22]?([\w-]+(?:\.[\w-]+)+|[\w]+-[\w-]+)",
            r"(?i)([\w-]+(?:\.[\w-]+)*): (?:Temporary failure in name|Name or service not known|nodename nor servname)",
            r"host='([\w.-]+)'",
            r"https?://([\w.-]+)",
        ]
        .iter()
        .map(|pattern| regex(pattern))
        .collect()
    });
    first(&HOST, text).filter(|host| host.parse::<std::net::IpAddr>().is_err())
}

/// The pid a text about a lock names.
pub(crate) fn pid(text: &str) -> Option<i32> {
    static PID: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)\b(?:pid|process(?: id)?)[ =:#(]*(\d{1,7})\b"));
    PID.captures(text)?.get(1)?.as_str().parse().ok()
}

/// Things a worker names while it works: an item, a file, a message, with a number or an
/// ending in it.
pub(crate) fn items(text: &str) -> Vec<String> {
    static ITEM: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"[A-Za-z_][\w.-]*/[\w./-]*\d[\w.-]*|[\w-]+\.(?:json|csv|xml|txt|msg|eml|pdf|png|jpe?g|dat|bin|parquet|gz)\b|\b[A-Za-z]{2,}[-_#]\d+[\w-]*|#\d+\b|\b(?:id|key|offset|row|line|job|order|message|msg|item|record|task|batch)[ =:#]+[\w-]*\d[\w-]*|\b[0-9a-f]{8}-[0-9a-f-]{27}\b",
        )
    });
    let mut all: Vec<String> = Vec::new();
    for found in ITEM.find_iter(text) {
        let item = found.as_str().to_owned();
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all
}

/// A number that belongs to one of these words: `backlog=120`, `queue depth is 120`,
/// `120 jobs waiting`.
pub(crate) fn number_after(text: &str, words: &Regex) -> Option<f64> {
    static NEXT: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"^(?: (?:depth|length|size|is|at|of|now|count|total))*\s?[:=]?\s?(\d+(?:\.\d+)?)")
    });
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| regex(r"(\d+(?:\.\d+)?) (?:\w+ ){0,2}$"));
    static NEAR: LazyLock<Regex> = LazyLock::new(|| regex(r"^[^\d\n]{0,20}?(\d+(?:\.\d+)?)"));
    let found = words.find(text)?;
    let (head, tail) = (&text[..found.start()], &text[found.end()..]);
    NEXT.captures(tail)
        .or_else(|| BEFORE.captures(head))
        .or_else(|| NEAR.captures(tail))
        .and_then(|number| number[1].parse().ok())
}

/// Years in dates a text names.
pub(crate) fn years(text: &str) -> Vec<i32> {
    static YEAR: LazyLock<Regex> = LazyLock::new(|| regex(r"\b((?:19|20)\d\d)-\d\d-\d\d"));
    YEAR.captures_iter(text)
        .filter_map(|found| found[1].parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_name_modules() {
        for (line, name) in [
            ("Error: Cannot find module 'left-pad'", "left-pad"),
            (
                "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'chalk' imported from /srv/a.mjs",
                "chalk",
            ),
            ("ModuleNotFoundError: No module named 'yaml'", "yaml"),
            (
                "<internal:kernel>:37:in `require': cannot load such file -- sinatra (LoadError)",
                "sinatra",
            ),
            (
                "Exception in thread \"main\" java.lang.NoClassDefFoundError: org/slf4j/Logger",
                "org/slf4j/Logger",
            ),
            (
                "./app: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory",
                "libpq.so.5",
            ),
        ] {
            assert_eq!(module(line).as_deref(), Some(name), "{line}");
        }
    }

    #[test]
    fn languages_name_variables() {
        for (line, name) in [
            ("KeyError: 'DATABASE_URL'", "DATABASE_URL"),
            (
                "Error: environment variable API_TOKEN is required",
                "API_TOKEN",
            ),
            ("start.sh: line 3: DATA_DIR: unbound variable", "DATA_DIR"),
            ("panic: SMTP_HOST must be set", "SMTP_HOST"),
            (
                "config error: missing required env PORT_NUMBER",
                "PORT_NUMBER",
            ),
            (
                "fetch': key not found: \"REDIS_URL\" (KeyError)",
                "REDIS_URL",
            ),
        ] {
            assert_eq!(variable(line).as_deref(), Some(name), "{line}");
        }
    }

    #[test]
    fn systems_name_files() {
        for (line, name) in [
            (
                "FileNotFoundError: [Errno 2] No such file or directory: 'conf/routes.json'",
                "conf/routes.json",
            ),
            (
                "Error: ENOENT: no such file or directory, open '/etc/app.conf'",
                "/etc/app.conf",
            ),
            (
                "start.sh: line 2: ./bin/server: Permission denied",
                "./bin/server",
            ),
            (
                "open /var/lib/x/data.db: permission denied",
                "/var/lib/x/data.db",
            ),
            (
                "java.io.FileNotFoundException: conf/app.properties (No such file or directory)",
                "conf/app.properties",
            ),
            (
                "Errno::ENOENT: No such file or directory @ rb_sysopen - config/db.yml",
                "config/db.yml",
            ),
            ("bash: run-worker: command not found", "run-worker"),
        ] {
            assert_eq!(error_path(line).as_deref(), Some(name), "{line}");
        }
        assert_eq!(
            paths("FATAL lock file /srv/run/api.lock exists"),
            ["/srv/run/api.lock"]
        );
        assert!(paths("see the manual").is_empty());
    }

    #[test]
    fn addresses_and_ports() {
        assert_eq!(
            addresses("connect ECONNREFUSED 127.0.0.1:5432"),
            [("127.0.0.1".to_owned(), 5432)]
        );
        assert_eq!(
            addresses("dial tcp [::1]:6379: connect: connection refused"),
            [("::1".to_owned(), 6379)]
        );
        assert_eq!(
            addresses("amqp://guest@rabbit:5672/ at 12:30:05 worker.js:42"),
            [("rabbit".to_owned(), 5672)]
        );
        assert_eq!(
            port("listen EADDRINUSE: address already in use :::8080"),
            Some(8080)
        );
        assert_eq!(port("Port 3000 is already in use"), Some(3000));
        assert_eq!(port("bind: ('0.0.0.0', 9090) in use"), Some(9090));
        assert_eq!(
            host("getaddrinfo ENOTFOUND db.internal").as_deref(),
            Some("db.internal")
        );
        assert_eq!(
            host("dial tcp: lookup cache on 127.0.0.53:53: no such host").as_deref(),
            Some("cache")
        );
        assert_eq!(pid("held by pid 17; refusing"), Some(17));
    }

    #[test]
    fn workers_name_items() {
        assert_eq!(items("processing queue/0007.json"), ["queue/0007.json"]);
        assert_eq!(items("taking ORDER-17 now"), ["ORDER-17"]);
        assert!(items("listening on all interfaces").is_empty());
        let words = Regex::new("(?i)backlog|queue").unwrap();
        assert_eq!(number_after("backlog=120 files", &words), Some(120.0));
        assert_eq!(number_after("42 jobs in queue", &words), Some(42.0));
        assert_eq!(
            number_after("queue depth is 7, 2 workers", &words),
            Some(7.0)
        );
    }
}
