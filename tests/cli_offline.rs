//! What the command line does without a daemon: help, usage errors, files, units.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

/// `mhost` in an empty folder, with a home of its own, at 80 columns, and no daemon.
fn mhost(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mhost"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .env("MHOST_HOME", folder.join("home"))
        .env("MHOST_NO_AUTOSTART", "1")
        .env("COLUMNS", "80");
    command
}

/// Exit code, stdout and stderr, with the folder's path taken out.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = mhost(folder).args(args).output().expect("it runs");
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "FOLDER")
    };
    let code = output.status.code().expect("it exits by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The help is the first thing a person sees: it names every command and fits 80 columns.
#[test]
fn help_is_grouped_and_fits() {
    let dir = folder();
    let (code, out, err) = run(dir.path(), &["help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    insta::assert_snapshot!(out, @r"
    A process supervisor whose on-call engineer is built in

    Usage: mhost [OPTIONS] <COMMAND>

    Run:
      start       Start processes from a file, a command line, or the list
      stop        Stop processes and keep them registered
      restart     Stop processes and start them again
      reload      Replace processes without a gap
      scale       Change the number of copies
      delete      Stop processes and remove them from the list
      signal      Send a signal to a process and its children

    Look:
      list        List all processes
      status      Show how processes are; with a target, all about it
      info        Show all about a process: state, definition, environment, events
      monit       Watch all processes on one screen: usage, logs, health, events
      logs        Show what processes printed
      health      Show what the probes say
      metrics     Show what processes use and used; serve it to Prometheus
      history     Show what happened to a process, newest first
      replay      Tell all that happened to a process around a time
      limits      Show the limits of a process and what is used of them
      cron        Show scheduled restarts
      link        Show what depends on what
      env         Show the final environment of a process
      config      Show the effective definition of a process
      sinks       Show where log lines are sent, and how that goes
      audit       Show who asked for what, and what came of it

    Keep:
      save        Write the process list to dump.toml, for `mhost resurrect`
      resurrect   Start what `mhost save` wrote down
      startup     Start mhost and its processes at boot, by systemd
      unstartup   Undo `mhost startup`
      flush       Empty the stored logs

    Heal:
      brain       See how well processes are, and what was done for them
      agent       Let the agent act, hold it back, and answer its questions
      ai          Say what is wrong, what will be, and what to change
      mcp         Let another agent look and propose, over MCP

    Reach:
      bot         Run the fleet from a chat, and say who may
      notify      Be told what happens: in chats, by mail, by pagers and webhooks

    Set up:
      demo        Watch mhost heal three failing programs
      init        Write a commented mhost.toml to start from
      check       Check a config file, without starting anything
      completion  Print the completion script of a shell

    Daemon:
      daemon      Start, stop and look at the daemon
      ping        Ask the daemon whether it is there
      kill        Stop all processes and the daemon

    Options:
      -c, --config <PATH>   Config file to use instead of looking for mhost.toml
          --home <DIR>      State directory [default: $MHOST_HOME, else ~/.mhost]
          --json            Print one JSON value
          --no-color        No colours
      -q, --quiet           Print errors only
      -y, --yes             Take every question as answered with yes
          --timeout <TIME>  Longest time to wait for the daemon's answer
      -V, --version         Print the version
      -h, --help            Print help

    `mhost help <command>` says more about a command.
    ");
}

/// Every command explains itself, without an error and within 100 columns.
#[test]
fn every_command_has_help() {
    let dir = folder();
    let (_, out, _) = run(dir.path(), &["help"]);
    let commands = out
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   ") && !line.contains("--"))
        .filter_map(|line| line.split_whitespace().next());
    for command in commands {
        let (code, out, err) = run(dir.path(), &[command, "--help"]);
        assert_eq!((code, err.as_str()), (0, ""), "{command}");
        assert!(out.contains("Usage: mhost"), "{command}: {out}");
    }
}

/// The three spellings of the version flag.
#[test]
fn the_version_has_three_flags() {
    let dir = folder();
    let wanted = format!("mhost {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "-V", "-v"] {
        let (code, out, _) = run(dir.path(), &[flag]);
        assert_eq!((code, out), (0, wanted.clone()), "{flag}");
    }
}

/// Wrong usage is exit code 2 and says what is possible.
#[test]
fn wrong_usage_is_exit_2() {
    let dir = folder();
    for args in [
        &["stat"][..],
        &["stop"],
        &["scale", "api", "many"],
        &["logs", "--err", "--out"],
        &["signal", "api", "SIGNONSENSE"],
        &["list", "--timeout", "soon"],
    ] {
        let (code, out, err) = run(dir.path(), args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.starts_with("error:"), "{args:?}: {err}");
    }
    let (code, out, err) = run(dir.path(), &["logs", "--format", "csv", "--json"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("--json and another --format"), "{err}");
    let (code, _, err) = run(dir.path(), &["--json", "stat"]);
    let error: serde_json::Value = serde_json::from_str(&err).expect("one JSON value");
    assert_eq!((code, &error["error"]["code"]), (2, &serde_json::json!(2)));
}

/// Without a daemon the commands that never start one say so with exit code 4.
#[test]
fn no_daemon_is_exit_4() {
    let dir = folder();
    for args in [
        &["ping"][..],
        &["kill"],
        &["daemon", "stop"],
        &["daemon", "status"],
        &["list"],
    ] {
        let (code, out, err) = run(dir.path(), args);
        assert_eq!((code, out.as_str()), (4, ""), "{args:?}: {err}");
        assert!(
            err.starts_with('✗') && err.contains("help:"),
            "{args:?}: {err}"
        );
    }
    let (code, _, err) = run(dir.path(), &["--json", "ping"]);
    let error: serde_json::Value = serde_json::from_str(&err).expect("one JSON value");
    assert_eq!((code, &error["error"]["exit"]), (4, &serde_json::json!(4)));
}

/// The starter file is valid as it stands, and what is there is never overwritten.
#[test]
fn init_writes_a_valid_file_once() {
    let dir = folder();
    let (code, out, err) = run(dir.path(), &["init"]);
    assert_eq!((code, out.as_str()), (0, "✓ wrote mhost.toml\n"), "{err}");
    let (code, out, _) = run(dir.path(), &["check"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "✓ mhost.toml: 1 process, 0 groups\n")
    );

    fs::write(dir.path().join("mhost.toml"), "mine").expect("written");
    let (code, _, err) = run(dir.path(), &["init"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(err, @r"
    ✗ mhost.toml exists already
      help: check what is there: mhost check mhost.toml
    ");
    let kept = fs::read_to_string(dir.path().join("mhost.toml")).expect("read");
    assert_eq!(kept, "mine");
}

/// All problems of a file are shown at once, each with its place and what to write instead.
#[test]
fn check_points_at_every_problem() {
    let dir = folder();
    let file = "[process.api]\ncommand = \"sleep 1\"\nmax_memry = \"1GB\"\ninstances = -3\n";
    fs::write(dir.path().join("mhost.toml"), file).expect("written");
    let (code, out, err) = run(dir.path(), &["check"]);
    assert_eq!((code, out.as_str()), (2, ""));
    insta::assert_snapshot!(err, @r#"
      × unknown key `max_memry` in `process.api`
       ╭─[mhost.toml:3:1]
     2 │ command = "sleep 1"
     3 │ max_memry = "1GB"
       · ^^^^^^^^^
     4 │ instances = -3
       ╰────
      help: write `max_memory`

      × `instances` is -3, it must be a number from 0 to 256
       ╭─[mhost.toml:4:13]
     3 │ max_memry = "1GB"
     4 │ instances = -3
       ·             ^^
       ╰────
      help: write `instances = 0`

    ✗ mhost.toml has 2 problems
    "#);

    let (code, _, err) = run(dir.path(), &["--json", "check"]);
    let error: serde_json::Value = serde_json::from_str(&err).expect("one JSON value");
    let problems = error["error"]["problems"].as_array().expect("a list");
    assert_eq!((code, problems.len()), (2, 2));
    assert_eq!(
        (&problems[0]["line"], &problems[0]["column"]),
        (&3.into(), &1.into())
    );
}

/// A flag that only means something with a file is refused where there is none, not ignored.
#[test]
fn flags_of_files_are_refused_for_a_command_line() {
    let dir = folder();
    let flags: [&[&str]; 4] = [
        &["--reset-scale"],
        &["--prune"],
        &["--only", "api"],
        &["--group", "web"],
    ];
    for flag in flags {
        let args = [&["start", "--dry-run", "sleep 100"], flag].concat();
        let (code, _, err) = run(dir.path(), &args);
        assert_eq!(code, 2, "{err}");
        let expected = format!("{} needs a config file", flag[0]);
        assert!(err.contains(&expected), "{err}");
    }
}

/// No file to be found is a configuration error with advice.
#[test]
fn no_config_file_is_exit_2() {
    let dir = folder();
    fs::create_dir(dir.path().join(".git")).expect("made");
    let (code, _, err) = run(dir.path(), &["check"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(err, @r"
    ✗ no mhost.toml, mhost.yaml, mhost.yml or mhost.json in FOLDER
      help: write one: mhost init; or say what to run: mhost start <command>
    ");
}

/// The unit is accepted by systemd itself, and nothing is written.
#[test]
fn the_unit_passes_systemd() {
    let dir = folder();
    for scope in ["--user", "--system"] {
        let (code, unit, err) = run(dir.path(), &["startup", scope, "--print"]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(unit.contains("KillMode=process"), "{unit}");
        assert!(!dir.path().join(".config").exists(), "nothing is written");
        let file = dir.path().join("mhost.service");
        fs::write(&file, unit.replace("User=root\n", "")).expect("written");
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]);
        if scope == "--user" {
            verify.arg("--user");
        }
        let Ok(output) = verify
            .arg(&file)
            .env("XDG_RUNTIME_DIR", dir.path())
            .output()
        else {
            continue; // There is no systemd on this machine to ask.
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("mhost.service"), "{scope}: {said}");
    }
}

/// Completion scripts know the commands.
#[test]
fn completions_know_the_commands() {
    let dir = folder();
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(dir.path(), &["completion", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("resurrect"), "{shell}");
    }
}

/// A reader that goes away is no failure.
#[test]
fn a_broken_pipe_ends_quietly() {
    let dir = folder();
    let script = format!(
        "{} completion bash | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_mhost")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .output()
        .expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Flushing asks, and without a terminal only `--yes` is a yes.
#[test]
fn flush_needs_a_yes() {
    let dir = folder();
    let (code, _, err) = run(dir.path(), &["flush"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(err, @r"
    ✗ this needs a confirmation, and there is no terminal to ask on
      help: add --yes
    ");
}

/// What is no file where a file is meant is refused and not waited for.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let dir = folder();
    for (at, args) in [
        ("mhost.toml", &["check", "mhost.toml"][..]),
        ("other.toml", &["-c", "other.toml", "start", "--dry-run"]),
        (
            "vars",
            &["start", "sleep 5", "--env-file", "vars", "--dry-run"],
        ),
    ] {
        let fifo = dir.path().join(at);
        supervisor::sys::make_fifo(&fifo).expect("makes");
        let (code, _, err) = run(dir.path(), args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains("it is a FIFO, not a file"), "{args:?}: {err}");
    }
}

/// A home that is a file is named as what it is.
#[test]
fn a_home_that_is_a_file_is_told() {
    let dir = folder();
    fs::write(dir.path().join("home"), "").expect("writes");
    for args in [&["list"][..], &["daemon", "status"], &["daemon", "start"]] {
        let (code, _, err) = run(dir.path(), args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains("FOLDER/home is not a folder"), "{err}");
        assert!(err.contains("move that file away"), "{err}");
    }
}

/// A pause says for how long.
#[test]
fn a_pause_needs_a_time() {
    let dir = folder();
    for args in [&["agent", "pause"][..], &["agent", "pause", "0s"]] {
        let (code, _, err) = run(dir.path(), args);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("mhost agent pause 30m"), "{err}");
    }
    for time in ["91d", "99999999d", "5000000000000"] {
        let (code, _, err) = run(dir.path(), &["agent", "pause", time]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("at most 90d"), "{err}");
        assert!(err.contains("mhost agent stop"), "{err}");
    }
}

/// The script of a shell is one JSON value, too.
#[test]
fn a_completion_script_as_json() {
    let dir = folder();
    let (code, out, _) = run(dir.path(), &["completion", "bash", "--json"]);
    assert_eq!(code, 0);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["shell"], "bash");
    assert!(value["script"].as_str().expect("a text").contains("_mhost"));
}

/// Prompts are local: they are listed, exported, edited and tried without a daemon.
#[test]
fn prompts_are_listed_exported_and_tried() {
    let dir = folder();
    let (code, out, err) = run(dir.path(), &["ai", "prompts", "list"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("fix") && out.contains("built-in"), "{out}");
    let (code, out, _) = run(dir.path(), &["ai", "prompts", "show", "fix", "--example"]);
    assert_eq!(code, 0);
    assert!(out.contains("⟦data observation: untrusted"), "{out}");

    let (code, out, _) = run(dir.path(), &["ai", "prompts", "export", "fix"]);
    assert_eq!(code, 0);
    assert!(out.contains("FOLDER/home/prompts/fix.txt"), "{out}");
    let (code, _, err) = run(dir.path(), &["ai", "prompts", "export", "fix"]);
    assert_eq!(code, 2, "nothing is overwritten: {err}");
    let (code, out, err) = run(dir.path(), &["ai", "prompts", "test"]);
    assert_eq!((code, err.as_str()), (0, ""), "what is exported renders");
    assert!(out.contains("1 file of yours is used"), "{out}");

    let file = dir.path().join("home/prompts/fix.txt");
    fs::write(file, "About {{ nobody }}").unwrap();
    let (code, _, err) = run(dir.path(), &["ai", "prompts", "test", "fix"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("fix.txt is not used") && err.contains("nobody"),
        "{err}"
    );
    let (code, _, err) = run(dir.path(), &["ai", "prompts", "show", "nope"]);
    assert_eq!(code, 3);
    assert!(err.contains("there is no prompt `nope`"), "{err}");
}

/// A definition without its secrets looks whole: whoever copies it is told.
#[test]
fn a_masked_definition_says_so() {
    let dir = folder();
    let command = "sleep 9 --db postgres://ana:hunter22@db/x";
    let (code, out, err) = run(dir.path(), &["start", "--dry-run", "--json", command]);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("hunter22") && out.contains("***"), "{out}");
    assert!(
        err.starts_with("{\"warning\":\"Secrets are shown as ***"),
        "{err}"
    );
    let (_, _, err) = run(dir.path(), &["start", "--dry-run", "--json", "sleep 9"]);
    assert_eq!(err, "");
}
