//! What to type instead, where the parser of arguments knows only that something is wrong.
//!
//! Pure: from the words of a command line and the error to a better one, or to nothing.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::error::CliError;

/// A better error, if there is one.
pub(super) fn of(tree: &Command, args: &[OsString], error: &clap::Error) -> Option<CliError> {
    let words: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap_or("")).collect();
    let (command, path) = command_of(tree, &words);
    match error.kind() {
        ErrorKind::UnknownArgument => value_like_a_flag(command, &words, error),
        ErrorKind::ValueValidation => target_after_a_flag(command, &path, &words, error),
        ErrorKind::ArgumentConflict => second_target(command, &path, error),
        _ => None,
    }
}

/// The subcommand that is meant, with its name as it is typed.
fn command_of<'a>(tree: &'a Command, words: &[&str]) -> (&'a Command, String) {
    let mut command = tree;
    let mut path = "mhost".to_owned();
    for word in words.iter().skip(1) {
        let Some(found) = command.find_subcommand(word) else {
            continue;
        };
        // `mhost logs api`: not every word that follows is a command.
        if command.get_name() != tree.get_name() && !command.is_subcommand_required_set() {
            break;
        }
        path = format!("{path} {}", found.get_name());
        command = found;
    }
    (command, path)
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// `--search -slow`: the value begins as a flag does.
fn value_like_a_flag(command: &Command, words: &[&str], error: &clap::Error) -> Option<CliError> {
    let unknown = text_of(error, ContextKind::InvalidArg)?;
    let (flag, value) = words.windows(2).find_map(|pair| {
        let [flag, value] = pair else {
            return None;
        };
        let arg = command.get_arguments().find(|arg| is_called(arg, flag))?;
        let needs = arg.get_action().takes_values()
            && arg
                .get_num_args()
                .is_none_or(|count| count.min_values() > 0);
        (needs && value.starts_with(unknown)).then_some((*flag, *value))
    })?;
    let joined = match flag.starts_with("--") {
        true => format!("{flag}={}", quoted(value)),
        false => format!("{flag}{}", quoted(value)),
    };
    Some(
        CliError::config(format!(
            "{flag} has no value: `{value}` begins as a flag does"
        ))
        .with_help(format!("if it is the value, write {joined}")),
    )
}

fn is_called(arg: &Arg, flag: &str) -> bool {
    let short = arg
        .get_short()
        .is_some_and(|short| flag == format!("-{short}"));
    short
        || arg
            .get_long()
            .is_some_and(|long| flag.strip_prefix("--") == Some(long))
}

/// `status --watch api`: what is meant as the target is taken for the value of a flag that
/// needs none.
fn target_after_a_flag(
    command: &Command,
    path: &str,
    words: &[&str],
    error: &clap::Error,
) -> Option<CliError> {
    let value = text_of(error, ContextKind::InvalidValue)?;
    let flag = words.windows(2).find_map(|pair| match pair {
        [flag, next] if *next == value => Some(*flag),
        _ => None,
    })?;
    let arg = command.get_arguments().find(|arg| is_called(arg, flag))?;
    let may_stand_alone = arg
        .get_num_args()
        .is_some_and(|count| count.min_values() == 0);
    let takes_target = command.get_positionals().next().is_some();
    if !may_stand_alone || !takes_target || value.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let message = text_of(error, ContextKind::InvalidArg).unwrap_or(flag);
    Some(
        CliError::config(format!("`{value}` is no value for {message}")).with_help(format!(
            "the target comes first: {path} {} {flag}",
            quoted(value)
        )),
    )
}

/// `logs api web`: one target is taken, and a second one for a subcommand.
fn second_target(command: &Command, path: &str, error: &clap::Error) -> Option<CliError> {
    let second = text_of(error, ContextKind::InvalidSubcommand)?;
    if command.find_subcommand(second).is_some() {
        return None;
    }
    Some(
        CliError::config(format!(
            "{path} takes one target, and `{second}` is another one"
        ))
        .with_help(format!(
            "name several with a group or a glob, such as {path} 'a*'; all when left out"
        )),
    )
}

/// As it is typed into a shell.
fn quoted(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message and the help for a command line, or what the parser says.
    fn said(line: &[&str]) -> String {
        let args: Vec<OsString> = ["mhost"].iter().chain(line).map(OsString::from).collect();
        let mut tree = crate::cli::tree();
        tree.build();
        let error = tree.clone().try_get_matches_from(&args).unwrap_err();
        match of(&tree, &args, &error) {
            Some(better) => format!("{better} | {}", better.help().unwrap_or_default()),
            None => error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    #[test]
    fn values_that_look_like_flags_are_joined() {
        assert_eq!(
            said(&["logs", "--search", "-slow it's"]),
            "--search has no value: `-slow it's` begins as a flag does | \
             if it is the value, write --search='-slow it'\\''s'"
        );
        assert!(said(&["logs", "--grep", "--x"]).ends_with("write --grep=--x"));
        assert!(said(&["start", "app", "-n", "-x"]).ends_with("write -n-x"));
        // A flag that does not exist is just that.
        assert!(said(&["logs", "--serach", "x"]).contains("unexpected argument"));
        assert!(said(&["logs", "-n", "-1"]).contains("write a number of lines, 0 or more"));
    }

    #[test]
    fn the_target_comes_first() {
        assert!(said(&["status", "--watch", "api"]).ends_with("mhost status api --watch"));
        assert!(said(&["health", "--watch", "a*"]).ends_with("mhost health 'a*' --watch"));
        assert!(said(&["status", "--watch", "1x"]).contains("is not a duration"));
    }

    #[test]
    fn one_target_is_taken() {
        let said = said(&["logs", "api", "web"]);
        assert!(
            said.starts_with("mhost logs takes one target, and `web` is another one"),
            "{said}"
        );
        assert!(said.contains("mhost logs 'a*'"), "{said}");
    }
}
