//! What an answer means: each platform says success, "later" and "never" in its own way.
//!
//! | format | success | later (throttled) | never: this delivery | never: the webhook is disabled too |
//! |---|---|---|---|---|
//! | `raw`, `original`, `cloudevents` | 2xx | 429 | – | 410 |
//! | `slack` | 2xx with the body `ok` | 429, `rate_limited` | 400, 413, `action_prohibited` | `no_service`, `channel_is_archived` and their like, 410 |
//! | `google_chat` | 2xx | 429, `RESOURCE_EXHAUSTED` | 400, 401, 413 | 404, 410, an invalid key |
//! | `teams` | 2xx, unless the body tells of an error | 429, also told in a 200 | 400, 401, 403, 413 | `WorkflowNotFound`, 410 |
//!
//! Everything else is tried again. Nothing here looks at more than the start of an answer's body.

use payload::webhook::Format;

/// How much of a body is looked at, in bytes.
const LOOKED_AT: usize = 4096;

/// What an answer means for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The destination took it.
    Success,
    /// It did not, and may at another time.
    Retry,
    /// It asks for patience, and has nothing against the message.
    Throttled,
    /// It never will.
    Final(Rejection),
}

/// An answer that no repetition changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// Why, in one stable word.
    pub reason: &'static str,
    /// Whether the destination is gone for every other event too, so that its webhook is to be disabled.
    pub disables: bool,
}

/// What an answer with this status and this start of a body means.
#[must_use]
pub fn verdict(format: Format, status: u16, body_start: &[u8]) -> Verdict {
    let body = String::from_utf8_lossy(&body_start[..body_start.len().min(LOOKED_AT)]);
    match format {
        Format::Raw | Format::Original | Format::Cloudevents => general(status),
        Format::Slack => slack(status, body.trim()),
        Format::GoogleChat => google_chat(status, &body),
        Format::Teams => teams(status, &body),
    }
}

/// What holds where a platform says nothing else: 2xx is success and 410 the end, as the
/// [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md) has it.
fn general(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Success,
        410 => gone("gone"),
        429 => Verdict::Throttled,
        _ => Verdict::Retry,
    }
}

fn gone(reason: &'static str) -> Verdict {
    Verdict::Final(Rejection { reason, disables: true })
}

fn refused(reason: &'static str) -> Verdict {
    Verdict::Final(Rejection {
        reason,
        disables: false,
    })
}

/// The words that end a delivery
/// ([Slack, handling errors](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors)). Those marked are about
/// the webhook or its channel, which no later message finds either; the others are about the message, or about a rule that an administrator may
/// lift.
const SLACK_WORDS: &[(&str, bool)] = &[
    ("no_service", true),
    ("no_service_id", true),
    ("no_active_hooks", true),
    ("no_team", true),
    ("team_disabled", true),
    ("invalid_token", true),
    ("channel_not_found", true),
    ("channel_is_archived", true),
    ("user_not_found", true),
    ("action_prohibited", false),
    ("posting_to_general_channel_denied", false),
    ("invalid_payload", false),
    ("invalid_blocks", false),
    ("invalid_blocks_format", false),
    ("invalid_attachments", false),
    ("too_many_attachments", false),
    ("no_text", false),
    ("missing_text_or_fallback_or_attachments", false),
    ("msg_too_long", false),
];

fn slack(status: u16, body: &str) -> Verdict {
    let is_2xx = (200..300).contains(&status);
    if is_2xx && body == "ok" {
        return Verdict::Success;
    }
    if let Some((reason, disables)) = SLACK_WORDS.iter().find(|(word, _)| *word == body) {
        return Verdict::Final(Rejection {
            reason,
            disables: *disables,
        });
    }
    match (status, body) {
        (_, "rate_limited" | "ratelimited") => Verdict::Throttled,
        // Something answered, and it was not Slack's webhook.
        (200..=299, _) => Verdict::Retry,
        (400, _) => refused("invalid_payload"),
        (413, _) => refused("too_large"),
        _ => general(status),
    }
}

