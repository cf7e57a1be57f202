//! `doc2md-docker builders`: buildx's files and what the nodes tell, to a table.

use std::time::Duration;

use futures_util::future::join_all;

use crate::app::App;
use crate::builders::{self, Builder, Driver};
use crate::cli::builders::{BuildersArgs, BuildersCommand, BuildersFormat};
use crate::engine::ConnectorSettings;
use crate::error::CommandError;
use crate::view::builders::{self as report, Row};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command.
///
/// # Errors
/// No builder has the name, or the engine's address cannot be understood.
pub async fn run(app: &App, args: &BuildersArgs) -> Result<(), CommandError> {
    let catalog = app.builders()?;
    let (format, rows) = match &args.command {
        Some(BuildersCommand::Inspect(inspect)) => {
            let choice = catalog.choose(inspect.name.as_deref())?;
            let rows = vec![(choice.builder.clone(), choice.is_engine, true)];
            (inspect.format, rows)
        }
        Some(BuildersCommand::Ls(list)) => (list.format, all(app, &catalog)),
        None => (args.list.format, all(app, &catalog)),
    };
    let is_one = matches!(args.command, Some(BuildersCommand::Inspect(_)));
    let asked = rows.into_iter().map(|(builder, is_engine, is_chosen)| {
        let settings = &catalog.settings;
        async move { row(builder, is_engine, is_chosen, settings, is_one).await }
    });
    let rows: Vec<Row> = join_all(asked).await;
    app.ui.data(&match (format, is_one) {
        (BuildersFormat::Json, _) => report::document(&rows),
        (BuildersFormat::Table, false) => report::table(&rows, app.ui.data_columns()),
        (BuildersFormat::Table, true) => report::details(&rows, app.ui.data_columns()),
    });
    Ok(())
}

/// All builders: those of buildx, and one within each engine that a docker context names.
fn all(app: &App, catalog: &builders::Catalog) -> Vec<(Builder, bool, bool)> {
    // A choice that leads nowhere marks nothing.
    let chosen = catalog.choose(None).ok().map(|choice| choice.builder.name);
    let mut builders = Vec::new();
    for name in catalog.store.names() {
        match catalog.store.builder(&name) {
            Some(Ok(builder)) => builders.push((builder, false)),
            Some(Err(why)) => app.ui.warn(&format!("the builder `{name}` cannot be read: {why}")),
            // It was removed meanwhile.
            None => {}
        }
    }
    let engines = catalog.engines().into_iter();
    builders.extend(engines.map(|(name, is_engine)| (builders::of_context(&name), is_engine)));
    builders
        .into_iter()
        .map(|(builder, is_engine)| {
            let is_chosen = chosen.as_ref() == Some(&builder.name);
            (builder, is_engine, is_chosen)
        })
        .collect()
}

async fn row(
    builder: Builder,
    is_engine: bool,
    is_chosen: bool,
    settings: &ConnectorSettings,
    with_cache: bool,
) -> Row {
    // The engine in use may come from -H or DOCKER_HOST; another one has a context of its own.
    let own = ConnectorSettings { host: None, ..settings.clone() };
    let settings = if is_engine || builder.driver != Driver::Docker { settings } else { &own };
    let probes = builder.nodes.iter().map(|node| {
        let node = match is_engine {
            true => builders::Node { endpoint: String::new(), ..node.clone() },
            false => node.clone(),
        };
        let builder = &builder;
        async move { builders::probe(builder, &node, settings, with_cache, PATIENCE).await }
    });
    let probes = join_all(probes).await;
    Row { builder, is_chosen, probes }
}
