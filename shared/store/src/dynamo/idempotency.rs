//! Requests that carry an idempotency key.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use super::{Attributes, Dynamo, key, number, read, sdk_error, text, write};
use crate::item::{IdempotencyItem, idempotency_key};
use crate::{Begun, IdempotentRequest, IdempotentRequests, StoreError};

impl IdempotentRequests for Dynamo {
    async fn begin(
        &self,
        request: &IdempotentRequest,
        now: Timestamp,
        locked_until: Timestamp,
        expires: Timestamp,
    ) -> Result<Begun, StoreError> {
        let outcome = self
            .client
            .put_item()
            .table_name(&self.tables.registry)
            .set_item(Some(write(&IdempotencyItem::new(request, locked_until, expires))?))
            // What broke off may be asked again, and so may what is only not deleted yet. Our own put may have been repeated by the client.
            .condition_expression(
                "attribute_not_exists(pk) OR expires <= :now OR #owner = :owner \
                 OR (attribute_not_exists(answer) AND lockedUntil <= :now)",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&request.owner))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = outcome else { return Ok(Begun::Ours) };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(sdk_error(error));
        };
        let Some(item) = failed.item() else {
            return Err(StoreError::Unavailable("the earlier request ended just now".into()));
        };
        let earlier: IdempotencyItem = read(item.clone())?;
        Ok(match earlier {
            earlier if earlier.fingerprint != request.fingerprint => Begun::Different,
            IdempotencyItem {
                answer: Some(answer), ..
            } => Begun::Answered(answer),
            _ => Begun::InProgress,
        })
    }

    async fn finish(&self, request: &IdempotentRequest, answer: &[u8]) -> Result<(), StoreError> {
        let outcome = self
            .client
            .update_item()
            .table_name(&self.tables.registry)
            .set_key(Some(request_key(request)))
            .update_expression("SET answer = :answer")
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&request.owner))
            .expression_attribute_values(":answer", AttributeValue::B(Blob::new(answer)))
            .send()
            .await;
        unless_taken_over(outcome.map_err(sdk_error))
    }

    async fn abandon(&self, request: &IdempotentRequest) -> Result<(), StoreError> {
        let outcome = self
            .client
            .delete_item()
            .table_name(&self.tables.registry)
            .set_key(Some(request_key(request)))
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&request.owner))
            .send()
            .await;
        unless_taken_over(outcome.map_err(sdk_error))
    }
}

fn request_key(request: &IdempotentRequest) -> Attributes {
    key([("pk", idempotency_key(&request.key).as_str()), ("sk", &request.name)])
}

fn unless_taken_over<T>(outcome: Result<T, StoreError>) -> Result<(), StoreError> {
    match outcome {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}
