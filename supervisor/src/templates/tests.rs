//! What the miner promises.

use proptest::prelude::*;

use super::*;

fn mined(lines: &[&str]) -> (Miner, Vec<TemplateId>) {
    let mut miner = Miner::default();
    let ids = lines.iter().map(|line| miner.add(line).0).collect();
    (miner, ids)
}

fn patterns(miner: &Miner) -> Vec<String> {
    let mut patterns: Vec<String> = miner.templates().map(|one| one.pattern).collect();
    patterns.sort();
    patterns
}

#[test]
fn lines_that_differ_in_values_are_one_template() {
    let (miner, ids) = mined(&[
        "connected to 10.0.0.1 in 5ms",
        "connected to 10.0.0.2 in 17ms",
        "connected to 10.0.0.2 in 1.5s",
    ]);
    assert_eq!(ids[0], ids[2]);
    assert_eq!(patterns(&miner), ["connected to <*> in <*>"]);
    assert_eq!(miner.template(ids[0]).map(|one| one.count), Some(3));
}

#[test]
fn words_that_say_what_happened_stay_apart() {
    let (miner, ids) = mined(&[
        "session opened for user root",
        "session closed for user root",
        "session opened for user ana",
    ]);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(miner.len(), 2);
}

/// `New` is told once per template, and not for a template that became more general.
#[test]
fn only_the_first_of_its_kind_is_new() {
    let mut miner = Miner::default();
    assert_eq!(miner.add("login of user=ana ok").1, New::First);
    assert_eq!(miner.add("login of user=bob ok").1, New::Known);
    assert_eq!(miner.add("out of memory").1, New::First);
    assert_eq!(miner.add("out of memory").1, New::Known);
}

/// Plain words become a value after enough lines that differ in nothing else.
#[test]
fn many_alike_are_joined_and_the_joins_are_told() {
    let mut miner = Miner::default();
    let hosts = ["alpha", "beta", "gamma", "delta", "kappa", "omega", "sigma"];
    let ids: Vec<TemplateId> = hosts
        .iter()
        .map(|host| miner.add(&format!("{host} joined the ring")).0)
        .collect();
    assert_eq!(patterns(&miner), ["<*> joined the ring"]);
    let merges = miner.take_merges();
    assert_eq!(merges.len(), 4);
    assert!(merges.iter().all(|merge| merge.into == ids[6]));
    assert!(miner.take_merges().is_empty());
    let only = miner.templates().next().expect("one");
    assert_eq!((only.id, only.count), (ids[6], 7));
    assert_eq!(miner.add("zeta joined the ring"), (ids[6], New::Known));
}

#[test]
fn memory_is_bounded_and_what_is_used_stays() {
    let mut miner = Miner::new(Settings {
        max_templates: 64,
        ..Settings::default()
    });
    let kept = miner.add("the one that matters").0;
    for number in 0u32..5_000 {
        let word: String = (0..6)
            .map(|at| {
                char::from(b'a' + (number.wrapping_mul(2_654_435_761) >> (at * 5)) as u8 % 26)
            })
            .collect();
        miner.add(&format!("{word} {} {word}", &word[1..]));
        miner.add("the one that matters");
        assert!(miner.len() <= 64);
    }
    assert_eq!(miner.template(kept).map(|one| one.count), Some(5_001));
}

/// Text without patterns costs no more than other text, and what was learned before stays.
#[test]
fn prose_is_given_up() {
    let mut miner = Miner::default();
    let (known, _) = miner.add("cannot open file number 7");
    (0..5).for_each(|n| assert_eq!(miner.add(&format!("cannot open file number {n}")).0, known));
    let words = [
        "ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "kite",
    ];
    let mut seed = 11_u64;
    let mut word = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        words[(seed >> 33) as usize % words.len()]
    };
    let mut first = 0;
    for _ in 0..40_000 {
        let line = format!("{} {} {} {} {}", word(), word(), word(), word(), word());
        first += usize::from(miner.add(&line).1 == New::First);
    }
    assert!(first < 5_000, "{first}");
    let shown = miner.add("eel bee eel bee eel").0;
    assert_eq!(
        miner.template(shown).unwrap().pattern,
        "<*> <*> <*> <*> <*>"
    );
    assert_eq!(miner.add("cannot open file number 9").0, known);
}

#[test]
fn identities_never_change() {
    // They are stored: another value here breaks every stored log.
    let mut miner = Miner::default();
    assert_eq!(
        miner.add("listening on port 8080").0.to_string(),
        "87dd550fc2d54dc8"
    );
    let id = TemplateId(u64::MAX - 1);
    assert_eq!(TemplateId::from_i64(id.to_i64()), id);
}

fn a_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,6}",
        "[a-z]{1,4}=[a-z0-9]{1,5}",
        "[A-Za-z0-9_./:@,;()\\[\\]{}'\"<*>=|-]{1,12}",
        Just("12".to_owned()),
        "\\PC{1,6}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    /// A restored miner knows each of the lines, by a name that the first one gave.
    #[test]
    fn what_was_kept_is_found_again(lines in proptest::collection::vec(a_line(), 1..40)) {
        let mut miner = Miner::default();
        for line in &lines {
            miner.add(line);
        }
        let mut again = Miner::restore(Settings::default(), miner.templates());
        prop_assert_eq!(patterns(&again), patterns(&miner));
        for line in &lines {
            let (id, new) = again.add(line);
            prop_assert_eq!(new, New::Known, "{}", line);
            prop_assert!(miner.template(id).is_some(), "{}", line);
        }
    }

    /// Nothing that a program prints breaks it.
    #[test]
    fn any_text_has_a_template(lines in proptest::collection::vec(any::<String>(), 1..20)) {
        let mut miner = Miner::default();
        for line in &lines {
            let (id, _) = miner.add(line);
            prop_assert!(miner.template(id).is_some());
        }
    }
}

/// What a pattern shows of a value is known beforehand: a secret must not get out in one.
#[test]
fn what_a_pattern_shows_of_a_value_is_known() {
    let mut miner = Miner::new(Settings::default());
    let (id, _) = miner.add("login with hunter22-of-ana failed");
    let pattern = miner.template(id).unwrap().pattern;
    assert_eq!(pattern, "login with hunter<*>-of-ana failed");
    let place = |pattern: &str, value: &str| {
        let value = Remnant::of(value).expect("enough of it");
        Pattern::of(pattern).expect("holes").places(&value)
    };
    let found = place(&pattern, "hunter22-of-ana");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(&pattern[found[0].clone()], "hunter<*>-of-ana");
    // What other lines had in its place is a hole, too.
    for other in [
        "red-house",
        "blue-tree",
        "green-lake",
        "grey-door",
        "pink-roof",
        "tan-wall",
    ] {
        miner.add(&format!("key {other}: sunflower-and-tulip refused"));
        miner.add(&format!("key {other}: sunflower-{other} refused"));
    }
    for template in miner.templates() {
        let hidden = place(&template.pattern, "sunflower-and-tulip");
        let mut left = template.pattern.clone();
        for one in hidden.into_iter().rev() {
            left.replace_range(one, "***");
        }
        assert!(!left.contains("sunflower-and"), "{left}");
    }
}
