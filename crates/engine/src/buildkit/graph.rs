//! What a build graph says of a build that has not been made: its steps, the directories they read, and the digests
//! that the same steps had in another session.
//!
//! A digest is that of the operation with everything below, and an operation that reads a directory of the client
//! carries the id of the session that serves it. With the id of an earlier session in its place, and the digests above
//! made anew, the graph has the digests which that build's statuses told: equal ones prove that a step is the same.

use std::collections::HashMap;

use bollard_buildkit_proto::pb as ops;
use prost::Message as _;

use super::definition::{Definition, digest};
use crate::build_context::filter::FilterRequest;
use crate::progress::{ProgressGroup, Vertex};

/// How the address of a client's directory begins.
const LOCAL: &str = "local://";
/// The session that serves it (BuildKit `solver/pb/attr.go`, as the next three).
const SESSION: &str = "local.session";
const EXCLUDE: &str = "local.excludepatterns";
const INCLUDE: &str = "local.includepattern";
const FOLLOW: &str = "local.followpaths";
/// Key of an operation's name among its descriptions.
const NAME: &str = "llb.customname";

/// A directory that a graph reads from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSource {
    /// What the engine calls it.
    pub name: String,
    /// The session that serves it.
    pub session: String,
    /// Which part of it is read.
    pub request: FilterRequest,
}

impl Definition {
    /// Its steps as Status would announce them.
    pub fn announced(&self) -> Vec<Vertex> {
        let definition = self.wire();
        let vertex = |bytes: &Vec<u8>| {
            let op = ops::Op::decode(&bytes[..]).ok()?;
            op.op.as_ref()?;
            let digest = digest(bytes);
            let metadata = definition.metadata.get(&digest).cloned().unwrap_or_default();
            let group = metadata.progress_group.map(|group| ProgressGroup {
                id: group.id,
                name: group.name,
                weak: group.weak,
            });
            Some(Vertex {
                name: metadata.description.get(NAME).cloned().unwrap_or_default(),
                inputs: op.inputs.into_iter().map(|input| input.digest).collect(),
                progress_group: group,
                digest,
                ..Vertex::default()
            })
        };
        definition.def.iter().filter_map(vertex).collect()
    }

    /// The digests of steps that are not to come from the cache.
    pub fn uncached(&self) -> Vec<String> {
        let all = self.wire().metadata.iter().filter(|(_, metadata)| metadata.ignore_cache);
        all.map(|(digest, _)| digest.clone()).collect()
    }

    /// The directories of the client that it reads.
    pub fn local_sources(&self) -> Vec<LocalSource> {
        let sources = self.wire().def.iter().filter_map(|bytes| local_source(bytes));
        sources.filter_map(|source| read_source(&source)).collect()
    }

    /// The digest that each operation had if its directories were served by other sessions: those that `sessions` answers
    /// for a directory. Where it knows none, nothing is said of what stands on it.
    pub fn with_sessions(
        &self,
        sessions: &dyn Fn(&LocalSource) -> Option<String>,
    ) -> HashMap<String, String> {
        let mut known: HashMap<String, String> = HashMap::new();
        for bytes in &self.wire().def {
            if let Some(other) = with_sessions(bytes, sessions, &known) {
                known.insert(digest(bytes), other);
            }
        }
        known
    }
}

/// The digest of one operation with other sessions, where those of its inputs are `known`.
fn with_sessions(
    bytes: &[u8],
    sessions: &dyn Fn(&LocalSource) -> Option<String>,
    known: &HashMap<String, String>,
) -> Option<String> {
    let op = ops::Op::decode(bytes).ok()?;
    let mut changed = bytes.to_vec();
    for input in &op.inputs {
        replace(&mut changed, &input.digest, known.get(&input.digest)?)?;
    }
    if let Some(source) = local_source(bytes).and_then(|source| read_source(&source)) {
        replace(&mut changed, &source.session, &sessions(&source)?)?;
    }
    Some(digest(&changed))
}

/// Puts `to` wherever `from` stands. Lengths of fields stand before them, so it has to be as long.
fn replace(bytes: &mut [u8], from: &str, to: &str) -> Option<()> {
    if from.len() != to.len() || from.is_empty() {
        return None;
    }
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let places: Vec<usize> = (0..=bytes.len().checked_sub(from.len())?)
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    Some(())
}

