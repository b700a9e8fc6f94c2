//! `mhost ai setup` and `mhost agent setup` as a person meets them: questions on a terminal.

use super::double::Double;
use crate::rig::Rig;
use crate::terminal::Terminal;

/// A key that looks like none.
const KEY: &str = "sunflower-and-tulip";

/// What the settings say now; nothing where there are none.
fn settings(rig: &Rig) -> String {
    std::fs::read_to_string(rig.home().file("config.toml")).unwrap_or_default()
}

/// Drafts of the settings that somebody left behind.
fn drafts(rig: &Rig) -> Vec<String> {
    let files = std::fs::read_dir(rig.home().path()).expect("a home");
    let names = files.map(|file| file.expect("a file").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.contains("config") && name != "config.toml")
        .collect()
}

#[test]
fn a_person_is_asked_for_a_model_and_the_key_is_never_on_the_screen() {
    let double = Double::start(|_| "ready".to_owned());
    let rig = Rig::new();
    let Some(terminal) = Terminal::open(&rig, 120, 30) else {
        return;
    };
    terminal.mhost("", "ai setup");
    terminal.shows("Whose model");
    terminal.keys(&["j", "k", "Enter"]);
    terminal.shows("Its key");
    terminal.line(KEY);
    let screen = terminal.shows("Which model");
    assert!(!screen.contains("sunflower"), "{screen}");
    terminal.line("tulip");
    terminal.shows("Another address");
    terminal.line(&double.url());
    let screen = terminal.assert_given_back(&rig, "0");
    assert!(screen.contains("tulip answers"), "{screen}");
    assert!(screen.contains("wrote "), "{screen}");
    assert!(!screen.contains("sunflower"), "{screen}");
    assert_eq!(double.count(), 1, "it was tried");
    let expected = format!(
        "[ai]\nprovider = \"openai\"\napi_key = \"{KEY}\"\nmodel = \"tulip\"\nbase_url = \"{}\"\n",
        double.url()
    );
    assert_eq!(settings(&rig), expected);
    assert_eq!(drafts(&rig), [""; 0]);
}

#[test]
fn a_person_is_asked_how_far_the_agent_may_go_and_again_where_an_answer_is_wrong() {
    let double = Double::start(|_| "ready".to_owned());
    let before = "[agent] # mine\nverify_window = \"5s\"\n";
    let rig = Rig::new().settings(before);
    let Some(terminal) = Terminal::open(&rig, 120, 40) else {
        return;
    };
    terminal.mhost("", "agent setup");
    let screen = terminal.shows("Whose model");
    assert!(
        screen.contains("none: playbooks and causes only"),
        "{screen}"
    );
    terminal.keys(&["j", "j", "j", "j", "j", "Enter"]);
    // A model of one's own has no key.
    let screen = terminal.shows("Which model");
    assert!(!screen.contains("Its key"), "{screen}");
    terminal.line("tulip");
    terminal.shows("Another address");
    terminal.line(&double.url());
    // The usual level is the one that asks.
    let screen = terminal.shows("What may it do by itself");
    assert!(screen.contains("> supervised"), "{screen}");
    terminal.keys(&["j", "j", "Enter"]);
    terminal.shows("in an hour");
    terminal.line("many");
    terminal.shows("invalid digit");
    terminal.line("4");
    terminal.shows("The same for one process");
    terminal.keys(&["Enter"]);
    terminal.shows("Time between two looks");
    terminal.line("soon");
    terminal.until("the answer is refused", |screen| {
        screen.matches("Time between two looks").count() == 2 || screen.contains("soon`")
    });
    terminal.line("2s");
    let screen = terminal.assert_given_back(&rig, "0");
    assert!(screen.contains("tulip answers"), "{screen}");
    let text = settings(&rig);
    assert!(text.starts_with(before), "{text}");
    for line in [
        "enabled = true",
        "autonomy = \"autonomous\"",
        "max_actions_per_hour = 4",
        "max_actions_per_process_per_hour = 3",
        "poll_interval = \"2s\"",
        "provider = \"ollama\"",
        "model = \"tulip\"",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert_eq!(drafts(&rig), [""; 0]);
}

/// A question, and what is typed at it before somebody thinks better of it.
type Step = (&'static str, &'static [&'static str]);

/// Wherever Ctrl-C is pressed, the settings are as they were, and so is the terminal.
#[test]
fn who_leaves_a_wizard_finds_settings_and_terminal_as_they_were() {
    let before = "[agent] # mine\nautonomy = \"semi\"\n";
    let rig = Rig::new().settings(before);
    let Some(terminal) = Terminal::open(&rig, 120, 40) else {
        return;
    };
    let model: &[Step] = &[
        ("Whose model", &["Enter"]),
        ("Its key", &["s", "e", "c", "Enter"]),
        ("Which model", &["t", "u", "Enter"]),
        ("Another address", &["h", "t"]),
    ];
    let agent: &[Step] = &[
        ("Whose model", &["Enter"]),
        ("What may it do by itself", &["Enter"]),
        ("in an hour", &["4", "Enter"]),
        ("for one process", &["Enter"]),
        ("Time between two looks", &["9"]),
    ];
    for (command, steps) in [("ai setup", model), ("agent setup", agent)] {
        for last in 0..steps.len() {
            terminal.mhost("", command);
            for (place, (question, typed)) in steps[..=last].iter().enumerate() {
                terminal.shows(question);
                // The last answer is half an answer.
                let keys = typed.iter().filter(|key| place < last || **key != "Enter");
                let keys: Vec<&str> = keys.copied().collect();
                if !keys.is_empty() {
                    terminal.keys(&keys);
                }
            }
            terminal.keys(&["C-c"]);
            let screen = terminal.assert_given_back(&rig, "130");
            assert!(!screen.contains("wrote "), "{screen}");
            assert_eq!(settings(&rig), before, "{command}, at {}", steps[last].0);
            assert_eq!(drafts(&rig), [""; 0]);
        }
    }
}
