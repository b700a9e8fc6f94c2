//! What the code promises about itself: who may import whom, and how files look.
//!
//! Each rule is one of `ARCHITECTURE.md` and `CONTRIBUTING.md`; the compiler checks none of
//! them. Everything is read from the source, so that no other tool is needed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which of our crates a crate may import. The binary knows everything.
///
/// Arrows go down only, and there is no sideways edge: what speaks does not know what thinks,
/// and what supervises knows neither.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("supervisor", &[]),
    ("brain", &["supervisor"]),
    ("agent", &["brain", "supervisor"]),
    ("chat", &["supervisor"]),
    ("api", &["supervisor"]),
    ("proxy", &["supervisor"]),
    ("deploy", &["supervisor"]),
    ("cloud", &["supervisor"]),
];

/// Words that have no place in the code of a crate, since it must not know such things.
const FOREIGN_WORDS: &[(&str, &[&str])] = &[
    (
        "supervisor",
        &[
            "telegram",
            "slack",
            "discord",
            "llm",
            "openai",
            "incident_id",
        ],
    ),
    ("brain", &["telegram", "slack", "discord", "chat"]),
    (
        "agent",
        &["telegram", "slack", "discord", "rusqlite", "unixstream"],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &Path) -> toml::Table {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn members() -> Vec<String> {
    let manifest = manifest(root());
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// All files of an extension that belong to us.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Crates import only what lies below them.
#[test]
fn crates_import_only_what_lies_below_them() {
    let members = members();
    for name in &members {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(one, _)| one == name) else {
            panic!("`{name}` is new: say in MAY_IMPORT what it may import");
        };
        let manifest = manifest(&root().join(name));
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            let ours = table
                .keys()
                .filter(|key| members.contains(key) || *key == "mhost");
            let wrong: Vec<_> = ours
                .filter(|key| !allowed.contains(&key.as_str()))
                .collect();
            assert!(wrong.is_empty(), "`{name}` must not import {wrong:?}");
        }
    }
}

/// Where such a word is the name of something else.
const EXCUSED: &[(&str, &str)] = &[
    // A value of a setting that the supervisor only hands on.
    ("supervisor/src/config/daemon/ai", "openai"),
    // Tables that the supervisor only hands on.
    ("supervisor/src/config/daemon/bot", "telegram"),
    ("supervisor/src/config/daemon/bot", "slack"),
    ("supervisor/src/config/daemon/bot", "discord"),
    ("supervisor/src/config/daemon/agent", "telegram"),
    ("supervisor/src/config/daemon/notifications", "telegram"),
    ("supervisor/src/config/daemon/notifications", "slack"),
    ("supervisor/src/config/daemon/notifications", "discord"),
    // OpenAI's protocol is called chat completions.
    ("brain/src/llm/compatible.rs", "chat"),
];

/// What a crate must not know does not occur in its code.
#[test]
fn crates_do_not_speak_of_what_they_must_not_know() {
    let mut found = Vec::new();
    for (name, words) in FOREIGN_WORDS {
        for path in files(&root().join(name).join("src"), "rs") {
            for (place, line) in read(&path).lines().enumerate() {
                // Comments may say what a file does not do.
                let code = line.split("//").next().unwrap_or_default().to_lowercase();
                let is_word = |word: &str| {
                    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                        .any(|one| one == word)
                };
                let excused = |word: &str| {
                    let name = shown(&path);
                    EXCUSED
                        .iter()
                        .any(|(file, one)| name.starts_with(file) && *one == word)
                };
                let foreign = words.iter().filter(|word| is_word(word));
                for word in foreign.filter(|word| !excused(word)) {
                    found.push(format!("{}:{}: {word}", shown(&path), place + 1));
                }
            }
        }
    }
    assert_none("words that do not belong there", &found);
}

/// No file is longer than a person can hold in mind, and each says first what it is about. One
/// that is long says there why it is one piece, in these words.
#[test]
fn files_are_short_and_introduce_themselves() {
    let (mut long, mut silent, mut unexplained) = (Vec::new(), Vec::new(), Vec::new());
    for path in files(root(), "rs") {
        let text = read(&path);
        let length = text.lines().count();
        if length > 1000 {
            long.push(shown(&path));
        }
        let doc: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("//!")).collect();
        if doc.is_empty() {
            silent.push(shown(&path));
        }
        if length > 500 && !doc.concat().contains("one piece") {
            unexplained.push(format!("{}: {length} lines", shown(&path)));
        }
    }
    assert_none("longer than 1,000 lines", &long);
    assert_none("without a module doc at the top", &silent);
    assert_none(
        "longer than 500 lines, and the module doc does not say why it is one piece",
        &unexplained,
    );
}

