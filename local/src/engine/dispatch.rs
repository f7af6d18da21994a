//! One call of the DynamoDB API on the embedded database: JSON in, status and JSON out, as its own HTTP server answers.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Vec<u8>,
    /// Which streams may hold something new.
    pub(super) wakes: Wakes,
}

/// Which streams a call may have written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wakes {
    /// None.
    Nobody,
    /// That of one table.
    Table(String),
    /// Those of several tables.
    All,
}

impl Answer {
    /// An error in the form of DynamoDB's.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body =
            serde_json::json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
        Self {
            status,
            body: body.to_string().into_bytes(),
            wakes: Wakes::Nobody,
        }
    }

    fn success(body: Vec<u8>, wakes: Wakes) -> Self {
        Self {
            status: 200,
            body,
            wakes,
        }
    }
}

/// Runs one operation, named as in the header `X-Amz-Target` after its dot.
pub(super) fn run(database: &Database, operation: &str, body: &[u8]) -> Answer {
    match try_run(database, operation, body) {
        Ok(answer) => answer,
        Err(error) => Answer {
            status: error.status_code(),
            body: error.to_json().into_bytes(),
            wakes: Wakes::Nobody,
        },
    }
}

fn try_run(database: &Database, operation: &str, body: &[u8]) -> Result<Answer, DynoxideError> {
    /// A call that writes nothing that a stream would announce.
    macro_rules! quiet {
        ($method:ident) => {
            Ok(Answer::success(
                write(&database.$method(read(body)?)?)?,
                Wakes::Nobody,
            ))
        };
    }
    /// A write to the one table that the request names.
    macro_rules! table {
        ($method:ident, $request:ty) => {{
            let request: $request = read(body)?;
            let wakes = Wakes::Table(request.table_name.clone());
            Ok(Answer::success(write(&database.$method(request)?)?, wakes))
        }};
    }
    /// A write to any tables.
    macro_rules! several {
        ($method:ident) => {
            Ok(Answer::success(
                write(&database.$method(read(body)?)?)?,
                Wakes::All,
            ))
        };
    }
    use dynoxide::actions::{delete_item::DeleteItemRequest, put_item::PutItemRequest, update_item::UpdateItemRequest};
    match operation {
        "GetItem" => quiet!(get_item),
        "PutItem" => table!(put_item, PutItemRequest),
        "UpdateItem" => table!(update_item, UpdateItemRequest),
        "DeleteItem" => table!(delete_item, DeleteItemRequest),
        "Query" => quiet!(query),
        "Scan" => quiet!(scan),
        "BatchGetItem" => quiet!(batch_get_item),
        "BatchWriteItem" => several!(batch_write_item),
        "TransactGetItems" => quiet!(transact_get_items),
        "TransactWriteItems" => several!(transact_write_items),
        "ExecuteStatement" => several!(execute_statement),
        "BatchExecuteStatement" => several!(batch_execute_statement),
        "ExecuteTransaction" => several!(execute_transaction),
        "CreateTable" => quiet!(create_table),
        "UpdateTable" => quiet!(update_table),
        "DeleteTable" => quiet!(delete_table),
        "DescribeTable" => quiet!(describe_table),
        "ListTables" => quiet!(list_tables),
        "UpdateTimeToLive" => quiet!(update_time_to_live),
        "DescribeTimeToLive" => quiet!(describe_time_to_live),
        "ListStreams" => quiet!(list_streams),
        "DescribeStream" => quiet!(describe_stream),
        "GetShardIterator" => quiet!(get_shard_iterator),
        "GetRecords" => quiet!(get_records),
        "TagResource" => quiet!(tag_resource),
        "UntagResource" => quiet!(untag_resource),
        "ListTagsOfResource" => quiet!(list_tags_of_resource),
        _ => Ok(Answer::error(
            400,
            "UnknownOperationException",
            "the embedded engine does not know this operation",
        )),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        // The engine's own types mark what is wrong with a value, as an empty set, in front of the message.
        let text = error.to_string();
        let message = [
            "VALIDATION_REQUEST:",
            "VALIDATION_AS_READ:",
            "VALIDATION:",
            "SERIALIZATION_AS_READ:",
            "SERIALIZATION:",
        ]
        .iter()
        .find_map(|marker| text.strip_prefix(marker))
        .unwrap_or(&text);
        DynoxideError::ValidationException(message.to_owned())
    })
}

fn write<T: Serialize>(answer: &T) -> Result<Vec<u8>, DynoxideError> {
    serde_json::to_vec(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
