//! What each route does when all is well.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::outbound::SigningKey;
use payload::source::IngestToken;
use secrecy::ExposeSecret;

use super::*;

#[tokio::test]
async fn a_source_is_created_listed_read_and_deleted() {
    let client = Client::new();
    let created = client.create_source().await;
    assert_eq!(created.status, 201);
    let (id, url) = (created.text("id"), created.text("receivingUrl"));
    let token: IngestToken = url
        .strip_prefix("https://hooks.example.com/in/")
        .unwrap()
        .parse()
        .unwrap();
    let shown = json!({
        "id": id, "name": "quartr-prod", "preset": "quartr", "enabled": true, "createdAt": "2025-03-25T13:31:00Z",
        "scheme": {"kind": "standard-webhooks", "headerPrefix": "webhook-", "key": "either", "tolerance": 7200},
        "duplicates": "id", "successStatus": 202, "hasVerifyToken": false
    });
    let mut with_url = shown.clone();
    with_url["receivingUrl"] = json!(url);
    let mut with_health = shown.clone();
    with_health["health"] = json!({
        "lastVerifiedAt": null, "rejectedInARow": 0, "rejectingSince": null, "rejected": {}, "lastRejection": null
    });
    assert_eq!(created.body, with_url);
    assert_eq!(created.header("location"), Some(format!("/v1/sources/{id}").as_str()));
    {
        let tables = client.store.tables();
        let door = &tables.doors[&token.hash()];
        assert_eq!(
            (door.source.as_str(), &door.organization),
            (id.as_str(), &client.organization)
        );
        assert_eq!(door.required, ["webhook-signature", "webhook-id", "webhook-timestamp"]);
        assert_eq!(
            (door.methods.as_slice(), door.enabled, door.success_status),
            (&["POST".to_owned()][..], true, 202)
        );
        assert_eq!(door.salt.len(), 32);
        assert_eq!(
            tables.secrets[&id][0].value.expose_secret(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        );
    }
    assert_eq!(client.get(&format!("/v1/sources/{id}")).await.body, with_health);
    assert_eq!(
        client.get("/v1/sources").await.body,
        json!({"data": [shown], "next": null})
    );
    assert_eq!(client.delete(&format!("/v1/sources/{id}")).await.status, 204);
    assert_eq!(client.delete(&format!("/v1/sources/{id}")).await.status, 404);
    assert_eq!(client.get("/v1/sources").await.body, json!({"data": [], "next": null}));
    assert!(client.store.tables().secrets.is_empty() && client.store.tables().doors.is_empty());
}

#[tokio::test]
async fn a_webhook_is_created_listed_read_and_deleted() {
    let client = Client::new();
    let new = json!({
        "name": "  ours ", "url": "https://example.com/hook?a=b", "filter": {"types": ["live.*", "*.deleted"]}, "enabled": false
    });
    let created = client.post("/v1/webhooks", new).await;
    assert_eq!(created.status, 201);
    let (id, secret) = (created.text("id"), created.text("secret"));
    assert!(SigningKey::parse(&secret.clone().into()).is_ok());
    let shown = json!({
        "id": id, "name": "ours", "url": "https://example.com/hook?a=b", "filter": {"types": ["live.*", "*.deleted"]},
        "format": "raw", "method": "POST", "enabled": false, "createdAt": "2025-03-25T13:31:00Z"
    });
    let mut with_secret = shown.clone();
    with_secret["secret"] = json!(secret);
    with_secret["headers"] = json!([]);
    assert_eq!(created.body, with_secret);
    assert_eq!(created.header("location"), Some(format!("/v1/webhooks/{id}").as_str()));
    let stored = client.store.tables().webhook_secrets[&id.parse().unwrap()].clone();
    assert_eq!(stored.signing[0].value.expose_secret(), secret);
    let path = format!("/v1/webhooks/{id}");
    let mut whole = shown.clone();
    whole["headers"] = json!([]);
    whole["health"] = json!({"failingSince": null, "disabled": null});
    assert_eq!(client.get(&path).await.body, whole);
    assert_eq!(
        client.get("/v1/webhooks").await.body,
        json!({"data": [shown], "next": null})
    );
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.delete(&path).await.status, 404);
    assert_eq!(client.get(&path).await.status, 404);
    assert!(client.store.tables().webhook_secrets.is_empty());
}

