//! Which Python an image needs: what the project's files say, nearest first.

use crate::init::tree::{Tree, join, parent};

/// Minor versions of Python 3, best first, where several are allowed: wheels are most complete for those in the middle.
const PREFERRED: &[u32] = &[12, 13, 14, 11, 10, 15, 16, 17, 9, 8];

/// The files of a project demand a Python that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} wants Python {wanted}, for which there is no image")]
pub struct NoPython {
    /// The file.
    pub file: String,
    /// What it says.
    pub wanted: String,
}

/// The minor version of Python 3 for the code in `folder`, a folder of the project.
///
/// # Errors
/// No version fits what the files say.
pub fn minor(tree: &Tree, folder: &str) -> Result<u32, NoPython> {
    let mut folder = folder;
    let mut limits: Vec<(String, String)> = Vec::new();
    let mut chosen = None;
    loop {
        chosen = chosen.or_else(|| named(tree, folder));
        limits.extend(demands(tree, folder));
        if folder.is_empty() {
            break;
        }
        folder = parent(folder);
    }
    let fits = |minor: &u32| limits.iter().all(|(_, demand)| allows(demand, *minor));
    if let Some(minor) = chosen.filter(fits) {
        return Ok(minor);
    }
    let classified = classified(tree);
    let usual = PREFERRED.iter().copied().filter(fits);
    let preferred = if limits.is_empty() && !classified.is_empty() {
        PREFERRED.iter().copied().find(|minor| classified.contains(minor))
    } else {
        None
    };
    preferred.or_else(|| usual.into_iter().next()).ok_or_else(|| {
        let (file, wanted) = limits.into_iter().next().unwrap_or_default();
        NoPython { file, wanted }
    })
}

/// A version that a file names for those who work on the project.
fn named(tree: &Tree, folder: &str) -> Option<u32> {
    let text = |name: &str| tree.text(&join(folder, name));
    let own = text(".python-version").and_then(|text| text.lines().find_map(version));
    let heroku = || text("runtime.txt").and_then(|text| text.lines().find_map(version));
    let tools = || {
        let lines = text(".tool-versions")?.lines();
        lines.filter_map(|line| line.strip_prefix("python ")).find_map(version)
    };
    own.or_else(heroku).or_else(tools)
}

