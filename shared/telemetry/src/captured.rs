//! What was logged and measured, kept for tests.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::Metrics;
use crate::logs::{Format, subscriber};

/// Lines that were written. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// What writes here as a function does, at these levels (as in `RUST_LOG`).
    #[must_use]
    pub fn subscriber(&self, levels: &str) -> Box<dyn Subscriber + Send + Sync> {
        subscriber(Format::Json, levels, self.clone())
    }

    /// Numbers that are told here.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let lines = self.clone();
        Metrics::to(move |bytes| lines.add(bytes))
    }

    /// Takes all that was written since the last time.
    #[must_use]
    pub fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Takes the lines that were written since the last time. What is no JSON is a text.
    #[must_use]
    pub fn take_lines(&self) -> Vec<Value> {
        let text = self.take();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into()))
            .collect()
    }

    fn add(&self, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