/// There is unsafe code in one folder only.
#[test]
fn unsafe_code_is_in_one_folder() {
    let sys = root().join("supervisor/src/sys");
    let keyword = ["un", "safe"].concat();
    let mut found = Vec::new();
    for path in files(root(), "rs") {
        if path.starts_with(&sys) {
            continue;
        }
        for (place, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(&format!("{keyword} ")) || code.contains(&format!("{keyword}(")) {
                found.push(format!("{}:{}", shown(&path), place + 1));
            }
        }
    }
    assert_none(
        &format!("{keyword} code outside supervisor/src/sys"),
        &found,
    );
}

/// SQL is in the store of a crate, and in the logs: their index is derived, and a condition of
/// a user becomes a statement there.
#[test]
fn sql_is_in_the_store() {
    let mut found = Vec::new();
    for path in files(root(), "rs") {
        let name = shown(&path);
        if name.contains("/store")
            || name.starts_with("supervisor/src/logs")
            // Says how much memory SQLite takes ahead, which is unsafe; it asks nothing.
            || name == "supervisor/src/sys/memory.rs"
            // Another program that has the database open, to see what then happens.
            || name.starts_with("tests/")
            || name.starts_with("supervisor/tests/")
        {
            continue;
        }
        if read(&path).contains(&["rusqlite", "::"].concat()) {
            found.push(name);
        }
    }
    assert_none("SQLite outside of a store", &found);
}

/// Nothing is left for later.
#[test]
fn nothing_is_left_for_later() {
    let marks = ["TO", "FIX", "to", "unimplemen"]
        .iter()
        .zip(["DO", "ME", "do!", "ted!"]);
    let marks: Vec<String> = marks
        .map(|(first, second)| format!("{first}{second}"))
        .collect();
    let mut found = Vec::new();
    for path in [
        files(root(), "rs"),
        files(&root().join("playbooks"), "rhai"),
    ]
    .concat()
    {
        let text = read(&path);
        let marked = marks.iter().filter(|mark| text.contains(mark.as_str()));
        found.extend(marked.map(|mark| format!("{}: {mark}", shown(&path))));
    }
    assert_none("left for later", &found);
}

/// Each playbook has a scenario, and each scenario a playbook.
#[test]
fn each_playbook_has_a_scenario() {
    let stems = |folder: &str, extension| -> BTreeSet<String> {
        let files = files(&root().join(folder), extension);
        files
            .iter()
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let scenarios = stems("playbooks/scenarios", "toml");
    let mut playbooks = stems("playbooks", "rhai");
    for path in files(&root().join("playbooks"), "toml") {
        if path
            .parent()
            .is_some_and(|folder| folder.ends_with("playbooks"))
        {
            playbooks.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    assert_eq!(playbooks, scenarios);
}

/// Each playbook says first what it does and why.
#[test]
fn each_playbook_says_why() {
    for path in files(&root().join("playbooks"), "rhai") {
        let text = read(&path);
        let head: String = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        assert!(head.contains("Why:"), "{} does not say why", shown(&path));
    }
}

/// Each command and each flag is explained in the help.
#[test]
fn each_command_and_flag_has_its_help() {
    let mut commands = vec![Vec::new()];
    let mut bare = Vec::new();
    let mut seen = 0;
    while let Some(path) = commands.pop() {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_mhost"))
            .args(&path)
            .arg("-h")
            .env("COLUMNS", "200")
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout.clone()).unwrap();
        let at = format!("mhost {}", path.join(" "));
        seen += 1;
        assert!(output.status.success(), "{at} -h: {output:?}");
        let usage = help.find("Usage:").unwrap();
        if help[..usage].trim().is_empty() {
            bare.push(at.clone());
        }
        let mut section = "";
        for line in help[usage..].lines() {
            if !line.starts_with(' ') {
                section = line;
            } else if section.ends_with(':')
                && line.starts_with("  ")
                && !line.starts_with("      ")
            {
                let words: Vec<&str> = line.trim().splitn(2, "  ").collect();
                let explained = words.len() == 2 && !words[1].trim().is_empty();
                if !explained && !section.starts_with("Usage") {
                    bare.push(format!("{at}: {}", line.trim()));
                }
                let name = words[0].split([',', ' ']).next().unwrap_or_default();
                let is_command = !name.starts_with(['-', '<', '[']) && name != "help";
                if is_command && explained && path.len() < 3 && !section.starts_with("Examples") {
                    commands.push([path.clone(), vec![name.to_owned()]].concat());
                }
            }
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
    assert_none("without help", &bare);
}
