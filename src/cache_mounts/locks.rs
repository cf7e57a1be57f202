//! Lock files of services: what they pin decides what their caches are good for.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::files::read;

/// Names of lock files, and of what pins versions where there is none.
const NAMES: [&str; 18] = [
    "Cargo.lock",
    "Gemfile.lock",
    "Pipfile.lock",
    "build.gradle",
    "bun.lock",
    "composer.lock",
    "go.sum",
    "mix.lock",
    "package-lock.json",
    "packages.lock.json",
    "pdm.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pom.xml",
    "requirements.lock",
    "requirements.txt",
    "uv.lock",
    "yarn.lock",
];

/// Digests of the lock files in these folders, by their paths below `project`.
pub fn locks<'a>(
    project: &Path,
    folders: impl IntoIterator<Item = &'a Path>,
) -> BTreeMap<String, String> {
    let mut locks = BTreeMap::new();
    for folder in folders {
        for name in NAMES {
            let path = folder.join(name);
            let Ok(content) = read::bytes(&path, read::DOCUMENT) else { continue };
            let shown = path.strip_prefix(project).unwrap_or(&path).display().to_string();
            locks.insert(shown, format!("sha256:{}", hex::encode(Sha256::digest(&content))));
        }
    }
    locks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lock_files_are_found_where_services_have_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("api")).unwrap();
        std::fs::write(folder.path().join("api/uv.lock"), "abc").unwrap();
        std::fs::write(folder.path().join("api/other"), "abc").unwrap();
        let found = locks(folder.path(), [folder.path(), &folder.path().join("api")]);
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(found, [("api/uv.lock".to_owned(), digest.to_owned())].into());
    }
}
