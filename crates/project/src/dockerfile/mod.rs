//! What stands in Dockerfiles: stages, instructions, mounts, arguments, files that are used, and places for excerpts.
//!
//! The engine parses Dockerfiles; this room only finds in them what others ask for.
//! Everything is a pure function on text, and a file that cannot be parsed finds nothing.

mod alike;
mod args;
mod copies;
mod declared;
mod excerpt;
mod fingerprint;
mod history;
mod linked;
mod locate;
mod mounts;
mod parse_error;
mod preparation;
pub mod syntax;
mod uses;
mod variables;

pub use args::{declared_args, is_predefined_arg};
pub use copies::CopySources;
pub use declared::{DeclaredMount, declared_mounts};
pub use excerpt::{Place, excerpt};
pub use fingerprint::context_fingerprint;
pub use history::{history_instruction, history_lines, instructions};
pub use linked::outline;
pub use locate::{Outline, Span, locate, stages};
pub use mounts::{Beginning, CacheMountSpec, as_in_flag, cache_mounts, without_options};
pub use parse_error::parse_error;
pub use preparation::without_preparation;
pub use uses::{FileUse, file_uses};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What the parser takes off the front must not be missed when its places are looked up.
    #[test]
    fn a_byte_order_mark_moves_no_place() {
        for (before, line) in [("\u{feff}", 1), ("\u{feff}\n", 2), ("\u{feff}# c\r\n\r\n", 3)] {
            let source = format!("{before}FROM é AS é\nCOPY a /é\n");
            assert_eq!(locate(&source, "[2/2] COPY a /é"), Some(line + 1..=line + 1), "{source:?}");
            assert_eq!(
                Outline::new(&source).copy_sources("[2/2] COPY a /é").map(|it| it.paths.len()),
                Some(1)
            );
            let history = history_lines(&source, None, &["COPY a /é # buildkit"]);
            assert_eq!(history, [Some(line + 1)], "{source:?}");
            let place = Place { line_start: line, line_end: line, column: Some(6) };
            let shown = excerpt(&source, "f", place);
            assert!(shown.contains("\n  |      ^\n") && !shown.contains('\u{feff}'), "{shown}");
        }
    }

    proptest::proptest! {
        /// Whatever a file holds: places or nothing, never a panic.
        #[test]
        fn any_text_is_looked_at(parts in proptest::collection::vec(0_usize..16, 0..24)) {
            const PARTS: [&str; 16] = [
                "\u{feff}", "\n", "\r\n", "\r", "\0", "FROM é AS b", "COPY --from=b x /", "ADD [\"a\", \"b\"]",
                "RUN <<EOF", "EOF", " \\", "# escape=`", "RUN --mount=type=cache,target=/é x", "\u{fffd}", "\t", "ARG A=",
            ];
            let source: String = parts.iter().map(|part| PARTS[*part]).collect();
            for step in ["[1/2] FROM é", "[b 1/2] COPY --from=b x /", "RUN x"] {
                let _ = (locate(&source, step), Outline::new(&source).copy_sources(step));
            }
            let _ = (stages(&source), context_fingerprint(&source, None));
            let _ = (file_uses(&source, Some("b"), &BTreeMap::new()), history_lines(&source, None, &["RUN x"]));
            for line in 0..6 {
                let place = Place { line_start: line, line_end: line + 1, column: Some(line) };
                let _ = excerpt(&source, "f", place);
            }
        }
    }
}