/// `3.11`, `3.11.4`, `python-3.11.4`, `cpython-3.11`.
fn version(text: &str) -> Option<u32> {
    let text = text.trim();
    let text = text.strip_prefix("cpython").or_else(|| text.strip_prefix("python")).unwrap_or(text);
    let rest = text.trim_start_matches(['-', '@']).strip_prefix("3.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// What the files of a folder demand, with the file that does.
fn demands(tree: &Tree, folder: &str) -> Vec<(String, String)> {
    let mut demands = Vec::new();
    let mut table = |name: &str, keys: &[&[&str]]| {
        let path = join(folder, name);
        let Some(table) = tree.toml(&path) else { return };
        for keys in keys {
            let mut value = table.get(keys[0]);
            for key in &keys[1..] {
                value = value.and_then(|value| value.get(key));
            }
            if let Some(text) = value.and_then(toml::Value::as_str) {
                demands.push((path.clone(), text.to_owned()));
            }
        }
    };
    table(
        "pyproject.toml",
        &[&["project", "requires-python"], &["tool", "poetry", "dependencies", "python"]],
    );
    table("uv.lock", &[&["requires-python"]]);
    table("Pipfile", &[&["requires", "python_version"], &["requires", "python_full_version"]]);
    demands
}

fn classified(tree: &Tree) -> Vec<u32> {
    const CLASSIFIER: &str = "Programming Language :: Python :: 3.";
    let texts = ["pyproject.toml", "setup.cfg", "setup.py"].map(|name| tree.text(name));
    let texts = texts.into_iter().flatten();
    let minors = texts.flat_map(|text| text.split(CLASSIFIER).skip(1)).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    minors.collect()
}

/// Whether Python 3.`minor`, in its latest release, fits a specifier of PEP 440 or of Poetry.
pub fn allows(specifier: &str, minor: u32) -> bool {
    specifier.split("||").any(|part| {
        let spaced = part.replace(',', " ");
        let mut clauses: Vec<String> = Vec::new();
        for word in spaced.split_whitespace() {
            match clauses.last_mut() {
                // `>= 3.11`
                Some(last) if !last.contains(|c: char| c.is_ascii_digit()) => last.push_str(word),
                _ => clauses.push(word.to_owned()),
            }
        }
        clauses.iter().all(|clause| clause_allows(clause, minor))
    })
}

fn clause_allows(clause: &str, minor: u32) -> bool {
    let start = clause.find(|c: char| c.is_ascii_digit() || c == '*').unwrap_or(clause.len());
    let (operator, version) = clause.split_at(start);
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let Some(Ok(major)) = numbers.next() else { return true };
    let wanted = numbers.next().and_then(Result::ok);
    let patch = numbers.next().and_then(Result::ok);
    let limit = wanted.unwrap_or(0);
    // The latest release of a minor version is above every patch that is named.
    match operator {
        ">=" | ">" => major < 3 || major == 3 && minor >= limit,
        "<" | "<=" => {
            major > 3 || major == 3 && (minor < limit || minor == limit && patch.is_some())
        }
        "^" => major == 3 && minor >= limit,
        "~=" if patch.is_none() => major == 3 && minor >= limit,
        "!=" => major != 3 || patch.is_some() || wanted.is_some_and(|wanted| wanted != minor),
        _ => major == 3 && wanted.is_none_or(|wanted| wanted == minor),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn specifiers_are_those_of_pep_440_and_of_poetry() {
        for (specifier, minors) in [
            (">=3.13", &[13, 14][..]),
            (">=3.10,<3.12", &[10, 11]),
            (">= 3.10, < 3.12.5", &[10, 11, 12]),
            (">=3.9 <4", &[9, 10, 11, 12, 13, 14]),
            ("~=3.11", &[11, 12, 13, 14]),
            ("~=3.11.2", &[11]),
            ("==3.11.*", &[11]),
            ("3.10.*", &[10]),
            ("^3.11", &[11, 12, 13, 14]),
            ("~3.11", &[11]),
            ("^3.9 || ^3.8", &[8, 9, 10, 11, 12, 13, 14]),
            (">=3.8,!=3.9.*,<3.11", &[8, 10]),
            (">=2.7,<3", &[]),
            ("*", &[8, 9, 10, 11, 12, 13, 14]),
        ] {
            let allowed: Vec<u32> = (8..15).filter(|minor| allows(specifier, *minor)).collect();
            assert_eq!(allowed, minors, "{specifier}");
        }
    }

    #[test]
    fn the_nearest_file_chooses_within_what_is_demanded() {
        let minor = |files: &[(&str, &str)]| minor(&Tree::from_files(files), "backend");
        let project = |demand: &str| format!("[project]\nrequires-python = '{demand}'");
        assert_eq!(minor(&[]).unwrap(), 12);
        assert_eq!(minor(&[("backend/pyproject.toml", &project(">=3.13"))]).unwrap(), 13);
        assert_eq!(minor(&[("pyproject.toml", &project(">=3.9,<3.12"))]).unwrap(), 11);
        let pinned = [("pyproject.toml", project(">=3.11")), (".python-version", "3.14\n".into())];
        let pinned = pinned.each_ref().map(|(path, text)| (*path, text.as_str()));
        assert_eq!(minor(&pinned).unwrap(), 14);
        // What is demanded wins over what is used.
        let old = [("pyproject.toml", &*project(">=3.13")), (".python-version", "cpython-3.10")];
        assert_eq!(minor(&old).unwrap(), 13);
        assert_eq!(minor(&[("runtime.txt", "python-3.10.4")]).unwrap(), 10);
        assert_eq!(minor(&[(".tool-versions", "nodejs 20\npython 3.11.9\n")]).unwrap(), 11);
        assert_eq!(minor(&[("Pipfile", "[requires]\npython_version = '3.11'")]).unwrap(), 11);
        let poetry = "[tool.poetry.dependencies]\n  python = '^3.13'";
        assert_eq!(minor(&[("pyproject.toml", poetry)]).unwrap(), 13);
        let old = "classifiers = ['Programming Language :: Python :: 3.9', 'Programming Language :: Python :: 3.10']";
        assert_eq!(minor(&[("setup.py", old)]).unwrap(), 10);
        let error = minor(&[("pyproject.toml", &project("<3"))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pyproject.toml wants Python <3, for which there is no image"
        );
    }
}
