//! `cache rm`: ids to records of the engine, which go as `clean` removes them.

use std::collections::BTreeMap;

use super::mounts::Mounts;
use crate::app::App;
use crate::cli::cache::{CacheFormat, CacheRmArgs};
use crate::commands::clean::{How, remove_records};
use crate::error::CommandError;
use crate::inventory::CacheRecord;

pub(super) async fn run(app: &App, args: &CacheRmArgs) -> Result<(), CommandError> {
    let mounts = Mounts::look(app, &[], true).await?;
    let (mut records, mut notes) = (BTreeMap::new(), Vec::new());
    for id in &args.ids {
        let mut own = BTreeMap::new();
        for mount in mounts.called(id)? {
            let named = |record: &CacheRecord| (record.id.clone(), mount.id.clone());
            own.extend(mounts.records(mount).into_iter().map(named));
        }
        if own.is_empty() {
            notes.push(format!("the engine has no cache mount {id}"));
        }
        records.extend(own);
    }
    let how = How {
        force: args.force,
        dry_run: args.dry_run,
        as_json: args.format == CacheFormat::Json,
        takes_volumes: false,
        command: "cache rm",
    };
    remove_records(app, records, notes, how).await
}
