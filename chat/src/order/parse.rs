//! From a text to an order.
//!
//! Words are looked up and never guessed: a text that could mean something else than it looks
//! like, by letters of another script or ones that cannot be seen, is refused.

use std::time::Duration;

use supervisor::command::ScaleChange;
use supervisor::spec::MAX_INSTANCES;
use supervisor::units::parse_duration;

use super::{Order, Silence, VERBS, Verb, verb_named};

/// Lines of `/logs` when no number is given.
const LINES: u16 = 20;
/// Most of them.
const MOST_LINES: u16 = 200;
/// Longest word that is shown again in an answer, in characters.
const SHOWN: usize = 40;
/// How long leave lasts that is given without a time, or by a button.
pub const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Longest target: a name of 64 letters, `group:` before it or `:255` behind it.
const LONGEST_TARGET: usize = 80;

/// Why a text is no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It does not begin with a slash and is none of the few plain words.
    #[error("that is no command")]
    Words,
    /// No such word.
    #[error("there is no /{word}{}", near_text(.near))]
    Unknown {
        /// As it was written, shortened and made harmless.
        word: String,
        /// Words that are close.
        near: Vec<&'static str>,
    },
    /// What follows the word is wrong.
    #[error("{why}; write {usage}")]
    Arguments {
        /// The word.
        verb: &'static str,
        /// What is wrong.
        why: String,
        /// How it is written.
        usage: String,
    },
    /// There is something in it that cannot be seen, or looks like something else.
    #[error("there is a letter in it that no name has: {0}")]
    Letters(String),
}

fn near_text(near: &[&str]) -> String {
    if near.is_empty() {
        return "; see /help".into();
    }
    let words: Vec<String> = near.iter().map(|word| format!("/{word}")).collect();
    format!("; did you mean {}?", words.join(" or "))
}

/// Reads a text.
///
/// # Errors
/// Why it is no order, for whoever wrote it.
pub fn parse(text: &str) -> Result<Order, Misread> {
    let text = text.trim();
    let Some(command) = text.strip_prefix('/') else {
        return plain(text).ok_or(Misread::Words);
    };
    let (word, rest) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    let word = word.to_ascii_lowercase();
    let rest = rest.trim();
    // A question may hold any letters, since it is only read to a model.
    if word == "ask" && !rest.is_empty() {
        return Ok(Order::Ask(rest.to_owned()));
    }
    // Telegram sends it when somebody opens a chat with the bot.
    if word == "start" && rest.is_empty() {
        return Ok(Order::Help);
    }
    if let Some(letter) = command.chars().find(|letter| !belongs(*letter)) {
        return Err(Misread::Letters(format!("U+{:04X}", u32::from(letter))));
    }
    let verb = verb_named(&word).ok_or_else(|| unknown(&word))?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    order(verb, &words).map_err(|why| Misread::Arguments {
        verb: verb.name,
        why,
        usage: verb.usage(),
    })
}

/// The few words that are understood without a slash: answers to a question.
fn plain(text: &str) -> Option<Order> {
    match text.to_lowercase().as_str() {
        "yes" | "y" | "approve" | "ok" | "👍" => Some(Order::Yes),
        "no" | "n" | "deny" | "cancel" | "👎" => Some(Order::No),
        _ => None,
    }
}

/// May this letter stand in a command?
fn belongs(letter: char) -> bool {
    letter == ' ' || letter == '\t' || letter == '\n' || letter.is_ascii_graphic()
}

