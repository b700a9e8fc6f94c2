//! What `[sinks.<name>]` means, checked: names, the keys of each type, what must be there.

use super::{FACILITIES, Facility};
use crate::config::headers;
use crate::config::problem::Problems;
use crate::config::suggest::nearest;
use crate::config::tree::{Entry, Format, Node, Value};
use crate::config::validate;
use crate::ids::MAX_NAME;

const GELF: &[&str] = &["host", "port", "transport", "url"];
const LOKI: &[&str] = &["url", "tenant"];
const ELASTICSEARCH: &[&str] = &["url", "index", "api_key"];
const SYSLOG: &[&str] = &["host", "port", "transport", "facility"];
const HTTP: &[&str] = &["username", "password", "headers"];
const TLS: &[&str] = &["ca_file", "tls_insecure"];
const COMMON: &[&str] = &[
    "type",
    "enabled",
    "processes",
    "level",
    "labels",
    "batch",
    "flush",
    "queue",
    "timeout",
];

/// What the tables mean, checked: names, keys of each type, what must be there.
///
/// `is_public`: others may read the file.
pub(crate) fn check(root: &Node, is_public: bool, problems: &mut Problems) {
    for entry in root.get("sinks").map(Node::entries).unwrap_or_default() {
        name(entry, problems);
        table(entry, problems);
        if is_public {
            let headers = entry.value.get("headers").map(Node::entries);
            let own = entry.value.entries().iter();
            for secret in own.chain(headers.unwrap_or_default()) {
                validate::secret(secret, problems);
            }
        }
    }
}

fn name(entry: &Entry, problems: &mut Problems) {
    let name = &entry.key;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        problems.error(
            &entry.key_span,
            format!("`{name}` cannot be the name of a sink"),
            format!("write 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`"),
        );
    }
}

fn table(entry: &Entry, problems: &mut Problems) {
    let table = &entry.value;
    let text = |key: &str| table.get(key).and_then(Node::text);
    let assign = |key: &str, value: &str| Format::Toml.assign(key, value);
    // Wrong values of these were told already.
    let Some(kind) = text("type") else { return };
    let host = text("host").unwrap_or_default();
    let transport = text("transport").unwrap_or(if host.starts_with('/') { "unix" } else { "udp" });
    let url = text("url").unwrap_or_default();
    let (own, transports): (&[&str], &[&str]) = match kind {
        "gelf" => (GELF, &["udp", "tcp", "http"]),
        "loki" => (LOKI, &[]),
        "elasticsearch" => (ELASTICSEARCH, &[]),
        "syslog" => (SYSLOG, &["udp", "tcp", "tls", "unix"]),
        _ => return,
    };
    let http = match kind {
        "gelf" => transport == "http",
        kind => kind != "syslog",
    };
    let tls = (http && url.starts_with("https:")) || (kind == "syslog" && transport == "tls");
    for given in table.entries() {
        let key = given.key.as_str();
        let of_other = [GELF, LOKI, ELASTICSEARCH, SYSLOG]
            .iter()
            .any(|keys| keys.contains(&key));
        let span = &given.key_span;
        if COMMON.contains(&key) || own.contains(&key) {
        } else if of_other {
            problems.error(
                span,
                format!("a sink of type {kind} has no `{key}`"),
                format!("remove it; it has {}", own.join(", ")),
            );
        } else if HTTP.contains(&key) && !http {
            problems.error(
                span,
                format!("`{key}` has no effect, since this sink does not speak HTTP"),
                "remove it",
            );
        } else if TLS.contains(&key) && !tls {
            problems.error(
                span,
                format!("`{key}` has no effect, since this sink is not encrypted"),
                match kind {
                    "syslog" => "add `transport = \"tls\"`, or remove it",
                    _ => "write an address that begins with `https://`, or remove it",
                },
            );
        }
    }
    if let Some(given) = table.entry("transport")
        && let Some(text) = given.value.text()
        && !transports.is_empty()
        && !transports.contains(&text)
    {
        problems.error(
            &given.value.span,
            format!("a sink of type {kind} has no transport `{text}`"),
            format!("write one of {}", transports.join(", ")),
        );
    }
    let missing = match kind {
        "gelf" if transport == "http" => {
            (host.is_empty() && url.is_empty()).then(|| assign("host", "\"logs.example.com\""))
        }
        "gelf" => host
            .is_empty()
            .then(|| assign("host", "\"logs.example.com\"")),
        "loki" => url
            .is_empty()
            .then(|| assign("url", "\"http://localhost:3100\"")),
        "elasticsearch" => url
            .is_empty()
            .then(|| assign("url", "\"http://localhost:9200\"")),
        _ => None,
    };
    if let Some(example) = missing {
        let key = example.split(' ').next().unwrap_or_default();
        problems.error(
            &entry.key_span,
            format!("`sinks.{}` has no `{key}`", entry.key),
            format!("add `{example}`"),
        );
    }
    if kind == "gelf"
        && transport != "http"
        && let Some(given) = table.entry("url")
    {
        problems.error(
            &given.key_span,
            format!("`url` has no effect over {transport}"),
            "add `transport = \"http\"`, or write `host` and `port`",
        );
    }
    if kind == "syslog"
        && transport == "unix"
        && !host.starts_with('/')
        && let Some(given) = table.entry("transport").or(table.entry("host"))
    {
        problems.error(
            &given.value.span,
            "a socket file needs its path",
            "write `host = \"/dev/log\"`",
        );
    }
    values(entry, problems);
}

