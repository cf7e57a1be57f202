//! `stats --html`: what the report has not, gathered for the page alone.

use std::path::Path;

use tokio::time::timeout;

use crate::app::App;
use crate::cli::stats::{Measure, StatsArgs, StatsFormat};
use crate::commands::{cache, results};
use crate::engine::TOO_SLOW;
use crate::error::{CommandError, ExitKind};
use crate::usage::{self, Gathered, Gathering, StatsReport};
use crate::view::stats::page::{Extras, Savings, page};

/// The page that is asked for.
pub(super) struct Page<'a> {
    path: &'a Path,
    /// Whether it goes where the table would.
    pub(super) is_the_data: bool,
    /// Whether a step may look into the mounts.
    may_look: bool,
}

impl<'a> Page<'a> {
    /// What the options say, once it is certain that the page can be written.
    pub(super) fn wanted(args: &'a StatsArgs) -> Result<Option<Self>, CommandError> {
        let Some(path) = args.html.as_deref() else { return Ok(None) };
        let is_the_data = results::check_sizes(path)?;
        if is_the_data && args.format != StatsFormat::Table {
            let message = "--html and --format both ask for standard output";
            return Err(CommandError::new(ExitKind::Usage, message)
                .hint("--html FILE writes the page to a file, beside what --format prints"));
        }
        let may_look = args.measure != Measure::Never;
        Ok(Some(Self { path, is_the_data, may_look }))
    }

    /// Asks for the rest, and writes.
    pub(super) async fn write(
        &self,
        app: &App,
        gathering: &Gathering<'_>,
        gathered: &Gathered,
        report: &StatsReport,
    ) -> Result<(), CommandError> {
        let history = usage::size_history(
            gathering.ledger,
            &gathering.project.name,
            gathering.directory,
            &gathered.inventory.engine,
        );
        let savings = self.savings(app, gathering, report).await?;
        let choices = gathered.clean_choices();
        let extras = Extras {
            history: &history.await.unwrap_or_default(),
            savings: &savings,
            choices: choices.as_deref(),
        };
        results::write_sizes(self.path, &page(report, &extras), &app.ui)
    }

    /// What the mounts are worth: that takes a step on the engine.
    async fn savings(
        &self,
        app: &App,
        gathering: &Gathering<'_>,
        report: &StatsReport,
    ) -> Result<Savings, CommandError> {
        let unknown = |why: &str| Ok(Savings::Unknown(why.to_owned()));
        if report.cache.mounts.iter().all(|mount| mount.services.is_empty()) {
            return Ok(Savings::Known(Default::default()));
        }
        if !self.may_look {
            return unknown("--measure=never");
        }
        match timeout(gathering.limit, cache::savings(app)).await {
            Ok(Ok(savings)) => Ok(Savings::Known(savings)),
            Ok(Err(error)) if app.interrupt.cause().is_some() => Err(error),
            Ok(Err(error)) => unknown(&error.message),
            Err(_) => unknown(TOO_SLOW),
        }
    }
}
