//! All integration tests of the workspace, in one binary: the library is linked once.

#![allow(unreachable_pub, reason = "modules of one binary share helpers")]
#![allow(missing_docs, reason = "tests are their own documentation")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "that is how tests fail"
)]
#![allow(clippy::disallowed_methods, reason = "tests may look at the environment")]

mod support;

mod adopt;
mod at;
mod bad_input;
mod checkout;
mod concurrency;
mod crash;
mod diff;
mod disk_full;
mod docs;
mod dry_run;
mod environment;
mod fingerprint;
mod formats;
mod graph;
mod hammer;
mod help;
mod impact;
mod import;
mod init;
mod inspect;
mod interrupt;
mod json;
mod labels_and_keys;
mod log_show_history_status;
mod metrics;
mod names;
mod pointer_file;
mod promote;
mod read_only;
mod read_together;
mod record;
mod recover;
mod reproduce;
mod resolve;
mod rollback;
mod run;
mod schema;
mod search;
mod served;
mod session;
mod story;
mod tables;
mod tidy;
mod unordered;
mod verify;
mod without_locks;
