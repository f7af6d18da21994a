#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use lambda_http::Body;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// An event of format 1.0: a path as the client called it, and as the API knows it.
fn v1(stage: &str, called: &str, path: &str, resource: &str, parameters: &Value) -> Value {
    json!({
        "version": "1.0", "resource": resource, "path": path, "httpMethod": "POST",
        "headers": {"Host": "a.example", "Content-Type": "text/plain", "X-Twice": "b"},
        "multiValueHeaders": {"Host": ["a.example"], "Content-Type": ["text/plain"], "X-Twice": ["a", "b"]},
        "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": parameters, "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "domainName": "abc.execute-api.eu-central-1.amazonaws.com", "domainPrefix": "abc",
            "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.1"}, "path": called, "protocol": "HTTP/1.1", "requestId": "r",
            "requestTime": "25/Mar/2025:13:31:00 +0000", "requestTimeEpoch": 1_742_909_460_000_i64, "resourceId": "r",
            "resourcePath": resource, "stage": stage
        },
        "body": "a", "isBase64Encoded": false
    })
}

fn v2(stage: &str, path: &str, route: &str, parameters: &Value) -> Value {
    json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "a=1&a=%20", "headers": {"host": "a.example", "x-twice": "a,b"},
        "pathParameters": parameters,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "domainName": "a.example", "domainPrefix": "a", "requestId": "r",
            "routeKey": route, "stage": stage, "time": "25/Mar/2025:13:31:00 +0000", "timeEpoch": 1_742_909_460_000_i64,
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
        },
        "body": "a", "isBase64Encoded": false
    })
}

/// What stood before the path, and the path with its query.
fn found(event: &Value) -> (String, String) {
    let request = read(&event.to_string()).unwrap();
    let base = request.extensions().get::<Base>().unwrap().as_str().to_owned();
    (base, request.uri().path_and_query().unwrap().to_string())
}

#[test]
fn format_1_0_is_read_without_its_stage() {
    let token = json!({"token": "in_a"});
    let sources = json!({"proxy": "sources/src_1"});
    for (event, base, path) in [
        // A REST API has a stage always, and shows it in the path on its own domain only.
        (
            v1("prod", "/prod/in/in_a", "/in/in_a", "/in/{token}", &token),
            "/prod",
            "/in/in_a",
        ),
        (
            v1(
                "prod",
                "/prod/v1/sources/src_1",
                "/v1/sources/src_1",
                "/v1/{proxy+}",
                &sources,
            ),
            "/prod",
            "/v1/sources/src_1",
        ),
        (
            v1("prod", "/prod/docs", "/docs", "/docs", &Value::Null),
            "/prod",
            "/docs",
        ),
        // Behind a custom domain: at its root, and under a mapping.
        (
            v1("prod", "/in/in_a", "/in/in_a", "/in/{token}", &token),
            "",
            "/in/in_a",
        ),
        (
            v1("prod", "/hooks/in/in_a", "/hooks/in/in_a", "/in/{token}", &token),
            "/hooks",
            "/in/in_a",
        ),
        // One resource for all paths.
        (
            v1(
                "prod",
                "/prod/v1/sources",
                "/v1/sources",
                "/{proxy+}",
                &json!({"proxy": "v1/sources"}),
            ),
            "/prod",
            "/v1/sources",
        ),
        // A stage that is called as the routes are.
        (
            v1(
                "v1",
                "/v1/v1/sources/src_1",
                "/v1/sources/src_1",
                "/v1/{proxy+}",
                &sources,
            ),
            "/v1",
            "/v1/sources/src_1",
        ),
        // An HTTP API that was told to send 1.0.
        (
            v1("$default", "/in/in_a", "/in/in_a", "/in/{token}", &token),
            "",
            "/in/in_a",
        ),
        // A parameter that was decoded is not found in the path again.
        (
            v1(
                "prod",
                "/prod/v1/a%20b",
                "/v1/a%20b",
                "/v1/{proxy+}",
                &json!({"proxy": "a b"}),
            ),
            "/prod",
            "/v1/a%20b",
        ),
    ] {
        assert_eq!(found(&event), (base.to_owned(), path.to_owned()), "{event}");
    }
}

#[test]
fn format_2_0_is_read_without_its_stage() {
    let token = json!({"token": "in_a"});
    for (event, base, path) in [
        (v2("$default", "/in/in_a", "ANY /in/{token}", &token), "", "/in/in_a"),
        (
            v2("prod", "/prod/in/in_a", "ANY /in/{token}", &token),
            "/prod",
            "/in/in_a",
        ),
        (
            v2("prod", "/hooks/in/in_a", "ANY /in/{token}", &token),
            "/hooks",
            "/in/in_a",
        ),
        (
            v2("prod", "/prod/v1/sources", "$default", &Value::Null),
            "/prod",
            "/v1/sources",
        ),
        (
            v2("$default", "/v1/sources", "$default", &Value::Null),
            "",
            "/v1/sources",
        ),
    ] {
        assert_eq!(found(&event), (base.to_owned(), format!("{path}?a=1&a=%20")), "{event}");
    }
}

#[test]
fn every_value_of_a_header_stays() {
    let values = |event: &Value| {
        let request = read(&event.to_string()).unwrap();
        let values = request.headers().get_all("x-twice").iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut event = v1("prod", "/prod/docs", "/docs", "/docs", &Value::Null);
    assert_eq!(values(&event), ["a", "b"]);
    // One map is enough, whichever.
    event["multiValueHeaders"] = Value::Null;
    assert_eq!(values(&event), ["b"]);
    event["headers"] = Value::Null;
    event["multiValueHeaders"] = json!({"x-twice": ["c", "d"]});
    assert_eq!(values(&event), ["c", "d"]);
    assert_eq!(values(&v2("$default", "/docs", "GET /docs", &Value::Null)), ["a,b"]);
}

#[test]
fn what_is_no_request_is_an_error() {
    for event in [
        json!({}),
        json!({"Records": []}),
        json!(null),
        json!("a"),
        json!({"version": "1.0", "path": "/docs"}),
    ] {
        assert!(read(&event.to_string()).is_err(), "{event}");
    }
}

proptest! {
    #[test]
    fn the_bytes_of_the_body_are_the_same_in_both_formats(body in any::<Vec<u8>>(), in_base64 in any::<bool>()) {
        let mut events = [
            v1("prod", "/prod/docs", "/docs", "/docs", &Value::Null),
            v2("$default", "/docs", "GET /docs", &Value::Null),
        ];
        for event in &mut events {
            let text = String::from_utf8(body.clone()).ok().filter(|_| !in_base64);
            event["isBase64Encoded"] = json!(text.is_none());
            event["body"] = match text {
                Some(text) => json!(text),
                None => serde_json::to_value(Body::Binary(body.clone())).unwrap(),
            };
            let request = read(&event.to_string()).unwrap();
            prop_assert_eq!(request.body().as_ref(), body.as_slice());
        }
    }

    #[test]
    fn no_path_is_made_up(path in "(/[a-z0-9%_~-]{0,8}){1,4}", stage in "[a-z0-9]{1,4}|\\$default", route in "(ANY )?(/[a-z{}+]{0,6}){0,3}|.*") {
        for event in [v1(&stage, &path, &path, &route, &json!({"a": "b"})), v2(&stage, &path, &route, &json!({"a": "b"}))] {
            let Ok(request) = read(&event.to_string()) else { continue };
            prop_assert!(path.ends_with(request.uri().path()), "{} of {path}", request.uri());
        }
    }
}
