//! Which of many intervals hold a value.

/// Closed intervals, each with the filters that ask for it. An end that is `None` is open to that side.
#[derive(Debug)]
pub(super) struct Intervals<T> {
    /// By the lower end, the open ones first.
    items: Vec<Interval<T>>,
    /// The items are a balanced tree: the middle of a run is the root, the runs beside it its branches. At each root, which item of its
    /// run reaches highest.
    highest: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Interval<T> {
    pub(super) low: Option<T>,
    pub(super) high: Option<T>,
    pub(super) filter: u32,
}

impl<T: Ord> Intervals<T> {
    pub(super) fn new(mut items: Vec<Interval<T>>) -> Self {
        items.sort_by(|one, other| one.low.cmp(&other.low));
        let mut highest = vec![0; items.len()];
        Self::grow(&items, &mut highest, 0, items.len());
        Self { items, highest }
    }

    /// Fills in `highest` for a run and gives back that of the whole run.
    fn grow(items: &[Interval<T>], highest: &mut [usize], start: usize, end: usize) -> Option<usize> {
        if start == end {
            return None;
        }
        let middle = start.midpoint(end);
        let left = Self::grow(items, highest, start, middle);
        let right = Self::grow(items, highest, middle + 1, end);
        let top = [left, right].into_iter().flatten().fold(middle, |best, other| {
            if reaches_beyond(&items[other], &items[best]) {
                other
            } else {
                best
            }
        });
        highest[middle] = top;
        Some(top)
    }

    /// Says the filter of each interval that holds `value`.
    pub(super) fn find(&self, value: &T, found: &mut impl FnMut(u32)) {
        self.search(value, 0, self.items.len(), found);
    }

    fn search(&self, value: &T, start: usize, end: usize, found: &mut impl FnMut(u32)) {
        if start == end {
            return;
        }
        let middle = start.midpoint(end);
        if self.items[self.highest[middle]].ends_before(value) {
            return;
        }
        self.search(value, start, middle, found);
        let item = &self.items[middle];
        // To the right, everything begins even later.
        if item.low.as_ref().is_none_or(|low| low <= value) {
            if !item.ends_before(value) {
                found(item.filter);
            }
            self.search(value, middle + 1, end, found);
        }
    }
}

impl<T: Ord> Interval<T> {
    fn ends_before(&self, value: &T) -> bool {
        self.high.as_ref().is_some_and(|high| high < value)
    }
}

fn reaches_beyond<T: Ord>(one: &Interval<T>, other: &Interval<T>) -> bool {
    match (&one.high, &other.high) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_holds_the_value(
            ends in proptest::collection::vec((proptest::option::of(-20_i32..20), proptest::option::of(-20_i32..20)), 0..40),
            value in -22_i32..22,
        ) {
            let items = (0_u32..).zip(&ends).map(|(filter, &(low, high))| Interval { low, high, filter });
            let intervals = Intervals::new(items.collect());
            let mut found = Vec::new();
            intervals.find(&value, &mut |filter| found.push(filter));
            found.sort_unstable();
            let holds = |&(_, (low, high)): &(u32, &(Option<i32>, Option<i32>))| {
                low.is_none_or(|low| low <= value) && high.is_none_or(|high| value <= high)
            };
            let expected: Vec<u32> = (0_u32..).zip(&ends).filter(holds).map(|(filter, _)| filter).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
