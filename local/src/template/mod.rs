//! Reads `template.yaml`, the one place that defines tables, indexes, streams, filters, routes and the schedule.
//!
//! The file is part of the binary, so that the hub runs in any folder. What the hub needs of it is read into types; a table's definition
//! is handed on to the engine as it stands, because CloudFormation and the API name these properties alike
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-dynamodb-table.html>).

mod read;
mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use self::read::{Document, read_function, read_table};
use self::yaml::resolve;

/// `template.yaml` as it was when this program was built.
const BUNDLED: &str = include_str!("../../../template.yaml");

/// Why a template cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is no YAML, or no template.
    #[error("template.yaml cannot be read: {0}")]
    Yaml(String),
    /// A resource has a property that is missing, of another type, or made by a function that is only known once it is deployed.
    #[error("template.yaml: {resource}: {problem}")]
    Resource {
        /// The resource's logical id.
        resource: String,
        /// What is wrong.
        problem: String,
    },
}

/// What the hub takes from a template.
#[derive(Debug, Clone)]
pub struct Template {
    /// The tables, by logical id.
    pub tables: Vec<Table>,
    /// The functions, by logical id.
    pub functions: Vec<Function>,
    /// The parameters that have a default, with it.
    pub parameters: BTreeMap<String, Value>,
}

/// A DynamoDB table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name in the template.
    pub logical_id: String,
    /// The attribute of the partition key.
    pub hash_key: String,
    /// The attribute of the sort key.
    pub range_key: Option<String>,
    /// Whether changes are announced on a stream.
    pub has_stream: bool,
    /// The attribute that holds an item's time to live, in seconds since 1970.
    pub ttl_attribute: Option<String>,
    /// The parameters of `CreateTable`, without the table's name.
    definition: Map<String, Value>,
}

impl Table {
    /// The body of `CreateTable` for this table under the name `physical_name`.
    #[must_use]
    pub fn create_request(&self, physical_name: &str) -> Value {
        let mut request = self.definition.clone();
        request.insert("TableName".into(), physical_name.into());
        Value::Object(request)
    }
}

/// A Lambda function and what wakes it.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name in the template.
    pub logical_id: String,
    /// The binary that it runs: the name of the crate.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Its memory in MB, by which its time is billed, and its share of a processor.
    pub memory_mb: u32,
    /// Whether it begins traces of its own in X-Ray.
    pub is_traced: bool,
    /// Whether Lambda writes lines of its own into its log for each invocation.
    pub logs_invocations: bool,
    /// Its environment: parameters by their default, tables by their logical id.
    pub environment: BTreeMap<String, String>,
    /// The streams that wake it.
    pub streams: Vec<StreamMapping>,
    /// The HTTP routes that lead to it.
    pub routes: Vec<Route>,
    /// The schedules that wake it.
    pub schedules: Vec<Schedule>,
}

/// An event source mapping from a table's stream, in the terms of
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMapping {
    /// A name that is its own: the function's logical id and the event's.
    pub id: String,
    /// The logical id of the table whose stream it reads.
    pub table: String,
    /// The most records of one invocation.
    pub batch_size: usize,
    /// How many batches are worked on at once; records of one item stay in order.
    pub parallelization_factor: usize,
    /// How often a failed batch is tried again; `None` is without end.
    pub maximum_retry_attempts: Option<u32>,
    /// How old a record may be when it is handed over; `None` is any age.
    pub maximum_record_age: Option<Duration>,
    /// Whether a failed batch is split in two.
    pub bisect_batch_on_function_error: bool,
    /// Whether the function says which records failed.
    pub report_batch_item_failures: bool,
    /// Event patterns, of which a record must match one; empty lets everything pass.
    pub filters: Vec<String>,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method; `None` is any.
    pub method: Option<String>,
    /// The path with `{name}` for one segment and `{name+}` for all that remain.
    pub path: String,
}

/// A schedule at a fixed rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The time between two invocations.
    pub every: Duration,
}

impl Template {
    /// The template that this program was built with.
    ///
    /// # Errors
    /// When it holds something that cannot be run here. A test makes sure that it does not.
    pub fn bundled() -> Result<Self, TemplateError> {
        Self::parse(BUNDLED)
    }

    /// Reads a template.
    ///
    /// # Errors
    /// When it is no template, or needs something that is only known once it is deployed.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let document: Document = yaml::read(text).map_err(|error| TemplateError::Yaml(error.to_string()))?;
        let parameters: BTreeMap<String, Value> = document
            .parameters
            .into_iter()
            .filter_map(|(name, parameter)| Some((name, parameter.default?.0)))
            .collect();
        let globals = resolve(document.globals.function.0, &parameters);
        let mut tables = Vec::new();
        let mut functions = Vec::new();
        for (logical_id, resource) in document.resources {
            let fail = |problem: String| TemplateError::Resource {
                resource: logical_id.clone(),
                problem,
            };
            let properties = resource
                .properties
                .map_or(Value::Null, |node| resolve(node.0, &parameters));
            match resource.kind.as_str() {
                "AWS::DynamoDB::Table" => tables.push(read_table(&logical_id, properties).map_err(fail)?),
                "AWS::Serverless::Function" => {
                    let metadata = resource.metadata.map_or(Value::Null, |node| node.0);
                    functions.push(read_function(&logical_id, properties, &globals, &metadata).map_err(fail)?);
                }
                _ => {}
            }
        }
        let template = Self {
            tables,
            functions,
            parameters,
        };
        template.check()?;
        Ok(template)
    }

    /// A table by its logical id.
    #[must_use]
    pub fn table(&self, logical_id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.logical_id == logical_id)
    }

    /// The function that runs this binary.
    #[must_use]
    pub fn function(&self, binary: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.binary == binary)
    }

    /// What no single resource can know.
    fn check(&self) -> Result<(), TemplateError> {
        for function in &self.functions {
            for mapping in &function.streams {
                if !self.table(&mapping.table).is_some_and(|table| table.has_stream) {
                    return Err(TemplateError::Resource {
                        resource: function.logical_id.clone(),
                        problem: format!("reads the stream of {}, which has none", mapping.table),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
