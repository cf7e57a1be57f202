//! Tests against real Docker Engines: every release of the matrix, by its socket.
//!
//! `make test` starts the engines; CONTRIBUTING.md says how to run a part by hand.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod builder_cache;
mod builder_clean;
mod builder_faults;
mod builder_up_to_date;
mod builders;
mod builders_by_program;
mod builders_in_containers;
mod builders_in_pods;
mod builds_elsewhere;
mod check;
mod check_rules;
mod clean_alone;
mod clean_by_chance;
mod compression;
mod connect;
mod context;
mod conventions;
mod dev;
mod doc2md;
mod doctor;
mod executor;
mod exports;
mod faults;
mod fidelity;
mod files;
mod garbage_collection;
mod history;
mod identity;
mod init;
mod init_layouts;
mod installed;
mod interrupt;
mod layer_cache;
mod ledger;
mod limits;
mod loads;
mod lock;
mod native_grpc;
mod networks;
mod private_engines;
mod progress;
mod projects;
mod quiet;
mod readme;
mod recorded;
mod registry;
mod resources;
mod secrets;
mod services;
mod several_nodes;
mod stats_page;
mod stores;
mod timeline;
mod up_to_date_by_chance;
