//! References of images: in full, in the short form in which engines list them, and as people read them.

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

/// Whether two references are one name.
pub fn is_same(one: &str, other: &str) -> bool {
    full(one) == full(other)
}

/// `reference` in full, as the engine keeps it: with host and tag.
pub fn full(reference: &str) -> String {
    let reference = reference.trim();
    let has_host = reference.split_once('/').is_some_and(|(host, _)| {
        host.contains(['.', ':']) || host == "localhost" || host.chars().any(char::is_uppercase)
    });
    let mut full = if has_host {
        reference.replacen("index.docker.io/", "docker.io/", 1)
    } else {
        format!("docker.io/{reference}")
    };
    if let Some(path) = full.strip_prefix("docker.io/").filter(|path| !path.contains('/')) {
        full = format!("docker.io/library/{path}");
    }
    let last = full.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { full } else { format!("{full}:latest") }
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
    use super::{familiar, is_same, shown};

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

    #[test]
    fn references_are_compared_in_full() {
        for (one, other, same) in [
            ("app", "docker.io/library/app:latest", true),
            ("app", "index.docker.io/library/app", true),
            ("app", "library/app", true),
            ("app", "team/app", false),
            ("app:1", "app", false),
            ("localhost/app", "app", false),
            ("localhost:5000/app", "localhost:5000/app:latest", true),
            ("r.io/library/app", "r.io/app", false),
            ("", "app", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }
}
