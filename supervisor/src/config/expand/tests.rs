//! References that are filled in, kept for an instance, or refused.

use super::*;
use proptest::prelude::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, OsText> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), OsText::from(*value)))
        .collect()
}

fn expand(text: &str, pairs: &[(&str, &str)]) -> (String, Vec<String>) {
    let env = env(pairs);
    let scope = Scope {
        env: &env,
        fallback: None,
        later: None,
        folder: Some(Path::new("/")),
    };
    let mut notes = Vec::new();
    let out = scope.expand(text, &mut notes);
    (out, notes.into_iter().map(|note| note.message).collect())
}

#[test]
fn references_are_filled_in() {
    let set = [("A", "1"), ("E", ""), ("Ü", "no"), ("WIDE", "żółć→日本")];
    for (text, wanted) in [
        ("plain", "plain"),
        ("${A}", "1"),
        ("a${A}b${A}c", "a1b1c"),
        ("${A:-9}", "1"),
        ("${E:-9}", "9"),
        ("${NO:-9}", "9"),
        ("${NO:-}", ""),
        ("${NO:-${A}}", "1"),
        ("${NO:-a${NO:-b}c}", "abc"),
        ("${NO:-${E:-x}}", "x"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$A $(date) $1 $", "$A $(date) $1 $"),
        ("é${WIDE}ü", "éżółć→日本ü"),
        ("${NO:-日本}", "日本"),
        ("${E}", ""),
    ] {
        assert_eq!(expand(text, &set), (wanted.to_owned(), vec![]), "{text}");
    }
}

#[test]
fn an_undefined_variable_is_empty_and_reported() {
    let (out, notes) = expand("a${NO}b", &[]);
    assert_eq!(out, "ab");
    assert_eq!(notes, ["the variable `NO` is not set, so it is empty here"]);
}

#[test]
fn what_is_no_reference_is_refused() {
    for text in [
        "${",
        "${A",
        "${}",
        "${A%.js}",
        "${1}",
        "${A:-${B:-${C}}}",
        "${Ü}",
    ] {
        assert_eq!(expand(text, &[("A", "1")]).1.len(), 1, "{text}");
    }
}

#[test]
fn a_file_loses_one_newline() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s"), "geheim ü\n\n").unwrap();
    let none = BTreeMap::new();
    let scope = Scope {
        env: &none,
        fallback: None,
        later: None,
        folder: Some(folder.path()),
    };
    let mut notes = Vec::new();
    assert_eq!(scope.expand("<${file:s}>", &mut notes), "<geheim ü\n>");
    assert!(notes.is_empty());
    assert_eq!(scope.expand("${file:/no/such}", &mut notes), "");
    assert_eq!(notes.len(), 1);
}

#[test]
fn what_an_instance_knows_waits_for_it() {
    let outer = env(&[("HOST", "h$$t"), ("PORT", "1")]);
    let names = BTreeSet::from(["PORT".to_owned()]);
    let scope = Scope {
        env: &outer,
        fallback: None,
        later: Some(&names),
        folder: Some(Path::new("/")),
    };
    let text = "http://${HOST}:${PORT:-${X:-3000}}/{instance}/$$";
    let kept = scope.expand(text, &mut Vec::new());
    assert_eq!(kept, "http://h$$$$t:${PORT:-${X:-3000}}/{instance}/$$");
    assert_eq!(
        expand_for_instance(&kept, &env(&[("PORT", "4001")]), 1),
        "http://h$$t:4001/1/$"
    );
    assert_eq!(
        expand_for_instance(&kept, &env(&[]), 2),
        "http://h$$t:3000/2/$"
    );
}

proptest! {
    #[test]
    fn any_text_without_a_dollar_is_unchanged(text in "[^$]*") {
        prop_assert_eq!(expand(&text, &[]), (text.clone(), vec![]));
    }

    #[test]
    fn any_value_is_inserted_unchanged(value in "\\PC+", around in "[^$]*") {
        let text = format!("{around}${{V}}{around}");
        let wanted = format!("{around}{value}{around}");
        prop_assert_eq!(expand(&text, &[("V", &value)]).0, wanted);
    }

    #[test]
    fn nothing_panics(text in "[${}:A\\-éfile]*") {
        let _ = expand(&text, &[("A", "é")]);
        let _ = expand_for_instance(&text, &env(&[("A", "é")]), 3);
    }

    #[test]
    fn doubling_dollars_protects_any_text(text in "\\PC*") {
        prop_assert_eq!(expand(&text.replace('$', "$$"), &[]).0, text);
    }
}
