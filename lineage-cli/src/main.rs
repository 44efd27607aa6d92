//! `lineage`: record training runs, release models, roll back, and prove that nothing was altered.

use std::process::ExitCode;

fn main() -> ExitCode {
    lineage_cli::run()
}