fn values(entry: &Entry, problems: &mut Problems) {
    let table = &entry.value;
    if let Some(node) = table.get("facility")
        && let Some(text) = node.text()
        && Facility::Name(text.to_owned()).number().is_none()
    {
        let near = nearest(text, FACILITIES).unwrap_or("local0");
        problems.error(
            &node.span,
            format!("`{text}` is not a facility"),
            format!("write a name such as `\"{near}\"`, or a number from 0 to 23"),
        );
    }
    headers::check(table.get("headers"), problems);
    for key in ["flush", "timeout"] {
        if let Some(node) = table.get(key)
            && let Some(text) = node.text()
            && crate::units::parse_duration(text).is_ok_and(|time| time.is_zero())
        {
            problems.error(
                &node.span,
                format!("`{key}` is zero"),
                format!("write `{key} = \"1s\"`"),
            );
        }
    }
    if let (Some(Value::Integer(batch)), Some(Value::Integer(queue))) = (
        table.get("batch").map(|node| &node.value),
        table.get("queue").map(|node| &node.value),
    ) && batch > queue
        && let Some(node) = table.get("batch")
    {
        problems.error(
            &node.span,
            format!("`batch` is {batch}, but the queue holds only {queue} lines"),
            format!("write `batch = {queue}` or less"),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use crate::config::{DaemonConfig, Transport};
    use crate::logs::Level;
    use crate::secret::Secret;

    fn load(text: &str) -> Result<DaemonConfig, Vec<(usize, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, private).unwrap();
        DaemonConfig::load_with(&file, &BTreeMap::new())
            .map(|(config, _)| config)
            .map_err(|error| {
                let problems = error.problems().iter();
                problems.map(|p| (p.line, p.message.clone())).collect()
            })
    }

    #[test]
    fn the_documented_sinks_are_read() {
        let text = r#"
[sinks.graylog]
type = "gelf"
host = "logs.example.com"
port = 12201
[sinks.loki]
type = "loki"
url = "http://localhost:3100"
level = "warn"
labels = { env = "prod" }
[sinks.elastic]
type = "elasticsearch"
url = "https://localhost:9200"
index = "mhost-logs"
api_key = "c2VjcmV0"
ca_file = "/etc/ca.pem"
[sinks.syslog]
type = "syslog"
facility = "local3"
[sinks.local]
type = "syslog"
host = "/dev/log"
facility = 4
"#;
        let config = load(text).unwrap();
        assert_eq!(config.sinks.len(), 5);
        assert_eq!(config.sinks["loki"].level, Some(Level::Warn));
        assert_eq!(config.sinks["graylog"].transport(), Transport::Udp);
        assert_eq!(config.sinks["local"].transport(), Transport::Unix);
        let number = |name: &str| config.sinks[name].facility.as_ref().unwrap().number();
        assert_eq!((number("syslog"), number("local")), (Some(19), Some(4)));
        let shown = format!("{:?}", config.sinks["elastic"]);
        let written = serde_json::to_string(&config.sinks["elastic"]).unwrap();
        assert!(!shown.contains("c2VjcmV0") && !written.contains("c2VjcmV0"));
        assert_eq!(
            config.sinks["elastic"].secrets(),
            [Secret::from("c2VjcmV0")]
        );
    }

    #[test]
    fn everything_wrong_is_told_with_its_line() {
        let text = r#"
[sinks.a]
type = "loki"
[sinks."b c"]
type = "syslog"
password = "hunter22"
facility = "locla0"
[sinks.c]
type = "gelf"
host = "h"
transport = "tls"
index = "x"
[sinks.d]
type = "elasticsearch"
url = "http://e:9200"
tls_insecure = true
headers = { "a b" = "c" }
flush = "0s"
batch = 20
queue = 10
[sinks.e]
type = "kafka"
[sinks.f]
type = "syslog"
transport = "unix"
"#;
        let problems = load(text).unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|p| p.0).collect();
        assert_eq!(
            lines,
            [2, 4, 6, 7, 11, 12, 16, 17, 18, 19, 22, 25],
            "{problems:?}"
        );
        assert!(problems.iter().all(|p| !p.1.contains("hunter22")));
    }

    #[test]
    fn an_address_is_not_repeated_and_public_secrets_are_told() {
        let problems = load("[sinks.a]\ntype = \"loki\"\nurl = \"loki://u:hunter22@l\"\n");
        let problems = problems.unwrap_err();
        assert_eq!(problems[0].0, 3);
        assert!(!problems[0].1.contains("hunter22"), "{problems:?}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let text = "[sinks.a]\ntype = \"loki\"\nurl = \"http://l\"\nusername = \"u\"\npassword = \"hunter22\"\n";
        std::fs::write(&file, text).unwrap();
        for (mode, expected) in [(0o644, vec![5]), (0o600, vec![])] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&file, mode).unwrap();
            let (_, warnings) = DaemonConfig::load_with(&file, &BTreeMap::new()).unwrap();
            let lines: Vec<usize> = warnings.iter().map(|problem| problem.line).collect();
            assert_eq!(lines, expected);
        }
    }
}
