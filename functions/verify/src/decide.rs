//! Decides about one receipt: pure, and closed where anything is in doubt.

use jiff::Timestamp;
use payload::key::{Key, KeyError, TimedSecret};
use payload::preset::{self, Preset, Unreadable};
use payload::scheme::Rejection;
use payload::source::Source;
use payload::{Event, Receipt};

/// What a source's receipts are verified with, read once for a batch.
#[derive(Debug)]
pub(crate) struct Origin {
    source: Option<Source>,
    preset: Option<&'static Preset>,
    secrets: Vec<(TimedSecret, Result<Vec<Key>, KeyError>)>,
}

/// Why a receipt makes no event. It goes to the receipt's outcome and the log, never to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// A stable word.
    pub(crate) reason: &'static str,
    /// What a person should look at, with no secret in it.
    pub(crate) detail: String,
}

impl From<Rejection> for Rejected {
    fn from(rejection: Rejection) -> Self {
        Self {
            reason: rejection.reason(),
            detail: rejection.to_string(),
        }
    }
}

impl From<Unreadable> for Rejected {
    fn from(unreadable: Unreadable) -> Self {
        Self {
            reason: unreadable.reason(),
            detail: unreadable.to_string(),
        }
    }
}

impl Origin {
    pub(crate) fn new(source: Option<Source>, secrets: Vec<TimedSecret>) -> Self {
        let preset = source.as_ref().and_then(|source| preset::find(&source.preset));
        let secrets = secrets
            .into_iter()
            .map(|secret| {
                let keys = preset.map_or(Ok(Vec::new()), |preset| preset.scheme.keys(&secret.value));
                (secret, keys)
            })
            .collect();
        Self {
            source,
            preset,
            secrets,
        }
    }

    /// The events that the receipt holds, when it is verified and readable.
    pub(crate) fn decide(&self, receipt: &Receipt, now: Timestamp) -> Result<Vec<Event>, Rejected> {
        // A source of another organization under this id would be a fault of ours; its secrets decide nothing here.
        let source = self
            .source
            .as_ref()
            .filter(|source| source.organization == receipt.organization);
        let source = source.ok_or_else(|| Rejected {
            reason: "source_deleted",
            detail: "the source is no longer there".into(),
        })?;
        let preset = self.preset.ok_or_else(|| Rejected {
            reason: "unknown_preset",
            detail: "there is no provider preset of the name that the source has".into(),
        })?;
        let proof = preset.scheme.verify(receipt, &self.keys(receipt, now)?)?;
        Ok(preset::map(preset, source, receipt, proof)?)
    }

    /// The keys of the secrets that were valid when the receipt arrived, so that a backlog survives the end of a rotation; and of those
    /// that are valid now, so that a receipt can be verified again after a wrong secret was replaced.
    fn keys(&self, receipt: &Receipt, now: Timestamp) -> Result<Vec<Key>, Rejected> {
        let mut keys = Vec::new();
        let mut unusable = None;
        for (secret, read) in &self.secrets {
            if !secret.is_valid_at(receipt.received_at) && !secret.is_valid_at(now) {
                continue;
            }
            match read {
                Ok(read) => keys.extend(read.iter().cloned()),
                Err(error) => unusable = Some(*error),
            }
        }
        match unusable {
            Some(error) if keys.is_empty() => Err(Rejected {
                reason: "unusable_secret",
                detail: error.to_string(),
            }),
            _ => Ok(keys),
        }
    }
}
