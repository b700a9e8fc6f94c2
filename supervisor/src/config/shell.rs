//! Command lines that need a shell, and how little of one.

use crate::spec::Argv;

/// Does it hold one of `` | & ; < > $( ` `` or a line end outside quotes, or begin with an
/// assignment, which only a shell understands?
pub(super) fn needs_shell(command: &str) -> bool {
    let acts = |_, c, next| match c {
        '$' => next == Some('('),
        '`' | '|' | '&' | ';' | '<' | '>' | '\n' => true,
        _ => false,
    };
    any_active(command, acts) || assignments(command) > 0
}

/// Does `acts` find something in what a shell would look at: characters outside quotes, and in
/// double quotes those that begin a substitution? It gets the character with the one before
/// and the one behind it.
fn any_active(line: &str, acts: impl Fn(char, char, Option<char>) -> bool) -> bool {
    let mut quote = None;
    let mut before = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let active = match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => {
                quote = None;
                false
            }
            (Some('\''), _) => false,
            (_, '\\') => {
                chars.next();
                false
            }
            (_, '`' | '$') => true,
            (Some(_), _) => false,
            (None, '\'' | '"') => {
                quote = Some(c);
                false
            }
            (None, _) => true,
        };
        if active && acts(before, c, next) {
            return true;
        }
        before = c;
    }
    false
}

/// Bytes of the leading `NAME=value` words.
fn assignments(command: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &command[at..];
        let word = word_length(rest);
        let name = rest[..word].split('=').next().unwrap_or_default();
        if name.len() == word || !super::expand::is_variable(name) {
            return at;
        }
        let blanks = rest[word..].len() - rest[word..].trim_start_matches([' ', '\t']).len();
        at += word + blanks;
    }
}

/// Bytes of the first word, quotes included.
fn word_length(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"') | None, '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_whitespace() => return at,
            (None, _) => {}
        }
    }
    text.len()
}

/// Words that `exec` cannot replace: a shell's own.
const SHELL_WORDS: [&str; 36] = [
    "!", ".", ":", "[", "alias", "break", "case", "cd", "command", "continue", "eval", "exec",
    "exit", "export", "for", "function", "if", "local", "read", "readonly", "return", "select",
    "set", "shift", "source", "test", "time", "times", "trap", "ulimit", "umask", "unset", "until",
    "wait", "while", "{",
];

/// The command line, run by a shell.
pub(super) fn shell(command: &str, args: &[String]) -> Argv {
    let mut line = command.to_owned();
    for arg in args {
        line.push(' ');
        line.push_str(&shell_words::quote(arg));
    }
    // With `exec` the shell becomes the program, so signals reach it and its exit is its own.
    let prefix = assignments(&line);
    let first = &line[prefix..][..word_length(&line[prefix..])];
    if is_simple(&line)
        && !first.is_empty()
        && !first.starts_with('(')
        && !SHELL_WORDS.contains(&first)
    {
        line.insert_str(prefix, "exec ");
    }
    Argv {
        program: "/bin/sh".to_owned(),
        args: vec!["-c".to_owned(), line],
        interpreter: None,
    }
}

/// One command, with redirections at most. Quotes nest inside a substitution: such a line is
/// left to the shell.
fn is_simple(line: &str) -> bool {
    let acts = |before, c, next| match c {
        '$' => next == Some('('),
        '&' => !matches!(before, '>' | '<') && next != Some('>'),
        '|' => before != '>',
        '`' | ';' | '\n' => true,
        _ => false,
    };
    !any_active(line, acts)
}
