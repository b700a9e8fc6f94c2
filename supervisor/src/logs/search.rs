//! Full text search over lines that are not in the index yet, and what its queries mean.
//!
//! A query is passed to FTS5 as it is when FTS5 understands it. Else its words are quoted one
//! by one and all have to be there, so that `http://x:80` or `don't` never fail. Lines that
//! are scanned go through an FTS5 table in memory. A test of bytes comes first and sorts out
//! nearly every line. The table of the index does not know where in a line words stand, so a
//! query for phrases becomes one that finds more there, and its hits are asked again.

use std::cell::RefCell;

use regex::bytes::{Regex, RegexBuilder};
use rusqlite::Connection;

/// How the table in memory is made. `_` is part of a word, so that `user_id` is one.
const TABLE: &str = "CREATE VIRTUAL TABLE words USING fts5(line_text, content='', \
    contentless_delete=1, tokenize=\"unicode61 tokenchars '_'\")";

/// How that of the index is made: it knows which words are in a line, and not where. So it
/// cannot tell phrases; see [`Indexed`].
pub(super) const INDEX: &str = "CREATE VIRTUAL TABLE words USING fts5(line_text, content='', \
    contentless_delete=1, detail=none, tokenize=\"unicode61 tokenchars '_'\")";

/// Longest query; what is beyond it is not looked at.
const MAX_QUERY: usize = 4_096;
/// Most words of a query that FTS5 does not understand.
const MAX_WORDS: usize = 64;
/// Lines that are looked at in one transaction.
const BATCH: usize = 512;

/// What the index is asked, which does not know where in a line words stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indexed {
    /// To be bound to `MATCH`. Every line that matches the query matches this.
    pub(super) query: String,
    /// And no other line does.
    pub(super) exact: bool,
}

/// A query that FTS5 understands, ready to be asked.
pub(super) struct Search {
    /// To be bound to `MATCH`; `None` when it has no word, and so finds nothing.
    query: Option<String>,
    indexed: Option<Indexed>,
    /// Lines without a hit of it cannot match.
    bytes: Option<Regex>,
    memory: RefCell<Connection>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

fn table(made: &str) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open_in_memory()?;
    // Nothing of it needs to survive anything.
    db.pragma_update(None, "journal_mode", "off")?;
    db.pragma_update(None, "synchronous", "off")?;
    db.execute_batch(made)?;
    Ok(db)
}

impl Search {
    /// Prepares a query.
    pub(super) fn new(text: &str) -> Result<Self, rusqlite::Error> {
        let db = table(TABLE)?;
        let query = meaning(&db, text)?;
        let bytes = query.as_deref().and_then(byte_test);
        let indexed = match &query {
            Some(query) => for_index(&table(INDEX)?, query)?,
            None => None,
        };
        Ok(Self {
            query,
            indexed,
            bytes,
            memory: RefCell::new(db),
        })
    }

    /// What to bind to `MATCH`.
    pub(super) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// What the index can be asked; `None` when it cannot help.
    pub(super) fn indexed(&self) -> Option<&Indexed> {
        self.indexed.as_ref()
    }

    /// Does a line of this text match?
    pub(super) fn matches(&self, text: &str) -> Result<bool, rusqlite::Error> {
        Ok(self.may_match(text.as_bytes())
            && self.scores(&[text])?.first().is_some_and(Option::is_some))
    }

