//! Tests of what an engine tells of all that it holds, or of how long a step took. `make test` runs them after all others
//! and one at a time: what another test prunes, measures or builds at that moment would be told, too.

pub(crate) mod cache;
pub(crate) mod cache_added;
mod cache_ci;
mod cache_killed;
mod cache_parts;
mod cache_registry;
mod cache_single;
mod cache_worth;
pub(crate) mod clean;
mod clean_old;
mod context;
mod forecast;
pub(crate) mod inventory;
mod measure;
pub(crate) mod ownership;
mod ownership_by_chance;
mod stats;
pub(crate) mod up_to_date;
mod why;
mod why_by_chance;
