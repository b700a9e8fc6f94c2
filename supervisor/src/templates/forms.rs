//! What a value looks like, byte by byte: no regular expression, no memory.

/// Longest name of a thread.
const THREAD: usize = 64;

pub(super) const SPACE: u8 = 0;
pub(super) const DIGIT: u8 = 1;
pub(super) const LETTER: u8 = 2;
pub(super) const MARK: u8 = 3;

/// What each byte is. Bytes of other alphabets count as letters.
static CLASS: [u8; 256] = {
    let mut class = [MARK; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            0..=32 | 127 => SPACE,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | 128.. => LETTER,
            _ => MARK,
        };
        byte += 1;
    }
    class
};

pub(super) fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

pub(super) fn is_class(bytes: &[u8], at: usize, wanted: u8) -> bool {
    bytes.get(at).is_some_and(|byte| class(*byte) == wanted)
}

/// Does a name go on after this mark?
pub(super) fn in_names(byte: u8) -> bool {
    matches!(byte, b'.' | b'_' | b'-' | b'@' | b'$' | b'%' | b'/' | b'\\')
}

fn is_space_or_end(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|byte| class(*byte) == SPACE)
}

pub(super) fn is_truth(word: &[u8], line: &[u8], end: usize) -> bool {
    matches!(word, b"true" | b"false" | b"True" | b"False")
        && line.get(end).is_none_or(|byte| !in_names(*byte))
}

/// `Nov 12`, `12/Nov/2026`, `Sat Nov 12`, `Sat, 12 Nov`.
pub(super) fn is_part_of_date(word: &[u8], line: &[u8], end: usize) -> bool {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    const DAYS: &[u8] = b"MonTueWedThuFriSatSun";
    let is_in = |names: &[u8], word: &[u8]| names.chunks(3).any(|name| name == word);
    if word.len() != 3 || !word[0].is_ascii_uppercase() {
        return false;
    }
    let mut next = end;
    while matches!(line.get(next), Some(b' ' | b',' | b'/' | b'-')) && next < end + 2 {
        next += 1;
    }
    if next == end {
        return false;
    }
    let before_number = is_class(line, next, DIGIT);
    if is_in(MONTHS, word) {
        return before_number;
    }
    let before_month = || {
        line.get(next..next + 3)
            .is_some_and(|word| is_in(MONTHS, word))
    };
    is_in(DAYS, word) && (before_number || before_month())
}

/// Is it a request, as web servers log it? Its method says what was done.
pub(super) fn is_request(text: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [
        b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS",
    ];
    let end = text.iter().position(|byte| *byte == b' ');
    end.is_some_and(|end| METHODS.contains(&&text[..end]))
}

/// The end of `[IPC Server handler 3]`: a thread whose name is as long as it likes.
pub(super) fn thread_of_several_words(line: &[u8], at: usize) -> Option<usize> {
    let most = line.len().min(at + THREAD);
    let length = line[at..most].iter().position(|byte| *byte == b']')?;
    let name = &line[at + 1..at + length];
    let in_thread =
        |byte: &u8| class(*byte) != MARK || in_names(*byte) || matches!(byte, b'#' | b':');
    let is_thread = name.contains(&b' ')
        && is_class(name, 0, LETTER)
        && name.last().is_some_and(u8::is_ascii_digit)
        && !name.windows(2).any(|two| two == b": ")
        && name.iter().all(in_thread);
    is_thread.then_some(at + length + 1)
}

/// Skips white space and the escape sequences that colour a terminal.
pub(super) fn after_space(line: &[u8], at: usize) -> usize {
    if line[at] == 0x1b && line.get(at + 1) == Some(&b'[') {
        let rest = &line[at + 2..];
        let end = rest.iter().position(|byte| (0x40..0x7f).contains(byte));
        return at + 2 + end.map_or(rest.len(), |end| end + 1);
    }
    at + 1
}

/// The end of an escape sequence that stands between two letters of one word.
pub(super) fn within_word(line: &[u8], at: usize) -> Option<usize> {
    if line[at] != 0x1b {
        return None;
    }
    let next = after_space(line, at);
    let of_word = |byte: &u8| matches!(class(*byte), LETTER | DIGIT);
    let before = at.checked_sub(1).and_then(|before| line.get(before));
    (before.is_some_and(of_word) && line.get(next).is_some_and(of_word)).then_some(next)
}

/// Without the marks that end a sentence.
pub(super) fn trimmed(text: &[u8]) -> usize {
    let last = text
        .iter()
        .rposition(|byte| !matches!(byte, b'.' | b'!' | b'?'));
    last.map_or(0, |last| last + 1)
}

pub(super) fn begins_path(rest: &[u8]) -> bool {
    [b"./".as_slice(), b"../", b"~/"]
        .iter()
        .any(|start| rest.starts_with(start))
}

/// Does more of a path follow: `lib/a/b`, `lib/a.js`, but not `read/write`?
pub(super) fn is_relative_path(rest: &[u8]) -> bool {
    let mut slashes = 0;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'/' => slashes += 1,
            b'.' => {
                if is_class(rest, at + 1, LETTER) || is_class(rest, at + 1, DIGIT) {
                    return true;
                }
            }
            b'_' | b'-' | b'+' | b'@' | b'$' | b'%' | b'=' => {}
            byte if class(*byte) == LETTER || class(*byte) == DIGIT => {}
            _ => break,
        }
        if slashes > 1 {
            return true;
        }
    }
    false
}

/// The end of a UUID, of an IPv6 or of a hardware address that begins with these digits.
pub(super) fn joined_hexadecimal(line: &[u8], at: usize, end: usize) -> Option<usize> {
    match line.get(end)? {
        b'-' if end - at == 8 => {
            let whole = line.get(at..at + 36)?;
            let is_uuid = whole.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
            is_uuid.then_some(at + 36)
        }
        b':' if end - at <= 4 => {
            let length = line[at..]
                .iter()
                .position(|byte| !byte.is_ascii_hexdigit() && *byte != b':')
                .unwrap_or(line.len() - at);
            let whole = &line[at..at + length];
            let colons = whole.iter().filter(|byte| **byte == b':').count();
            let digits = whole.iter().any(u8::is_ascii_digit);
            let ends = is_space_or_end(line, at + length) || is_class(line, at + length, MARK);
            (colons >= 2 && digits && ends && !whole.ends_with(b":")).then_some(at + length)
        }
        _ => None,
    }
}
