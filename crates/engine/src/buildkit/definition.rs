//! Build graphs (LLB) that one solve hands over to another.

use std::collections::BTreeSet;

use bollard_buildkit_proto::pb as ops;
use sha2::{Digest as _, Sha256};

/// What a frontend made of a target: its operations, and where they stand in the Dockerfile.
///
/// This is the only way for a graph to leave the program: a wire message comes out of
/// [`Definition::into_wire`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition(ops::Definition);

impl Definition {
    /// Takes over what the engine answered; `None` where it has no operations (`FROM scratch` alone).
    pub(super) fn from_wire(definition: ops::Definition) -> Option<Self> {
        (!definition.def.is_empty()).then_some(Self(definition))
    }

    /// The message to send.
    pub(super) fn into_wire(self) -> ops::Definition {
        let mut definition = self.0;
        remove_empty_locations(&mut definition);
        definition
    }

    /// The message as it was received, to read from.
    pub(super) fn wire(&self) -> &ops::Definition {
        &self.0
    }

    /// The digests under which Status reports its operations.
    pub fn vertices(&self) -> impl Iterator<Item = String> {
        self.0.def.iter().flat_map(|op| {
            let digest = digest(op);
            // BuildKit `solver/jobs.go` keeps an operation that must not use the cache apart from its twin.
            let uncached = self::digest(format!("{digest}-ignorecache").as_bytes());
            [digest, uncached]
        })
    }
}

/// Removes entries without a place. A map's value that equals the default is left out on the wire. BuildKit up to 0.16
/// (Docker up to 27.3) reads such a value as a nil pointer and follows it (`client/llb/definition.go`): the whole engine
/// dies. BuildKit itself has such an entry for each local source.
fn remove_empty_locations(definition: &mut ops::Definition) {
    let Some(source) = &mut definition.source else { return };
    source.locations.retain(|_, at| !at.locations.is_empty());
    for of_file in source.infos.iter_mut().filter_map(|info| info.definition.as_mut()) {
        remove_empty_locations(of_file);
    }
}

/// The digests of all operations of `definitions`, see [`Definition::vertices`].
pub fn vertices<'a>(definitions: impl IntoIterator<Item = &'a Definition>) -> BTreeSet<String> {
    definitions.into_iter().flat_map(Definition::vertices).collect()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use prost::Message as _;

    use super::*;

    /// `def`, whose file was fetched by `inner`.
    fn definition(op: &[u8], inner: Option<ops::Definition>) -> ops::Definition {
        let places = |lines: &[i32]| {
            let range = |line: &i32| ops::Range {
                start: Some(ops::Position { line: *line, character: 0 }),
                end: None,
            };
            let ranges: Vec<ops::Range> = lines.iter().map(range).collect();
            let at = ops::Location { source_index: 0, ranges };
            ops::Locations { locations: if lines.is_empty() { Vec::new() } else { vec![at] } }
        };
        let info = ops::SourceInfo { definition: inner, ..ops::SourceInfo::default() };
        ops::Definition {
            def: vec![op.to_vec()],
            metadata: [(digest(op), ops::OpMetadata::default())].into(),
            source: Some(ops::Source {
                locations: [(digest(op), places(&[3])), ("sha256:local".to_owned(), places(&[]))]
                    .into(),
                infos: vec![ops::SourceInfo::default(), info],
            }),
        }
    }

    /// The fields of a message: number and content of those with a length.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
        fn number(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = number(&mut bytes);
            let length = number(&mut bytes);
            if key & 7 == 2 {
                let (content, rest) = bytes.split_at(length as usize);
                fields.push((key >> 3, content));
                bytes = rest;
            }
        }
        fields
    }

    /// How many entries of `source.locations` have no value on the wire, in a definition and those of its files.
    fn without_value(definition: &[u8]) -> usize {
        let of = |bytes, wanted| {
            fields(bytes).into_iter().filter(move |(number, _)| *number == wanted).map(|it| it.1)
        };
        let sources = of(definition, 3);
        sources
            .map(|source| {
                let bare = |entry: &&[u8]| !fields(entry).iter().any(|(number, _)| *number == 2);
                let inner = of(source, 2).flat_map(|info| of(info, 3)).map(without_value);
                of(source, 1).filter(bare).count() + inner.sum::<usize>()
            })
            .sum()
    }

    #[test]
    fn no_map_entry_leaves_without_its_value() {
        let nested = definition(b"c", Some(definition(b"b", Some(definition(b"a", None)))));
        let received = ops::Definition::decode(&nested.encode_to_vec()[..]).unwrap();
        assert_eq!(without_value(&received.encode_to_vec()), 3, "the danger, as it is received");
        let sent = Definition::from_wire(received.clone()).unwrap().into_wire();
        assert_eq!(without_value(&sent.encode_to_vec()), 0);
        // Nothing else is lost.
        assert_eq!((sent.def, sent.metadata), (received.def, received.metadata));
        let (sent, received) = (sent.source.unwrap(), received.source.unwrap());
        assert_eq!(sent.infos.len(), received.infos.len(), "places count the files");
        assert_eq!(sent.locations.len(), 1);
        assert_eq!(sent.locations[&digest(b"c")], received.locations[&digest(b"c")]);
    }

    #[test]
    fn a_definition_without_operations_is_none() {
        assert_eq!(Definition::from_wire(ops::Definition::default()), None);
    }

    #[test]
    fn operations_are_known_by_their_digests() {
        let one = Definition::from_wire(definition(b"abc", None)).unwrap();
        let known = vertices([&one]);
        assert!(
            known.contains(
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            )
        );
        assert_eq!(known.len(), 2);
    }
}
