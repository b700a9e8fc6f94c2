//! How many planted secrets are found, and how much that is none is left alone.
//!
//! The corpus is `tests/fixtures/secrets`: shapes of secrets as their makers describe them, and
//! lines of logs to plant them in. It knows nothing of how they are looked for. Figures are
//! printed: `cargo test --workspace --test redaction -- --nocapture`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_macros, reason = "it prints figures")]

use std::path::Path;

use brain::redact::{RedactOptions, Redactor};
use supervisor::secret::Secret;

/// Bytes of a secret of which none may be left in a row.
const LEFT: usize = 12;

fn corpus(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/secrets");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The same dice every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % most
    }

    fn letters(&mut self, class: &str, count: usize) -> String {
        const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
        const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const DIGIT: &str = "0123456789";
        let from: String = match class {
            "lower" => LOWER.to_owned(),
            "upper" => UPPER.to_owned(),
            "alpha" => format!("{LOWER}{UPPER}"),
            "digit" => DIGIT.to_owned(),
            "alnum" => format!("{LOWER}{UPPER}{DIGIT}"),
            "low" => format!("{LOWER}{DIGIT}"),
            "hex" => format!("{DIGIT}abcdef"),
            "HEX" => format!("{DIGIT}ABCDEF"),
            "base32" => format!("{UPPER}234567"),
            "bech32" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_owned(),
            "b64" => format!("{LOWER}{UPPER}{DIGIT}+/"),
            "url" => format!("{LOWER}{UPPER}{DIGIT}-_"),
            other => panic!("no class {other}"),
        };
        let from = from.as_bytes();
        loop {
            let text: String = (0..count)
                .map(|_| char::from(from[self.below(from.len())]))
                .collect();
            // A token ends in a letter or digit, or the line around it decides where it ends.
            if !text.ends_with(['-', '_', '+', '/']) && !text.starts_with(['-', '_', '+', '/']) {
                return text;
            }
        }
    }

    /// A secret of a shape, and its pieces that nobody may see.
    fn secret(&mut self, shape: &str) -> (String, Vec<String>) {
        let (mut text, mut pieces) = (String::new(), Vec::new());
        let mut rest = shape;
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, after) = after.split_once('}').unwrap();
            let (count, class) = inner.split_once(':').unwrap();
            let piece = self.letters(class, count.parse().unwrap());
            text.push_str(&plain(before));
            text.push_str(&piece);
            pieces.push(piece);
            rest = after;
        }
        text.push_str(&plain(rest));
        (text, pieces)
    }
}

/// Without the gaps of a shape; two of them are the letter.
fn plain(shape: &str) -> String {
    let parts: Vec<String> = shape
        .split("~~")
        .map(|part| part.replace('~', ""))
        .collect();
    parts.join("~")
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let all = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            text.push(if place > three.len() {
                '='
            } else {
                char::from(LETTERS[(all >> (18 - 6 * place) & 63) as usize])
            });
        }
    }
    text
}

