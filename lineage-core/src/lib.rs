//! Model lineage and registry: fingerprints of data and models, an append-only registry of training
//! sessions, and pointers that say which version is live. No server; one folder.
//!
//! Everything the `lineage` command line does is here. The library does not print, prompt, read the
//! environment or ask the time: a [`context::Context`] brings these in.
//!
//! ```
//! use std::time::Duration;
//! use lineage_core::context::{Actor, ActorSource, Context, Identity, Silent, Timestamp};
//! use lineage_core::layout::Layout;
//! use lineage_core::pointer::{self, Expectation, External, PromoteRequest};
//! use lineage_core::record::{self, RecordRequest};
//! use lineage_core::settings::Settings;
//! use lineage_core::store::Registry;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let project = folder.path();
//! std::fs::write(project.join("model.bin"), b"weights")?;
//!
//! // The caller brings the clock, the randomness and the actor.
//! let clock = || Timestamp::from_unix_microseconds(1_772_323_200_000_000).unwrap();
//! let entropy = |buffer: &mut [u8]| buffer.fill(7);
//! let identity = Identity::parse("Ada <ada@example.org>").unwrap();
//! let context = Context {
//!     writer: "example 1.0",
//!     actor: Actor { identity, source: ActorSource::Flag },
//!     clock: &clock,
//!     entropy: &entropy,
//!     observer: &Silent,
//!     lock_timeout: Duration::from_secs(30),
//! };
//!
//! Registry::create(&Layout::planned(project)?, &context)?;
//! let mut registry = Registry::open(&Layout::find(project)?, &context)?;
//! let settings = Settings::default();
//!
//! let mut request = RecordRequest::new("fraud".parse()?);
//! request.artifact = Some(project.join("model.bin"));
//! let recorded = record::record(&mut registry, &settings, &request, &context)?;
//! assert_eq!(recorded.version, Some(1));
//!
//! let promotion = PromoteRequest {
//!     model: "fraud".parse()?,
//!     version: None,
//!     pointer: "prod".parse()?,
//!     expect: Some(Expectation::Nothing),
//!     reason: Some("first release".into()),
//!     allow_quarantined: false,
//!     external: External::Refuse,
//!     dry_run: false,
//! };
//! let moved = pointer::promote(&mut registry, &settings, &promotion, &context)?;
//! assert_eq!((moved.from, moved.to), (None, Some(1)));
//!
//! // What is live, with every byte of it read.
//! let (model, prod) = ("fraud".parse()?, "prod".parse()?);
//! let live = registry.read(|reader| {
//!     pointer::resolve(reader, &model, &prod, pointer::Check::Quickest, &Silent)
//! })?;
//! assert_eq!(live.path, "model.bin");
//! # Ok(())
//! # }
//! ```
//!
//! The map of the house is `docs/ARCHITECTURE.md`; the bytes are in `docs/formats/`.
#![deny(missing_docs)]

// Floor 0: values, names, canonical JSON, file writes, paths, what is kept out of records.
pub mod arrow;
pub mod canonical;
pub mod context;
pub mod digest;
pub mod files;
pub mod layout;
pub mod names;
pub mod redaction;

// Floor 1: what bytes are, what can happen, what is configured.
pub mod compare;
pub mod environment;
pub mod events;
pub mod fingerprint;
#[cfg(feature = "polars")]
pub mod frames;
pub mod inspect;
pub mod metadata;
pub mod objects;
pub mod pointer_file;
pub mod profile;
pub mod readers;
pub mod reproducibility;
pub mod search;
pub mod series;
pub mod settings;
pub mod table;

// Floor 2: the log and the tables.
pub mod store;

// Floor 3: finding versions, when they were live, and the files that follow from the log.
pub mod lookup;
pub mod owed;
pub mod tenure;

// Floor 4: operations.
pub mod adopt;
pub mod diff;
pub mod graph;
pub mod impact;
pub mod init;
pub mod interop;
pub mod pointer;
pub mod record;
pub mod reproduce;
pub mod session;
pub mod takeover;
pub mod verify;
