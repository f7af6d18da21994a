//! API keys: what each role may do, how keys come and go.

use payload::organization::Role;

use super::*;

impl Client {
    /// Another key of the same organization.
    pub(crate) async fn with_role(&self, role: &str) -> Self {
        let made = self.post("/v1/keys", json!({"name": role, "role": role})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        Self {
            key: made.text("key"),
            ..self.clone()
        }
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_until_it_is_revoked() {
    let admin = Client::new();
    let made = admin.post("/v1/keys", json!({"name": "CI", "role": "viewer"})).await;
    assert_eq!(made.status, 201);
    let (id, text) = (made.text("id"), made.text("key"));
    assert_eq!(made.header("location"), Some(&*format!("/v1/keys/{id}")));
    assert!(text.starts_with(&made.text("prefix")) && text.len() > 40);
    let mut shown = made.body.clone();
    shown.as_object_mut().unwrap().remove("key");
    assert_eq!(shown["lastUsed"], Value::Null);
    assert_eq!(admin.get(&format!("/v1/keys/{id}")).await.body, shown);
    assert!(admin.store.tables().keys.keys().all(|hash| !hash.contains(&text)));

    let viewer = Client {
        key: text,
        ..admin.clone()
    };
    assert_eq!(viewer.get("/v1/webhooks").await.status, 200);
    shown["lastUsed"] = json!("2025-03-25");
    let all = admin.get("/v1/keys").await.body;
    assert_eq!(all["data"].as_array().unwrap().len(), 2);
    assert!(all["data"].as_array().unwrap().contains(&shown));

    assert_eq!(admin.delete(&format!("/v1/keys/{id}")).await.status, 204);
    assert_eq!(admin.delete(&format!("/v1/keys/{id}")).await.status, 404);
    assert_eq!(viewer.get("/v1/webhooks").await.status, 401);
}

#[tokio::test]
async fn a_key_does_not_revoke_itself() {
    let admin = Client::new();
    let own = admin.get("/v1/keys").await.body["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = admin.delete(&format!("/v1/keys/{own}")).await;
    assert_eq!(
        (refused.status, refused.text("type")),
        (409, "urn:hookline:problem:own-key".into())
    );
    let other = admin.with_role("admin").await;
    assert_eq!(other.delete(&format!("/v1/keys/{own}")).await.status, 204);
    assert_eq!(admin.get("/v1/keys").await.status, 401);
}

#[tokio::test]
async fn what_a_new_key_says_is_checked() {
    let admin = Client::new();
    for (body, pointer) in [
        (json!({"role": "admin"}), "/name"),
        (json!({"name": "", "role": "admin"}), "/name"),
        (json!({"name": "a"}), "/role"),
        (json!({"name": "a", "role": "root"}), "/role"),
        (json!({"name": "a", "role": 1}), "/role"),
        (
            json!({"name": "a", "role": "admin", "organization": "org_1"}),
            "/organization",
        ),
    ] {
        let refused = admin.post("/v1/keys", body.clone()).await;
        assert_eq!(
            (refused.status, refused.text("pointer").as_str()),
            (422, pointer),
            "{body}"
        );
    }
    for _ in 0..99 {
        assert_eq!(
            admin
                .post("/v1/keys", json!({"name": "a", "role": "viewer"}))
                .await
                .status,
            201
        );
    }
    let refused = admin.post("/v1/keys", json!({"name": "a", "role": "viewer"})).await;
    assert_eq!(
        (refused.status, refused.text("detail").as_str()),
        (409, "An organization has at most 100 keys.")
    );
}

/// Each kind of request, and who may make it.
#[tokio::test]
async fn each_role_may_do_what_it_says() {
    use Role::{Admin, Editor, Publisher, Viewer};
    let admin = Client::new();
    let source = admin.create_source().await.text("id");
    let webhook = admin.create_webhook().await.text("id");
    let requests = [
        ("GET", "/v1/sources".to_owned(), &[Admin, Editor, Viewer][..]),
        ("GET", format!("/v1/sources/{source}"), &[Admin, Editor, Viewer]),
        ("POST", "/v1/sources".into(), &[Admin, Editor]),
        ("PATCH", format!("/v1/sources/{source}"), &[Admin, Editor]),
        ("DELETE", format!("/v1/sources/{source}"), &[Admin, Editor]),
        ("POST", format!("/v1/sources/{source}/reverify"), &[Admin, Editor]),
        ("POST", format!("/v1/sources/{source}/rotate-secret"), &[Admin, Editor]),
        ("POST", format!("/v1/sources/{source}/rotate-token"), &[Admin, Editor]),
        ("GET", "/v1/webhooks".into(), &[Admin, Editor, Viewer]),
        ("GET", format!("/v1/webhooks/{webhook}"), &[Admin, Editor, Viewer]),
        ("POST", "/v1/webhooks".into(), &[Admin, Editor]),
        ("PATCH", format!("/v1/webhooks/{webhook}"), &[Admin, Editor]),
        ("DELETE", format!("/v1/webhooks/{webhook}"), &[Admin, Editor]),
        (
            "POST",
            format!("/v1/webhooks/{webhook}/rotate-secret"),
            &[Admin, Editor],
        ),
        ("POST", format!("/v1/webhooks/{webhook}/test"), &[Admin, Editor]),
        ("POST", "/v1/webhooks/test-filter".into(), &[Admin, Editor, Viewer]),
        ("GET", "/v1/samples".into(), &[Admin, Editor, Viewer]),
        ("POST", "/v1/events".into(), &[Admin, Editor, Publisher]),
        (
            "GET",
            format!("/v1/events/evt_{}", "0".repeat(40)),
            &[Admin, Editor, Viewer],
        ),
        ("GET", "/v1/keys".into(), &[Admin]),
        ("POST", "/v1/keys".into(), &[Admin]),
        ("GET", "/v1/audit".into(), &[Admin]),
    ];
    for role in [Editor, Publisher, Viewer] {
        let client = admin.with_role(role.as_str()).await;
        for (method, path, allowed) in &requests {
            // A body that says nothing: whoever may ask gets another answer than the refusal, and nothing changes.
            let body = (!matches!(*method, "GET" | "DELETE")).then(|| json!({"nothing": 1}));
            if *method == "DELETE" && allowed.contains(&role) {
                continue;
            }
            let answer = client.call(method, path, body).await;
            let is_refused = answer.status == 403;
            assert_eq!(
                is_refused,
                !allowed.contains(&role),
                "{role:?} {method} {path}: {}",
                answer.text
            );
            if is_refused {
                assert_eq!(answer.text("type"), "urn:hookline:problem:forbidden");
            }
        }
    }
}

#[tokio::test]
async fn a_key_of_another_organization_reaches_no_key_of_ours() {
    let ours = Client::new();
    let theirs = ours.another();
    let id = ours.get("/v1/keys").await.body["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/keys/{id}");
    for method in ["GET", "DELETE"] {
        assert_eq!(theirs.call(method, &path, None).await.status, 404, "{method}");
    }
    let seen = theirs.get("/v1/keys").await.body;
    assert_eq!(seen["data"].as_array().unwrap().len(), 1, "their own");
    assert_eq!(ours.get(&path).await.status, 200);
}