fn url(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn split(text: &str, joint: &str) -> String {
    let middle = text.len() / 2;
    format!("{}{joint}{}", &text[..middle], &text[middle..])
}

/// What was drawn by dice in each half of a secret: none of it may be left.
fn halved(secret: &str, pieces: &[String]) -> Vec<String> {
    let (middle, mut at) = (secret.len() / 2, 0);
    let mut halves = Vec::new();
    for piece in pieces {
        // The number of an account beside a secret is none.
        let is_number = piece.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && pieces.len() > 1 {
            continue;
        }
        let from = at + secret[at..].find(piece.as_str()).unwrap();
        at = from + piece.len();
        let cut = middle.clamp(from, at);
        halves.extend([secret[from..cut].to_owned(), secret[cut..at].to_owned()]);
    }
    halves
}

/// Is any stretch of these pieces left?
fn leaks(hidden: &str, pieces: &[String]) -> bool {
    pieces.iter().any(|piece| {
        piece.len() >= LEFT
            && (0..=piece.len() - LEFT).any(|at| hidden.contains(&piece[at..at + LEFT]))
    })
}

#[derive(Default)]
struct Tally {
    planted: usize,
    found: usize,
    missed: Vec<String>,
}

impl Tally {
    fn count(&mut self, found: bool, line: impl FnOnce() -> String) {
        self.planted += 1;
        self.found += usize::from(found);
        if !found && self.missed.len() < 40 {
            self.missed.push(line());
        }
    }

    fn recall(&self) -> f64 {
        self.found as f64 * 100.0 / self.planted as f64
    }
}

/// At least 99.5 % of planted secrets that nobody told of are found, by form, name or chance.
#[test]
fn unknown_secrets_are_found() {
    let carriers = corpus("carriers.txt");
    let redactor = Redactor::new([], RedactOptions::default());
    let mut dice = Dice(7);
    let mut forms: Vec<(&str, Tally)> = ["as it is", "in a URL", "in base64", "in two pieces"]
        .map(|name| (name, Tally::default()))
        .into();
    let mut kinds = std::collections::BTreeSet::new();
    for line in corpus("shapes.txt") {
        let (kind, shape) = line.split_once(' ').unwrap();
        kinds.insert(kind.to_owned());
        for carrier in &carriers {
            let (secret, pieces) = dice.secret(shape);
            let mut plant = |form: usize, planted: String, carrier: &str, pieces: &[String]| {
                let line = carrier.replace("{}", &planted);
                let hidden = redactor.redact(&line);
                let found = !leaks(&hidden, pieces);
                forms[form]
                    .1
                    .count(found, || format!("{kind}: {line} → {hidden}"));
                if found && hidden != redactor.redact(&hidden) {
                    panic!("redacted twice: {hidden}");
                }
            };
            plant(0, secret.clone(), carrier, &pieces);
            plant(1, url(&secret), carrier, &pieces);
            let coded = base64(secret.as_bytes());
            plant(2, coded.clone(), carrier, &[coded]);
            if !carrier.contains(['\'', '"', '`', '\\']) {
                let (one, other) = ("\" + \"", "''");
                let joint = if dice.below(2) == 0 { one } else { other };
                let quote = &joint[..1];
                let planted = format!("{quote}{}{quote}", split(&secret, joint));
                plant(3, planted, carrier, &halved(&secret, &pieces));
            }
        }
    }
    assert!(kinds.len() >= 40, "{} kinds", kinds.len());
    let mut low = Vec::new();
    let (mut planted, mut found) = (0, 0);
    for (name, tally) in &forms {
        println!(
            "{name}: {} of {} planted secrets found, {:.2} %",
            tally.found,
            tally.planted,
            tally.recall()
        );
        planted += tally.planted;
        found += tally.found;
        if tally.recall() < 99.5 {
            low.push(format!(
                "{name}: {:.2} %\n  {}",
                tally.recall(),
                tally.missed.join("\n  ")
            ));
        }
    }
    println!(
        "together: {found} of {planted}, {:.3} %, {} kinds",
        found as f64 * 100.0 / planted as f64,
        kinds.len()
    );
    assert!(low.is_empty(), "{}", low.join("\n"));
}

/// Values that are known are found always, in every form in which programs print them.
#[test]
fn known_values_are_always_found() {
    let mut dice = Dice(11);
    let mut values: Vec<String> = [
        "hunter22",
        "correct horse battery",
        "p@ss/w0rd+&=?",
        "quote\"and'both\\",
        "Grüße-2026",
        "<tag>&amp",
        "plainword",
        "100%sure!",
    ]
    .map(str::to_owned)
    .into();
    for class in ["lower", "alnum", "hex", "b64", "digit", "url"] {
        for length in [8, 12, 24, 43] {
            values.push(dice.letters(class, length));
        }
    }
    let redactor = Redactor::new(
        values.iter().map(|value| Secret::from(value.as_str())),
        RedactOptions::default(),
    );
    let carriers = corpus("carriers.txt");
    let mut tally = Tally::default();
    for value in &values {
        let json = serde_json::to_string(value).unwrap();
        let mut forms = vec![
            value.clone(),
            url(value),
            url(value).to_lowercase().replace("%2f", "/"),
            json.trim_matches('"').to_owned(),
            value.replace('\'', "'\\''"),
            value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ];
        forms.retain(|form| !form.contains("%2") || *form != value.to_lowercase());
        // Lower case is another value, unless only the digits of its escapes changed.
        forms.remove(2);
        for shift in ["", "x", "xy", "user:"] {
            forms.push(base64(format!("{shift}{value}").as_bytes()));
            forms.push(base64(format!("{shift}{value} and more").as_bytes()));
        }
        for form in &forms {
            for carrier in &carriers {
                let line = carrier.replace("{}", form);
                let hidden = redactor.redact(&line);
                let gone = !hidden.contains(form.as_str()) && hidden.contains("«redacted:");
                tally.count(gone, || format!("{line} → {hidden}"));
                assert_eq!(hidden, redactor.redact(&hidden), "redacted twice");
            }
        }
        if value.is_ascii() {
            for joint in ["\" + \"", "''", "\\\n  "] {
                let (quote, _) = joint.split_at(1);
                let quote = if quote == "\\" { "" } else { quote };
                let line = format!("key = {quote}{}{quote}", split(value, joint));
                let hidden = redactor.redact(&line);
                let half = &value[value.len() / 2..];
                tally.count(!hidden.contains(half), || format!("{line} → {hidden}"));
            }
        }
    }
    println!("known values: {} of {} found", tally.found, tally.planted);
    assert!(tally.missed.is_empty(), "{}", tally.missed.join("\n"));
}

/// What looks like a secret and is none stays.
#[test]
fn what_is_none_stays() {
    let redactor = Redactor::new([], RedactOptions::default());
    let lines = corpus("clean.txt");
    let wrong: Vec<String> = lines
        .iter()
        .map(|line| (line, redactor.redact(line)))
        .filter(|(line, hidden)| *line != hidden)
        .map(|(line, hidden)| format!("{line}\n    → {hidden}"))
        .collect();
    println!(
        "clean lines: {} of {} left alone",
        lines.len() - wrong.len(),
        lines.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in [
        "Cargo.lock",
        "README.md",
        "docs/config.md",
        "docs/benchmarks.md",
        "docs/mhost.schema.json",
    ] {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        let hidden = redactor.redact(&text);
        let marks = hidden.matches("«redacted:").count();
        println!("{name}: {marks} marks in {} bytes", text.len());
        let place = hidden.find("«redacted:").unwrap_or(0);
        let around: String = hidden
            .chars()
            .skip(hidden[..place].chars().count().saturating_sub(80))
            .take(160)
            .collect();
        assert!(marks <= text.len() / 20_000, "{name}: {around}");
    }
}

/// How fast it is, in this build.
#[test]
fn it_takes_its_time() {
    let redactor = Redactor::new(
        (0..50).map(|n| Secret::from(format!("known-value-{n:04}"))),
        RedactOptions::default(),
    );
    let lines = corpus("clean.txt");
    let mut text = String::new();
    while text.len() < 1 << 20 {
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
    }
    let clock = supervisor::Clock::system();
    let begun = clock.now();
    let hidden = redactor.redact(&text);
    let took = supervisor::until(begun, clock.now()).as_secs_f64();
    println!(
        "{:.1} MB/s over {} bytes",
        text.len() as f64 / took / 1e6,
        text.len()
    );
    assert_eq!(hidden.len(), text.len());
}
