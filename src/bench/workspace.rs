//! Copies of build contexts and Dockerfiles, so that files can be changed without touching the user's.
//!
//! A copy holds what .dockerignore lets through. It shares the blocks of a file where the file system can
//! (reflinks), and large files are hard links elsewhere: a file is changed by putting another in its place, so
//! what a link leads to never is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::build_context::filter::{Filter, FilterRequest};
use crate::build_context::ignore_file;
use crate::build_context::root::Root;
use crate::build_context::stat::Kind;
use crate::build_context::walk::{Entry, Stop, walk};
use crate::files::write;
use crate::remote::is_fetched_by_engine;
use crate::solve::dockerfile_source;
use crate::solve::plan::TARGET_CONTEXT;
use crate::targets::target::Target;

/// From here on a hard link is worth its drawback: the original's link count and change time move.
const LARGE: u64 = 4 << 20;
const DOCKERIGNORE: &str = ".dockerignore";

/// The copies of one project.
pub(super) struct Workspace {
    root: PathBuf,
    /// By the directory they are copies of.
    contexts: BTreeMap<PathBuf, Context>,
}

/// The copy of a build context.
pub(super) struct Context {
    /// Below the root of the workspace.
    name: String,
    /// Its regular files.
    pub(super) files: Vec<File>,
}

/// A file of a build context.
pub(super) struct File {
    /// From the root of the context.
    pub(super) path: String,
    /// Bytes.
    pub(super) size: u64,
    /// Seconds since the epoch.
    pub(super) modified: i64,
}

impl Workspace {
    /// Copies what `targets` read from this machine to `root`, which is made.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub(super) fn copy(targets: &[Target], root: &Path) -> io::Result<Self> {
        let mut ignores: BTreeMap<PathBuf, BTreeSet<Vec<Vec<u8>>>> = BTreeMap::new();
        for target in targets {
            let dockerfile = dockerfile(target);
            if let Some(dockerfile) = &dockerfile {
                let to = root.join("dockerfiles").join(&target.name);
                copy_dockerfile(dockerfile, &to)?;
            }
            if let Some(directory) = main_context(target) {
                let file = ignore_file::find(&directory, dockerfile.as_deref())?;
                let patterns = file.map(|file| file.patterns).unwrap_or_default();
                ignores.entry(directory).or_default().insert(patterns);
            }
            for (_, directory) in named_contexts(target) {
                let file = ignore_file::find(&directory, None)?;
                let patterns = file.map(|file| file.patterns).unwrap_or_default();
                ignores.entry(directory).or_default().insert(patterns);
            }
        }
        let mut contexts = BTreeMap::new();
        for (index, (directory, ignores)) in ignores.into_iter().enumerate() {
            let name = format!("context-{index}");
            let files = copy_context(&directory, &ignores, &root.join(&name))?;
            contexts.insert(directory, Context { name, files });
        }
        Ok(Self { root: root.to_owned(), contexts })
    }

    /// Moves everything: to an engine these are other directories, of which it holds nothing.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn move_to(&mut self, root: &Path) -> io::Result<()> {
        fs_err::rename(&self.root, root)?;
        root.clone_into(&mut self.root);
        Ok(())
    }

    /// The target with the copies in the place of what it reads.
    pub(super) fn in_place(&self, target: &Target) -> Target {
        let mut target = target.clone();
        if let Some(dockerfile) = dockerfile(&target) {
            let name = dockerfile.file_name().unwrap_or_default();
            let copy = self.root.join("dockerfiles").join(&target.name).join(name);
            target.dockerfile = Some(copy.display().to_string());
        }
        let copy = |directory: &Path| Some(self.copy_of(directory)?.display().to_string());
        if let Some(path) = main_context(&target).and_then(|it| copy(&it)) {
            target.context = path;
        }
        for (name, directory) in named_contexts(&target) {
            target.contexts.extend(copy(&directory).map(|path| (name, path)));
        }
        target
    }

    /// The context that is a copy of `directory`.
    pub(super) fn context(&self, directory: &Path) -> Option<&Context> {
        self.contexts.get(directory)
    }

    fn copy_of(&self, directory: &Path) -> Option<PathBuf> {
        Some(self.root.join(&self.context(directory)?.name))
    }

    /// Puts a file with this content in the place of `path` of the copy of `directory`.
    ///
    /// # Errors
    /// It is not a file of that context, or cannot be written.
    pub(super) fn replace(&self, directory: &Path, path: &str, content: &[u8]) -> io::Result<()> {
        let copy = self.copy_of(directory).ok_or(io::ErrorKind::NotFound)?.join(path);
        fs_err::metadata(&copy)?;
        write::replace(&copy, content)
    }
}