fn local_source(bytes: &[u8]) -> Option<ops::SourceOp> {
    match ops::Op::decode(bytes).ok()?.op? {
        ops::op::Op::Source(source) if source.identifier.starts_with(LOCAL) => Some(source),
        _ => None,
    }
}

fn read_source(source: &ops::SourceOp) -> Option<LocalSource> {
    let patterns = |key: &str| -> Option<Vec<Vec<u8>>> {
        let Some(text) = source.attrs.get(key) else { return Some(Vec::new()) };
        let all: Option<Vec<String>> = serde_json::from_str(text).ok()?;
        Some(all.unwrap_or_default().into_iter().map(String::into_bytes).collect())
    };
    Some(LocalSource {
        name: source.identifier.strip_prefix(LOCAL)?.to_owned(),
        session: source.attrs.get(SESSION)?.clone(),
        request: FilterRequest {
            include: patterns(INCLUDE)?,
            exclude: patterns(EXCLUDE)?,
            follow: patterns(FOLLOW)?,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: &str = "aaaaaaaaaaaaaaaaaaaaaaaaa";
    const THEN: &str = "bbbbbbbbbbbbbbbbbbbbbbbbb";

    fn source(identifier: &str, attrs: &[(&str, &str)]) -> ops::Op {
        let attrs = attrs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let source = ops::SourceOp { identifier: identifier.to_owned(), attrs: attrs.collect() };
        ops::Op { op: Some(ops::op::Op::Source(source)), ..ops::Op::default() }
    }

    fn step(inputs: &[&ops::Op]) -> ops::Op {
        let input = |op: &&ops::Op| ops::Input { digest: of(op), index: 0 };
        let exec = ops::op::Op::Exec(ops::ExecOp::default());
        ops::Op { inputs: inputs.iter().map(input).collect(), op: Some(exec), ..ops::Op::default() }
    }

    fn of(op: &ops::Op) -> String {
        digest(&op.encode_to_vec())
    }

    /// A base image, a context that `session` serves, a step on both, and the end, which is no operation.
    fn graph(session: &str) -> (Vec<ops::Op>, Definition) {
        let base = source("docker-image://docker.io/library/a", &[]);
        let follow = r#"["f","g"]"#;
        let context = source("local://context", &[(SESSION, session), (FOLLOW, follow)]);
        let run = step(&[&base, &context]);
        let all = vec![base, context, run.clone()];
        let end = ops::Op { op: None, ..step(&[&run]) };
        let def = all.iter().chain([&end]).map(ops::Op::encode_to_vec).collect();
        let named = ops::OpMetadata {
            ignore_cache: true,
            description: [(NAME.to_owned(), "[2/2] RUN x".to_owned())].into(),
            ..ops::OpMetadata::default()
        };
        let metadata = [(of(&run), named)].into();
        let definition = ops::Definition { def, metadata, source: None };
        (all, Definition::from_wire(definition).unwrap())
    }

    #[test]
    fn digests_are_those_of_the_session_that_was() {
        let ((now, definition), (then, _)) = (graph(NOW), graph(THEN));
        let digests = definition.with_sessions(&|_| Some(THEN.to_owned()));
        for (now, then) in now.iter().zip(&then) {
            assert_eq!(digests[&of(now)], of(then));
        }
        assert_eq!(of(&now[0]), of(&then[0]));
        assert_ne!(of(&now[2]), of(&then[2]));
    }

    #[test]
    fn of_a_session_that_nobody_knows_nothing_is_said() {
        let (now, definition) = graph(NOW);
        for unknown in [None, Some("short".to_owned()), Some(String::new())] {
            let digests = definition.with_sessions(&|_| unknown.clone());
            let known: Vec<bool> = now.iter().map(|op| digests.contains_key(&of(op))).collect();
            assert_eq!(known, [true, false, false], "{unknown:?}");
        }
    }

    #[test]
    fn a_graph_announces_its_steps_and_directories() {
        let (now, definition) = graph(NOW);
        let steps = definition.announced();
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["", "", "[2/2] RUN x"]);
        assert_eq!(steps[2].inputs, [of(&now[0]), of(&now[1])]);
        assert_eq!(definition.uncached(), [of(&now[2])]);
        let follow = ["f", "g"].map(|path| path.as_bytes().to_vec());
        let request = FilterRequest { follow: follow.into(), ..FilterRequest::default() };
        let (name, session) = ("context".to_owned(), NOW.to_owned());
        assert_eq!(definition.local_sources(), [LocalSource { name, session, request }]);
    }
}
