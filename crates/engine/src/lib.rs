//! How docker engines, BuildKit at nodes of builders, and registries are reached and asked, and what they say, as plain
//! types. Whose something is, what a build asks for and how it looks is known further out.

pub mod builders;
pub mod buildkit;
pub mod engine;
pub mod inventory;
pub mod registry;
pub mod sight;

use doc2md_docker_project::{build_context, counted, dockerfile, error, files, progress, redact};

#[cfg(test)]
#[path = "../../../tests/support/certificates.rs"]
mod test_certificates;
#[cfg(test)]
#[path = "../../../tests/support/program.rs"]
mod test_program;
