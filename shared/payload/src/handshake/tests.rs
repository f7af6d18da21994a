#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use proptest::prelude::*;
use serde_json::json;

use super::*;

const SALT: &str = "salt";

/// A request as a test writes it.
#[derive(Debug, Clone, Default)]
struct Sent {
    method: &'static str,
    query: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    token_hash: Option<String>,
}

impl Sent {
    fn asked(&self, handshake: &Handshake) -> Option<Answer> {
        let header = |name: &str| {
            self.headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| &value[..])
        };
        handshake.answer(&Question {
            method: self.method,
            query: &self.query,
            header: &header,
            body: &self.body,
            salt: SALT,
            verify_token_hash: self.token_hash.as_deref(),
        })
    }
}

fn slack() -> Handshake {
    serde_json::from_value(json!({
        "kind": "echo-body", "pointer": "/challenge", "when": {"pointer": "/type", "is": ["url_verification"]}
    }))
    .unwrap()
}

fn graph() -> Handshake {
    serde_json::from_value(json!({"kind": "echo-query", "parameter": "validationToken"})).unwrap()
}

fn meta() -> Handshake {
    serde_json::from_value(json!({"kind": "hub-challenge"})).unwrap()
}

fn cloudevents() -> Handshake {
    serde_json::from_value(json!({"kind": "cloudevents"})).unwrap()
}

fn echoed(text: &str) -> Option<Answer> {
    Some(Answer::Echo(text.into()))
}

fn posted(body: impl Into<Vec<u8>>) -> Option<Answer> {
    let sent = Sent {
        method: "POST",
        body: body.into(),
        ..Sent::default()
    };
    sent.asked(&slack())
}

fn asked(handshake: &Handshake, method: &'static str, query: &str) -> Option<Answer> {
    let sent = Sent {
        method,
        query: query.into(),
        token_hash: Some(salted_hash(SALT, b"t+o ken")),
        ..Sent::default()
    };
    sent.asked(handshake)
}

