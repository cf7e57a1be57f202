//! `doc2md-docker lock`: requirement files to lock files, with uv in a build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::build::executor::RunSettings;
use crate::build::from_compose::{TargetOptions, from_compose};
use crate::build::plan::BuildPlan;
use crate::build::target::Target;
use crate::cli::GlobalArgs;
use crate::cli::lock::LockArgs;
use crate::commands::build::Run;
use crate::commands::environment::Environment;
use crate::commands::{connect, progress_mode, project};
use crate::error::{CommandError, ExitKind};
use crate::lock::header::{self, Header};
use crate::lock::recipe::{self, Source, Upgrade};
use crate::lock::requirements::Requirements;
use crate::lock::split::{self, Split};
use crate::lock::{DEFAULT_THRESHOLD, LockPaths};
use crate::report;
use crate::ui::Ui;

/// How many changed packages are named per file.
const SHOWN_CHANGES: usize = 8;

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(
    global: &GlobalArgs,
    args: &LockArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<(), CommandError> {
    let needs_project = args.requirements.is_empty() || (!args.check && args.base_image.is_none());
    let targets = if needs_project { targets(global, environment, ui)? } else { Vec::new() };
    let locks = locks(args, &targets, environment)?;
    if args.check {
        return check(args, &locks, ui);
    }
    let base = base_target(args, &targets)?;
    let scratch = tempfile::Builder::new().prefix("doc2md-docker-").tempdir();
    let scratch = scratch.map_err(|error| {
        CommandError::new(ExitKind::Failed, "failed to make a temporary directory")
            .caused_by(&error)
    })?;
    let (context, out) = (scratch.path().join("context"), scratch.path().join("out"));
    // A resolution without locked versions asks for the newest: an older answer is none.
    let nonce = scratch.path().display().to_string();
    let mut sources = Vec::new();
    for (number, lock) in locks.iter().enumerate() {
        let fresh = args.upgrade || !args.upgrade_packages.is_empty() || lock.old.is_none();
        write_context(&context.join(number.to_string()), lock, fresh.then_some(nonce.as_str()))
            .map_err(|error| {
                let message = format!("failed to copy {} for the build", lock.shown);
                CommandError::new(ExitKind::Failed, message).caused_by(&error)
            })?;
        sources.push(lock.recipe(args));
    }
    let upgrade = Upgrade { all: args.upgrade, packages: args.upgrade_packages.clone() };
    let target = Target {
        name: "lock".to_owned(),
        context: context.display().to_string(),
        // As in a compose file.
        dockerfile_inline: Some(recipe::dockerfile(&sources, &upgrade).replace("${", "$${")),
        outputs: vec![format!("type=local,dest={}", out.display())],
        ..base
    };
    let plan = BuildPlan::new(vec![target])
        .map_err(|error| CommandError::new(ExitKind::Invalid, error.to_string()))?;
    let progress = progress_mode(global, environment)?;
    let settings = RunSettings::default();
    let run = Run { global, environment, ui, plan: &plan, settings, progress, memory: None };
    let finished = run.go().await?;
    if let Some(error) = report::run_error(&finished.summary) {
        return Err(error);
    }
    for (number, lock) in locks.iter().enumerate() {
        lock.write(args, &out.join(number.to_string()), ui).map_err(|error| {
            CommandError::new(ExitKind::Failed, format!("failed to lock {}", lock.shown))
                .caused_by(&*error)
        })?;
    }
    Ok(())
}

/// One requirement file and what is locked of it so far.
struct Lock {
    requirements: Requirements,
    paths: LockPaths,
    /// The requirement file as the user would name it.
    shown: String,
    old: Option<Old>,
}

/// Locks as they are on disk.
struct Old {
    header: Option<Header>,
    light: String,
    heavy: String,
}

impl Lock {
    fn read(path: &Path, environment: &Environment) -> Result<Self, CommandError> {
        let path = environment.working_dir.join(path);
        let shown = path.strip_prefix(&environment.working_dir).unwrap_or(&path);
        let shown = shown.display().to_string();
        if path.extension().is_some_and(|extension| extension == "lock") {
            let message = format!("{shown} is a lock, not a requirement file");
            return Err(CommandError::new(ExitKind::Usage, message));
        }
        let requirements = Requirements::read(&path).map_err(|error| {
            CommandError::new(ExitKind::Usage, format!("failed to lock {shown}")).caused_by(&error)
        })?;
        let paths = LockPaths::of(&requirements.path);
        let text = |path: &Path| fs_err::read_to_string(path).ok();
        let old = text(&paths.light).map(|light| {
            let heavy = text(&paths.heavy);
            // Two halves of different runs are as good as no header.
            let header = Header::find(&light)
                .filter(|found| heavy.as_deref().and_then(Header::find).as_ref() == Some(found));
            Old {
                header,
                light: header::body(&light),
                heavy: header::body(heavy.as_deref().unwrap_or_default()),
            }
        });
        Ok(Self { requirements, paths, shown, old })
    }

    fn header(&self) -> Option<&Header> {
        self.old.as_ref()?.header.as_ref()
    }

    fn threshold(&self, args: &LockArgs) -> u64 {
        let locked = self.header().map(|header| header.threshold);
        args.threshold.map(|size| size.as_u64()).or(locked).unwrap_or(DEFAULT_THRESHOLD)
    }

    fn python(&self, args: &LockArgs) -> Option<String> {
        args.python_version.clone().or_else(|| Some(self.header()?.python.clone()))
    }

    fn recipe(&self, args: &LockArgs) -> Source {
        let path = &self.requirements.path;
        let path = path.strip_prefix(self.requirements.root()).unwrap_or(path);
        Source {
            path: path.display().to_string(),
            python: self.python(args),
            has_options: !self.requirements.index_options().is_empty(),
        }
    }

    /// Why the locks do not fit, if so.
    fn stale(&self, args: &LockArgs) -> Option<String> {
        let Some(old) = &self.old else { return Some("there is no lock yet".to_owned()) };
        let Some(header) = &old.header else {
            return Some("its locks are not of one run of `doc2md-docker lock`".to_owned());
        };
        let asked = args.python_version.as_ref();
        if header.inputs != self.requirements.digest() {
            Some("requirements changed since it was locked".to_owned())
        } else if header.pins != header::digest([old.light.as_str(), &old.heavy]) {
            Some("a lock was edited by hand".to_owned())
        } else if asked.is_some_and(|asked| *asked != header.python) {
            Some(format!("it is locked for Python {}", header.python))
        } else if self.threshold(args) != header.threshold {
            Some(format!("it is split at {}", size(header.threshold)))
        } else {
            None
        }
    }

    /// Takes uv's answer in `answer` and writes both locks.
    fn write(
        &self,
        args: &LockArgs,
        answer: &Path,
        ui: &Ui,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let pins = fs_err::read_to_string(answer.join("pins.txt"))?;
        let sizes = split::sizes(&fs_err::read_to_string(answer.join("pylock.toml"))?)?;
        let python = match self.python(args) {
            Some(python) => python,
            None => fs_err::read_to_string(answer.join("python"))?.trim().to_owned(),
        };
        let threshold = self.threshold(args);
        let parts = split::split(&pins, &sizes, threshold);
        if !parts.unknown.is_empty() {
            ui.warn(&format!(
                "the package index tells no size of {}: taken as light",
                parts.unknown.join(", ")
            ));
        }
        let options = self.requirements.index_options();
        let (light, heavy) = (options.clone() + &parts.light, options + &parts.heavy);
        let header = Header {
            python,
            threshold,
            inputs: self.requirements.digest(),
            pins: header::digest([light.as_str(), &heavy]),
        };
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = name(&self.requirements.path);
        let (light_name, heavy_name) = (name(&self.paths.light), name(&self.paths.heavy));
        replace(&self.paths.light, &(header.text(&source, &heavy_name) + &light))?;
        replace(&self.paths.heavy, &(header.text(&source, &light_name) + &heavy))?;
        let before = self.old.as_ref().map(|old| format!("{}{}", old.light, old.heavy));
        ui.say(&self.told(before.as_deref(), &pins, &parts));
        Ok(())
    }

    fn told(&self, before: Option<&str>, pins: &str, parts: &Split) -> String {
        let changes = before.map(|before| split::changes(before, pins));
        let what = match changes.as_deref() {
            None => "new".to_owned(),
            Some([]) => "no version changed".to_owned(),
            Some(all) => {
                let (shown, rest) = all.split_at(all.len().min(SHOWN_CHANGES));
                let more = if rest.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", rest.len())
                };
                format!("{}{more}", shown.join(", "))
            }
        };
        format!(
            "{}: {} light and {} heavy packages ({} of wheels): {what}",
            self.shown,
            parts.light_count,
            parts.heavy_count,
            size(parts.heavy_bytes)
        )
    }
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().si().to_string()
}

