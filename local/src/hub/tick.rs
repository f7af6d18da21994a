//! The clock tick: what the schedule wakes, and what DynamoDB does by itself.

use std::sync::Arc;
use std::time::Duration;

use delivery::Deadline;
use payload::Clock;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::functions::ScheduledHandler;
use crate::engine::Engine;
use crate::pump::Pump;

/// DynamoDB keeps stream records for 24 hours.
const STREAM_SECONDS: i64 = 24 * 60 * 60;

/// How long an invocation may go on when the hub stops. It cannot be told to stop; what it is cut off from is still due, and tried again.
const GRACE: Duration = Duration::from_secs(10);

/// A function with its schedule.
pub(super) struct Scheduled {
    pub(super) binary: &'static str,
    pub(super) every: Duration,
    pub(super) timeout: Duration,
    pub(super) handler: ScheduledHandler,
}

/// What a tick does.
pub(super) struct Ticker {
    pub(super) scheduled: Vec<Scheduled>,
    pub(super) engine: Engine,
    pub(super) pumps: Arc<Vec<Pump>>,
    /// Two housekeepings at once would do the same twice. (Invocations of functions may overlap, as they do in Lambda.)
    pub(super) housekeeping: Mutex<Housekeeping>,
}

/// When housekeeping is due again.
#[derive(Default)]
pub(super) struct Housekeeping {
    not_before: Option<Instant>,
}

/// Housekeeping reads whole tables: it takes at most this part of the time.
const HOUSEKEEPING_SHARE: u32 = 20;

impl Ticker {
    /// One tick, to its end.
    pub(super) async fn tick(&self) {
        let functions = self.scheduled.iter().map(|scheduled| scheduled.invoke());
        let housekeeping = async { self.keep_house(&mut *self.housekeeping.lock().await).await };
        tokio::join!(futures::future::join_all(functions), housekeeping);
    }

    /// Housekeeping, if it is due and not under way.
    async fn keep_house_when_due(&self) {
        let Ok(mut housekeeping) = self.housekeeping.try_lock() else {
            return;
        };
        if housekeeping.not_before.is_none_or(|due| Instant::now() >= due) {
            self.keep_house(&mut housekeeping).await;
        }
    }

    /// Deletes what has outlived its time, and what the pumps have passed.
    async fn keep_house(&self, housekeeping: &mut Housekeeping) {
        let started = Instant::now();
        let worked = async {
            for pump in self.pumps.iter() {
                pump.trim().await?;
            }
            let now = store::clock::SystemClock.now().as_second();
            self.engine.trim_streams(now.saturating_sub(STREAM_SECONDS)).await?;
            self.engine.sweep_ttl().await
        };
        if let Err(error) = worked.await {
            tracing::error!(error_type = "housekeeping", %error, "housekeeping failed; a later tick tries again");
        }
        housekeeping.not_before = Some(Instant::now() + started.elapsed() * HOUSEKEEPING_SHARE);
    }

    /// Ticks at each function's rate until `stop`; ends when the last invocation has ended, or was cut off.
    pub(super) async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let mut rates: JoinSet<()> = JoinSet::new();
        for index in 0..self.scheduled.len() {
            rates.spawn(Arc::clone(&self).repeat(index, stop.clone()));
        }
        rates.join_all().await;
    }

    async fn repeat(self: Arc<Self>, index: usize, mut stop: watch::Receiver<bool>) {
        let Some(scheduled) = self.scheduled.get(index) else {
            return;
        };
        let mut rate = interval(scheduled.every);
        rate.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut running: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                _ = rate.tick() => {}
                Some(_) = running.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let ticker = Arc::clone(&self);
            running.spawn(async move {
                if let Some(scheduled) = ticker.scheduled.get(index) {
                    tokio::join!(scheduled.invoke(), ticker.keep_house_when_due());
                }
            });
        }
        if timeout(GRACE, async { while running.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            running.shutdown().await;
        }
    }
}

impl Scheduled {
    /// One invocation; a failure is logged and ends nothing.
    async fn invoke(&self) {
        let handler = Arc::clone(&self.handler);
        let limit = self.timeout;
        // In a task of its own, so that a panic ends nothing else; it ends with this one.
        let mut task = JoinSet::new();
        task.spawn(async move { handler(Deadline::after(limit)).await });
        match timeout(limit, task.join_next()).await {
            Ok(None | Some(Ok(()))) => {}
            Ok(Some(Err(error))) => {
                tracing::error!(error_type = "function_error", function = self.binary, %error, "the function failed")
            }
            Err(_) => {
                tracing::error!(
                    error_type = "function_timeout",
                    function = self.binary,
                    "the function took too long"
                );
            }
        }
    }
}
