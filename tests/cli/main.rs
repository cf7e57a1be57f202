//! Tests of the command line and of compose loading: no engine is needed.

mod bench;
mod cache;
mod check;
mod compose;
mod compose_fuzz;
mod config;
mod context;
mod conventions;
mod corpus;
mod doctor;
mod files;
mod help;
mod init;
mod install;
mod mover;
mod progress;
mod readme;
mod recorded;
mod redaction;
mod reference;
mod settings;
mod shell;
mod stopping;

use std::path::PathBuf;

/// The real compose, which the loader is compared with. `make test` and CI set the variable.
pub(crate) fn real_compose() -> PathBuf {
    std::env::var_os("DOC2MD_TEST_COMPOSE").map(PathBuf::from).expect(
        "DOC2MD_TEST_COMPOSE must name a docker-compose of Debian sid; `make test` sets it, \
         `scripts/engine env` prints it",
    )
}
