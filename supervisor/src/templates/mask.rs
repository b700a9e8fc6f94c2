//! Puts `<*>` where a value can be told by its form alone: one pass over the bytes.
//!
//! Values are numbers with their units, times, hexadecimal, UUIDs, addresses, paths, URLs,
//! mail addresses and quoted text. Values joined by one mark (`10.0.0.1:80`, `1,2,3`) are one
//! value. What only looks like a word is left to the comparison of lines.

use super::forms::{
    DIGIT, LETTER, MARK, SPACE, after_space, begins_path, class, in_names, is_class,
    is_part_of_date, is_relative_path, is_request, is_truth, joined_hexadecimal,
    thread_of_several_words, trimmed, within_word,
};
use super::token::{self, Token, VALUE};

/// Longest quoted text that is taken as one value.
const QUOTED: usize = 1_024;
/// Longest name in quotes that is kept, as in `"key": 1`.
const KEY: usize = 40;

/// Most words before the name of a thread.
const HEAD: usize = 6;

/// A word of this length with some digits in it is a value as a whole.
const LONG_WORD: usize = 16;

/// A line with its values masked. Kept from line to line for its memory.
#[derive(Debug, Default)]
pub(super) struct Masked {
    pub(super) text: Vec<u8>,
    pub(super) tokens: Vec<Token>,
    /// Where the present piece begins in `text`.
    piece: usize,
    /// Where the present name begins in `text`: after the last mark that separates.
    name: usize,
}

impl Masked {
    /// Reads a line.
    pub(super) fn read(&mut self, message: &str, most_bytes: usize, most_tokens: usize) {
        self.text.clear();
        self.tokens.clear();
        // A value of one byte takes three, and offsets have 16 bits.
        let most_bytes = most_bytes.min(16 << 10);
        let mut end = message.len().min(most_bytes);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let line = &message.as_bytes()[..end];
        let mut at = 0;
        while at < line.len() {
            if class(line[at]) == SPACE {
                at = after_space(line, at);
                continue;
            }
            if self.tokens.len() >= most_tokens {
                break;
            }
            self.piece = self.text.len();
            self.name = self.piece;
            while at < line.len() {
                if class(line[at]) != SPACE {
                    at = self.step(line, at);
                } else if let Some(next) = within_word(line, at) {
                    at = next;
                } else {
                    break;
                }
            }
            token::cut(&self.text, self.piece, &mut self.tokens, true);
        }
        self.tokens.truncate(most_tokens);
    }

    /// Reads one word, number, mark or value; answers where the next begins.
    fn step(&mut self, line: &[u8], at: usize) -> usize {
        let byte = line[at];
        if class(byte) != MARK {
            return self.word(line, at);
        }
        let first = self.text.len() == self.name;
        match byte {
            b'"' | b'\'' | b'`' if first => {
                if let Some(next) = self.quoted(line, at) {
                    return next;
                }
            }
            b'/' if first => return self.path(line, at),
            b'.' | b'~' if first && begins_path(&line[at..]) => return self.path(line, at),
            b'/' if is_relative_path(&line[at..]) => {
                self.text.truncate(self.name);
                return self.path(line, at);
            }
            b'@' if !first && is_class(line, at + 1, LETTER) => {
                self.text.truncate(self.name);
                return self.path(line, at);
            }
            b'-' | b'+' if is_class(line, at + 1, DIGIT) => {
                let before = self.text.last().copied().filter(|_| !first);
                if before.is_none_or(|before| before == b'_') {
                    return at + 1;
                }
            }
            b'[' if first && self.is_head() => {
                if let Some(end) = thread_of_several_words(line, at) {
                    self.text.extend_from_slice(b"[<*>]");
                    self.name = self.text.len();
                    return end;
                }
            }
            b'<' if line[at..].starts_with(VALUE.as_bytes()) => {
                self.value();
                return at + VALUE.len();
            }
            _ => {}
        }
        self.text.push(byte);
        if !in_names(byte) {
            self.name = self.text.len();
        }
        at + 1
    }

    /// Did nothing come yet but times, numbers and a level?
    fn is_head(&self) -> bool {
        let of_head = |token: &Token| {
            token.is_wild()
                || token.is_mark()
                || token
                    .text(&self.text)
                    .iter()
                    .all(|byte| !byte.is_ascii_lowercase())
        };
        self.tokens.len() <= HEAD && self.tokens.iter().all(of_head)
    }

