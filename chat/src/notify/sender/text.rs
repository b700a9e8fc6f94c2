//! What several platforms share: the parts of a message as plain text.

use crate::notify::templates::cut;
use crate::notify::templates::escape::{line, plain};
use crate::notify::{Link, Notice, Outgoing};

/// The title in one line, at most so many characters.
pub(super) fn title(message: &Outgoing, most: usize) -> String {
    let sign = match message.resolves {
        true => "✅",
        false => message.notice.severity.sign(),
    };
    cut(&format!("{sign} {}", line(&message.title())), most)
}

/// Names and values in one line each, no longer than so many characters.
pub(super) fn fields(notice: &Notice, most: usize, longest: usize) -> Vec<(String, String)> {
    let fields = notice.fields().into_iter().take(most);
    fields
        .map(|(name, value)| (cut(&line(&name), longest), cut(&line(&value), longest)))
        .map(|(name, value)| (filled(name), filled(value)))
        .collect()
}

/// The last lines of output, and no more than so many characters of them: of the end.
pub(super) fn output(notice: &Notice, most: usize) -> Option<String> {
    let lines = notice.last_lines();
    let last = &lines[lines.len().saturating_sub(5)..];
    let lines: Vec<String> = last.iter().map(|one| cut(&plain(one), 300)).collect();
    let text = lines.join("\n");
    let long = text.chars().count().saturating_sub(most);
    let text: String = text.chars().skip(long).collect();
    (!text.trim().is_empty()).then_some(text)
}

/// Where, which incident, when: the small print.
pub(super) fn footer(notice: &Notice) -> String {
    let mut parts = vec![line(&notice.host)];
    parts.extend(notice.incident.as_deref().map(line));
    parts.push(notice.ts.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    parts.retain(|part| !part.is_empty());
    cut(&parts.join(" · "), 200)
}

/// Addresses that a platform takes: short, and without spaces.
pub(super) fn links(notice: &Notice) -> impl Iterator<Item = (String, &str)> {
    let fits = |one: &&Link| one.url.len() <= 500 && one.url.parse::<reqwest::Url>().is_ok();
    let links = notice.links.iter().filter(fits);
    links.map(|one| (filled(cut(&line(&one.label), 60)), one.url.as_str()))
}

/// Platforms refuse empty texts.
pub(super) fn filled(text: String) -> String {
    match text.trim().is_empty() {
        true => "–".to_owned(),
        false => text,
    }
}
