//! The nodes of the builder that `--builder` names, opened for what asks about their cache.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::app::App;
use crate::builders::{self, Choice, OpenError, Opening};
use crate::error::{CommandError, ExitKind};
use crate::solve::site::unreachable_buildkit;
use crate::unreachable::unreachable;

/// A node, and what there is of it.
pub(super) struct NamedNode {
    /// Its name.
    pub(super) name: String,
    /// What there is; or why it cannot be reached.
    pub(super) opening: Result<Opening, CommandError>,
}

/// Opens all nodes of the builder at the same time; each may take as long as `limit`. No container is started for that.
///
/// # Errors
/// The engine's address cannot be understood.
pub(super) async fn open(
    app: &App,
    choice: &Choice,
    limit: Duration,
) -> Result<Vec<NamedNode>, CommandError> {
    let catalog = app.builders()?;
    let builder = &choice.builder;
    let opened = builder.nodes.iter().map(|node| {
        let settings = &catalog.settings;
        async move {
            let called = choice.node_name(node);
            let opening = builders::open(builder, node, &called, settings, usize::MAX);
            let opening = match timeout(limit, opening).await {
                Ok(opening) => opening.map_err(failed),
                Err(_) => {
                    let message = format!("{called} gave no answer within {} s", limit.as_secs());
                    Err(CommandError::new(ExitKind::EngineUnreachable, message))
                }
            };
            NamedNode { name: node.name.clone(), opening }
        }
    });
    Ok(join_all(opened).await)
}

/// What it means to the user.
pub(super) fn failed(error: OpenError) -> CommandError {
    match error {
        OpenError::Node(error) => error.into(),
        OpenError::Engine { connector, source } => unreachable(&connector, source),
        OpenError::Buildkit { connector, source } => unreachable_buildkit(&connector, source),
    }
}

/// That there is nobody to ask.
pub(super) fn none_runs(choice: &Choice) -> CommandError {
    let name = &choice.builder.name;
    let message = match name.as_str() {
        "-" => "BuildKit of BUILDKIT_HOST does not run".to_owned(),
        name => format!("no node of the builder `{name}` runs"),
    };
    CommandError::new(ExitKind::EngineUnreachable, message)
        .hint(format!("`docker buildx inspect --bootstrap {name}` starts them"))
}
