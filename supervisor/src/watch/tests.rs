//! Watching real folders.

use std::path::Path;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::testing::spec_in as spec;

const DEADLINE: Duration = Duration::from_secs(60);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temp folder")
}

fn write(root: &TempDir, file: &str, text: &str) {
    let path = root.path().join(file);
    std::fs::create_dir_all(path.parent().expect("has a folder")).expect("makes folders");
    std::fs::write(path, text).expect("writes");
}

struct Watched {
    changes: mpsc::Receiver<PathBuf>,
    _watcher: Watcher,
    root: TempDir,
}

/// Watches, and returns when the watch is known to work.
async fn watched(root: TempDir, watch: &str) -> Watched {
    let (sender, changes) = mpsc::channel(16);
    let watcher = Watcher::start(&spec(root.path(), watch), &Tasks::new(), sender)
        .expect("good globs")
        .expect("it watches");
    let mut watched = Watched {
        changes,
        _watcher: watcher,
        root,
    };
    let sync = async {
        for round in 0.. {
            write(&watched.root, "sync.js", &round.to_string());
            if timeout(QUIET * 3, watched.changes.recv()).await.is_ok() {
                return;
            }
        }
    };
    timeout(DEADLINE, sync).await.expect("a change is seen");
    // The last of these changes may be told late.
    watched.at_rest().await;
    watched
}

impl Watched {
    async fn change(&mut self) -> PathBuf {
        let path = timeout(DEADLINE, self.changes.recv()).await;
        let path = path.expect("in time").expect("it goes on");
        path.strip_prefix(self.root.path())
            .expect("below")
            .to_owned()
    }

    /// Waits until nothing more is told: what takes the system many steps may be told in two
    /// bursts on a machine that stops in between.
    async fn at_rest(&mut self) {
        while let Ok(Some(_)) = timeout(QUIET * 4, self.changes.recv()).await {}
    }

    /// Nothing was reported before a change of `sync.js` is.
    async fn silent(&mut self) {
        write(&self.root, "sync.js", "silent");
        assert_eq!(self.change().await, Path::new("sync.js"));
    }
}

#[tokio::test]
async fn reports_a_burst_once() {
    let root = folder();
    write(&root, "src/a.js", "1");
    let mut watched = watched(root, "watch = true").await;
    loop {
        let mut longest = Duration::ZERO;
        for n in 0..20 {
            let began = Instant::now();
            write(&watched.root, "src/a.js", &n.to_string());
            write(&watched.root, &format!("src/b{n}.js"), "x");
            longest = longest.max(began.elapsed());
        }
        assert_eq!(watched.change().await, Path::new("src/a.js"));
        if longest < QUIET / 2 {
            break;
        }
        // It was no burst: the machine has stopped in the middle of it.
        watched.at_rest().await;
    }
    watched.silent().await;
}

#[tokio::test]
async fn ignores_what_does_not_count() {
    let root = folder();
    write(&root, "node_modules/x/index.js", "1");
    write(&root, "notes.js", "1");
    let mut watched = watched(root, "watch = true\nignore = ['gen', '*.min.js']").await;
    write(&watched.root, "node_modules/x/index.js", "2");
    write(&watched.root, "gen/deep/a.js", "2");
    write(&watched.root, "a.min.js", "2");
    write(&watched.root, "out.log", "2");
    write(&watched.root, "README.md", "2");
    std::fs::read(watched.root.path().join("notes.js")).expect("reads");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(
        watched.root.path().join("notes.js"),
        std::fs::Permissions::from_mode(0o600),
    )
    .expect("sets rights");
    watched.silent().await;
}

#[tokio::test]
async fn follows_new_moved_and_removed_folders() {
    let mut watched = watched(folder(), "watch = true").await;
    write(&watched.root, "new/deep/er/a.js", "1");
    assert_eq!(watched.change().await, Path::new("new/deep/er/a.js"));
    watched.at_rest().await;
    write(&watched.root, "new/deep/er/a.js", "2");
    assert_eq!(watched.change().await, Path::new("new/deep/er/a.js"));

    let at = |file: &str| watched.root.path().join(file);
    let (from, to) = (at("new"), at("moved"));
    std::fs::rename(from, to).expect("moves");
    watched.change().await;
    watched.at_rest().await;
    write(&watched.root, "moved/deep/er/a.js", "3");
    assert_eq!(watched.change().await, Path::new("moved/deep/er/a.js"));

    std::fs::remove_dir_all(watched.root.path().join("moved")).expect("removes");
    watched.change().await;
    watched.at_rest().await;
    write(&watched.root, "moved/deep/b.js", "4");
    assert_eq!(watched.change().await, Path::new("moved/deep/b.js"));
    watched.at_rest().await;
    watched.silent().await;
}

