//! The least that reading a whole Parquet file costs: every column of every row group becomes Arrow
//! arrays, which are thrown away. `tests/bench/tables.py` runs it beside `lineage fingerprint`.
//!
//! `cargo run --release -p lineage-core --example decode -- FILE THREADS`

use std::error::Error;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// The rows of a block of the content digest.
const BATCH_ROWS: usize = 65_536;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(threads)) = (arguments.next(), arguments.next()) else {
        return Err("usage: decode FILE THREADS".into());
    };
    let file = File::open(&path)?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.parse::<usize>()?)
            .map(|_| scope.spawn(|| decode(&path, &metadata, &next)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a thread did not end well".into()))
        })
    })
}

/// Decodes row group after row group, each that no other thread has taken.
fn decode(path: &str, metadata: &ArrowReaderMetadata, next: &AtomicUsize) -> Outcome {
    let groups = metadata.metadata().num_row_groups();
    loop {
        let group = next.fetch_add(1, Ordering::Relaxed);
        if group >= groups {
            return Ok(());
        }
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(File::open(path)?, metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(BATCH_ROWS)
                .build()?;
        for batch in reader {
            std::hint::black_box(batch?);
        }
    }
}
