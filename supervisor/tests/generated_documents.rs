//! What is generated from the types is checked in, and current.
//!
//! `UPDATE=1 cargo test --workspace generated_documents` writes it anew.

use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn compare(name: &str, wanted: &str) {
    let file = docs().join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(docs()).expect("the folder can be made");
        std::fs::write(&file, wanted).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = found
        .lines()
        .zip(wanted.lines())
        .position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "docs/{name} is out of date (first in line {}); run UPDATE=1 cargo test --workspace generated_documents",
        differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1
    );
}

/// The schema that editors use is the one mhost checks with.
#[test]
fn generated_documents_schema() {
    compare("mhost.schema.json", &supervisor::config::project_schema());
}

/// The reference page says what the types say.
#[test]
fn generated_documents_reference() {
    compare("config.md", &supervisor::config::project_reference());
}
