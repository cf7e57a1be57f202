//! Where the parts of a tool's store begin, each of which the tool does without or gets again. Pure.
//!
//! A path is read from its beginning, and the first folder that a store is known by decides: what is in a clone that uv keeps
//! is not looked at by the names in it.

/// The part that an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// What the paths of the part begin with: its folder or its file. Empty for whatever is in no store.
    pub(super) path: &'a [u8],
    /// Whether it is what the tool downloads, and gets again as it was; not what was built here.
    pub(super) is_download: bool,
}

/// Letters and digits from which on a name is that of its contents, or of a key.
const HASH: usize = 28;

/// What a name in a path says of what is below it.
enum Sign {
    /// A part has this many names from here on.
    Part { names: usize, is_download: bool },
    /// The same, the last of them a hash, behind which stands which of its files it is.
    Hash { names: usize, is_download: bool },
    /// It is good for nothing in pieces, whatever the names in it are.
    Whole,
}

/// The part of the entry at `path` of a mount that steps see at `target`.
pub(super) fn place<'a>(target: &[u8], path: &'a [u8]) -> Place<'a> {
    let slash = |byte: &u8| *byte == b'/';
    let above: Vec<&[u8]> = target.split(slash).filter(|name| !name.is_empty()).collect();
    let names: Vec<&[u8]> = above.iter().copied().chain(path.split(slash)).collect();
    let first = (0..names.len()).find_map(|at| Some((at, sign(&names, at)?)));
    let (end, is_hash, is_download) = match first {
        Some((at, Sign::Part { names, is_download })) => (at + names, false, is_download),
        Some((at, Sign::Hash { names, is_download })) => (at + names, true, is_download),
        Some((_, Sign::Whole)) | None => (0, false, false),
    };
    // Otherwise all of the mount is in the part.
    let Some(own) = end.checked_sub(above.len()).filter(|own| *own > 0) else {
        return Place { path: b"", is_download };
    };
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| slash(byte)).map(|(at, _)| at);
    let path = &path[..slashes.nth(own - 1).unwrap_or(path.len())];
    let name = names[end - 1];
    let suffix = if is_hash { name.len() - hash_length(name) } else { 0 };
    Place { path: &path[..path.len() - suffix], is_download }
}

fn sign(names: &[&[u8]], at: usize) -> Option<Sign> {
    let (name, below) = (names[at], &names[at + 1..]);
    match name {
        b"node_modules" | b"site-packages" | b"dist-packages" | b".git" | b"checkouts" => {
            return Some(Sign::Whole);
        }
        b"archives" if below.len() == 1 && below[0].ends_with(b".deb") => {
            return Some(Sign::Part { names: 2, is_download: true });
        }
        b"cache" if below.len() == 2 && below[1].ends_with(b".crate") => {
            return Some(Sign::Part { names: 3, is_download: true });
        }
        _ => {}
    }
    if let Some(bucket) = uv_bucket(name).filter(|_| !below.is_empty()) {
        let is_download = matches!(bucket, b"archive" | b"wheels" | b"simple" | b"flat-index");
        return Some(Sign::Part { names: 2, is_download });
    }
    if is_of_hub(name) || is_go_module(name) {
        return Some(Sign::Part { names: 1, is_download: true });
    }
    if !is_hashed(name) {
        return None;
    }
    let shards = below.iter().take_while(|name| is_shard(name)).count();
    let is_hash = shards > 0 && below.get(shards).is_some_and(|it| hash_length(it) >= HASH);
    let is_download = matches!(name, b"http" | b"http-v2");
    is_hash.then_some(Sign::Hash { names: shards + 2, is_download })
}

/// Whether a store of pip, npm, Poetry, Go's builds, ccache or sccache has this name: what is in it is `ab/cd/HASH`.
fn is_hashed(name: &[u8]) -> bool {
    matches!(
        name,
        b"http"
            | b"http-v2"
            | b"wheels"
            | b"sha1"
            | b"sha512"
            | b"index-v5"
            | b"artifacts"
            | b"go-build"
            | b"ccache"
            | b".ccache"
            | b"sccache"
    )
}

/// `models--NAME` of the Hugging Face hub.
fn is_of_hub(name: &[u8]) -> bool {
    [&b"models--"[..], b"datasets--", b"spaces--"].iter().any(|kind| name.starts_with(kind))
}

/// `archive` of `archive-v0`. Clones are left to git: of these the bucket is the part.
fn uv_bucket(name: &[u8]) -> Option<&[u8]> {
    let at = name.iter().rposition(|byte| *byte == b'-')?;
    let (bucket, version) = (&name[..at], name[at + 1..].strip_prefix(b"v")?);
    let is_known = matches!(
        bucket,
        b"archive"
            | b"builds"
            | b"built-wheels"
            | b"flat-index"
            | b"sdists"
            | b"simple"
            | b"wheels"
    );
    (is_known && is_number(version)).then_some(bucket)
}

