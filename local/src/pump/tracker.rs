//! How far a stream has been read and worked off.

use std::collections::VecDeque;

/// The records between the checkpoint and the place of reading, in stream order.
///
/// Lanes finish records in any order; the checkpoint is the last record before which, and with which, all are finished. After a crash
/// everything behind the checkpoint is read again, finished or not: at least once.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    records: VecDeque<Tracked>,
    /// The ordinal of the first of `records`.
    first: u64,
    checkpoint: Option<Box<str>>,
    unfinished: usize,
    unfinished_bytes: usize,
}

#[derive(Debug)]
struct Tracked {
    sequence_number: Box<str>,
    bytes: usize,
    finished: bool,
}

impl Tracker {
    /// Begins behind a checkpoint, or at the beginning of the stream.
    pub(super) fn new(checkpoint: Option<String>) -> Self {
        Self {
            checkpoint: checkpoint.map(Into::into),
            ..Self::default()
        }
    }

    /// Notes a record that was read; the ordinal names it for [`Tracker::finish`].
    pub(super) fn begin(&mut self, sequence_number: &str, bytes: usize) -> u64 {
        let ordinal = self.first + self.records.len() as u64;
        self.records.push_back(Tracked {
            sequence_number: sequence_number.into(),
            bytes,
            finished: false,
        });
        self.unfinished += 1;
        self.unfinished_bytes += bytes;
        ordinal
    }

    /// Notes that a record needs nothing more: it was handled, filtered out, or set aside.
    pub(super) fn finish(&mut self, ordinal: u64) {
        let index = ordinal
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let Some(record) = index.and_then(|index| self.records.get_mut(index)) else {
            return;
        };
        if record.finished {
            return;
        }
        record.finished = true;
        self.unfinished -= 1;
        self.unfinished_bytes -= record.bytes;
        while let Some(record) = self.records.pop_front_if(|record| record.finished) {
            self.first += 1;
            self.checkpoint = Some(record.sequence_number);
        }
    }

    /// Up to where everything is finished; `None` at the beginning of the stream.
    pub(super) fn checkpoint(&self) -> Option<&str> {
        self.checkpoint.as_deref()
    }

    /// How many records are read and unfinished, and how many bytes they hold.
    pub(super) fn unfinished(&self) -> (usize, usize) {
        (self.unfinished, self.unfinished_bytes)
    }

    /// How many records lie behind the checkpoint, finished or not.
    pub(super) fn behind_checkpoint(&self) -> usize {
        self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checkpoint_waits_for_the_slowest() {
        let mut tracker = Tracker::new(Some("0".into()));
        let ordinals: Vec<u64> = ["1", "2", "3"]
            .iter()
            .map(|sequence| tracker.begin(sequence, 10))
            .collect();
        tracker.finish(ordinals[1]);
        assert_eq!(
            (tracker.checkpoint(), tracker.unfinished(), tracker.behind_checkpoint()),
            (Some("0"), (2, 20), 3)
        );
        tracker.finish(ordinals[0]);
        assert_eq!(tracker.checkpoint(), Some("2"));
        tracker.finish(ordinals[0]);
        tracker.finish(ordinals[2]);
        assert_eq!(
            (tracker.checkpoint(), tracker.unfinished(), tracker.behind_checkpoint()),
            (Some("3"), (0, 0), 0)
        );
    }

    proptest! {
        /// Whatever the order of finishing, nothing unfinished is ever passed, and in the end everything is.
        #[test]
        fn nothing_unfinished_is_passed(order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut tracker = Tracker::new(None);
            let mut unfinished: std::collections::BTreeSet<u64> = (0..40).map(|n| tracker.begin(&format!("{n:03}"), 1)).collect();
            for ordinal in order {
                tracker.finish(ordinal);
                unfinished.remove(&ordinal);
                let expected = unfinished.first().map_or(40, |first| *first).checked_sub(1).map(|n| format!("{n:03}"));
                prop_assert_eq!(tracker.checkpoint().map(str::to_owned), expected);
            }
        }
    }
}
