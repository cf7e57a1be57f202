//! What a build context holds, of what is sent: told file by file, kept where it is worth a word.

use std::collections::{BTreeMap, BTreeSet};

use super::subject::{Contents, Kind, Notable, Reads};
use crate::redact::names_a_secret;

/// Texts that are read at most, and their size.
const MOST_TEXTS: usize = 64;
const LONGEST_TEXT: u64 = 8 << 20;
/// Things of one kind that are kept.
const MOST_NOTABLE: usize = 10_000;

const CODE: [&str; 18] = [
    "py", "pyx", "js", "jsx", "mjs", "cjs", "ts", "tsx", "go", "rs", "java", "kt", "rb", "php",
    "c", "cc", "cpp", "cs",
];
const MODELS: [&str; 11] = [
    "safetensors",
    "gguf",
    "ggml",
    "ckpt",
    "pth",
    "pt",
    "onnx",
    "tflite",
    "keras",
    "mlmodel",
    "joblib",
];
/// How files are packed.
const PACKED: [&str; 8] = ["gz", "zst", "xz", "bz2", "lz4", "zip", "7z", "tgz"];
/// What names an archive of weights, and from how many bytes on it is one.
const WEIGHTS: [&str; 6] = ["model", "models", "weights", "checkpoint", "checkpoints", "ckpt"];
const SMALLEST_ARCHIVE: u64 = 1_000_000;
/// What stands beside weights and belongs to them.
const BESIDE_MODELS: [&str; 8] = ["json", "txt", "md", "bin", "model", "vocab", "yaml", "yml"];
const LITTER: [&str; 8] = [
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
    ".tox",
    ".nox",
    ".DS_Store",
];
const VENVS: [&str; 5] = [".venv", "venv", "env", ".env", "virtualenv"];

/// Collects what a walk over a context tells.
#[derive(Default)]
pub(super) struct Collection {
    contents: Contents,
    groups: BTreeMap<(Kind, String), (u64, BTreeSet<usize>)>,
    /// Directories that hold a `pyvenv.cfg`.
    venvs: BTreeSet<String>,
}

impl Collection {
    /// A collection that begins with what is known without a walk.
    pub(super) fn new(contents: Contents) -> Self {
        Self { contents, ..Self::default() }
    }

    /// A file that is sent, with the lines that read it. `read` is its text, where somebody wants it.
    pub(super) fn add(
        &mut self,
        path: &str,
        bytes: u64,
        lines: &[usize],
        read: impl Fn() -> Option<String>,
    ) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
        let is_list = names_packages(name, path);
        for line in lines {
            let Reads { has_others, has_code, has_more_than_models } =
                self.contents.read.entry(*line).or_default();
            *has_others |= !is_list;
            *has_code |= CODE.contains(&end.as_str());
            *has_more_than_models |=
                !is_model(name, &end, bytes) && !BESIDE_MODELS.contains(&end.as_str());
        }
        let is_lock = matches!(name, "uv.lock" | "poetry.lock");
        if (is_list || is_lock) && bytes <= LONGEST_TEXT && self.contents.texts.len() < MOST_TEXTS {
            self.contents.texts.extend(read().map(|text| (path.to_owned(), text)));
        }
        if let Some(folder) = path.strip_suffix("/pyvenv.cfg") {
            self.venvs.insert(folder.to_owned());
        }
        let Some((kind, path)) = notable(path, name, &end, bytes, &read) else { return };
        if self.groups.len() < MOST_NOTABLE || self.groups.contains_key(&(kind, path.clone())) {
            let (sum, all) = self.groups.entry((kind, path)).or_default();
            *sum += bytes;
            all.extend(lines);
        }
    }

    /// Everything that was told. `lines` are those of all instructions that read the context, whatever they read.
    pub(super) fn finish(self, lines: impl IntoIterator<Item = usize>) -> Contents {
        let Self { mut contents, groups, venvs } = self;
        for line in lines {
            contents.read.entry(line).or_default();
        }
        let is_certain = |kind: Kind, path: &String| kind != Kind::Venv || venvs.contains(path);
        contents.notable = groups
            .into_iter()
            .filter(|((kind, path), _)| is_certain(*kind, path))
            .map(|((kind, path), (bytes, lines))| Notable { kind, path, bytes, lines })
            .collect();
        contents
    }
}

/// Whether a file names packages, or is what installers read beside that.
fn names_packages(name: &str, path: &str) -> bool {
    const NAMES: [&str; 22] = [
        "pyproject.toml",
        "setup.cfg",
        "uv.lock",
        "uv.toml",
        "poetry.lock",
        "poetry.toml",
        "pdm.lock",
        "Pipfile",
        "Pipfile.lock",
        "pylock.toml",
        ".python-version",
        "package.json",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "pnpm-workspace.yaml",
        ".npmrc",
        "environment.yml",
        "environment.yaml",
        "constraints.txt",
        "apt.txt",
    ];
    let lower = name.to_ascii_lowercase();
    let is_list = lower.contains("require") || path.contains("requirements/");
    NAMES.contains(&name)
        || (is_list && [".txt", ".in", ".lock"].iter().any(|end| lower.ends_with(end)))
        || lower.starts_with("readme")
        || lower.starts_with("license")
}