#[tokio::test]
async fn a_webhook_needs_no_more_than_name_and_url() {
    let client = Client::new();
    let created = client.create_webhook().await;
    assert_eq!(created.status, 201);
    assert_eq!(
        (
            &created.body["enabled"],
            &created.body["filter"],
            &created.body["format"]
        ),
        (&json!(true), &json!({}), &json!("raw"))
    );
}

#[tokio::test]
async fn a_hub_on_one_machine_may_deliver_to_itself_but_not_in_circles() {
    let client = Client::with(Destinations::AllowPrivate);
    let guard = Guard::new(Destinations::AllowPrivate).with_resolver(Names);
    let settings = Settings {
        public_url: Some("http://127.0.0.1:3000".parse().unwrap()),
        guard,
    };
    let client = Client {
        router: router(client.store.clone(), FixedClock, settings),
        ..client
    };
    for url in ["http://127.0.0.1:3000/sink", "http://127.0.0.1:4000/sink"] {
        assert_eq!(
            client
                .post("/v1/webhooks", json!({"name": "sink", "url": url}))
                .await
                .status,
            201
        );
    }
    let receiving = client.create_source().await.text("receivingUrl");
    assert!(receiving.starts_with("http://127.0.0.1:3000/in/in_"));
    for host in ["127.0.0.1", "localhost", "localhost.", "[::1]", "0x7f.1"] {
        let url = receiving.replace("127.0.0.1", host);
        let refused = client.post("/v1/webhooks", json!({"name": "loop", "url": url})).await;
        assert_eq!(
            (refused.status, refused.text("pointer").as_str()),
            (422, "/url"),
            "{host}"
        );
    }
}

#[tokio::test]
async fn no_webhook_leads_to_a_domain_of_the_api_itself() {
    let client = Client::new();
    // The request came by the domain that was set, or by the one that API Gateway made.
    for called in ["hooks.example.com", "abc123.execute-api.eu-west-1.amazonaws.com"] {
        let mut context = ApiGatewayV2httpRequestContext::default();
        context.apiid = Some("abc123".into());
        context.domain_name = Some(called.into());
        for (url, status) in [
            ("https://hooks.example.com/in/in_x", 422),
            ("https://abc123.execute-api.eu-west-1.amazonaws.com/in/in_x", 422),
            ("https://ABC123.execute-api.eu-west-1.amazonaws.com./in/in_x", 422),
            ("https://abc1234.execute-api.eu-west-1.amazonaws.com/in/in_x", 201),
            ("https://other.execute-api.eu-west-1.amazonaws.com/in/in_x", 201),
        ] {
            let request = Request::post("/v1/webhooks")
                .header(AUTHORIZATION, format!("Bearer {}", client.key))
                .header(CONTENT_TYPE, "application/json")
                .extension(RequestContext::ApiGatewayV2(context.clone()))
                .body(Body::from(json!({"name": "loop", "url": url}).to_string()));
            let answer = client.send(request.unwrap()).await;
            assert_eq!(answer.status, status, "{called} {url} {}", answer.body);
        }
    }
    // Without its id, what it says the request came to.
    let mut context = ApiGatewayV2httpRequestContext::default();
    context.domain_name = Some("called.example.com".into());
    let request = Request::post("/v1/webhooks")
        .header(AUTHORIZATION, format!("Bearer {}", client.key))
        .header(CONTENT_TYPE, "application/json")
        .extension(RequestContext::ApiGatewayV2(context))
        .body(Body::from(
            json!({"name": "loop", "url": "https://called.example.com/in/in_x"}).to_string(),
        ));
    let answer = client.send(request.unwrap()).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/url"));
}

