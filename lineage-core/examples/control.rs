//! The least that a program can do which records something durably: it starts, opens the same
//! database, makes a number of flushes and commits one small row. `tests/bench/throughput.py` runs
//! it beside `lineage record`.
//!
//! `cargo run --release -p lineage-core --example control -- REGISTRY FLUSHES`, on a copy: it adds a
//! table of its own.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// About as many bytes as an entry of the log has.
const ROW_BYTES: usize = 1500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(registry), Some(flushes)) = (arguments.next(), arguments.next()) else {
        return Err("usage: control REGISTRY FLUSHES".into());
    };
    let registry = Path::new(&registry);
    // As a record does: a new file, renamed; the folder that names it; another new file. What a
    // flush costs depends on what there is to flush.
    let folder = registry.join("tmp");
    for number in 0..flushes.parse::<u32>()? {
        if number % 2 == 1 {
            File::open(&folder)?.sync_all()?;
            continue;
        }
        let name = format!("control-{}-{number}", std::process::id());
        let mut file = File::create(folder.join(&name))?;
        file.write_all(&[0; ROW_BYTES])?;
        file.sync_all()?;
        fs::rename(folder.join(&name), folder.join(name + ".placed"))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(registry.join("registry.db"), flags)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    begin(&connection)?;
    connection.execute_batch("CREATE TABLE IF NOT EXISTS control (entry BLOB) STRICT")?;
    connection.execute("INSERT INTO control (entry) VALUES (zeroblob(?1))", [ROW_BYTES as i64])?;
    connection.execute_batch("COMMIT")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Waits for other writers as lineage does: 1 ms, then twice as long each time, up to 8 ms.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let mut pause = Duration::from_millis(1);
    loop {
        match connection.execute_batch("BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(8));
            }
            Err(error) => return Err(error),
            Ok(()) => return connection.busy_timeout(Duration::from_secs(30)),
        }
    }
}
