//! Env files: their syntax, and the order in which they apply.
//!
//! `KEY=VALUE` with an optional `export`, `#` comments, single quotes (literal), double quotes
//! (`\n \r \t \" \\ \$`, `${…}`), both over several lines; an unquoted value ends at ` #` or at
//! the end of the line. `${…}` looks into the caller's environment first, because that is what
//! the process will see, then into what the files have said so far.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::Scope;
use super::problem::{LoadError, Problem, Problems, Severity, Source};
use crate::os_text::OsText;
use crate::secret::EnvVars;
use crate::spec::{EnvFile, ProcessSpec};

/// Variables of env files, and what is wrong with the files.
#[derive(Debug, Default)]
pub(crate) struct EnvFiles {
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) problems: Vec<Problem>,
    /// Named files that do not exist.
    pub(crate) missing: Vec<PathBuf>,
}

/// Which files a process reads, lowest first.
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    /// The conventional names need not exist, named ones should.
    conventional: bool,
}

impl Files {
    /// `folder` is where named files are relative to, `cwd` where the conventional ones lie.
    pub(crate) fn of(key: Option<&EnvFile>, folder: &Path, cwd: &Path, node_env: &str) -> Self {
        match key {
            None | Some(EnvFile::Conventional(false)) => Self {
                paths: Vec::new(),
                conventional: true,
            },
            Some(EnvFile::Conventional(true)) => {
                let mut names = vec![".env".to_owned(), ".env.local".to_owned()];
                // A name with a slash would leave the folder.
                if !node_env.is_empty() && !node_env.contains('/') && node_env != "local" {
                    names.push(format!(".env.{node_env}"));
                }
                Self {
                    paths: names.iter().map(|name| cwd.join(name)).collect(),
                    conventional: true,
                }
            }
            Some(EnvFile::Files(files)) => Self {
                paths: files
                    .iter()
                    .map(|file| folder.join(super::argv::home_expanded(file)))
                    .collect(),
                conventional: false,
            },
        }
    }

    /// Reads them; later ones win.
    pub(crate) fn read(&self, os: &BTreeMap<String, OsText>) -> EnvFiles {
        let mut read = EnvFiles::default();
        for path in &self.paths {
            if !path.exists() {
                if !self.conventional {
                    read.missing.push(path.clone());
                }
                continue;
            }
            match Source::read(path) {
                Ok(source) => parse(source, os, &mut read),
                Err(error) => {
                    let mut problems = Problems::new(Source::new(path.clone(), ""));
                    problems.error(
                        &(0..0),
                        error.to_string(),
                        "make the file readable, or take it out of `env_file`",
                    );
                    read.problems
                        .extend(problems.finish().err().into_iter().flat_map(own));
                }
            }
        }
        read
    }
}

fn own(error: LoadError) -> Vec<Problem> {
    error.problems().to_vec()
}

/// Reads the env files of a registered process again, as they are now: what a restart does,
/// so that an edited file takes effect.
///
/// # Errors
/// Every bad line of the files.
pub fn read_env_files(spec: &ProcessSpec) -> Result<EnvVars<String>, LoadError> {
    let folder = spec
        .project
        .as_ref()
        .and_then(|project| project.file.parent())
        .unwrap_or(&spec.cwd);
    let node_env = node_env(&spec.env.os, &spec.config.env);
    let files = Files::of(spec.config.env_file.as_ref(), folder, &spec.cwd, &node_env);
    let read = files.read(&spec.env.os);
    let bad = |problem: &Problem| problem.severity == Severity::Error;
    if read.problems.iter().any(bad) {
        return Err(LoadError::Invalid(read.problems));
    }
    Ok(read.vars.into())
}

/// `NODE_ENV` of the caller, else of the table.
pub(crate) fn node_env(
    os: &BTreeMap<String, OsText>,
    table: &BTreeMap<String, crate::spec::EnvValue>,
) -> String {
    let outer = os.get("NODE_ENV").and_then(OsText::to_str);
    outer
        .or(table.get("NODE_ENV").map(|value| value.0.as_str()))
        .unwrap_or_default()
        .to_owned()
}

