//! Circles in a graph of arrows, and the arrows between files.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Source, module_path};

/// Each node with those it points at.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The groups of two and more nodes that all reach each other.
pub(crate) fn find(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|node| (node.as_str(), reach(graph, node))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (node, others) in &reached {
        let circle: BTreeSet<String> = others
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(node)))
            .map(ToString::to_string)
            .collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reach<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        for next in graph.get(node).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    seen
}

/// Which file needs which. A module and those inside it are one thing here; what a module passes on from inside
/// (`pub use`) counts as the file it is in.
pub(crate) fn arrows_between_files(sources: &[Source]) -> Graph {
    let modules: BTreeMap<Vec<String>, &Source> =
        sources.iter().map(|source| (module_path(&source.path), source)).collect();
    let mut graph = Graph::new();
    for source in sources {
        let own = module_path(&source.path);
        for path in &source.mentions {
            let Some(module) = file_of(&absolute(path, &own, &modules), &modules) else { continue };
            if !module.starts_with(&own) && !own.starts_with(&module) {
                graph
                    .entry(source.path.display().to_string())
                    .or_default()
                    .insert(modules[&module].path.display().to_string());
            }
        }
    }
    graph
}

fn absolute(
    path: &[String],
    own: &[String],
    modules: &BTreeMap<Vec<String>, &Source>,
) -> Vec<String> {
    let child = [own, &path[..1]].concat();
    if modules.contains_key(&child) { [own, path].concat() } else { path.to_vec() }
}

/// The module whose file holds what a path names.
fn file_of(path: &[String], modules: &BTreeMap<Vec<String>, &Source>) -> Option<Vec<String>> {
    let length = (1..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let module = path[..length].to_vec();
    let name = path.get(length);
    let passed_on = modules[&module].mentions.iter().find_map(|mention| {
        let inner = absolute(mention, &module, modules);
        let inside = inner.len() > module.len() + 1 && inner.starts_with(&module);
        (inside && inner.last() == name).then_some(inner)
    });
    match passed_on {
        Some(inner) => file_of(&inner[..inner.len() - 1], modules),
        None => Some(module),
    }
}
