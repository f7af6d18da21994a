//! Why a command was not carried out.

use lambda_runtime::Diagnostic;
use payload::OrganizationId;
use store::StoreError;

use crate::failed::FailedRecordsError;

/// Why a command was not carried out. Lambda tells it as `{"errorType", "errorMessage"}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// Not a command, or one with a field that cannot be right.
    #[error("not a command: {0}")]
    InvalidCommand(String),
    /// There is no such organization.
    #[error("there is no organization {0}")]
    OrganizationNotFound(OrganizationId),
    /// What is deleted must be suspended first, or named a second time.
    #[error("suspend {0} first, or repeat its id in the field confirm: nothing brings back what is deleted")]
    NotConfirmed(OrganizationId),
    /// It cannot be answered in the time of one invocation.
    #[error("there is not enough time in one invocation: ask for a shorter span")]
    OutOfTime,
    /// The store failed. The log has the cause.
    #[error("the store failed ({}); the log has the cause, and the same command again goes on", .0.error_type())]
    Store(#[from] StoreError),
    /// The place of the stream records that could not be handled failed. The log has the cause.
    #[error("the failed records cannot be reached; the log has the cause, and the same command again goes on")]
    FailedRecords(#[from] FailedRecordsError),
}

impl OperateError {
    /// A field that cannot be right.
    pub(crate) fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::InvalidCommand(format!("{field}: {problem}"))
    }

    /// A stable word for `errorType` and the log.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::InvalidCommand(_) => "InvalidCommand",
            Self::OrganizationNotFound(_) => "OrganizationNotFound",
            Self::NotConfirmed(_) => "NotConfirmed",
            Self::OutOfTime => "OutOfTime",
            Self::Store(error) if error.is_transient() => "StoreUnavailable",
            Self::Store(_) => "StoreFailed",
            Self::FailedRecords(_) => "FailedRecordsUnavailable",
        }
    }

    /// What the log says of it. Of a command that cannot be read it tells nothing: it may hold what is to be erased.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::InvalidCommand(_) => "not a command".to_owned(),
            Self::Store(cause) => cause.to_string(),
            Self::FailedRecords(cause) => cause.to_string(),
            other => other.to_string(),
        }
    }
}

impl From<OperateError> for Diagnostic {
    fn from(error: OperateError) -> Self {
        Self {
            error_type: error.error_type().into(),
            error_message: error.to_string(),
        }
    }
}
