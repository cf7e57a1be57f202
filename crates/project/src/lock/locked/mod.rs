//! A requirement file with its two locks: whether they fit, what a build needs to make them anew, and their writing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{read, write};
use crate::lock::DEFAULT_THRESHOLD;
use crate::lock::error::SourceError;
use crate::lock::find::Subject;
use crate::lock::header::{self, Header};
use crate::lock::indexes::IndexOptions;
use crate::lock::paths::LockPaths;
use crate::lock::project::{Selection, Uv};
use crate::lock::recipe::RecipeInput;
use crate::lock::recipe::Resolution;
use crate::lock::source::Source;
use crate::lock::split::{self, Division};
use crate::lock::torch::{self, Torch, TorchChoice};

/// What the user asks of a lock; what is not given is as it was locked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockOptions {
    /// Oldest Python.
    pub python: Option<String>,
    /// Bytes of a wheel from which a package is heavy.
    pub threshold: Option<u64>,
    /// The build of PyTorch.
    pub torch: Option<TorchChoice>,
}

/// Why something cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// What is to be locked cannot be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// uv.lock says where torch comes from.
    #[error("uv.lock decides which build of torch it is: name its index in [tool.uv.sources]")]
    TorchOfUv,
    /// The index has no build that fits.
    #[error("no torch of the build {} that fits is at {}", .0.variant, .0.index)]
    NoTorch(Torch),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// uv's answer is not what it should be.
    #[error("the sizes that uv wrote cannot be read")]
    Sizes(#[from] toml::de::Error),
}

/// Why locks do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// There are none.
    Missing,
    /// The light part is there without the heavy one.
    HeavyMissing,
    /// The light part does not say what it was made of.
    Unknown,
    /// The requirement files are not those that were locked.
    Requirements,
    /// The parts hold other packages than the last run wrote.
    Edited,
    /// They are for another Python.
    Python(String),
    /// They are split at another size in bytes.
    Threshold(u64),
    /// They hold another build of PyTorch.
    Torch,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no lock yet"),
            Self::HeavyMissing => f.write_str("the lock of its heavy packages is missing"),
            Self::Unknown => f.write_str("its lock was not written by `doc2md-docker lock`"),
            Self::Requirements => f.write_str("requirements changed since it was locked"),
            Self::Edited => {
                f.write_str("a lock was edited, or its two parts are of different runs")
            }
            Self::Python(python) => write!(f, "it is locked for Python {python}"),
            Self::Threshold(bytes) => {
                write!(f, "it is split at {}", bytesize::ByteSize(*bytes).display().si())
            }
            Self::Torch => f.write_str("it is locked with another build of torch"),
        }
    }
}

/// What a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockResult {
    /// The resolution in its two parts.
    pub split: Division,
    /// How versions changed; `None` for a new lock.
    pub changes: Option<Vec<String>>,
}

/// What was copied, and the two locks, each with its copy.
pub(super) type LockCopies = (Subject, [(PathBuf, PathBuf); 2]);

/// One requirement file or project, and what is locked of it so far.
#[derive(Debug, Clone)]
pub struct Lock {
    source: Source,
    paths: LockPaths,
    old: Option<Old>,
}

/// Locks as they are on disk.
#[derive(Debug, Clone)]
struct Old {
    header: Option<Header>,
    light: String,
    /// `None` where the file is not there.
    heavy: Option<String>,
}

impl Old {
    fn heavy(&self) -> &str {
        self.heavy.as_deref().unwrap_or_default()
    }
}

impl Lock {
    /// Reads what is named (by an absolute path), what it needs and its locks.
    ///
    /// # Errors
    /// It cannot be locked, or a file cannot be read.
    pub fn read(named: &Subject) -> Result<Self, LockError> {
        let source = Source::read(&named.path, &named.selection)?;
        let paths = source.locks();
        let old = match text(&paths.light)? {
            None => None,
            Some(light) => Some(Old {
                header: Header::find(&light),
                light: header::body(&light),
                heavy: text(&paths.heavy)?.as_deref().map(header::body),
            }),
        };
        Ok(Self { source, paths, old })
    }

