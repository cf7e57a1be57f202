//! `doc2md-docker history`: the ledger's builds to tables, documents and pages.

use jiff::Timestamp;

use crate::app::App;
use crate::cli::history::{
    CompareArgs, HistoryAction, HistoryArgs, HistoryFormat, ListArgs, LogsArgs, RemoveArgs,
    ShowArgs,
};
use crate::commands::results::{check_timeline, write_timeline};
use crate::compose;
use crate::error::{CommandError, ExitKind};
use crate::explain;
use crate::history::{Entry, ReadError, Store, StoreError, Stored, copied, select, store};
use crate::run::replay;
use crate::solve;
use crate::targets::TargetOptions;
use crate::terminal::Ui;
use crate::view::history;
use crate::view::timeline::Timeline;
use crate::view::why;

/// Runs the command.
///
/// # Errors
/// A build that is not there or not clear, or a ledger that cannot be read.
pub async fn run(app: &App, args: &HistoryArgs) -> Result<(), CommandError> {
    let history = History::open(app)?;
    match &args.action {
        None => history.list(&ListArgs::default()),
        Some(HistoryAction::Ls(args)) => history.list(args),
        Some(HistoryAction::Show(args)) => history.show(args),
        Some(HistoryAction::Compare(args)) => history.compare(args),
        Some(HistoryAction::Logs(args)) => history.logs(app, args).await,
        Some(HistoryAction::Rm(args)) => history.remove(args),
    }
}

/// The project's name: given, or that of the compose files.
fn project_name(app: &App) -> Result<String, CommandError> {
    let given = app.global.project.project_name.as_deref();
    match given.or_else(|| app.environment.get("COMPOSE_PROJECT_NAME")) {
        Some(name) => Ok(compose::normalise_name(name)),
        None => match app.project() {
            Ok(project) => Ok(project.name),
            Err(error) => Err(error.hint("-p NAME names a project whose files are gone")),
        },
    }
}

/// The history of one project.
pub(super) struct History<'a> {
    store: Store,
    project: String,
    ui: &'a Ui,
}

impl<'a> History<'a> {
    pub(super) fn open(app: &'a App) -> Result<Self, CommandError> {
        let Some(directory) = app.environment.ledger_directory() else {
            return Err(CommandError::new(
                ExitKind::Usage,
                "there is no place for a history of builds",
            )
            .hint("set DOC2MD_DOCKER_STATE_DIR or HOME"));
        };
        let project = project_name(app)?;
        Ok(Self { store: Store::open(directory), project, ui: &app.ui })
    }

    fn list(&self, args: &ListArgs) -> Result<(), CommandError> {
        let (entries, skipped) = store::read_all(&self.builds()?, args.limit);
        self.warn(&skipped);
        if args.format == HistoryFormat::Json {
            self.ui.data(&history::list_json(&self.project, &entries));
        } else if entries.is_empty() {
            self.ui.say(&format!("no builds of {} are remembered", self.project));
        } else {
            let now = Timestamp::now();
            let columns = self.ui.data_columns();
            self.ui.data(&history::list(&entries, now, columns, self.ui.unicode()));
        }
        Ok(())
    }

    fn show(&self, args: &ShowArgs) -> Result<(), CommandError> {
        let builds = self.builds()?;
        let entry = self.read(&builds, &args.build)?;
        let (page, trace) = (args.timeline.as_deref(), args.trace.as_deref());
        check_timeline(page, trace)?;
        if page.is_some() || trace.is_some() {
            let (others, _) = store::read_all(&builds, usize::MAX);
            let causes = why::of_steps(&explain::by_history(entry.clone(), others));
            write_timeline(&Timeline::of_entry(&entry).explained(&causes), page, trace, self.ui)?;
        }
        let columns = self.ui.data_columns();
        self.ui.data(&match args.format {
            HistoryFormat::Json => history::document(&entry),
            HistoryFormat::Table => history::show(&entry, Timestamp::now(), columns),
        });
        Ok(())
    }

    fn compare(&self, args: &CompareArgs) -> Result<(), CommandError> {
        let builds = self.builds()?;
        let (mut a, mut b) = (self.read(&builds, &args.a)?, self.read(&builds, &args.b)?);
        // What cannot be read tells no contents, that is all.
        let (others, _) = store::read_all(&builds, usize::MAX);
        copied::recall(&mut a, &others);
        copied::recall(&mut b, &others);
        let why = explain::by_history(b.clone(), others);
        let comparison = history::Comparison::of(&a, &b).explained(why);
        let columns = self.ui.data_columns();
        self.ui.data(&match args.format {
            HistoryFormat::Json => history::document(&comparison),
            HistoryFormat::Table => history::comparison(&comparison, columns),
        });
        Ok(())
    }

    async fn logs(&self, app: &App, args: &LogsArgs) -> Result<(), CommandError> {
        let entry = self.read(&self.builds()?, &args.build)?;
        let plan = || {
            let set = app.targets(&app.project().ok()?, TargetOptions::default()).ok()?;
            solve::checked_plan(&set, None).ok()
        };
        replay(app, &entry, &args.services, plan().as_ref()).await
    }

    fn remove(&self, args: &RemoveArgs) -> Result<(), CommandError> {
        let builds = self.builds()?;
        // All names are looked up before anything goes.
        let meant: Vec<&Stored> = if args.all {
            builds.iter().collect()
        } else {
            let found: Result<_, _> = args.builds.iter().map(|spec| find(&builds, spec)).collect();
            found?
        };
        for build in meant {
            if self.store.remove(build).map_err(broken)? {
                self.ui.data(&format!("{}\n", build.id));
            }
        }
        Ok(())
    }

    /// The project's builds, the newest first.
    pub(super) fn builds(&self) -> Result<Vec<Stored>, CommandError> {
        self.store.entries(&self.project).map_err(|error| match error {
            StoreError::Project(_) => {
                CommandError::new(ExitKind::Usage, error.to_string()).keeping(error)
            }
            error => broken(error),
        })
    }

    pub(super) fn read(&self, builds: &[Stored], spec: &str) -> Result<Entry, CommandError> {
        find(builds, spec)?.read().map_err(|error| {
            CommandError::new(ExitKind::Failed, format!("cannot read build {spec}"))
                .caused_by(error)
        })
    }

    fn warn(&self, skipped: &[ReadError]) {
        for error in skipped {
            self.ui.warn(&error.to_string());
        }
    }
}

fn find<'a>(builds: &'a [Stored], spec: &str) -> Result<&'a Stored, CommandError> {
    if builds.is_empty() {
        return Err(CommandError::new(ExitKind::Usage, "no builds of this project are remembered")
            .hint("`doc2md-docker build` starts the history; -p NAME names another project"));
    }
    select(builds, spec).map_err(|error| {
        CommandError::new(ExitKind::Usage, error.to_string())
            .hint("`doc2md-docker history ls` lists them")
    })
}

fn broken(error: StoreError) -> CommandError {
    CommandError::new(ExitKind::Failed, "failed to use the history of builds").caused_by(error)
}
