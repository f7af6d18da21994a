//! What the engine finds at its start: the folder of the data, and the tables in it.

use std::collections::BTreeMap;
use std::path::Path;

use dynoxide::Database;
use serde_json::{Value, json};

use super::{EngineError, dispatch};
use crate::template::Table;

/// Makes the folder, for this user only because its tables hold secrets, and takes it.
pub(super) fn lock_folder(folder: &Path) -> Result<std::fs::File, EngineError> {
    let fail = |path: &Path, source| EngineError::File {
        path: path.to_owned(),
        source,
    };
    if !folder.exists() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|source| fail(folder, source))?;
    }
    let path = folder.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|source| fail(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(EngineError::InUse(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(fail(&path, source)),
    }
}

pub(super) fn refused(operation: &'static str, error: &dynoxide::DynoxideError) -> EngineError {
    EngineError::Refused {
        operation,
        message: error.to_string(),
    }
}

/// A call of ours that must succeed.
pub(super) fn call_json(database: &Database, operation: &'static str, request: &Value) -> Result<Value, EngineError> {
    let answer = dispatch::run(database, operation, request.to_string().as_bytes());
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == 200 {
        return Ok(body);
    }
    let message = body
        .get("message")
        .or_else(|| body.get("Message"))
        .and_then(Value::as_str)
        .unwrap_or("failed")
        .to_owned();
    Err(EngineError::Refused { operation, message })
}

/// Makes a table of the template, or makes sure that the one that is there is the same.
pub(super) fn prepare_table(database: &Database, table: &Table, name: &str) -> Result<(), EngineError> {
    let wanted = table.create_request(name);
    let names = call_json(database, "ListTables", &json!({}))?;
    let exists = names["TableNames"]
        .as_array()
        .is_some_and(|names| names.iter().any(|existing| existing == name));
    if exists {
        let present = call_json(database, "DescribeTable", &json!({"TableName": name}))?;
        return same_table(&wanted, &present["Table"]).map_err(|what| EngineError::OtherTable {
            table: table.logical_id.clone(),
            what,
        });
    }
    call_json(database, "CreateTable", &wanted)?;
    if let Some(attribute) = &table.ttl_attribute {
        let specification = json!({"AttributeName": attribute, "Enabled": true});
        call_json(
            database,
            "UpdateTimeToLive",
            &json!({"TableName": name, "TimeToLiveSpecification": specification}),
        )?;
    }
    Ok(())
}

/// Compares what was asked for with what is there; says what differs.
fn same_table(wanted: &Value, present: &Value) -> Result<(), &'static str> {
    if wanted["KeySchema"] != present["KeySchema"] {
        return Err("the keys");
    }
    let indexes = |table: &Value| -> BTreeMap<String, Value> {
        let described = table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        let parts = described.map(|index| {
            let projection = json!({"keys": index["KeySchema"], "type": index["Projection"]["ProjectionType"],
                "attributes": index["Projection"]["NonKeyAttributes"]});
            (index["IndexName"].to_string(), projection)
        });
        parts.collect()
    };
    if indexes(wanted) != indexes(present) {
        return Err("the indexes");
    }
    if wanted["StreamSpecification"] != present["StreamSpecification"] {
        return Err("the streams");
    }
    Ok(())
}
