//! Questions: of the agent, and "are you sure?".

use jiff::Timestamp;
use supervisor::units::short::span;
use supervisor::until;

use crate::desk::{Answered, Grant, Question, Trouble};
use crate::{Block, Button, Card, Press, Style, Tone};

/// A question of the agent, with its buttons while it is open and its answer afterwards.
pub fn question(one: &Question, now: Timestamp) -> Card {
    let title = match one.state {
        Answered::Open => format!("May I do this for {}?", one.process),
        _ => format!("{}: the question {}", one.process, one.state.as_str()),
    };
    let tone = match one.state {
        Answered::Open if one.risk == "high" => Tone::Critical,
        Answered::Open => Tone::Warning,
        Answered::Yes => Tone::Info,
        Answered::Helped => Tone::Good,
        Answered::Failed => Tone::Critical,
        Answered::No | Answered::Expired | Answered::Superseded => Tone::Plain,
    };
    let mut card = Card::titled(tone, title)
        .text(one.cause.clone())
        .block(Block::Steps(one.steps.clone()));
    let mut fields = vec![
        ("risk".to_owned(), one.risk.clone()),
        ("by".to_owned(), one.by.clone()),
    ];
    if let Some(votes) = &one.votes {
        fields.push(("yes so far".to_owned(), votes.clone()));
    }
    match &one.decided_by {
        Some(who) => {
            let word = match one.state {
                Answered::No => "denied by",
                Answered::Superseded | Answered::Expired => "closed by",
                _ => "approved by",
            };
            let at = one
                .decided_at
                .map_or_else(String::new, |at| at.strftime(", %H:%M UTC").to_string());
            fields.push((word.to_owned(), format!("{who}{at}")));
        }
        None if one.state == Answered::Open => {
            fields.push(("expires in".to_owned(), span(until(now, one.expires))));
        }
        None => {}
    }
    if let Some(outcome) = &one.outcome {
        fields.push(("outcome".to_owned(), outcome.clone()));
    }
    card = card
        .block(Block::Fields(fields))
        .footer(format!("{} · {}", one.incident, one.ticket.id));
    if one.state != Answered::Open {
        return card;
    }
    card.row(vec![
        Button::new("Approve", Press::Approve(one.ticket.clone())).styled(Style::Primary),
        Button::new("Deny", Press::Deny(one.ticket.clone())).styled(Style::Danger),
    ])
    .row(more(one))
}

/// What else can be done about an open question.
pub(super) fn more(one: &Question) -> Vec<Button> {
    let ticket = || one.ticket.clone();
    let mut row = vec![
        Button::new("Details", Press::Details(ticket())),
        Button::new("Snooze 10m", Press::Snooze(ticket())),
    ];
    if one.grantable {
        let order = format!("always {}", one.ticket.id);
        row.push(Button::new("Always, 7 d", Press::Order(order)));
    }
    row
}

/// Questions that have buttons in a list of them: each is a row, and Discord takes five.
pub const QUESTIONS: usize = 5;

/// Open questions, one under the other, the first ones with buttons.
pub fn questions(all: &[Question], now: Timestamp) -> Card {
    if all.is_empty() {
        return Card::titled(Tone::Good, "No questions are open");
    }
    let mut card = Card::titled(Tone::Warning, format!("{} open", all.len()));
    for one in all {
        let left = span(until(now, one.expires));
        card = card.text(format!(
            "{} · {}: {} ({} risk, {left} left)",
            one.ticket.id,
            one.process,
            one.steps.join(", then "),
            one.risk,
        ));
    }
    for one in all.iter().take(QUESTIONS) {
        let label = |word: &str| format!("{word} {}", one.ticket.id);
        card = card.row(vec![
            Button::new(label("Approve"), Press::Approve(one.ticket.clone()))
                .styled(Style::Primary),
            Button::new(label("Deny"), Press::Deny(one.ticket.clone())).styled(Style::Danger),
        ]);
    }
    card.footer("/approve <id> or /deny <id>")
}

/// In the place of a list of which none waits any more.
pub fn all_answered() -> Card {
    Card::titled(Tone::Plain, "These questions are answered")
}

/// What a question rests on.
pub fn details(one: &Question, evidence: &[String]) -> Card {
    let card = Card::titled(Tone::Plain, format!("{} · {}", one.incident, one.process))
        .text(one.cause.clone());
    if evidence.is_empty() {
        return card.text("Nothing more is known of it.");
    }
    card.block(Block::Code(evidence.join("\n")))
        .footer(format!("plan of {}", one.by))
}

/// Open incidents.
pub fn incidents(all: &[Trouble], now: Timestamp) -> Card {
    if all.is_empty() {
        return Card::titled(Tone::Good, "Nothing is wrong");
    }
    let mut card = Card::titled(Tone::Warning, format!("{} open", all.len()));
    for one in all.iter().take(10) {
        let age = span(until(one.opened, now));
        card = card.text(format!(
            "{} · {} ({}, {age}): {}",
            one.id, one.process, one.state, one.title
        ));
    }
    card
}

/// "Are you sure?", with exactly what would happen.
pub fn confirm(written: &str, effects: &[String], nonce: &str, seconds: u64) -> Card {
    Card::titled(Tone::Warning, format!("Really {written}?"))
        .block(Block::Steps(effects.to_vec()))
        .row(vec![
            Button::new("Confirm", Press::Confirm(nonce.to_owned())).styled(Style::Danger),
            Button::new("Cancel", Press::Cancel(nonce.to_owned())),
        ])
        .footer(format!("or /confirm, /cancel; valid for {seconds} s"))
}

/// What was allowed.
pub fn granted(one: &Grant) -> Card {
    let title = format!("{} may act on {} without asking", one.playbook, one.process);
    let ends = one.ends.strftime("%Y-%m-%d %H:%M UTC").to_string();
    Card::titled(Tone::Good, title)
        .block(Block::Fields(vec![
            ("up to".to_owned(), format!("{} risk", one.risk)),
            ("until".to_owned(), ends),
            ("by".to_owned(), one.by.clone()),
        ]))
        .footer(format!("/revoke {} takes it back", one.id))
}

/// What is no longer allowed.
pub fn revoked(one: &Grant) -> Card {
    let title = format!(
        "{} asks again before it acts on {}",
        one.playbook, one.process
    );
    Card::titled(Tone::Plain, title).footer(one.id.clone())
}

/// Grants of a message; more are left to the command line.
const GRANTS: usize = 15;

/// All that was allowed so, one under the other.
pub fn grants(all: &[Grant], now: Timestamp) -> Card {
    if all.is_empty() {
        return Card::titled(Tone::Plain, "Nothing is allowed in advance");
    }
    let mut card = Card::titled(Tone::Plain, "Allowed in advance");
    for one in all.iter().take(GRANTS) {
        let state = match one.state.as_str() {
            "in force" => format!("{} left", span(until(now, one.ends))),
            "edited" => "of no use: the playbook was edited".to_owned(),
            other => other.to_owned(),
        };
        card = card.text(format!(
            "{} · {} on {}: {} risk, {state}, by {}, used {}",
            one.id, one.playbook, one.process, one.risk, one.by, one.uses
        ));
    }
    if all.len() > GRANTS {
        card = card.text(format!(
            "and {} more: mhost agent grants",
            all.len() - GRANTS
        ));
    }
    card.footer("/revoke <id> takes one back")
}
