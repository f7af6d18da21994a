//! Texts in which some parts are fixed and others may be anything.

/// A text with gaps: fixed pieces in a given order, with any run of characters, also none, between them. One piece is an exact text,
/// an empty piece at an end leaves that end open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Glob(Box<[Box<str>]>);

/// Why a wildcard expression cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidWildcard {
    #[error("has two wildcards next to each other; one is enough")]
    TwoStars,
    #[error("has a backslash before a character other than '*' and '\\'")]
    Escape,
}

impl Glob {
    /// Exactly this text.
    pub(crate) fn exact(text: &str) -> Self {
        Self([text.into()].into())
    }

    /// What begins with this text.
    pub(crate) fn prefix(text: &str) -> Self {
        Self([text.into(), "".into()].into())
    }

    /// What ends with this text.
    pub(crate) fn suffix(text: &str) -> Self {
        Self(["".into(), text.into()].into())
    }

    /// As the lists of a filter have it: each `*` is a gap, and there is no way to mean the character itself.
    pub(crate) fn plain(text: &str) -> Self {
        let mut pieces: Vec<Box<str>> = text.split('*').map(Box::from).collect();
        let last = pieces.len() - 1;
        let mut position = 0;
        // Two gaps in a row are one.
        pieces.retain(|piece| {
            position += 1;
            !piece.is_empty() || position == 1 || position == last + 1
        });
        Self(pieces.into())
    }

    /// As `wildcard` of an event pattern has it: `*` is a gap, `\*` and `\\` are the characters themselves.
    pub(crate) fn wildcard(text: &str) -> Result<Self, InvalidWildcard> {
        let mut pieces = vec![String::new()];
        let mut after_star = false;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let literal = match c {
                '*' if after_star => return Err(InvalidWildcard::TwoStars),
                '*' => None,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '\\')) => Some(escaped),
                    _ => return Err(InvalidWildcard::Escape),
                },
                other => Some(other),
            };
            after_star = literal.is_none();
            match (literal, pieces.last_mut()) {
                (Some(literal), Some(piece)) => piece.push(literal),
                _ => pieces.push(String::new()),
            }
        }
        Ok(Self(pieces.into_iter().map(Box::from).collect()))
    }

    /// The same without regard to case, for [`Self::matches_folded`].
    pub(crate) fn folded(&self) -> Self {
        Self(self.0.iter().map(|piece| fold(piece).into()).collect())
    }

    /// The fixed pieces.
    pub(crate) fn pieces(&self) -> &[Box<str>] {
        &self.0
    }

    /// The text, if it is an exact one.
    pub(crate) fn as_exact(&self) -> Option<&str> {
        match &*self.0 {
            [text] => Some(text),
            _ => None,
        }
    }

    /// Whether `text` is of this form. In time that grows with the text and not with the number of gaps.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.0 else {
            return self.as_exact() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        // The earliest place of a piece leaves the most room for the others.
        for piece in middle {
            match rest.find(&**piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }

    /// Whether `text` is of this form once it is folded; the glob itself is. A text is as long as whoever sends it likes, and it may be held
    /// against hundreds of these: so no more of it is folded than the glob is long, unless the glob has gaps in the middle.
    pub(crate) fn matches_folded(&self, text: &str) -> bool {
        let folded = || text.chars().flat_map(char::to_lowercase);
        match &*self.0 {
            [exact] => folded().eq(exact.chars()),
            [start, end] if end.is_empty() => begins(folded(), start.chars()),
            [start, end] if start.is_empty() => begins(folded().rev(), end.chars().rev()),
            _ => self.matches(&fold(text)),
        }
    }
}

/// Whether a text begins with another one. It is asked for no more characters than that takes.
fn begins(mut text: impl Iterator<Item = char>, mut with: impl Iterator<Item = char>) -> bool {
    with.all(|expected| text.next() == Some(expected))
}

