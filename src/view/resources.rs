//! What a step took of its machine, in figures and words.

use crate::history::Resources;
use crate::terminal::format;

/// What [`figures`] are of.
pub(super) const NAMES: [&str; 4] = ["processor", "memory", "read", "written"];

/// A figure for each of [`NAMES`]; empty where that is not known.
pub(super) fn figures(used: Option<&Resources>) -> [String; 4] {
    let bytes = |figure: Option<u64>| figure.map(format::bytes).unwrap_or_default();
    let Some(used) = used else { return Default::default() };
    [
        format::seconds(used.cpu_seconds),
        bytes(used.peak_memory_bytes),
        bytes(used.read_bytes),
        bytes(used.written_bytes),
    ]
}

/// The same as parts of a sentence.
pub(super) fn words(used: &Resources) -> Vec<String> {
    let [processor, memory, read, written] = figures(Some(used));
    let parts = [
        (processor, "of processor time"),
        (memory, "of memory at most"),
        (read, "read"),
        (written, "written"),
    ];
    let known = parts.into_iter().filter(|(figure, _)| !figure.is_empty());
    known.map(|(figure, what)| format!("{figure} {what}")).collect()
}