/// What a REST API hands over (payload format 1.0): its stage stands in the URL, and is none of the routes' business.
#[tokio::test]
async fn a_rest_api_may_stand_before_it() {
    let mut client = Client::new();
    let settings = Settings {
        public_url: None,
        guard: Guard::new(Destinations::PublicOnly).with_resolver(Names),
    };
    client.router = router(client.store.clone(), FixedClock, settings);
    let event = |path: &str, method: &str, body: &Value| {
        let (one, all) = match method {
            "GET" => (json!({"limit": "1"}), json!({"limit": ["1"]})),
            _ => (Value::Null, Value::Null),
        };
        json!({
            "resource": "/v1/{proxy+}", "path": format!("/v1/{path}"), "httpMethod": method,
            "headers": {"Host": "abc123.execute-api.eu-west-1.amazonaws.com"},
            "multiValueHeaders": {"Authorization": [format!("Bearer {}", client.key)], "Content-Type": ["application/json"]},
            "queryStringParameters": one, "multiValueQueryStringParameters": all,
            "pathParameters": {"proxy": path}, "stageVariables": null,
            "requestContext": {
                "resourcePath": "/v1/{proxy+}", "path": format!("/prod/v1/{path}"), "stage": "prod", "httpMethod": method,
                "domainName": "abc123.execute-api.eu-west-1.amazonaws.com", "apiId": "abc123", "identity": {}
            },
            "body": body.to_string(), "isBase64Encoded": false
        })
    };
    let ask = async |path: &str, method: &str, body: Value| {
        let request = gateway::read(&event(path, method, &body).to_string()).unwrap();
        client.send(request.map(|body| Body::from(body.to_vec()))).await
    };
    let source = json!({"name": "a", "preset": "quartr", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let made = ask("sources", "POST", source).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let receiving = made.text("receivingUrl");
    let own = "https://abc123.execute-api.eu-west-1.amazonaws.com";
    assert!(receiving.starts_with(&format!("{own}/prod/in/in_")), "{receiving}");
    let listed = ask("sources", "GET", Value::Null).await;
    assert_eq!(listed.body["data"][0]["id"], made.body["id"], "{}", listed.body);
    let looped = ask(
        "webhooks",
        "POST",
        json!({"name": "loop", "url": format!("{own}/prod/in/in_x")}),
    )
    .await;
    assert_eq!((looped.status, looped.text("pointer").as_str()), (422, "/url"));
}

#[tokio::test]
async fn a_name_without_an_address_may_get_one_later() {
    let client = Client::new();
    let new = json!({"name": "a", "url": "https://nowhere.example.com/"});
    assert_eq!(client.post("/v1/webhooks", new).await.status, 201);
}

#[tokio::test]
async fn what_another_hub_publishes_here_keeps_its_hops() {
    let client = Client::new();
    for (header, hops) in [
        (None, 0),
        (Some("3"), 3),
        (Some("200"), 8),
        (Some("3, 4"), 8),
        (Some("-1"), 8),
    ] {
        let mut request = Request::post("/v1/events")
            .header(AUTHORIZATION, format!("Bearer {}", client.key))
            .header(CONTENT_TYPE, "application/json");
        if let Some(header) = header {
            request = request.header(payload::event::HOPS_HEADER, header);
        }
        let body = Body::from(r#"{"type": "a", "data": 1}"#);
        let published = client.send(request.body(body).unwrap()).await;
        let id = published.text("id").parse().unwrap();
        assert_eq!(client.store.tables().events[&id].hops, hops, "{header:?}");
    }
}

#[tokio::test]
async fn an_event_is_published_once_for_each_id() {
    let client = Client::new();
    let publication = json!({
        "type": "invoice.paid", "id": "inv-1", "timestamp": "2025-03-25T14:00:00+02:00", "data": {"n": 1},
        "entity": {"type": "invoice", "id": "1"}, "action": "paid", "actor": "me", "category": "billing", "summary": "Invoice 1 was paid",
        "application": "shop", "scope": {"pool": "p"}, "changes": [{"type": "field", "code": "state"}],
        "previousAttributes": {"state": "open"}
    });
    let first = client.post("/v1/events", publication.clone()).await;
    assert_eq!(first.status, 202);
    let id = first.text("id");
    assert_eq!(
        (first.body.clone(), first.header("location")),
        (json!({"id": id}), Some(format!("/v1/events/{id}").as_str()))
    );
    let second = client.post("/v1/events", publication).await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert_eq!(client.store.tables().events.len(), 1);
    let read = client.get(&format!("/v1/events/{id}")).await;
    assert_eq!(read.status, 200);
    let trace = client.store.tables().events.values().next().unwrap().trace.unwrap();
    assert_eq!(
        read.body,
        json!({
            "id": id, "receipt": null, "receivedAt": "2025-03-25T13:31:00Z", "trace": trace, "deliveries": [],
            "moreDeliveries": false,
            "event": {
                "id": id, "type": "invoice.paid", "timestamp": "2025-03-25T12:00:00Z", "providerEventId": "inv-1",
                "entity": {"type": "invoice", "id": "1"}, "action": "paid", "actor": "me", "category": "billing",
                "summary": "Invoice 1 was paid", "application": "shop", "scope": {"pool": "p"},
                "changes": [{"type": "field", "code": "state"}], "data": {"n": 1}, "previousAttributes": {"state": "open"}
            }
        })
    );
}

#[tokio::test]
async fn a_published_event_belongs_to_the_trace_of_its_publisher() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let client = Client::new();
    let publish = async |id: &str, traceparent: String| {
        let request = Request::post("/v1/events")
            .header(AUTHORIZATION, format!("Bearer {}", client.key))
            .header(CONTENT_TYPE, "application/json")
            .header("traceparent", traceparent)
            .body(Body::from(json!({"type": "a", "data": 1, "id": id}).to_string()));
        let published = client.send(request.unwrap()).await;
        let read = client.get(&format!("/v1/events/{}", published.text("id"))).await;
        assert!(
            !read.body["event"].to_string().contains("trace"),
            "it is no part of the payload"
        );
        (published.status, read.text("trace"))
    };
    let theirs = format!("00-{TRACE}-00f067aa0ba902b7-01");
    assert_eq!(publish("1", theirs).await, (202, TRACE.to_owned()));
    // Published again under another trace it is the same event, which keeps its own.
    let another = format!("00-{}-00f067aa0ba902b7-01", TRACE.replace('4', "5"));
    assert_eq!(publish("1", another).await, (200, TRACE.to_owned()));
    let (status, made) = publish("2", format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase())).await;
    assert_eq!((status, made.len()), (202, 32));
    assert_ne!(made, TRACE);
}

#[tokio::test]
async fn without_an_id_each_publication_is_an_event_of_its_own() {
    let client = Client::new();
    let publication = json!({"type": "a", "data": 1, "entity": {}, "scope": {}});
    let first = client.post("/v1/events", publication.clone()).await;
    let second = client.post("/v1/events", publication).await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_ne!(first.body, second.body);
    let event = client.get(&format!("/v1/events/{}", first.text("id"))).await.body["event"].clone();
    assert_eq!(
        event,
        json!({"id": first.text("id"), "type": "a", "timestamp": "2025-03-25T13:31:00Z", "data": 1})
    );
}

#[tokio::test]
async fn data_is_kept_digit_for_digit() {
    let client = Client::new();
    let text = r#"{"type":"a","data": {"id": 12345678901234567890123, "x": 1.10, "e": 1e400} }"#;
    let request = Request::post("/v1/events")
        .header(AUTHORIZATION, format!("Bearer {}", client.key))
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Body::from(text))
        .unwrap();
    let router = client.router.clone();
    let id = {
        let body = to_bytes(router.oneshot(request).await.unwrap().into_body(), usize::MAX)
            .await
            .unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let request = Request::get(format!("/v1/events/{id}")).header(AUTHORIZATION, format!("Bearer {}", client.key));
    let answer = client
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let text = String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    assert!(
        text.contains(r#""data":{"id": 12345678901234567890123, "x": 1.10, "e": 1e400}"#),
        "{text}"
    );
}

#[tokio::test]
async fn an_event_shows_its_deliveries_and_their_attempts() {
    let client = Client::new();
    let webhook = client.create_webhook().await.text("id");
    let id = client
        .post("/v1/events", json!({"type": "a", "data": {}}))
        .await
        .text("id");
    let attempt = Attempt {
        throttled: false,
        at: now(),
        duration_ms: 12,
        status: Some(500),
        error: Some(AttemptError::Status),
        answer: Some("oops".into()),
    };
    let delivery = Delivery {
        event: id.parse().unwrap(),
        webhook: webhook.parse().unwrap(),
        organization: client.organization.clone(),
        status: DeliveryStatus::Due,
        created_at: now(),
        next_attempt: Some(now()),
        attempts: vec![attempt],
        replay: Default::default(),
        fence: 7,
    };
    client.store.tables().deliveries.push(delivery);
    assert_eq!(
        client.get(&format!("/v1/events/{id}")).await.body["deliveries"],
        json!([{
            "id": format!("{id}.{webhook}"), "event": id, "webhook": webhook, "status": "due", "createdAt": "2025-03-25T13:31:00Z", "nextAttempt": "2025-03-25T13:31:00Z",
            "attempts": [{"at": "2025-03-25T13:31:00Z", "durationMs": 12, "status": 500, "error": "status", "answer": "oops"}]
        }])
    );
}

#[tokio::test]
async fn through_api_gateway_the_receiving_url_is_at_its_domain() {
    let client = Client::new();
    let settings = Settings {
        public_url: None,
        guard: Guard::new(Destinations::PublicOnly).with_resolver(Names),
    };
    let router = router(client.store.clone(), FixedClock, settings);
    let event = |path: &str, body: Value| {
        let event = json!({
            "version": "2.0", "routeKey": "ANY /v1/{proxy+}", "rawPath": path, "rawQueryString": "",
            "headers": {
                "authorization": format!("Bearer {}", client.key), "content-type": "application/json", "host": "evil.example.com"
            },
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "api.execute-api.eu-west-1.amazonaws.com",
                "domainPrefix": "api", "requestId": "r", "routeKey": "ANY /v1/{proxy+}", "stage": "$default",
                "time": "25/Mar/2025:13:31:00 +0000", "timeEpoch": 1_742_909_460_000_i64,
                "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
            },
            "body": body.to_string(), "isBase64Encoded": false
        });
        lambda_http::request::from_str(&event.to_string()).unwrap()
    };
    let answer = router
        .clone()
        .oneshot(event("/v1/sources", new_source()))
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let body: Value = serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap();
    let url = body["receivingUrl"].as_str().unwrap();
    assert!(
        url.starts_with("https://api.execute-api.eu-west-1.amazonaws.com/in/in_"),
        "{url}"
    );
    // What leads back to us is refused there too.
    let ourselves = json!({"name": "loop", "url": "https://api.execute-api.eu-west-1.amazonaws.com/in/x"});
    assert_eq!(
        router.oneshot(event("/v1/webhooks", ourselves)).await.unwrap().status(),
        422
    );
}

#[tokio::test]
async fn without_any_public_url_no_source_is_created() {
    let client = Client::new();
    let settings = Settings {
        public_url: None,
        guard: Guard::new(Destinations::PublicOnly).with_resolver(Names),
    };
    let client = Client {
        router: router(client.store.clone(), FixedClock, settings),
        ..client
    };
    assert_eq!(client.create_source().await.status, 500);
    assert!(client.store.tables().sources.is_empty());
}
