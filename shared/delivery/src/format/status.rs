//! What a change of status means, in the words of people.

use payload::change::ReadableChange;

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    /// Something works that did not.
    Good,
    /// Something should be looked at.
    Warning,
    /// Something does not work.
    Bad,
}

impl Signal {
    /// What stands before a title.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Good => "🟢 ",
            Self::Warning => "🟡 ",
            Self::Bad => "🔴 ",
        }
    }
}

/// What a change of status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// In words.
    pub(super) words: &'static str,
    /// How good it is, where that can be said.
    pub(super) signal: Option<Signal>,
}

/// What the words of many providers have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Live,
    Waiting,
    Degraded,
    Down,
    Failed,
    Ended,
    Recorded,
}

fn state(word: &str) -> Option<State> {
    let plain: String = word
        .chars()
        .take(40)
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    Some(match plain.as_str() {
        "up" | "active" | "online" | "ok" | "running" | "started" | "available" | "healthy" | "connected"
        | "normal" => State::Up,
        "live" => State::Live,
        "ready" | "standby" | "idle" | "scheduled" | "pending" | "configuring" | "starting" | "notlive"
        | "willbelive" => State::Waiting,
        "warning" | "degraded" | "unstable" => State::Degraded,
        "down" | "offline" | "lost" | "unavailable" | "disconnected" => State::Down,
        "error" | "failed" | "failing" | "unhealthy" | "critical" => State::Failed,
        "stopped" | "ended" | "finished" | "completed" | "closed" | "processingrecording" => State::Ended,
        "recordingavailable" => State::Recorded,
        _ => return None,
    })
}

/// What this change means, if it is one of a status and its words are known.
pub(super) fn meaning(change: &ReadableChange) -> Option<Meaning> {
    if !is_status(change) {
        return None;
    }
    let now = state(change.current.as_deref()?)?;
    let before = change.previous.as_deref().and_then(state);
    if before == Some(now) {
        return None;
    }
    let is_failover = change.code.eq_ignore_ascii_case("failover");
    let (words, signal) = match (before, now) {
        (_, State::Failed) => ("has failed", Some(Signal::Bad)),
        (Some(State::Up | State::Live | State::Degraded), State::Down) => ("went down", Some(Signal::Bad)),
        (_, State::Down) => ("is down", Some(Signal::Bad)),
        (Some(State::Waiting), State::Up) if is_failover => ("took over", Some(Signal::Warning)),
        (Some(State::Down), State::Up | State::Live) => ("is back", Some(Signal::Good)),
        (Some(State::Degraded | State::Failed), State::Up | State::Live) => ("is well again", Some(Signal::Good)),
        (Some(State::Down), State::Waiting) => ("is back on standby", Some(Signal::Good)),
        (Some(State::Up), State::Waiting) if is_failover => ("is on standby again", Some(Signal::Good)),
        (_, State::Degraded) => ("needs attention", Some(Signal::Warning)),
        (_, State::Live) => ("is live now", Some(Signal::Good)),
        (Some(State::Live), State::Waiting) => ("is no longer live", None),
        (_, State::Ended) => ("has ended", None),
        (_, State::Recorded) => ("the recording is available", None),
        _ => return None,
    };
    Some(Meaning { words, signal })
}

/// Whether it says so itself, or its last word does: `state`, `liveStatus`, `stream_state`.
fn is_status(change: &ReadableChange) -> bool {
    let is_last_word = |word: &str| {
        let code = change.code.as_bytes();
        let Some(start) = code.len().checked_sub(word.len()) else {
            return false;
        };
        let (before, last) = code.split_at(start);
        last.eq_ignore_ascii_case(word.as_bytes())
            && (last[0].is_ascii_uppercase() || before.last().is_none_or(|byte| byte.is_ascii_punctuation()))
    };
    change.kind == "status" || is_last_word("state") || is_last_word("status")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(kind: &str, code: &str, previous: Option<&str>, current: &str) -> Option<&'static str> {
        let change = ReadableChange {
            kind: kind.into(),
            code: code.into(),
            previous: previous.map(Into::into),
            current: Some(current.into()),
        };
        meaning(&change).map(|meaning| meaning.words)
    }

    #[test]
    fn known_words_have_a_meaning() {
        assert_eq!(words("status", "main", Some("active"), "down"), Some("went down"));
        assert_eq!(words("status", "main", Some("configuring"), "down"), Some("is down"));
        assert_eq!(words("status", "main", Some("down"), "active"), Some("is back"));
        assert_eq!(words("status", "failover", Some("ready"), "active"), Some("took over"));
        assert_eq!(
            words("status", "status", Some("active"), "warning"),
            Some("needs attention")
        );
        assert_eq!(words("field", "state", Some("notLive"), "live"), Some("is live now"));
        assert_eq!(
            words("field", "state", Some("live"), "recordingAvailable"),
            Some("the recording is available")
        );
        assert_eq!(words("status", "main", None, "DOWN"), Some("is down"));
        assert_eq!(
            words("status", "payment", Some("pending"), "failed"),
            Some("has failed")
        );
    }

    #[test]
    fn other_words_and_other_fields_have_none() {
        assert_eq!(words("status", "main", Some("active"), "purple"), None);
        assert_eq!(words("status", "main", Some("ready"), "active"), None);
        assert_eq!(words("status", "main", Some("down"), "offline"), None);
        assert_eq!(words("field", "title", Some("up"), "down"), None);
        assert_eq!(words("field", "estate", Some("up"), "down"), None);
        assert_eq!(words("field", "éstate", Some("up"), "down"), None);
        assert_eq!(words("field", "liveState", Some("up"), "down"), Some("went down"));
        assert_eq!(words("field", "stream_status", Some("up"), "down"), Some("went down"));
    }
}
