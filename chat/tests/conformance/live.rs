//! What a client of a platform makes alive by itself in a text that has no markup.

/// What a client finds by itself: `@name`, `scheme://`, `host.name`.
pub(crate) fn live(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let is_word = |at: usize| {
        let letter = letters.get(at);
        letter.is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let found = |at: usize| match letters[at] {
        '@' => is_word(at + 1),
        ':' => letters.get(at + 1) == Some(&'/') && letters.get(at + 2) == Some(&'/'),
        '.' => at > 0 && is_word(at - 1) && is_word(at + 1),
        _ => false,
    };
    let around = |at: usize| {
        let until = letters.len().min(at + 12);
        letters[at.saturating_sub(8)..until].iter().collect()
    };
    (0..letters.len())
        .filter(|at| found(*at))
        .map(around)
        .collect()
}
