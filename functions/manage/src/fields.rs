//! Fields that several requests have, and what may stand in them.

use payload::webhook::MAX_NAME_CHARS;

use crate::problem::ApiError;

/// The value of a field that must be there.
pub(crate) fn required<T>(value: Option<T>, pointer: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::invalid(pointer, "is required"))
}

/// A name for people, without the white space around it.
pub(crate) fn name(value: Option<String>) -> Result<String, ApiError> {
    let name = required(value, "/name")?;
    let name = name.trim();
    let characters = name.chars().count();
    if characters == 0 || characters > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        let problem = format!("must have 1 to {MAX_NAME_CHARS} characters, none of them a control character");
        return Err(ApiError::invalid("/name", problem));
    }
    Ok(name.to_owned())
}

/// A text of 1 to `max` bytes without control characters.
pub(crate) fn text(value: String, pointer: &str, max: usize) -> Result<String, ApiError> {
    if value.is_empty() || value.len() > max || value.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            pointer,
            format!("must have 1 to {max} bytes, no control character among them"),
        ));
    }
    Ok(value)
}

/// The same for a field that may be absent.
pub(crate) fn optional_text(value: Option<String>, pointer: &str, max: usize) -> Result<Option<String>, ApiError> {
    value.map(|value| text(value, pointer, max)).transpose()
}
