//! A project file, in each of its three languages: any text is a project or a list of problems,
//! and what was read is written so that it reads the same. The first letter is the language.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use supervisor::config::{LoadContext, load_project_text, to_toml};

fuzz_target!(|text: &str| {
    let file = match text.chars().next() {
        Some('t') => "mhost.toml",
        Some('y') => "mhost.yaml",
        Some('j') => "mhost.json",
        _ => return,
    };
    // Not one of these may have another file read.
    let context = LoadContext {
        cwd: "/".into(),
        sealed: true,
        ..LoadContext::default()
    };
    match load_project_text(Path::new(file), &text[1..], &context) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(loaded) => {
            for spec in &loaded.apply.processes {
                let written = to_toml(&spec.name, &spec.config);
                let again = load_project_text(Path::new("mhost.toml"), &written, &context)
                    .unwrap_or_else(|error| panic!("{error}\n{written}"));
                assert_eq!(again.apply.processes[0].config, spec.config, "{written}");
            }
        }
    }
});
