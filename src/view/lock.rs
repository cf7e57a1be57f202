//! What a run of `lock` did, in a line.

use crate::lock::LockResult;
use crate::terminal::format;

/// How many changed packages are named per file.
const SHOWN_CHANGES: usize = 8;

/// What was locked of the file that the user knows as `shown`.
pub fn summary(shown: &str, written: &LockResult) -> String {
    let what = match written.changes.as_deref() {
        None => "new".to_owned(),
        Some([]) => "no version changed".to_owned(),
        Some(all) => {
            let (shown, rest) = all.split_at(all.len().min(SHOWN_CHANGES));
            let more =
                if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("{}{more}", shown.join(", "))
        }
    };
    let parts = &written.split;
    format!(
        "{shown}: {} light and {} heavy packages ({} of wheels): {what}",
        parts.light_count,
        parts.heavy_count,
        format::bytes(parts.heavy_bytes)
    )
}
