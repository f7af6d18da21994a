//! How sources do: noted once a batch for each, and said in an event when one rejects everything.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use payload::event::{Entity, EventMeta, SourceRef};
use payload::id::Identity;
use payload::source::{Provider, Source};
use payload::source_health::{HealthNote, LastRejection, REJECTING_AFTER, REJECTING_EVENT, SourceHealth};
use payload::{Clock, Event, EventId, OrganizationId, Receipt, SourceId};
use serde_json::json;
use store::{Events, SourceHealthLog};

use crate::record::Trouble;
use crate::{Again, CONCURRENCY, Origins, Outcome, Rejected, Verify};

/// How often a process writes that a source is still well.
const WELL_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Of how many sources a process remembers how they do.
const MAX_KNOWN: usize = 1000;

/// What one receipt says of its source.
#[derive(Debug)]
pub(crate) struct Sign {
    source: SourceId,
    organization: OrganizationId,
    seen: Seen,
}

#[derive(Debug)]
enum Seen {
    Verified(Timestamp),
    Rejected(LastRejection),
}

impl Sign {
    /// What a receipt says of its source whose source is there.
    ///
    /// A receipt that is verified once more and rejected once more says nothing new: it was counted when it came, and a hundred that were
    /// asked for again are no hundred rejections in a row. When it is verified now, the mistake is mended now.
    pub(crate) fn of(receipt: &Receipt, again: Option<&Again>, outcome: &Outcome, now: Timestamp) -> Option<Self> {
        let seen = match outcome {
            Outcome::Accepted(_) | Outcome::OwnRetry(_) | Outcome::Duplicate(_) => {
                Seen::Verified(again.map_or(receipt.received_at, |_| now))
            }
            Outcome::Rejected(_) if again.is_some() => return None,
            Outcome::Rejected(Rejected { reason, detail, hint }) => Seen::Rejected(LastRejection {
                receipt: receipt.id.clone(),
                at: receipt.received_at,
                reason: (*reason).to_owned(),
                detail: detail.clone(),
                hint: hint.clone(),
            }),
        };
        Some(Self {
            source: receipt.source.clone(),
            organization: receipt.organization.clone(),
            seen,
        })
    }
}

/// What a batch says of its sources.
#[derive(Debug, Default)]
pub(crate) struct Tally(HashMap<SourceId, HealthNote>);

impl Extend<Sign> for Tally {
    fn extend<T: IntoIterator<Item = Sign>>(&mut self, signs: T) {
        for Sign {
            source,
            organization,
            seen,
        } in signs
        {
            let note = self.0.entry(source.clone()).or_insert_with(|| HealthNote {
                source,
                organization,
                verified_at: None,
                rejected: Default::default(),
                rejecting_since: None,
                last_rejection: None,
            });
            match seen {
                Seen::Verified(at) => note.verified_at = note.verified_at.max(Some(at)),
                Seen::Rejected(rejection) => {
                    *note.rejected.entry(rejection.reason.clone()).or_default() += 1;
                    note.rejecting_since = Some(note.rejecting_since.map_or(rejection.at, |at| at.min(rejection.at)));
                    let is_last = note.last_rejection.as_ref().is_none_or(|last| last.at <= rejection.at);
                    if is_last {
                        note.last_rejection = Some(rejection);
                    }
                }
            }
        }
    }
}

/// What a process knows of the health of sources, so that it does not write what is known.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<SourceId, State>>);

#[derive(Debug, Clone, Default)]
struct State {
    /// When it was written that the source is well.
    well_at: Option<Timestamp>,
    /// The last time that something was written, it was rejecting.
    is_rejecting: bool,
    /// The event that says so is published.
    published: Option<EventId>,
}

impl Known {
    fn state(&self, source: &SourceId) -> State {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(source).cloned().unwrap_or_default()
    }

    fn change(&self, source: &SourceId, change: impl FnOnce(&mut State)) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() >= MAX_KNOWN && !states.contains_key(source) {
            states.clear();
        }
        change(states.entry(source.clone()).or_default());
    }

    /// Whether a note says something that is worth a write. A clock that goes back does not silence it.
    fn is_news(&self, note: &HealthNote, now: Timestamp) -> bool {
        let state = self.state(&note.source);
        let is_recent = |at: Timestamp| at <= now && now.duration_since(at) < WELL_EVERY;
        !note.rejected.is_empty() || state.is_rejecting || !state.well_at.is_some_and(is_recent)
    }
}

