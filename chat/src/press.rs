//! What a button carries, as one short word that survives every platform.
//!
//! Nothing is trusted of it: it names a question or a command, and who presses, what they may
//! do and whether it is still so is looked up when it is pressed.

use std::fmt;
use std::str::FromStr;

/// What a press of a button means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Press {
    /// Yes to a question of the agent.
    Approve(Ticket),
    /// No to it.
    Deny(Ticket),
    /// What it rests on.
    Details(Ticket),
    /// Ask again in ten minutes.
    Snooze(Ticket),
    /// Do what one was asked to confirm, by its nonce.
    Confirm(String),
    /// Do not.
    Cancel(String),
    /// As if it were written: `status api`, without a slash.
    Order(String),
}

/// A question, bound to the plan that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The id of the question.
    pub id: String,
    /// What identifies the plan and this question of it; another plan has another.
    pub nonce: String,
}

/// It is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this button is not one of mhost's, or of another version")]
pub struct PressError;

/// Longest id, nonce and order that are read.
const MOST: usize = 100;

impl Press {
    /// Does it fit into so many bytes? A button that does not is left out.
    pub fn fits(&self, limit: usize) -> bool {
        self.to_string().len() <= limit
    }
}

impl fmt::Display for Press {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticket = |f: &mut fmt::Formatter<'_>, letter: char, ticket: &Ticket| {
            write!(f, "{letter}:{}:{}", ticket.id, ticket.nonce)
        };
        match self {
            Self::Approve(one) => ticket(f, 'a', one),
            Self::Deny(one) => ticket(f, 'd', one),
            Self::Details(one) => ticket(f, 'i', one),
            Self::Snooze(one) => ticket(f, 'z', one),
            Self::Confirm(nonce) => write!(f, "c:{nonce}"),
            Self::Cancel(nonce) => write!(f, "x:{nonce}"),
            Self::Order(order) => write!(f, "o:{order}"),
        }
    }
}

impl FromStr for Press {
    type Err = PressError;

    fn from_str(text: &str) -> Result<Self, PressError> {
        let (letter, rest) = text.split_once(':').ok_or(PressError)?;
        let plain = |text: &str| {
            let fits = !text.is_empty() && text.len() <= MOST;
            (fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
                .then(|| text.to_owned())
                .ok_or(PressError)
        };
        let ticket = || {
            let (id, nonce) = rest.split_once(':').ok_or(PressError)?;
            Ok(Ticket {
                id: plain(id)?,
                nonce: plain(nonce)?,
            })
        };
        match letter {
            "a" => Ok(Self::Approve(ticket()?)),
            "d" => Ok(Self::Deny(ticket()?)),
            "i" => Ok(Self::Details(ticket()?)),
            "z" => Ok(Self::Snooze(ticket()?)),
            "c" => Ok(Self::Confirm(plain(rest)?)),
            "x" => Ok(Self::Cancel(plain(rest)?)),
            "o" if !rest.is_empty() && rest.len() <= MOST => Ok(Self::Order(rest.to_owned())),
            _ => Err(PressError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            id: "k3v9qa".into(),
            nonce: "0f3a9c2d51e7b864".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_fits_everywhere() {
        for press in [
            Press::Approve(ticket()),
            Press::Deny(ticket()),
            Press::Details(ticket()),
            Press::Snooze(ticket()),
            Press::Confirm("9fk2".into()),
            Press::Cancel("9fk2".into()),
            Press::Order("scale api +1".into()),
        ] {
            let text = press.to_string();
            assert_eq!(text.parse::<Press>().unwrap(), press, "{text}");
            assert!(press.fits(64), "{text}");
        }
    }

    #[test]
    fn what_is_none_of_ours_is_refused() {
        let long = format!("o:{}", "x".repeat(200));
        for text in [
            "", "a", "a:", "a:x", "a:x:", "a::y", "a:x:y:z", "a:x:y z", "A:x:y", "q:x:y", "c:",
            "c:../x", "o:", "a:ｘ:y", &long,
        ] {
            assert_eq!(text.parse::<Press>(), Err(PressError), "{text}");
        }
    }
}
