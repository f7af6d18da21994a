//! Lists of filters, many of them and most of them short.

/// All lists of one index, link by link.
#[derive(Debug, Default)]
pub(super) struct Postings(Vec<(u32, Head)>);

/// Where a list begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Head(Option<std::num::NonZeroU32>);

impl Postings {
    /// Puts a filter at the beginning of a list.
    pub(super) fn push(&mut self, head: &mut Head, filter: u32) {
        self.0.push((filter, *head));
        // One more than its place, so that an empty list takes no room. Each link is at least a filter's entry of JSON: of 2³² of them
        // memory has long run out.
        *head = Head(u32::try_from(self.0.len()).ok().and_then(std::num::NonZeroU32::new));
    }

    /// Says the filters of a list.
    pub(super) fn each(&self, mut head: Head, found: &mut impl FnMut(u32)) {
        while let Some((filter, next)) = head.0.and_then(|place| self.0.get(place.get() as usize - 1)) {
            found(*filter);
            head = *next;
        }
    }
}
