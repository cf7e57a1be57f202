//! "Did you mean": the closest of what there is.

use strsim::damerau_levenshtein;

/// The candidate closest to `name`, if it is close: at most a third of the letters differ.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates.into_iter().map(|candidate| (candidate, candidate)))
}

/// The path closest to a missing one: the same file name in another folder first, then a similar
/// path, then a similar file name. Paths are relative with `/`.
pub fn nearest_path<'a>(missing: &str, paths: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let missing = missing.trim_matches('/');
    let paths: Vec<&str> = paths.into_iter().filter(|path| *path != missing).collect();
    let moved = paths
        .iter()
        .filter(|path| file_name(path) == file_name(missing))
        .min_by_key(|path| (damerau_levenshtein(missing, path), **path));
    if let Some(moved) = moved {
        return Some((*moved).to_owned());
    }
    nearest(missing, paths.iter().copied())
        .or_else(|| closest(file_name(missing), paths.iter().map(|path| (file_name(path), *path))))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Among (compared, answered) pairs, the answer whose compared text is closest to `name`.
fn closest<'a>(name: &str, candidates: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let letters = name.chars().count();
    let limit = (letters / 3).max(1);
    let lower = name.to_lowercase();
    candidates
        // The distance is quadratic in the length: do not even try what differs by length alone.
        .filter(|(compared, _)| compared.chars().count().abs_diff(letters) <= limit)
        .map(|(compared, answer)| (damerau_levenshtein(&lower, &compared.to_lowercase()), answer))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, answer)| answer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_wins_and_far_ones_do_not() {
        let stages = ["base", "builder", "worker"];
        assert_eq!(nearest("bulder", stages).as_deref(), Some("builder"));
        assert_eq!(nearest("Worker", stages).as_deref(), Some("worker"));
        assert_eq!(nearest("production", stages), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn paths_are_found_by_name_in_another_folder_or_by_similarity() {
        let paths = ["src/main.py", "requirements.txt", "docs/readme.md", "src/config/app.toml"];
        assert_eq!(nearest_path("/main.py", paths).as_deref(), Some("src/main.py"));
        assert_eq!(nearest_path("/reqirements.txt", paths).as_deref(), Some("requirements.txt"));
        assert_eq!(nearest_path("Requirements.txt", paths).as_deref(), Some("requirements.txt"));
        assert_eq!(nearest_path("src/ap.toml", paths).as_deref(), Some("src/config/app.toml"));
        assert_eq!(nearest_path("nothing-like-it", paths), None);
    }
}
