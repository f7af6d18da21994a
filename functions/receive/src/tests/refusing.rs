//! What is not taken, and what its sender hears.

use super::*;

#[tokio::test]
async fn unknown_malformed_and_disabled_are_the_same_404_whatever_is_asked() {
    let token = IngestToken::generate();
    let open = function(&token, door(), Ok(()));
    let closed = function(
        &token,
        Door {
            enabled: false,
            ..door()
        },
        Ok(()),
    );
    let disabled = answer(&closed, event(token.expose()).request()).await;
    assert_eq!(disabled.status, 404);
    let stranger = IngestToken::generate();
    for text in [stranger.expose(), "in_short", "x", "%00", &"a".repeat(5000)] {
        let unknown = answer(&open, event(text).request()).await;
        assert_eq!((unknown.status, &unknown.body), (404, &disabled.body), "{text}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        for function in [&open, &closed] {
            let asking = Event {
                method,
                body: Value::Null,
                ..event(stranger.expose())
            };
            let unknown = answer(function, asking.request()).await;
            assert_eq!((unknown.status, &unknown.body), (404, &disabled.body), "{method}");
        }
        let asking = Event {
            method,
            body: Value::Null,
            ..event(token.expose())
        };
        assert_eq!(answer(&closed, asking.request()).await.status, 404, "{method}");
    }
    assert!(nothing_is_stored(&open) && nothing_is_stored(&closed));
}

#[tokio::test]
async fn another_method_is_405_with_those_that_are_allowed() {
    let token = IngestToken::generate();
    let function = function(
        &token,
        Door {
            methods: vec!["POST".into(), "PUT".into()],
            ..door()
        },
        Ok(()),
    );
    for method in ["GET", "DELETE", "PATCH"] {
        let answer = answer(
            &function,
            Event {
                method,
                query: "a=b",
                ..event(token.expose())
            }
            .request(),
        )
        .await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, PUT")));
    }
    assert!(nothing_is_stored(&function));
}

#[tokio::test]
async fn a_missing_or_empty_signature_header_is_400_and_unstored() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    for headers in [
        json!({}),
        json!({"webhook-signature": ""}),
        json!({"webhook-signature": "  "}),
        json!({"svix-signature": "v1,a"}),
    ] {
        let answer = answer(
            &function,
            Event {
                headers,
                ..event(token.expose())
            }
            .request(),
        )
        .await;
        assert_eq!(answer.status, 400);
        assert!(answer.body["detail"].as_str().unwrap().contains("webhook-signature"));
    }
    assert!(nothing_is_stored(&function));
}

#[tokio::test]
async fn what_is_too_large_is_413_with_the_limit() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let longest = Event {
        body: json!("a".repeat(MAX_BODY_BYTES)),
        ..event(token.expose())
    };
    assert_eq!(answer(&function, longest.request()).await.status, 202);
    // The limit counts bytes, not characters, and not those of base64.
    for (body, is_base64) in [
        ("ü".repeat(MAX_BODY_BYTES / 2 + 1), false),
        (STANDARD.encode(vec![0; MAX_BODY_BYTES + 1]), true),
    ] {
        let answer = answer(
            &function,
            Event {
                body: json!(body),
                is_base64,
                ..event(token.expose())
            }
            .request(),
        )
        .await;
        assert_eq!(answer.status, 413);
        assert!(
            answer.body["detail"]
                .as_str()
                .unwrap()
                .contains(&MAX_BODY_BYTES.to_string())
        );
    }
    assert_eq!(function.store.stored.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_after_compression_is_413_with_that_limit() {
    let token = IngestToken::generate();
    let function = function(
        &token,
        door(),
        Err(StoreError::TooLarge {
            limit: MAX_STORED_BODY_BYTES,
        }),
    );
    let answer = answer(&function, event(token.expose()).request()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (413, None));
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains(&MAX_STORED_BODY_BYTES.to_string())
    );
}

#[tokio::test]
async fn a_head_that_would_not_fit_is_431() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let headers = json!({"webhook-signature": "v1,a", "x-long": "a".repeat(MAX_HEAD_BYTES)});
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
        431
    );
    let query = "a".repeat(MAX_HEAD_BYTES);
    assert_eq!(
        answer(
            &function,
            Event {
                query: &query,
                ..event(token.expose())
            }
            .request()
        )
        .await
        .status,
        431
    );
}

#[tokio::test]
async fn our_own_failure_is_503_with_retry_after_and_says_nothing_of_us() {
    let token = IngestToken::generate();
    let errors = [
        StoreError::Unavailable("throttled by table X".into()),
        StoreError::Refused("validation".into()),
        StoreError::Unreadable("attribute".into()),
        StoreError::Newer { found: 2, known: 1 },
        StoreError::Conflict,
    ];
    let mut bodies = Vec::new();
    for error in errors {
        let writing = function(&token, door(), Err(error.clone()));
        let reading = function(&token, door(), Ok(()));
        *reading.store.door.lock().unwrap() = Err(error);
        for function in [writing, reading] {
            let answer = answer(&function, event(token.expose()).request()).await;
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "a 5xx body is constant");
}

#[tokio::test]
async fn a_door_is_read_once_in_a_few_seconds_and_a_stranger_each_time() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    for _ in 0..3 {
        assert_eq!(answer(&function, event(token.expose()).request()).await.status, 202);
    }
    assert_eq!(function.store.reads.load(Ordering::Relaxed), 1);
    // Disabled meanwhile: known after a few seconds.
    *function.store.door.lock().unwrap() = Ok(Door {
        enabled: false,
        ..door()
    });
    *function.clock.0.lock().unwrap() = now() + SignedDuration::from_secs(5);
    assert_eq!(answer(&function, event(token.expose()).request()).await.status, 404);
    assert_eq!(answer(&function, event(token.expose()).request()).await.status, 404);
    assert_eq!(function.store.reads.load(Ordering::Relaxed), 3);
}