/// Writes a file whole or not at all, and leaves one alone that says the same already.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if fs_err::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs_err::write(&part, text)?;
    fs_err::rename(&part, path)
}

/// The requirement file with all it includes, and the versions to keep.
fn write_context(folder: &Path, lock: &Lock, nonce: Option<&str>) -> std::io::Result<()> {
    let root = lock.requirements.root();
    for (path, text) in &lock.requirements.files {
        let copy = folder.join("in").join(path.strip_prefix(&root).unwrap_or(path));
        fs_err::create_dir_all(copy.parent().unwrap_or(folder))?;
        fs_err::write(copy, text)?;
    }
    if let Some(old) = &lock.old {
        fs_err::write(folder.join("pins.txt"), format!("{}{}", old.light, old.heavy))?;
    }
    let options = lock.requirements.index_options();
    if !options.is_empty() {
        fs_err::write(folder.join("options.txt"), options)?;
    }
    match nonce {
        Some(nonce) => fs_err::write(folder.join("nonce"), nonce),
        None => Ok(()),
    }
}

fn check(args: &LockArgs, locks: &[Lock], ui: &Ui) -> Result<(), CommandError> {
    let mut stale = 0;
    for lock in locks {
        let why = lock.stale(args);
        stale += usize::from(why.is_some());
        ui.data(&format!("{}: {}\n", lock.shown, why.as_deref().unwrap_or("up to date")));
    }
    if stale == 0 {
        return Ok(());
    }
    let message = format!("{stale} of {} requirement files must be locked again", locks.len());
    Err(CommandError::new(ExitKind::Policy, message).hint("run `doc2md-docker lock`"))
}

