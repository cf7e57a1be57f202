//! `stats --html`: what the report has not, gathered for the page alone.

use std::path::Path;

use crate::app::App;
use crate::cli::stats::{StatsArgs, StatsFormat};
use crate::commands::results;
use crate::error::{CommandError, ExitKind};
use crate::usage::{self, Findings, Inquiry, StatsReport};
use crate::view::stats::page::{Extras, page};

/// The page that is asked for.
pub(super) struct Page<'a> {
    path: &'a Path,
    /// Whether it goes where the table would.
    pub(super) is_the_data: bool,
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
        Ok(Some(Self { path, is_the_data }))
    }

    /// Asks for the rest, and writes.
    pub(super) async fn write(
        &self,
        app: &App,
        gathering: &Inquiry<'_>,
        gathered: &Findings,
        report: &StatsReport,
    ) -> Result<(), CommandError> {
        let history = usage::size_history(
            gathering.ledger,
            &gathering.project.name,
            gathering.directory,
            &gathered.inventory.engine,
        );
        let worths = gathering.worths(gathered).await;
        let choices = gathered.clean_choices();
        let extras = Extras {
            history: &history.await.unwrap_or_default(),
            worths: &worths,
            choices: choices.as_deref(),
        };
        results::write_sizes(self.path, &page(report, &extras), &app.ui)
    }
}
