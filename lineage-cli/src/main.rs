//! `lineage`: record training runs, release models, roll back, and prove that nothing was altered.

use std::process::ExitCode;

/// Published binaries for Linux are static, with musl, whose allocator maps and unmaps every large block.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lineage_cli::run()
}
