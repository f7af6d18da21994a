//! What can go wrong between us and DynamoDB, in the few kinds that callers treat differently.

/// An error of the store. No variant holds item contents, keys or names of tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Throttled, unreachable, or broken at the other end: the same call may succeed later. A batch is retried, a sender gets 503.
    #[error("the store is not available now: {0}")]
    Unavailable(String),
    /// DynamoDB refuses this very request, now and ever: a poison record. It is set aside.
    #[error("the store refuses the request: {0}")]
    Refused(String),
    /// An item cannot be read: it was written by something else.
    #[error("a stored item cannot be read: {0}")]
    Unreadable(String),
    /// An item was written by a later version: its reader is being deployed just now, so the record waits for it.
    #[error("a stored item has schema version {found}, and this reader knows {known}")]
    Newer {
        /// The item's version.
        found: u32,
        /// The highest that this code reads.
        known: u32,
    },
    /// The item would be too large.
    #[error("the body is larger than {limit} bytes after compression")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// What was to be created is there already, or what was to be changed has changed meanwhile.
    #[error("it exists already, or was changed meanwhile")]
    Conflict,
}

impl StoreError {
    /// A stable word for the log.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "store_unavailable",
            Self::Refused(_) => "store_refused",
            Self::Unreadable(_) => "store_unreadable",
            Self::Newer { .. } => "store_newer_version",
            Self::TooLarge { .. } => "store_too_large",
            Self::Conflict => "store_conflict",
        }
    }

    /// Whether the same call may succeed later, so that a stream record must be tried again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Newer { .. })
    }
}
