//! The shape in which time comes in.

use jiff::Timestamp;

/// Tells the time. Handlers hold one; pure functions take a [`Timestamp`] instead, so that every rule about time can be tested with
/// values. The adapter to the system's clock lives in `store`, next to the other adapters to the outside.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}