impl<S: Events + SourceHealthLog, C: Clock> Verify<S, C> {
    /// Notes what a batch says of its sources. Whatever fails here is logged and forgotten: the next batch notes again.
    pub(crate) async fn note_health(&self, Tally(notes): Tally, origins: &Origins) {
        stream::iter(notes.into_values())
            .for_each_concurrent(CONCURRENCY, |note| async move {
                let source = origins
                    .get(&note.source)
                    .and_then(|origin| origin.as_ref().ok()?.source());
                let Some(source) = source else { return };
                let noted = AssertUnwindSafe(self.note(&note, source)).catch_unwind().await;
                if let Err(trouble) = noted.unwrap_or(Err(Trouble::Panic)) {
                    tracing::warn!(
                        error_type = trouble.error_type(),
                        source = %note.source,
                        organization = %note.organization,
                        error = %trouble,
                        "the health of a source could not be noted"
                    );
                }
            })
            .await;
    }

    async fn note(&self, note: &HealthNote, source: &Source) -> Result<(), Trouble> {
        let now = self.clock.now();
        if !self.known.is_news(note, now) {
            return Ok(());
        }
        if note.verified_at.is_none() {
            // Also when the write fails: it may have been made all the same.
            self.known.change(&note.source, |state| state.is_rejecting = true);
        }
        let health = self.store.note_source_health(note).await?;
        if note.verified_at.is_some() {
            self.known.change(&note.source, |state| {
                state.well_at = Some(now);
                state.is_rejecting = false;
            });
        }
        if health.rejected_in_a_row >= REJECTING_AFTER {
            self.publish(source, &health, now).await?;
        }
        Ok(())
    }

    /// Says that a source rejects everything: once a day as long as it does.
    async fn publish(&self, source: &Source, health: &SourceHealth, now: Timestamp) -> Result<(), Trouble> {
        let Some(event) = rejecting(source, health, now) else {
            return Ok(());
        };
        if self.known.state(&source.id).published.as_ref() == Some(&event.id) {
            return Ok(());
        }
        let put = self.store.put_event(&event).await?;
        tracing::warn!(
            outcome = "rejecting",
            source = %source.id,
            organization = %source.organization,
            event = %event.id,
            trace = %event.trace(),
            rejected_in_a_row = health.rejected_in_a_row,
            ?put,
            "a source rejects everything"
        );
        self.known.change(&source.id, |state| state.published = Some(event.id));
        Ok(())
    }
}

/// The event that says that a source rejects everything. Its id holds the beginning of the run and the day, so that the conditional put
/// makes it one a day, whichever process comes first.
fn rejecting(source: &Source, health: &SourceHealth, now: Timestamp) -> Option<Event> {
    let last = health.last_rejection.as_ref()?;
    let since = health.rejecting_since.unwrap_or(last.at);
    let identity = format!("{REJECTING_EVENT}/{since}/{}", last.at.strftime("%Y-%m-%d"));
    // No receipt has so many parts: a provider's own id cannot take the place of this one.
    let id = EventId::compute(source.id.as_str(), Identity::ProviderId(&identity), u32::MAX);
    let provider = match &source.provider {
        Provider::Preset(name) => name,
        Provider::Custom(preset) => &preset.name,
    };
    let source_ref = SourceRef {
        id: source.id.clone(),
        name: source.name.clone(),
        provider: provider.clone(),
    };
    let data = json!({
        "source": source_ref,
        "rejectedInARow": health.rejected_in_a_row,
        "rejectingSince": since,
        "lastRejection": last,
    });
    let meta = EventMeta {
        source: Some(source_ref),
        entity: Some(Entity {
            kind: Some("source".to_owned()),
            subtype: None,
            id: Some(source.id.to_string()),
        }),
        summary: Some(summary(source, health, since, last)),
        ..EventMeta::new(id, REJECTING_EVENT, last.at)
    };
    Some(Event::made_here(
        source.organization.clone(),
        meta,
        data.to_string(),
        now,
    ))
}

/// One line for people.
fn summary(source: &Source, health: &SourceHealth, since: Timestamp, last: &LastRejection) -> String {
    format!(
        "{} has rejected {} webhooks in a row since {since}, the last one as {}. {}",
        source.name,
        health.rejected_in_a_row,
        last.reason,
        last.hint.as_ref().unwrap_or(&last.detail)
    )
}
