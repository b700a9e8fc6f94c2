#!/usr/bin/env python3
"""Changes the supervisor's machines in every small way, and counts what no test notices.

    cargo install cargo-mutants --locked
    python3 tests/mutants.py [-- more for cargo mutants, such as --list]

The machines are pure: of the crate they need a few modules and no library that takes long. So
they are copied to target/mutants as a crate of their own, with their unit tests, and each
change is built and tested in seconds, where the whole crate takes a minute. What cargo-mutants
says lies in target/mutants/mutants.out; this prints the share that was caught, of those that
compile. It asserts nothing.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPY = TARGET / "mutants"
# What is changed; the rest is what these need.
MACHINES = ["machine", "backoff"]
AROUND = ["clock", "event", "ids", "launch", "notice", "os_text", "paths", "secret", "shared",
          "spec", "state", "templates", "units"]
CRATES = ["async-trait", "futures", "humantime", "jiff", "libc", "memchr", "regex", "schemars",
          "serde", "serde_json", "sha2", "shell-words", "strsim", "thiserror", "tokio", "tokio-util",
          "toml", "tracing", "zstd"]
DEV_CRATES = ["fastrand", "proptest", "tempfile"]
# The one thing they take from the fakes.
SPEC = re.compile(r"pub\(crate\) fn spec_in.*?\n}\n", re.DOTALL)


def main():
    write_copy()
    more = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else []
    files = [word for name in MACHINES for word in ("-f", f"src/{name}.rs", "-f", f"src/{name}/**")]
    argv = ["cargo", "mutants", "--colors=never", "--timeout=60", *files, *more, "--", "--lib", "--",
            *(f"{name}::" for name in MACHINES)]
    env = {**os.environ, "CARGO_TARGET_DIR": str(COPY / "target")}
    subprocess.run(argv, cwd=COPY, env=env)
    if "--list" not in more:
        report()


def write_copy():
    source = COPY / "src"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    modules = MACHINES + AROUND
    for name in modules:
        shutil.copy(ROOT / f"supervisor/src/{name}.rs", source)
        if (folder := ROOT / f"supervisor/src/{name}").is_dir():
            shutil.copytree(folder, source / name)
    lib = "".join(f"pub mod {name};\n" for name in modules)
    (source / "lib.rs").write_text(f"#![allow(warnings)]\n{lib}#[cfg(test)]\nmod testing;\n")
    fakes = (ROOT / "supervisor/src/testing.rs").read_text()
    (source / "testing.rs").write_text(SPEC.search(fakes)[0])
    whole = (ROOT / "Cargo.toml").read_text()
    versions = dict(re.findall(r"^([\w-]+) = (.*)$", whole[whole.index("[workspace.dependencies]"):],
                               re.MULTILINE))

    def lines(names):
        return "".join(f"{name} = {versions[name]}\n" for name in names)

    (COPY / "Cargo.toml").write_text(
        '[package]\nname = "machines"\nversion = "0.0.0"\nedition = "2024"\npublish = false\n'
        f"[workspace]\n[dependencies]\n{lines(CRATES)}\n[dev-dependencies]\n{lines(DEV_CRATES)}"
        'tokio = { version = "1", features = ["test-util"] }\n'
        "[profile.dev]\ndebug = false\n")
    shutil.copy(ROOT / "Cargo.lock", COPY)


def report():
    done = json.loads((COPY / "mutants.out/outcomes.json").read_text())
    caught = done["caught"] + done["timeout"]
    tried = caught + done["missed"]
    print(f"{tried} changes compiled, {caught} were caught: {caught / max(tried, 1):.1%}; "
          f"{done['unviable']} did not compile")


if __name__ == "__main__":
    main()
