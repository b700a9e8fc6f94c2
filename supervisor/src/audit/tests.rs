//! Rows are written before and after, read from the newest, and kept within bounds.

use super::*;

fn attempt(subject: &str) -> Attempt {
    Attempt {
        command: "process.stop".into(),
        subject: subject.into(),
        dry_run: false,
        incident: None,
    }
}

#[test]
fn rows_come_back_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let audit = Audit::new(&paths, Clock::system());
    assert!(audit.query(10, None).unwrap().is_empty());
    let caller = Caller::local("ana", Via::Cli);
    for index in 0..500 {
        let open = audit
            .begin(&caller, attempt(&format!("{index}-{}", "x".repeat(300))))
            .unwrap();
        audit
            .end(open, (index == 499).then(|| "no process".into()))
            .unwrap();
    }
    audit.denied(&caller, attempt("db"), "role".into()).unwrap();
    let rows = audit.query(1_000_000, None).unwrap();
    assert_eq!(rows.len(), 1_001);
    assert_eq!(rows[0].phase, Phase::Denied);
    assert_eq!(rows[1].error.as_deref(), Some("no process"));
    assert_eq!(rows[1].id, rows[2].id);
    assert_eq!(rows[2].phase, Phase::Intent);
    assert!(rows.is_sorted_by(|newer, older| newer.id >= older.id));
    assert_eq!(audit.query(3, None).unwrap().len(), 3);
    assert!(audit.query(3, Some(Timestamp::MAX)).unwrap().is_empty());
}

#[test]
fn a_cut_line_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    std::fs::write(paths.audit(), "{\"id\":\"cut\n").unwrap();
    let audit = Audit::new(&paths, Clock::system());
    let open = audit
        .begin(&Caller::system(), attempt(&"ü".repeat(2_000)))
        .unwrap();
    audit.end(open, None).unwrap();
    let rows = audit.query(10, None).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].subject.ends_with('…'));
}

#[test]
fn no_text_of_a_row_is_long() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let audit = Audit::new(&paths, Clock::system());
    let long = || "A".repeat(9_000_000);
    let big = || Attempt {
        incident: Some(long()),
        ..attempt(&long())
    };
    let open = audit.begin(&Caller::system(), big()).unwrap();
    audit.end(open, Some(long())).unwrap();
    audit.denied(&Caller::system(), big(), long()).unwrap();
    assert!(std::fs::metadata(paths.audit()).unwrap().len() < 20_000);
    let rows = audit.query(10, None).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[1].error.as_ref().unwrap().ends_with('…'));
}

#[test]
fn room_is_held_for_rows_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let audit = Audit::new(&paths, Clock::system());
    audit.prepare().unwrap();
    let look = || std::fs::metadata(paths.audit()).unwrap();
    assert_eq!(look().len(), 0);
    let room = |found: &std::fs::Metadata| found.blocks() * 512 - found.len();
    if room(&look()) == 0 {
        let line = b"skipped: this file system takes no room ahead\n";
        let _ = std::io::stderr().write_all(line);
        return;
    }
    for _ in 0..2_000 {
        let open = audit.begin(&Caller::system(), attempt("api")).unwrap();
        audit.end(open, None).unwrap();
        let found = look();
        assert!(room(&found) >= RESERVE / 2, "{}", room(&found));
    }
    assert!(look().len() > 2 * RESERVE);
    assert_eq!(audit.query(10_000, None).unwrap().len(), 4_000);
}

#[test]
fn full_files_are_moved_on_and_the_oldest_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let mut audit = Audit::new(&paths, Clock::system());
    audit.full = 4_000;
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let caller = Caller::local("ana", Via::Cli);
    let mut ids = Vec::new();
    for index in 0..20 {
        let open = audit.begin(&caller, attempt(&index.to_string())).unwrap();
        ids.push(open.row.id.clone());
        audit.end(open, None).unwrap();
    }
    let before = names().len();
    assert!((2..=5).contains(&before), "{:?}", names());
    // Nothing is dropped before there are five, and pairs hold over the seam.
    let rows = audit.query(1_000, None).unwrap();
    assert_eq!(rows.len(), 40);
    for pair in rows.chunks(2) {
        assert_eq!(pair[0].id, pair[1].id);
    }
    assert_eq!(rows.last().unwrap().id, ids[0]);
    assert_eq!(audit.query(30, None).unwrap().len(), 30);
    for index in 20..200 {
        let open = audit.begin(&caller, attempt(&index.to_string())).unwrap();
        audit.end(open, None).unwrap();
    }
    let files = ["", ".1", ".2", ".3", ".4"].map(|ending| format!("audit.jsonl{ending}"));
    let expected = [&["audit.head".to_owned()], files.as_slice()].concat();
    assert_eq!(names(), expected);
    for name in names() {
        let found = std::fs::metadata(folder.path().join(name)).unwrap();
        assert!(found.len() < 5_000, "{}", found.len());
        assert_eq!(found.mode() & 0o777, 0o600);
    }
    let rows = audit.query(1_000, None).unwrap();
    assert!((60..120).contains(&rows.len()), "{}", rows.len());
    assert!(rows.is_sorted_by(|newer, older| newer.id >= older.id));
}