    /// May a line of these bytes match?
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        self.query.is_some() && self.bytes.as_ref().is_none_or(|bytes| bytes.is_match(line))
    }

    /// Which of the texts match, and how well: less is better.
    pub(super) fn scores(&self, texts: &[&str]) -> Result<Vec<Option<f64>>, rusqlite::Error> {
        let mut scores = vec![None; texts.len()];
        let Some(query) = &self.query else {
            return Ok(scores);
        };
        let mut db = self.memory.borrow_mut();
        for (batch, texts) in texts.chunks(BATCH).enumerate() {
            let first = batch * BATCH;
            let work = db.transaction()?;
            {
                let mut insert =
                    work.prepare_cached("INSERT INTO words(rowid, line_text) VALUES (?, ?)")?;
                for (at, text) in texts.iter().enumerate() {
                    insert.execute((at as i64, text))?;
                }
                let mut find = work
                    .prepare_cached("SELECT rowid, bm25(words) FROM words WHERE words MATCH ?")?;
                let mut rows = find.query([query])?;
                while let Some(row) = rows.next()? {
                    let at: i64 = row.get(0)?;
                    if let Some(score) = scores.get_mut(first + at as usize) {
                        *score = Some(row.get(1)?);
                    }
                }
                drop(rows);
                work.prepare_cached("INSERT INTO words(words) VALUES ('delete-all')")?
                    .execute([])?;
            }
            work.commit()?;
        }
        Ok(scores)
    }
}

/// The FTS5 query that a search for `text` becomes; `None` when there is no word in it.
pub fn search_query(text: &str) -> Option<String> {
    meaning(&table(TABLE).ok()?, text).ok()?
}

/// What FTS5 is asked for a user's text.
fn meaning(db: &Connection, text: &str) -> Result<Option<String>, rusqlite::Error> {
    let text: String = text
        .chars()
        .filter(|c| *c != '\0')
        .take(MAX_QUERY)
        .collect();
    let text = text.trim();
    // FTS5 takes a leading `*` for a question about itself.
    if !text.starts_with('*') && is_valid(db, text)? {
        return Ok(has_word(text).then(|| text.to_owned()));
    }
    let words: Vec<String> = text
        .split_whitespace()
        .filter(|word| has_word(word))
        .take(MAX_WORDS)
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    let quoted = words.join(" ");
    let sound = !words.is_empty() && is_valid(db, &quoted)?;
    Ok(sound.then_some(quoted))
}

/// It has something that the tokenizer takes for a word.
fn has_word(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_alphanumeric() || c == '_' || !c.is_ascii())
}

