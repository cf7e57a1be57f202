//! `clean --cache --builder`: the build cache of BuildKit at the nodes of a builder, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{Clean, ENGINE, End, How, or_interrupt, settings};
use crate::app::App;
use crate::builders::{Choice, OpenBuildkit, Opening};
use crate::clean::execute;
use crate::clean::space::Space;
use crate::clean::survey::OthersHit;
use crate::clean::{self, Kind, Outcome, Plan, Request};
use crate::cli::clean::CleanArgs;
use crate::commands::nodes::{self, NamedNode};
use crate::error::CommandError;
use crate::inventory::Inventory;
use crate::ownership::{NodeCache, Project};
use crate::scope;
use crate::unreachable::unreachable;
use crate::view::clean::{self as report, BuilderPlace};

/// How long a node may take to be reached. Each question on the way has a shorter limit of its own, so that a pod that is
/// silent is lost alone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A BuildKit, what it keeps, and what goes of that.
struct Place {
    /// The node, and the pod of it.
    name: String,
    buildkit: OpenBuildkit,
    cache: NodeCache,
    plan: Plan,
}

/// What was found at the nodes.
#[derive(Default)]
struct Survey {
    places: Vec<Place>,
    /// What is to be said.
    notes: Vec<String>,
    /// Why nodes could not be asked.
    lost: Vec<CommandError>,
}

/// Runs the command.
///
/// # Errors
/// As for the engine; or something is asked for that a builder does not have.
pub(super) async fn run(app: &App, args: &CleanArgs, choice: &Choice) -> Result<(), CommandError> {
    let request = settings::at_builder(args, Timestamp::now())?;
    let scope = scope::scope(app)?;
    let project = &scope.project;
    // What was removed by then is always told.
    let _orderly = app.interrupt.orderly_part();
    let survey = survey(app, choice, project, &request);
    let survey = or_interrupt(&app.interrupt, ENGINE, survey).await??;
    let mut notes = vec![format!("this is about the build cache of {choice}")];
    notes.extend(scope.note.iter().cloned());
    notes.extend(survey.notes.iter().cloned());
    notes.extend(survey.lost.iter().map(|error| format!("left alone: {error}")));
    if !app.is_quiet() {
        notes.iter().for_each(|note| app.ui.note(note));
    }
    let builder = BuilderPlace { name: choice.builder.name.clone(), nodes: nodes_of(&survey) };
    let plan = together(&survey.places);
    let clean = Clean {
        app,
        how: How::new(args),
        project: &project.name,
        builder: Some(&builder),
        plan: &plan,
        offers: &[],
        notes: &notes,
    };
    if args.dry_run || plan.remove.is_empty() {
        clean.show_only();
    } else {
        clean.show_plan(false);
        let others = request.whole_cache.then(|| others_hit(&survey.places, &project.name));
        clean.confirm(others.as_deref()).await?;
        return remove(&clean, survey).await;
    }
    for error in survey.lost.iter().skip(1) {
        app.ui.warn(&error.to_string());
    }
    survey.lost.into_iter().next().map_or(Ok(()), Err)
}