    /// Adds a value, or makes the one before longer if one mark at most lies between.
    fn value(&mut self) {
        let piece = &self.text[self.piece..];
        if piece.ends_with(VALUE.as_bytes()) {
            return;
        }
        if let [before @ .., mark] = piece
            && let Some(before) = before.strip_suffix(VALUE.as_bytes())
        {
            let joins = match mark {
                // After `node-12` comes a port.
                b':' => before
                    .last()
                    .is_none_or(|byte| class(*byte) == MARK && !in_names(*byte)),
                b'.' | b',' | b'-' | b'/' | b'_' | b'#' | b'+' | b'|' | b'*' | b'x' => true,
                _ => false,
            };
            if joins {
                self.text.pop();
                return;
            }
        }
        // `1##2##3`
        if let [before @ .., one, other] = piece
            && one == other
            && class(*one) == MARK
            && before.ends_with(VALUE.as_bytes())
        {
            self.text.truncate(self.text.len() - 2);
            return;
        }
        self.text.extend_from_slice(VALUE.as_bytes());
    }

    /// Letters and digits.
    fn word(&mut self, line: &[u8], at: usize) -> usize {
        let (mut end, mut digits, mut changes) = (at, 0usize, 0u32);
        let mut hexadecimal = true;
        let mut before = class(line[at]);
        while let Some(byte) = line.get(end) {
            let kind = class(*byte);
            if kind != DIGIT && kind != LETTER {
                break;
            }
            digits += usize::from(kind == DIGIT);
            changes += u32::from(kind != before);
            hexadecimal &= byte.is_ascii_hexdigit();
            before = kind;
            end += 1;
        }
        let word = &line[at..end];
        if digits == 0
            && let Some(next) = self.url_or_drive(line, at, end)
        {
            return next;
        }
        if hexadecimal && let Some(end) = joined_hexadecimal(line, at, end) {
            self.value();
            return end;
        }
        if digits == 0 {
            let is_whole = self.text.len() == self.name || self.text.ends_with(b"<*>/");
            if is_whole && (is_truth(word, line, end) || is_part_of_date(word, line, end)) {
                self.value();
            } else {
                self.text.extend_from_slice(word);
            }
            return end;
        }
        let letters = word.len() - digits;
        let is_value = letters == 0
            || hexadecimal && word.len() >= 6
            || word.len() > 2 && word.starts_with(b"0x")
            // A number with its unit, or a day with its hour.
            || class(word[0]) == DIGIT && (changes == 1 && letters <= 3 || word.contains(&b'T') && letters <= 2)
            || changes >= 3
            || changes == 2 && word.len() >= 8
            // No name is so long and has so many digits: tokens and names of runs.
            || word.len() >= LONG_WORD && digits >= 3;
        if is_value {
            self.value();
            return end;
        }
        let mut in_number = false;
        for byte in word {
            if class(*byte) == DIGIT {
                if !in_number {
                    self.value();
                }
                in_number = true;
            } else {
                self.text.push(*byte);
                in_number = false;
            }
        }
        end
    }

    /// `https://…`, `C:\…`
    fn url_or_drive(&mut self, line: &[u8], at: usize, end: usize) -> Option<usize> {
        if line.get(end) != Some(&b':') {
            return None;
        }
        let rest = &line[end..];
        if rest.starts_with(b"://") || end - at == 1 && rest.starts_with(b":\\") {
            self.text.truncate(self.name);
            self.value();
            let until = |byte: &u8| {
                class(*byte) == SPACE
                    || matches!(byte, b'"' | b'\'' | b')' | b']' | b'}' | b'>' | b',' | b';')
            };
            let length = rest.iter().position(until).unwrap_or(rest.len());
            return Some(end + trimmed(&rest[..length]));
        }
        None
    }

    /// A path or mail address, to its end.
    fn path(&mut self, line: &[u8], at: usize) -> usize {
        self.value();
        let until = |byte: &u8| {
            class(*byte) == SPACE
                || matches!(
                    byte,
                    b'"' | b'\''
                        | b'`'
                        | b'('
                        | b')'
                        | b'['
                        | b']'
                        | b'}'
                        | b'>'
                        | b','
                        | b';'
                        | b':'
                        | b'|'
                )
        };
        let rest = &line[at..];
        let length = rest.iter().position(until).unwrap_or(rest.len());
        at + trimmed(&rest[..length]).max(1)
    }

