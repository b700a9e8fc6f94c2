//! Characters that nobody sees, so that two texts look the same or one hides in another.
//!
//! Most of them never show anything. Some show only by what they do to the signs beside them:
//! they stay where they do that, and go where they do nothing.

/// It may be one of them: nothing else has to be looked at closely.
pub(super) fn may_hide(c: char) -> bool {
    is_nothing(c) || joins(c) || varies(c)
}

/// Nobody sees it between these two.
pub(super) fn hides(c: char, before: Option<char>, after: Option<char>) -> bool {
    if joins(c) {
        let emoji = before.is_some_and(|c| is_sign(c) || varies(c)) && after.is_some_and(is_sign);
        return !(emoji || before.is_some_and(is_of_joined_script));
    }
    if varies(c) {
        let is_keycap = after == Some('\u{20e3}');
        let mongolian = matches!(c, '\u{180b}'..='\u{180f}')
            && before.is_some_and(|c| matches!(c, '\u{1820}'..='\u{18aa}'));
        return !(is_keycap || mongolian || before.is_some_and(is_sign));
    }
    is_nothing(c)
}

/// The characters that Unicode says are to be ignored, fillers of Korean, which are blank
/// letters, and the blank pattern of Braille.
fn is_nothing(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Joins the signs on both sides, or keeps them apart.
fn joins(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Chooses a form of the sign before it.
fn varies(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{180b}'..='\u{180d}' | '\u{180f}')
}

/// Signs of which there is a coloured form.
fn is_sign(c: char) -> bool {
    let range = matches!(
        c,
        '\u{a9}' | '\u{ae}' | '\u{203c}'..='\u{3299}' | '\u{1f000}'..='\u{1faff}'
    );
    range && !c.is_alphanumeric() && !may_hide(c)
}

/// Scripts whose letters are joined: Arabic, Syriac and those of India and its neighbours.
fn is_of_joined_script(c: char) -> bool {
    let letters = matches!(
        c,
        '\u{600}'..='\u{7bf}'
            | '\u{8a0}'..='\u{fff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{1800}'..='\u{18af}'
    );
    letters && !may_hide(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> String {
        let all: Vec<char> = text.chars().collect();
        let near = |at: usize| all.get(at).copied();
        let kept = all.iter().enumerate().filter(|(at, c)| {
            let before = at.checked_sub(1).and_then(near);
            !hides(**c, before, near(at + 1))
        });
        kept.map(|(_, c)| *c).collect()
    }

    #[test]
    fn what_shows_nothing_goes() {
        for hidden in [
            '\u{ad}',
            '\u{180e}',
            '\u{3164}',
            '\u{115f}',
            '\u{1160}',
            '\u{2800}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{200c}',
            '\u{200d}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0101}',
            '\u{ffa0}',
            '\u{34f}',
            '\u{206a}',
        ] {
            assert!(may_hide(hidden));
            assert_eq!(seen(&format!("ad{hidden}min")), "admin", "{hidden:?}");
            assert_eq!(seen(&format!("admin{hidden}")), "admin", "{hidden:?}");
            assert_eq!(seen(&format!("{hidden}admin")), "admin", "{hidden:?}");
        }
    }

    #[test]
    fn what_changes_its_neighbours_stays() {
        for text in [
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3} ☎\u{fe0e} ©\u{fe0f}",
            // Persian and Hindi.
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "日本語 ﷽ é e\u{301} 한글",
        ] {
            assert_eq!(seen(text), text);
        }
    }
}