fn allowed(headers: &[(&'static str, &[u8])]) -> Option<Answer> {
    let sent = Sent {
        method: "OPTIONS",
        headers: headers.iter().map(|(name, value)| (*name, value.to_vec())).collect(),
        ..Sent::default()
    };
    sent.asked(&cloudevents())
}

#[test]
fn a_body_of_the_right_type_gets_its_challenge_back() {
    let question = r#"{"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY", "type": "url_verification"}"#;
    assert_eq!(posted(question), echoed("3eZbrw1aBm2rZgRNFdxV2595E9CY"));
    assert_eq!(
        posted(format!("\u{feff} {question}")),
        echoed("3eZbrw1aBm2rZgRNFdxV2595E9CY")
    );
    assert_eq!(
        posted(r#"{"type":"url_verification","challenge":"a\u0062c é"}"#),
        echoed("abc é")
    );
}

#[test]
fn what_is_no_question_in_a_body_is_none() {
    for body in [
        "",
        "null",
        r#"{"type":"event_callback","challenge":"abc"}"#,
        r#"{"type":"url_verification"}"#,
        r#"{"type":"url_verification","challenge":1}"#,
        r#"{"type":"url_verification","challenge":{"a":"b"}}"#,
        r#"[{"type":"url_verification","challenge":"abc"}]"#,
        r#"{"type":"url_verification","challenge":"abc""#,
        r#"{"type":"url_verification","challenge":"abc","type":"event_callback"}"#,
        "type=url_verification&challenge=abc",
    ] {
        assert_eq!(posted(body), None, "{body}");
    }
    let mut sent = Sent {
        method: "GET",
        body: br#"{"type":"url_verification","challenge":"abc"}"#.to_vec(),
        ..Sent::default()
    };
    assert_eq!(sent.asked(&slack()), None);
    sent.method = "POST";
    assert_eq!(sent.asked(&slack()), echoed("abc"));
    sent.body.resize(MAX_QUESTION_BYTES, b' ');
    assert_eq!(sent.asked(&slack()), echoed("abc"));
    sent.body.push(b' ');
    assert_eq!(sent.asked(&slack()), None, "longer than what is looked at");
}

#[test]
fn what_would_be_too_long_or_has_control_characters_is_refused() {
    let with = |challenge: &str| posted(json!({"type": "url_verification", "challenge": challenge}).to_string());
    let longest = "a".repeat(MAX_ECHO_BYTES);
    assert_eq!(with(&longest), echoed(&longest));
    assert_eq!(with(&"é".repeat(MAX_ECHO_BYTES / 2 + 1)), Some(Answer::Refused));
    for bad in ["", "a\nb", "a\0", "\u{7f}", "\u{85}"] {
        assert_eq!(with(bad), Some(Answer::Refused), "{bad:?}");
    }
}

#[test]
fn a_query_parameter_is_sent_back_decoded() {
    let ask = |query| asked(&graph(), "POST", query);
    assert_eq!(
        ask("validationToken=Validation%3a+Testing+client%20application&x=1"),
        echoed("Validation: Testing client application")
    );
    assert_eq!(ask("a=b&%76alidationToken=%C3%A9"), echoed("é"));
    assert_eq!(asked(&graph(), "GET", "validationToken=a"), echoed("a"));
    assert_eq!(ask("validationToken=%3Cscript%3E"), echoed("<script>"));
    for none in ["", "a=b", "validationtoken=a", "validationToken[]=a"] {
        assert_eq!(ask(none), None, "{none}");
    }
    let too_long = format!("validationToken={}", "a".repeat(MAX_ECHO_BYTES + 1));
    for bad in [
        "validationToken",
        "validationToken=",
        "validationToken=a&validationToken=a",
        "validationToken=%ff",
        &too_long,
    ] {
        assert_eq!(ask(bad), Some(Answer::Refused), "{bad}");
    }
}

#[test]
fn a_subscription_with_the_right_token_gets_its_challenge_back() {
    let ask = |query: &str| asked(&meta(), "GET", query);
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=t%2Bo+ken";
    assert_eq!(ask(right), echoed("1158201444"));
    assert_eq!(ask(&format!("{right}&x=1")), echoed("1158201444"));
    for bad in [
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=t+o+ken",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=t%2Bo+ken&hub.verify_token=x",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=t%2Bo+ken",
        "hub.mode=subscribe&hub.mode=subscribe&hub.challenge=1&hub.verify_token=t%2Bo+ken",
        "hub.challenge=1&hub.verify_token=t%2Bo+ken",
        "hub.mode=subscribe&hub.verify_token=t%2Bo+ken",
        "hub.mode=subscribe&hub.challenge=%0a&hub.verify_token=t%2Bo+ken",
        "hub.mode=denied",
    ] {
        assert_eq!(ask(bad), Some(Answer::Refused), "{bad}");
    }
    assert_eq!(ask("mode=subscribe&challenge=1"), None);
    assert_eq!(asked(&meta(), "POST", right), None);
}

#[test]
fn without_a_token_of_the_source_no_token_is_right() {
    for (token_hash, token) in [
        (None, ""),
        (None, "x"),
        (Some(salted_hash(SALT, b"")), ""),
        (Some(String::new()), ""),
        (Some("x".into()), "x"),
    ] {
        let sent = Sent {
            method: "GET",
            query: format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}"),
            token_hash,
            ..Sent::default()
        };
        assert_eq!(sent.asked(&meta()), Some(Answer::Refused), "{sent:?}");
    }
}

#[test]
fn an_origin_that_asks_is_allowed() {
    let origin = ("webhook-request-origin", &b"eventemitter.example.com"[..]);
    let answer = |rate: &str| {
        let origin = "eventemitter.example.com".to_owned();
        Some(Answer::AllowOrigin {
            origin,
            rate: rate.into(),
        })
    };
    assert_eq!(allowed(&[origin]), answer("*"));
    assert_eq!(allowed(&[origin, ("webhook-request-rate", b"120")]), answer("120"));
    for odd in ["0", "-1", "+1", "1.5", "ten", "", " ", "99999999999"] {
        assert_eq!(
            allowed(&[origin, ("webhook-request-rate", odd.as_bytes())]),
            answer("*"),
            "{odd}"
        );
    }
    assert_eq!(allowed(&[]), None);
    assert_eq!(allowed(&[("webhook-request-rate", b"1")]), None);
    assert!(matches!(
        allowed(&[("webhook-request-origin", &[b'a'; 255])]),
        Some(Answer::AllowOrigin { .. })
    ));
    let bad: [&[u8]; 6] = [
        b"",
        b"a b",
        b"a\r\nset-cookie: x",
        b"a\x7f",
        "é".as_bytes(),
        &[b'a'; 256],
    ];
    for bad in bad {
        assert_eq!(
            allowed(&[("webhook-request-origin", bad)]),
            Some(Answer::Refused),
            "{bad:?}"
        );
    }
    let mut sent = Sent {
        method: "POST",
        headers: vec![(origin.0, origin.1.to_vec())],
        ..Sent::default()
    };
    assert_eq!(sent.asked(&cloudevents()), None, "each delivery names its origin too");
    sent.method = "OPTIONS";
    assert_eq!(sent.asked(&cloudevents()), answer("*"));
}

fn any_request() -> impl Strategy<Value = Sent> {
    let name = prop_oneof![
        Just("validationToken"),
        Just("hub.mode"),
        Just("hub.verify_token"),
        Just("hub.challenge"),
        Just("a")
    ];
    let value = prop_oneof![
        Just("subscribe".to_owned()),
        Just("token".to_owned()),
        "[a-z%0-9+é\u{1}]{0,8}",
        "[a-f]{1020,1030}"
    ];
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    let query = prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&"));
    let text = prop_oneof![any::<String>(), "[a-f]{1020,1030}"];
    let question = text.prop_map(|text| {
        json!({"type": "url_verification", "challenge": text})
            .to_string()
            .into_bytes()
    });
    let body = prop_oneof![prop::collection::vec(any::<u8>(), 0..100), question];
    let header = (
        prop_oneof![Just("webhook-request-origin"), Just("webhook-request-rate")],
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..10),
            prop::collection::vec(b'a'..=b'f', 250..260)
        ],
    );
    let headers = prop::collection::vec(header, 0..3);
    let method = prop_oneof![Just("GET"), Just("POST"), Just("OPTIONS")];
    (method, query, headers, body, any::<bool>()).prop_map(|(method, query, headers, body, has_token)| Sent {
        method,
        query,
        headers,
        body,
        token_hash: has_token.then(|| salted_hash(SALT, b"token")),
    })
}

