//! Which files count, and which folders can hold one. Pure but for the paths themselves.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::WatchError;
use crate::spec::Watch;

/// What `watch = true` looks at, by extension.
const SOURCES: [&str; 19] = [
    "js", "mjs", "cjs", "ts", "tsx", "jsx", "json", "py", "rb", "php", "sh", "rs", "go", "toml",
    "yaml", "yml", "html", "css", "env",
];

/// Never looked at, wherever in the tree.
const ALWAYS_IGNORED: [&str; 14] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    "target",
    "dist",
    "build",
    "__pycache__",
    ".venv",
    "*.log",
    "*.pid",
    "*.swp",
    "*~",
    ".mhost",
];

/// Characters that make a pattern more than a plain path.
const WILD: [char; 4] = ['*', '?', '[', '{'];

/// The files of one process that count.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    root: PathBuf,
    wanted: Wanted,
    /// Patterns without a slash: they match a name at any depth.
    ignored_names: GlobSet,
    /// Patterns with a slash: they match a path from the root.
    ignored_paths: GlobSet,
}

#[derive(Debug, Clone)]
enum Wanted {
    Sources,
    Globs {
        set: GlobSet,
        /// The plain folders each pattern starts with: nothing else needs to be entered.
        prefixes: Vec<PathBuf>,
    },
}

impl Filter {
    pub(super) fn new(root: &Path, watch: &Watch, ignore: &[String]) -> Result<Filter, WatchError> {
        let mut names = GlobSetBuilder::new();
        let mut paths = GlobSetBuilder::new();
        let ignored = ALWAYS_IGNORED
            .into_iter()
            .chain(ignore.iter().map(String::as_str));
        for pattern in ignored {
            let relative = relative(root, pattern)?;
            // The contents of an ignored folder are never looked at: the folder is enough.
            let relative = relative.strip_suffix("/**").unwrap_or(&relative);
            match relative.strip_prefix("**/").unwrap_or(relative) {
                name if !name.contains('/') => names.add(glob(name)?),
                _ => paths.add(glob(relative)?),
            };
        }
        let wanted = match watch {
            Watch::Off | Watch::Sources => Wanted::Sources,
            Watch::Globs(globs) => {
                let mut set = GlobSetBuilder::new();
                let mut prefixes = Vec::new();
                for pattern in globs {
                    let relative = relative(root, pattern)?;
                    set.add(glob(&relative)?);
                    // `src` alone means what is in it.
                    set.add(glob(&format!("{relative}/**"))?);
                    prefixes.push(plain_prefix(&relative));
                }
                Wanted::Globs {
                    set: build(set)?,
                    prefixes,
                }
            }
        };
        Ok(Filter {
            root: root.to_owned(),
            wanted,
            ignored_names: build(names)?,
            ignored_paths: build(paths)?,
        })
    }

    /// The folder that everything is relative to.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Does a change of this file count?
    pub(super) fn wants(&self, file: &Path) -> bool {
        let Ok(relative) = file.strip_prefix(&self.root) else {
            return false;
        };
        if relative.as_os_str().is_empty() || self.ignores(relative) {
            return false;
        }
        match &self.wanted {
            Wanted::Sources => is_source(relative),
            Wanted::Globs { set, .. } => set.is_match(relative),
        }
    }

    /// Can this folder hold a file that counts?
    pub(super) fn enters(&self, folder: &Path) -> bool {
        let Ok(relative) = folder.strip_prefix(&self.root) else {
            return false;
        };
        if self.ignores(relative) {
            return false;
        }
        match &self.wanted {
            Wanted::Sources => true,
            Wanted::Globs { prefixes, .. } => prefixes
                .iter()
                .any(|prefix| prefix.starts_with(relative) || relative.starts_with(prefix)),
        }
    }

    fn ignores(&self, relative: &Path) -> bool {
        relative
            .components()
            .any(|part| self.ignored_names.is_match(Path::new(part.as_os_str())))
            || relative
                .ancestors()
                .any(|part| !part.as_os_str().is_empty() && self.ignored_paths.is_match(part))
    }
}

/// `.env` has no extension as paths go, but is what people mean by one.
fn is_source(file: &Path) -> bool {
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let extension = file.extension().and_then(OsStr::to_str);
    name == ".env"
        || name.starts_with(".env.")
        || extension.is_some_and(|extension| SOURCES.contains(&extension))
}

/// The pattern as a path from `root`, without `./` and a slash at the end.
fn relative(root: &Path, pattern: &str) -> Result<String, WatchError> {
    let outside = || WatchError::Outside {
        glob: pattern.to_owned(),
        cwd: root.to_owned(),
    };
    let path = Path::new(pattern.trim());
    let path = match path.is_absolute() {
        true => path.strip_prefix(root).map_err(|_| outside())?,
        false => path,
    };
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            _ => return Err(outside()),
        }
    }
    match parts.is_empty() {
        true if pattern.trim().is_empty() => Err(WatchError::Glob {
            glob: pattern.to_owned(),
            why: "it is empty".to_owned(),
        }),
        // `.`: everything.
        true => Ok("**".to_owned()),
        false => Ok(parts.join("/")),
    }
}

