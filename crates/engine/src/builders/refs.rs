//! What buildx keeps of each build that it asked for, on this machine: the directory it was of, which no engine is told.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Store;
use crate::files::read;

/// Bytes of a file that are read: a name and two paths.
const MOST: u64 = 16 << 10;
/// Builders, and nodes of each, that are looked through.
const MOST_FOLDERS: usize = 64;

/// What a build was of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Target of bake, service of compose, else `default`.
    pub target: String,
    /// The build context: a directory, or an address.
    pub context: String,
    /// The Dockerfile: a path below the context where that is known.
    pub dockerfile: String,
}

/// The file (buildx `localstate/localstate.go`).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct State {
    target: String,
    local_path: String,
    dockerfile_path: String,
}

impl Store {
    /// What buildx remembers of the build that engines call `build_ref`; `None` where it did not ask for it, or forgot.
    pub fn origin(&self, build_ref: &str) -> Option<Origin> {
        let is_name =
            !build_ref.is_empty() && build_ref.bytes().all(|it| it.is_ascii_alphanumeric());
        let refs = self.directory.as_ref().filter(|_| is_name)?.join("refs");
        let nodes = folders(&refs).into_iter().flat_map(|builder| folders(&builder));
        let state: State = nodes
            .map(|node| node.join(build_ref))
            .find_map(|file| serde_json::from_slice(&read::bytes(&file, MOST).ok()?).ok())?;
        let file = Path::new(&state.local_path).join(match state.dockerfile_path.as_str() {
            "" => "Dockerfile",
            path => path,
        });
        let below = file.strip_prefix(&state.local_path).unwrap_or(&file);
        let dockerfile = below.to_string_lossy().into_owned();
        Some(Origin { target: state.target, context: state.local_path, dockerfile })
    }
}

fn folders(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.is_dir()).take(MOST_FOLDERS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn origins_are_those_of_buildx() {
        let home = tempfile::tempdir().unwrap();
        let node = home.path().join("refs/default/default");
        fs_err::create_dir_all(&node).unwrap();
        for (name, text) in [
            ("one", r#"{"Target":"default","LocalPath":"/srv/p","DockerfilePath":""}"#),
            ("two", r#"{"Target":"api","LocalPath":"/srv/p","DockerfilePath":"/srv/p/d/D2"}"#),
            ("three", r#"{"Target":"api","LocalPath":"https://x/y.git","DockerfilePath":"D"}"#),
            ("four", r#"{"Target":"#),
        ] {
            fs_err::write(node.join(name), text).unwrap();
        }
        fs_err::write(home.path().join("secret"), r#"{"Target":"x"}"#).unwrap();
        let store = Store::new(Some(home.path().to_owned()));
        let origin =
            |name: &str| store.origin(name).map(|it| [it.target, it.context, it.dockerfile]);
        let of = |target: &str, context: &str, file: &str| {
            Some([target, context, file].map(str::to_owned))
        };
        assert_eq!(origin("one"), of("default", "/srv/p", "Dockerfile"));
        assert_eq!(origin("two"), of("api", "/srv/p", "d/D2"));
        assert_eq!(origin("three"), of("api", "https://x/y.git", "D"));
        for name in ["four", "five", "", "../../secret", "../default/one"] {
            assert_eq!(origin(name), None, "{name}");
        }
        assert_eq!(Store::default().origin("one"), None);
    }
}