/// Adds what one file says.
fn parse(source: Arc<Source>, os: &BTreeMap<String, OsText>, read: &mut EnvFiles) {
    let mut problems = Problems::new(Arc::clone(&source));
    let folder = source.path.parent().unwrap_or(Path::new("")).to_owned();
    let mut lines = Cursor {
        text: &source.text,
        at: 0,
    };
    lines.skip("\u{feff}");
    while let Some(statement) = lines.statement(&mut problems) {
        let Statement { key, value, span } = statement;
        let mut notes = Vec::new();
        let scope = Scope {
            env: os,
            fallback: Some(&read.vars),
            later: None,
            folder: Some(&folder),
        };
        let value = scope.expand(&value, &mut notes);
        super::expand::report(&notes, &span, &mut problems);
        read.vars.insert(key, value);
    }
    read.problems.extend(match problems.finish() {
        Ok(warnings) => warnings,
        Err(error) => own(error),
    });
}

struct Statement {
    key: String,
    /// With `$$` for every `$` that is no reference.
    value: String,
    span: Range<usize>,
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t' || c == '\r');
    }

    fn line_end(&mut self) {
        self.take_while(|c| c != '\n');
    }

    /// The next assignment; bad lines are reported and skipped.
    fn statement(&mut self, problems: &mut Problems) -> Option<Statement> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().is_empty() {
                return None;
            }
            if self.rest().starts_with('#') {
                self.line_end();
                continue;
            }
            let start = self.at;
            match self.assignment() {
                Ok(statement) => return Some(statement),
                Err((span, message, help)) => {
                    problems.error(&span, message, help);
                    // An open quote would swallow the rest: go on with the next line.
                    self.at = start;
                    self.line_end();
                }
            }
        }
    }

    fn assignment(&mut self) -> Result<Statement, (Range<usize>, String, String)> {
        let start = self.at;
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let mut key = self.take_while(word);
        if key == "export" && self.rest().starts_with([' ', '\t']) {
            self.blanks();
            key = self.take_while(word);
        }
        let named = self.at;
        self.blanks();
        let line = self.text[start..].lines().next().unwrap_or_default();
        let whole = start..start + line.trim_end().len();
        if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) {
            return Err((
                whole,
                "this line does not begin with the name of a variable".into(),
                "write `KEY=value`, or `#` before a comment".into(),
            ));
        }
        if !self.skip("=") {
            let (span, help) = if self.rest().starts_with(':') {
                (self.at..self.at + 1, format!("write `{key}=`"))
            } else {
                (whole.start..named, format!("write `{key}=value`"))
            };
            return Err((span, format!("there is no `=` after `{key}`"), help));
        }
        self.take_while(|c| c == ' ' || c == '\t');
        let from = self.at;
        let value = match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => self.bare(),
        };
        Ok(Statement {
            key: key.to_owned(),
            value,
            span: from..self.at,
        })
    }

    fn bare(&mut self) -> String {
        let line = self.take_while(|c| c != '\n');
        let comment = if line.starts_with('#') {
            Some(0)
        } else {
            line.find(" #").into_iter().chain(line.find("\t#")).min()
        };
        let value = comment.map_or(line, |at| &line[..at]);
        let mut out = String::new();
        let mut rest = value.trim();
        while let Some(first) = rest.chars().next() {
            push(&mut out, rest, first);
            rest = &rest[first.len_utf8()..];
        }
        out
    }

    fn quoted(&mut self, quote: char) -> Result<String, (Range<usize>, String, String)> {
        let open = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                let line = self.text[open..].lines().next().unwrap_or_default();
                return Err((
                    open..open + line.len(),
                    format!("the quote {quote} is never closed"),
                    format!("write {quote} at the end of the value"),
                ));
            };
            self.at += first.len_utf8();
            match first {
                _ if first == quote => break,
                '\\' if quote == '"' => {
                    let next = self.rest().chars().next();
                    self.at += next.map_or(0, char::len_utf8);
                    match next {
                        Some('n') => out.push('\n'),
                        Some('r') => out.push('\r'),
                        Some('t') => out.push('\t'),
                        Some('$') => out.push_str("$$"),
                        Some(c @ ('"' | '\\')) => out.push(c),
                        // An unknown escape is text, as in sh: paths keep their backslashes.
                        Some(c) => {
                            out.push('\\');
                            out.push(c);
                        }
                        None => out.push('\\'),
                    }
                }
                '$' if quote == '\'' => out.push_str("$$"),
                _ => push(&mut out, rest, first),
            }
        }
        self.blanks();
        let after = self.at;
        if !self.rest().is_empty() && !self.rest().starts_with(['\n', '#']) {
            let line = self.rest().lines().next().unwrap_or_default();
            return Err((
                after..after + line.trim_end().len(),
                "there is text after the closing quote".into(),
                "put the whole value in quotes; write `\\\"` for a quote inside".into(),
            ));
        }
        self.line_end();
        Ok(out)
    }
}

