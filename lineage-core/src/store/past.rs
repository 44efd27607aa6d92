//! The registry as it was: what earlier entries of the log say, and nothing after them.

use std::fmt;
use std::str::FromStr;

use rusqlite::Connection;
use serde::Serialize;

use super::apply;
use super::error::StoreError;
use super::fold::private_beside;
use super::query::{Reader, int};
use super::schema;
use crate::context::Timestamp;
use crate::events::Entry;
use crate::layout::Layout;
use crate::names::ModelName;
use crate::search::When;

/// A point in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the entry with this number.
    Entry(u64),
    /// After the last entry whose time, taken as the latest of its own and all before it, is not
    /// later. So a clock that ran back changes nothing in the order of the log.
    Time(Timestamp),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if let Some(number) = text.strip_prefix("seq:") {
            return number
                .parse()
                .map(Moment::Entry)
                .map_err(|_| "after seq: stands the number of a log entry, e.g. seq:7".to_owned());
        }
        match text.parse() {
            Ok(When::Moment(time)) => Ok(Moment::Time(time)),
            Ok(When::Day(_, next)) => {
                Timestamp::from_unix_microseconds(next.unix_microseconds() - 1)
                    .map(Moment::Time)
                    .ok_or_else(|| "there is no such day".to_owned())
            }
            Err(()) => {
                Err("write 2026-03-01 (the end of that day in UTC), 2026-03-01T09:30:00Z or \
                            seq:7 (a log entry)"
                    .to_owned())
            }
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Entry(seq) => write!(f, "seq:{seq}"),
            Moment::Time(time) => time.fmt(f),
        }
    }
}

/// The last entry that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct At {
    /// Its number.
    pub seq: u64,
    /// Its time.
    pub time: Timestamp,
}

/// The registry has no such past.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// Before its first entry.
    #[error("there was no registry yet at {moment}; its log begins at {first}")]
    TooEarly {
        /// As asked for.
        moment: Moment,
        /// The time of the first entry.
        first: Timestamp,
    },
    /// An entry that is not written yet.
    #[error("there is no log entry {seq}; the last one is {head}")]
    NoEntry {
        /// As asked for.
        seq: u64,
        /// The last entry.
        head: u64,
    },
    /// The registry could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The registry as it was after an entry. Its [`Reader`] answers from this state: pointers, their
/// stacks, quarantine and history are made again from the log up to the entry; versions, sessions and
/// the log itself are seen without what came later.
pub struct Past {
    connection: Connection,
    layout: Layout,
    id: String,
    /// The last entry that counts.
    pub at: At,
}

/// The tables that change with time, and not only by getting more rows.
const MADE_AGAIN: [&str; 6] =
    ["pointer", "holding", "held", "quarantine", "pointer_history", "latest_time"];

/// The tables that only get more rows, and which entry made a row.
const GROWING: [(&str, &str); 7] = [
    ("event", "seq"),
    ("model", "created_seq"),
    ("session", "completed_seq"),
    ("version", "seq"),
    ("dataset_use", "completed_seq"),
    ("metric", "completed_seq"),
    ("parameter", "completed_seq"),
];

/// The moves of pointers up to an entry. CROSS JOIN: from the few moves to their entries, not through the
/// whole log.
const MOVES: &str = "SELECT entry FROM live.pointer_history AS history \
    CROSS JOIN live.event ON event.seq = history.seq \
    WHERE history.seq <= ?1 AND (?2 IS NULL OR history.model = ?2) ORDER BY history.seq";

impl Past {
    /// The registry at a moment; with a model, only that model's pointers are known. What is asked of
    /// it is asked inside the [`Registry::read`](super::Registry::read) that `live` comes from.
    pub fn of(
        live: &Reader<'_>,
        moment: Moment,
        model: Option<&ModelName>,
    ) -> Result<Past, PastError> {
        let at = point(live, moment)?;
        Ok(open(live, at, model)?)
    }

    /// Answers as it would have then.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.connection, &self.layout, &self.id)
    }
}

fn point(reader: &Reader<'_>, moment: Moment) -> Result<At, PastError> {
    let time = |seq| Ok::<_, StoreError>(entry_of(reader, seq)?.time);
    let seq = match moment {
        Moment::Entry(seq) => {
            let head = reader.head()?.map_or(0, |(head, _)| head);
            if seq > head {
                return Err(PastError::NoEntry { seq, head });
            }
            seq
        }
        Moment::Time(until) => match reader.last_until(until)? {
            Some(seq) => seq,
            None => return Err(PastError::TooEarly { moment, first: time(0)? }),
        },
    };
    Ok(At { seq, time: time(seq)? })
}

fn entry_of(reader: &Reader<'_>, seq: u64) -> Result<Entry, StoreError> {
    let problem = "it is missing from the log".to_owned();
    let stored = reader.entry(seq)?.ok_or(StoreError::Inapplicable { seq, problem })?;
    Ok(Entry::parse(&stored.bytes)?)
}

fn open(live: &Reader<'_>, at: At, model: Option<&ModelName>) -> Result<Past, StoreError> {
    let layout = live.layout().clone();
    let path = layout.database();
    let located = |error| StoreError::sqlite(error, &path);
    let connection = private_beside(live)?;
    connection.pragma_update(None, "foreign_keys", false).map_err(located)?;
    connection.execute_batch("BEGIN").map_err(located)?;
    schema::create_projections(&connection).map_err(located)?;
    schema::keep_only(&connection, &MADE_AGAIN).map_err(located)?;
    {
        let mut entries = connection.prepare(MOVES)?;
        let mut rows = entries.query((int(at.seq), model.map(ModelName::as_str)))?;
        while let Some(row) = rows.next()? {
            let entry = Entry::parse(row.get_ref(0)?.as_blob().unwrap_or_default())?;
            apply::apply(&connection, &entry, &entry.event()?)?;
        }
    }
    for (table, seq) in GROWING {
        connection
            .execute_batch(&format!(
                "CREATE TEMP VIEW {table} AS SELECT * FROM live.{table} WHERE {seq} <= {}",
                at.seq
            ))
            .map_err(located)?;
    }
    Ok(Past { connection, layout, id: live.id().to_owned(), at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_does_not_look_through_the_whole_log() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        schema::create_projections(&connection).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", MOVES.replace("live.", ""));
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map((1, None::<&str>), |row| row.get::<_, String>(3)).unwrap();
        let plan = rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n");
        assert!(plan.contains("SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
    }
}
