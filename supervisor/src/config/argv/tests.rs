//! Command lines, scripts and their interpreters.

use super::*;

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// Programs in `bin/`, files beside it.
    fn new(programs: &[&str], files: &[(&str, &str, u32)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: PathBuf, text: &str, mode: u32| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        for program in programs {
            put(folder.path().join("bin").join(program), "", 0o755);
        }
        for (name, text, mode) in files {
            put(folder.path().join(name), text, *mode);
        }
        Self { folder }
    }

    fn read(&self, config: &str) -> Result<Command, ArgvError> {
        let config: ProcessConfig = toml::from_str(config).unwrap();
        let path = self.folder.path().join("bin");
        read(&config, self.folder.path(), path.to_str().unwrap())
    }

    fn line(&self, config: &str) -> String {
        let argv = self.read(config).unwrap().argv;
        let words: Vec<String> = std::iter::once(argv.program).chain(argv.args).collect();
        words.join("|")
    }
}

#[test]
fn a_program_stays_a_name() {
    let machine = Machine::new(
        &["python3", "node"],
        &[("x.py", "", 0o644), ("node", "", 0o755)],
    );
    for (config, wanted) in [
        ("command = \"python3 x.py 'a b'\"", "python3|x.py|a b"),
        (
            "command = 'node server.js'\nargs = ['-x', 'a b']",
            "node|server.js|-x|a b",
        ),
        ("command = \"absent --flag\"", "absent|--flag"),
        ("command = \"java -cp . Main\"", "java|-cp|.|Main"),
        ("command = 'missing.py'", "missing.py"),
        ("command = './db-proxy'", "./db-proxy"),
        (
            "command = 'python3 x.py'\ninterpreter = 'python3'",
            "python3|x.py",
        ),
    ] {
        assert_eq!(machine.line(config), wanted, "{config}");
        let argv = machine.read(config).unwrap().argv;
        assert_eq!(argv.interpreter.is_some(), config.contains("interpreter"));
    }
}

#[test]
fn a_script_gets_its_interpreter() {
    let files = [
        ("a.py", "", 0o644),
        ("a.js", "", 0o755),
        ("sub/a.sh", "", 0o644),
        ("tool", "", 0o755),
        ("env", "#!/usr/bin/env -S node --x\n", 0o644),
        ("run", "#! /usr/bin/env ruby\n", 0o755),
        ("data", "no program", 0o644),
    ];
    let machine = Machine::new(
        &["python3", "node", "bash", "ruby", "deno", "bun", "pypy3"],
        &files,
    );
    for (config, wanted) in [
        ("command = 'a.py --x'", "python3|a.py|--x"),
        ("command = 'a.js'", "node|a.js"),
        ("command = './a.js'", "node|./a.js"),
        ("command = 'sub/a.sh'", "bash|sub/a.sh"),
        ("command = 'a.js'\ninterpreter = 'none'", "./a.js"),
        ("command = 'a.js'\ninterpreter = 'bun'", "bun|a.js"),
        ("command = 'a.js'\ninterpreter = 'deno'", "deno|run|-A|a.js"),
        ("command = 'a.py'\ninterpreter = 'pypy3'", "pypy3|a.py"),
        (
            "command = 'a.js'\ninterpreter = 'node --inspect'",
            "node|--inspect|a.js",
        ),
        ("command = 'tool -v'", "./tool|-v"),
        ("command = 'env'", "node|--x|env"),
        ("command = 'run'", "./run"),
        ("command = 'data'", "./data"),
    ] {
        assert_eq!(machine.line(config), wanted, "{config}");
    }
}

#[test]
fn a_missing_interpreter_is_named() {
    let machine = Machine::new(&[], &[("a.rb", "", 0o644), ("a.ts", "", 0o644)]);
    let error = machine.read("command = 'a.rb'").unwrap_err();
    assert!(error.to_string().contains("`ruby` for `a.rb`"), "{error}");
    assert!(error.is_environment());
    let error = machine.read("command = 'a.ts'").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`ts-node`, `tsx`, `npx`, `deno`, `bun`"),
        "{error}"
    );
}

#[test]
fn typescript_takes_what_there_is() {
    let files = [("a.ts", "", 0o644)];
    for (programs, wanted, noted) in [
        (vec!["ts-node", "tsx"], "ts-node|a.ts", false),
        (vec!["npx", "bun"], "npx|tsx|a.ts", true),
        (vec!["bun", "deno"], "deno|run|-A|a.ts", true),
        (vec!["bun"], "bun|a.ts", true),
    ] {
        let machine = Machine::new(&programs, &files);
        assert_eq!(machine.line("command = 'a.ts'"), wanted);
        assert_eq!(
            machine.read("command = 'a.ts'").unwrap().note.is_some(),
            noted
        );
    }
}

#[test]
fn a_shell_runs_only_what_needs_one() {
    let machine = Machine::new(&[], &[]);
    for (command, wanted) in [
        ("a | b", "/bin/sh|-c|a | b"),
        ("a && b", "/bin/sh|-c|a && b"),
        ("a > log 2>&1", "/bin/sh|-c|exec a > log 2>&1"),
        ("cd x && a", "/bin/sh|-c|cd x && a"),
        ("cd x > y", "/bin/sh|-c|cd x > y"),
        ("a \"$(b)\"", "/bin/sh|-c|a \"$(b)\""),
        (
            "A=1 B='x y' node s.js",
            "/bin/sh|-c|A=1 B='x y' exec node s.js",
        ),
        ("a 'x & y' \"p;q\" r\\;s", "a|x & y|p;q|r;s"),
        ("sh -c 'a; b'", "sh|-c|a; b"),
        ("a --x=1", "a|--x=1"),
    ] {
        let config = format!("command = {}", toml::Value::String(command.into()));
        assert_eq!(machine.line(&config), wanted, "{command}");
    }
    assert_eq!(
        machine.line("command = 'a > b'\nargs = ['c d']"),
        "/bin/sh|-c|exec a > b 'c d'"
    );
    assert_eq!(
        machine.read("command = \"a 'b\"").unwrap_err(),
        ArgvError::Quote
    );
}

#[test]
fn names_come_from_the_file() {
    let machine = Machine::new(&[], &[("w.py", "", 0o644)]);
    for (command, wanted) in [
        ("python3 w.py --x", "w"),
        ("./bin/server.sh", "server"),
        ("node", "node"),
        ("übung", "-bung"),
    ] {
        assert_eq!(default_name(command, machine.folder.path()), wanted);
    }
}