/// Adds a character; a `$` that begins no reference is doubled.
fn push(out: &mut String, rest: &str, first: char) {
    if first == '$' && !rest.starts_with("${") {
        out.push('$');
    }
    out.push(first);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, os: &[(&str, &str)]) -> EnvFiles {
        let os = os
            .iter()
            .map(|(key, value)| ((*key).to_owned(), OsText::from(*value)))
            .collect();
        let mut files = EnvFiles::default();
        parse(Source::new("/app/.env", text), &os, &mut files);
        files
    }

    #[test]
    fn the_syntax() {
        let text = concat!(
            "\u{feff}# comment\r\n",
            "PLAIN=a b  # comment\r\n",
            "export EXPORTED = x#y\n",
            "export=1\n",
            "EMPTY=\n",
            "ONLY_COMMENT= # nothing\n",
            "SINGLE='a $b ${C} \"q\" \\n # not'\n",
            "DOUBLE=\"a\\n\\t\\\"q\\\" \\\\ \\${C} ${X}\" # comment\n",
            "MULTI=\"eins\nzwei ü\"\n",
            "PASS=pa$$w$ord${EMPTY}\n",
            "REF=${X}-${PLAIN}-${NO:-日本}\n",
            "LAST=1\nLAST=2",
        );
        let files = read(text, &[("X", "os")]);
        assert!(files.problems.is_empty(), "{:#?}", files.problems);
        let wanted = [
            ("PLAIN", "a b"),
            ("EXPORTED", "x#y"),
            ("export", "1"),
            ("EMPTY", ""),
            ("ONLY_COMMENT", ""),
            ("SINGLE", "a $b ${C} \"q\" \\n # not"),
            ("DOUBLE", "a\n\t\"q\" \\ ${C} os"),
            ("MULTI", "eins\nzwei ü"),
            ("PASS", "pa$$w$ord"),
            ("REF", "os-a b-日本"),
            ("LAST", "2"),
        ];
        for (key, value) in wanted {
            assert_eq!(
                files.vars.get(key).map(String::as_str),
                Some(value),
                "{key}"
            );
        }
        assert_eq!(files.vars.len(), wanted.len());
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "A=1\nnonsense\n1B=2\nC: 3\nD=\"open\nE='x' y\nF=${G%x}\n";
        let files = read(text, &[]);
        let lines: Vec<usize> = files.problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7], "{:#?}", files.problems);
        assert!(files.problems[0].render().contains("--> /app/.env:2:1"));
    }

    #[test]
    fn later_files_win_and_conventional_ones_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(".env", "A=1\nB=1\nC=1\n");
        write(".env.local", "B=2\nC=2\n");
        write(".env.production", "C=3\nD=${A}${B}\n");
        let key = EnvFile::Conventional(true);
        let none = BTreeMap::new();
        let read = |key: &EnvFile, mode: &str| {
            Files::of(Some(key), folder.path(), folder.path(), mode).read(&none)
        };
        let values = |files: &EnvFiles| files.vars.values().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(values(&read(&key, "production")), "1 2 3 12");
        assert_eq!(values(&read(&key, "test")), "1 2 2");
        let named = EnvFile::Files(vec![".env".into(), "gone".into()]);
        let files = read(&named, "production");
        assert_eq!(values(&files), "1 1 1");
        assert_eq!(files.missing, [folder.path().join("gone")]);
    }
}
