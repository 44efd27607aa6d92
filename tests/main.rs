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

mod docs;
mod story;
mod tidy;
