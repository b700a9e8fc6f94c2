//! Broken config files, each with the lines that must be named.
//!
//! A fixture says what is expected of it: `# expect: <line>: <part of the message>` in its
//! first lines, or the same without `# expect:` in an `.expect` file beside a JSON file.
//! Exactly the expected problems must be found, each with something to type.
//! `UPDATE=1 cargo test --workspace broken_configs` rewrites `explained.txt`, which holds all
//! of them as a person sees them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use supervisor::OsText;
use supervisor::config::{LoadContext, Severity, load_project};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/broken")
}

/// The fixtures in order.
fn fixtures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the fixtures are there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|file| {
            file.extension()
                .is_some_and(|ext| ext != "expect" && ext != "txt")
        })
        .collect();
    files.sort();
    files
}

/// Lines and parts of messages that a fixture asks for.
fn expected(file: &Path) -> Vec<(usize, String)> {
    let read = |file: &Path| std::fs::read_to_string(file).expect("the fixture can be read");
    let text = match file.extension().is_some_and(|ext| ext == "json") {
        true => read(&file.with_extension("expect")),
        false => read(file)
            .lines()
            .map_while(|line| line.strip_prefix("# expect: "))
            .map(|line| format!("{line}\n"))
            .collect(),
    };
    let split = |line: &str| {
        let (line, message) = line.split_once(": ").expect("`<line>: <message>`");
        (line.parse().expect("a line number"), message.to_owned())
    };
    text.lines().map(split).collect()
}

/// Every broken file is refused for exactly its reasons, at the right lines, with help.
#[test]
fn broken_configs_name_the_right_lines() {
    let files = fixtures();
    assert!(files.len() >= 50, "{} fixtures", files.len());
    let mut explained = String::new();
    let mut wrong = String::new();
    for file in &files {
        let name = file.file_name().map(Path::new).expect("a file has a name");
        let ctx = LoadContext {
            cwd: folder(),
            env: BTreeMap::from([("PATH".to_owned(), OsText::from("/bin"))]).into(),
            ..LoadContext::default()
        };
        let wanted = expected(file);
        assert!(!wanted.is_empty(), "{} expects nothing", name.display());
        let problems = match load_project(name, &ctx) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().to_vec(),
        };
        let errors: Vec<_> = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        let rendered: String = errors.iter().map(|problem| problem.render()).collect();
        let fits = errors.len() == wanted.len()
            && errors
                .iter()
                .zip(&wanted)
                .all(|(problem, (line, message))| {
                    problem.line == *line
                        && problem.message.contains(message.as_str())
                        && problem.help.is_some()
                });
        if !fits {
            wrong.push_str(&format!(
                "{}: wanted {wanted:?}, got\n{rendered}\n",
                name.display()
            ));
        }
        explained.push_str(&rendered);
        explained.push('\n');
    }
    assert!(wrong.is_empty(), "{wrong}");
    let golden = folder().join("explained.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&golden, &explained).expect("the golden file can be written");
    }
    let found = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        found == explained,
        "explained.txt is out of date; run UPDATE=1 cargo test --workspace broken_configs and read the difference"
    );
}
