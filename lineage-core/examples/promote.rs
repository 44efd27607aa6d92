//! Makes the newest version of a model live, and prints where its bytes are.
//!
//! `cargo run -p lineage-core --example promote -- PROJECT MODEL`

use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lineage_core::context::{Actor, ActorSource, Context, Identity, Silent, Timestamp};
use lineage_core::layout::Layout;
use lineage_core::names::PointerName;
use lineage_core::pointer::{
    Check, External, PointerError, PromoteRequest, Refusal, promote, resolve,
};
use lineage_core::settings::Settings;
use lineage_core::store::Registry;

#[allow(clippy::disallowed_methods, clippy::expect_used, reason = "a program may ask the time")]
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_microseconds(elapsed.as_micros() as i64).expect("a date before 10000")
}

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
    let [project, model] = arguments.as_slice() else {
        return Err("usage: promote PROJECT MODEL".into());
    };
    let identity = Identity::parse("Example Program <example@example.org>").ok_or("no name")?;
    let context = Context {
        writer: "promote-example 1.0",
        actor: Actor { identity, source: ActorSource::Flag },
        clock: &now,
        entropy: &entropy,
        observer: &Silent,
        lock_timeout: Duration::from_secs(30),
    };
    let layout = Layout::find(Path::new(project))?;
    let settings = Settings::load(&layout.settings())?;
    let mut registry = Registry::open(&layout, &context)?;

    let request = PromoteRequest {
        model: model.parse()?,
        version: None,
        pointer: PointerName::prod(),
        expect: None,
        reason: Some("nightly release".to_owned()),
        allow_quarantined: false,
        external: External::Refuse,
        dry_run: false,
    };
    match promote(&mut registry, &settings, &request, &context) {
        Ok(moved) if moved.changed => println!("{:?} → {:?}", moved.from, moved.to),
        Ok(moved) => println!("already {:?}", moved.to),
        // Errors are facts, so a program can decide instead of reading a text.
        Err(PointerError::Refused { refusal: Refusal::Lost { at_path, .. }, .. }) => {
            println!("not moved, the bytes are gone: {at_path}");
        }
        Err(other) => return Err(other.into()),
    }

    let live = registry.read(|reader| {
        resolve(reader, &request.model, &request.pointer, Check::Quickest, &Silent)
    })?;
    println!("{} (every byte verified)", layout.absolute(&live.path).display());
    Ok(())
}
