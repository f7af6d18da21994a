//! Where the engine runs: on the caller's own thread when it is free, otherwise on a thread of its own.
//!
//! The engine does one thing at a time, and most take a fraction of a millisecond: less than waking another thread twice. So a call that
//! finds it free is done at once, as long as nobody waits; everything else queues up for the engine's thread, in order, and leaves the
//! caller's thread to others. Where each write waits for the disk, all calls do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::{mpsc, oneshot};

use super::EngineError;

/// Runs what it is given with exclusive use of a `C`.
pub(super) struct Runner<C> {
    shared: Arc<Shared<C>>,
    jobs: mpsc::UnboundedSender<Job<C>>,
    in_place: bool,
}

type Job<C> = Box<dyn FnOnce(&C) + Send>;

struct Shared<C> {
    /// `None` once it is closed.
    core: Mutex<Option<C>>,
    /// Jobs that wait or run on the thread.
    queued: AtomicUsize,
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, Option<C>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Send + 'static> Runner<C> {
    /// Starts the thread. `in_place` lets callers run what is short themselves.
    pub(super) fn start(core: C, in_place: bool) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job<C>>();
        let shared = Arc::new(Shared {
            core: Mutex::new(Some(core)),
            queued: AtomicUsize::new(0),
        });
        let worker = Arc::clone(&shared);
        std::thread::Builder::new().name("engine".into()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                // Once it is closed, the job is dropped, and with it the answer that somebody waits for.
                if let Some(core) = worker.lock().as_ref() {
                    guarded(|| job(core));
                }
                worker.queued.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(Self { shared, jobs, in_place })
    }

    /// Runs something short.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&C) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        // A task that calls again and again without ever waiting must let others work too.
        tokio::task::coop::consume_budget().await;
        let work = match self.try_in_place(work) {
            Ok(done) => return done,
            Err(work) => work,
        };
        let (reply, answer) = oneshot::channel();
        self.shared.queued.fetch_add(1, Ordering::Acquire);
        let job: Job<C> = Box::new(move |core| {
            // Whoever asked may have gone; then nobody wants the answer.
            reply.send(work(core)).ok();
        });
        self.jobs.send(job).map_err(|_| EngineError::Closed)?;
        answer.await.map_err(|_| EngineError::Closed)
    }

    /// Runs it at once, or gives it back when the engine is not free.
    fn try_in_place<T, W: FnOnce(&C) -> T>(&self, work: W) -> Result<Result<T, EngineError>, W> {
        if !self.in_place || self.shared.queued.load(Ordering::Acquire) > 0 {
            return Err(work);
        }
        let core = match self.shared.core.try_lock() {
            Ok(core) => core,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(work),
        };
        Ok(match core.as_ref() {
            Some(core) => guarded(|| work(core)).ok_or(EngineError::Closed),
            None => Err(EngineError::Closed),
        })
    }

    /// Ends it, after what is under way and what waits.
    pub(super) async fn close(&self) {
        let shared = Arc::clone(&self.shared);
        let close = move || {
            while shared.queued.load(Ordering::Acquire) > 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            shared.lock().take();
        };
        tokio::task::spawn_blocking(close).await.ok();
    }
}

/// A panic must not end the engine's thread, nor the caller's.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        tracing::error!(error_type = "engine_panic", "a call of the embedded database panicked");
    }
    done
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use std::cell::Cell;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_is_run_once_and_alone_wherever_that_is() {
        for in_place in [false, true] {
            let runner = Arc::new(Runner::start(Cell::new(0_u32), in_place).unwrap());
            let add = |runner: Arc<Runner<Cell<u32>>>| async move {
                for _ in 0..500 {
                    // Not atomic: two at a time would lose some.
                    runner.run(|count| count.set(count.get() + 1)).await.unwrap();
                }
            };
            let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(add(Arc::clone(&runner)))).collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(runner.run(Cell::get).await.unwrap(), 4_000);
            runner.close().await;
            assert!(matches!(runner.run(Cell::get).await, Err(EngineError::Closed)));
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_call_only() {
        for in_place in [false, true] {
            let runner = Runner::start(Cell::new(7), in_place).unwrap();
            assert!(runner.run(|_| panic!("in the engine")).await.map(|(): ()| ()).is_err());
            assert_eq!(runner.run(Cell::get).await.unwrap(), 7);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_comes_while_it_works_waits_without_a_thread() {
        let runner = Arc::new(Runner::start(Cell::new(0), true).unwrap());
        let (started, start) = oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let first = Arc::clone(&runner);
        let first = tokio::spawn(async move {
            first
                .run(move |_| {
                    started.send(()).unwrap();
                    released.recv().unwrap();
                })
                .await
        });
        start.await.unwrap();
        let second = tokio::spawn(async move { runner.run(Cell::get).await });
        // The second is in the queue, not in the way.
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(second.await.unwrap().unwrap(), 0);
    }
}
