//! "Did you mean": the closest of what there is. One measure for names in compose files and Dockerfiles, and for paths.

use strsim::damerau_levenshtein;

/// Letters in which two texts may differ at most, between the first and the last that do. Comparing takes the square of
/// it, and of a context there are thousands of paths.
const FARTHEST: usize = 64;

/// The candidate closest to `name`, if it is close: at most a third of the letters differ.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates.into_iter().map(|candidate| (candidate, candidate)))
}

/// The same in words, as a hint.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// The path closest to a missing one: the same file name in another folder first, then a similar
/// path, then a similar file name. Paths are relative with `/`.
pub fn nearest_path<'a>(missing: &str, paths: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let missing = missing.trim_matches('/');
    let paths: Vec<&str> = paths.into_iter().filter(|path| *path != missing).collect();
    let moved = paths
        .iter()
        .filter(|path| file_name(path) == file_name(missing))
        .min_by_key(|path| (distance(missing, path).unwrap_or(usize::MAX), **path));
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
    // Something has to be left of it: `b` is not a misspelt `a`.
    let limit = (letters / 3).max(1).min(letters.saturating_sub(1));
    let lower = name.to_lowercase();
    candidates
        // Do not even try what differs by length alone.
        .filter(|(compared, _)| compared.chars().count().abs_diff(letters) <= limit)
        .filter_map(|(compared, answer)| {
            Some((distance(&lower, &compared.to_lowercase())?, answer))
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, answer)| answer.to_owned())
}

/// In how many letters two texts differ; `None` where that is too far to look at.
fn distance(a: &str, b: &str) -> Option<usize> {
    // What both begin and end with does not count.
    let same = |(a, b): &(char, char)| a == b;
    let begin: usize = a.chars().zip(b.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let (a, b) = (&a[begin..], &b[begin..]);
    let both = a.chars().rev().zip(b.chars().rev());
    let end: usize = both.take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    let is_short = |text: &str| text.chars().nth(FARTHEST).is_none();
    (is_short(a) && is_short(b)).then(|| damerau_levenshtein(a, b))
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
        assert_eq!(nearest("b", ["a", "c"]), None);
        assert_eq!(nearest("A", ["a"]).as_deref(), Some("a"));
        assert_eq!(nearest("", ["a"]), None);
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

    #[test]
    fn what_both_texts_begin_and_end_with_does_not_count() {
        for (a, b) in [("", ""), ("é", "è"), ("ab", "ba"), ("xaabx", "xabx"), ("kitten", "sitting")]
        {
            assert_eq!(distance(a, b), Some(damerau_levenshtein(a, b)), "{a} {b}");
        }
        let long = "directory/".repeat(400);
        assert_eq!(distance(&format!("{long}mian.py"), &format!("{long}main.py")), Some(1));
        assert_eq!(distance(&long, &"x".repeat(4000)), None);
    }

    /// Paths as long as the system takes them, which have nothing but their length in common.
    #[test]
    fn thousands_of_long_paths_are_compared() {
        let path =
            |number: usize| format!("{:04}/{}/x.txt", number, "abcdefgh/".repeat(440 + number % 9));
        let paths: Vec<String> = (0..3000).map(path).collect();
        let missing = "9999/".to_owned() + &"hgfedcba/".repeat(444) + "x.txt";
        assert!(nearest_path(&missing, paths.iter().map(String::as_str)).is_some());
        let near = paths[7].replace("x.txt", "y.txt");
        assert_eq!(nearest_path(&near, paths.iter().map(String::as_str)).as_ref(), Some(&paths[7]));
    }
}