    /// Text in quotes that end before a mark, a space or the end of the line.
    fn quoted(&mut self, line: &[u8], at: usize) -> Option<usize> {
        let quote = line[at];
        let end = line.len().min(at + QUOTED);
        let mut close = at + 1;
        while close < end {
            let byte = line[close];
            if byte == b'\\' {
                close += 2;
                continue;
            }
            let next = line.get(close + 1).map_or(SPACE, |byte| class(*byte));
            if byte == quote && (next == SPACE || next == MARK) {
                break;
            }
            close += 1;
        }
        if close >= end {
            return None;
        }
        let inner = &line[at + 1..close];
        if is_request(inner) {
            self.text.push(quote);
            self.name = self.text.len();
            return Some(at + 1);
        }
        let is_name = |byte: &u8| class(*byte) == LETTER || matches!(byte, b'_' | b'-' | b'.');
        let is_key = line.get(close + 1) == Some(&b':')
            && !inner.is_empty()
            && inner.len() <= KEY
            && inner.iter().all(is_name);
        self.text.push(quote);
        if is_key {
            self.text.extend_from_slice(inner);
        } else {
            self.text.extend_from_slice(VALUE.as_bytes());
        }
        self.text.push(quote);
        self.name = self.text.len();
        Some(close + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(line: &str) -> String {
        let mut masked = Masked::default();
        masked.read(line, 4_096, 100);
        token::pattern(&masked.text, &masked.tokens)
    }

    /// What is a value by its form, and what is not.
    #[test]
    fn values_are_told_by_their_form() {
        let table = [
            ("ok=true, at node-12:80", "ok=<*>, at node-<*>:<*>"),
            (r#"- "GET /a HTTP/1.1" 200"#, r#"- "GET <*> <*>" <*>"#),
            ("Nov 12 14:32:01 up", "<*> up"),
            ("[Sat Nov 12 14:32:01 2026] May I", "[<*>] May I"),
            ("[12/Nov/2026:14:32:01 +0000] x", "[<*>] x"),
            ("12:01 INFO [IPC handler 3 on 80] x", "<*> INFO [<*>] x"),
            ("killed [the child 3]", "killed [the child <*>]"),
            ("took 12ms", "took <*>"),
            ("took 1.5 s, 20%", "took <*> s, <*>%"),
            ("from 10.0.0.1:8080 to [::1]:80", "from <*> to [::<*>]:<*>"),
            ("at 2026-03-28T14:32:01.5Z ok", "at <*> ok"),
            ("at 14:32:01,123 ok", "at <*> ok"),
            ("blk_-1608999687919862906 ok", "blk_<*> ok"),
            ("addr 0x7ffd12 is fe80::1a2b:3c", "addr <*> is <*>"),
            ("mac 00:1A:2b:3c:4d:5e up", "mac <*> up"),
            ("id 550e8400-e29b-41d4-a716-446655440000.", "id <*>"),
            ("commit 9fceb02d0ae5 pushed", "commit <*> pushed"),
            ("open /var/log/app.log: denied", "open <*>: denied"),
            ("in lib/a/b.js:12:3 now", "in <*> now"),
            (
                "read/write of C:\\temp\\x failed",
                "read/write of <*> failed",
            ),
            ("GET https://a.b/c?d=1 done", "GET <*> done"),
            ("mail bob@example.com bounced", "mail <*> bounced"),
            (r#"user "the boss" said 'no'"#, r#"user "<*>" said '<*>'"#),
            ("don't stop, it's on", "don't stop, it's on"),
            (r#"{"level":"x","n":3}"#, r#"{"level":"<*>","n":<*>}"#),
            ("got 1, 2, 3 and [4, 5]", "got <*> and [<*>]"),
            ("steps = 15##69##54", "steps = <*>"),
            ("utf8 eth0 v1.2.3 part-00012", "utf<*> eth<*> v<*> part-<*>"),
            ("x1b2 k8s a1b2c3d4e5", "<*> k<*>s <*>"),
            ("\u{1b}[31mred\u{1b}[0m 5", "red <*>"),
            ("gr\u{1b}[31meen\u{1b}[0m ok", "green ok"),
            ("token abcdefghij1234567890 refused", "token <*> refused"),
            ("naïve größe 5µs", "naïve größe <*>"),
            ("seen <*> before", "seen <*> before"),
        ];
        for (line, wanted) in table {
            assert_eq!(masked(line), wanted, "{line}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_long_line_is_read() {
        let mut masked = Masked::default();
        masked.read(&"word ".repeat(5_000), 4_096, 100);
        assert_eq!(masked.tokens.len(), 100);
        masked.read(&"é".repeat(5_000), 4_095, 100);
        assert_eq!(masked.text.len(), 4_094);
    }
}
