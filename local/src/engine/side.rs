//! The second connection to the engine's SQLite database.
//!
//! It holds what the engine does not do itself, measured on `dynoxide-rs` 3.2.0: without an index each put to a table with a stream
//! reads all of its stream records, and these are never trimmed. It also keeps how far the streams were read. Because it relies on how
//! that version lays out its tables, the layout is checked first.

use rusqlite::{Connection, OptionalExtension, params};

use super::EngineError;

/// The version of the layout that is known here.
const SCHEMA_VERSION: &str = "11";

/// The columns of the stream records in that layout, by name and type.
const STREAM_COLUMNS: &[(&str, &str)] = &[
    ("id", "INTEGER"),
    ("table_name", "TEXT"),
    ("event_name", "TEXT"),
    ("keys_json", "TEXT"),
    ("new_image", "TEXT"),
    ("old_image", "TEXT"),
    ("sequence_number", "TEXT"),
    ("shard_id", "TEXT"),
    ("created_at", "INTEGER"),
    ("user_identity", "TEXT"),
    ("event_id", "TEXT"),
];

/// What turns a stored sequence number into the 21 digits that the API shows.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// How many records one deletion takes, so that nobody waits long for it.
const TRIM_CHUNK: usize = 500;

pub(super) struct Side(Connection);

impl Side {
    /// Opens the connection and prepares the database.
    pub(super) fn open(path: &str) -> Result<Self, EngineError> {
        let side = Self(Connection::open(path)?);
        side.0.busy_timeout(std::time::Duration::from_secs(5))?;
        side.check_layout()?;
        side.0.execute_batch(
            "CREATE INDEX IF NOT EXISTS _hookline_stream_by_table
                 ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
             CREATE TABLE IF NOT EXISTS _hookline_checkpoints (
                 mapping TEXT NOT NULL,
                 stream_arn TEXT NOT NULL,
                 sequence_number TEXT NOT NULL,
                 PRIMARY KEY (mapping, stream_arn)
             );",
        )?;
        Ok(side)
    }

    fn check_layout(&self) -> Result<(), EngineError> {
        let version: Option<String> = self
            .0
            .query_row("SELECT value FROM _config WHERE key = 'schema_version'", [], |row| {
                row.get(0)
            })
            .optional()?;
        if version.as_deref() != Some(SCHEMA_VERSION) {
            let found = version.unwrap_or_else(|| "none".into());
            return Err(EngineError::Layout(format!(
                "schema version {SCHEMA_VERSION} is expected, {found} was found"
            )));
        }
        let mut statement = self
            .0
            .prepare("SELECT name, type FROM pragma_table_info('_stream_records') ORDER BY cid")?;
        let columns: Vec<(String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let as_expected = columns
            .iter()
            .map(|(name, kind)| (name.as_str(), kind.as_str()))
            .eq(STREAM_COLUMNS.iter().copied());
        if as_expected {
            Ok(())
        } else {
            Err(EngineError::Layout(
                "the table of stream records has other columns".into(),
            ))
        }
    }

    /// What SQLite says about how it would carry out a statement.
    #[cfg(test)]
    pub(super) fn plan(&self, sql: &str) -> String {
        let lines = |mut statement: rusqlite::Statement<'_>| -> rusqlite::Result<Vec<String>> {
            statement.query_map([], |row| row.get(3))?.collect()
        };
        let statement = self.0.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
        statement
            .and_then(lines)
            .map_or_else(|error| error.to_string(), |lines| lines.join("; "))
    }

    /// How far a mapping has read a stream; `None` when it has not begun.
    pub(super) fn checkpoint(&self, mapping: &str, stream_arn: &str) -> Result<Option<String>, EngineError> {
        let sql = "SELECT sequence_number FROM _hookline_checkpoints WHERE mapping = ?1 AND stream_arn = ?2";
        Ok(self
            .0
            .prepare_cached(sql)?
            .query_row(params![mapping, stream_arn], |row| row.get(0))
            .optional()?)
    }

    /// Notes how far a mapping has read a stream.
    pub(super) fn set_checkpoint(&self, mapping: &str, stream_arn: &str, sequence: &str) -> Result<(), EngineError> {
        let sql = "INSERT INTO _hookline_checkpoints (mapping, stream_arn, sequence_number) VALUES (?1, ?2, ?3)
                   ON CONFLICT (mapping, stream_arn) DO UPDATE SET sequence_number = excluded.sequence_number";
        self.0
            .prepare_cached(sql)?
            .execute(params![mapping, stream_arn, sequence])?;
        Ok(())
    }

    /// Deletes a table's stream records up to and with a public sequence number, some at a time. `false` when more remain.
    ///
    /// The newest record always stays: the engine makes the next sequence number from it, so that numbers grow even when the system's
    /// clock is set back.
    pub(super) fn trim_passed(&self, table: &str, through: &str) -> Result<bool, EngineError> {
        let Some(stored) = stored_sequence(through) else {
            return Ok(true);
        };
        let sql = "DELETE FROM _stream_records WHERE id IN (
                       SELECT id FROM _stream_records
                       WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2
                         AND CAST(sequence_number AS INTEGER) <
                             (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
                       LIMIT ?3)";
        let deleted = self.0.prepare_cached(sql)?.execute(params![table, stored, chunk()])?;
        Ok(deleted < TRIM_CHUNK)
    }

    /// Deletes a table's stream records that were made before that second since 1970, as DynamoDB does after 24 hours, some at a time.
    /// `false` when more may remain. Only the oldest are looked at: they stand in the order of their making.
    pub(super) fn trim_older(&self, table: &str, before: i64) -> Result<bool, EngineError> {
        let sql = "DELETE FROM _stream_records WHERE id IN (
                       SELECT id FROM (
                           SELECT id, created_at FROM _stream_records
                           WHERE table_name = ?1
                             AND CAST(sequence_number AS INTEGER) <
                                 (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
                           ORDER BY CAST(sequence_number AS INTEGER)
                           LIMIT ?3)
                       WHERE created_at < ?2)";
        let deleted = self.0.prepare_cached(sql)?.execute(params![table, before, chunk()])?;
        Ok(deleted < TRIM_CHUNK)
    }

    /// How many stream records of a table are kept.
    #[cfg(test)]
    pub(super) fn count(&self, table: &str) -> usize {
        let count: i64 = self
            .0
            .query_row(
                "SELECT COUNT(*) FROM _stream_records WHERE table_name = ?1",
                [table],
                |row| row.get(0),
            )
            .unwrap_or(-1);
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

fn chunk() -> i64 {
    i64::try_from(TRIM_CHUNK).unwrap_or(i64::MAX)
}

/// The number under which the engine stores what the API shows as `public`.
fn stored_sequence(public: &str) -> Option<i64> {
    i64::try_from(public.parse::<u128>().ok()?.checked_sub(SEQUENCE_OFFSET)?).ok()
}
