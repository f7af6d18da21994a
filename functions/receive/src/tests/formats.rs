//! The two payload formats of API Gateway: what is stored is the same.

use super::*;

/// The same request in format 1.0, as a REST API with a stage sends it: names as the client wrote them, each value by itself.
fn in_format_1_0(event: &Event<'_>, headers: &[(&str, &str)], query: &[(&str, &str)]) -> Request {
    let path = format!("/in/{}", event.token);
    let last = |pairs: &[(&str, &str)]| -> Value {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect()
    };
    let all = |pairs: &[(&str, &str)]| -> Value {
        let values = |name: &str| {
            pairs
                .iter()
                .filter(|(other, _)| *other == name)
                .map(|(_, value)| *value)
                .collect::<Vec<_>>()
        };
        pairs
            .iter()
            .map(|(name, _)| ((*name).to_owned(), json!(values(name))))
            .collect()
    };
    let whole = json!({
        "resource": "/in/{token}", "path": path, "httpMethod": event.method, "headers": last(headers), "multiValueHeaders": all(headers),
        "queryStringParameters": last(query), "multiValueQueryStringParameters": all(query), "pathParameters": {"token": event.token},
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.execute-api.eu-west-1.amazonaws.com", "domainPrefix": "api",
            "httpMethod": event.method, "identity": {"sourceIp": "192.0.2.1"}, "path": format!("/prod{path}"), "protocol": "HTTP/1.1",
            "requestId": "r", "requestTime": "25/Mar/2025:13:31:00 +0000", "requestTimeEpoch": 1_742_909_460_000_i64,
            "resourceId": "r", "resourcePath": "/in/{token}", "stage": "prod"
        },
        "body": event.body, "isBase64Encoded": event.is_base64
    });
    gateway::read(&whole.to_string()).unwrap()
}

/// What a verifier sees of the one receipt that is stored: headers with one name as one, as a list.
fn seen(function: &Receive<Fake, TestClock>, names: &[&str]) -> (String, Vec<Option<String>>, Bytes) {
    let receipt = only(function);
    let values = names
        .iter()
        .map(|name| receipt.header(name).map(|value| value.replace(", ", ",")));
    (receipt.query.clone(), values.collect(), receipt.body.clone())
}

#[tokio::test]
async fn both_formats_are_stored_alike() {
    const NAMES: [&str; 5] = ["webhook-signature", "content-type", "x-twice", "cookie", "x-own-token"];
    let bodies = [
        (json!("{\"type\": \"a.b\",\r\n \"\u{fc}\": 1.0}"), false),
        (json!(STANDARD.encode([0x1f, 0x8b, 0, 0xff, 0xfe, b'\n'])), true),
        (json!(STANDARD.encode("text after all")), true),
        (Value::Null, false),
    ];
    for (body, is_base64) in bodies {
        let token = IngestToken::generate();
        let (first, second) = (function(&token, door(), Ok(())), function(&token, door(), Ok(())));
        let plain = Event {
            query: "a=1",
            headers: json!({
                "webhook-signature": "v1,c2lnbmF0dXJl", "content-type": "application/octet-stream", "x-twice": "a,b", "x-own-token": "t0ken"
            }),
            body,
            is_base64,
            ..event(token.expose())
        };
        let mut with_cookies = plain.json();
        with_cookies["cookies"] = json!(["c=1", "d=2"]);
        let request = gateway::read(&with_cookies.to_string()).unwrap();
        assert_eq!(answer(&first, request).await.status, 202);
        let titled = [
            ("Webhook-Signature", "v1,c2lnbmF0dXJl"),
            ("Content-Type", "application/octet-stream"),
            ("X-Twice", "a"),
            ("X-Twice", "b"),
            ("Cookie", "c=1; d=2"),
            ("X-Own-Token", "t0ken"),
        ];
        assert_eq!(
            answer(&second, in_format_1_0(&plain, &titled, &[("a", "1")]))
                .await
                .status,
            202
        );
        assert_eq!(seen(&first, &NAMES), seen(&second, &NAMES));
        assert_eq!(only(&second).header("x-twice").unwrap().replace(", ", ","), "a,b");
    }
}

#[tokio::test]
async fn a_header_that_is_missing_is_missing_in_both() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let plain = event(token.expose());
    let refused = answer(&function, in_format_1_0(&plain, &[("Webhook-Id", "msg_1")], &[])).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let other = IngestToken::generate();
    let refused = answer(&function, in_format_1_0(&event(other.expose()), &[], &[])).await;
    assert_eq!(refused.status, 404, "{}", refused.body);
    assert!(function.store.stored.lock().unwrap().is_empty());
}