#[tokio::test]
async fn an_editor_that_renames_is_seen() {
    let root = folder();
    write(&root, "a.js", "1");
    let mut watched = watched(root, "watch = ['*.js']").await;
    write(&watched.root, "a.js.tmp", "2");
    let at = |file: &str| watched.root.path().join(file);
    std::fs::rename(at("a.js.tmp"), at("a.js")).expect("moves");
    assert_eq!(watched.change().await, Path::new("a.js"));
    std::fs::remove_file(watched.root.path().join("a.js")).expect("removes");
    assert_eq!(watched.change().await, Path::new("a.js"));
}

#[tokio::test]
async fn comes_back_when_the_folder_does() {
    let outer = folder();
    let cwd = outer.path().join("app");
    std::fs::create_dir(&cwd).expect("makes a folder");
    let (sender, mut changes) = mpsc::channel(16);
    let spec = spec(&cwd, "watch = true");
    let _watcher = Watcher::start(&spec, &Tasks::new(), sender).expect("starts");
    let mut rounds = async |remove: bool| {
        for round in 0.. {
            if remove {
                let _ = std::fs::remove_dir_all(&cwd);
                std::fs::create_dir(&cwd).expect("makes a folder");
            } else {
                std::fs::write(cwd.join("a.js"), round.to_string()).expect("writes");
            }
            match timeout(SCAN_INTERVAL * 2, changes.recv()).await {
                Ok(Some(path)) if remove || path == cwd.join("a.js") => return,
                _ => {}
            }
        }
    };
    let all = async {
        rounds(false).await;
        rounds(true).await;
        rounds(false).await;
    };
    timeout(DEADLINE, all).await.expect("all changes are seen");
}

#[tokio::test]
async fn looks_each_second_where_it_must() {
    let root = folder();
    write(&root, "src/a.js", "1");
    write(&root, "node_modules/a.js", "1");
    let spec = spec(root.path(), "watch = true");
    let filter = Filter::new(&spec.cwd, &spec.config.watch, &spec.config.ignore).expect("good");
    let before = scan::scan(filter.clone()).await.expect("scans");
    assert_eq!(before.first_difference(&before), None);
    write(&root, "node_modules/a.js", "two");
    let same = scan::scan(filter.clone()).await.expect("scans");
    assert_eq!(before.first_difference(&same), None);
    write(&root, "src/a.js", "two");
    let after = scan::scan(filter.clone()).await.expect("scans");
    let changed = root.path().join("src/a.js");
    assert_eq!(before.first_difference(&after), Some(changed.clone()));

    let (sender, mut changes) = mpsc::channel(1);
    let task = Task {
        process: "api".into(),
        filter,
        changed: sender,
    };
    let polling = tokio::spawn(async move { task.poll(None).await });
    let seen = async {
        for round in 0.. {
            write(&root, "src/a.js", &"x".repeat(round));
            if let Ok(Some(path)) = timeout(SCAN_INTERVAL * 2, changes.recv()).await {
                return path;
            }
        }
        unreachable!("the rounds do not end")
    };
    assert_eq!(timeout(DEADLINE, seen).await.expect("in time"), changed);
    polling.abort();
}

#[tokio::test]
async fn off_and_wrong() {
    let root = folder();
    let start = |watch: &str| {
        let (sender, _) = mpsc::channel(1);
        Watcher::start(&spec(root.path(), watch), &Tasks::new(), sender)
    };
    assert!(start("").expect("fine").is_none());
    assert!(matches!(
        start("watch = ['[']"),
        Err(WatchError::Glob { .. })
    ));
    let (sender, _) = mpsc::channel(1);
    let nowhere = spec(&root.path().join("none"), "watch = true");
    let error = Watcher::start(&nowhere, &Tasks::new(), sender).expect_err("no folder");
    assert!(matches!(error, WatchError::Folder { .. }));
}
