//! How sizes, durations, ids and long texts are written.

use std::time::Duration;

use bytesize::ByteSize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A size in decimal units as docker writes them: `255.3 MB`.
pub fn bytes(size: u64) -> String {
    ByteSize::b(size).display().si().to_string()
}

/// A duration as short as it stays useful: `0.4s`, `12.3s`, `3m12s`, `1h02m`.
pub fn duration(time: Duration) -> String {
    // Rounded first, so that 59.96 s is `1m00s` and not `60.0s`.
    let tenths = (time.as_secs_f64() * 10.0).round() as u64;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{}s", tenths % 10),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// [`duration`] of seconds.
pub fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// How long ago, or how long until then, in one unit: `12s`, `5m`, `30h`, `4d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The first 12 hex digits of a digest, as docker shortens them.
pub fn short_id(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// Columns a text without control characters takes on a terminal, at most: terminals differ in whether they join characters
/// (emoji of several, Arabic letters) or take each for itself.
pub fn width(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.width().max(text.chars().map(|char| char.width().unwrap_or(0)).sum()),
    }
}

/// The text if it fits `columns`, otherwise its beginning ending in `...`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let dots = columns.min(3);
    let mut out = String::new();
    let mut used = dots;
    for char in text.chars() {
        used += char.width().unwrap_or(0);
        if used > columns {
            break;
        }
        out.push(char);
    }
    // A character can make the one before it wider.
    while width(&out) + dots > columns && out.pop().is_some() {}
    out.truncate(out.trim_end().len());
    out.extend(std::iter::repeat_n('.', dots));
    out
}

/// The text if it fits `columns`, otherwise `...` and its end: that of a reference or path tells more than its beginning.
pub fn cut_start(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let dots = columns.min(3);
    let mut used = dots;
    let mut start = text.len();
    for (at, char) in text.char_indices().rev() {
        used += char.width().unwrap_or(0);
        if used > columns {
            break;
        }
        start = at;
    }
    let mut end = &text[start..];
    while width(end) + dots > columns && !end.is_empty() {
        end = &end[end.chars().next().map_or(0, char::len_utf8)..];
    }
    ".".repeat(dots) + end
}

/// The text followed by spaces up to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    // A width of `format!` ends at 65,535, and a text of others does not.
    let missing = columns.saturating_sub(width(text));
    text.to_owned() + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        assert_eq!([bytes(0), bytes(999), bytes(255_300_000)], ["0 B", "999 B", "255.3 MB"]);
    }

    #[test]
    fn durations_round_before_they_choose_a_unit() {
        let all = [0.04, 0.35, 12.34, 59.94, 59.96, 192.0, 3599.0, 3720.0].map(seconds);
        assert_eq!(all, ["0.0s", "0.4s", "12.3s", "59.9s", "1m00s", "3m12s", "59m59s", "1h02m"]);
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(
            [0, 59, 60, 7199, 172_799, 172_800].map(age),
            ["0s", "59s", "1m", "1h", "47h", "2d"]
        );
    }

    #[test]
    fn ids_are_short() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("sha256:01"), "01");
    }

    #[test]
    fn the_end_is_kept_where_it_tells_more() {
        let cut = |columns| cut_start("h:5000/日本語/worker:1", columns);
        assert_eq!(cut(22), "h:5000/日本語/worker:1");
        assert_eq!(cut(14), "...語/worker:1");
        assert_eq!(cut(13), ".../worker:1");
        assert_eq!([cut(4), cut(3), cut(1), cut(0)], ["...1", "...", ".", ""]);
    }

    #[test]
    fn cuts_count_columns_not_characters() {
        assert_eq!(cut("RUN pip install", 15), "RUN pip install");
        assert_eq!(cut("RUN pip install", 11), "RUN pip...");
        assert_eq!(cut("日本語の名前", 8), "日本...");
        assert_eq!(cut("abcdef", 2), "..");
        assert_eq!(pad("日本", 6), "日本  ");
        assert_eq!(pad("a", 100_000).len(), 100_000);
    }

    proptest::proptest! {
        #[test]
        fn what_is_cut_fits(text in "[a日é\u{2601}\u{fe0f}\u{1f469}\u{200d}\u{1f680}\u{644}\u{627} ]{0,40}", columns in 0_usize..30) {
            for cut in [cut(&text, columns), cut_start(&text, columns)] {
                proptest::prop_assert!(width(&cut) <= columns, "{cut:?}");
            }
        }
    }
}
