//! Numbers of things in words: one place that knows a plural.

use std::fmt::Display;

/// `1 step`, `2 steps`, `1 more layer`: the number and the noun.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let end = agreed(&count, "", "s");
    format!("{count} {noun}{end}")
}

/// The word that fits the number: `is` and `are`, `has` and `have`.
pub fn agreed<'a, N: PartialEq + From<u8>>(count: &N, one: &'a str, several: &'a str) -> &'a str {
    if *count == N::from(1) { one } else { several }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular() {
        assert_eq!(
            [0_usize, 1, 2].map(|count| counted(count, "step")),
            ["0 steps", "1 step", "2 steps"]
        );
        assert_eq!(counted(1_u64, "more layer"), "1 more layer");
        assert_eq!([0, 1, 2].map(|count| agreed(&count, "is", "are")), ["are", "is", "are"]);
    }
}
