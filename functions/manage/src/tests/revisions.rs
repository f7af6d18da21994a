//! ETag and If-Match.

use super::*;

impl Client {
    async fn conditional(&self, method: &str, path: &str, tag: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(CONTENT_TYPE, "application/merge-patch+json")
            .header("if-match", tag);
        let body = body.map_or_else(Body::empty, |json| Body::from(json.to_string()));
        self.send(request.body(body).unwrap()).await
    }
}

#[tokio::test]
async fn a_change_is_made_only_for_the_state_that_it_names() {
    let client = Client::new();
    let created = [client.create_source().await, client.create_webhook().await];
    for created in created {
        let path = created.header("location").unwrap().to_owned();
        let first = created.header("etag").unwrap().to_owned();
        assert_eq!(client.get(&path).await.header("etag"), Some(&*first), "{path}");
        let patched = client
            .conditional("PATCH", &path, &first, Some(json!({"name": "b"})))
            .await;
        assert_eq!(patched.status, 200, "{path}: {}", patched.text);
        let second = patched.header("etag").unwrap().to_owned();
        assert_ne!(first, second);
        assert_eq!(client.get(&path).await.header("etag"), Some(&*second), "{path}");
        for (method, body) in [("PATCH", Some(json!({"name": "c"}))), ("DELETE", None)] {
            let stale = client.conditional(method, &path, &first, body).await;
            assert_eq!(
                (stale.status, stale.text("type").as_str()),
                (412, "urn:hookline:problem:precondition-failed"),
                "{method} {path}"
            );
        }
        assert_eq!(client.get(&path).await.text("name"), "b");
        // A change of a secret alone is a change too.
        let secret = json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
        let rotated = client.post(&format!("{path}/rotate-secret"), secret).await;
        assert_eq!(rotated.status, 200, "{path}: {}", rotated.text);
        let third = rotated.header("etag").unwrap().to_owned();
        assert_ne!(second, third);
        let same = client
            .conditional("PATCH", &path, &third, Some(json!({"name": "b"})))
            .await;
        assert_eq!(
            (same.status, same.header("etag")),
            (200, Some(&*third)),
            "nothing changed"
        );
        let stale = client.conditional("DELETE", &path, &second, None).await;
        assert_eq!(stale.status, 412);
        assert_eq!(client.conditional("DELETE", &path, "*", None).await.status, 204);
        assert_eq!(client.conditional("DELETE", &path, "*", None).await.status, 404);
    }
}