/// Without regard to case: each character's lower case by itself, so that the pieces of a text fold as the text does.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn naive(pattern: &str, text: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == text,
            Some((head, tail)) => {
                text.starts_with(head)
                    && (head.len()..=text.len()).any(|i| text.is_char_boundary(i) && naive(tail, &text[i..]))
            }
        }
    }

    #[test]
    fn wildcards() {
        let matches = |pattern: &str, text: &str| Glob::plain(pattern).matches(text);
        assert!(matches("*", "live.audio.updated"));
        assert!(matches("live.*", "live.audio.updated"));
        assert!(matches("*.updated", "live.audio.updated"));
        assert!(matches("live.*.updated", "live.audio.updated"));
        assert!(!matches("live.*", "alive.audio"));
        assert!(!matches("live", "live.audio"));
        assert!(!matches("aba*ba", "aba"));
        assert!(matches("a**b", "ab"));
        assert!(matches("***", ""));
        assert_eq!(Glob::plain("a**b"), Glob::plain("a*b"));
        assert_eq!(Glob::plain("**"), Glob::plain("*"));
    }

    #[test]
    fn wildcards_of_patterns_have_escapes() {
        let matches = |pattern: &str, text: &str| Glob::wildcard(pattern).unwrap().matches(text);
        assert!(matches(r"a\*b", "a*b"));
        assert!(!matches(r"a\*b", "axb"));
        assert!(matches(r"*\\*", r"c:\dir"));
        assert!(matches("", ""));
        assert!(matches("ü*ß", "üäöß"));
        assert_eq!(Glob::wildcard("a**"), Err(InvalidWildcard::TwoStars));
        assert_eq!(Glob::wildcard(r"a\b"), Err(InvalidWildcard::Escape));
        assert_eq!(Glob::wildcard(r"a\"), Err(InvalidWildcard::Escape));
    }

    #[test]
    fn case_is_folded_by_character() {
        assert_eq!(fold("ÄÖÜ K"), "äöü k");
        assert!(Glob::prefix("ÄP").folded().matches_folded("äpfel"));
        assert!(Glob::suffix("FEL").folded().matches_folded("äpfeL"));
        assert!(!Glob::exact("straße").folded().matches_folded("STRASSE"));
        // One character becomes two.
        assert!(Glob::prefix("i").matches_folded("İ"));
        assert!(Glob::suffix("\u{307}").matches_folded("İ"));
        assert!(Glob::exact("i\u{307}").matches_folded("İ"));
    }

    #[test]
    fn no_more_of_a_text_is_folded_than_the_glob_is_long() {
        for (with, expected, most) in [("qqq", true, 3), ("qqx", false, 3), ("x", false, 1), ("", true, 0)] {
            let mut taken = 0;
            let text = std::iter::repeat_n('q', 1 << 20).inspect(|_| taken += 1);
            assert_eq!(begins(text, with.chars()), expected, "{with}");
            assert_eq!(taken, most, "{with}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = format!("*{}b*", "a".repeat(4000));
        let text = "a".repeat(1_000_000);
        assert!(!Glob::plain(&pattern).matches(&text));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_reading(pattern in "[ab*ü.]{0,8}", text in "[abü.]{0,10}") {
            prop_assert_eq!(Glob::plain(&pattern).matches(&text), naive(&pattern, &text));
            if !pattern.contains("**") {
                prop_assert_eq!(Glob::wildcard(&pattern).unwrap(), Glob::plain(&pattern));
            }
        }

        #[test]
        fn folding_a_part_says_what_folding_the_whole_says(piece in "[aÜüßİiK]{0,3}", text in "[AüÜßİiK]{0,5}", pattern in "[aü*İ]{0,5}") {
            for glob in [Glob::exact(&piece), Glob::prefix(&piece), Glob::suffix(&piece), Glob::plain(&pattern)] {
                let glob = glob.folded();
                prop_assert_eq!(glob.matches_folded(&text), glob.matches(&fold(&text)), "{:?}", glob);
            }
        }
    }
}
