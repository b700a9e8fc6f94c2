//! The last net: words that look as if dice had written them.
//!
//! What people and programs name things by must pass: digests in hexadecimal, UUIDs, ULIDs,
//! paths, versions, names in any style, keys that are public, pictures. So a word counts only
//! when its letters and digits change places as often as chance would have it.

/// Shorter words are not looked at.
pub(super) const SHORTEST: usize = 20;
/// A longer word is data, not a secret; it is taken out for its length.
const DATA: usize = 400;

/// What a long word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing to hide.
    Plain,
    /// Looks like a secret.
    Random,
    /// A long piece of encoded data.
    Data,
}

/// Bytes that long words are made of.
const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric()
            || matches!(
                letter,
                b'+' | b'/' | b'_' | b'=' | b'.' | b'~' | b'%' | b'-'
            );
        byte += 1;
    }
    table
};

/// Every word of at least [`SHORTEST`] bytes: from, to.
pub(super) fn words(text: &str, mut found: impl FnMut(usize, usize)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    // Looks at every 20th byte first: a word that long cannot hide between two of them.
    while at + SHORTEST <= bytes.len() {
        let mut probe = at + SHORTEST - 1;
        if !IN_WORD[bytes[probe] as usize] {
            at = probe + 1;
            continue;
        }
        let mut from = probe;
        while from > at && IN_WORD[bytes[from - 1] as usize] {
            from -= 1;
        }
        while probe < bytes.len() && IN_WORD[bytes[probe] as usize] {
            probe += 1;
        }
        if probe - from >= SHORTEST {
            found(from, probe);
        }
        at = probe;
    }
}

/// Looks at one word; `before` is what stands before it.
pub(super) fn judge(word: &str, before: &str) -> Kind {
    if is_public(word, before) {
        return Kind::Plain;
    }
    let value = word.trim_end_matches('=');
    if value.len() >= DATA {
        // Long paths and queries are made of words; data is not.
        return if longest_part(value, |b| {
            !matches!(b, b'/' | b'.' | b'-' | b'_' | b'%' | b'=')
        }) >= 40
        {
            Kind::Data
        } else {
            Kind::Plain
        };
    }
    // `key=value`, `a/b/c`, `x.y.z`: each part for itself.
    let parts = value.split(['=', '.', '%', '~']);
    for part in parts {
        if is_random(part) {
            return Kind::Random;
        }
    }
    Kind::Plain
}

fn longest_part(word: &str, within: fn(u8) -> bool) -> usize {
    let mut parts = word.as_bytes().split(|byte| !within(*byte));
    parts.by_ref().map(<[u8]>::len).max().unwrap_or(0)
}

/// Things that are long, look random, and may be known to everybody.
fn is_public(word: &str, before: &str) -> bool {
    const BEGINNINGS: [&str; 10] = [
        "_ZN",
        "AAAAB3Nza",
        "AAAAC3Nza",
        "AAAAE2Vj",
        "AAAAGnNr",
        "iVBORw0KGgo",
        "/9j/",
        "R0lGOD",
        "UklGR",
        "PHN2Zy",
    ];
    let lower = |text: &str| text.to_ascii_lowercase();
    let tail = {
        let mut from = before.len().saturating_sub(40);
        while !before.is_char_boundary(from) {
            from += 1;
        }
        lower(&before[from..])
    };
    let digest = |text: &str| {
        let text = text.trim_end_matches([':', '-', '=', '/', ' ', '"', '\'']);
        // `auth1=` is no `h1:`.
        let alone = |name: &&str| {
            text.strip_suffix(*name)
                .is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric()))
        };
        [
            "sha1",
            "sha256",
            "sha384",
            "sha512",
            "md5",
            "h1",
            "integrity",
            "digest",
            "checksum",
            "etag",
        ]
        .iter()
        .any(alone)
    };
    // Only what is seen and heard may be known to everybody; text may be anything.
    let is_shown = tail.ends_with(";base64,")
        && ["data:image/", "data:font/", "data:audio/", "data:video/"]
            .iter()
            .any(|kind| tail.contains(kind));
    let inner = word.get(..8).map(lower).unwrap_or_default();
    BEGINNINGS.iter().any(|start| word.starts_with(start))
        || digest(&tail)
        || ["sha1-", "sha256-", "sha384-", "sha512-"]
            .iter()
            .any(|name| inner.starts_with(name))
        || is_shown
}

/// Do its letters and digits change places as often as chance would have it?
fn is_random(part: &str) -> bool {
    let part = part.trim_matches(['-', '_', '/', '+', '.']);
    let bytes = part.as_bytes();
    if bytes.len() < SHORTEST || is_hex(part) || is_ulid(bytes) || is_words(part) {
        return false;
    }
    let has = |class: fn(&u8) -> bool| bytes.iter().filter(|byte| class(byte)).count();
    let (small, large, digits) = (
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
        has(u8::is_ascii_digit),
    );
    if digits == 0 && (small == 0 || large == 0) {
        return false;
    }
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let changes = bytes
        .windows(2)
        .filter(|pair| class(pair[0]) != class(pair[1]))
        .count();
    let rate = changes as f64 / (bytes.len() - 1) as f64;
    let three = small > 1 && large > 1 && digits > 1;
    let two = digits >= 3 && (small >= 3 || large >= 3);
    let bits = shannon(bytes);
    if three {
        bits >= 3.6 && rate >= 0.33
    } else if two {
        bits >= 3.5 && rate >= 0.28 && longest_part(part, |b| b.is_ascii_alphanumeric()) >= SHORTEST
    } else {
        // Letters only, in both sizes.
        small > 5 && large > 5 && bits >= 3.9 && rate >= 0.4
    }
}

