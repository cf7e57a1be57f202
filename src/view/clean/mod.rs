//! The plan and the result of `clean`, for people and for programs.

mod lines;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use lines::table;

use crate::clean::survey::OthersHit;
use crate::clean::{Item, Kind, Offer, Plan, Remainder};
use crate::counted::{agreed, counted};
use crate::terminal::format;

/// Schema of [`json`].
const SCHEMA: &str = "doc2md-docker/clean/v1";

/// What became of a plan.
#[derive(Debug, Default)]
pub struct CleanResult<'a> {
    /// What remains of it.
    pub remains: &'a [Remainder],
    /// Bytes the engine holds less than before.
    pub freed_bytes: u64,
}

/// What to ask before `plan` is carried out: volumes hold what nobody can build again, so they are
/// named and sized; `others` says whom else it hits.
pub fn question(plan: &Plan, others: Option<&str>) -> String {
    let mut text = String::new();
    let volumes: Vec<String> = plan
        .removes(Kind::Volume)
        .map(|item| {
            let size = item.bytes.map_or_else(|| "size unknown".to_owned(), format::bytes);
            format!("{} ({size})", item.name)
        })
        .collect();
    if !volumes.is_empty() {
        text += &format!("The data in these volumes will be lost: {}\n", volumes.join(", "));
    }
    if let Some(others) = others {
        text += &format!("{others}\n");
    }
    text + &format!(
        "Remove {} and free about {}?",
        things(plan.remove.len()),
        format::bytes(plan.estimated_bytes())
    )
}

/// What to say before the build cache of everybody goes: which other projects it affects.
pub fn others_hit(others: &OthersHit, project: &str, place: &str) -> String {
    let OthersHit { records, all_records, bytes, projects } = others;
    let mut text = format!(
        "--cache=all removes the build cache of everybody on {place}: {records} of {} ({}) \
         {} not known to be of project {project}",
        counted(*all_records, "record"),
        format::bytes(*bytes),
        agreed(records, "is", "are")
    );
    if !projects.is_empty() {
        text += &format!("; it also hits {}", projects.join(", "));
    }
    text
}

/// What to say before cache mounts go that builds of these projects use, too.
pub fn sharing(projects: &BTreeSet<String>) -> String {
    let projects: Vec<&str> = projects.iter().map(String::as_str).collect();
    format!("builds of {} use what goes, too, and will begin without it", projects.join(", "))
}

/// What more would go, and what that would free.
pub fn offer(offer: &Offer) -> String {
    format!("{} would free {} more", offer.what, format::bytes(offer.more_bytes))
}

/// `1 thing`, `12 things`.
pub fn things(count: usize) -> String {
    counted(count, "thing")
}

/// What of a plan is about one of several nodes, in a sentence.
pub fn at_node(node: &str, plan: &Plan) -> String {
    format!(
        "{node}: {} to remove ({}), {} to keep",
        counted(plan.remove.len(), "record"),
        format::bytes(plan.estimated_bytes()),
        plan.keep.len()
    )
}

/// A builder whose cache is cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderPlace {
    /// Its name; `-` for the one of BUILDKIT_HOST.
    pub name: String,
    /// The node, and the pod of it, that keeps a record, by the record's id.
    pub nodes: BTreeMap<String, String>,
}

/// The plan and, once it was carried out, its result as JSON of schema `doc2md-docker/clean/v1`; at a `builder`, if it is not
/// about an engine.
pub fn json(
    project: &str,
    builder: Option<&BuilderPlace>,
    plan: &Plan,
    result: Option<&CleanResult>,
    notes: &[String],
) -> String {
    #[derive(Serialize)]
    struct Thing<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        kind: String,
        id: &'a str,
        name: &'a str,
        bytes: Option<u64>,
        reason: &'a str,
    }
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'a str,
        project: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        builder: Option<&'a str>,
        remove: Vec<Thing<'a>>,
        keep: Vec<Thing<'a>>,
        estimated_bytes: u64,
        /// `null` where nothing was to be removed yet.
        freed_bytes: Option<u64>,
        remaining: Vec<Thing<'a>>,
        notes: &'a [String],
    }
    fn thing<'a, A>(
        builder: Option<&'a BuilderPlace>,
        item: &'a Item<A>,
        reason: &'a str,
    ) -> Thing<'a> {
        let Item { id, name, bytes, .. } = item;
        let node = builder.and_then(|it| it.nodes.get(id)).map(String::as_str);
        Thing { node, kind: item.kind.to_string(), id, name, bytes: *bytes, reason }
    }
    let remains = result.map_or(&[][..], |result| result.remains);
    let document = Document {
        schema: SCHEMA,
        project,
        builder: builder.map(|it| it.name.as_str()),
        remove: plan.remove.iter().map(|item| thing(builder, item, &item.reason)).collect(),
        keep: plan.keep.iter().map(|item| thing(builder, item, &item.reason)).collect(),
        estimated_bytes: plan.estimated_bytes(),
        freed_bytes: result.map(|result| result.freed_bytes),
        remaining: remains.iter().map(|left| thing(builder, &left.item, &left.why)).collect(),
        notes,
    };
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
