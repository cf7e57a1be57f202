//! Which file of a build context stands for its code, and which for its requirements.

/// A file that a Dockerfile reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// From the root of the context, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Modification time, in seconds since the epoch.
    pub modified: i64,
    /// Which instruction reads it last: a higher number stands lower in the Dockerfile.
    pub read_at: usize,
    /// Where an instruction names it last: the instruction's number, and the place in its text.
    pub named_at: Option<(usize, usize)>,
}

/// Endings of source files.
const SOURCES: [&str; 31] = [
    "py", "js", "mjs", "cjs", "ts", "mts", "jsx", "tsx", "vue", "svelte", "go", "rs", "java", "kt",
    "scala", "rb", "php", "ex", "exs", "c", "h", "cc", "cpp", "hpp", "cs", "swift", "dart", "r",
    "jl", "lua", "sh",
];

/// The source file that somebody most likely works on: read last in the Dockerfile, then changed last.
pub fn code(candidates: &[Candidate]) -> Option<&Candidate> {
    let sources = candidates.iter().filter(|it| SOURCES.contains(&ending(&it.path)));
    sources.max_by_key(|it| {
        // Packages are marked by files that are often empty.
        let is_marker = name(&it.path).starts_with("__");
        (it.read_at, !is_marker, it.modified, it.size, std::cmp::Reverse(it.path.as_str()))
    })
}

/// The file of requirements that changes most: named last. Heavy requirements, where they are apart, are
/// installed first.
pub fn requirement(candidates: &[Candidate]) -> Option<&Candidate> {
    let requirements = candidates.iter().filter(|it| is_requirements(name(&it.path)));
    requirements.max_by_key(|it| {
        let depth = it.path.matches('/').count();
        (it.named_at, it.read_at, std::cmp::Reverse((depth, it.path.as_str())))
    })
}

/// Whether a file of this name lists what a program needs.
fn is_requirements(name: &str) -> bool {
    match name {
        "pyproject.toml" | "uv.lock" | "poetry.lock" | "pdm.lock" | "pylock.toml" | "Pipfile"
        | "Pipfile.lock" | "setup.py" | "setup.cfg" | "environment.yml" | "package.json"
        | "package-lock.json" | "yarn.lock" | "pnpm-lock.yaml" | "go.mod" | "Cargo.toml"
        | "Cargo.lock" | "Gemfile" | "Gemfile.lock" | "composer.json" | "composer.lock" => true,
        _ => name.contains("requirements") && ["txt", "in", "lock"].contains(&ending(name)),
    }
}

/// The place of the last mention of `path`, or of its name alone, in `text`.
pub fn mention(text: &str, path: &str) -> Option<usize> {
    [path, name(path)].into_iter().find_map(|word| {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.rmatch_indices(word).map(|(at, _)| at).find(|at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    })
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn ending(path: &str) -> &str {
    name(path).rsplit_once('.').map_or("", |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(
        path: &str,
        modified: i64,
        read_at: usize,
        named_at: Option<(usize, usize)>,
    ) -> Candidate {
        Candidate { path: path.to_owned(), size: 1, modified, read_at, named_at }
    }

    fn chosen(choose: fn(&[Candidate]) -> Option<&Candidate>, files: &[Candidate]) -> Option<&str> {
        choose(files).map(|it| it.path.as_str())
    }

    #[test]
    fn code_is_what_was_worked_on_last_in_what_is_copied_last() {
        let files = [
            file("shared/jobs.py", 90, 3, None),
            file("api/main.py", 10, 5, None),
            file("api/routes.py", 20, 5, None),
            file("api/__init__.py", 30, 5, None),
            file("api/requirements.lock", 99, 9, None),
        ];
        assert_eq!(chosen(code, &files), Some("api/routes.py"));
        assert_eq!(chosen(code, &files[4..]), None);
        // A fresh clone has one time for all.
        let clone = [file("b.py", 1, 0, None), file("a.py", 1, 0, None)];
        assert_eq!(chosen(code, &clone), Some("a.py"));
    }

    #[test]
    fn requirements_are_those_named_last() {
        let files = [
            file("api/requirements.in", 9, 7, None),
            file("api/requirements.heavy.lock", 9, 2, Some((2, 0))),
            file("api/requirements.lock", 9, 3, Some((3, 0))),
            file("api/main.py", 9, 7, Some((9, 0))),
        ];
        assert_eq!(chosen(requirement, &files), Some("api/requirements.lock"));
        assert_eq!(chosen(requirement, &files[3..]), None);
        let unnamed =
            [file("docs/requirements.txt", 1, 1, None), file("pyproject.toml", 1, 1, None)];
        assert_eq!(chosen(requirement, &unnamed), Some("pyproject.toml"));
    }

    #[test]
    fn a_mention_is_a_word_of_its_own() {
        let text = "pip install -r requirements.heavy.lock -r requirements.lock";
        assert_eq!(mention(text, "api/requirements.lock"), Some(42));
        assert_eq!(mention(text, "api/requirements.heavy.lock"), Some(15));
        assert_eq!(mention("pip install -r dev-requirements.txt", "requirements.txt"), None);
        assert_eq!(mention("COPY api/requirements.txt /", "api/requirements.txt"), Some(5));
    }
}