/// Digits of base 16 with dashes or colons: digests, UUIDs, addresses.
fn is_hex(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_hexdigit).count();
    let marks = part
        .bytes()
        .filter(|b| matches!(b, b'-' | b':' | b'_'))
        .count();
    digits + marks == part.len()
}

/// 26 digits of base 32 that begin with a time.
fn is_ulid(bytes: &[u8]) -> bool {
    bytes.len() == 26
        && matches!(bytes[0], b'0'..=b'7')
        && bytes.iter().all(|b| {
            b.is_ascii_digit()
                || (b.is_ascii_uppercase() && !matches!(b, b'I' | b'L' | b'O' | b'U'))
        })
}

/// Pieces between marks that are words, numbers or short: names of things.
fn is_words(part: &str) -> bool {
    let pieces: Vec<&str> = part
        .split(['-', '_', '/', '+'])
        .filter(|piece| !piece.is_empty())
        .collect();
    let plain = |piece: &&&str| {
        let bytes = piece.as_bytes();
        let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
        let large = bytes
            .iter()
            .skip(1)
            .filter(|b| b.is_ascii_uppercase())
            .count();
        bytes.len() <= 5
            || digits == bytes.len()
            || (digits <= 4 && large == 0)
            || (digits <= 2 && large * 4 <= bytes.len())
            || (large + digits == bytes.len() - usize::from(bytes[0].is_ascii_uppercase())
                && digits <= 4)
            || piece.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let letters: usize = pieces.iter().map(|piece| piece.len()).sum();
    let told: usize = pieces.iter().filter(plain).map(|piece| piece.len()).sum();
    let shortest_long = pieces.iter().filter(|piece| piece.len() > 5).count();
    told * 10 >= letters * 8 && (shortest_long > 0 || pieces.len() > letters / 4)
}

/// Bits that each byte tells, by how often each stands in the word.
fn shannon(bytes: &[u8]) -> f64 {
    let mut counts = [0_u16; 256];
    for byte in bytes {
        counts[*byte as usize] += 1;
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let part = f64::from(*count) / total;
            -part * part.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_wherever_they_stand() {
        let mut all = Vec::new();
        let text = "a bbbbbbbbbbbbbbbbbbbbb c, 0123456789012345678 \"ddddddddddddddddddddddddd\"";
        words(text, |from, to| all.push(&text[from..to]));
        assert_eq!(all, ["bbbbbbbbbbbbbbbbbbbbb", "ddddddddddddddddddddddddd"]);
    }

    #[test]
    fn names_and_digests_are_no_secrets() {
        for word in [
            "3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a",
            "3f9a8b7c-6d5e-4f3a-2b1c-0d9e8f7a6b5c",
            "01HZX3K9QW8RTYVBNM4C5D6E7F",
            "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
            "node_modules/express/lib/router/index.js",
            "com.example.service.OrderProcessingServiceImpl",
            "handleIncomingHttpRequestWithTimeout2",
            "MAX_CONNECTIONS_PER_HOST_EXCEEDED_ERROR_17",
            "my-app-7d4b9c8f6d-x2x9q",
            "tokio-runtime-worker-12",
            "2026-11-28T18:42:32.123456789Z",
            "application/vnd.api+json",
            "ip-10-0-12-34.eu-west-1.compute.internal",
            "chrome_crashpad_handler",
            "org.springframework.beans.factory.BeanCreationException",
        ] {
            assert_eq!(judge(word, ""), Kind::Plain, "{word}");
        }
        for word in [
            "Xm3kQ9vLp2RtY7wZa1Bc4De5",
            "a8f5k2j9m4n7p1q3r6s8t0u2v5w7x9y1",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY9",
            "k7Gf/3sPz+Qx8Wn2Lm5Rt9Yb4Vc1Hd6J",
        ] {
            assert_eq!(judge(word, ""), Kind::Random, "{word}");
        }
        assert_eq!(
            judge("Xm3kQ9vLp2RtY7wZa1Bc4De5", "integrity: sha512-"),
            Kind::Plain
        );
        let judged = |before| judge("Xm3kQ9vLp2RtY7wZa1Bc4De5", before);
        for before in ["go.sum h1:", "etag: \"", "src=data:image/png;base64,"] {
            assert_eq!(judged(before), Kind::Plain, "{before}");
        }
        for before in [
            "data: ",
            "auth1=",
            "data: image is ",
            "data:text/plain;base64,",
            "data:image/png;base64,iVBO key ",
        ] {
            assert_eq!(judged(before), Kind::Random, "{before}");
        }
    }
}