/// Why a file is worth a word, and under which path it is told.
fn notable(
    path: &str,
    name: &str,
    end: &str,
    bytes: u64,
    read: impl Fn() -> Option<String>,
) -> Option<(Kind, String)> {
    let mut at = 0;
    for part in path.split('/') {
        let folder = &path[..at + part.len()];
        at += part.len() + 1;
        let is_folder = folder.len() < path.len();
        let kind = match part {
            ".git" if is_folder => Kind::Git,
            "node_modules" if is_folder => Kind::NodeModules,
            part if VENVS.contains(&part) && is_folder => Kind::Venv,
            part if LITTER.contains(&part) => Kind::Litter,
            _ => continue,
        };
        return Some((kind, folder.to_owned()));
    }
    if matches!(end, "pyc" | "pyo") {
        return Some((Kind::Litter, path.to_owned()));
    }
    if is_model(name, end, bytes) {
        return Some((Kind::Model, path.to_owned()));
    }
    (bytes > 0 && is_secret(path, name, end, read)).then(|| (Kind::Secret, path.to_owned()))
}

/// Whether a file is the weights of a model, as they are or packed.
fn is_model(name: &str, end: &str, bytes: u64) -> bool {
    let lower = name.to_ascii_lowercase();
    let inner = match lower.rsplit_once('.') {
        Some((inner, _)) if PACKED.contains(&end) => inner,
        _ => lower.as_str(),
    };
    let inner_end = inner.rsplit_once('.').map_or("", |(_, end)| end);
    if MODELS.contains(&inner_end) {
        // In Portuguese texts, `.pt` is no model.
        let is_text = inner_end == "pt"
            && bytes < 100_000
            && !["model", "weight", "best", "last", "checkpoint"]
                .iter()
                .any(|it| inner.contains(it));
        return !is_text;
    }
    let mut words = inner.split(|c: char| !c.is_ascii_alphanumeric());
    inner.len() < lower.len()
        && bytes >= SMALLEST_ARCHIVE
        && words.any(|word| WEIGHTS.contains(&word))
}

fn is_secret(path: &str, name: &str, end: &str, read: impl Fn() -> Option<String>) -> bool {
    const NAMES: [&str; 9] = [
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        ".netrc",
        ".pypirc",
        ".git-credentials",
        "credentials.json",
        ".pgpass",
    ];
    let lower = name.to_ascii_lowercase();
    let is_example =
        ["example", "sample", "template", "dist", "test"].iter().any(|it| lower.contains(it));
    let is_env = lower == ".env" || lower.starts_with(".env.");
    if NAMES.contains(&lower.as_str()) || path.ends_with(".aws/credentials") {
        return true;
    }
    if is_env {
        // `.env.production` of a frontend is for everybody, unless it names a secret.
        let has_secrets = || read().is_some_and(|text| text.lines().any(sets_a_secret));
        return !is_example && (lower == ".env" || has_secrets());
    }
    if !matches!(end, "pem" | "key") {
        return false;
    }
    // Certificates and public keys are for everybody.
    match read() {
        Some(text) if text.contains("PRIVATE KEY") => true,
        Some(text) if text.contains("-----BEGIN ") => false,
        _ => {
            end == "pem"
                && !["ca", "cert", "chain", "bundle", "pub"].iter().any(|it| lower.contains(it))
        }
    }
}

/// `NAME=value` where the name says that the value is a secret.
fn sets_a_secret(line: &str) -> bool {
    let setting = line.trim().trim_start_matches("export ").split_once('=');
    setting.is_some_and(|(name, value)| names_a_secret(name.trim()) && !value.trim().is_empty())
}

/// The line of the ignore file whose pattern means this and misses it, since it holds at the top only.
pub(super) fn kept_out(contents: &Contents, notable: &Notable) -> Option<usize> {
    let name = notable.path.rsplit_once('/').map(|(_, name)| name)?;
    let text = &contents.ignore_file.as_ref()?.text;
    let patterns = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    // What is taken back later is sent all the same.
    let last =
        patterns.clone().filter(|(_, it)| it.starts_with('!')).last().map_or(0, |(at, _)| at);
    let is_meant = |pattern: &str| {
        let pattern = pattern.trim_start_matches('/').trim_end_matches('/');
        let ending = pattern
            .strip_prefix('*')
            .filter(|end| !end.is_empty() && !end.contains(['*', '/', '?', '[']));
        pattern == name
            || ending.is_some_and(|end| notable.kind == Kind::Litter && name.ends_with(end))
    };
    let mut patterns = patterns.filter(|(at, _)| *at > last);
    patterns
        .find(|(_, pattern)| notable.kind != Kind::Secret && is_meant(pattern))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_known_by_their_names_also_where_they_are_packed() {
        let is_model = |name: &str, bytes: u64| {
            let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
            is_model(name, &end, bytes)
        };
        for name in ["a.onnx", "A.ONNX.GZ", "best.pt", "best.pt.zst", "model.pt"] {
            assert!(is_model(name, 10), "{name}");
        }
        for name in ["weights.tar.zst", "my-model.zip", "models.tgz", "ckpt_3.tar.gz"] {
            assert!(is_model(name, 2_000_000) && !is_model(name, 10), "{name}");
        }
        for name in [
            "pages.pt",
            "pages.pt.gz",
            "remodel.zip.txt",
            "supermodels.zip",
            "data.tar.gz",
            "model.py",
        ] {
            assert!(!is_model(name, 50_000), "{name}");
        }
        assert!(!is_model("supermodels.zip", 2_000_000) && is_model("pages.pt", 2_000_000));
    }
}
