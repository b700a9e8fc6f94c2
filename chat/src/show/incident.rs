//! An incident as one card, and many of them as another.

use jiff::Timestamp;
use supervisor::units::short::span;
use supervisor::until;

use crate::desk::Answered;
use crate::thread::{Digest, Incident, NAMED, Phase};
use crate::{Block, Button, Card, Press, Style, Tone};

/// Lines of evidence that are shown; all of them are under Details.
const EVIDENCE: usize = 4;

/// From its first sign to its end.
pub fn incident(one: &Incident, now: Timestamp) -> Card {
    let (tone, word) = look(one.phase);
    let mut card = Card::titled(tone, format!("{} · {word}", one.process)).text(one.title.clone());
    if let Some(cause) = one.cause.as_ref().filter(|cause| **cause != one.title) {
        card = card.text(cause.clone());
    }
    if !one.evidence.is_empty() && one.phase < Phase::Acting {
        let lines: Vec<String> = one.evidence.iter().take(EVIDENCE).cloned().collect();
        card = card.block(Block::Code(lines.join("\n")));
    }
    if let Some(question) = &one.question {
        card = card.block(Block::Steps(question.steps.clone()));
        let mut fields = vec![
            ("risk".to_owned(), question.risk.clone()),
            ("by".to_owned(), question.by.clone()),
        ];
        if let Some(votes) = &question.votes {
            fields.push(("yes so far".to_owned(), votes.clone()));
        }
        if question.state == Answered::Open {
            let left = question.expires.strftime("%H:%M UTC").to_string();
            fields.push(("a no at".to_owned(), left));
        } else if let Some(who) = &question.decided_by {
            let at = question
                .decided_at
                .map_or_else(String::new, |at| at.strftime(", %H:%M UTC").to_string());
            let word = match question.state {
                Answered::No => "✗ denied",
                Answered::Expired => "no answer",
                Answered::Superseded => "replaced",
                _ => "✓ approved",
            };
            fields.push((word.to_owned(), format!("by {who}{at}")));
        } else if question.state == Answered::Expired {
            fields.push(("no answer".to_owned(), "so it was not done".to_owned()));
        }
        card = card.block(Block::Fields(fields));
    }
    if !one.actions.is_empty() {
        let done = one
            .actions
            .iter()
            .map(|(action, result)| (action.clone(), result.clone()))
            .collect();
        card = card.block(Block::Fields(done));
    }
    if let Some(leave) = &one.leave {
        card = card.text(leave.clone());
    }
    if !one.victims.is_empty() {
        card = card.text(format!("suffers from it: {}", one.victims.join(", ")));
    }
    if let Some(outcome) = &one.outcome {
        card = card.text(outcome.clone());
    }
    card = match one.closed.filter(|_| one.phase != Phase::Forgotten) {
        Some(closed) => {
            let took = span(until(one.opened, closed));
            card.footer(format!("{} · over after {took}", one.id))
        }
        None if one.phase == Phase::Forgotten => card.footer(one.id.clone()),
        None => card.footer(format!(
            "{} · since {}",
            one.id,
            one.opened.strftime("%H:%M:%S UTC")
        )),
    };
    let open = one
        .question
        .as_ref()
        .filter(|one| one.state == Answered::Open);
    if let Some(question) = open.filter(|question| question.expires > now) {
        let ticket = || question.ticket.clone();
        return card
            .row(vec![
                Button::new("Approve", Press::Approve(ticket())).styled(Style::Primary),
                Button::new("Deny", Press::Deny(ticket())).styled(Style::Danger),
            ])
            .row(super::question::more(question));
    }
    if one.phase == Phase::Handed {
        let order = |word: &str| Press::Order(format!("{word} {}", one.process));
        return card.row(vec![
            Button::new("Status", order("status")),
            Button::new("Logs", order("logs")),
            Button::new("Restart", order("restart")),
        ]);
    }
    card
}

