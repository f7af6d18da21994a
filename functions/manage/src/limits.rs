//! How many sources, webhooks and keys an organization may have.

use crate::problem::ApiError;

/// Refuses one more where there are as many as there may be.
pub(crate) fn check(what: &'static str, there_are: u64, limit: usize) -> Result<(), ApiError> {
    if usize::try_from(there_are).is_ok_and(|there_are| there_are < limit) {
        Ok(())
    } else {
        Err(ApiError::LimitReached { what, limit })
    }
}
