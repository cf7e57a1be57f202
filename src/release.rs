//! Releases of Docker, BuildKit and compose: `28.5.2`, `v0.13.2`, `20.10.24+dfsg1`.

/// The first number.
pub fn major(release: &str) -> Option<u32> {
    numbers(release).next()?
}

/// The first two numbers, which tell what a release can do.
pub fn major_and_minor(release: &str) -> Option<(u32, u32)> {
    let mut numbers = numbers(release);
    Some((numbers.next()??, numbers.next()??))
}

fn numbers(release: &str) -> impl Iterator<Item = Option<u32>> {
    release.trim().trim_start_matches('v').split('.').map(|number| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_far_as_they_are_some() {
        for (release, expected) in [
            ("28.5.2", Some((28, 5))),
            ("v0.13.2", Some((0, 13))),
            ("v0.0.0+unknown", Some((0, 0))),
            ("20.10.24+dfsg1\n", Some((20, 10))),
            ("29", None),
            ("dev", None),
            ("", None),
            ("28.x", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(major_and_minor(release), expected, "{release:?}");
        }
        assert_eq!(major("29"), Some(29));
        assert_eq!(major("28.x"), Some(28));
        assert_eq!(major("master"), None);
    }
}