/// The local directory of the main build context.
pub(super) fn main_context(target: &Target) -> Option<PathBuf> {
    let context = if target.context.is_empty() { "." } else { target.context.as_str() };
    (!is_fetched_by_engine(context)).then(|| PathBuf::from(context))
}

/// Named contexts that are local directories.
pub(super) fn named_contexts(target: &Target) -> Vec<(String, PathBuf)> {
    let local = target.contexts.iter().filter(|(_, source)| {
        !source.starts_with(TARGET_CONTEXT) && Path::new(source).is_absolute()
    });
    local.map(|(name, source)| (name.clone(), PathBuf::from(source))).collect()
}

/// The Dockerfile, where it is a file of this machine.
fn dockerfile(target: &Target) -> Option<PathBuf> {
    if target.dockerfile_inline.is_some() {
        return None;
    }
    let name = Path::new(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    match main_context(target) {
        Some(context) => Some(context.join(name)),
        None => name.is_absolute().then(|| name.to_owned()),
    }
}

/// With the .dockerignore that goes with it alone.
fn copy_dockerfile(dockerfile: &Path, to: &Path) -> io::Result<()> {
    fs_err::create_dir_all(to)?;
    let name = dockerfile.file_name().unwrap_or_default();
    fs_err::write(to.join(name), dockerfile_source::bytes(dockerfile)?)?;
    let mut ignore = name.to_owned();
    ignore.push(DOCKERIGNORE);
    let own = dockerfile.with_file_name(&ignore);
    if own.is_file() {
        fs_err::copy(own, to.join(ignore))?;
    }
    Ok(())
}

/// Copies what at least one of the lists of patterns lets through. Returns the regular files.
fn copy_context(from: &Path, ignores: &BTreeSet<Vec<Vec<u8>>>, to: &Path) -> io::Result<Vec<File>> {
    fs_err::create_dir_all(to)?;
    let root = Root::open(from)?;
    let mut files = BTreeMap::new();
    for patterns in ignores {
        let request = FilterRequest { exclude: patterns.clone(), ..FilterRequest::default() };
        let filter = Filter::new(&root, &request).map_err(io::Error::other)?;
        let mut failed = None;
        let walked = walk(&root, &filter, &mut |entry| {
            copy_entry(&root, entry, to, &mut files).map_err(|error| {
                failed = Some(error);
                Stop
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        walked.map_err(io::Error::other)?;
    }
    // The engine looks for it there, whether or not it passes itself.
    let ignore = from.join(DOCKERIGNORE);
    if ignore.is_file() && !to.join(DOCKERIGNORE).exists() {
        fs_err::copy(ignore, to.join(DOCKERIGNORE))?;
    }
    Ok(files.into_values().collect())
}

fn copy_entry(
    root: &Root,
    entry: &Entry<'_>,
    to: &Path,
    files: &mut BTreeMap<Vec<u8>, File>,
) -> io::Result<()> {
    let place = to.join(OsStr::from_bytes(entry.path));
    match entry.stat.kind {
        Kind::Dir => {
            fs_err::create_dir_all(&place)?;
            // Its owner must be able to remove it again.
            let mode = entry.stat.mode & 0o777 | 0o700;
            fs_err::set_permissions(&place, Permissions::from_mode(mode))
        }
        Kind::Symlink if place.symlink_metadata().is_err() => {
            std::os::unix::fs::symlink(OsStr::from_bytes(entry.link), &place)
        }
        Kind::File if !files.contains_key(entry.path) => {
            copy_file(root, entry, &place)?;
            let file = File {
                path: String::from_utf8_lossy(entry.path).into_owned(),
                size: entry.stat.size,
                modified: entry.stat.mtime / 1_000_000_000,
            };
            files.insert(entry.path.to_owned(), file);
            Ok(())
        }
        // No build reads a socket or a device.
        Kind::Symlink | Kind::File | Kind::Special => Ok(()),
    }
}

fn copy_file(root: &Root, entry: &Entry<'_>, place: &Path) -> io::Result<()> {
    let mut original = root.open_file(entry.path)?;
    let mut copy = fs_err::File::create(place)?;
    if !shares_blocks(&original, copy.file()) {
        if entry.stat.size >= LARGE {
            fs_err::remove_file(place)?;
            let path = root.path().join(OsStr::from_bytes(entry.path));
            // Impossible between file systems, and may be forbidden for files of others.
            if std::fs::hard_link(path, place).is_ok() {
                return Ok(());
            }
            copy = fs_err::File::create(place)?;
        }
        io::copy(&mut original, &mut copy)?;
    }
    copy.set_permissions(Permissions::from_mode(entry.stat.mode & 0o777))
}

#[cfg(target_os = "linux")]
fn shares_blocks(original: &std::fs::File, copy: &std::fs::File) -> bool {
    rustix::fs::ioctl_ficlone(copy, original).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn shares_blocks(_: &std::fs::File, _: &std::fs::File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    fn project() -> (tempfile::TempDir, Target) {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("app/main.py", b"a = 1\n");
        write("app/run.sh", b"true\n");
        write("app/secret.key", b"x");
        write("app/.dockerignore", b"*.key\n.dockerignore\n");
        write("app/big.bin", &vec![7; usize::try_from(LARGE).unwrap()]);
        write("docker/api.Dockerfile", b"FROM x\n");
        write("docker/api.Dockerfile.dockerignore", b"*.key\n");
        write("docs/page.md", b"hi\n");
        std::fs::set_permissions(dir.path().join("app/run.sh"), Permissions::from_mode(0o755))
            .unwrap();
        std::os::unix::fs::symlink("main.py", dir.path().join("app/link")).unwrap();
        let path = |path: &str| dir.path().join(path).display().to_string();
        let target = Target {
            name: "api".into(),
            context: path("app"),
            dockerfile: Some(path("docker/api.Dockerfile")),
            contexts: [
                ("docs".to_owned(), path("docs")),
                ("base".to_owned(), "target:base".to_owned()),
            ]
            .into(),
            ..Target::default()
        };
        (dir, target)
    }

    #[test]
    fn a_copy_is_what_a_build_would_read() {
        let (dir, target) = project();
        let copies = tempfile::tempdir().unwrap();
        let mut workspace =
            Workspace::copy(std::slice::from_ref(&target), &copies.path().join("a1")).unwrap();
        workspace.move_to(&copies.path().join("a2")).unwrap();
        let copy = workspace.in_place(&target);
        assert_ne!(copy.context, target.context);
        assert_eq!(copy.contexts["base"], "target:base");
        let text =
            |path: &str| std::fs::read_to_string(Path::new(&copy.context).join(path)).unwrap();
        assert_eq!(text("main.py"), "a = 1\n");
        assert_eq!(text("link"), "a = 1\n");
        assert_eq!(text(".dockerignore"), "*.key\n.dockerignore\n");
        assert!(!Path::new(&copy.context).join("secret.key").exists());
        let mode = std::fs::metadata(Path::new(&copy.context).join("run.sh")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o755);
        let dockerfile = PathBuf::from(copy.dockerfile.unwrap());
        assert_eq!(std::fs::read_to_string(&dockerfile).unwrap(), "FROM x\n");
        assert!(dockerfile.with_file_name("api.Dockerfile.dockerignore").is_file());
        assert_eq!(
            std::fs::read_to_string(Path::new(&copy.contexts["docs"]).join("page.md")).unwrap(),
            "hi\n"
        );
        let context = workspace.context(&dir.path().join("app")).unwrap();
        let files: Vec<&str> = context.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, [".dockerignore", "big.bin", "main.py", "run.sh"]);
    }

    #[test]
    fn changes_do_not_reach_the_original() {
        let (dir, target) = project();
        let copies = tempfile::tempdir().unwrap();
        let workspace =
            Workspace::copy(std::slice::from_ref(&target), &copies.path().join("a")).unwrap();
        let original = dir.path().join("app");
        for path in ["big.bin", "run.sh"] {
            workspace.replace(&original, path, b"changed").unwrap();
            let copy = Path::new(&workspace.in_place(&target).context).join(path);
            assert_eq!(std::fs::read(&copy).unwrap(), b"changed");
            assert_ne!(std::fs::read(original.join(path)).unwrap(), b"changed", "{path}");
            let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
            assert_eq!(mode(&copy), mode(&original.join(path)));
        }
        assert!(workspace.replace(&original, "new.py", b"x").is_err());
    }
}
