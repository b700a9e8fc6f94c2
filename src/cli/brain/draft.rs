//! `mhost brain playbook draft`: what was learned from an incident, as a difference that can be
//! read.

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::text::clean_line;

/// Lines that stay the same and are shown around a change.
const AROUND: usize = 2;

#[derive(Debug, Deserialize)]
struct Reply {
    name: String,
    text: String,
    former: Option<String>,
    silent_on: Option<u64>,
    refused: Option<String>,
}

pub(super) fn draft(ctx: &Context, incident: &str) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.playbook_draft", json!({ "incident": incident }))?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let told: Reply = reply(&answer)?;
    let former = told.former.unwrap_or_default();
    let output = &ctx.output;
    if former == told.text {
        output.note(&format!(
            "`{}` is installed as it is: mhost brain playbook show {}",
            told.name, told.name
        ));
    }
    let painter = output.painter();
    for (sign, line) in shown(&difference(&former, &told.text)) {
        let text = format!("{sign} {}", clean_line(line));
        let tone = match sign {
            '+' => Tone::Good,
            '-' => Tone::Bad,
            _ => Tone::Quiet,
        };
        output.line(painter.paint(text.trim_end(), tone).as_ref())?;
    }
    match (told.refused, told.silent_on) {
        (Some(why), _) => output.note(&format!("It would not be installed: {}", clean_line(&why))),
        (None, Some(silent)) => output.note(&format!(
            "It recognises its own incident and is silent on {silent} others."
        )),
        (None, None) => {}
    }
    Ok(Exit::Success)
}

/// Lines with what becomes of them: `+` new, `-` gone, blank as before.
fn difference<'a>(former: &'a str, now: &'a str) -> Vec<(char, &'a str)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (former.lines().collect(), now.lines().collect());
    // Longest common subsequence: playbooks are short.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut all = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            all.push((' ', new[j]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            all.push(('-', old[i]));
            i += 1;
        } else {
            all.push(('+', new[j]));
            j += 1;
        }
    }
    all
}

/// The changes with a few lines around them.
fn shown<'a>(all: &[(char, &'a str)]) -> Vec<(char, &'a str)> {
    let near = |place: usize| {
        let from = place.saturating_sub(AROUND);
        let to = (place + AROUND + 1).min(all.len());
        all[from..to].iter().any(|(sign, _)| *sign != ' ')
    };
    let kept = (0..all.len()).filter(|place| near(*place));
    kept.map(|place| all[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_shown_with_its_surroundings() {
        let all = difference("a\nb\nc\nd\ne\nf", "a\nb\nX\nd\ne\nf");
        let changed: Vec<_> = all.iter().filter(|(sign, _)| *sign != ' ').collect();
        assert_eq!(changed, [&('-', "c"), &('+', "X")]);
        let lines: Vec<_> = shown(&all).iter().map(|(_, line)| *line).collect();
        assert_eq!(lines, ["a", "b", "c", "X", "d", "e"]);
        assert!(difference("", "a\nb").iter().all(|(sign, _)| *sign == '+'));
    }
}
