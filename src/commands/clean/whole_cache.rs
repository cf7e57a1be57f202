//! What is to be said before the build cache of everybody goes.

use std::collections::BTreeMap;

use crate::inventory::CacheRecord;
use crate::inventory::Inventory;
use crate::ownership;
use crate::ownership::records::Verdict;
use crate::terminal::format;

/// Whose else records are that `--cache=all` removes: projects by the images they have, and how many
/// records no known build of this project made.
pub(super) fn others_hit(
    inventory: &Inventory,
    verdicts: &BTreeMap<String, Verdict>,
    project: &str,
) -> String {
    let kept =
        |record: &&CacheRecord| !matches!(verdicts.get(&record.id), Some(Verdict::Ours { .. }));
    let foreign: Vec<&CacheRecord> = inventory.cache.iter().filter(kept).collect();
    let mut projects = ownership::projects(inventory);
    projects.remove(project);
    let bytes = format::bytes(foreign.iter().map(|record| record.size_bytes).sum());
    let mut text = format!(
        "--cache=all removes the build cache of everybody on this engine: {} of {} records ({bytes}) \
         are not known to be of project {}",
        foreign.len(),
        inventory.cache.len(),
        project
    );
    if !projects.is_empty() {
        let names: Vec<&str> = projects.into_iter().collect();
        text += &format!("; it also hits {}", names.join(", "));
    }
    text
}
