//! Whatever a destination does, its attempt ends within the limit, and what is recorded says what happened.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::time::Duration;

use delivery::attempt::{KEPT_ANSWER_BYTES, MAX_ANSWER_BYTES};
use delivery::{Outcome, RetryAfter};
use payload::delivery::AttemptError;
use support::{LONG, SHORT, Server, open_client, read_request, send};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A server that reads the request, writes this, and closes.
async fn answering(bytes: impl Into<Vec<u8>>) -> Server {
    let bytes = bytes.into();
    Server::start(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
        }
    })
    .await
}

/// Writes the same bytes until the other end has had enough.
async fn write_for_ever(stream: &mut TcpStream, bytes: &[u8], pause: Duration) {
    while stream.write_all(bytes).await.is_ok() {
        tokio::time::sleep(pause).await;
    }
}

async fn attempt(server: &Server, limit: Duration) -> Outcome {
    let started = tokio::time::Instant::now();
    let outcome = send(&open_client(), &server.url(), limit).await;
    // Some room for a busy machine; what is meant is that nothing hangs.
    assert!(
        started.elapsed() < limit + Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    let shown = format!("{outcome:?}");
    assert!(
        !shown.contains("secret-path") && !shown.contains("secret-query"),
        "{shown}"
    );
    outcome
}

fn result(outcome: &Outcome) -> (Option<u16>, Option<AttemptError>) {
    (outcome.attempt.status, outcome.attempt.error)
}

#[tokio::test]
async fn an_answer_is_recorded() {
    let server = answering("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello").await;
    let outcome = attempt(&server, LONG).await;
    assert_eq!(result(&outcome), (Some(201), None));
    assert_eq!(outcome.attempt.answer.as_deref(), Some("hello"));
    assert_eq!(outcome.attempt.at, support::at());
}

#[tokio::test]
async fn a_status_that_is_no_success_is_recorded_with_its_answer() {
    let server = answering("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nsad!").await;
    let outcome = attempt(&server, LONG).await;
    assert_eq!(result(&outcome), (Some(500), Some(AttemptError::Status)));
    assert_eq!(outcome.attempt.answer.as_deref(), Some("sad!"));
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let server = answering("HTTP/1.1 429 Slow Down\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n").await;
    let outcome = attempt(&server, LONG).await;
    assert_eq!(outcome.retry_after, Some(RetryAfter::Wait(Duration::from_secs(17))));
    let server = answering(b"HTTP/1.1 429 Slow Down\r\nretry-after: \xff\xff\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(attempt(&server, LONG).await.retry_after, None);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let target = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in ["301", "302", "303", "307", "308"] {
        let server = answering(format!(
            "HTTP/1.1 {status} x\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            target.url()
        ))
        .await;
        assert_eq!(
            result(&attempt(&server, LONG).await),
            (Some(status.parse().unwrap()), Some(AttemptError::Status))
        );
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn no_answer_at_all_is_a_timeout() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let outcome = attempt(&server, SHORT).await;
    assert_eq!(result(&outcome), (None, Some(AttemptError::Timeout)));
    assert!(outcome.attempt.duration_ms >= 400);
}

#[tokio::test]
async fn slow_headers_are_a_timeout() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        write_for_ever(&mut stream, b"a", Duration::from_millis(20)).await;
    })
    .await;
    assert_eq!(
        result(&attempt(&server, SHORT).await),
        (None, Some(AttemptError::Timeout))
    );
}

#[tokio::test]
async fn a_slow_body_is_a_timeout_that_keeps_its_status() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            .await;
        write_for_ever(&mut stream, b"drip", Duration::from_millis(20)).await;
    })
    .await;
    let outcome = attempt(&server, SHORT).await;
    assert_eq!(result(&outcome), (Some(200), Some(AttemptError::Timeout)));
    assert!(outcome.attempt.answer.unwrap().starts_with("drip"));
}

#[tokio::test]
async fn a_stalled_body_is_a_timeout() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(
        result(&attempt(&server, SHORT).await),
        (Some(200), Some(AttemptError::Timeout))
    );
}

#[tokio::test]
async fn an_endless_body_is_read_to_the_limit_and_no_failure() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
    ] {
        let server = Server::start(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            write_for_ever(&mut stream, &[b'x'; 16 * 1024], Duration::ZERO).await;
        })
        .await;
        let outcome = attempt(&server, LONG).await;
        assert_eq!(result(&outcome), (Some(200), None));
        assert_eq!(outcome.attempt.answer.unwrap(), "x".repeat(KEPT_ANSWER_BYTES));
        assert!(outcome.attempt.duration_ms < 20_000);
    }
}

