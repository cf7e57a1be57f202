//! Tests of the command line and of compose loading: no engine is needed.

mod bench;
mod compose;
mod compose_fuzz;
mod config;
mod conventions;
mod files;
mod init;
mod progress;
mod redaction;
mod stopping;
