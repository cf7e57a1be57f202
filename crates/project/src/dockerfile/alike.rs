//! How alike two texts of instructions are, in a time that does not grow with them.

/// Characters that count at the beginning of a text, and as many at its end: an instruction may hold megabytes.
const COMPARED: usize = 200;

/// The pairs of neighbouring characters of a text, blanks left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bigrams {
    /// Sorted; a pair that stands there twice is there twice.
    pairs: Vec<(char, char)>,
    /// A text of one character or none has no pair.
    short: Option<Vec<char>>,
}

impl Bigrams {
    pub(super) fn new(text: &str) -> Self {
        let dense = || text.chars().filter(|char| !char.is_whitespace());
        let mut chars: Vec<char> = dense().take(2 * COMPARED + 1).collect();
        if chars.len() > 2 * COMPARED {
            chars.truncate(COMPARED);
            let end: Vec<char> = dense().rev().take(COMPARED).collect();
            chars.extend(end.into_iter().rev());
        }
        let mut pairs: Vec<(char, char)> =
            chars.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs.sort_unstable();
        let short = (chars.len() < 2).then_some(chars);
        Self { pairs, short }
    }

    /// The coefficient of Sørensen and Dice: from 0 for texts without a pair in common to 1.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        if self.short.is_some() || other.short.is_some() {
            return if self == other { 1.0 } else { 0.0 };
        }
        let (mut one, mut two) = (self.pairs.iter().peekable(), other.pairs.iter().peekable());
        let mut common = 0_u32;
        while let (Some(a), Some(b)) = (one.peek(), two.peek()) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => drop(one.next()),
                std::cmp::Ordering::Greater => drop(two.next()),
                std::cmp::Ordering::Equal => {
                    common += 1;
                    one.next();
                    two.next();
                }
            }
        }
        f64::from(2 * common) / (self.pairs.len() + other.pairs.len()) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_long_as_they_like_are_compared() {
        let alike = |a: &str, b: &str| Bigrams::new(a).likeness(&Bigrams::new(b));
        for (a, b) in
            [("night", "nacht"), ("RUN make -j4", "RUN make"), ("aaa", "aa"), ("x y", "xy")]
        {
            assert_eq!(alike(a, b), strsim::sorensen_dice(a, b), "{a} {b}");
        }
        assert_eq!((alike("", "ab"), alike("a", "b"), alike("", "")), (0.0, 0.0, 1.0));
        let long =
            |middle: &str| format!("RUN pip {}{middle}{}", "a ".repeat(1 << 20), "z ".repeat(300));
        assert_eq!(alike(&long("x"), &long("y")), 1.0);
        assert!(alike(&long("x"), "RUN pip") < 0.5);
    }
}
