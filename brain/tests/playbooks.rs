//! Loading of playbooks: built-in ones, files, mistakes, changes.

use std::collections::BTreeMap;
use std::fs;

use brain::{PlaybookOverride, PlaybookSource, PlaybookState, Playbooks};
use serde_json::json;

const GOOD: &str = r#"
const META = #{ name: "mine", version: 1, description: "x", on: ["crash"], params: #{ n: 1 } };
fn matches(c) { c.crashes("5m") > c.p.n }
fn plan(c) { [ restart() ] }
"#;

fn state(playbooks: &Playbooks, name: &str) -> PlaybookState {
    let list = playbooks.list();
    let found = list.iter().find(|info| info.name == name);
    found
        .unwrap_or_else(|| panic!("{name} is not listed"))
        .state
        .clone()
}

fn error(playbooks: &Playbooks, name: &str) -> (String, usize, usize) {
    match state(playbooks, name) {
        PlaybookState::Broken {
            error,
            line,
            column,
        } => (error, line, column),
        other => panic!("{name} is {other:?}"),
    }
}

/// Every file of the folder is in the binary and loads; every one has a scenario.
#[test]
fn built_in_playbooks_are_whole() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../playbooks");
    let mut files: Vec<String> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| {
            let stem = name.strip_suffix(".rhai").or(name.strip_suffix(".toml"));
            stem.map(str::to_owned)
        })
        .collect();
    files.sort();
    let playbooks = Playbooks::load(None, BTreeMap::new());
    let mut listed = Vec::new();
    for info in playbooks.list() {
        // Those that other playbooks cover better are off until a person wants them.
        let well = matches!(info.state, PlaybookState::Ok | PlaybookState::Disabled);
        assert!(well, "{}: {:?}", info.name, info.state);
        assert_eq!(info.source, PlaybookSource::Builtin);
        listed.push(info.name);
    }
    listed.sort();
    assert_eq!(listed, files);
    for name in files {
        let scenario = format!("{root}/scenarios/{name}.toml");
        assert!(fs::exists(&scenario).unwrap(), "{scenario} is missing");
    }
}

/// A mistake is found when the file is loaded, with its place, and hurts nobody else.
#[test]
fn mistakes_are_found_at_loading() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(home.path().join(format!("{name}.rhai")), text).unwrap();
    };
    write("mine", GOOD);
    write("syntax", "fn matches(c) { \n if }");
    write(
        "unknown",
        "const META = #{ name: \"unknown\", version: 1, description: \"x\", on: [] };\n\
         fn matches(c) { true }\nfn plan(c) { [ explode() ] }",
    );
    write("other", GOOD);
    write("bare", "const META = #{};\nfn matches(c) { true }");
    write("acts", &format!("{GOOD}\nlet x = 1 + 1; print(x);"));
    write(
        "event",
        &GOOD
            .replace("mine", "event")
            .replace("\"crash\"", "\"moon\""),
    );
    write(
        "loops",
        &GOOD
            .replace("mine", "loops")
            .replace("params: #{ n: 1 }", "params: eval(\"1\")"),
    );
    let playbooks = Playbooks::load(Some(home.path().to_owned()), BTreeMap::new());
    assert_eq!(state(&playbooks, "mine"), PlaybookState::Ok);
    assert_eq!(error(&playbooks, "syntax").1, 2);
    let (text, line, column) = error(&playbooks, "unknown");
    assert!(text.contains("no function `explode`"), "{text}");
    assert_eq!((line, column), (3, 16));
    assert!(error(&playbooks, "other").0.contains("called `other`"));
    assert!(error(&playbooks, "bare").0.contains("fn plan(c)"));
    assert!(error(&playbooks, "acts").0.contains("outside functions"));
    assert!(error(&playbooks, "event").0.contains("moon"));
    assert!(error(&playbooks, "loops").0.contains("eval"));
    assert_eq!(state(&playbooks, "rapid-crash"), PlaybookState::Ok);
}

/// Files are looked at again when they change; a file replaces the built-in of its name.
#[test]
fn files_are_read_again_when_they_change() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("rapid-crash.rhai");
    let playbooks = Playbooks::load(Some(home.path().to_owned()), BTreeMap::new());
    let find = || {
        let list = playbooks.list();
        let mut found = list.into_iter().filter(|info| info.name == "rapid-crash");
        let one = found.next().unwrap();
        assert!(found.next().is_none(), "one of a name");
        one
    };
    assert_eq!(find().source, PlaybookSource::Builtin);
    fs::write(&path, GOOD.replace("mine", "rapid-crash")).unwrap();
    assert_eq!(find().source, PlaybookSource::Custom);
    fs::write(&path, "fn").unwrap();
    assert!(matches!(find().state, PlaybookState::Broken { .. }));
    fs::remove_file(&path).unwrap();
    assert_eq!(find().source, PlaybookSource::Builtin);
    assert_eq!(find().state, PlaybookState::Ok);
}

/// The config turns playbooks off and sets their params; a param nobody reads is a mistake.
#[test]
fn the_config_has_its_say() {
    let set = |enabled, params: &[(&str, serde_json::Value)]| PlaybookOverride {
        enabled,
        params: params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
        ..PlaybookOverride::default()
    };
    let overrides = BTreeMap::from([
        ("rapid-crash".to_owned(), set(Some(false), &[])),
        ("same-death".to_owned(), set(None, &[("tries", json!(2))])),
        ("log-flood".to_owned(), set(None, &[("speed", json!(2))])),
    ]);
    let playbooks = Playbooks::load(None, overrides);
    assert_eq!(state(&playbooks, "rapid-crash"), PlaybookState::Disabled);
    assert_eq!(state(&playbooks, "same-death"), PlaybookState::Ok);
    assert!(error(&playbooks, "log-flood").0.contains("`speed`"));
}
