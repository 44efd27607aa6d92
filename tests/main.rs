//! All integration tests of the workspace, in one binary: polars and SQLite are linked once.

#![allow(missing_docs, reason = "tests are their own documentation")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how tests fail")]
#![allow(clippy::disallowed_methods, reason = "tests may look at the environment")]

mod support;

mod story;
