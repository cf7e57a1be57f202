//! What `buildx bake` adds to the targets that compose hands to it. `--print` shows them without, as
//! `docker compose build --print` does.

use std::path::Path;

use crate::remote::is_no_path;
use crate::targets::target::Target;

/// The argument that makes builds reproducible (reproducible-builds.org), and its variable.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Completes `targets`: `source_date_epoch` is the variable of that name, where it is set and not empty.
pub fn complete(targets: &mut [Target], source_date_epoch: Option<&str>) {
    for target in targets {
        // buildx `commands/bake.go`: a target that sets the argument itself keeps its value.
        if let Some(epoch) = source_date_epoch {
            target.args.entry(EPOCH.to_owned()).or_insert_with(|| epoch.to_owned());
        }
        if let Some(path) = lower_case_dockerfile(target) {
            target.dockerfile = Some(path);
        }
    }
}

/// The `dockerfile` of a local context that has no `Dockerfile` (buildx `build/opt.go`,
/// handleLowercaseDockerfile). It does not matter whether the name was written or is the default.
fn lower_case_dockerfile(target: &Target) -> Option<String> {
    if target.dockerfile_inline.is_some() || is_no_path(&target.context) {
        return None;
    }
    let given = Path::new(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    if given.file_name()? != "Dockerfile" {
        return None;
    }
    let folder = Path::new(&target.context).join(given);
    // By listing: where names differ in their case alone, a look by name finds either.
    let names: Vec<_> =
        fs_err::read_dir(folder.parent()?).ok()?.flatten().map(|entry| entry.file_name()).collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    (!has("Dockerfile") && has("dockerfile"))
        .then(|| given.with_file_name("dockerfile").to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn completed(target: Target, epoch: Option<&str>) -> Target {
        let mut targets = [target];
        complete(&mut targets, epoch);
        let [target] = targets;
        target
    }

    #[test]
    fn the_epoch_is_a_default() {
        let mut target = Target::default();
        assert!(completed(target.clone(), None).args.is_empty());
        assert_eq!(completed(target.clone(), Some("1")).args["SOURCE_DATE_EPOCH"], "1");
        for own in ["", "2"] {
            target.args.insert(EPOCH.to_owned(), own.to_owned());
            assert_eq!(completed(target.clone(), Some("1")).args["SOURCE_DATE_EPOCH"], own);
        }
    }

    #[test]
    fn a_dockerfile_in_lower_case_stands_for_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path().to_string_lossy().into_owned();
        fs_err::create_dir(folder.path().join("sub")).unwrap();
        fs_err::write(folder.path().join("dockerfile"), "").unwrap();
        fs_err::write(folder.path().join("sub/dockerfile"), "").unwrap();
        let found = |dockerfile: Option<&str>| {
            let dockerfile = dockerfile.map(str::to_owned);
            completed(Target { context: context.clone(), dockerfile, ..Target::default() }, None)
                .dockerfile
        };
        assert_eq!(found(None).as_deref(), Some("dockerfile"));
        assert_eq!(found(Some("sub/Dockerfile")).as_deref(), Some("sub/dockerfile"));
        let absolute = format!("{context}/Dockerfile");
        assert_eq!(found(Some(&absolute)), Some(format!("{context}/dockerfile")));
        assert_eq!(found(Some("Dockerfile.api")).as_deref(), Some("Dockerfile.api"));
        assert_eq!(found(Some("DOCKERFILE")).as_deref(), Some("DOCKERFILE"));
        fs_err::write(folder.path().join("Dockerfile"), "").unwrap();
        assert_eq!(found(None), None);
    }
}
