//! What is kept of a request.

use super::*;

#[tokio::test]
async fn a_receipt_belongs_to_the_trace_of_its_request() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const AWS: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";
    let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let long = format!("{valid}-{}", "a".repeat(1_000));
    let twice = format!("{valid},{valid}");
    for (sent, expected) in [
        (json!({"traceparent": valid, "x-amzn-trace-id": AWS}), Some(TRACE)),
        (
            json!({"x-amzn-trace-id": AWS}),
            Some("5759e988bd862e3fe1be46a994272793"),
        ),
        (
            json!({"traceparent": "00-", "x-amzn-trace-id": AWS}),
            Some("5759e988bd862e3fe1be46a994272793"),
        ),
        (json!({}), None),
        (json!({"traceparent": valid.to_uppercase()}), None),
        (json!({"traceparent": valid.replace(TRACE, &"0".repeat(32))}), None),
        (json!({"traceparent": long}), None),
        (json!({"traceparent": twice}), None),
    ] {
        let token = IngestToken::generate();
        let function = function(&token, door(), Ok(()));
        let mut request = event(token.expose());
        request
            .headers
            .as_object_mut()
            .unwrap()
            .extend(sent.as_object().unwrap().clone());
        assert_eq!(answer(&function, request.request()).await.status, 202, "{sent}");
        let trace = only(&function).trace.unwrap().to_string();
        match expected {
            Some(expected) => assert_eq!(trace, expected),
            None => assert!(trace.len() == 32 && trace != TRACE, "{sent}: {trace}"),
        }
    }
}

#[tokio::test]
async fn a_request_is_stored_as_it_came_before_it_is_acknowledged() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let text = "{\"type\": \"a.b\",\r\n \"ü\": \"\u{1F600}\"}";
    let request = Event {
        query: "a=1&a=%20x&b",
        headers: json!({
            "Content-Type": "application/json; charset=utf-8", "Webhook-Signature": "v1,c2ln v1,b3RoZXI=", "authorization": "Bearer s3cret",
            "X-Own-Token": "t0ken", "x-plain": "ä"
        }),
        body: json!(text),
        ..event(token.expose())
    };
    let answer = answer(&function, request.request()).await;
    assert_eq!(answer.status, 202);
    let receipt = only(&function);
    assert_eq!(answer.body, json!({"id": receipt.id}));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(receipt.body.as_ref(), text.as_bytes());
    assert_eq!(
        (receipt.method.as_str(), receipt.query.as_str()),
        ("POST", "a=1&a=%20x&b")
    );
    assert_eq!(receipt.received_at, now());
    assert_eq!(receipt.id.created_at(), now());
    assert_eq!(
        receipt.header("webhook-signature").as_deref(),
        Some("v1,c2ln v1,b3RoZXI=")
    );
    assert_eq!(
        receipt.content_type().as_deref(),
        Some("application/json; charset=utf-8")
    );
    assert!(
        receipt
            .headers
            .iter()
            .all(|header| header.name == header.name.to_lowercase())
    );
    let hashed = |name: &str| {
        receipt
            .headers
            .iter()
            .any(|h| h.name == name && matches!(h.value, HeaderValue::Hashed(_)))
    };
    assert!(hashed("authorization") && hashed("x-own-token") && !hashed("x-plain"));
    assert!(!format!("{receipt:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_body_is_stored_as_the_bytes_it_was_whatever_it_is() {
    let token = IngestToken::generate();
    // `{"a":1}`, compressed.
    let gzip: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x32, 0xac, 0x05, 0x00, 0xf4, 0xc8, 0xf2,
        0xd2, 7, 0, 0, 0,
    ];
    let cases: [(&str, &str, &[u8]); 6] = [
        ("application/json", "", b""),
        ("application/json", "gzip", gzip),
        ("application/json", "", "\u{feff}{\"ü\": 1}\r\n".as_bytes()),
        (
            "application/x-www-form-urlencoded",
            "",
            b"payload=%7B%22a%22%3A+1%7D&x=+",
        ),
        ("application/octet-stream", "", b"\x00\xff\xfe\x1f\x8b"),
        ("", "", b"{broken"),
    ];
    for (content_type, encoding, bytes) in cases {
        let function = function(&token, door(), Ok(()));
        let request = Event {
            headers: json!({"webhook-signature": "v1,a", "content-type": content_type, "content-encoding": encoding}),
            body: json!(STANDARD.encode(bytes)),
            is_base64: true,
            ..event(token.expose())
        };
        assert_eq!(answer(&function, request.request()).await.status, 202);
        let receipt = only(&function);
        assert_eq!(receipt.body.as_ref(), bytes);
        assert_eq!(receipt.content_type().as_deref(), Some(content_type));
        assert_eq!(receipt.header("content-encoding").as_deref(), Some(encoding));
    }
}

