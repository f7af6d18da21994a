//! What is wrong with a filter.

/// The place of a filter that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct InvalidFilter {
    /// A JSON Pointer (RFC 6901) into the filter: `/pattern/data/amount/0`. Empty for the filter itself.
    pub pointer: String,
    /// What is wrong there, to follow the name of the place: `is empty`.
    pub problem: String,
}

impl InvalidFilter {
    pub(super) fn new(pointer: &str, problem: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            problem: problem.into(),
        }
    }
}

/// The place below another.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
