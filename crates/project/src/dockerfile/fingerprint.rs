//! What of the build context a Dockerfile reads, as far as its text tells.

use super::locate::steps;

/// Reads the whole context.
const ALL: &str = ".";

/// A text that is equal for Dockerfiles whose COPY and ADD ask for the same paths of the context.
/// `stage` counts, since stages that are not built copy nothing.
///
/// The engine is sent only what is asked for, and keeps one copy per key: two Dockerfiles that ask
/// for different paths of one directory must not share it, or each build evicts the other's files.
/// A wrong answer costs a transfer, never a wrong image.
pub fn context_fingerprint(source: &str, stage: Option<&str>) -> String {
    let mut paths = Vec::new();
    for step in steps(source) {
        let is_copy = step.keyword == "COPY" || step.keyword == "ADD";
        let Some(copies) = step.copies.filter(|it| is_copy && it.from.is_none()) else { continue };
        for path in copies.paths {
            let path = path.trim_start_matches("./").trim_matches('/');
            if path.is_empty() || path == ALL {
                return ALL.to_owned();
            }
            paths.push(path.to_owned());
        }
    }
    paths.sort();
    paths.dedup();
    if let Some(stage) = stage {
        paths.push(format!("stage={stage}"));
    }
    paths.join("\n")
}

#[cfg(test)]
mod tests {
    use super::context_fingerprint as fingerprint;

    #[test]
    fn order_and_repetition_do_not_count() {
        let one = "FROM x\nCOPY a b /\nADD ./c /\n";
        let other = "FROM x\nCOPY c/ a /\nRUN true\nCOPY --chown=1 b a /\n";
        assert_eq!(fingerprint(one, None), fingerprint(other, None));
        assert_ne!(fingerprint(one, None), fingerprint("FROM x\nCOPY a /\n", None));
    }

    #[test]
    fn other_stages_and_texts_are_not_the_context() {
        let text = "FROM x\nCOPY --from=build /out /\nCOPY <<EOF /f\nhi\nEOF\n";
        assert_eq!(fingerprint(text, None), "");
    }

    #[test]
    fn the_whole_context_is_the_whole_context() {
        assert_eq!(fingerprint("FROM x\nCOPY a /\nCOPY . /app\n", None), ".");
        assert_eq!(fingerprint("FROM y\nCOPY ./ /srv\n", Some("prod")), ".");
    }

    #[test]
    fn what_cannot_be_parsed_reads_nothing_known() {
        assert_eq!(fingerprint("FORM x\n", None), "");
    }
}
