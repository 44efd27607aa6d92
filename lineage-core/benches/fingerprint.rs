//! The work that every command does again and again: reading bytes, naming a folder of files,
//! writing an entry, and putting one session into log and tables.

#![allow(missing_docs, reason = "criterion's macros make items that cannot be documented")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a benchmark fails")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lineage_core::context::{Actor, ActorSource, Context, Identity, Silent, Timestamp};
use lineage_core::digest::Hasher;
use lineage_core::events::{Entry, Event, Metric, MetricValue};
use lineage_core::fingerprint::{Input, fingerprint, hash_file};
use lineage_core::layout::Layout;
use lineage_core::lookup;
use lineage_core::record::{RecordRequest, record};
use lineage_core::settings::Settings;
use lineage_core::store::{Registry, StoreError};

const FILE_BYTES: usize = 64 * 1024 * 1024;
const FILES: usize = 1000;
const METRICS: usize = 20;

fn reading(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.bin");
    fs::write(&file, vec![7; FILE_BYTES]).unwrap();
    let mut group = criterion.benchmark_group("fingerprint");
    group.sample_size(20).throughput(Throughput::Bytes(FILE_BYTES as u64));
    group.bench_function("file of 64 MiB", |b| b.iter(|| hash_file(&file, &Silent).unwrap()));

    let many = folder.path().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..FILES {
        fs::write(many.join(format!("part-{number}.bin")), [number as u8; 200]).unwrap();
    }
    group.throughput(Throughput::Elements(FILES as u64));
    group.bench_function("directory of 1,000 small files", |b| {
        b.iter(|| fingerprint(&[Input::new(&many)], &Silent).unwrap());
    });
}

/// Four streams one after the other, and together.
fn hashing(criterion: &mut Criterion) {
    const STREAM_BYTES: usize = 64 * 1024;
    let streams: [_; 4] = std::array::from_fn(|stream| vec![stream as u8; STREAM_BYTES]);
    let mut group = criterion.benchmark_group("four streams of SHA-256");
    group.throughput(Throughput::Bytes((streams.len() * STREAM_BYTES) as u64));
    let mut hashers: [_; 4] = std::array::from_fn(|_| Hasher::new());
    group.bench_function("one after the other", |b| {
        b.iter(|| hashers.iter_mut().zip(&streams).for_each(|(h, bytes)| h.update(bytes)));
    });
    group.bench_function("together", |b| {
        b.iter(|| {
            let bytes = streams.iter().map(Vec::as_slice);
            Hasher::update_together(hashers.iter_mut().zip(bytes).collect());
        });
    });
}

/// Ends a write transaction without a commit, and carries the time out of it.
enum Stop {
    After(Duration),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Failed(error)
    }
}

fn writing(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let clock = || Timestamp::from_unix_microseconds(1_772_323_200_000_000).unwrap();
    let entropy = |buffer: &mut [u8]| buffer.fill(7);
    let context = Context {
        writer: "bench",
        actor: Actor { identity: Identity::parse("Ada").unwrap(), source: ActorSource::Flag },
        clock: &clock,
        entropy: &entropy,
        observer: &Silent,
        lock_timeout: Duration::from_secs(30),
    };
    let (mut registry, entry) = recorded(folder.path(), &context);
    criterion.bench_function("canonical bytes of an entry", |b| {
        b.iter_batched_ref(
            || entry.clone(),
            |entry| entry.to_bytes().unwrap(),
            BatchSize::SmallInput,
        );
    });
    let Event::SessionCompleted(mut details) = entry.event().unwrap() else { return };
    criterion.bench_function("append and apply a session, not committed", |b| {
        b.iter_custom(|count| {
            let stopped = registry.write::<(), Stop>(&context, |writer| {
                let started = Instant::now();
                for number in 2..count + 2 {
                    if let Some(version) = &mut details.version {
                        version.number = number;
                    }
                    let event = Event::SessionCompleted(details.clone());
                    writer.append(&event, Some(&format!("session-{number}")))?;
                }
                Err(Stop::After(started.elapsed()))
            });
            match stopped {
                Err(Stop::After(elapsed)) => elapsed,
                Err(Stop::Failed(error)) => panic!("{error}"),
                Ok(()) => Duration::ZERO,
            }
        });
    });
}

/// A registry with one version, and the entry that made it.
fn recorded(project: &Path, context: &Context<'_>) -> (Registry, Entry) {
    fs::write(project.join("model.bin"), "weights").unwrap();
    Registry::create(&Layout::planned(project).unwrap(), context).unwrap();
    let mut registry = Registry::open(&Layout::find(project).unwrap(), context).unwrap();
    let mut request = RecordRequest::new("fraud".parse().unwrap());
    request.artifact = Some(project.join("model.bin"));
    request.metrics = (0..METRICS)
        .map(|number| Metric {
            split: None,
            name: format!("metric-{number:02}"),
            value: MetricValue(number as f64 / 7.0),
        })
        .collect();
    record(&mut registry, &Settings::default(), &request, context).unwrap();
    let model = "fraud".parse().unwrap();
    let entry = registry.read(|reader| {
        let version = reader.latest_version(&model)?.unwrap();
        lookup::entry(reader, version.seq).map(|(entry, _)| entry)
    });
    (registry, entry.map_err(|error: StoreError| error).unwrap())
}

criterion_group!(benches, reading, hashing, writing);
criterion_main!(benches);
