//! `mhost monit` in a real terminal, and the terminal after it.

use std::io::Write;

use rustix::process::Signal;

use crate::rig::{Rig, kill, lives, until};
use crate::terminal::Terminal;

/// Starts monit and waits for its screen.
fn monit(terminal: &Terminal, before: &str) {
    terminal.mhost(before, "monit");
    terminal.shows("Processes");
    assert!(terminal.is_alternate());
}

/// A whole session: see, move, read a log, restart, resize, leave.
#[test]
fn monit_is_used_from_start_to_end() {
    let rig = Rig::new()
        .running("alpha", "puppet numbers 200")
        .running("beta", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    monit(&terminal, "");
    let screen = terminal.shows("● 2 online");
    assert!(screen.contains("▸ alpha"), "{screen}");

    terminal.keys(&["j"]);
    terminal.shows("▸ beta");
    terminal.keys(&["k", "2"]);
    terminal.shows("following");
    terminal.keys(&["f"]);
    terminal.shows("holding still");
    terminal.keys(&["/"]);
    terminal.keys(&["1", "2", "Enter"]);
    terminal.until("only lines with 12", |screen| {
        let mut lines = screen
            .lines()
            .filter(|line| line.starts_with(" ") && line.contains(':'));
        screen.contains("search 12") && lines.any(|line| line.trim_end().ends_with("12"))
    });
    terminal.keys(&["Escape"]);
    terminal.until("no search", |screen| !screen.contains("search 12"));
    terminal.keys(&["3"]);
    terminal.shows("probes of alpha");
    terminal.keys(&["4"]);
    terminal.shows("generation=1");

    // Restart with a key: the daemon counts it, and the screen shows it.
    let before = rig.pid("alpha");
    terminal.keys(&["1", "g", "r"]);
    terminal.shows("Restart alpha?");
    assert_eq!(rig.pid("alpha"), before, "a question does nothing");
    terminal.keys(&["y"]);
    rig.until_other_pid("alpha", before);
    assert_eq!(rig.process("alpha")["restarts"], 1);
    terminal.shows("✓ alpha restarted");
    terminal.until("one restart", |screen| {
        let row = screen.lines().find(|line| line.starts_with("▸ alpha"));
        row.is_some_and(|row| row.split_whitespace().nth(6) == Some("1"))
    });

    for (columns, rows) in [(30, 8), (20, 5), (1, 1)] {
        terminal.resize(columns, rows);
        terminal.until("a screen of that size", |screen| {
            screen
                .lines()
                .all(|line| line.chars().count() <= usize::from(columns))
        });
    }
    terminal.resize(30, 8);
    terminal.shows("monit needs");
    terminal.resize(140, 40);
    terminal.shows("log of alpha");
    terminal.keys(&["?"]);
    terminal.shows("Everywhere");
    terminal.keys(&["q", "q"]);
    terminal.assert_given_back(&rig, "0");
}

/// What the agent may not do by itself, it asks here, and a yes lets it.
#[test]
fn monit_answers_the_agent() {
    let rig = Rig::new().settings("[brain]\nautonomy = \"supervised\"\n");
    rig.run(&["start", "puppet exit 7", "--name", "dying", "--no-wait"]);
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    let pending = || {
        let asked = rig.json(&["agent", "actions"]);
        let asked = asked["actions"].as_array().unwrap().clone();
        asked.into_iter().find(|one| one["state"] == "pending")
    };
    until("the agent asks", || pending().is_some());
    monit(&terminal, "");
    terminal.shows("to approve: a");
    terminal.keys(&["a"]);
    let screen = terminal.shows("Approvals");
    assert!(screen.contains("dying"), "{screen}");
    terminal.keys(&["y"]);
    terminal.shows("approved:");
    until("a person's yes is recorded", || {
        let asked = rig.json(&["agent", "actions"]);
        let asked = asked["actions"].as_array().unwrap().clone();
        asked.iter().any(|one| one["state"] == "approved")
    });
    // Alone: with a key right behind it, Escape would be Alt.
    terminal.keys(&["Escape"]);
    terminal.until("no overlay", |screen| !screen.contains("Approvals"));
    terminal.keys(&["q"]);
    terminal.assert_given_back(&rig, "0");
}

/// A daemon that dies is waited for, and the screen goes on.
#[test]
fn monit_outlives_the_daemon() {
    let rig = Rig::new().running("alpha", "puppet numbers 200");
    let Some(terminal) = Terminal::open(&rig, 100, 30) else {
        return;
    };
    monit(&terminal, "");
    terminal.shows("▸ alpha");
    rig.kill_daemon();
    terminal.shows("the daemon is back");
    terminal.shows("● 1 online");
    terminal.keys(&["q"]);
    terminal.assert_given_back(&rig, "0");
}

/// However it ends, the terminal is as it was.
#[test]
fn monit_gives_the_terminal_back_also_when_it_is_killed() {
    let rig = Rig::new().running("alpha", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    for (signal, name) in [
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
    ] {
        monit(&terminal, "");
        kill(terminal.pid(), signal);
        let screen = terminal.assert_given_back(&rig, "1");
        assert!(screen.contains(name), "{screen}");
    }

    // Stopped with the key and continued by the shell, twice.
    monit(&terminal, "");
    for _ in 0..2 {
        terminal.keys(&["C-z"]);
        terminal.until("the shell's screen", |_| !terminal.is_alternate());
        terminal.line("stty -a");
        terminal.shows(" echo ");
        terminal.line("clear; fg");
        terminal.until("monit's screen", |screen| {
            terminal.is_alternate() && screen.contains("▸ alpha")
        });
    }
    terminal.keys(&["q"]);
    terminal.until("the shell's screen", |_| !terminal.is_alternate());

    // Stopped and continued as by others.
    monit(&terminal, "");
    let monit = terminal.pid();
    kill(monit, Signal::TSTP);
    terminal.until("the shell's screen", |_| !terminal.is_alternate());
    terminal.line("fg");
    terminal.until("monit's screen", |screen| {
        terminal.is_alternate() && screen.contains("▸ alpha")
    });
    terminal.keys(&["q"]);
    terminal.until("the shell's screen", |_| !terminal.is_alternate());
}

/// A connection that breaks, such as that of SSH, takes monit with it and nothing else.
#[test]
fn monit_ends_with_its_terminal() {
    let rig = Rig::new().running("alpha", "puppet numbers 200");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    monit(&terminal, "");
    terminal.shows("▸ alpha");
    let (monit, alpha) = (terminal.pid(), rig.pid("alpha"));
    drop(terminal);
    until("monit is gone", || !lives(monit));
    assert_eq!(rig.pid("alpha"), alpha);
}

/// What a program prints moves no cursor, sets no title, and spills over no line.
#[test]
fn hostile_output_stays_in_its_place() {
    let rig = Rig::new();
    rig.write(
        "hostile.sh",
        concat!(
            "printf '\\033]0;owned\\007\\033[2J\\033[H\\033[31mred\\033[?1049l\\n'\n",
            "printf 'before\\rover\\b\\b\\tand\\0nul\\n'\n",
            "printf '\\342\\200\\256desrever \\342\\200\\217 \\343\\200\\200\\346\\274\\242\\345\\255\\227 wide\\n'\n",
            "printf '\\233\\061\\155c1 \\377\\376 bytes\\n'\n",
            "head -c 10485760 /dev/zero | tr '\\0' x\n",
            "echo\n",
            "echo the-last-line\n",
            "exec sleep 1000\n",
        ),
    );
    let rig = rig.running("hostile", "sh hostile.sh");
    rig.until_printed("hostile", "the-last-line");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    monit(&terminal, "");
    terminal.shows("▸ hostile");
    terminal.keys(&["2"]);
    let screen = terminal.shows("the-last-line");
    assert!(terminal.is_alternate(), "left by the output:\n{screen}");
    let title = terminal.tmux(&["display-message", "-p", "-t", "m", "#{pane_title}"]);
    assert!(!String::from_utf8_lossy(&title.stdout).contains("owned"));
    // The head and the foot are where they were, and nothing is wider than the screen.
    let rows: Vec<&str> = screen.lines().collect();
    assert!(rows[0].starts_with(" mhost"), "{screen}");
    assert!(screen.contains("following"), "{screen}");
    for row in rows {
        let wide: usize = row
            .chars()
            .map(|c| 1 + usize::from(('\u{3000}'..'\u{a000}').contains(&c)))
            .sum();
        assert!(wide <= 80, "{row}");
    }
    assert!(!screen.contains('\u{202e}'), "{screen}");
    // A search finds what stands in it, and the screen is drawn on.
    terminal.keys(&["/"]);
    terminal.line("wide");
    terminal.until("only what is looked for", |screen| {
        screen.contains("漢字") && !screen.contains("the-last-line")
    });
    terminal.keys(&["q"]);
    terminal.assert_given_back(&rig, "0");
}

/// A bug leaves a usable terminal and a readable message.
#[test]
fn monit_gives_the_terminal_back_when_it_panics() {
    if !cfg!(debug_assertions) {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: only a debug build panics on demand"
        );
        return;
    }
    let rig = Rig::new().running("alpha", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    monit(&terminal, "MHOST_MONIT_PANIC=1");
    terminal.keys(&["C-l"]);
    let screen = terminal.assert_given_back(&rig, "101");
    assert!(screen.contains("as MHOST_MONIT_PANIC wished"), "{screen}");
}

/// Without a terminal it says so, and what to type instead.
#[test]
fn monit_needs_a_terminal() {
    let rig = Rig::new();
    let said = rig.fails(2, &["monit"]);
    assert!(
        said.contains("needs a terminal") && said.contains("mhost list --json"),
        "{said}"
    );
    let said = rig.fails(2, &["monit", "--json"]);
    assert!(said.contains("prints no JSON"), "{said}");
}
