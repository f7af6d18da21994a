//! The template's resources as CloudFormation and SAM write them, and how they become what the hub needs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::yaml::Node;
use super::{Function, Route, Schedule, StreamMapping, Table};

/// The timeout of a function that names none, in seconds, as Lambda has it.
const DEFAULT_FUNCTION_TIMEOUT: u64 = 3;

/// The memory of a function that names none, in MB, as Lambda has it.
const DEFAULT_MEMORY_SIZE: u32 = 128;

#[derive(Deserialize)]
pub(super) struct Document {
    #[serde(rename = "Parameters", default)]
    pub(super) parameters: BTreeMap<String, Parameter>,
    #[serde(rename = "Globals", default)]
    pub(super) globals: Globals,
    #[serde(rename = "Resources")]
    pub(super) resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
pub(super) struct Parameter {
    #[serde(rename = "Default")]
    pub(super) default: Option<Node>,
}

#[derive(Deserialize)]
pub(super) struct Globals {
    #[serde(rename = "Function")]
    pub(super) function: Node,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            function: Node(Value::Null),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Resource {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(rename = "Properties")]
    pub(super) properties: Option<Node>,
    #[serde(rename = "Metadata")]
    pub(super) metadata: Option<Node>,
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

pub(super) fn read_table(logical_id: &str, properties: Value) -> Result<Table, String> {
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
    memory_size: Option<u32>,
    #[serde(default)]
    tracing: Value,
    #[serde(default)]
    logging_config: Value,
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

pub(super) fn read_function(
    logical_id: &str,
    properties: Value,
    globals: &Value,
    metadata: &Value,
) -> Result<Function, String> {
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
    let memory = globals.get("MemorySize").and_then(Value::as_u64);
    let memory = memory.and_then(|memory| u32::try_from(memory).ok());
    // A function's own setting takes the place of the one for all.
    let tracing = Some(&read.tracing).filter(|tracing| !tracing.is_null());
    let tracing = tracing.or_else(|| globals.get("Tracing"));
    let system_log = read.logging_config.get("SystemLogLevel");
    let system_log = system_log.or_else(|| globals.pointer("/LoggingConfig/SystemLogLevel"));
    let mut function = Function {
        logical_id: logical_id.to_owned(),
        binary: binary.to_owned(),
        timeout: Duration::from_secs(timeout),
        memory_mb: read.memory_size.or(memory).unwrap_or(DEFAULT_MEMORY_SIZE),
        is_traced: tracing.is_some_and(|mode| mode == "Active"),
        logs_invocations: system_log.is_none_or(|level| level != "WARN"),
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
