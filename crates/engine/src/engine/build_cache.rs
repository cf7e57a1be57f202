//! Records of the build cache as the disk usage answer lists them.

use serde::Deserialize;

use super::values::{bytes, time};
use crate::inventory::{CacheKind, CacheRecord};
use crate::redact;

/// One record. Go's `json` tag of `Parents` starts with a space since API 1.42 (moby
/// `api/types/build/cache.go`); before, there is one `Parent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CacheRow {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default, rename = " Parents", alias = "Parents")]
    parents: Option<Vec<String>>,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    in_use: bool,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    last_used_at: Option<String>,
    #[serde(default)]
    usage_count: i64,
}

impl From<CacheRow> for CacheRecord {
    fn from(row: CacheRow) -> Self {
        let parents = row.parents.unwrap_or_else(|| row.parent.into_iter().collect());
        Self {
            id: row.id,
            parents: parents.into_iter().filter(|parent| !parent.is_empty()).collect(),
            kind: CacheKind::from_word(&row.r#type),
            // The engine expands build arguments in it. What is compared with it has been through the same.
            description: redact::urls(&row.description),
            size_bytes: bytes(row.size).unwrap_or(0),
            in_use: row.in_use,
            shared: row.shared,
            created_at: time(row.created_at),
            last_used_at: time(row.last_used_at),
            usage_count: u64::try_from(row.usage_count).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{CacheRecord, CacheRow};
    use crate::inventory::CacheKind;

    fn record(json: &str) -> CacheRecord {
        serde_json::from_str::<CacheRow>(json).unwrap().into()
    }

    #[test]
    fn parents_are_found_under_every_name_they_had() {
        for (json, expected) in [
            (r#"{"ID":"a","Parent":"p"}"#, vec!["p"]),
            (r#"{"ID":"a","Parent":""}"#, vec![]),
            (r#"{"ID":"a"," Parents":["p","q"]}"#, vec!["p", "q"]),
            (r#"{"ID":"a","Parents":["p"]}"#, vec!["p"]),
            (r#"{"ID":"a"}"#, vec![]),
        ] {
            assert_eq!(record(json).parents, expected, "{json}");
        }
    }

    #[test]
    fn a_record_that_was_never_used_has_no_last_use() {
        let fresh = record(
            r#"{"ID":"a","Type":"exec.cachemount","Size":-1,"CreatedAt":"2026-11-23T23:51:51.128178032Z","LastUsedAt":"0001-01-01T00:00:00Z","UsageCount":0}"#,
        );
        assert_eq!(fresh.kind, CacheKind::CacheMount);
        assert_eq!(fresh.last_used_at, None);
        assert_eq!(fresh.size_bytes, 0);
        assert_eq!(fresh.created_at.unwrap().to_string(), "2026-11-23T23:51:51.128178032Z");
    }
}
