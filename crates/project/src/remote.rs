//! What names something elsewhere instead of a local path: the three rules, which differ where docker's programs do.

/// Whether the engine fetches a build context itself, by git or http, as buildx decides (`build/utils.go`).
pub fn is_fetched_by_engine(context: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@", "github.com/"]
        .iter()
        .any(|prefix| context.starts_with(prefix))
}

/// Whether a build context or a file in a compose file is not a local path. compose leaves every scheme alone: what a
/// builder makes of `oci-layout://` or of one to come is not its business (compose-go `paths/context.go`).
pub fn is_no_path(text: &str) -> bool {
    text.contains("://") || is_fetched_by_engine(text)
}

/// Whether ADD fetches its source from elsewhere. `github.com/...` is a path to it (BuildKit `gitutil`: it cannot be told
/// from a local one).
pub fn is_fetched_by_add(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_that_of_its_program() {
        for (text, by_engine, no_path, by_add) in [
            ("https://example.com/x.tar.gz", true, true, true),
            ("git@github.com:a/b.git", true, true, true),
            ("github.com/a/b", true, true, false),
            ("s3://bucket/x", false, true, true),
            ("docker-image://alpine", false, true, true),
            ("./github.com/a", false, false, false),
            ("a:b", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!(is_fetched_by_engine(text), by_engine, "{text}");
            assert_eq!(is_no_path(text), no_path, "{text}");
            assert_eq!(is_fetched_by_add(text), by_add, "{text}");
        }
    }
}
