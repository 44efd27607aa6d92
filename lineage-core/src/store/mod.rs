//! The registry's database: the log, and the tables that are a fold of it. Only here: rusqlite.
//!
//! [`Registry::write`] runs one transaction; in it [`Writer::append`] adds one entry to the log and
//! applies it to the tables. `apply` is the only function that writes those tables, so that making
//! them again from the log and comparing is the integrity check ([`Fold`]).

mod apply;
mod cache;
mod error;
mod fold;
mod foreign;
mod open;
mod past;
mod query;
mod schema;
mod unlocked;
mod write;

pub use cache::Cache;
pub use error::StoreError;
pub use fold::{Fold, LogProblem, RowProblem};
pub use foreign::{Cell, ForeignDatabase, ForeignError, ForeignRow};
pub use open::{Access, Registry};
pub use past::{At, Moment, Past, PastError};
pub use query::{
    DatasetColumn, DatasetRow, HistoryRow, Holding, LogFilter, OwedFile, OwedKind, PersonRow,
    PointerRow, Reader, SessionRow, StoredEntry, TrainingFilter, TrainingRow, TrainingState,
    UseRow, VersionColumn, VersionRow,
};
pub use schema::{LOG_SCHEMA, PROJECTION_SCHEMA};
pub use write::{Appended, Writer};
