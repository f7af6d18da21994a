#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use std::sync::Mutex;

use lambda_http::request::RequestContext;
use lambda_http::{Body as LambdaBody, RequestExt};
use store::clock::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

type Seen = Arc<Mutex<Vec<lambda_http::Request>>>;

/// A front with `ANY /in/{token}`, `ANY /v1/{proxy+}` and `GET /page`, all to one function.
async fn front(
    handler: HttpHandler,
    timeout: Duration,
) -> (
    SocketAddr,
    tokio::sync::oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let route = |method: Option<&str>, path: &str| Route {
        method: method.map(str::to_owned),
        path: path.to_owned(),
    };
    let routes = vec![
        route(None, "/in/{token}"),
        route(None, "/v1/{proxy+}"),
        route(Some("GET"), "/page"),
    ];
    let integration = Integration {
        routes,
        handler,
        timeout,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async {
        stopped.await.ok();
    };
    let task = tokio::spawn(async {
        serve(listener, vec![integration], Arc::new(SystemClock), stopped)
            .await
            .unwrap()
    });
    (address, stop, task)
}

fn seeing(seen: &Seen) -> HttpHandler {
    let seen = Arc::clone(seen);
    Arc::new(move |request| {
        seen.lock().unwrap().push(request);
        Box::pin(async {
            Ok(Response::builder()
                .status(202)
                .header("x-a", "b")
                .body(Body::from("done"))
                .unwrap())
        })
    })
}

/// Sends bytes as they are, and reads the answer to its end.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    // A front that refuses early may have closed before everything was written.
    stream.write_all(request).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn with_body(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: hub.example\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_request_arrives_as_api_gateway_hands_it_over() {
    let seen = Seen::default();
    let (address, _stop, _task) = front(seeing(&seen), LONG).await;
    let headers = "Content-Type: application/json\r\nX-Twice: 1\r\nx-twice: 2\r\nCookie: a=1; b=2\r\n";
    let answer = raw(address, &with_body("/in/to%20ken?a=%2F&a=2&c", headers, b"{\"x\":1}")).await;
    assert!(
        answer.starts_with("HTTP/1.1 202") && answer.contains("x-a: b") && answer.ends_with("done"),
        "{answer}"
    );
    let request = seen.lock().unwrap().remove(0);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().query(), Some("a=%2F&a=2&c"));
    assert_eq!(request.uri().host(), Some("hub.example"));
    assert_eq!(request.raw_http_path(), "/in/to%20ken");
    assert_eq!(request.path_parameters().first("token"), Some("to ken"));
    assert_eq!(request.query_string_parameters().all("a").unwrap(), ["/", "2"]);
    assert_eq!(request.headers()["x-twice"], "1,2");
    assert_eq!(request.headers().get_all("x-twice").iter().count(), 1);
    assert_eq!(request.headers()["cookie"], "a=1; b=2");
    assert_eq!(request.headers()["x-forwarded-for"], "127.0.0.1");
    assert!(matches!(request.body(), LambdaBody::Text(text) if text == "{\"x\":1}"));
    let RequestContext::ApiGatewayV2(context) = request.request_context() else {
        panic!("another context")
    };
    assert_eq!(context.http.method, "POST");
    assert_eq!(context.route_key.as_deref(), Some("ANY /in/{token}"));
    assert_eq!(context.domain_name.as_deref(), Some("hub.example"));
}

#[tokio::test]
async fn questions_without_a_body_arrive_with_their_method_and_query() {
    let seen = Seen::default();
    let (address, _stop, _task) = front(seeing(&seen), LONG).await;
    for (method, query) in [
        ("HEAD", None),
        (
            "GET",
            Some("hub.mode=subscribe&hub.challenge=1&sender[id]=2&sender%5Bid%5D=+"),
        ),
        ("OPTIONS", None),
    ] {
        let target = query.map_or_else(|| "/in/a".to_owned(), |query| format!("/in/a?{query}"));
        let headers = "Host: hub.example\r\nWebHook-Request-Origin: events.example\r\nConnection: close\r\n\r\n";
        let answer = raw(address, format!("{method} {target} HTTP/1.1\r\n{headers}").as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 202") && answer.contains("x-a: b"),
            "{answer}"
        );
        assert_eq!(answer.ends_with("\r\n\r\n"), method == "HEAD", "{answer}");
        let request = seen.lock().unwrap().remove(0);
        assert_eq!((request.method().as_str(), request.uri().query()), (method, query));
        assert_eq!(request.headers()["webhook-request-origin"], "events.example");
        assert!(matches!(request.body(), LambdaBody::Empty));
    }
}

#[tokio::test]
async fn bytes_arrive_as_they_were_sent() {
    let seen = Seen::default();
    let (address, _stop, _task) = front(seeing(&seen), LONG).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let cases: [(&str, &[u8], bool); 5] = [
        ("Content-Type: application/octet-stream\r\n", &every_byte, true),
        ("Content-Type: application/json\r\n", &every_byte, true),
        (
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            b"{}",
            true,
        ),
        (
            "Content-Type: text/plain; charset=utf-8\r\n",
            "é\r\n\t ".as_bytes(),
            false,
        ),
        ("", b"", false),
    ];
    for (headers, body, binary) in cases {
        raw(address, &with_body("/in/a", headers, body)).await;
        let request = seen.lock().unwrap().remove(0);
        assert_eq!(&request.body()[..], body);
        assert_eq!(matches!(request.body(), LambdaBody::Binary(_)), binary, "{headers}");
    }
}

#[tokio::test]
async fn routes_are_those_of_the_template() {
    let seen = Seen::default();
    let (address, _stop, _task) = front(seeing(&seen), LONG).await;
    let ask = async |line: &str| {
        let answer = raw(
            address,
            format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        answer[9..12].to_owned()
    };
    for line in ["GET /in/x", "OPTIONS /in/x", "DELETE /v1/a/b/c", "GET /page"] {
        assert_eq!(ask(line).await, "202", "{line}");
    }
    for line in ["POST /page", "GET /", "GET /in", "GET /in/a/b", "GET /v1", "GET /v2/a"] {
        assert_eq!(ask(line).await, "404", "{line}");
    }
    let greedy = seen.lock().unwrap()[2].path_parameters();
    assert_eq!(greedy.first("proxy"), Some("a/b/c"));
}

#[tokio::test]
async fn what_api_gateway_refuses_is_refused() {
    let seen = Seen::default();
    let (address, _stop, _task) = front(seeing(&seen), LONG).await;
    let long = format!("X-Long: {}\r\n", "a".repeat(MAX_HEAD_BYTES));
    assert!(
        raw(address, &with_body("/in/a", &long, b"x"))
            .await
            .starts_with("HTTP/1.1 431")
    );
    for host in ["a b", "u@a", "[", ""] {
        let request = format!("GET /in/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(
            raw(address, request.as_bytes()).await.starts_with("HTTP/1.1 400"),
            "{host}"
        );
    }
    let too_large = vec![b'x'; MAX_EVENT_BYTES + 1];
    let answer = raw(address, &with_body("/in/a", "Content-Type: text/plain\r\n", &too_large)).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    // Base64 makes four bytes of three.
    let answer = raw(
        address,
        &with_body("/in/a", "", &too_large[..MAX_EVENT_BYTES / 4 * 3 + 3]),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(seen.lock().unwrap().is_empty());
    raw(address, &with_body("/in/a", "", &too_large[..MAX_EVENT_BYTES / 4 * 3])).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_function_that_fails_is_an_answer() {
    let failing: [(HttpHandler, &str); 3] = [
        (Arc::new(|_| Box::pin(async { Err("secret reason".into()) })), "500"),
        (Arc::new(|_| Box::pin(async { panic!("secret reason") })), "500"),
        (Arc::new(|_| Box::pin(std::future::pending())), "503"),
    ];
    for (handler, expected) in failing {
        let (address, _stop, _task) = front(handler, Duration::from_millis(50)).await;
        let answer = raw(address, &with_body("/in/a", "", b"x")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")) && !answer.contains("secret"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_is_under_way_is_finished_when_it_stops() {
    let (started, release) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let (inner_started, inner_release) = (Arc::clone(&started), Arc::clone(&release));
    let handler: HttpHandler = Arc::new(move |_| {
        let (started, release) = (Arc::clone(&inner_started), Arc::clone(&inner_release));
        Box::pin(async move {
            started.notify_one();
            release.notified().await;
            Ok(Response::new(Body::from("late")))
        })
    });
    let (address, stop, task) = front(handler, LONG).await;
    let request = tokio::spawn(async move { raw(address, &with_body("/in/a", "", b"x")).await });
    started.notified().await;
    stop.send(()).unwrap();
    release.notify_one();
    assert!(request.await.unwrap().ends_with("late"));
    task.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
