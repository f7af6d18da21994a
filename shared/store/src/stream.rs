//! What the two steps behind a stream have in common: where a batch is to be taken up again.

use std::cmp::Ordering;

/// The place of a record in its shard: a decimal number of up to 40 digits, more than an integer type holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceNumber(String);

impl SequenceNumber {
    /// `None` for the empty text: as an identifier of a failure it would fail the whole batch.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// The number as it was written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.digits(), other.digits());
        a.len()
            .cmp(&b.len())
            .then_with(|| a.cmp(b))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where a batch is to be taken up again, when some of its records failed: at the lowest of them, as the answer is a
/// [checkpoint](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html) and not a set.
///
/// A failed record that carries no sequence number cannot be named: then the batch comes again from its `first` record that does. `None` where
/// no record carries one, which DynamoDB never does: there is nothing to take up the batch at.
#[must_use]
pub fn checkpoint(failed: Vec<Option<SequenceNumber>>, first: Option<SequenceNumber>) -> Option<SequenceNumber> {
    let named: Option<Vec<SequenceNumber>> = failed.into_iter().collect();
    named.and_then(|numbers| numbers.into_iter().min()).or(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::new(text.into()).unwrap()
    }

    proptest! {
        #[test]
        fn sequence_numbers_sort_as_numbers(a in any::<u128>(), b in any::<u128>(), zeros in 0_usize..3) {
            let padded = |n: u128| number(&format!("{}{n}", "0".repeat(zeros)));
            prop_assert_eq!(padded(a).cmp(&padded(b)), a.cmp(&b));
        }
    }

    #[test]
    fn longer_ones_than_any_integer_sort_too() {
        assert!(number(&"9".repeat(40)) > number(&format!("8{}", "9".repeat(39))));
        assert!(number(&"1".repeat(40)) > number(&"9".repeat(39)));
        assert_eq!(SequenceNumber::new(String::new()), None);
    }

    #[test]
    fn a_batch_is_taken_up_at_its_lowest_failure() {
        let some = |text: &str| Some(number(text));
        assert_eq!(checkpoint(vec![some("100"), some("99")], some("7")), some("99"));
        assert_eq!(
            checkpoint(vec![some("100"), None], some("7")),
            some("7"),
            "one cannot be named"
        );
        assert_eq!(checkpoint(vec![None], None), None);
    }
}
