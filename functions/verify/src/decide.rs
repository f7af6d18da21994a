//! Decides about one receipt: pure, and closed where anything is in doubt.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use payload::called_url::CalledUrl;
use payload::hint::{MAX_TRIALS, hint};
use payload::key::{Key, KeyError, TimedSecret};
use payload::preset::{self, Unreadable};
use payload::scheme::{Rejection, Scheme, Strength};
use payload::source::{Effective, Source};
use payload::source_health::Again;
use payload::{Event, Receipt};
use secrecy::SecretString;

/// What a source's receipts are verified with, read once for a batch.
#[derive(Debug)]
pub(crate) struct Origin {
    source: Option<Source>,
    secrets: Vec<(TimedSecret, Result<Vec<Key>, KeyError>)>,
    called_url: Option<CalledUrl>,
}

/// Why a receipt makes no event. It goes to the receipt's outcome and the log, never to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// A stable word.
    pub(crate) reason: &'static str,
    /// What happened, with no secret in it.
    pub(crate) detail: String,
    /// What a person should look at, where trying told something.
    pub(crate) hint: Option<String>,
}

impl Rejected {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            hint: None,
        }
    }
}

impl From<Unreadable> for Rejected {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(unreadable.reason(), unreadable.to_string())
    }
}

/// How much may still be hashed in one batch to find hints: whoever sends forged requests must not make a batch slow.
#[derive(Debug)]
pub(crate) struct HintBudget(AtomicUsize);

/// About a second of a small function's work: hints for hundreds of usual receipts, or for two of the largest.
const HINT_BYTES: usize = 64 * 1024 * 1024;

impl Default for HintBudget {
    fn default() -> Self {
        Self(AtomicUsize::new(HINT_BYTES))
    }
}

impl HintBudget {
    /// Whether there is enough left for a receipt with so long a body; it is then spent.
    fn spend(&self, body: usize) -> bool {
        // Each trial signs the body, and has some work of its own besides.
        let cost = body.saturating_add(1024).saturating_mul(MAX_TRIALS);
        let spend = |left: usize| left.checked_sub(cost);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}

impl Origin {
    pub(crate) fn new(source: Option<Source>, secrets: Vec<TimedSecret>, called_url: Option<CalledUrl>) -> Self {
        let scheme = source.as_ref().and_then(Source::effective).map(|source| source.scheme);
        // A source whose scheme needs no secret may still have one, from before its scheme was changed.
        let scheme = scheme.filter(|scheme| scheme.needs_secret());
        let secrets = secrets
            .into_iter()
            .map(|secret| {
                let keys = scheme.map_or(Ok(Vec::new()), |scheme| scheme.keys(&secret.value));
                (secret, keys)
            })
            .collect();
        Self {
            source,
            secrets,
            called_url,
        }
    }

    /// The source of this receipt. One of another organization under its id would be a fault of ours; its secrets decide nothing here.
    pub(crate) fn source_of(&self, receipt: &Receipt) -> Option<&Source> {
        self.source
            .as_ref()
            .filter(|source| source.organization == receipt.organization)
    }

    /// The source, whoever asks.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The events that the receipt holds, when it is verified and readable.
    pub(crate) fn decide(
        &self,
        receipt: &Receipt,
        again: Option<&Again>,
        now: Timestamp,
        hints: &HintBudget,
    ) -> Result<Vec<Event>, Rejected> {
        let source = self
            .source_of(receipt)
            .ok_or_else(|| Rejected::new("source_deleted", "the source is no longer there"))?;
        let source = source.effective().ok_or_else(|| {
            Rejected::new(
                "unknown_preset",
                "there is no provider preset of the name that the source has",
            )
        })?;
        let source = source.called(self.called_url.as_ref());
        if again.is_some_and(|again| again.in_bulk) {
            check_strength(source.scheme, receipt)?;
        }
        let keys = self.keys(receipt, now)?;
        let proof = source
            .scheme
            .verify(receipt, &keys, &source.context())
            .map_err(|rejection| self.explain(&source, receipt, &rejection, now, hints))?;
        Ok(preset::map(&source, receipt, proof)?)
    }

    fn explain(
        &self,
        source: &Effective<'_>,
        receipt: &Receipt,
        rejection: &Rejection,
        now: Timestamp,
        hints: &HintBudget,
    ) -> Rejected {
        let secrets: Vec<&SecretString> = self.valid(receipt, now).map(|(secret, _)| &secret.value).collect();
        // A hint is a courtesy: whatever goes wrong with it, the receipt is rejected for what it is.
        let hint = hints
            .spend(receipt.body.len())
            .then(|| catch_unwind(AssertUnwindSafe(|| hint(source, receipt, &secrets, rejection))));
        Rejected {
            hint: hint.and_then(Result::ok).flatten(),
            ..Rejected::new(rejection.reason(), rejection.to_string())
        }
    }

    /// The secrets that were valid when the receipt arrived, so that a backlog survives the end of a rotation; and those that are valid
    /// now, so that a receipt can be verified again after a wrong secret was replaced.
    fn valid(
        &self,
        receipt: &Receipt,
        now: Timestamp,
    ) -> impl Iterator<Item = &(TimedSecret, Result<Vec<Key>, KeyError>)> {
        let received_at = receipt.received_at;
        self.secrets
            .iter()
            .filter(move |(secret, _)| secret.is_valid_at(received_at) || secret.is_valid_at(now))
    }

    fn keys(&self, receipt: &Receipt, now: Timestamp) -> Result<Vec<Key>, Rejected> {
        let mut keys = Vec::new();
        let mut unusable = None;
        for (_, read) in self.valid(receipt, now) {
            match read {
                Ok(read) => keys.extend(read.iter().cloned()),
                Err(error) => unusable = Some(*error),
            }
        }
        match unusable {
            Some(error) if keys.is_empty() => Err(Rejected::new("unusable_secret", error.to_string())),
            _ => Ok(keys),
        }
    }
}

/// What was asked for in bulk is not verified under a weaker scheme than it came for: whoever had sent forged requests would have them
/// accepted together with the genuine ones. Receipts of before the scheme was kept came for signatures.
fn check_strength(scheme: &Scheme, receipt: &Receipt) -> Result<(), Rejected> {
    let kind = receipt.scheme.as_deref().filter(|kind| !kind.is_empty());
    if scheme.strength() >= kind.map_or(Strength::Signature, Strength::of_kind) {
        return Ok(());
    }
    let (came_for, now) = (kind.unwrap_or("one that signs"), scheme.kind());
    Err(Rejected::new(
        "weaker_scheme",
        format!(
            "it came for the scheme {came_for}, and the source has {now} now, which proves less: it can only be verified again by itself, not together with others"
        ),
    ))
}
