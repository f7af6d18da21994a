//! What calls cost in DynamoDB's units, as the engine counts them (its arithmetic matches AWS's documented one).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use super::Answer;

/// Units by table and kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Units {
    /// Write units by the table's logical id, its indexes included.
    pub written: BTreeMap<String, f64>,
    /// Read units by the table's logical id, its indexes included.
    pub read: BTreeMap<String, f64>,
}

/// Counts the units of the calls that come through the SDK's client, while it is on: not the pumps' own reading, which streams do not bill to a
/// Lambda function either.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Option<Units>>>);

impl Meter {
    /// Begins to count, from nothing.
    pub fn start(&self) {
        *self.state() = Some(Units::default());
    }

    /// Ends the counting: what was counted.
    #[must_use]
    pub fn stop(&self) -> Units {
        self.state().take().unwrap_or_default()
    }

    /// The request that asks for its cost too, while the meter is on.
    pub(super) fn ask(&self, body: Bytes) -> Bytes {
        if self.state().is_none() {
            return body;
        }
        let Ok(Value::Object(mut request)) = serde_json::from_slice(&body) else {
            return body;
        };
        request.insert("ReturnConsumedCapacity".into(), "TOTAL".into());
        Value::Object(request).to_string().into()
    }

    /// Adds what an answer says of its cost.
    pub(super) fn count(&self, operation: &str, answer: &Answer, logical_id: impl Fn(&str) -> String) {
        let mut state = self.state();
        let Some(units) = state.as_mut() else { return };
        let is_read = matches!(
            operation,
            "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems"
        );
        let by_table = if is_read { &mut units.read } else { &mut units.written };
        let Ok(answer) = serde_json::from_slice::<Value>(&answer.body) else {
            return;
        };
        let consumed = match &answer["ConsumedCapacity"] {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        };
        for table in consumed {
            if let (Some(name), Some(cost)) = (table["TableName"].as_str(), table["CapacityUnits"].as_f64()) {
                *by_table.entry(logical_id(name)).or_default() += cost;
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Option<Units>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
