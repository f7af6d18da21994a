//! Reads `template.yaml`, the one place that defines tables, indexes, streams, filters, routes and the schedule.
//!
//! The file is part of the binary, so that the hub runs in any folder. What the hub needs of it is read into types; a table's definition
//! is handed on to the engine as it stands, because CloudFormation and the API name these properties alike
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-dynamodb-table.html>).

mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::yaml::{Node, resolve};

/// `template.yaml` as it was when this program was built.
const BUNDLED: &str = include_str!("../../../template.yaml");

/// The timeout of a function that names none, in seconds, as Lambda has it.
const DEFAULT_FUNCTION_TIMEOUT: u64 = 3;

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
        let template = Self { tables, functions };
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

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "Parameters", default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(rename = "Globals", default)]
    globals: Globals,
    #[serde(rename = "Resources")]
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(rename = "Default")]
    default: Option<Node>,
}

#[derive(Deserialize)]
struct Globals {
    #[serde(rename = "Function")]
    function: Node,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            function: Node(Value::Null),
        }
    }
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Properties")]
    properties: Option<Node>,
    #[serde(rename = "Metadata")]
    metadata: Option<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    key_schema: Vec<KeyElement>,
    attribute_definitions: Value,
    global_secondary_indexes: Option<Value>,
    stream_specification: Option<StreamSpecification>,
    time_to_live_specification: Option<TimeToLive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamSpecification {
    stream_view_type: String,
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn read_table(logical_id: &str, properties: Value) -> Result<Table, String> {
    let key_schema = properties.get("KeySchema").cloned().unwrap_or_default();
    let read: TableProperties = typed(properties)?;
    let key = |kind: &str| {
        read.key_schema
            .iter()
            .find(|key| key.key_type == kind)
            .map(|key| key.attribute_name.clone())
    };
    let mut definition = Map::from_iter([
        ("BillingMode".to_owned(), json!("PAY_PER_REQUEST")),
        ("AttributeDefinitions".to_owned(), read.attribute_definitions),
        ("KeySchema".to_owned(), key_schema),
    ]);
    if let Some(indexes) = read.global_secondary_indexes {
        definition.insert("GlobalSecondaryIndexes".into(), indexes);
    }
    if let Some(stream) = &read.stream_specification {
        let specification = json!({"StreamEnabled": true, "StreamViewType": stream.stream_view_type});
        definition.insert("StreamSpecification".into(), specification);
    }
    Ok(Table {
        logical_id: logical_id.to_owned(),
        hash_key: key("HASH").ok_or("KeySchema has no HASH key")?,
        range_key: key("RANGE"),
        has_stream: read.stream_specification.is_some(),
        ttl_attribute: read
            .time_to_live_specification
            .filter(|ttl| ttl.enabled)
            .map(|ttl| ttl.attribute_name),
        definition,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    timeout: Option<u64>,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    events: BTreeMap<String, EventSource>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventSource {
    r#type: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamProperties {
    stream: String,
    starting_position: String,
    #[serde(default = "default_batch_size")]
    batch_size: usize,
    #[serde(default = "one")]
    parallelization_factor: usize,
    #[serde(default = "minus_one")]
    maximum_retry_attempts: i64,
    #[serde(default = "minus_one")]
    maximum_record_age_in_seconds: i64,
    #[serde(default)]
    bisect_batch_on_function_error: bool,
    #[serde(default)]
    function_response_types: Vec<String>,
    #[serde(default)]
    filter_criteria: FilterCriteria,
}

/// What Lambda takes where the template says nothing.
fn default_batch_size() -> usize {
    100
}

fn one() -> usize {
    1
}

fn minus_one() -> i64 {
    -1
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    #[serde(default)]
    filters: Vec<FilterPattern>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterPattern {
    pattern: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RouteProperties {
    method: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleProperties {
    #[serde(alias = "Schedule")]
    schedule_expression: String,
}

fn read_function(logical_id: &str, properties: Value, globals: &Value, metadata: &Value) -> Result<Function, String> {
    let read: FunctionProperties = typed(properties)?;
    let binary = metadata
        .pointer("/BuildProperties/Binary")
        .and_then(Value::as_str)
        .ok_or("Metadata.BuildProperties.Binary names no binary")?;
    let mut environment = BTreeMap::new();
    let common = globals
        .pointer("/Environment/Variables")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    for (name, value) in common
        .map(|(name, value)| (name.clone(), value.clone()))
        .chain(read.environment.variables)
    {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(format!("the variable {name} is only known once it is deployed")),
        };
        environment.insert(name, text);
    }
    let timeout = read
        .timeout
        .or_else(|| globals.get("Timeout").and_then(Value::as_u64))
        .unwrap_or(DEFAULT_FUNCTION_TIMEOUT);
    let mut function = Function {
        logical_id: logical_id.to_owned(),
        binary: binary.to_owned(),
        timeout: Duration::from_secs(timeout),
        environment,
        streams: Vec::new(),
        routes: Vec::new(),
        schedules: Vec::new(),
    };
    for (name, event) in read.events {
        let fail = |problem: String| format!("event {name}: {problem}");
        match event.r#type.as_str() {
            "DynamoDB" => {
                let mapping = read_mapping(format!("{logical_id}-{name}"), typed(event.properties).map_err(fail)?);
                function.streams.push(mapping.map_err(fail)?);
            }
            "HttpApi" => {
                let route: RouteProperties = typed(event.properties).map_err(fail)?;
                let method = (!route.method.eq_ignore_ascii_case("ANY")).then(|| route.method.to_ascii_uppercase());
                function.routes.push(Route {
                    method,
                    path: route.path,
                });
            }
            "Schedule" | "ScheduleV2" => {
                let schedule: ScheduleProperties = typed(event.properties).map_err(fail)?;
                let every = read_rate(&schedule.schedule_expression).ok_or_else(|| fail("is not rate(…)".into()))?;
                function.schedules.push(Schedule { every });
            }
            other => return Err(fail(format!("events of type {other} do not exist on one machine"))),
        }
    }
    Ok(function)
}

fn read_mapping(id: String, read: StreamProperties) -> Result<StreamMapping, String> {
    let table = read
        .stream
        .strip_suffix(".StreamArn")
        .ok_or("Stream is not !GetAtt TABLE.StreamArn")?
        .to_owned();
    if read.starting_position != "TRIM_HORIZON" {
        return Err(
            "StartingPosition is not TRIM_HORIZON: records would be lost between creation and first reading".into(),
        );
    }
    if read.batch_size == 0 || read.parallelization_factor == 0 {
        return Err("BatchSize and ParallelizationFactor are at least 1".into());
    }
    Ok(StreamMapping {
        id,
        table,
        batch_size: read.batch_size,
        parallelization_factor: read.parallelization_factor,
        maximum_retry_attempts: u32::try_from(read.maximum_retry_attempts).ok(),
        maximum_record_age: u64::try_from(read.maximum_record_age_in_seconds)
            .ok()
            .map(Duration::from_secs),
        bisect_batch_on_function_error: read.bisect_batch_on_function_error,
        report_batch_item_failures: read
            .function_response_types
            .iter()
            .any(|kind| kind == "ReportBatchItemFailures"),
        filters: read
            .filter_criteria
            .filters
            .into_iter()
            .map(|filter| filter.pattern)
            .collect(),
    })
}

/// `rate(1 minute)`, `rate(5 minutes)`, hours and days alike.
fn read_rate(expression: &str) -> Option<Duration> {
    let (count, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    let every = Duration::from_secs(count.parse::<u64>().ok()?.checked_mul(seconds)?);
    (!every.is_zero()).then_some(every)
}

#[cfg(test)]
mod tests;