/// That its question still waits; none when it does not.
pub fn reminder(one: &Incident, now: Timestamp) -> Option<Card> {
    let question = one.question.as_ref()?;
    if question.state != Answered::Open || question.expires <= now {
        return None;
    }
    let left = span(until(now, question.expires));
    let title = format!("{} still waits for an answer, for {left}", one.process);
    let ticket = || question.ticket.clone();
    Some(
        Card::titled(Tone::Warning, title)
            .block(Block::Steps(question.steps.clone()))
            .row(vec![
                Button::new("Approve", Press::Approve(ticket())).styled(Style::Primary),
                Button::new("Deny", Press::Deny(ticket())).styled(Style::Danger),
            ])
            .footer(one.id.clone()),
    )
}

/// In the place of a reminder whose question no longer waits.
pub fn answered(one: &Incident) -> Card {
    let word = match one.question.as_ref().map(|question| question.state) {
        Some(Answered::Open) => "asked again below",
        Some(Answered::No) => "was denied",
        Some(Answered::Expired) => "nobody answered",
        Some(Answered::Yes | Answered::Helped | Answered::Failed) => "was approved",
        Some(Answered::Superseded) | None => "no longer waits",
    };
    Card::titled(Tone::Plain, format!("{}: {word}", one.process)).footer(one.id.clone())
}

/// In the place of that, once they are answered.
pub fn digest_answered() -> Card {
    Card::titled(Tone::Plain, "The questions are answered")
}

/// That questions of incidents that share a message still wait; none when none do.
pub fn digest_reminder(digest: &Digest) -> Option<Card> {
    let title = match digest.questions {
        0 => return None,
        1 => "1 question still waits for an answer".to_owned(),
        count => format!("{count} questions still wait for an answer"),
    };
    let show = Button::new("Show them", Press::Order("approvals".into()));
    Some(Card::titled(Tone::Warning, title).row(vec![show]))
}

fn look(phase: Phase) -> (Tone, &'static str) {
    match phase {
        Phase::Seen => (Tone::Warning, "something is wrong"),
        Phase::Cause => (Tone::Warning, "the cause is known"),
        Phase::Plan => (Tone::Warning, "there is a plan"),
        Phase::Asked => (Tone::Warning, "may I?"),
        Phase::Acting => (Tone::Info, "being mended"),
        Phase::Verifying => (Tone::Info, "being measured"),
        Phase::Healed => (Tone::Good, "well again"),
        Phase::Handed => (Tone::Critical, "needs a person"),
        Phase::Joined => (Tone::Plain, "part of another incident"),
        Phase::Forgotten => (Tone::Plain, "on record no more"),
    }
}

/// Incidents that share a message.
pub fn digest(digest: &Digest) -> Card {
    let mut rows: Vec<(&String, &(usize, Option<Phase>))> = digest.counts.iter().collect();
    rows.sort_by_key(|(process, (count, _))| (std::cmp::Reverse(*count), (*process).clone()));
    let fields = rows
        .iter()
        .take(NAMED)
        .map(|(process, (count, phase))| {
            let word = phase.map_or("", |phase| look(phase).1);
            ((*process).clone(), format!("{count} × {word}"))
        })
        .collect();
    let total = digest.total();
    let title = match total {
        1 => "1 more incident".to_owned(),
        total => format!("{total} more incidents"),
    };
    let mut card = Card::titled(Tone::Critical, title).block(Block::Fields(fields));
    if rows.len() > NAMED {
        card = card.text(format!("and {} other processes", rows.len() - NAMED));
    }
    let order = |label: &str, word: &str| Button::new(label, Press::Order(word.to_owned()));
    let mut buttons = vec![order("Incidents", "incidents")];
    if digest.questions > 0 {
        let waits = match digest.questions {
            1 => "1 question waits for an answer".to_owned(),
            count => format!("{count} questions wait for an answer"),
        };
        card = card.text(waits);
        buttons.push(order("Questions", "approvals").styled(Style::Primary));
    }
    card.row(buttons)
        .footer("/incidents and /approvals show what is open")
}
