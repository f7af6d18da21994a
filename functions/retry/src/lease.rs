//! A lease while it is held.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use store::Lease;

/// A lease that is renewed while work goes on under it.
pub(crate) struct Held {
    lease: Mutex<Lease>,
    stopped: AtomicBool,
}

impl Held {
    pub(crate) fn new(lease: Lease) -> Self {
        Self {
            lease: Mutex::new(lease),
            stopped: AtomicBool::new(false),
        }
    }

    /// The lease as it is now.
    pub(crate) fn lease(&self) -> Lease {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn renewed(&self, lease: Lease) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// What outcomes are written under.
    pub(crate) fn fence(&self) -> u64 {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).fence
    }

    /// Nothing more is begun under this lease.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether something may be begun that ends by then.
    pub(crate) fn covers(&self, end: Timestamp) -> bool {
        !self.stopped.load(Ordering::Relaxed) && self.lease.lock().unwrap_or_else(PoisonError::into_inner).until >= end
    }
}
