//! What of foreign text goes into a message for people, and how it is cut.
//!
//! What providers send is shown, never obeyed: controls and what turns the direction of writing around are taken out here, and each
//! platform's [`Dialect`] says what stands for the characters that mean something to it.

use unicode_segmentation::UnicodeSegmentation;

/// What a text that was cut ends with.
const ELLIPSIS: char = '…';

/// How one platform takes text.
pub(super) struct Dialect {
    /// What stands for a character that means something to the platform.
    pub(super) escape: fn(char) -> Option<&'static str>,
    /// How much of the platform's limits a character takes, as it stands in the JSON of the message.
    pub(super) cost: fn(char) -> usize,
}

impl Dialect {
    /// A foreign text, cleaned, escaped, and cut where it would cost more than `most`: at the end of what readers take for one character
    /// ([extended grapheme clusters](https://www.unicode.org/reports/tr29/#Grapheme_Cluster_Boundaries)).
    pub(super) fn write(&self, text: &str, most: usize) -> String {
        let mut written = String::new();
        let mut cost = 0;
        // Up to where an ellipsis still fits behind it.
        let mut last_good = 0;
        let room = most.saturating_sub((self.cost)(ELLIPSIS));
        // No character costs nothing.
        let cleaned: String = clean(text).take(most.saturating_add(1)).collect();
        for grapheme in cleaned.graphemes(true) {
            let start = written.len();
            for c in grapheme.chars() {
                match (self.escape)(c) {
                    Some(escaped) => written.push_str(escaped),
                    None => written.push(c),
                }
            }
            cost += written[start..].chars().map(self.cost).sum::<usize>();
            if cost <= room {
                last_good = written.len();
            } else if cost > most {
                written.truncate(last_good);
                written.push(ELLIPSIS);
                return written;
            }
        }
        written
    }
}

/// The cost of a character where a limit counts characters: UTF-16 units, which is the most that any platform takes for one.
pub(super) fn units(c: char) -> usize {
    c.len_utf16() + json_escape(c)
}

/// The cost of a character where a limit counts bytes.
pub(super) fn bytes(c: char) -> usize {
    c.len_utf8() + json_escape(c)
}

fn json_escape(c: char) -> usize {
    usize::from(matches!(c, '"' | '\\'))
}

/// A text on one line: breaks and tabs are spaces, and what nobody sees or what turns other text around is gone.
pub(super) fn clean(text: &str) -> impl Iterator<Item = char> {
    let mut after_space = true;
    text.trim().chars().filter_map(move |c| {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' if after_space => {
                return None;
            }
            '\n' | '\r' | '\t' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() || turns_direction(c) || is_noncharacter(c) => return None,
            c => c,
        };
        after_space = c == ' ';
        Some(c)
    })
}

/// The same as a text, where it has to be looked at before it is written.
pub(super) fn cleaned(text: &str, most_chars: usize) -> String {
    clean(text).take(most_chars).collect::<String>().trim().to_owned()
}

/// Marks, embeddings, overrides and isolates of the
/// [Unicode Bidirectional Algorithm](https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters): with them a text can show
/// something else than it says.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is no text: noncharacters, anchors of annotations, the mark of byte order.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{fffb}' | '\u{feff}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether a text is written from right to left, at least in part: what stands beside it must be kept apart from it.
pub(super) fn is_right_to_left(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{0590}'..='\u{08ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Dialect = Dialect {
        escape: |c| (c == '<').then_some("&lt;"),
        cost: units,
    };

    #[test]
    fn one_line_without_what_is_not_seen() {
        let line = |text: &str| clean(text).collect::<String>();
        assert_eq!(line(" a\r\nb\t c\u{2028}d "), "a b  c d");
        assert_eq!(line("a\u{202e}b\u{0}c\u{7f}d\u{9b}e\u{2066}f\u{feff}"), "abcdef");
        assert_eq!(line("👩‍👩‍👧 עברית e\u{301}"), "👩‍👩‍👧 עברית e\u{301}");
        assert_eq!(cleaned("\u{202e} \n", 10), "");
    }

    #[test]
    fn a_cut_falls_between_characters_and_never_into_an_escape() {
        assert_eq!(PLAIN.write("abc", 3), "abc");
        assert_eq!(PLAIN.write("abcd", 3), "ab…");
        assert_eq!(PLAIN.write("a<b", 5), "a…");
        assert_eq!(PLAIN.write("a<b", 6), "a&lt;b");
        assert_eq!(PLAIN.write("😀😀", 3), "😀…");
        assert_eq!(PLAIN.write("\"\"", 3), "\"…");
        assert_eq!(PLAIN.write("abc", 0), "…");
    }

    proptest! {
        #[test]
        fn what_is_written_is_within_its_limit(text in ".{0,80}", most in 1_usize..60) {
            let written = PLAIN.write(&text, most);
            prop_assert!(written.chars().map(units).sum::<usize>() <= most);
            prop_assert!(!written.contains('<') && !written.chars().any(char::is_control));
            let whole = PLAIN.write(&text, usize::MAX);
            prop_assert!(whole == written || whole.starts_with(written.strip_suffix('…').unwrap()));
        }
    }
}
