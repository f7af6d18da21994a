//! The bucket of failed records, against a small server that speaks as much of S3 as is used.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use operate::FailedRecords;
use operate::failed::s3::{Bucket, BucketError};
use percent_encoding::percent_decode_str;
use rusty_s3::Credentials;
use sha2::{Digest, Sha256};
use store::clock::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

const NAME: &str = "failed-records";

const LIST: &str = r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#;

fn error(status: StatusCode, code: &str) -> Response {
    (
        status,
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>secret/name</Message></Error>"),
    )
        .into_response()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// As AWS encodes: everything but what RFC 3986 leaves alone, and what is named.
fn encoded(text: &str, alone: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if alone.as_bytes().contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// The signature that AWS would make of a request, written down from its description
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>).
fn signature(method: &str, path: &str, host: &str, query: &HashMap<String, String>) -> String {
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let signed: BTreeMap<_, _> = query.iter().filter(|(name, _)| *name != "X-Amz-Signature").collect();
    let signed: Vec<_> = signed
        .into_iter()
        .map(|(name, value)| format!("{}={}", encoded(name, ""), encoded(value, "")))
        .collect();
    let request = [
        method,
        &encoded(path, "/"),
        &signed.join("&"),
        &format!("host:{host}\n"),
        "host",
        "UNSIGNED-PAYLOAD",
    ]
    .join("\n");
    let scope = query["X-Amz-Credential"].strip_prefix("id/").unwrap();
    let text = [
        "AWS4-HMAC-SHA256",
        &query["X-Amz-Date"],
        scope,
        &hex::encode(Sha256::digest(request.as_bytes())),
    ]
    .join("\n");
    let key = scope
        .split('/')
        .fold(b"AWS4secret".to_vec(), |key, part| mac(&key, part));
    assert!(scope.ends_with("/eu-central-1/s3/aws4_request"), "{scope}");
    hex::encode(mac(&key, &text))
}

/// `GetObject`, `PutObject`, `DeleteObject` and `ListObjectsV2`, path style
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>).
async fn answer(
    State(objects): State<Objects>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    assert_eq!(query["X-Amz-Security-Token"], "session");
    let path = decoded(head.uri.path());
    let host = head.headers["host"].to_str().unwrap();
    assert_eq!(
        query["X-Amz-Signature"],
        signature(head.method.as_str(), &path, host, &query)
    );
    let path = path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if bucket != NAME {
        return error(StatusCode::FORBIDDEN, "AccessDenied");
    }
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut objects = objects.lock().unwrap();
    match (head.method, key) {
        (Method::GET, "") => {
            assert_eq!(query["list-type"], "2");
            let after = query.get("start-after").cloned().unwrap_or_default();
            let limit: usize = query["max-keys"].parse().unwrap();
            let keys = objects.keys().filter(|key| **key > after).take(limit);
            let contents: String = keys
                .map(|key| format!("<Contents><Key>{}</Key><Size>1</Size></Contents>", encoded(key, "/")))
                .collect();
            format!("<?xml version=\"1.0\"?>{LIST}<Name>{NAME}</Name><EncodingType>url</EncodingType>{contents}</ListBucketResult>").into_response()
        }
        (Method::GET, key) => match objects.get(key) {
            Some(object) => object.clone().into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        (Method::PUT, key) => {
            objects.insert(key.to_owned(), body.to_vec());
            StatusCode::OK.into_response()
        }
        (Method::DELETE, key) => {
            objects.remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

async fn serve() -> (String, Objects) {
    let objects = Objects::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&objects));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, objects)
}

fn bucket(url: &str, name: &str) -> Bucket<SystemClock> {
    let credentials = Credentials::new_with_token("id", "secret", "session");
    Bucket::new("eu-central-1", credentials, Some(url), name.into(), SystemClock).unwrap()
}

#[tokio::test]
async fn documents_are_listed_read_written_and_deleted() {
    let (url, objects) = serve().await;
    let bucket = bucket(&url, NAME);
    assert_eq!(bucket.list(None, 10).await.unwrap(), Vec::<String>::new());
    // Lambda's names, and one that is hard to write down in a URL.
    let name = |n: u32| match n {
        2 => "aws/lambda/7c0e/shardId-1/2026/11/22/2026-11-22T08.00.02 +%ü?#&=a.json".to_owned(),
        _ => format!("aws/lambda/7c0e/shardId-1/2026/11/22/2026-11-22T08.00.0{n}-a.json"),
    };
    for n in 1..4 {
        bucket
            .write(&name(n), format!("{{\"n\":{n}}}").into_bytes())
            .await
            .unwrap();
    }
    assert_eq!(objects.lock().unwrap().len(), 3);
    assert_eq!(bucket.list(None, 2).await.unwrap(), [name(1), name(2)]);
    assert_eq!(bucket.list(Some(&name(2)), 2).await.unwrap(), [name(3)]);
    for n in 2..4 {
        assert_eq!(
            bucket.read(&name(n)).await.unwrap(),
            Some(format!("{{\"n\":{n}}}").into_bytes())
        );
    }
    for _ in 0..2 {
        bucket.delete(&name(3)).await.unwrap();
    }
    assert_eq!(bucket.read(&name(3)).await.unwrap(), None);
    let large = vec![b'a'; 6 * 1024 * 1024];
    bucket.write(&name(1), large.clone()).await.unwrap();
    assert_eq!(bucket.read(&name(1)).await.unwrap(), Some(large));
}

#[tokio::test]
async fn an_error_tells_its_code_and_no_name() {
    let (url, _) = serve().await;
    let error = bucket(&url, "another").list(None, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "failed records: AccessDenied");
    let error = bucket(&url, "another").read("a").await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let nobody = bucket("http://127.0.0.1:1", NAME);
    assert_eq!(
        nobody.delete("a").await.unwrap_err().to_string(),
        "failed records: no connection"
    );
}

#[tokio::test]
async fn what_fails_for_a_moment_is_sent_again() {
    let calls = Arc::new(AtomicU32::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::clone(&calls);
    let router = Router::new().fallback(move || {
        let call = seen.fetch_add(1, Ordering::SeqCst);
        async move {
            match call {
                0 => error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
                1 => StatusCode::NO_CONTENT.into_response(),
                _ => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            }
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let bucket = bucket(&url, NAME);
    bucket.delete("a").await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let error = bucket.write("a", b"{}".to_vec()).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), calls.load(Ordering::SeqCst)),
        ("failed records: InternalError", 5)
    );
}

#[test]
fn what_is_no_place_of_a_bucket_is_refused() {
    let credentials = || Credentials::new("id", "secret");
    let bucket = |endpoint, name: &str| Bucket::new("eu-central-1", credentials(), endpoint, name.into(), SystemClock);
    assert!(bucket(None, NAME).is_ok());
    for (endpoint, name) in [
        (Some("no url"), NAME),
        (Some("ftp://127.0.0.1"), NAME),
        (None, "no host?"),
    ] {
        assert_eq!(
            bucket(endpoint, name).unwrap_err(),
            BucketError::Url,
            "{endpoint:?} {name}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            connection
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
                .await
                .unwrap();
            open.push(connection);
        }
    });
    let bucket = bucket(&url, NAME).with_timeout(Duration::from_millis(200));
    let error = bucket.read("a").await.unwrap_err();
    assert_eq!(error.to_string(), "failed records: timeout");
}
