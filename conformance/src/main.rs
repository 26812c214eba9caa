//! The command line. What it does is in the library, where tests can reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = wfp_conformance::cli::main(std::env::args_os());
    ExitCode::from(exit as u8)
}
