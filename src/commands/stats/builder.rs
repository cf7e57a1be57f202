//! `stats --builder`: what BuildKit at the nodes of a builder keeps.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::builders::{Choice, LostPod, OpenBuildkit, Opening};
use crate::cli::stats::{Measure, StatsArgs, StatsFormat};
use crate::commands::nodes::{self, NamedNode};
use crate::engine::TOO_SLOW;
use crate::error::{CommandError, ExitKind};
use crate::ownership::{NodeCache, Project};
use crate::scope;
use crate::unreachable::unreachable;
use crate::usage::{self, BuilderFacts, BuilderSummary, NodeFacts, NodeState};
use crate::view::stats::{Extent, builder_json, builder_table};

/// Shows it.
///
/// # Errors
/// An option makes no sense there, files are invalid, or a node cannot be reached.
pub(super) async fn run(app: &App, args: &StatsArgs, choice: &Choice) -> Result<(), CommandError> {
    check(args)?;
    let scope = scope::scope(app)?;
    let services = usage::services(scope.files.as_ref(), &app.environment.working_dir)?;
    let nodes = nodes::open(app, choice, args.timeout).await?;
    let ledger = app.environment.ledger_directory();
    let asked = nodes.into_iter().map(|node| of_node(node, &scope.project, &ledger, args.timeout));
    let (mut facts, mut lost) = (Vec::new(), Vec::new());
    for (of_node, errors) in join_all(asked).await {
        facts.extend(of_node);
        lost.extend(errors);
    }
    let is_any_there = facts.iter().any(|it| matches!(it.state, NodeState::Running { .. }));
    if !is_any_there {
        return Err(lost.into_iter().next().unwrap_or_else(|| nodes::none_runs(choice)));
    }
    let builder = &choice.builder;
    let report = usage::of_builder(&BuilderFacts {
        project: &scope.project.name,
        services: &services,
        builder: BuilderSummary {
            name: builder.name.clone(),
            driver: builder.driver.name().to_owned(),
        },
        nodes: &facts,
        with_records: app.is_verbose(),
        now: Timestamp::now(),
        notes: scope.note.as_slice(),
    });
    let extent = if app.is_verbose() { Extent::All } else { Extent::Short };
    match args.format {
        StatsFormat::Json => app.ui.data(&builder_json(&report)),
        _ => {
            app.ui.data(&builder_table(&report, app.ui.data_columns(), extent));
            for note in report.notes.iter().filter(|_| !app.is_quiet()) {
                app.ui.note(note);
            }
        }
    }
    lost.into_iter().next().map_or(Ok(()), Err)
}

/// Makes sure that nothing is asked for that a builder does not have.
fn check(args: &StatsArgs) -> Result<(), CommandError> {
    let refused = [
        ("--budget", !args.budget.is_empty(), "its sizes are in --format json"),
        ("--max-growth", args.max_growth.is_some(), "it is about images, which are not there"),
        ("--html", args.html.is_some(), "--format json has what a page would show"),
        ("--measure", args.measure == Measure::Always, "mounts have the size that BuildKit tells"),
        ("--format markdown", args.format == StatsFormat::Markdown, "table and json are there"),
        ("--format prometheus", args.format == StatsFormat::Prometheus, "table and json are there"),
    ];
    match refused.into_iter().find(|(_, is_given, _)| *is_given) {
        None => Ok(()),
        Some((option, _, hint)) => {
            let message =
                format!("{option} works on docker engines, not on the cache of a builder");
            Err(CommandError::new(ExitKind::Usage, message).hint(hint))
        }
    }
}

/// What a node has, each of its pods by itself; and why something of it is not known.
async fn of_node(
    node: NamedNode,
    project: &Project,
    ledger: &Option<PathBuf>,
    limit: Duration,
) -> (Vec<NodeFacts>, Vec<CommandError>) {
    let NamedNode { name, opening } = node;
    let without = |state| vec![NodeFacts { node: name.clone(), pod: None, state }];
    let (buildkits, lost_pods) = match opening {
        Ok(Opening::Open { buildkits, lost, .. }) => (buildkits, lost),
        Ok(Opening::Stopped(state)) => return (without(NodeState::Stopped(state)), Vec::new()),
        Ok(Opening::NoPod(_)) => {
            return (without(NodeState::Stopped("no pod runs".to_owned())), Vec::new());
        }
        Ok(Opening::NotReached) => {
            return (without(NodeState::Stopped("not supported".to_owned())), Vec::new());
        }
        Err(error) => {
            return (without(NodeState::Unreachable(error.message.clone())), vec![error]);
        }
    };
    let end = Instant::now() + limit;
    let asked = buildkits.into_iter().map(|it| async move {
        let OpenBuildkit { connector, pod, control, about } = it;
        let asked = NodeCache::ask(&control, &about, project, ledger.clone(), Some(end));
        let cache = match timeout_at(end, asked).await {
            Ok(cache) => cache.map_err(|error| unreachable(&connector, error)),
            Err(_) => {
                let message = format!("{}: {TOO_SLOW}", connector.peer());
                Err(CommandError::new(ExitKind::EngineUnreachable, message))
            }
        };
        (pod, cache, about.version)
    });
    let (mut facts, mut lost) = (Vec::new(), Vec::new());
    for LostPod { pod, error } in lost_pods {
        let error = nodes::failed(error);
        let state = NodeState::Unreachable(error.message.clone());
        facts.push(NodeFacts { node: name.clone(), pod: Some(pod), state });
        lost.push(error);
    }
    for (pod, cache, version) in join_all(asked).await {
        let state = match cache {
            Ok(cache) => NodeState::Running { version, cache: Box::new(cache) },
            Err(error) => {
                let state = NodeState::Unreachable(error.message.clone());
                lost.push(error);
                state
            }
        };
        facts.push(NodeFacts { node: name.clone(), pod, state });
    }
    facts.sort_by(|a, b| a.pod.cmp(&b.pod));
    (facts, lost)
}