/// `yaml.v3@v3.0.1`.
fn is_go_module(name: &[u8]) -> bool {
    let at = name.iter().position(|byte| *byte == b'@').filter(|at| *at > 0);
    let version = at.and_then(|at| name[at + 1..].strip_prefix(b"v"));
    version.is_some_and(|version| version.first().is_some_and(u8::is_ascii_digit))
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// One or two digits of a hash.
fn is_shard(name: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    (1..=2).contains(&name.len()) && name.iter().all(is_digit)
}

/// How much of a name may be a hash, in hexadecimal or in ccache's digits.
fn hash_length(name: &[u8]) -> usize {
    let is_digit = |byte: &&u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    name.iter().take_while(is_digit).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::place;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef01234567";

    #[track_caller]
    fn is(target: &str, path: &str, expected: &str, is_download: bool) {
        let (path, expected) = (path.replace("HASH", HASH), expected.replace("HASH", HASH));
        let found = place(target.as_bytes(), path.as_bytes());
        let name = String::from_utf8_lossy(found.path);
        assert_eq!((&*name, found.is_download), (&*expected, is_download), "{target} {path}");
    }

    #[test]
    fn what_a_tool_keeps_by_itself_is_a_part() {
        for (target, path, part, is_download) in [
            ("root/.cache/uv", "archive-v0/Xy/pkg/__init__.py", "archive-v0/Xy", true),
            ("root/.cache/uv/archive-v0", "Xy/pkg/__init__.py", "Xy", true),
            ("root/.cache", "uv/sdists-v9/pypi/a/1/a.whl", "uv/sdists-v9/pypi", false),
            ("root/.cache/pip", "http-v2/a/b/c/d/e/HASH.body", "http-v2/a/b/c/d/e/HASH", true),
            ("root/.cache/pip", "http-v2/a/b/c/d/e/HASH", "http-v2/a/b/c/d/e/HASH", true),
            ("root/.cache/pip", "wheels/ab/cd/ef/HASH/a-1-any.whl", "wheels/ab/cd/ef/HASH", false),
            (
                "root/.npm",
                "_cacache/content-v2/sha512/ab/cd/HASH",
                "_cacache/content-v2/sha512/ab/cd/HASH",
                false,
            ),
            ("root/.cache/go-build", "ab/HASH-d", "ab/HASH", false),
            ("var/cache/apt", "archives/a_1_amd64.deb", "archives/a_1_amd64.deb", true),
            ("var/cache/apt/archives", "a_1_amd64.deb", "a_1_amd64.deb", true),
            (
                "usr/local/cargo/registry",
                "cache/index.crates.io-1/a-1.0.0.crate",
                "cache/index.crates.io-1/a-1.0.0.crate",
                true,
            ),
            ("go/pkg/mod", "github.com/a/b@v1.2.3/sub/c.go", "github.com/a/b@v1.2.3", true),
            ("go/pkg/mod", "b.example@v1.2.3/sub/c.go", "b.example@v1.2.3", true),
            ("root/.cache/huggingface/hub", "models--a--b/snapshots/1/c.bin", "models--a--b", true),
        ] {
            is(target, path, part, is_download);
        }
    }

    #[test]
    fn anything_else_is_one() {
        for (target, path) in [
            ("app", "node_modules/a/index.js"),
            ("app/node_modules", "wheels/ab/HASH"),
            ("app/node_modules", "ee/HASH.js"),
            ("srv/assets", "ab/HASH.js"),
            ("src/target", "debug/build/a/out/ab/HASH"),
            ("root/.cache/uv", "git-v0/checkouts/a/b/archives/x.deb"),
            ("app/.venv", "lib/python3.13/site-packages/a/__init__.py"),
            ("venv/site-packages", "archive-v0/a/b"),
            ("src/target", "debug/deps/liba-0123456789abcdef.rlib"),
            ("src/target", "debug/incremental/a-1/s-HASH/b.o"),
            ("go/pkg/mod", "cache/download/github.com/a/b/@v/v1.2.3.zip"),
            ("root/.cache/uv", "CACHEDIR.TAG"),
            ("root/.cache/uv", "git-v0/db/0123456789abcdef/objects/ab/HASH"),
            ("repo/.git", "objects/ab/HASH"),
            ("var/lib/apt/lists", "deb.debian.org_debian_InRelease"),
            ("opt/conda/pkgs", "numpy-1/lib/a.so"),
            ("root/.cache/pip", "wheels/ab/cd/ef"),
            ("root/.cache/uv", "archive-v0"),
            ("", ""),
        ] {
            is(target, path, "", false);
        }
    }

    #[test]
    fn a_mount_in_a_part_is_whole() {
        is("root/.cache/uv/archive-v0/Xy", "pkg/__init__.py", "", true);
        is("go/pkg/mod/b@v1.0.0", "ab/HASH", "", true);
    }
}
