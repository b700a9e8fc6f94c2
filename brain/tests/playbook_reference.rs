//! The generated documents about playbooks are current.
//!
//! `UPDATE=1 cargo test --workspace playbook_reference` writes them anew.

use std::path::Path;

fn check(name: &str, current: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, current).expect("docs/ can be written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/{name} is out of date; run UPDATE=1 cargo test --workspace playbook_reference"
    );
}

#[test]
fn playbook_reference_is_current() {
    check("playbook-reference.md", &brain::texts::markdown());
    check("mhost.d.rhai", &brain::texts::definitions());
}