/// Asks all nodes at the same time. One that cannot be asked is left alone.
async fn survey(
    app: &App,
    choice: &Choice,
    project: &Project,
    request: &Request,
) -> Result<Survey, CommandError> {
    let mut survey = Survey::default();
    let mut open = Vec::new();
    for NamedNode { name, opening } in nodes::open(app, choice, PATIENCE).await? {
        let alone = |why: &str| format!("the node {name} is left alone: {why}");
        match opening {
            Ok(Opening::Open { buildkits, lost, .. }) => {
                survey.lost.extend(lost.into_iter().map(|it| nodes::failed(it.error)));
                open.extend(buildkits.into_iter().map(|it| (name.clone(), it)));
            }
            Ok(Opening::Stopped(state)) => {
                survey.notes.push(alone(&format!("it is not running ({state})")));
            }
            Ok(Opening::NoPod(_)) => survey.notes.push(alone("none of its pods runs")),
            Ok(Opening::NotReached) => survey.notes.push(alone("it is not supported")),
            Err(error) => survey.lost.push(error),
        }
    }
    let ledger = app.environment.ledger_directory();
    let asked = open.into_iter().map(|(name, buildkit)| {
        let ledger = ledger.clone();
        async move {
            let OpenBuildkit { control, about, .. } = &buildkit;
            let cache = NodeCache::ask(control, about, project, ledger, None).await;
            (name, cache.map_err(|error| unreachable(&buildkit.connector, error)), buildkit)
        }
    });
    let mut workers: BTreeSet<String> = BTreeSet::new();
    for (node, cache, buildkit) in join_all(asked).await {
        let cache = match cache {
            Ok(cache) => cache,
            Err(error) => {
                survey.lost.push(error);
                continue;
            }
        };
        // Two nodes can be two ways to one BuildKit.
        let worker = &cache.inventory.engine.id;
        if !worker.is_empty() && !workers.insert(worker.clone()) {
            continue;
        }
        let name = match &buildkit.pod {
            Some(pod) => format!("{node}/{pod}"),
            None => node,
        };
        survey.notes.extend(cache.notes.iter().map(|note| format!("{name}: {note}")));
        let space = Space::new(&cache.inventory, &[]);
        let plan = clean::plan(&cache.inventory, &space, &cache.answer, request);
        survey.places.push(Place { name, buildkit, cache, plan });
    }
    if let places @ [_, _, ..] = survey.places.as_slice() {
        survey.notes.extend(places.iter().map(|it| report::at_node(&it.name, &it.plan)));
    }
    match survey.places.is_empty() {
        false => Ok(survey),
        true => Err(survey.lost.into_iter().next().unwrap_or_else(|| nodes::none_runs(choice))),
    }
}

/// Where each record of the plans is.
fn nodes_of(survey: &Survey) -> BTreeMap<String, String> {
    let of_place = |place: &Place| {
        let removed = place.plan.remove.iter().map(|item| item.id.clone());
        let kept = place.plan.keep.iter().map(|item| item.id.clone());
        let name = place.name.clone();
        removed.chain(kept).map(move |id| (id, name.clone())).collect::<Vec<_>>()
    };
    survey.places.iter().flat_map(of_place).collect()
}

/// The plans of all nodes as one, to be shown and agreed to.
fn together(places: &[Place]) -> Plan {
    let mut plan = Plan::default();
    for place in places {
        plan.remove.extend(place.plan.remove.iter().cloned());
        plan.keep.extend(place.plan.keep.iter().cloned());
    }
    plan
}

/// Whom else it hits that the cache of everybody goes.
fn others_hit(places: &[Place], project: &str) -> String {
    let mut all = OthersHit { records: 0, all_records: 0, bytes: 0, projects: Vec::new() };
    for place in places {
        let hit = OthersHit::new(&place.cache.inventory, &place.cache.answer, project);
        all.records += hit.records;
        all.all_records += hit.all_records;
        all.bytes += hit.bytes;
        all.projects.extend(hit.projects);
    }
    report::others_hit(&all, project, "this builder")
}

/// Carries the plans out, node by node. Where one is lost the others still go; Ctrl-C ends it.
async fn remove(clean: &Clean<'_>, survey: Survey) -> Result<(), CommandError> {
    let token = clean.app.interrupt.token();
    let (mut all, mut lost) = (Outcome::default(), survey.lost);
    for Place { buildkit, cache, plan, .. } in &survey.places {
        if all.stopped.is_some() {
            let items: Vec<_> = plan.removes(Kind::Cache).collect();
            all.leave(items.iter());
            continue;
        }
        let Inventory { engine, cache, .. } = &cache.inventory;
        let (outcome, error) =
            execute::execute_at_node(&buildkit.control, plan, cache, token).await;
        clean.remember(&outcome, plan, &engine.id, cache);
        lost.extend(error.map(|error| unreachable(&buildkit.connector, error)));
        all.add(outcome);
    }
    let mut lost = lost.into_iter();
    let end = match (&all.stopped, lost.next()) {
        (Some(_), error) => {
            error.iter().for_each(|error| clean.app.ui.warn(&error.to_string()));
            End::Interrupted
        }
        (None, Some(error)) => End::Lost(error),
        (None, None) => End::Complete,
    };
    lost.for_each(|error| clean.app.ui.warn(&error.to_string()));
    clean.finish(&all, Some(all.record_bytes), end)
}
