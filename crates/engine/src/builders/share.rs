//! Which node builds which platform, as buildx chooses (`build/resolver/driver.go`): of those that were given it the first, else
//! of those whose BuildKit has it the first. Pure.

/// The node of each of `platforms` among those that `offers` has for each node; `None` where no node has it.
pub fn share(platforms: &[String], offers: &[Vec<String>]) -> Vec<Option<usize>> {
    let has = |offer: &Vec<String>, platform: &str| offer.iter().any(|it| normal(it) == platform);
    platforms
        .iter()
        .map(|platform| {
            let platform = normal(platform);
            offers.iter().position(|offer| has(offer, &platform))
        })
        .collect()
}

/// A platform under the one name that it has (containerd `platforms`, `Normalize`).
fn normal(platform: &str) -> String {
    let lower = platform.trim().to_lowercase();
    let mut parts = lower.split('/');
    let (os, arch) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (os, variant) =
        (if os == "macos" { "darwin" } else { os }, parts.next().unwrap_or_default());
    let (arch, variant) = match (arch, variant) {
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("i386", _) => ("386", ""),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        other => other,
    };
    let parts = [os, arch, variant].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(platforms: &[&str], offers: &[&[&str]]) -> Vec<Option<usize>> {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let offers: Vec<Vec<String>> = offers.iter().map(|offer| owned(offer)).collect();
        share(&owned(platforms), &offers)
    }

    #[test]
    fn the_first_that_has_it() {
        let offers: &[&[&str]] = &[&["linux/amd64"], &["linux/arm64", "linux/amd64"]];
        let both = ["linux/arm64", "linux/amd64", "linux/s390x"];
        assert_eq!(shared(&both, offers), [Some(1), Some(0), None]);
        assert_eq!(shared(&[], offers), []);
        assert_eq!(shared(&["linux/amd64"], &[]), [None]);
    }

    #[test]
    fn a_platform_has_several_names() {
        for (name, other) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/i386", "linux/386"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert_eq!(shared(&[name], &[&[other]]), [Some(0)], "{name}");
        }
        assert_eq!(shared(&["linux/arm/v6"], &[&["linux/arm/v7"]]), [None]);
        assert_eq!(shared(&["linux/amd64/v2"], &[&["linux/amd64"]]), [None]);
    }
}