fn targets(
    global: &GlobalArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<Vec<Target>, CommandError> {
    let project = project::load(&global.project, environment, ui)?;
    let options = TargetOptions {
        proxy_args: connect::proxy_args(global, environment)?,
        ..TargetOptions::default()
    };
    Ok(from_compose(&project, &options).map_err(project::invalid)?.targets)
}

fn locks(
    args: &LockArgs,
    targets: &[Target],
    environment: &Environment,
) -> Result<Vec<Lock>, CommandError> {
    let files =
        if args.requirements.is_empty() { find(targets) } else { args.requirements.clone() };
    if files.is_empty() {
        let message = "there is no requirements*.in in the project's build contexts";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("name the file, as in `doc2md-docker lock api/requirements.txt`"));
    }
    files.iter().map(|file| Lock::read(file, environment)).collect()
}

/// Every requirements*.in in the local build contexts and in the folders right below them.
fn find(targets: &[Target]) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
        listed.map(|entry| entry.path()).collect()
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = BTreeSet::new();
    for context in targets.iter().map(|target| Path::new(&target.context)) {
        let below = entries(context)
            .into_iter()
            .filter(|path| path.is_dir() && !name(path).starts_with('.'));
        for folder in std::iter::once(context.to_owned()).chain(below) {
            found.extend(entries(&folder).into_iter().filter(|path| {
                let name = name(path);
                name.starts_with("requirements") && name.ends_with(".in") && path.is_file()
            }));
        }
    }
    found.into_iter().collect()
}

/// A target with the project's base image and how its builds reach the network.
fn base_target(args: &LockArgs, targets: &[Target]) -> Result<Target, CommandError> {
    let images: BTreeSet<&String> =
        targets.iter().filter_map(|target| target.args.get("BASE_IMAGE")).collect();
    let like = targets.iter().find(|target| target.args.contains_key("BASE_IMAGE"));
    let like = like.or(targets.first()).cloned().unwrap_or_default();
    let usage = |message: String| {
        CommandError::new(ExitKind::Usage, message)
            .hint("name an image with Python and pip: --base-image python:3.12-slim")
    };
    let image = match (&args.base_image, images.len()) {
        (Some(image), _) => image.replace("${", "$${"),
        (None, 1) => images.into_iter().next().cloned().unwrap_or_default(),
        (None, 0) => {
            return Err(usage("no service has the build argument BASE_IMAGE".to_owned()));
        }
        (None, count) => {
            return Err(usage(format!("the services have {count} different BASE_IMAGEs")));
        }
    };
    let mut build_args = like.args;
    build_args.insert("BASE_IMAGE".to_owned(), image);
    Ok(Target {
        args: build_args,
        network: like.network,
        extra_hosts: like.extra_hosts,
        ..Target::default()
    })
}