#[tokio::test]
async fn an_answer_of_the_size_limit_is_read_whole() {
    let body = "y".repeat(MAX_ANSWER_BYTES);
    let server = answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    assert_eq!(result(&attempt(&server, LONG).await), (Some(200), None));
}

#[tokio::test]
async fn a_chunked_body_without_end_is_cut() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        write_for_ever(&mut stream, "5\r\nhello\r\n".repeat(1_000).as_bytes(), Duration::ZERO).await;
    })
    .await;
    let outcome = attempt(&server, LONG).await;
    assert_eq!(result(&outcome), (Some(200), None));
    assert!(outcome.attempt.answer.unwrap().starts_with("hellohello"));
}

#[tokio::test]
async fn a_reset_in_the_middle_is_an_error_of_the_body() {
    for (head, status) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", Some(200)),
        ("HTTP/1.1 20", None),
        ("", None),
    ] {
        let server = Server::start(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            // With a lingering time of zero, closing sends a reset.
            #[allow(deprecated, reason = "zero does not block")]
            stream.set_linger(Some(Duration::ZERO)).unwrap();
        })
        .await;
        assert_eq!(
            result(&attempt(&server, LONG).await),
            (status, Some(AttemptError::Body)),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_failure_whose_answer_breaks_off_is_still_that_failure() {
    let server = answering("HTTP/1.1 503 x\r\ncontent-length: 100\r\nretry-after: 5\r\n\r\nhalf").await;
    let outcome = attempt(&server, LONG).await;
    assert_eq!(result(&outcome), (Some(503), Some(AttemptError::Status)));
    assert!(outcome.retry_after.is_some());
}

#[tokio::test]
async fn huge_headers_are_an_error_of_the_body() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("x-header: {}\r\n", "v".repeat(8_000));
        write_for_ever(&mut stream, line.as_bytes(), Duration::ZERO).await;
    })
    .await;
    assert_eq!(result(&attempt(&server, LONG).await), (None, Some(AttemptError::Body)));
}

#[tokio::test]
async fn too_many_headers_are_an_error_of_the_body() {
    let head = (0..5_000).fold(String::from("HTTP/1.1 200 OK\r\n"), |head, i| {
        format!("{head}x-{i}: v\r\n")
    });
    let server = answering(format!("{head}content-length: 0\r\n\r\n")).await;
    assert_eq!(result(&attempt(&server, LONG).await), (None, Some(AttemptError::Body)));
}

#[tokio::test]
async fn a_flood_of_interim_answers_ends_in_a_timeout() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        write_for_ever(
            &mut stream,
            b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
            Duration::from_millis(1),
        )
        .await;
    })
    .await;
    assert_eq!(
        result(&attempt(&server, SHORT).await),
        (None, Some(AttemptError::Timeout))
    );
}

#[tokio::test]
async fn a_compressed_answer_is_not_decompressed() {
    // The first bytes of what would decompress to gigabytes: kept as they stand.
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 32768\r\n\r\n\x1f\x8b\x08\x00".to_vec();
    answer.resize(answer.len() + 32_764, 0);
    let server = answering(answer).await;
    let outcome = attempt(&server, LONG).await;
    assert_eq!(result(&outcome), (Some(200), None));
    let text = outcome.attempt.answer.unwrap();
    assert!(text.starts_with('\u{1f}') && text.len() <= KEPT_ANSWER_BYTES);
}

#[tokio::test]
async fn invalid_utf8_is_replaced() {
    let server = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab\xff\xc3".to_vec()).await;
    assert_eq!(
        attempt(&server, LONG).await.attempt.answer.as_deref(),
        Some("ab\u{fffd}\u{fffd}")
    );
}

#[tokio::test]
async fn what_is_not_http_is_an_error_of_the_body() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\0\0\0\0\0\0\0\0",
        "HTTP/1.1 99999 x\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
    ] {
        let server = answering(garbage).await;
        assert_eq!(
            result(&attempt(&server, LONG).await),
            (None, Some(AttemptError::Body)),
            "{garbage:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_is_an_error_of_the_connection() {
    let server = answering("").await;
    let gone = server.url();
    drop(server);
    let closed = async {
        // The listener goes with its task, some moments after it was told to.
        loop {
            let outcome = send(&open_client(), &gone, LONG).await;
            if outcome.attempt.error == Some(AttemptError::Connect) {
                return outcome;
            }
            tokio::task::yield_now().await;
        }
    };
    let outcome = tokio::time::timeout(LONG, closed).await.unwrap();
    assert_eq!(result(&outcome), (None, Some(AttemptError::Connect)));
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let client = open_client();
    for _ in 0..5 {
        assert_eq!(result(&send(&client, &server.url(), LONG).await), (Some(200), None));
    }
    assert_eq!(server.connections(), 1);
}