    /// Copies a requirement file with all it includes, `lines` at its end, and its locks to `folder`. Returns what is
    /// copied, and each lock with its copy; `None` where it is no requirement file.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn copy(&self, lines: &[String], folder: &Path) -> io::Result<Option<LockCopies>> {
        let Source::Requirements(source) = &self.source else { return Ok(None) };
        let place = |path: &Path| folder.join(self.source.below_root(path));
        for (path, text) in &source.files {
            let mut text = text.clone();
            if *path == source.path {
                let is_open = !text.is_empty() && !text.ends_with('\n');
                text.push_str(if is_open { "\n" } else { "" });
                text.extend(lines.iter().flat_map(|line| [line, "\n"]));
            }
            let copy = place(path);
            fs_err::create_dir_all(copy.parent().unwrap_or(folder))?;
            fs_err::write(copy, text)?;
        }
        let paths = [&self.paths.light, &self.paths.heavy];
        let locks = paths.map(|path| (path.clone(), place(path)));
        for (lock, copy) in &locks {
            if lock.exists() {
                fs_err::copy(lock, copy)?;
            }
        }
        let path = place(&source.path);
        Ok(Some((Subject { path, selection: Selection::default() }, locks)))
    }

    /// Whether it was locked before.
    pub fn is_locked(&self) -> bool {
        self.old.is_some()
    }

    fn header(&self) -> Option<&Header> {
        self.old.as_ref()?.header.as_ref()
    }

    fn threshold(&self, options: &LockOptions) -> u64 {
        let locked = self.header().map(|header| header.threshold);
        options.threshold.or(locked).unwrap_or(DEFAULT_THRESHOLD)
    }

    fn python(&self, options: &LockOptions) -> Option<String> {
        options.python.clone().or_else(|| Some(self.header()?.python.clone()))
    }

    fn torch(&self, options: &LockOptions) -> Option<Torch> {
        match &options.torch {
            Some(TorchChoice::Build(torch)) => Some(torch.clone()),
            Some(TorchChoice::Unspecified) => None,
            None => self.header()?.torch.clone(),
        }
    }

    fn uv(&self) -> Option<&Uv> {
        match &self.source {
            Source::Project(project) => project.uv.as_ref(),
            Source::Requirements(_) => None,
        }
    }

    fn index_options(&self, options: &LockOptions) -> IndexOptions {
        let mut all = self.source.index_options();
        if let Some(torch) = self.torch(options) {
            all.add(&torch.option());
        }
        all
    }

    /// What the recipe needs to know of it.
    ///
    /// # Errors
    /// A build of torch is asked for where uv.lock decides.
    pub fn input(&self, options: &LockOptions) -> Result<RecipeInput, LockError> {
        let selected = match &self.source {
            Source::Requirements(_) => Vec::new(),
            Source::Project(project) => project.selection.options(),
        };
        let torch = self.torch(options);
        let resolution = match self.uv() {
            Some(_) if torch.is_some() => return Err(LockError::TorchOfUv),
            Some(uv) => {
                let member = uv.member.iter().flat_map(|it| ["--package".to_owned(), it.clone()]);
                let options = member.chain(selected).collect();
                Resolution::Uv { lock: self.source.below_root(&uv.lock), options }
            }
            None => {
                // What is locked would stay: the version is the same, only the build is another.
                let known = self.header().and_then(|header| header.torch.as_ref());
                let is_other = self.is_locked() && known != torch.as_ref();
                let give_up = if is_other { &torch::PACKAGES[..] } else { &[] };
                let give_up = give_up.iter().map(|&it| it.to_owned()).collect();
                let index = torch.map(|torch| torch.index);
                Resolution::Compile { options: selected, index, give_up }
            }
        };
        Ok(RecipeInput {
            path: self.source.below_root(self.source.path()),
            python: self.python(options),
            has_options: !self.index_options(options).is_empty(),
            resolution,
        })
    }

    /// Why the locks do not fit, if so.
    pub fn stale(&self, options: &LockOptions) -> Option<Stale> {
        let Some(old) = &self.old else { return Some(Stale::Missing) };
        let Some(header) = &old.header else { return Some(Stale::Unknown) };
        let asked = options.python.as_ref();
        if header.inputs != self.source.digest() {
            Some(Stale::Requirements)
        } else if old.heavy.is_none() {
            Some(Stale::HeavyMissing)
        } else if header.pins != header::digest([old.light.as_str(), old.heavy()]) {
            Some(Stale::Edited)
        } else if asked.is_some_and(|asked| *asked != header.python) {
            Some(Stale::Python(header.python.clone()))
        } else if self.threshold(options) != header.threshold {
            Some(Stale::Threshold(header.threshold))
        } else if self.torch(options) != header.torch {
            Some(Stale::Torch)
        } else {
            None
        }
    }

    /// Writes what a build needs to lock it: the requirement file with all it includes, and the versions to keep.
    /// `nonce` is a text that no build has seen, where the newest versions are asked for.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_context(
        &self,
        options: &LockOptions,
        folder: &Path,
        nonce: Option<&str>,
    ) -> io::Result<()> {
        let root = self.source.root();
        for (path, text) in self.source.files() {
            let copy = folder.join("in").join(path.strip_prefix(&root).unwrap_or(path));
            fs_err::create_dir_all(copy.parent().unwrap_or(folder))?;
            fs_err::write(copy, text)?;
        }
        if let Some(old) = &self.old {
            fs_err::write(folder.join("pins.txt"), format!("{}{}", old.light, old.heavy()))?;
        }
        let options = self.index_options(options);
        if !options.is_empty() {
            fs_err::write(folder.join("options.txt"), options.text())?;
        }
        match nonce {
            Some(nonce) => fs_err::write(folder.join("nonce"), nonce),
            None => Ok(()),
        }
    }

    /// Takes uv's answer in the folder `answer` and writes both locks. One that would pin what it pinned before keeps
    /// its bytes.
    ///
    /// # Errors
    /// The answer cannot be read, or a lock cannot be written.
    pub fn write(&self, options: &LockOptions, answer: &Path) -> Result<LockResult, LockError> {
        let pins = read::text(&answer.join("pins.txt"), read::TEXT)?;
        let downloads =
            split::downloads(&read::text(&answer.join("pylock.toml"), read::DOCUMENT)?)?;
        let python = match self.python(options) {
            Some(python) => python,
            None => read::text(&answer.join("python"), read::TEXT)?.trim().to_owned(),
        };
        let torch = self.torch(options);
        if let Some(torch) = torch.as_ref().filter(|torch| !torch.is_in(&pins)) {
            return Err(LockError::NoTorch(torch.clone()));
        }
        let source = self.resolved(answer)?;
        let threshold = self.threshold(options);
        let old_heavy = self.old.as_ref().and_then(|old| old.heavy.as_deref());
        let parts = split::split(&pins, &downloads, threshold, old_heavy.unwrap_or_default());
        let all = self.index_options(options);
        let needed = |is_on_pypi| if is_on_pypi { all.without_additions() } else { all.clone() };
        let light = needed(parts.is_light_on_pypi).text() + &parts.light;
        let needed = needed(parts.is_heavy_on_pypi);
        let kept = old_heavy.filter(|old| still_fits(old, &parts.heavy, &needed, &all));
        let heavy = kept.map_or_else(|| needed.text() + &parts.heavy, str::to_owned);

        let header = Header {
            python,
            threshold,
            inputs: source.digest(),
            pins: header::digest([light.as_str(), &heavy]),
            selection: match &source {
                Source::Project(project) => project.selection.clone(),
                Source::Requirements(_) => Selection::default(),
            },
            torch,
        };
        let source = name(source.path());
        // The light part last: it vouches for both.
        if kept.is_none() {
            let introduction = header::introduction(&source, &name(&self.paths.light));
            replace(&self.paths.heavy, &(introduction + &heavy))?;
        }
        let introduction = header.text(&source, &name(&self.paths.heavy));
        replace(&self.paths.light, &(introduction + &light))?;
        let before = self.old.as_ref().map(|old| format!("{}{}", old.light, old.heavy()));
        let changes = before.map(|before| split::changes(&before, &pins));
        Ok(LockResult { split: parts, changes })
    }

    /// The source as the resolution left it: uv.lock may be another, and is written.
    fn resolved(&self, answer: &Path) -> Result<Source, LockError> {
        let mut source = self.source.clone();
        if let Source::Project(project) = &mut source
            && let Some(uv) = &project.uv
        {
            let text = read::text(&answer.join("uv.lock"), read::DOCUMENT)?;
            replace(&uv.lock, &text)?;
            project.files.insert(uv.lock.clone(), text);
        }
        Ok(source)
    }
}

/// Whether a heavy part installs what `packages` says: it may have comments, and name more of the indexes that the
/// requirement files still name, as earlier releases wrote it.
fn still_fits(old: &str, packages: &str, needed: &IndexOptions, all: &IndexOptions) -> bool {
    let options = IndexOptions::find(old);
    let pins = split::without_comments(old);
    let pins = pins.strip_prefix(options.text().as_str()).unwrap_or(&pins);
    pins == packages && needed.are_within(&options) && options.are_within(all)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The text of a file, `None` where there is none.
fn text(path: &Path) -> io::Result<Option<String>> {
    match read::text(path, read::TEXT) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file whole or not at all, and leaves one alone that says the same already.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if read::text(path, read::TEXT).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write::document(path, text.as_bytes(), &mut io::sink())
}

#[cfg(test)]
mod tests;
