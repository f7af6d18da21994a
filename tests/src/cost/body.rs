//! Bodies to measure with, the same in each run.

use serde_json::{Value, json};

/// How well a body can be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// As webhooks are: JSON with names that come again, ids, numbers, times and words.
    Usual,
    /// As little as JSON can be: one text of random letters and digits, six bits in each byte.
    Noise,
}

/// Numbers that look like chance, from a seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        // Knuth's MMIX generator; its upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn text(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..length)
            .map(|_| char::from(LETTERS[usize::try_from(self.next(64)).expect("below 64")]))
            .collect()
    }

    fn words(&mut self, count: usize) -> String {
        const WORDS: [&str; 16] = [
            "revenue",
            "guidance",
            "quarter",
            "the",
            "of",
            "margin",
            "we",
            "expect",
            "growth",
            "in",
            "operating",
            "cash",
            "and",
            "segment",
            "outlook",
            "year",
        ];
        let words: Vec<&str> = (0..count)
            .map(|_| WORDS[usize::try_from(self.next(16)).expect("below 16")])
            .collect();
        words.join(" ")
    }
}

/// A body of exactly so many bytes, at least 300, in the shape of Quartr's messages.
#[must_use]
pub fn body(bytes: usize, content: Content) -> Vec<u8> {
    let mut chance = Chance(42);
    let mut parts: Vec<Value> = Vec::new();
    if content == Content::Usual {
        loop {
            let part = json!({
                "id": 4_000_000 + chance.next(999_999),
                "speaker": format!("spk_{}", chance.text(8)),
                "startsAt": format!("2025-03-25T13:{:02}:{:02}.{:03}Z", chance.next(60), chance.next(60), chance.next(1000)),
                "confidence": f64::from(u32::try_from(chance.next(10_000)).expect("small")) / 10_000.0,
                "isFinal": chance.next(2) == 0,
                "text": chance.words(9),
            });
            let mut more = parts.clone();
            more.push(part);
            if written(&more, "").len() > bytes {
                break;
            }
            parts = more;
        }
    }
    // What is left is filled up to the byte.
    let left = bytes - written(&parts, "").len();
    let mut text = match content {
        Content::Usual => chance.words(left / 3 + 1),
        Content::Noise => chance.text(left),
    };
    text.truncate(left);
    let body = written(&parts, &text);
    assert_eq!(body.len(), bytes, "a body has the length that is asked for");
    body
}

fn written(parts: &[Value], text: &str) -> Vec<u8> {
    json!({
        "type": "live.audio.updated",
        "timestamp": "2025-03-25T13:31:00.000Z",
        "data": {"id": 328_350, "companyId": 4742, "eventId": 128_301, "state": "live", "parts": parts, "note": text},
        "previousAttributes": {"state": "notLive"},
    })
    .to_string()
    .into_bytes()
}
