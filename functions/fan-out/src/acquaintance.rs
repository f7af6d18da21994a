//! Which webhooks this process knows to answer.
//!
//! A batch of stream records ends with its slowest attempt, and those behind it in its shard wait. So of a webhook that nothing is known of
//! one attempt is made at a time: when it hangs it holds up one batch, and the other batches park what they have for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use payload::{Clock, WebhookId};
use tokio::sync::watch;

/// How long a success says that a webhook answers.
const KNOWN_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How many webhooks are remembered before those that are known no longer are dropped.
const SWEEP_ABOVE: usize = 10_000;

/// The webhooks that this process has met.
#[derive(Debug, Default)]
pub(crate) struct Acquaintances(Mutex<HashMap<WebhookId, Met>>);

#[derive(Debug)]
enum Met {
    /// It answered well then.
    Known(Timestamp),
    /// An attempt that is to show how it does is under way since then; the channel closes with it.
    Probed { since: Timestamp, end: watch::Receiver<()> },
}

/// The right to make an attempt, and the duty to say what it came to.
#[derive(Debug)]
pub(crate) struct Meeting<'a> {
    all: &'a Acquaintances,
    webhook: &'a WebhookId,
    /// Held by the attempt that the others wait for.
    probe: Option<watch::Sender<()>>,
}

impl Acquaintances {
    /// Permits an attempt to a webhook that is known to answer, or the first one to another. `None` when such a one has lasted for `wait`.
    pub(crate) async fn meet<'a>(
        &'a self,
        webhook: &'a WebhookId,
        clock: &impl Clock,
        wait: Duration,
    ) -> Option<Meeting<'a>> {
        loop {
            let (mut end, waited) = match self.look(webhook, clock.now()) {
                Ok(meeting) => return Some(meeting),
                Err(under_way) => under_way,
            };
            let left = wait.checked_sub(waited).filter(|left| !left.is_zero())?;
            // It never says anything: it ends.
            let _ = tokio::time::timeout(left, end.changed()).await.ok()?;
        }
    }

    /// The permission, or the attempt that has to be waited for and how long it has lasted.
    fn look<'a>(
        &'a self,
        webhook: &'a WebhookId,
        now: Timestamp,
    ) -> Result<Meeting<'a>, (watch::Receiver<()>, Duration)> {
        let meeting = |probe| Meeting {
            all: self,
            webhook,
            probe,
        };
        let mut met = self.met();
        match met.get(webhook) {
            Some(Met::Known(at)) if now.duration_since(*at) < KNOWN_FOR => return Ok(meeting(None)),
            Some(Met::Probed { since, end }) if end.has_changed().is_ok() => {
                let waited = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
                return Err((end.clone(), waited));
            }
            _ => {}
        }
        if met.len() >= SWEEP_ABOVE {
            met.retain(|_, met| match met {
                Met::Known(at) => now.duration_since(*at) < KNOWN_FOR,
                Met::Probed { end, .. } => end.has_changed().is_ok(),
            });
        }
        let (probe, end) = watch::channel(());
        met.insert(webhook.clone(), Met::Probed { since: now, end });
        Ok(meeting(Some(probe)))
    }

    fn met(&self) -> MutexGuard<'_, HashMap<WebhookId, Met>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meeting<'_> {
    /// Says what the attempt came to. One that ends without a word, as with a panic, leaves the webhook unknown.
    pub(crate) fn end(self, delivered: bool, now: Timestamp) {
        let mut met = self.all.met();
        if delivered {
            met.insert(self.webhook.clone(), Met::Known(now));
        } else {
            met.remove(self.webhook);
        }
        drop(self.probe);
    }
}
