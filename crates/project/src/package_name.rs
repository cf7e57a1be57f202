//! Names of Python packages.

/// The name that a requirement begins with, as indexes compare it (PEP 503), and what stands behind it.
pub fn split(requirement: &str) -> (String, &str) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = requirement.find(|c| !is_name(c)).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    (normalised(name), rest)
}

/// A package's name as indexes compare it.
pub fn normalised(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        match c {
            '.' | '_' | '-' if normal.ends_with('-') => {}
            '.' | '_' | '-' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_indexes() {
        assert_eq!(split("Own__Thing.x[a]>=1"), ("own-thing-x".to_owned(), "[a]>=1"));
        assert_eq!(split("six"), ("six".to_owned(), ""));
    }
}
