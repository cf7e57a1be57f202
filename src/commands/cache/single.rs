//! `cache export` and `cache import`: one mount, to and from one archive.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mounts::Mounts;
use super::{existing, finish};
use crate::app::App;
use crate::cache_mounts::report::{MountReport, Status};
use crate::cache_mounts::{CacheMount, Destination, Form};
use crate::cli::cache::{CacheExportArgs, CacheImportArgs};
use crate::error::{CommandError, ExitKind};
use crate::files::read;
use crate::files::write::{self, Sink};
use crate::view::cache as view;

/// A stream whose reader may have enough.
struct Output {
    to: Box<dyn Write + Send>,
    is_closed: Arc<AtomicBool>,
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.to.write(data).inspect_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.is_closed.store(true, Ordering::SeqCst);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn stream(to: Box<dyn Write + Send>, is_closed: &Arc<AtomicBool>) -> Destination {
    Destination::Stream(Box::new(Output { to, is_closed: is_closed.clone() }))
}

pub(super) async fn export(app: &App, args: &CacheExportArgs) -> Result<(), CommandError> {
    let path = &args.output;
    let is_closed = Arc::new(AtomicBool::new(false));
    let sink = Sink::find(path).map_err(|error| unwritable(path, error))?;
    if matches!(sink, Sink::Stdout) && app.ui.shows_data() {
        let message = "an archive is nothing for a terminal";
        return Err(CommandError::new(ExitKind::Usage, message).hint("--output names a file"));
    }
    let mounts = Mounts::look(app, &[], true).await?;
    let mount = readable(&mounts, &args.id)?;
    let is_plain = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("tar"));
    let form = if is_plain { Form::Tar } else { Form::Zstd };
    let to = match &sink {
        Sink::Stdout => stream(app.ui.stdout_stream(), &is_closed),
        Sink::Stream(to) => {
            let to = OpenOptions::new().append(true).open(to);
            stream(Box::new(to.map_err(|error| unwritable(path, error))?), &is_closed)
        }
        Sink::Fixed(to) => {
            let to = OpenOptions::new().write(true).truncate(true).open(to);
            stream(Box::new(to.map_err(|error| unwritable(path, error))?), &is_closed)
        }
        Sink::File(to) => {
            Destination::File(write::beside(to).map_err(|error| unwritable(path, error))?)
        }
    };
    let exported = mounts.site(app)?.export(mount, form, to).await;
    let exported = exported.map_err(|error| mounts.failure(app, error))?;
    if let Some(cause) = app.interrupt.cause() {
        return Err(cause.error());
    }
    let (archive, file) = match exported {
        Ok(exported) => exported,
        Err(_) if is_closed.load(Ordering::SeqCst) => return Ok(()),
        Err(error) => {
            let message = format!("failed to export the cache mount {}", mount.id);
            return Err(CommandError::new(ExitKind::Failed, message).caused_by(error));
        }
    };
    if let (Some(file), Sink::File(to)) = (file, &sink) {
        write::name(file, to).map_err(|error| unwritable(path, error))?;
    }
    if !app.is_quiet() {
        app.ui.remark(&view::exported(mount, &archive));
    }
    Ok(())
}

pub(super) async fn import(app: &App, args: &CacheImportArgs) -> Result<(), CommandError> {
    let path = &args.file;
    let (name, from): (String, Box<dyn Read + Send>) = if path.as_os_str() == "-" {
        ("standard input".to_owned(), Box::new(io::stdin()))
    } else {
        let failed = || format!("failed to read {}", path.display());
        let file: io::Result<File> = read::open(path);
        let file =
            file.map_err(|error| CommandError::new(ExitKind::Failed, failed()).caused_by(error))?;
        (path.display().to_string(), Box::new(file))
    };
    let mounts = Mounts::look(app, &[], false).await?;
    let mount = mounts.only(&args.id)?;
    let (good, others) = mounts.writable();
    if !good.iter().any(|it| std::ptr::eq(*it, mount)) {
        return Err(left_alone(mount, &others));
    }
    let existing = existing(args.force, args.merge);
    let imported = mounts.site(app)?.import(mount, &name, from, existing).await;
    let imported = imported.map_err(|error| mounts.failure(app, error))?;
    let report = MountReport::of_restore(mount, imported);
    let is_occupied = report.status == Status::Occupied;
    finish(app, vec![report], args.format, "import")?;
    match is_occupied {
        false => Ok(()),
        true => {
            let message = format!("nothing was imported: {} holds something", mount.id);
            Err(CommandError::new(ExitKind::Failed, message)
                .hint("--force replaces that, --merge keeps it and adds the rest"))
        }
    }
}

/// The mount of this id, if the engine has it and it can be read now.
fn readable<'a>(mounts: &'a Mounts, id: &str) -> Result<&'a CacheMount, CommandError> {
    let mount = mounts.only(id)?;
    let (good, others) = mounts.there();
    match good.iter().any(|it| std::ptr::eq(*it, mount)) {
        true => Ok(mount),
        false => Err(left_alone(mount, &others)),
    }
}

fn left_alone(mount: &CacheMount, others: &[MountReport]) -> CommandError {
    let report = others.iter().find(|it| it.id == mount.id && it.target == mount.target);
    let why = report.and_then(|it| it.reason.as_deref()).unwrap_or("the engine does not have it");
    CommandError::new(
        ExitKind::Failed,
        format!("the cache mount {} is left alone: {why}", mount.id),
    )
}

fn unwritable(path: &Path, error: io::Error) -> CommandError {
    CommandError::new(ExitKind::Failed, format!("failed to write to {}", path.display()))
        .caused_by(error)
}