#[test]
fn rows_go_on_in_a_full_file_where_there_is_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let mut audit = Audit::new(&paths, Clock::system());
    audit.full = 100;
    // A folder of that name: nothing can be renamed to it.
    std::fs::create_dir_all(folder.path().join("audit.jsonl.new/x")).unwrap();
    for _ in 0..10 {
        let open = audit.begin(&Caller::system(), attempt("api")).unwrap();
        audit.end(open, None).unwrap();
    }
    assert_eq!(audit.query(100, None).unwrap().len(), 20);
    assert!(!folder.path().join("audit.jsonl.1").exists());
}

#[test]
fn a_row_after_a_cut_one_is_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    let audit = Audit::new(&paths, Clock::system());
    std::fs::write(paths.audit(), "{\"id\":\"cu").unwrap();
    audit.prepare().unwrap();
    audit
        .denied(&Caller::system(), attempt("api"), "role".into())
        .unwrap();
    assert_eq!(audit.query(10, None).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path().join("missing")).unwrap();
    let audit = Audit::new(&paths, Clock::system());
    assert!(audit.begin(&Caller::system(), attempt("api")).is_err());
}

/// A log of three files and some hundred rows, one of them cut by a crash.
fn chained(folder: &Path) -> Audit {
    let paths = Paths::new(folder).unwrap();
    // Of a version without hashes.
    std::fs::write(paths.audit(), "{\"id\":\"old\"}\n").unwrap();
    let caller = Caller::local("ana", Via::Cli);
    for run in 0..3 {
        let mut audit = Audit::new(&paths, Clock::system());
        audit.full = 6_000;
        for row in 0..10 {
            let open = audit
                .begin(&caller, attempt(&format!("{run}-{row}")))
                .unwrap();
            audit.end(open, None).unwrap();
        }
        if run == 1 {
            let mut file = OpenOptions::new().append(true).open(paths.audit()).unwrap();
            file.write_all(b"{\"id\":\"cut").unwrap();
        }
    }
    Audit::new(&paths, Clock::system())
}

#[test]
fn an_untouched_log_vouches_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let audit = chained(folder.path());
    let found = audit.verify().unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert!(found.rows > 60, "{found:?}");
    assert_eq!((found.before, found.cut), (1, 1));
    assert!(audit.place(2).exists(), "over several files");
    assert_eq!(audit.query(1_000, None).unwrap().len(), 60);
}

/// Any byte of any file, changed, added or taken away, and whole rows at both ends.
#[test]
fn no_byte_can_be_changed_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let audit = chained(folder.path());
    let files: Vec<PathBuf> = (0..=2).map(|ago| audit.place(ago)).collect();
    let mut tried = 0;
    for path in &files {
        let whole = std::fs::read(path).unwrap();
        // Every 149th byte, and all of the last two rows.
        let near_the_end = whole.len().saturating_sub(500);
        let places = (0..whole.len()).filter(|at| at % 149 == 0 || *at >= near_the_end);
        for at in places {
            for change in 0..3 {
                let mut bytes = whole.clone();
                match change {
                    0 => bytes[at] ^= 1 << (at % 7),
                    1 => bytes.insert(at, b'x'),
                    _ => {
                        bytes.remove(at);
                    }
                }
                if bytes == whole {
                    continue;
                }
                std::fs::write(path, &bytes).unwrap();
                let found = audit.verify().unwrap();
                assert!(
                    !found.problems.is_empty(),
                    "{path:?} byte {at} change {change}"
                );
                tried += 1;
            }
        }
        std::fs::write(path, &whole).unwrap();
    }
    assert!(tried > 1_000, "{tried}");
    // The newest row, the oldest one that is kept, a file.
    let whole = std::fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    std::fs::write(&files[0], lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    assert!(!audit.verify().unwrap().problems.is_empty());
    std::fs::write(&files[0], lines[1..].join("\n") + "\n").unwrap();
    assert!(!audit.verify().unwrap().problems.is_empty());
    std::fs::write(&files[0], &whole).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    assert!(!audit.verify().unwrap().problems.is_empty());
}

/// A log that was removed, or replaced by an older copy, is missed, also by the next daemon.
#[test]
fn a_log_that_was_taken_away_is_missed() {
    for replaced in [false, true] {
        for restarted in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let paths = Paths::new(folder.path()).unwrap();
            let mut audit = Audit::new(&paths, Clock::system());
            let caller = Caller::local("ana", Via::Cli);
            let write = |audit: &Audit| {
                let open = audit.begin(&caller, attempt("api")).unwrap();
                audit.end(open, None).unwrap();
            };
            write(&audit);
            let old = std::fs::read(paths.audit()).unwrap();
            write(&audit);
            std::fs::remove_file(paths.audit()).unwrap();
            if replaced {
                std::fs::write(paths.audit(), &old).unwrap();
            }
            if restarted {
                audit = Audit::new(&paths, Clock::system());
            }
            assert!(!audit.verify().unwrap().problems.is_empty());
            write(&audit);
            let rows = audit.query(10, None).unwrap().len();
            assert_eq!(rows, if replaced { 4 } else { 2 }, "the new rows are there");
            assert!(!audit.verify().unwrap().problems.is_empty());
        }
    }
}
