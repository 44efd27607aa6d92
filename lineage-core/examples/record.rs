//! Records a model file from another Rust program.
//!
//! `cargo run -p lineage-core --example record -- PROJECT MODEL ARTIFACT [NAME=VALUE]…`
//!
//! The library takes the clock, the randomness and the actor from its caller; this is what a caller
//! has to bring.

use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lineage_core::context::{Actor, ActorSource, Context, Identity, Silent, Timestamp};
use lineage_core::events::{Metric, MetricValue};
use lineage_core::layout::Layout;
use lineage_core::names::MetricName;
use lineage_core::record::{RecordRequest, record};
use lineage_core::settings::Settings;
use lineage_core::store::Registry;

#[allow(clippy::disallowed_methods, clippy::expect_used, reason = "a program may ask the time")]
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_microseconds(elapsed.as_micros() as i64).expect("a date before 10000")
}

/// Randomly keyed hashing of the standard library; a real program would use `getrandom`.
fn entropy(buffer: &mut [u8]) {
    for chunk in buffer.chunks_mut(8) {
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_usize(chunk.len());
        let random = hasher.finish().to_le_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
}

#[allow(clippy::print_stdout, reason = "this is a program, not the library")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [project, model, artifact, metrics @ ..] = arguments.as_slice() else {
        return Err("usage: record PROJECT MODEL ARTIFACT [NAME=VALUE]…".into());
    };
    let identity = Identity::parse("Example Program <example@example.org>").ok_or("no name")?;
    let context = Context {
        writer: "record-example 1.0",
        actor: Actor { identity, source: ActorSource::Flag },
        clock: &now,
        entropy: &entropy,
        observer: &Silent,
        lock_timeout: Duration::from_secs(30),
    };

    let layout = Layout::planned(Path::new(project))?;
    Registry::create(&layout, &context)?; // false when there is one already
    let settings = Settings::load(&layout.settings())?;
    let mut registry = Registry::open(&layout, &context)?;

    let mut request = RecordRequest::new(model.parse()?);
    request.artifact = Some(artifact.into());
    for text in metrics {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
        let MetricName { split, name } = name.parse()?;
        let value = MetricValue::parse(value).ok_or("not a number")?;
        request.metrics.push(Metric { split, name, value });
    }
    request.normalise()?;

    let recorded = record(&mut registry, &settings, &request, &context)?;
    for warning in &recorded.warnings {
        println!("{}: {}", warning.code, warning.message);
    }
    println!("{model}@{}", recorded.version.unwrap_or(0));
    Ok(())
}
