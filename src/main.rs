//! Parses the command line, runs the command, hands its exit code to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    doc2md_docker::run(std::env::args_os())
}