proptest! {
    #[test]
    fn only_what_was_sent_is_sent_back_and_never_more_than_the_limit(sent in any_request()) {
        for handshake in [slack(), graph(), meta(), cloudevents()] {
            match sent.asked(&handshake) {
                None | Some(Answer::Refused) => {}
                Some(Answer::Echo(word)) => {
                    prop_assert!((1..=MAX_ECHO_BYTES).contains(&word.len()));
                    prop_assert!(!word.chars().any(char::is_control));
                    let in_query = url::form_urlencoded::parse(sent.query.as_bytes()).any(|(_, value)| value == word);
                    let body = serde_json::from_slice::<serde_json::Value>(&sent.body).unwrap_or_default();
                    prop_assert!(in_query || body["challenge"] == word);
                }
                Some(Answer::AllowOrigin { origin, rate }) => {
                    prop_assert!((1..=255).contains(&origin.len()));
                    prop_assert!(sent.headers.iter().any(|(_, value)| value == origin.as_bytes()));
                    prop_assert!(rate == "*" || rate.parse::<u32>().is_ok());
                }
            }
        }
    }

    #[test]
    fn a_wrong_token_never_opens(token in "[a-z%+&=]{0,12}") {
        let query = format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}");
        prop_assert_eq!(asked(&meta(), "GET", &query), Some(Answer::Refused));
    }
}