#[tokio::test]
async fn a_query_is_stored_as_it_came() {
    let token = IngestToken::generate();
    let takes_get = Door {
        methods: vec!["GET".into(), "POST".into()],
        ..door()
    };
    for query in [
        "event=Record.created&webhookCallId=c1&sentAt=2025-03-25T13%3A31%3A00%2B01%3A00",
        "event=Record.updated&sender[id]=9007199254740993&sender%5Bname%5D=a+b&",
        "sender={%22id%22:1}&&a==b&%zz&c|^`'é",
    ] {
        let function = function(&token, takes_get.clone(), Ok(()));
        let request = Event {
            method: "GET",
            query,
            body: Value::Null,
            ..event(token.expose())
        };
        assert_eq!(answer(&function, request.request()).await.status, 202);
        let receipt = only(&function);
        assert!(receipt.body.is_empty());
        assert_eq!((receipt.method.as_str(), receipt.query.as_str()), ("GET", query));
        assert_eq!(receipt.scheme.as_deref(), Some("standard-webhooks"));
    }
}

#[tokio::test]
async fn a_source_chooses_its_success_status() {
    let token = IngestToken::generate();
    for (chosen, status) in [(200, 200), (204, 204), (202, 202), (302, 202), (99, 202)] {
        let function = function(
            &token,
            Door {
                success_status: chosen,
                ..door()
            },
            Ok(()),
        );
        let answer = answer(&function, event(token.expose()).request()).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body.is_null(), status == 204);
        assert_eq!(answer.header("content-type").is_some(), status != 204);
    }
}

#[tokio::test]
async fn a_bad_signature_is_not_the_senders_business() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let request = Event {
        headers: json!({"webhook-signature": "nonsense"}),
        ..event(token.expose())
    };
    assert_eq!(answer(&function, request.request()).await.status, 202);
    assert_eq!(only(&function).header("webhook-signature").as_deref(), Some("nonsense"));
}

#[tokio::test]
async fn a_header_that_a_proxy_wrote_the_path_into_does_not_keep_the_token() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let uri = format!("https://hooks.example.com/in/{}?a=b", token.expose());
    let headers = json!({"webhook-signature": "v1,a", "x-original-uri": uri});
    assert_eq!(
        answer(
            &function,
            Event {
                headers,
                ..event(token.expose())
            }
            .request()
        )
        .await
        .status,
        202
    );
    let receipt = only(&function);
    assert!(
        receipt
            .headers
            .iter()
            .any(|h| h.name == "x-original-uri" && matches!(h.value, HeaderValue::Hashed(_)))
    );
    assert!(!format!("{receipt:?}").contains(token.expose()));
}

#[tokio::test]
async fn a_plain_http_request_without_api_gateway_is_understood_too() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let request = lambda_http::http::Request::builder()
        .method("POST")
        .uri(format!("/in/{}?q=1", token.expose()))
        .header("webhook-signature", "v1,a")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .body(Body::Binary(vec![1, 2, 3]))
        .unwrap();
    assert_eq!(answer(&function, request).await.status, 202);
    let receipt = only(&function);
    assert_eq!((receipt.body.as_ref(), receipt.query.as_str()), (&[1, 2, 3][..], "q=1"));
    assert_eq!(receipt.header("x-twice").as_deref(), Some("1,2"));
}

proptest! {
    #[test]
    fn any_bytes_arrive_unchanged(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let token = IngestToken::generate();
        let function = function(&token, door(), Ok(()));
        let request = Event { body: json!(STANDARD.encode(&bytes)), is_base64: true, ..event(token.expose()) }.request();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(answer(&function, request));
        prop_assert_eq!(answer.status, 202);
        let receipt = only(&function);
        prop_assert_eq!(receipt.body.as_ref(), bytes.as_slice());
    }
}
