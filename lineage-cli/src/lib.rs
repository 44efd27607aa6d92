//! The program `lineage`: record training runs, release models, roll back, and prove that nothing was
//! altered. Programs use the library `lineage-core` instead.

mod args;
mod chart;
mod child;
mod commands;
mod differences;
mod environment;
mod error;
mod facts;
mod observer;
mod output;
mod program;
mod render;
mod settings;
mod spool;
mod tables;
mod training_again;
mod unordered;

use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !lineage_core::readers::panics_are_caught() {
            print(panic);
        }
    }));
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    match args::parse(&arguments) {
        Ok(cli) => {
            let mut output = output::Output::new(&cli.global);
            let result = commands::dispatch(cli, &mut output);
            output.finish(result)
        }
        Err(code) => code,
    }
}
