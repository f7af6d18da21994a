#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use quamina::Quamina;
use serde_json::json;

use super::*;

const SMALL: &str = r#"
Parameters:
  Batch: {Type: Number, Default: 7}
  Days: {Type: Number, Default: 30}
Globals:
  Function:
    Timeout: 20
    MemorySize: 512
    Tracing: PassThrough
    Environment: {Variables: {LEVEL: info}}
Resources:
  EventTable:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: event, KeyType: HASH}, {AttributeName: part, KeyType: RANGE}]
      AttributeDefinitions: [{AttributeName: event, AttributeType: S}, {AttributeName: part, AttributeType: N}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
  Work:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: work}}
    Properties:
      MemorySize: 256
      Tracing: Active
      LoggingConfig: {SystemLogLevel: WARN}
      Environment: {Variables: {EVENTS: !Ref EventTable, DAYS: !Ref Days}}
      Events:
        Stream:
          Type: DynamoDB
          Properties: {Stream: !GetAtt EventTable.StreamArn, StartingPosition: TRIM_HORIZON, BatchSize: !Ref Batch}
        Api: {Type: HttpApi, Properties: {Method: any, Path: "/v1/{proxy+}"}}
        Page: {Type: HttpApi, Properties: {Method: get, Path: /page}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(2 hours)}}
  Logs: {Type: AWS::Logs::LogGroup}
"#;

#[test]
fn a_template_is_read_with_its_parameters_defaults() {
    let template = Template::parse(SMALL).unwrap();
    let table = template.table("EventTable").unwrap();
    assert_eq!(
        (table.hash_key.as_str(), table.range_key.as_deref()),
        ("event", Some("part"))
    );
    assert!(table.has_stream);
    assert_eq!(table.ttl_attribute.as_deref(), Some("ttl"));
    let request = table.create_request("hookline-EventTable");
    assert_eq!(request["TableName"], "hookline-EventTable");
    assert_eq!(
        request["StreamSpecification"],
        json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"})
    );

    let function = template.function("work").unwrap();
    assert_eq!(function.timeout, Duration::from_secs(20));
    assert_eq!(
        (function.memory_mb, function.is_traced, function.logs_invocations),
        (256, true, false)
    );
    assert_eq!(template.parameters["Days"], 30);
    let expected = [("DAYS", "30"), ("EVENTS", "EventTable"), ("LEVEL", "info")];
    assert_eq!(
        function.environment,
        BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned())))
    );
    let expected = StreamMapping {
        id: "Work-Stream".into(),
        table: "EventTable".into(),
        batch_size: 7,
        parallelization_factor: 1,
        maximum_retry_attempts: None,
        maximum_record_age: None,
        bisect_batch_on_function_error: false,
        report_batch_item_failures: false,
        filters: vec![],
    };
    assert_eq!(function.streams, [expected]);
    assert_eq!(
        function.routes[0],
        Route {
            method: None,
            path: "/v1/{proxy+}".into()
        }
    );
    assert_eq!(
        function.routes[1],
        Route {
            method: Some("GET".into()),
            path: "/page".into()
        }
    );
    assert_eq!(
        function.schedules,
        [Schedule {
            every: Duration::from_secs(7200)
        }]
    );
}

#[test]
fn what_cannot_run_here_is_refused_by_name() {
    let refuse = |from: &str, to: &str, expected: &str| {
        assert!(SMALL.contains(from), "{from}");
        let error = Template::parse(&SMALL.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refuse("!Ref Batch", "!If [Big, 1, 2]", "Work: event Stream");
    refuse("TRIM_HORIZON", "LATEST", "StartingPosition");
    refuse("BatchSize: !Ref Batch", "BatchSize: 0", "at least 1");
    refuse(
        "!GetAtt EventTable.StreamArn",
        "!GetAtt Other.StreamArn",
        "reads the stream of Other",
    );
    refuse("rate(2 hours)", "cron(0 * * * ? *)", "rate(");
    refuse("Type: Schedule,", "Type: SQS,", "SQS");
    refuse("!Ref Days", "!Sub '${Days}'", "DAYS");
    refuse("{Binary: work}", "{}", "Binary");
    refuse("KeyType: HASH", "KeyType: hash", "HASH");
    assert!(matches!(Template::parse("a: [").unwrap_err(), TemplateError::Yaml(_)));
    assert!(matches!(Template::parse("").unwrap_err(), TemplateError::Yaml(_)));
}

/// The whole of the design's table of functions and of its data flow stands in the deployed template, and can be run here.
#[test]
fn the_bundled_template_has_what_the_hub_needs() {
    let template = Template::bundled().unwrap();
    let binaries: Vec<&str> = template
        .functions
        .iter()
        .map(|function| function.binary.as_str())
        .collect();
    for binary in ["receive", "verify", "fan-out", "retry", "manage", "operate"] {
        assert!(binaries.contains(&binary), "{binary} is missing in {binaries:?}");
    }
    assert_eq!(template.tables.len(), 8);
    let function = |binary| template.function(binary).unwrap();
    for (binary, table) in [("verify", "InboxTable"), ("fan-out", "EventsTable")] {
        let mapping = &function(binary).streams[0];
        assert_eq!(mapping.table, table);
        assert!(mapping.report_batch_item_failures && mapping.bisect_batch_on_function_error);
        assert!(mapping.maximum_retry_attempts.is_some() && mapping.maximum_record_age.is_some());
        let mut patterns = Quamina::new();
        for (index, filter) in mapping.filters.iter().enumerate() {
            patterns.add_pattern(index, filter).unwrap();
        }
    }
    assert!(function("receive").routes.contains(&Route {
        method: None,
        path: "/in/{token}".into()
    }));
    assert!(function("manage").routes.contains(&Route {
        method: None,
        path: "/v1/{proxy+}".into()
    }));
    assert!(function("operate").routes.is_empty());
    assert_eq!(
        function("retry").schedules,
        [Schedule {
            every: Duration::from_secs(60)
        }]
    );
    for function in &template.functions {
        for (name, value) in function.environment.iter().filter(|(name, _)| name.ends_with("_TABLE")) {
            assert!(
                template.table(value).is_some(),
                "{name} of {} names no table",
                function.binary
            );
        }
    }
}
