//! Runs what the README shows: a snippet that does not work is a bug.
//!
//! In a `console` block, lines that begin with `$ ` are run and the lines below are what they
//! must print. Figures that are different each time (pids, sizes, times) are compared as
//! figures, and `…` stands for anything.

use std::path::Path;

use assert_cmd::Command;

/// The two set-up commands, which whoever runs this test has run already.
const SET_UP: [&str; 2] = [
    "cargo run --locked -- demo",
    "cargo test --workspace --locked",
];

#[derive(Debug)]
struct Step {
    command: String,
    wanted: Vec<String>,
}

fn readme() -> String {
    page("README.md")
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("the page")
}

/// The commands of all console blocks with what they print.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (line, inside) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, false) => {}
            (line, true) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step {
                    command: command.to_owned(),
                    wanted: Vec::new(),
                }),
                (None, Some(step)) => step.wanted.push(line.to_owned()),
                (None, None) => panic!("a console block begins with a command: {line}"),
            },
        }
    }
    steps
}

/// The line with one space between words and `#` for each run of figures.
fn shape(line: &str) -> String {
    let figure = |word: &str| {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
        word == "—"
            || (!digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let word = if figure(word) { "#" } else { word };
        if !(word == "#" && words.last() == Some(&"#")) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Does the printed line look like the one in the README?
fn looks_like(printed: &str, wanted: &str) -> bool {
    let printed = shape(printed);
    let wanted = shape(wanted);
    let mut parts = wanted.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first.trim_end()) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let part = part.trim();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    last.is_some_and(str::is_empty) || rest.trim().is_empty()
}

/// A daemon that is ended when the test ends, however it ends.
struct Home(tempfile::TempDir);

impl Home {
    fn shell(&self, command: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_mhost"));
        let folder = binary.parent().expect("a folder");
        let mut shell = Command::new("bash");
        shell
            .args(["-c", command])
            .current_dir(self.0.path())
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()),
            )
            .env("HOME", self.0.path())
            .env("MHOST_HOME", self.0.path().join("m"))
            .env("NO_COLOR", "1")
            .env("COLUMNS", "80")
            .timeout(std::time::Duration::from_secs(60));
        shell
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.shell("mhost daemon stop").output();
    }
}

/// Each command of the README prints what the README says.
#[test]
fn the_transcripts_are_true() {
    transcript(&readme());
}

/// The walk for those who write playbooks, in a home of its own.
#[test]
fn the_walk_of_the_playbooks_is_true() {
    transcript(&page("docs/playbooks.md"));
}

/// The scenario that the page shows can be read: its keys are those there are.
#[test]
fn the_scenario_of_the_page_is_one() {
    let text = page("docs/playbooks.md");
    let blocks = text.split("```toml\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let shown = blocks.find(|block| block.starts_with("playbook = "));
    let scenario = brain::scenario::Scenario::parse(shown.expect("a scenario"));
    assert_eq!(scenario.expect("it can be read").case.len(), 2);
}

fn transcript(text: &str) {
    let home = Home(tempfile::tempdir().expect("a temporary folder"));
    let steps = steps(text);
    let mut run = 0;
    for Step { command, wanted } in steps {
        if SET_UP.contains(&command.as_str()) {
            continue;
        }
        let output = home
            .shell(&format!("{command} 2>&1"))
            .output()
            .expect("it runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<&str> = printed.lines().collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let same = lines.len() == wanted.len()
            && lines
                .iter()
                .zip(&wanted)
                .all(|(line, wanted)| looks_like(line, wanted));
        assert!(
            same,
            "$ {command}\nprints\n{printed}\nand not\n{}",
            wanted.join("\n")
        );
        run += 1;
    }
    assert!(run > 0, "the page shows something");
}

/// The reader needs exactly two commands, and they stand first.
#[test]
fn two_commands_set_it_up() {
    let text = readme();
    let set_up: Vec<String> = steps(&text)
        .into_iter()
        .map(|step| step.command)
        .take_while(|command| command.starts_with("cargo"))
        .collect();
    assert_eq!(set_up, SET_UP);
    assert_eq!(text.matches("$ cargo ").count(), 2);
}

/// Links to files lead to files.
#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(name)).expect("the file");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(
                file.is_empty() || root.join(file).exists(),
                "{name}: {target}"
            );
        }
    }
}

#[test]
fn figures_are_compared_as_figures() {
    assert!(looks_like(
        "web  4711  ● online  0.5%  2MB",
        "web 1 ● online — 48MB"
    ));
    assert!(looks_like("a b c", "a … c"));
    assert!(looks_like("a b c", "a …"));
    assert!(!looks_like("a b c", "a b"));
    assert!(!looks_like("web online", "web stopped"));
}
