//! Faults that tests ask for: what DynamoDB does on a bad day, and the embedded engine never.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::dispatch::Answer;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// HTTP 500 and nothing is done.
    InternalServerError,
    /// HTTP 400 `ThrottlingException` and nothing is done.
    Throttling,
    /// HTTP 400 `ValidationException` and nothing is done: the request is refused now and ever.
    Validation,
    /// The request is done, and its answer is HTTP 500 all the same.
    AppliedThenInternalServerError,
    /// The connection breaks before anything is done.
    Unreachable,
    /// Nothing but time passes.
    Delay(Duration),
}

/// Which calls go wrong, and how. Every condition that is set must hold.
#[derive(Debug, Clone)]
pub struct Fault {
    kind: FaultKind,
    operation: Option<String>,
    table: Option<String>,
    containing: Option<String>,
    remaining: Option<usize>,
}

impl Fault {
    /// Every call, until it is narrowed down.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            operation: None,
            table: None,
            containing: None,
            remaining: None,
        }
    }

    /// Only calls of this operation, as `PutItem`.
    #[must_use]
    pub fn operation(mut self, name: &str) -> Self {
        self.operation = Some(name.to_owned());
        self
    }

    /// Only calls that touch this table, by its logical id.
    #[must_use]
    pub fn table(mut self, logical_id: &str) -> Self {
        self.table = Some(logical_id.to_owned());
        self
    }

    /// Only calls whose JSON holds this text: one item among many.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// Only the next `count` such calls. The SDK calls up to three times for one operation that its user asks for.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.remaining = Some(count);
        self
    }

    fn applies(&self, operation: &str, body: &str, tables: &[String]) -> bool {
        self.remaining != Some(0)
            && self.operation.as_deref().is_none_or(|name| name == operation)
            && self
                .table
                .as_deref()
                .is_none_or(|name| tables.iter().any(|table| table == name))
            && self.containing.as_deref().is_none_or(|text| body.contains(text))
    }
}

/// The faults of one engine. They strike what comes through the SDK's client: not the pumps' own reading.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    faults: Vec<Fault>,
    struck: usize,
}

impl Faults {
    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.state().faults.clear();
    }

    /// How many calls have gone wrong so far.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.state().struck
    }

    /// What is to go wrong with this call.
    pub(super) fn strike(
        &self,
        operation: &str,
        body: &[u8],
        logical_id: impl Fn(&str) -> String,
    ) -> Option<FaultKind> {
        let mut state = self.state();
        if state.faults.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(body);
        let tables: Vec<String> = tables_of(body).iter().map(|name| logical_id(name)).collect();
        let fault = state
            .faults
            .iter_mut()
            .find(|fault| fault.applies(operation, &text, &tables))?;
        let kind = fault.kind;
        if let Some(remaining) = &mut fault.remaining {
            *remaining -= 1;
        }
        state.struck += 1;
        Some(kind)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.state().faults).finish()
    }
}

/// The names of all tables in a request, wherever its operation puts them.
fn tables_of(body: &[u8]) -> Vec<String> {
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match (key.as_str(), inner) {
                        ("TableName", Value::String(name)) => names.push(name.clone()),
                        ("RequestItems", Value::Object(tables)) => names.extend(tables.keys().cloned()),
                        // Items hold what users sent, in which anything may stand.
                        ("Item" | "Key" | "ExpressionAttributeValues", _) => {}
                        _ => collect(inner, names),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|inner| collect(inner, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    if let Ok(value) = serde_json::from_slice(body) {
        collect(&value, &mut names);
    }
    names
}

/// The answer that stands for a fault, if it has one.
pub(super) fn answer_of(kind: FaultKind) -> Option<Answer> {
    match kind {
        FaultKind::InternalServerError | FaultKind::AppliedThenInternalServerError => {
            Some(Answer::error(500, "InternalServerError", "injected"))
        }
        FaultKind::Throttling => Some(Answer::error(400, "ThrottlingException", "injected")),
        FaultKind::Validation => Some(Answer::error(400, "ValidationException", "injected")),
        FaultKind::Unreachable | FaultKind::Delay(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_in_every_kind_of_request() {
        let find = |body: &str| {
            let mut names = tables_of(body.as_bytes());
            names.sort();
            names
        };
        assert_eq!(find(r#"{"TableName":"a","Item":{"TableName":{"S":"b"}}}"#), ["a"]);
        assert_eq!(find(r#"{"RequestItems":{"a":[],"b":[]}}"#), ["a", "b"]);
        assert_eq!(
            find(r#"{"TransactItems":[{"Put":{"TableName":"a"}},{"Update":{"TableName":"b"}}]}"#),
            ["a", "b"]
        );
        assert!(find("").is_empty());
    }

    #[test]
    fn a_fault_strikes_what_it_was_made_for_and_as_often() {
        let faults = Faults::default();
        faults.inject(
            Fault::new(FaultKind::Throttling)
                .operation("PutItem")
                .table("T")
                .containing("x1")
                .times(2),
        );
        let strike = |operation, body: &str| faults.strike(operation, body.as_bytes(), str::to_owned);
        assert_eq!(strike("GetItem", r#"{"TableName":"T","Key":"x1"}"#), None);
        assert_eq!(strike("PutItem", r#"{"TableName":"U","Item":"x1"}"#), None);
        assert_eq!(strike("PutItem", r#"{"TableName":"T","Item":"x2"}"#), None);
        for _ in 0..2 {
            assert_eq!(
                strike("PutItem", r#"{"TableName":"T","Item":"x1"}"#),
                Some(FaultKind::Throttling)
            );
        }
        assert_eq!(strike("PutItem", r#"{"TableName":"T","Item":"x1"}"#), None);
        assert_eq!(faults.struck(), 2);
        faults.inject(Fault::new(FaultKind::Unreachable));
        assert_eq!(strike("Scan", "{}"), Some(FaultKind::Unreachable));
        faults.clear();
        assert_eq!(strike("Scan", "{}"), None);
    }
}