/// Google's [error model](https://cloud.google.com/apis/design/errors#error_model): the status word stands in the body.
fn google_chat(status: u16, body: &str) -> Verdict {
    match status {
        // Which is how some of Google's services say that a quota is used up.
        400..=499 if body.contains("RESOURCE_EXHAUSTED") || body.contains("rateLimitExceeded") => Verdict::Throttled,
        // The key stands in the webhook's URL, and does not change.
        400..=403 if body.contains("API_KEY_INVALID") => gone("invalid_key"),
        400 => refused("invalid_argument"),
        401 => refused("unauthenticated"),
        // Chat apps may be turned off for a while, or the space's rules may change.
        403 => Verdict::Retry,
        // The space or the webhook is gone, if it is Google that says so and not something on the way.
        404 if body.contains("NOT_FOUND") => gone("not_found"),
        413 => refused("too_large"),
        _ => general(status),
    }
}

/// What a connector's endpoint says in the body of a 200
/// ([rate limits](https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors)).
const TEAMS_TOLD_ERROR: &str = "Microsoft Teams endpoint returned HTTP error ";

/// A workflow's own errors have a code in the body
/// ([Azure Logic Apps](https://learn.microsoft.com/en-us/azure/logic-apps/logic-apps-http-endpoint)). Which of them Teams workflows use is
/// not published: only what leaves no doubt disables.
fn teams(status: u16, body: &str) -> Verdict {
    if (200..300).contains(&status) {
        return match told_error(body) {
            None if body.contains("Webhook message delivery failed") => Verdict::Retry,
            None => Verdict::Success,
            Some(429) => Verdict::Throttled,
            // 400 is told of a message that it cannot read, and of a channel that was removed.
            Some(400) => refused("bad_request"),
            Some(413) => refused("too_large"),
            Some(_) => Verdict::Retry,
        };
    }
    match status {
        404 if body.contains("WorkflowNotFound") => gone("workflow_not_found"),
        // A workflow that was turned off can be turned on again.
        400..=404 if body.contains("WorkflowTriggerIsNotEnabled") => Verdict::Retry,
        400 => refused("bad_request"),
        401 | 403 => refused("unauthorized"),
        413 => refused("too_large"),
        _ => general(status),
    }
}

