//! An env file of a process: any bytes are variables or an error with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::config::{LoadContext, load_project_text};

const PROJECT: &str = "[process.api]\ncommand = \"true\"\nenv_file = \"vars\"\n";

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("vars"), bytes).expect("a file");
    let context = LoadContext {
        cwd: folder.path().to_owned(),
        ..LoadContext::default()
    };
    let file = folder.path().join("mhost.toml");
    if let Err(error) = load_project_text(&file, PROJECT, &context) {
        assert!(!error.to_string().is_empty());
        assert!(
            error
                .problems()
                .iter()
                .all(|problem| problem.line <= 1 + bytes.len())
        );
    }
});
