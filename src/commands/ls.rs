//! `doc2md-docker ls`: engine and history to the projects.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::app::App;
use crate::cli::ls::{LsArgs, LsFormat};
use crate::engine::Engine;
use crate::error::{CommandError, ExitKind};
use crate::history::Store;
use crate::inventory::{Image, Lost, Part};
use crate::ownership::{self, records::stacks};
use crate::projects::{self, LastBuild};
use crate::unreachable::unreachable;
use crate::view::projects as report;

/// Runs the command.
///
/// # Errors
/// The engine cannot be reached, or tells of no kind of thing.
pub async fn run(app: &App, args: &LsArgs) -> Result<(), CommandError> {
    let connector = app.connector()?;
    let engine = &Engine::new(connector);
    let failed = |error| unreachable(connector, error);
    let layers = async |images: &[Image]| {
        let ids = projects::labelled(images);
        let details = engine.image_details(&ids);
        tokio::time::timeout(args.timeout, details).await.ok()?.ok()
    };
    let (inventory, details) = engine.inventory_with(args.timeout, layers).await.map_err(failed)?;
    let store = app.environment.ledger_directory().map(Store::open);
    let mut builds = BTreeMap::new();
    for name in ownership::projects(&inventory) {
        // What cannot be read tells nothing, that is all.
        let entries = store.as_ref().and_then(|store| store.newest(name, usize::MAX).ok());
        let last =
            entries.and_then(|(entries, _)| LastBuild::of_entries(&entries, &inventory.engine.id));
        builds.extend(last.map(|last| (name.to_owned(), last)));
    }
    let listed = projects::list(&inventory, &stacks(&details.unwrap_or_default()), &builds);
    if args.format == LsFormat::Table && listed.is_empty() {
        app.ui.remark("the engine has nothing of any project");
    } else {
        app.ui.data(&match args.format {
            LsFormat::Json => report::document(&listed),
            LsFormat::Table => report::table(&listed, Timestamp::now(), app.ui.data_columns()),
        });
    }
    for gap in inventory.gaps.iter().filter(|gap| gap.part != Part::Cache) {
        app.ui.warn(&gap.to_string());
    }
    match inventory.gap(Part::Containers) {
        Some(gap) if gap.lost == Lost::Everything => {
            Err(CommandError::new(ExitKind::Failed, gap.to_string())
                .hint("give the engine more time with --timeout"))
        }
        _ => Ok(()),
    }
}
