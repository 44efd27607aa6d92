//! `lineage`: record training runs, release models, roll back, and prove that nothing was altered.

mod args;
mod commands;
mod error;
mod observer;
mod output;
mod render;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    match args::parse(&arguments) {
        Ok(cli) => {
            let mut output = output::Output::new(&cli.global);
            let result = commands::run(cli, &mut output);
            output.finish(result)
        }
        Err(code) => code,
    }
}
