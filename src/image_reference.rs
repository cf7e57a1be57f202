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

/// `reference` for people: what is pinned by a digest by its repository, and tag where it has one; a mere id shortened as
/// docker does.
pub fn shown(reference: &str) -> &str {
    let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    let digest = reference.strip_prefix("sha256:").unwrap_or(reference);
    if is_hex(digest) {
        return &digest[..12];
    }
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    name.strip_suffix(":latest").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{familiar, shown};

    #[test]
    fn people_read_repositories_and_short_ids() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let id = digest.trim_start_matches("sha256:");
        for (given, expected) in [
            ("p-api:latest", "p-api"),
            ("host:5000/api:2", "host:5000/api:2"),
            (&format!("host:5000/team/api@{digest}"), "host:5000/team/api"),
            (&format!("api:1@{digest}"), "api:1"),
            (&format!("api:latest@{digest}"), "api"),
            (&digest, "0123456789ab"),
            (id, "0123456789ab"),
            // A repository can be called so.
            ("0123456789ab", "0123456789ab"),
            ("", ""),
        ] {
            assert_eq!(shown(given), expected);
        }
    }

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
