//! Handshakes and probes: answered, and never stored.

use payload::handshake::Handshake;

use super::*;

fn asking(handshake: Value) -> Door {
    Door {
        handshake: Some(serde_json::from_value::<Handshake>(handshake).unwrap()),
        verify_token_hash: Some(salted_hash("salt", b"verify-me")),
        ..door()
    }
}

fn meta() -> Door {
    asking(json!({"kind": "hub-challenge"}))
}

fn cloudevents() -> Door {
    asking(json!({"kind": "cloudevents"}))
}

/// A request without the headers that an event needs.
fn bare<'a>(token: &'a IngestToken, method: &'a str, query: &'a str) -> Event<'a> {
    Event {
        method,
        query,
        headers: json!({}),
        body: Value::Null,
        ..event(token.expose())
    }
}

#[tokio::test]
async fn a_challenge_in_a_body_is_sent_back_and_an_event_is_stored() {
    let token = IngestToken::generate();
    let slack =
        json!({"kind": "echo-body", "pointer": "/challenge", "when": {"pointer": "/type", "is": ["url_verification"]}});
    let function = function(&token, asking(slack), Ok(()));
    let body = json!({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}).to_string();
    for (body, is_base64) in [(body.clone(), false), (STANDARD.encode(body), true)] {
        let question = Event {
            body: json!(body),
            is_base64,
            ..bare(&token, "POST", "")
        };
        let answer = answer(&function, question.request()).await;
        assert_eq!((answer.status, &answer.body), (200, &json!("3eZbrw1a")));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert!(nothing_is_stored(&function));
    let body = json!({"type": "event_callback", "challenge": "3eZbrw1a"}).to_string();
    let event = Event {
        body: json!(body),
        ..event(token.expose())
    };
    assert_eq!(answer(&function, event.request()).await.status, 202);
    assert_eq!(only(&function).body.as_ref(), body.as_bytes());
}

#[tokio::test]
async fn a_challenge_in_the_query_is_sent_back() {
    let token = IngestToken::generate();
    let graph = json!({"kind": "echo-query", "parameter": "validationToken"});
    let function = function(&token, asking(graph), Ok(()));
    for method in ["POST", "GET"] {
        let question = bare(&token, method, "validationToken=Validation%3a+%3Cb%3E");
        let answer = answer(&function, question.request()).await;
        assert_eq!((answer.status, &answer.body), (200, &json!("Validation: <b>")));
    }
    let refused = answer(&function, bare(&token, "POST", "validationToken=a%00").request()).await;
    assert_eq!(refused.status, 403);
    assert!(nothing_is_stored(&function));
}

#[tokio::test]
async fn a_subscription_needs_the_right_token() {
    let token = IngestToken::generate();
    let function = function(&token, meta(), Ok(()));
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-me";
    let right = answer(&function, bare(&token, "GET", right).request()).await;
    assert_eq!((right.status, &right.body), (200, &json!("1158201444")));
    for wrong in [
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-you",
        "hub.mode=subscribe&hub.challenge=1158201444",
        "hub.mode=unsubscribe&hub.challenge=1158201444&hub.verify_token=verify-me",
    ] {
        let wrong = answer(&function, bare(&token, "GET", wrong).request()).await;
        assert_eq!(wrong.status, 403);
        assert!(!wrong.body.to_string().contains("1158201444"));
    }
    let other = answer(&function, bare(&token, "GET", "a=b").request()).await;
    assert_eq!((other.status, other.header("allow")), (405, Some("POST")));
    assert!(nothing_is_stored(&function));
}

#[tokio::test]
async fn an_origin_that_asks_is_allowed() {
    let token = IngestToken::generate();
    let function = function(&token, cloudevents(), Ok(()));
    let ask = async |headers| {
        let question = Event {
            headers,
            ..bare(&token, "OPTIONS", "")
        };
        answer(&function, question.request()).await
    };
    let given = ask(json!({"WebHook-Request-Origin": "events.example.com", "WebHook-Request-Rate": "120"})).await;
    assert_eq!((given.status, given.body.is_null()), (200, true));
    assert_eq!(given.header("webhook-allowed-origin"), Some("events.example.com"));
    assert_eq!(given.header("webhook-allowed-rate"), Some("120"));
    assert_eq!(given.header("allow"), Some("POST"));
    let given = ask(json!({"webhook-request-origin": "events.example.com"})).await;
    assert_eq!((given.status, given.header("webhook-allowed-rate")), (200, Some("*")));
    assert_eq!(ask(json!({"webhook-request-origin": "a b"})).await.status, 403);
    let given = ask(json!({"origin": "https://example.com"})).await;
    assert_eq!((given.status, given.header("allow")), (204, Some("POST")));
    assert_eq!(given.header("webhook-allowed-origin"), None);
    assert!(nothing_is_stored(&function));
}

#[tokio::test]
async fn who_only_looks_gets_a_harmless_answer() {
    let token = IngestToken::generate();
    let takes_get = Door {
        methods: vec!["GET".into(), "POST".into()],
        required: vec!["?token".into()],
        ..door()
    };
    for (door, allow) in [
        (door(), "POST"),
        (takes_get, "GET, POST"),
        (meta(), "POST"),
        (cloudevents(), "POST"),
    ] {
        let function = function(&token, door, Ok(()));
        let look = answer(&function, bare(&token, "GET", "").request()).await;
        assert_eq!(
            (look.status, look.header("content-type")),
            (200, Some("text/plain; charset=utf-8"))
        );
        assert!(look.body.as_str().unwrap().starts_with("Webhooks are received here."));
        for query in ["", "a=b", "validationToken=x"] {
            let head = answer(&function, bare(&token, "HEAD", query).request()).await;
            assert_eq!((head.status, head.body.is_null()), (200, true));
        }
        let options = answer(&function, bare(&token, "OPTIONS", "").request()).await;
        assert_eq!(
            (options.status, options.body.is_null(), options.header("allow")),
            (204, true, Some(allow))
        );
        assert!(nothing_is_stored(&function));
    }
}

#[tokio::test]
async fn a_get_that_says_something_is_no_probe() {
    let token = IngestToken::generate();
    let takes_get = Door {
        methods: vec!["GET".into()],
        required: Vec::new(),
        ..door()
    };
    let with_body = Event {
        body: json!("x"),
        ..bare(&token, "GET", "")
    };
    for request in [bare(&token, "GET", "a"), with_body] {
        let taking = function(&token, takes_get.clone(), Ok(()));
        assert_eq!(answer(&taking, request.request()).await.status, 202);
        only(&taking);
        let other = function(&token, door(), Ok(()));
        assert_eq!(answer(&other, request.request()).await.status, 405);
        assert!(nothing_is_stored(&other));
    }
}

#[tokio::test]
async fn a_question_is_not_read_where_its_head_is_too_large() {
    let token = IngestToken::generate();
    let function = function(&token, meta(), Ok(()));
    let long = "a".repeat(MAX_HEAD_BYTES + 1);
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(
            answer(&function, bare(&token, method, &long).request()).await.status,
            431
        );
    }
}
