//! References of images in the short form in which engines list them.

/// `reference` as `docker image ls` shows it: without Docker Hub's host, with a tag (distribution
/// `reference/normalize.go`, `FamiliarString`).
pub fn familiar(reference: &str) -> String {
    let mut rest = reference;
    for host in ["docker.io/", "index.docker.io/"] {
        if let Some(path) = rest.strip_prefix(host) {
            rest = path.strip_prefix("library/").unwrap_or(path);
            break;
        }
    }
    let last = rest.rsplit('/').next().unwrap_or(rest);
    if last.contains([':', '@']) { rest.to_owned() } else { format!("{rest}:latest") }
}

#[cfg(test)]
mod tests {
    use super::familiar;

    #[test]
    fn references_become_what_engines_list() {
        for (given, listed) in [
            ("doc2md-api", "doc2md-api:latest"),
            ("docker.io/library/redis", "redis:latest"),
            ("docker.io/team/api:1", "team/api:1"),
            ("host:5000/api", "host:5000/api:latest"),
            ("host:5000/api:2", "host:5000/api:2"),
            ("library/redis", "library/redis:latest"),
            ("api@sha256:12", "api@sha256:12"),
        ] {
            assert_eq!(familiar(given), listed);
        }
    }
}
