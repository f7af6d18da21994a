//! Query parameters that a scheme needs, and those that are secrets.

use super::*;

fn door_with_token() -> Door {
    Door {
        methods: vec!["GET".into(), "POST".into()],
        required: vec!["?token".into()],
        credentials: vec!["?token".into()],
        scheme: "token".into(),
        ..door()
    }
}

fn with_query<'a>(token: &'a IngestToken, query: &'a str) -> Event<'a> {
    Event {
        query,
        headers: json!({}),
        ..event(token.expose())
    }
}

/// What is kept in place of query parameters.
fn hashed(receipt: &Receipt) -> Vec<(&str, &str)> {
    let hashed = receipt.headers.iter().filter_map(|header| match &header.value {
        HeaderValue::Hashed(hash) if header.name.starts_with('?') => Some((header.name.as_str(), hash.as_str())),
        _ => None,
    });
    hashed.collect()
}

#[tokio::test]
async fn a_missing_or_empty_parameter_is_400_and_unstored() {
    let token = IngestToken::generate();
    let function = function(&token, door_with_token(), Ok(()));
    for query in [
        "",
        "a=b",
        "token",
        "token=",
        "token=+%20",
        "Token=x",
        "token%00=x",
        "token=&a=token",
    ] {
        let answer = answer(&function, with_query(&token, query).request()).await;
        assert_eq!(answer.status, 400, "{query}");
        let detail = "The query parameter token is missing or empty. Nothing was stored.";
        assert_eq!(answer.body["detail"], detail, "{query}");
    }
    assert!(nothing_is_stored(&function));
}

#[tokio::test]
async fn a_secret_parameter_is_kept_as_a_hash_and_the_rest_as_it_came() {
    let token = IngestToken::generate();
    let secret = salted_hash("salt", b"s3cr+t value");
    for (query, rest) in [
        ("token=s3cr%2Bt+value", ""),
        ("a=%20b&token=s3cr%2Bt%20value&&c", "a=%20b&&c"),
        ("%74oken=%733cr%2bt+value&a[b]=+", "a[b]=+"),
        ("a&token=s3cr%2Bt+value", "a"),
    ] {
        let function = function(&token, door_with_token(), Ok(()));
        assert_eq!(answer(&function, with_query(&token, query).request()).await.status, 202);
        let receipt = only(&function);
        assert_eq!(receipt.query, rest);
        assert_eq!(hashed(&receipt), [("?token", secret.as_str())]);
        assert_eq!(receipt.scheme.as_deref(), Some("token"));
        assert!(!format!("{receipt:?}").contains("cr%2"), "{receipt:?}");
    }
}

#[tokio::test]
async fn each_occurrence_is_kept_but_not_without_end() {
    let token = IngestToken::generate();
    for (times, kept) in [(2, 2), (1000, 8)] {
        let function = function(&token, door_with_token(), Ok(()));
        let query = (0..times).map(|n| format!("token={n}")).collect::<Vec<_>>().join("&");
        assert_eq!(
            answer(&function, with_query(&token, &query).request()).await.status,
            202
        );
        let receipt = only(&function);
        assert_eq!((receipt.query.as_str(), hashed(&receipt).len()), ("", kept));
        assert_eq!(hashed(&receipt)[1].1, salted_hash("salt", b"1"));
    }
}

#[tokio::test]
async fn the_ingest_token_is_not_kept_in_a_query() {
    let token = IngestToken::generate();
    let path = format!("/in/{}", token.expose());
    for query in [
        format!("a=b&from={path}&c=d"),
        format!("a=b&from={}&c=d", path.replace('_', "%5F").replace('/', "%2F")),
        format!("a=b&{path}=x&c=d"),
        format!("a=b&{path}&c=d"),
    ] {
        let function = function(
            &token,
            Door {
                required: Vec::new(),
                ..door()
            },
            Ok(()),
        );
        assert_eq!(
            answer(&function, with_query(&token, &query).request()).await.status,
            202
        );
        let receipt = only(&function);
        assert_eq!((receipt.query.as_str(), hashed(&receipt).len()), ("a=b&c=d", 1));
        assert!(!format!("{receipt:?}").contains(&token.expose()[3..]));
    }
}

proptest! {
    #[test]
    fn a_query_without_secrets_is_never_changed(query in "[a-dk-o=&+%0-9\\[\\]]{0,60}") {
        let token = IngestToken::generate();
        let function = function(&token, Door { required: Vec::new(), ..door_with_token() }, Ok(()));
        prop_assume!(payload::query::parameters(&query).all(|parameter| *parameter.name != *b"token"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(answer(&function, with_query(&token, &query).request()));
        prop_assert_eq!(answer.status, 202);
        prop_assert_eq!(only(&function).query, query);
    }
}
