//! `doc2md-docker history`: the ledger's builds to tables, documents and pages.

use jiff::Timestamp;

use crate::app::App;
use crate::cli::history::{
    CompareArgs, HistoryAction, HistoryArgs, HistoryFormat, ListArgs, LogsArgs, RemoveArgs,
    ShowArgs,
};
use crate::commands::recorded::{self, Meaning};
use crate::commands::remembered::{History, broken, find};
use crate::commands::results::{check_timeline, write_timeline};
use crate::error::CommandError;
use crate::explain;
use crate::history::{BuildFile, ReadError, copied, store};
use crate::run::replay;
use crate::solve;
use crate::targets::TargetOptions;
use crate::view::history;
use crate::view::timeline::Timeline;
use crate::view::why;

/// Runs the command.
///
/// # Errors
/// A build that is not there or not clear, or a ledger that cannot be read.
pub async fn run(app: &App, args: &HistoryArgs) -> Result<(), CommandError> {
    match &args.action {
        None => History::open(app)?.list(&ListArgs::default()),
        Some(HistoryAction::Ls(args)) if args.engine => recorded::list(app, args).await,
        Some(HistoryAction::Ls(args)) => History::open(app)?.list(args),
        Some(HistoryAction::Show(args)) => show(app, args).await,
        Some(HistoryAction::Compare(args)) => History::open(app)?.compare(args),
        Some(HistoryAction::Logs(args)) => logs(app, args).await,
        Some(HistoryAction::Rm(args)) => History::open(app)?.remove(args),
    }
}

async fn show(app: &App, args: &ShowArgs) -> Result<(), CommandError> {
    let (page, trace) = (args.timeline.as_deref(), args.trace.as_deref());
    check_timeline(page, trace)?;
    let own = History::open(app);
    let is_drawn = page.is_some() || trace.is_some();
    let (entry, why) = match recorded::meant(own.as_ref().map_err(Clone::clone), &args.build)? {
        Meaning::Own(entry) if is_drawn => {
            let (others, _) = store::read_all(&own?.builds()?, usize::MAX);
            let why = explain::by_history((*entry).clone(), others);
            (*entry, Some(why))
        }
        Meaning::Own(entry) => (*entry, None),
        Meaning::OfEngine(named) if is_drawn => {
            let (entry, why) = recorded::explain(app, own.as_ref().ok(), named).await?;
            (entry, Some(why))
        }
        Meaning::OfEngine(named) => (recorded::read(app, named).await?.entry, None),
    };
    if let Some(why) = why {
        let timeline = Timeline::of_entry(&entry).explained(&why::of_steps(&why));
        write_timeline(&timeline, page, trace, &app.ui)?;
    }
    let columns = app.ui.data_columns();
    app.ui.data(&match args.format {
        HistoryFormat::Json => history::document(&entry),
        HistoryFormat::Table => history::show(&entry, Timestamp::now(), columns),
    });
    Ok(())
}

async fn logs(app: &App, args: &LogsArgs) -> Result<(), CommandError> {
    let own = History::open(app);
    let entry = match recorded::meant(own.as_ref().map_err(Clone::clone), &args.build)? {
        Meaning::Own(entry) => *entry,
        Meaning::OfEngine(named) => recorded::read(app, named).await?.entry,
    };
    let plan = || {
        let set = app.targets(&app.project().ok()?, TargetOptions::default()).ok()?;
        solve::checked_plan(&set, None).ok()
    };
    replay(app, &entry, &args.services, plan().as_ref()).await
}

impl History<'_> {
    fn list(&self, args: &ListArgs) -> Result<(), CommandError> {
        let (entries, skipped) = store::read_all(&self.builds()?, args.limit);
        self.warn(&skipped);
        if args.format == HistoryFormat::Json {
            self.ui.data(&history::list_json(&self.project, &entries));
        } else if entries.is_empty() {
            self.ui.remark(&format!("no builds of {} are remembered", self.project));
        } else {
            let now = Timestamp::now();
            let columns = self.ui.data_columns();
            self.ui.data(&history::list(&entries, now, columns, self.ui.unicode()));
        }
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
        let comparison = history::Comparison::between(&a, &b).explained(why);
        let columns = self.ui.data_columns();
        self.ui.data(&match args.format {
            HistoryFormat::Json => history::document(&comparison),
            HistoryFormat::Table => history::comparison(&comparison, columns),
        });
        Ok(())
    }

    fn remove(&self, args: &RemoveArgs) -> Result<(), CommandError> {
        let builds = self.builds()?;
        // All names are looked up before anything goes.
        let meant: Vec<&BuildFile> = if args.all {
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

    fn warn(&self, skipped: &[ReadError]) {
        for error in skipped {
            self.ui.warn(&error.to_string());
        }
    }
}