fn is_valid(db: &Connection, query: &str) -> Result<bool, rusqlite::Error> {
    let mut statement = db.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?")?;
    let mut rows = statement.query([query])?;
    match rows.next() {
        Ok(_) => Ok(true),
        // A table without rows can only complain of the query.
        Err(rusqlite::Error::SqliteFailure(..)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii()
}

/// The words of a query, each with whether it is the beginning of one only.
fn words_of(query: &str) -> Vec<(&str, bool)> {
    let mut words = Vec::new();
    let mut rest = query;
    while let Some(begin) = rest.find(is_word) {
        let word = &rest[begin..];
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let after = word[end..].trim_start_matches([' ', '"', '\t', '\n', '\r']);
        words.push((&word[..end], after.starts_with('*')));
        rest = &word[end..];
    }
    words
}

/// The query for a table that knows no places. Where it has to find more than the query does,
/// it finds lines with all words, when all have to be there, else lines with any of them.
fn for_index(db: &Connection, query: &str) -> Result<Option<Indexed>, rusqlite::Error> {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c.is_ascii_whitespace();
    let simple = query
        .chars()
        .all(|c| bare(c) || matches!(c, '(' | ')' | '*'));
    if simple && !query.contains("NEAR") && is_valid(db, query)? {
        let query = query.to_owned();
        return Ok(Some(Indexed { query, exact: true }));
    }
    let words = words_of(query);
    let plain = query
        .chars()
        .all(|c| is_word(c) || c.is_whitespace() || matches!(c, '"' | '*'));
    let all = plain
        && !words
            .iter()
            .any(|(word, _)| ["OR", "NOT", "NEAR"].contains(word));
    let terms: Vec<String> = words
        .iter()
        .filter(|(word, _)| !(all && *word == "AND"))
        .map(|(word, prefix)| format!("\"{word}\"{}", if *prefix { "*" } else { "" }))
        .collect();
    if terms.is_empty() {
        return Ok(None);
    }
    let query = terms.join(if all { " " } else { " OR " });
    // A word that the tokenizer takes for several is a phrase, which that table refuses.
    let sound = is_valid(db, &query)?;
    Ok(sound.then_some(Indexed {
        query,
        exact: false,
    }))
}

/// A test of bytes that every matching line passes.
///
/// A line matches only if it has one of the query's words. Letters fold, and accents fall away,
/// so a line with bytes beyond ASCII, or with `\u` of JSON, is let through. When all that the
/// query says is a list of words that must all be there, the longest one is asked for.
fn byte_test(query: &str) -> Option<Regex> {
    if !query.is_ascii() {
        return None;
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words: Vec<&str> = query
        .split(|c| !is_word(c))
        .filter(|w| !w.is_empty())
        .collect();
    // Anything but words, phrases and prefixes may mean that not all of them must be there.
    let plain = query
        .chars()
        .all(|c| is_word(c) || c.is_whitespace() || matches!(c, '"' | '*'));
    let operators = ["OR", "NOT", "NEAR"];
    if plain && !words.iter().any(|word| operators.contains(word)) {
        words.retain(|word| *word != "AND");
        let longest = words.iter().copied().max_by_key(|word| word.len());
        words = longest.into_iter().collect();
    }
    if words.is_empty() {
        return None;
    }
    let pattern = format!(r"(?-u)(?i:{})|[\x80-\xff]|\\u", words.join("|"));
    RegexBuilder::new(&pattern).unicode(false).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &str, texts: &[&str]) -> Vec<bool> {
        let search = Search::new(query).expect("a table");
        let scores = search.scores(texts).expect("scores");
        texts
            .iter()
            .zip(scores)
            .map(|(text, score)| {
                let passes = search.may_match(text.as_bytes());
                assert!(passes || score.is_none(), "{query:?} on {text:?}");
                score.is_some()
            })
            .collect()
    }

    #[test]
    fn the_index_is_asked_for_no_less() {
        let db = table(INDEX).expect("a table");
        let asked = |query: &str| {
            let asked = for_index(&db, query).expect("no error");
            asked.map(|asked| (asked.query, asked.exact))
        };
        let some = |query: &str, exact| Some((query.to_owned(), exact));
        assert_eq!(asked("disk full"), some("disk full", true));
        assert_eq!(asked("(a OR b) NOT c*"), some("(a OR b) NOT c*", true));
        assert_eq!(asked("\"is full\""), some("\"is\" \"full\"", false));
        assert_eq!(asked("\"is ful\"*"), some("\"is\" \"ful\"*", false));
        assert_eq!(asked("\"don't\""), some("\"don\" OR \"t\"", false));
        let near = some("\"NEAR\" OR \"a\" OR \"b\" OR \"3\"", false);
        assert_eq!(asked("NEAR(a b, 3)"), near);
        assert_eq!(
            asked("a NOT \"b c\""),
            some("\"a\" OR \"NOT\" OR \"b\" OR \"c\"", false)
        );
        assert_eq!(asked("caf\u{e9}"), some("\"caf\u{e9}\"", false));
    }

    /// What the index finds for a query has all that the query finds, and nothing else when it
    /// says so.
    fn index_agrees(index: &Connection, query: &str, texts: &[&str], scores: &[Option<f64>]) {
        let Some(asked) = for_index(index, query).expect("no error") else {
            return;
        };
        let mut find = index
            .prepare_cached("SELECT rowid FROM words WHERE words MATCH ?")
            .expect("a statement");
        let found: Vec<i64> = find
            .query_map([&asked.query], |row| row.get(0))
            .and_then(Iterator::collect)
            .unwrap_or_else(|error| panic!("{query:?}: {error}"));
        for (at, score) in scores.iter().enumerate() {
            let in_index = found.contains(&(at as i64));
            assert!(in_index || score.is_none(), "{query:?} on {:?}", texts[at]);
            assert!(
                !asked.exact || in_index == score.is_some(),
                "{query:?} on {:?}",
                texts[at]
            );
        }
    }

    fn indexed(texts: &[&str]) -> Connection {
        let db = table(INDEX).expect("a table");
        for (at, text) in texts.iter().enumerate() {
            db.execute(
                "INSERT INTO words(rowid, line_text) VALUES (?, ?)",
                (at as i64, text),
            )
            .expect("a row");
        }
        db
    }

    #[test]
    fn queries_are_those_of_fts5() {
        let texts = [
            "disk is full",
            "the disk",
            "FULL moon",
            "user_id 7",
            "caf\u{e9} http://x:80/a",
        ];
        for (query, expected) in [
            ("disk", [true, true, false, false, false]),
            ("disk full", [true, false, false, false, false]),
            ("disk AND full", [true, false, false, false, false]),
            ("disk OR moon", [true, true, true, false, false]),
            ("disk NOT full", [false, true, false, false, false]),
            ("\"is full\"", [true, false, false, false, false]),
            ("ful*", [true, false, true, false, false]),
            ("NEAR(disk full, 3)", [true, false, false, false, false]),
            ("user", [false; 5]),
            ("user_id", [false, false, false, true, false]),
            ("cafe", [false, false, false, false, true]),
            ("CAF\u{c9}", [false, false, false, false, true]),
            ("http://x:80", [false, false, false, false, true]),
            ("", [false; 5]),
            ("::", [false; 5]),
            ("*", [false; 5]),
            ("*reads", [false; 5]),
            ("don't", [false; 5]),
            ("line_text : disk", [true, true, false, false, false]),
        ] {
            assert_eq!(found(query, &texts), expected, "{query}");
        }
        assert_eq!(found("don't", &["they don't", "dont"]), [true, false]);
        assert_eq!(found("a AND", &["a and b", "b"]), [true, false]);
        assert_eq!(found("foo", &[r#"{"a":"\u0066oo"}"#]), [false]);
    }

    /// Random queries: no error reaches anybody, and the test of bytes never hides a line that
    /// matches.
    #[test]
    fn random_queries_never_fail() {
        let pieces = [
            "a",
            "disk",
            "full",
            "AND",
            "OR",
            "NOT",
            "NEAR",
            "(",
            ")",
            "\"",
            "*",
            "^",
            "+",
            "-",
            ":",
            "{",
            "}",
            ",",
            "'",
            "line_text",
            "rank",
            "words",
            "\u{0}",
            "é",
            "É",
            "🦀",
            "x:80",
            "--",
            ";",
            "1",
            "_",
            "NEAR(a b, 2)",
            "\\",
            "\t",
            "*id",
            "%",
        ];
        let texts = [
            "disk a full",
            "É 1 x:80",
            "line_text rank words _",
            "near not or and",
        ];
        let mut seed = 7_u64;
        let mut next = |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let mut search = Search::new("a").expect("a table");
        let index = indexed(&texts);
        let mut hits = 0;
        for round in 0..crate::logs::tests::random_rounds() {
            let count = next(9);
            let words: Vec<&str> = (0..count).map(|_| pieces[next(pieces.len())]).collect();
            let text = words.join(if next(2) == 0 { "" } else { " " });
            let query = meaning(&search.memory.borrow(), &text).expect("no error");
            search.bytes = query.as_deref().and_then(byte_test);
            search.query = query;
            // Asking takes longer than understanding, so not each one is asked.
            if round % 16 == 0 {
                let scores = search
                    .scores(&texts)
                    .unwrap_or_else(|error| panic!("{text:?}: {error}"));
                if let Some(query) = &search.query {
                    index_agrees(&index, query, &texts, &scores);
                }
                for (line, score) in texts.iter().zip(scores) {
                    hits += usize::from(score.is_some());
                    assert!(
                        score.is_none() || search.may_match(line.as_bytes()),
                        "{text:?} on {line:?}"
                    );
                }
            }
        }
        assert!(hits > 20, "{hits}");
    }
}
