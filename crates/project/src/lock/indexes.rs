//! Where packages are, as options in the lines of a requirement file or a lock.

/// Options of requirement files that say where packages are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexOptions {
    lines: Vec<String>,
}

impl IndexOptions {
    /// The options among the lines of a lock.
    pub fn find(text: &str) -> Self {
        let mut options = Self::default();
        text.lines().for_each(|line| options.add(line));
        options
    }

    /// Adds a line, where it is an option that says where packages are.
    pub fn add(&mut self, line: &str) {
        const OPTIONS: [&str; 5] =
            ["-i ", "--index-url", "--extra-index-url", "--find-links", "-f "];
        if OPTIONS.iter().any(|option| line.starts_with(option))
            && !self.lines.iter().any(|known| known == line)
        {
            self.lines.push(line.to_owned());
        }
    }

    /// Those that stand for the index of all packages; the rest add places.
    #[must_use]
    pub fn without_additions(&self) -> Self {
        let is_base = |line: &&String| line.starts_with("-i ") || line.starts_with("--index-url");
        Self { lines: self.lines.iter().filter(is_base).cloned().collect() }
    }

    /// Whether every option here is one of `other`.
    pub fn are_within(&self, other: &Self) -> bool {
        self.lines.iter().all(|line| other.lines.contains(line))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// As lines.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}
