//! Remembers for a few seconds what stands behind a receiving URL, so that a burst does not read the same item again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use payload::source::Door;

/// For so long a deleted or disabled source may still take requests. They are stored, and `verify` decides about them as they stand then.
const LIFETIME: SignedDuration = SignedDuration::from_secs(5);

/// The most doors that are remembered.
const CAPACITY: usize = 1_000;

/// Doors by the hash of their token. Only those that were found: unknown tokens come from strangers, and must not push out known ones.
#[derive(Debug, Default)]
pub(crate) struct DoorCache(Mutex<HashMap<String, (Arc<Door>, Timestamp)>>);

impl DoorCache {
    pub(crate) fn get(&self, token_hash: &str, now: Timestamp) -> Option<Arc<Door>> {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors
            .get(token_hash)
            .filter(|(_, read_at)| is_fresh(*read_at, now))
            .map(|(door, _)| Arc::clone(door))
    }

    pub(crate) fn put(&self, token_hash: String, door: Arc<Door>, now: Timestamp) {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if doors.len() >= CAPACITY {
            doors.retain(|_, (_, read_at)| is_fresh(*read_at, now));
        }
        // All of them fresh: more sources are busy than are worth remembering one by one.
        if doors.len() >= CAPACITY {
            doors.clear();
        }
        doors.insert(token_hash, (door, now));
    }
}

/// A clock that was set back must not make a door last for longer.
fn is_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(read_at);
    !age.is_negative() && age < LIFETIME
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use payload::{OrganizationId, SourceId};

    fn door(at: Timestamp) -> Arc<Door> {
        Arc::new(Door {
            source: SourceId::generate(at),
            organization: OrganizationId::generate(at),
            enabled: true,
            suspended: false,
            methods: vec!["POST".into()],
            required: Vec::new(),
            credentials: Vec::new(),
            scheme: "none".into(),
            handshake: None,
            verify_token_hash: None,
            salt: String::new(),
            expires_at: None,
            success_status: 202,
        })
    }

    #[test]
    fn a_door_is_remembered_for_a_few_seconds() {
        let cache = DoorCache::default();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        cache.put("a".into(), door(now), now);
        assert!(cache.get("a", now).is_some());
        assert!(cache.get("b", now).is_none());
        assert!(cache.get("a", now + SignedDuration::from_millis(4_999)).is_some());
        assert!(cache.get("a", now + LIFETIME).is_none());
        assert!(cache.get("a", now - SignedDuration::from_secs(1)).is_none());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let cache = DoorCache::default();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let shared = door(now);
        for number in 0..3 * CAPACITY {
            cache.put(number.to_string(), Arc::clone(&shared), now);
            assert!(cache.0.lock().unwrap().len() <= CAPACITY);
        }
        assert!(cache.get(&(3 * CAPACITY - 1).to_string(), now).is_some());
        // Once the old ones have aged, they make room and the fresh ones stay.
        cache.0.lock().unwrap().clear();
        for number in 0..CAPACITY - 1 {
            cache.put(number.to_string(), Arc::clone(&shared), now - LIFETIME);
        }
        cache.put("fresh".into(), Arc::clone(&shared), now);
        cache.put("newest".into(), shared, now);
        assert_eq!(cache.0.lock().unwrap().len(), 2);
    }
}
