//! Which of many pieces of text stand in a text.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::postings::{Head, Postings};

/// Where in a text a piece must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Anchor {
    Start,
    End,
    Anywhere,
}

/// The filters that ask for a piece, by where it must stand.
#[derive(Debug, Default)]
struct Asking {
    start: Head,
    end: Head,
    /// With a number among those that are asked for anywhere.
    anywhere: Option<(usize, Head)>,
}

/// Pieces, found all at once in one pass over a text.
#[derive(Debug)]
pub(super) struct Literals {
    automaton: AhoCorasick,
    asking: Vec<Asking>,
    /// How many may stand anywhere.
    anywhere: usize,
}

impl Literals {
    /// Of pieces that are not empty. `None` when there are more than the automaton can hold.
    pub(super) fn new(pieces: &[(Anchor, &str, u32)], postings: &mut Postings) -> Option<Self> {
        let mut positions: HashMap<&str, usize> = HashMap::new();
        let mut texts: Vec<&str> = Vec::new();
        let mut asking: Vec<Asking> = Vec::new();
        let mut anywhere = 0;
        for &(anchor, piece, filter) in pieces {
            let position = *positions.entry(piece).or_insert_with(|| {
                texts.push(piece);
                asking.push(Asking::default());
                texts.len() - 1
            });
            let head = match anchor {
                Anchor::Start => &mut asking[position].start,
                Anchor::End => &mut asking[position].end,
                Anchor::Anywhere => {
                    let numbered = asking[position].anywhere.get_or_insert_with(|| {
                        anywhere += 1;
                        (anywhere - 1, Head::default())
                    });
                    &mut numbered.1
                }
            };
            postings.push(head, filter);
        }
        let automaton = AhoCorasick::new(texts).ok()?;
        Some(Self {
            automaton,
            asking,
            anywhere,
        })
    }

    /// Says the filters of each piece that stands in `text` where it must.
    pub(super) fn find(&self, text: &str, postings: &Postings, found: &mut impl FnMut(u32)) {
        // Of the pieces that may stand anywhere, those that were found already: one may stand there a million times.
        let mut anywhere = vec![0_u64; self.anywhere.div_ceil(64)];
        for hit in self.automaton.find_overlapping_iter(text) {
            let asking = &self.asking[hit.pattern()];
            if hit.start() == 0 {
                postings.each(asking.start, found);
            }
            if hit.end() == text.len() {
                postings.each(asking.end, found);
            }
            if let Some((number, head)) = asking.anywhere {
                let (word, bit) = (number / 64, 1 << (number % 64));
                if anywhere[word] & bit == 0 {
                    anywhere[word] |= bit;
                    postings.each(head, found);
                }
            }
        }
    }
}