/// The status that a body tells of.
fn told_error(body: &str) -> Option<u16> {
    let (_, after) = body.split_once(TEAMS_TOLD_ERROR)?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    after[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLD_429: &[u8] =
        b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0,server=x";

    fn of(format: Format, status: u16, body: &str) -> Verdict {
        verdict(format, status, body.as_bytes())
    }

    #[test]
    fn for_machines() {
        for format in [Format::Raw, Format::Original, Format::Cloudevents] {
            assert_eq!(of(format, 200, "anything"), Verdict::Success);
            assert_eq!(of(format, 204, ""), Verdict::Success);
            assert_eq!(of(format, 410, ""), gone("gone"));
            assert_eq!(of(format, 429, ""), Verdict::Throttled);
            for status in [100, 301, 400, 401, 403, 404, 408, 413, 500, 503, 599] {
                assert_eq!(of(format, status, "ok"), Verdict::Retry, "{status}");
            }
        }
    }

    #[test]
    fn slack_wants_its_ok() {
        let slack = |status, body: &str| of(Format::Slack, status, body);
        assert_eq!(slack(200, "ok"), Verdict::Success);
        assert_eq!(slack(200, "ok\n"), Verdict::Success);
        assert_eq!(slack(200, "<html>Sign in</html>"), Verdict::Retry);
        assert_eq!(slack(200, ""), Verdict::Retry);
        assert_eq!(slack(302, "ok"), Verdict::Retry);
        assert_eq!(slack(429, "rate_limited"), Verdict::Throttled);
        assert_eq!(slack(429, ""), Verdict::Throttled);
        assert_eq!(slack(403, "action_prohibited"), refused("action_prohibited"));
        assert_eq!(slack(403, "invalid_token"), gone("invalid_token"));
        assert_eq!(slack(404, "no_service"), gone("no_service"));
        assert_eq!(slack(404, "no_team"), gone("no_team"));
        assert_eq!(slack(404, "channel_not_found"), gone("channel_not_found"));
        assert_eq!(slack(410, "channel_is_archived"), gone("channel_is_archived"));
        assert_eq!(slack(410, ""), gone("gone"));
        assert_eq!(slack(400, "no_text"), refused("no_text"));
        assert_eq!(slack(400, "invalid_payload"), refused("invalid_payload"));
        assert_eq!(slack(400, "something new"), refused("invalid_payload"));
        assert_eq!(slack(404, "<html>not Slack</html>"), Verdict::Retry);
        assert_eq!(slack(500, "rollup_error"), Verdict::Retry);
    }

    #[test]
    fn google_chat_says_it_in_its_error_model() {
        let google = |status, body: &str| of(Format::GoogleChat, status, body);
        let error = |status: &str| format!(r#"{{"error":{{"code":0,"message":"x","status":"{status}"}}}}"#);
        assert_eq!(google(200, "{}"), Verdict::Success);
        assert_eq!(google(429, &error("RESOURCE_EXHAUSTED")), Verdict::Throttled);
        assert_eq!(google(403, &error("RESOURCE_EXHAUSTED")), Verdict::Throttled);
        assert_eq!(google(404, &error("NOT_FOUND")), gone("not_found"));
        assert_eq!(google(404, "<html>"), Verdict::Retry);
        assert_eq!(google(403, &error("PERMISSION_DENIED")), Verdict::Retry);
        assert_eq!(google(400, &error("INVALID_ARGUMENT")), refused("invalid_argument"));
        assert_eq!(
            google(400, r#"{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}"#),
            gone("invalid_key")
        );
        assert_eq!(google(401, ""), refused("unauthenticated"));
        assert_eq!(google(503, &error("UNAVAILABLE")), Verdict::Retry);
    }

    #[test]
    fn teams_hides_errors_in_a_200() {
        let teams = |status, body: &str| of(Format::Teams, status, body);
        assert_eq!(teams(202, ""), Verdict::Success);
        assert_eq!(teams(200, "1"), Verdict::Success);
        assert_eq!(verdict(Format::Teams, 200, TOLD_429), Verdict::Throttled);
        let told = |status: u16| format!("x: {TEAMS_TOLD_ERROR}{status} with ContextId y");
        assert_eq!(teams(200, &told(413)), refused("too_large"));
        assert_eq!(teams(200, &told(400)), refused("bad_request"));
        assert_eq!(teams(200, &told(500)), Verdict::Retry);
        assert_eq!(
            teams(200, "Webhook message delivery failed with error: timeout"),
            Verdict::Retry
        );
        assert_eq!(teams(429, ""), Verdict::Throttled);
        assert_eq!(
            teams(404, r#"{"error":{"code":"WorkflowNotFound"}}"#),
            gone("workflow_not_found")
        );
        assert_eq!(teams(404, ""), Verdict::Retry);
        assert_eq!(
            teams(400, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#),
            Verdict::Retry
        );
        assert_eq!(
            teams(401, r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#),
            refused("unauthorized")
        );
        assert_eq!(teams(410, ""), gone("gone"));
        assert_eq!(teams(502, ""), Verdict::Retry);
    }

    proptest! {
        #[test]
        fn any_answer_has_a_verdict(status: u16, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for format in [Format::Raw, Format::Original, Format::Cloudevents, Format::Slack, Format::GoogleChat, Format::Teams] {
                let said = verdict(format, status, &body);
                prop_assert!(said != Verdict::Success || (200..300).contains(&status));
            }
        }

        #[test]
        fn only_a_2xx_is_ever_a_success(status in 0_u16..1000, told in 0_u32..100_000) {
            let body = format!("{TEAMS_TOLD_ERROR}{told}");
            prop_assert!(verdict(Format::Teams, status, body.as_bytes()) != Verdict::Success || told > u32::from(u16::MAX));
        }
    }
}