fn unknown(word: &str) -> Misread {
    let mut near: Vec<(usize, &'static str)> = VERBS
        .iter()
        .map(|verb| (strsim::damerau_levenshtein(verb.name, word), verb.name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .collect();
    near.sort_unstable();
    Misread::Unknown {
        word: word.chars().take(SHOWN).collect(),
        near: near.into_iter().take(3).map(|(_, name)| name).collect(),
    }
}

fn order(verb: &Verb, words: &[&str]) -> Result<Order, String> {
    let app = || one(words, "one process").and_then(target);
    let maybe = || match words {
        [] => Ok(None),
        _ => app().map(Some),
    };
    let nothing = |order| match words {
        [] => Ok(order),
        [word, ..] => Err(format!("`{}` is too much", shown(word))),
    };
    match verb.name {
        "status" => match words {
            [] => Ok(Order::Fleet { page: 0 }),
            // Of the buttons under the list.
            ["page", number] => {
                let page = number
                    .parse()
                    .map_err(|_| "a page is a number".to_owned())?;
                Ok(Order::Fleet { page })
            }
            _ => Ok(Order::Status(app()?)),
        },
        "logs" => logs(words),
        "follow" => Ok(Order::Follow(app()?)),
        "health" => nothing(Order::Health),
        "history" => Ok(Order::History(app()?)),
        "metrics" => Ok(Order::Metrics(maybe()?)),
        "cron" => nothing(Order::Cron),
        "links" => nothing(Order::Links),
        "limits" => Ok(Order::Limits(app()?)),
        "env" => Ok(Order::Env(app()?)),
        "index" => nothing(Order::Index),
        "version" => nothing(Order::Version),
        "probe" => Ok(Order::Probe(app()?)),
        "flush" => Ok(Order::Flush(app()?)),
        "reindex" => nothing(Order::Reindex),
        "signal" => match words {
            [app, signal] => Ok(Order::Signal {
                app: target(app)?,
                signal: signal
                    .parse()
                    .map_err(|_| format!("`{}` is no signal", shown(signal)))?,
            }),
            _ => Err("it takes a process and a signal".into()),
        },
        "score" => Ok(Order::Score(maybe()?)),
        "playbooks" => nothing(Order::Playbooks),
        "start" => Ok(Order::Start(app()?)),
        "stop" => Ok(Order::Stop(app()?)),
        "restart" => Ok(Order::Restart(app()?)),
        "reload" => Ok(Order::Reload(app()?)),
        "reset" => Ok(Order::Reset(app()?)),
        "delete" => Ok(Order::Delete(app()?)),
        "scale" => match words {
            [app, change] => Ok(Order::Scale {
                app: target(app)?,
                change: scale(change)?,
            }),
            _ => Err("it takes a process and a number".into()),
        },
        "save" => nothing(Order::Save),
        "resurrect" => nothing(Order::Resurrect),
        "pause" => nothing(Order::Brake(true)),
        "resume" => nothing(Order::Brake(false)),
        "incidents" => nothing(Order::Incidents),
        "ack" => Ok(Order::Ack(one(words, "one incident").and_then(target)?)),
        "mute" => mute(words),
        "approvals" => nothing(Order::Approvals),
        "approve" => Ok(Order::Approve(id(words)?)),
        "deny" => Ok(Order::Deny(id(words)?)),
        "always" => Ok(Order::Always(id(words)?)),
        "allow" => allow(words),
        "grants" => nothing(Order::Grants),
        "revoke" => Ok(Order::Revoke(id(words)?)),
        "confirm" => nothing(Order::Confirm),
        "cancel" => nothing(Order::Cancel),
        "whoami" => nothing(Order::Whoami),
        "help" => nothing(Order::Help),
        // `ask` with a question was read before.
        _ => Err("the question is missing".into()),
    }
}

fn logs(words: &[&str]) -> Result<Order, String> {
    let (errors, words) = match words {
        [rest @ .., "errors"] if !rest.is_empty() => (true, rest),
        _ => (false, words),
    };
    let (app, lines) = match words {
        [app] => (app, LINES),
        [app, lines] => {
            let number: u32 = lines
                .parse()
                .map_err(|_| format!("`{}` is no number of lines", shown(lines)))?;
            if !(1..=u32::from(MOST_LINES)).contains(&number) {
                return Err(format!("a chat shows 1 to {MOST_LINES} lines"));
            }
            (app, number as u16)
        }
        [] => return Err("the process is missing".into()),
        [.., last] => return Err(format!("`{}` is too much", shown(last))),
    };
    Ok(Order::Logs {
        app: target(app)?,
        lines,
        errors,
    })
}

fn allow(words: &[&str]) -> Result<Order, String> {
    let (playbook, app, time) = match words {
        [playbook, app] => (playbook, app, A_WEEK),
        [playbook, app, time] => {
            let time = parse_duration(time)
                .map_err(|_| format!("`{}` is no time such as 7d or 12h", shown(time)))?;
            (playbook, app, time)
        }
        _ => return Err("it takes a playbook, a process and perhaps a time".into()),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if playbook.len() > LONGEST_TARGET || !playbook.bytes().all(fits) {
        return Err(format!("`{}` is no name of a playbook", shown(playbook)));
    }
    Ok(Order::Allow {
        playbook: (*playbook).to_owned(),
        app: target(app)?,
        time,
    })
}

fn one<'a>(words: &[&'a str], what: &str) -> Result<&'a str, String> {
    match words {
        [word] => Ok(word),
        [] => Err(format!("it takes {what}")),
        [_, second, ..] => Err(format!(
            "it takes {what}, and `{}` is one too many",
            shown(second)
        )),
    }
}

/// A target as a person writes it, but for patterns: from a phone one process is named, or
/// all.
fn target(word: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    if word.len() <= LONGEST_TARGET && !word.starts_with('-') && word.bytes().all(fits) {
        return Ok(word.to_owned());
    }
    Err(format!("`{}` is no name of a process", shown(word)))
}

fn id(words: &[&str]) -> Result<String, String> {
    let word = one(words, "one id")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if word.len() <= SHOWN && word.bytes().all(fits) {
        return Ok(word.to_ascii_lowercase());
    }
    Err(format!("`{}` is no id", shown(word)))
}

fn scale(word: &str) -> Result<ScaleChange, String> {
    let wrong = || format!("write a number from 0 to {MAX_INSTANCES}, or +1 or -1");
    if word.starts_with(['+', '-']) {
        let by: i32 = word.parse().map_err(|_| wrong())?;
        let most = i32::from(MAX_INSTANCES);
        return (-most..=most)
            .contains(&by)
            .then_some(ScaleChange::By(by))
            .ok_or_else(wrong);
    }
    match word.parse() {
        Ok(count) if count <= MAX_INSTANCES => Ok(ScaleChange::To(count)),
        _ => Err(wrong()),
    }
}

fn shown(word: &str) -> String {
    word.chars().take(SHOWN).collect()
}

fn mute(words: &[&str]) -> Result<Order, String> {
    let (app, time) = match words {
        [app] => (app, Silence::UntilWell),
        [app, "off"] => (app, Silence::Off),
        [app, time] => {
            let long = supervisor::units::parse_duration(time);
            let long = long.ok().filter(|time| !time.is_zero());
            let wrong = || format!("`{}` is no time such as 30m or 2h", shown(time));
            (app, Silence::For(long.ok_or_else(wrong)?))
        }
        _ => return Err("it takes a process and a time".to_owned()),
    };
    Ok(Order::Mute {
        app: target(app)?,
        time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let app = || "api".to_owned();
        for (text, order) in [
            ("/status", Order::Fleet { page: 0 }),
            ("/status page 2", Order::Fleet { page: 2 }),
            ("  /STATUS   api ", Order::Status(app())),
            ("/logs api", logs_of(20, false)),
            ("/logs api 200", logs_of(200, false)),
            ("/logs api 50 errors", logs_of(50, true)),
            ("/logs api errors", logs_of(20, true)),
            ("/start", Order::Help),
            ("/start api", Order::Start(app())),
            (
                "/scale api +2",
                Order::Scale {
                    app: app(),
                    change: ScaleChange::By(2),
                },
            ),
            (
                "/scale api 0",
                Order::Scale {
                    app: app(),
                    change: ScaleChange::To(0),
                },
            ),
            ("/restart group:web", Order::Restart("group:web".into())),
            ("/restart api:1", Order::Restart("api:1".into())),
            ("/approve K3V9QA", Order::Approve("k3v9qa".into())),
            ("/ack n3", Order::Ack("n3".into())),
            (
                "/mute api 1h30m",
                muted(Silence::For(std::time::Duration::from_secs(5_400))),
            ),
            ("/mute api", muted(Silence::UntilWell)),
            ("/mute api off", muted(Silence::Off)),
            (
                "/ask why is Ä pi slow?",
                Order::Ask("why is Ä pi slow?".into()),
            ),
            ("/always K3V9QA", Order::Always("k3v9qa".into())),
            ("/allow drained api", allowed(A_WEEK)),
            (
                "/allow drained api 12h",
                allowed(Duration::from_secs(12 * 3_600)),
            ),
            ("/grants", Order::Grants),
            ("/revoke x4m2ta", Order::Revoke("x4m2ta".into())),
            ("Yes", Order::Yes),
            ("👎", Order::No),
        ] {
            assert_eq!(parse(text).unwrap(), order, "{text}");
        }
    }

    fn allowed(time: Duration) -> Order {
        Order::Allow {
            playbook: "drained".into(),
            app: "api".into(),
            time,
        }
    }

    fn muted(time: Silence) -> Order {
        Order::Mute {
            app: "api".into(),
            time,
        }
    }

    fn logs_of(lines: u16, errors: bool) -> Order {
        Order::Logs {
            app: "api".into(),
            lines,
            errors,
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("/staus", "there is no /staus; did you mean /status"),
            ("/rm -rf", "there is no /rm; see /help"),
            ("/logs", "the process is missing; write /logs <app> [lines]"),
            ("/logs api 0", "a chat shows 1 to 200 lines"),
            ("/logs api x", "`x` is no number of lines"),
            ("/restart", "it takes one process; write /restart <app>"),
            ("/restart api web", "`web` is one too many"),
            ("/restart ../etc", "`../etc` is no name of a process"),
            ("/restart api*", "`api*` is no name of a process"),
            ("/restart --force", "`--force` is no name of a process"),
            ("/scale api", "it takes a process and a number"),
            ("/scale api 9999", "write a number from 0 to 256"),
            ("/scale api +-1", "write a number from 0 to 256"),
            ("/signal api", "it takes a process and a signal"),
            ("/signal api 0", "`0` is no signal"),
            (
                "/allow drained",
                "it takes a playbook, a process and perhaps a time",
            ),
            ("/allow ../x api", "`../x` is no name of a playbook"),
            ("/allow drained api soon", "`soon` is no time"),
            ("/save now", "`now` is too much"),
            (
                "/mute",
                "it takes a process and a time; write /mute <app> [time|off]",
            ),
            ("/mute api soon", "`soon` is no time"),
            ("/mute api 0s", "`0s` is no time"),
            ("/ack", "write /ack <id>"),
            ("/ask", "the question is missing; write /ask <question>"),
            ("/restart аpi", "U+0430"),
            ("/rest\u{200b}art api", "U+200B"),
            ("/restart api\u{202e}", "U+202E"),
            ("hello there", "that is no command"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    /// The table has a reader for each of its words, and each word once.
    #[test]
    fn every_verb_is_read() {
        for verb in VERBS {
            let text = match verb.arguments {
                "<app> <N|+N|-N>" => "api 2",
                "<app> <signal>" => "api hup",
                "<playbook> <app> [time]" => "drained api 7d",
                "<id>" => "k3v9qa",
                "<question>" => "why?",
                "" => "",
                _ => "api",
            };
            parse(&format!("/{} {text}", verb.name)).unwrap();
            assert_eq!(VERBS.iter().filter(|one| one.name == verb.name).count(), 1);
        }
    }
}