fn plain_prefix(relative: &str) -> PathBuf {
    relative
        .split('/')
        .take_while(|part| !part.contains(WILD))
        .collect()
}

fn glob(pattern: &str) -> Result<Glob, WatchError> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| WatchError::Glob {
            glob: pattern.to_owned(),
            why: error.kind().to_string(),
        })
}

fn build(set: GlobSetBuilder) -> Result<GlobSet, WatchError> {
    set.build().map_err(|error| WatchError::Glob {
        glob: error.glob().unwrap_or_default().to_owned(),
        why: error.kind().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(watch: Watch, ignore: &[&str]) -> Filter {
        let ignore: Vec<String> = ignore.iter().map(|text| (*text).to_owned()).collect();
        Filter::new(Path::new("/app"), &watch, &ignore).expect("good globs")
    }

    fn globs(globs: &[&str]) -> Watch {
        Watch::Globs(globs.iter().map(|text| (*text).to_owned()).collect())
    }

    fn wanted(filter: &Filter, files: &[&str]) -> Vec<bool> {
        files
            .iter()
            .map(|file| filter.wants(&Path::new("/app").join(file)))
            .collect()
    }

    #[test]
    fn sources_by_extension() {
        let filter = filter(Watch::Sources, &[]);
        for good in [
            "a.js",
            "src/deep/x.py",
            ".env",
            ".env.local",
            "conf/prod.env",
            "ü.ts",
        ] {
            assert_eq!(wanted(&filter, &[good]), [true], "{good}");
        }
        for bad in [
            "a.txt",
            "Makefile",
            "app.log",
            "a.js.swp",
            "a.js~",
            "node_modules/x/index.js",
            "pkg/node_modules/x.js",
            ".git/config.json",
            "target/debug/x.rs",
        ] {
            assert_eq!(wanted(&filter, &[bad]), [false], "{bad}");
        }
        assert!(!filter.wants(Path::new("/elsewhere/a.js")));
    }

    #[test]
    fn globs_are_relative_to_the_folder() {
        let filter = filter(
            globs(&["src/**/*.js", "./config/app.toml", "views", "*.sql"]),
            &[],
        );
        for good in [
            "src/a.js",
            "src/x/y/a.js",
            "config/app.toml",
            "views/x/y.tpl",
            "q.sql",
        ] {
            assert_eq!(wanted(&filter, &[good]), [true], "{good}");
        }
        for bad in [
            "a.js",
            "lib/src/a.js",
            "config/b.toml",
            "deep/q.sql",
            "src/a.ts",
        ] {
            assert_eq!(wanted(&filter, &[bad]), [false], "{bad}");
        }
    }

    #[test]
    fn enters_only_what_can_hold_a_file() {
        let entered =
            |filter: &Filter, folder: &str| filter.enters(&Path::new("/app").join(folder));
        let some = filter(globs(&["src/web/*.js", "config/app.toml"]), &[]);
        for good in ["", "src", "src/web", "src/web/deep", "config"] {
            assert!(entered(&some, good), "{good}");
        }
        for bad in ["lib", "src/api", "node_modules", "src/web/node_modules"] {
            assert!(!entered(&some, bad), "{bad}");
        }
        let all = filter(Watch::Sources, &["tmp/", "data/cache/**", "**/snap*"]);
        for bad in ["tmp", "x/tmp", "data/cache", "data/cache/x", "x/snapshots"] {
            assert!(!entered(&all, bad), "{bad}");
        }
        assert!(entered(&all, "data") && entered(&all, "x/data/cache"));
        assert_eq!(
            wanted(&all, &["data/cache/a.js", "tmp/a.js"]),
            [false, false]
        );
    }

    #[test]
    fn bad_patterns_are_named() {
        let error = |watch: Watch| Filter::new(Path::new("/app"), &watch, &[]).expect_err("bad");
        assert!(matches!(error(globs(&["src/[a"])), WatchError::Glob { .. }));
        assert!(matches!(error(globs(&[" "])), WatchError::Glob { .. }));
        assert!(matches!(
            error(globs(&["../x/*.js"])),
            WatchError::Outside { .. }
        ));
        assert!(matches!(
            error(globs(&["/etc/*.conf"])),
            WatchError::Outside { .. }
        ));
        let absolute = filter(globs(&["/app/src/*.js"]), &[]);
        assert_eq!(wanted(&absolute, &["src/a.js"]), [true]);
    }
}
