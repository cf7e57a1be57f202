//! Tests of what an engine tells of all that it holds, or of how long a step took. `make test` runs them after all others
//! and one at a time: what another test prunes, measures or builds at that moment would be told, too.

mod cache_single;
pub(crate) mod clean;
mod clean_old;
mod forecast;
mod measure;
pub(crate) mod ownership;
mod ownership_by_chance;
mod stats;
pub(crate) mod up_to_date;
mod why;
mod why_by_chance;
