//! Where the steps of a run stand in their Dockerfiles, for whoever shows it. Nobody waits for it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tokio::task::JoinHandle;

use crate::dockerfile;
use crate::history::Entry;
use crate::history::record::TargetFacts;
use crate::progress::place::Places;

/// Reads the Dockerfiles of all targets on a thread of its own. Files of the project in `directory` are named as they are
/// called there.
pub(super) fn of_targets(
    targets: &BTreeMap<String, TargetFacts>,
    directory: &str,
) -> JoinHandle<HashMap<String, Places>> {
    let dockerfiles = targets.iter().filter(|(_, facts)| facts.build_ref.is_some());
    let dockerfiles = dockerfiles.filter_map(|(name, facts)| {
        let (file, text) = facts.dockerfile.clone()?;
        let linked: Vec<String> = facts.linked().into_iter().map(str::to_owned).collect();
        Some((name.clone(), name_of(&file, directory), text, linked, facts.args.clone()))
    });
    let dockerfiles: Vec<_> = dockerfiles.collect();
    tokio::task::spawn_blocking(move || {
        let places = dockerfiles.into_iter().map(|(name, file, text, linked, args)| {
            let linked: Vec<&str> = linked.iter().map(String::as_str).collect();
            (name, Places::new(&file, dockerfile::outline(&text, &linked, &args)))
        });
        places.collect()
    })
}

/// What is remembered of a build.
pub(super) fn of_entry(entry: &Entry) -> HashMap<String, Places> {
    let targets = entry.targets.iter().filter_map(|target| {
        let file = name_of(target.dockerfile.as_deref()?, &entry.project_directory);
        let line = |step: &crate::history::StepEntry| Some((step.digest.clone(), step.line?));
        let lines = target.steps.iter().filter_map(line).collect();
        Some((target.name.clone(), Places::remembered(&file, lines)))
    });
    targets.collect()
}

/// A Dockerfile below the project's directory by its path in there, another one by its name.
fn name_of(file: &str, directory: &str) -> String {
    let path = Path::new(file);
    let below = match directory {
        "" => None,
        directory => path.strip_prefix(directory).ok(),
    };
    let name = || path.file_name().map(Path::new);
    below.or_else(name).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_named_as_the_project_calls_it() {
        for (file, directory, name) in [
            ("/p/Dockerfile.api", "/p", "Dockerfile.api"),
            ("/p/api/Dockerfile", "/p", "api/Dockerfile"),
            ("/p/./api/Dockerfile", "/p/", "api/Dockerfile"),
            ("/elsewhere/Dockerfile", "/p", "Dockerfile"),
            ("/p2/Dockerfile", "/p", "Dockerfile"),
            ("/p/Dockerfile", "", "Dockerfile"),
            ("dockerfile_inline", "/p", "dockerfile_inline"),
        ] {
            assert_eq!(name_of(file, directory), name, "{file} {directory}");
        }
    }
}
