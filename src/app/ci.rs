//! Which CI the program runs in, by the variables each documents, and the files GitHub Actions reads.

use std::path::Path;

use crate::buildkit;
use crate::environment::Environment;
use crate::files::write;
use crate::view::ci::Ci;

/// What the environment says.
pub(super) fn detect(environment: &Environment) -> Ci {
    if environment.flag("GITHUB_ACTIONS") {
        return Ci::GitHub {
            workspace: environment.get("GITHUB_WORKSPACE").map(str::to_owned),
            token: format!("doc2md-{}", buildkit::new_ref()),
        };
    }
    if environment.flag("GITLAB_CI") {
        return Ci::GitLab { started: jiff::Timestamp::now().as_second() };
    }
    if environment.flag("CI") { Ci::Other } else { Ci::None }
}

/// Appends to the files that `GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT` name. Returns a warning for each that cannot be
/// written.
pub(super) fn write_github_files(
    environment: &Environment,
    page: &str,
    outputs: &str,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (variable, text) in [("GITHUB_STEP_SUMMARY", page), ("GITHUB_OUTPUT", outputs)] {
        let Some(path) = environment.get(variable) else { continue };
        if let Err(error) = write::append(Path::new(path), text.as_bytes()) {
            warnings.push(format!("cannot write {path}, which {variable} names: {error}"));
        }
    }
    warnings
}
