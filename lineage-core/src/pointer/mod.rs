//! Pointers: promoting, rolling back, taking away, and answering what is live
//! (`docs/formats/registry-events.md`, Pointers).
//!
//! A pointer is a stack of holdings. Promotion pushes; rollback pops, and never toggles. What is
//! verified is what is served: the bytes at the very path that the pointer file and `resolve` name.

mod engine;
mod error;
mod external;
mod plan;
mod promote;
mod resolve;
mod rollback;
mod serve;
mod stack;
mod status;
mod unset;

pub use engine::{Moved, PointerFileState};
pub use error::{DriftedFile, PointerError, Refusal};
pub use plan::{Change, changes};
pub use promote::{Expectation, External, Plan, PromoteRequest, plan, promote};
pub use resolve::{
    Answer, Check, Differs, ResolveError, Resolved, Then, Verified, resolve, resolve_then,
    resolve_version,
};
pub use rollback::{RollbackRequest, rollback};
pub use serve::{Checkout, checkout};
pub use stack::{Walk, walk_down};
pub use status::{
    DriftReport, ModelStatus, PointerStatus, RegistryStatus, describe_external, status, status_then,
};
pub use unset::{UnsetRequest, unset};
