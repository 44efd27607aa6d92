//! Reads bytes as a table file of a given name, through the same door as the program.

use std::path::PathBuf;
use std::sync::OnceLock;

use lineage_core::context::Silent;
use lineage_core::fingerprint::{Input, TableOptions, fingerprint};

/// In memory where there is such a folder: a write for each input would wear out a disk.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let base = PathBuf::from("/dev/shm");
        let base = if base.is_dir() { base } else { std::env::temp_dir() };
        let folder = base.join(format!("lineage-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for inputs");
        folder
    })
}

pub fn read(data: &[u8], name: &str) {
    let path = folder().join(name);
    std::fs::write(&path, data).expect("room for an input");
    let mut input = Input::new(&path);
    input.table = Some(TableOptions { profile: true, ..TableOptions::default() });
    let _ = fingerprint(&[input], &Silent);
}
