//! The words and marks of a masked line, and the text they make.
//!
//! A line is cut at white space, after `= : , ; | ( [ {` and before `) ] }`, so that in
//! `user=root` and `node[alpha]` the name stays and only the value can become one. Tokens
//! are compared by hash; their text is kept for the pattern alone.

/// What stands for a value.
pub(super) const VALUE: &str = "<*>";

/// The hash of a token that is nothing but a value.
pub(super) const WILD: u64 = hash(VALUE.as_bytes());

/// No space stands before it.
const GLUED: u8 = 1;
/// It has a letter.
const WORD: u8 = 2;
/// A value stands in it.
const MASKED: u8 = 4;
/// It looks like a name or number, not like a word: `node-D`, `a.b`, `getUser`, `blk_<*>`.
const IDENTIFIER: u8 = 8;

/// A word or mark of a masked line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) hash: u64,
    start: u16,
    end: u16,
    kind: u8,
}

impl Token {
    /// Reads the token that lies at `start..end`.
    fn of(text: &[u8], start: usize, end: usize, glued: bool) -> Self {
        let bytes = &text[start..end];
        let mut kind = if glued { GLUED } else { 0 };
        let mut bare = !bytes.is_empty();
        let mut after_lower = false;
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte == b'<' && bytes[at..].starts_with(VALUE.as_bytes()) {
                kind |= MASKED;
                at += VALUE.len();
                after_lower = false;
                continue;
            }
            match byte {
                b'A'..=b'Z' => {
                    kind |= WORD;
                    bare = false;
                    if after_lower {
                        kind |= IDENTIFIER;
                    }
                    after_lower = false;
                }
                b'a'..=b'z' | 128.. => {
                    kind |= WORD;
                    bare = false;
                    after_lower = true;
                }
                b'.' if at + 1 == bytes.len() => after_lower = false,
                byte if separates(byte) => after_lower = false,
                b'.' | b'_' | b'-' | b'@' | b'/' | b'\\' | b'$' => {
                    kind |= IDENTIFIER;
                    bare = false;
                    after_lower = false;
                }
                _ => {
                    bare = false;
                    after_lower = false;
                }
            }
            at += 1;
        }
        if kind & MASKED != 0 {
            kind |= IDENTIFIER;
        }
        let pure = bare && kind & MASKED != 0;
        Self {
            hash: if pure { WILD } else { hash(bytes) },
            // A line is cut long before this.
            start: u16::try_from(start).unwrap_or(u16::MAX),
            end: u16::try_from(end).unwrap_or(u16::MAX),
            kind,
        }
    }

    pub(super) fn make_wild(&mut self) {
        self.hash = WILD;
    }

    pub(super) fn is_wild(self) -> bool {
        self.hash == WILD
    }

    pub(super) fn is_word(self) -> bool {
        self.kind & WORD != 0
    }

    pub(super) fn is_identifier(self) -> bool {
        self.kind & IDENTIFIER != 0
    }

    pub(super) fn is_glued(self) -> bool {
        self.kind & GLUED != 0
    }

    /// Is it neither a word nor a value?
    pub(super) fn is_mark(self) -> bool {
        !self.is_wild() && self.kind & (WORD | MASKED | IDENTIFIER) == 0
    }

    pub(super) fn text(self, text: &[u8]) -> &[u8] {
        text.get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or_default()
    }
}

/// Is a line cut after this?
fn separates(byte: u8) -> bool {
    matches!(
        byte,
        b'=' | b':' | b',' | b';' | b'|' | b'(' | b'[' | b'{' | b')' | b']' | b'}'
    )
}

fn closes(byte: u8) -> bool {
    matches!(byte, b')' | b']' | b'}')
}

/// Cuts what stands in `text` from `start` on, which has no white space, into tokens.
///
/// With `collapse` a value directly after a value is the same value: `1, 2, 3` is as long
/// as `1, 2`.
pub(super) fn cut(text: &[u8], start: usize, tokens: &mut Vec<Token>, collapse: bool) {
    let mut from = start;
    let mut at = start;
    while at < text.len() {
        let byte = text[at];
        if closes(byte) && at > from && !closes(text[at - 1]) {
            push(text, from, at, from > start, tokens, collapse);
            from = at;
        }
        at += 1;
        let opens = separates(byte);
        let more = text
            .get(at)
            .is_some_and(|next| !separates(*next) && *next != b'.');
        if opens && more {
            push(text, from, at, from > start, tokens, collapse);
            from = at;
        }
    }
    if from < text.len() {
        push(text, from, text.len(), from > start, tokens, collapse);
    }
}

fn push(
    text: &[u8],
    start: usize,
    end: usize,
    glued: bool,
    tokens: &mut Vec<Token>,
    collapse: bool,
) {
    let mut token = Token::of(text, start, end, glued);
    if collapse
        && token.is_wild()
        && let Some(last) = tokens.last_mut()
        && last.is_wild()
    {
        token.kind = token.kind & !GLUED | last.kind & GLUED;
        *last = token;
        return;
    }
    tokens.push(token);
}

/// The pattern of a masked line or template.
pub(super) fn pattern(text: &[u8], tokens: &[Token]) -> String {
    let mut pattern = String::new();
    for token in tokens {
        if !pattern.is_empty() && !token.is_glued() {
            pattern.push(' ');
        }
        let text = token.text(text);
        if token.is_wild() {
            // The marks at its end are where the next one was cut off.
            let marks = text.iter().rev().take_while(|byte| separates(**byte));
            let end = &text[text.len() - marks.count()..];
            pattern.push_str(VALUE);
            pattern.push_str(&String::from_utf8_lossy(end));
        } else {
            pattern.push_str(&String::from_utf8_lossy(text));
        }
    }
    pattern
}

/// The tokens of a pattern: what [`pattern`] was made of.
pub(super) fn parse(pattern: &str, most: usize) -> (Vec<u8>, Vec<Token>) {
    let (mut text, mut tokens) = (Vec::new(), Vec::new());
    for piece in pattern.split_ascii_whitespace() {
        let start = text.len();
        if tokens.len() >= most || start + piece.len() > usize::from(u16::MAX) {
            break;
        }
        text.extend_from_slice(piece.as_bytes());
        cut(&text, start, &mut tokens, false);
    }
    tokens.truncate(most);
    (text, tokens)
}

/// The hash of a whole line.
pub(super) fn sequence(tokens: &[Token]) -> u64 {
    let mut state = 0x243f_6a88_85a3_08d3;
    for token in tokens {
        state = mix(state ^ token.hash);
    }
    state
}

/// 64 bits of some bytes. Part of what is stored: it never changes.
pub(super) const fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        state = mix(state ^ u64::from_le_bytes(*chunk));
        rest = after;
    }
    let mut last = 0;
    let mut at = 0;
    while at < rest.len() {
        last |= (rest[at] as u64) << (8 * at);
        at += 1;
    }
    mix(state ^ last)
}

/// Both halves of a product, so that every bit reaches every other.
const fn mix(value: u64) -> u64 {
    let product = (value ^ 0xa076_1d64_78bd_642f) as u128 * 0xe703_7ed1_a0b4_28db;
    (product >> 64) as u64 ^ product as u64
}
