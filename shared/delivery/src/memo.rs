//! Reading something once, however many ask for it at the same time.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Values by key, each read once: the first who asks reads, all others wait for it. What was read is kept as long as the memo, a
/// failure as well, so that a store that is down is not asked once for each record of a batch.
#[derive(Debug)]
pub struct Memo<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            cells: Mutex::new(HashMap::new()),
        }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Memo<K, V> {
    /// The value of `key`, read by `read` unless it has been read before. When `read` panics or is dropped, the next who asks reads.
    pub async fn get<F: Future<Output = V>>(&self, key: &K, read: impl FnOnce() -> F) -> V {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            match cells.get(key) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(cells.entry(key.clone()).or_default()),
            }
        };
        cell.get_or_init(read).await.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn it_reads_once_for_each_key() {
        let memo: Arc<Memo<u8, u32>> = Arc::default();
        let reads = Arc::new(AtomicU32::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..10_u8 {
            let (memo, reads) = (Arc::clone(&memo), Arc::clone(&reads));
            tasks.spawn(async move {
                memo.get(&(i % 2), || async {
                    tokio::task::yield_now().await;
                    reads.fetch_add(1, Ordering::SeqCst)
                })
                .await
            });
        }
        while let Some(value) = tasks.join_next().await {
            assert!(value.unwrap() < 2);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn after_a_panic_the_next_reads() {
        let memo: Arc<Memo<u8, u32>> = Arc::default();
        let other = Arc::clone(&memo);
        let panicked = tokio::spawn(async move { other.get(&1, || async { panic!("in the reader") }).await }).await;
        assert!(panicked.is_err());
        assert_eq!(memo.get(&1, || async { 7 }).await, 7);
    }
}
