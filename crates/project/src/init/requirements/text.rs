//! The lines of requirement files.

use std::collections::BTreeSet;

use crate::init::tree::{Tree, join, parent};

/// Requirements of a file, continued lines joined, without comments and options that name no package.
pub(super) fn entries(text: &str) -> Vec<String> {
    text.replace("\\\r\n", " ")
        .replace("\\\n", " ")
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned())
        .filter(|line| {
            !line.is_empty()
                && (!line.starts_with(['#', '-'])
                    || line.starts_with("-e")
                    || line.starts_with("--editable"))
        })
        .collect()
}

/// Whether a requirement is a path.
pub(super) fn is_local(entry: &str) -> bool {
    let entry = ["--editable", "-e"]
        .iter()
        .find_map(|option| entry.strip_prefix(option))
        .map_or(entry, |rest| rest.trim_start_matches(['=', ' ']));
    entry.starts_with('.')
        || entry.starts_with('/')
        || entry.starts_with("file:")
        || entry.contains("@ file:")
        || entry.ends_with(".whl") && !entry.contains("://")
}

/// Every requirement has a hash, as `--require-hashes` wants it.
pub(super) fn is_locked(text: &str) -> bool {
    let entries = entries(text);
    !entries.is_empty() && entries.iter().all(|entry| entry.contains("--hash="))
}

pub(super) fn included(tree: &Tree, path: &str, seen: &mut BTreeSet<String>) {
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let Some(text) = tree.text(&path) else { continue };
        if seen.contains(&path) {
            continue;
        }
        for line in text.lines() {
            let mut words = line.split([' ', '=', '\t']).filter(|word| !word.is_empty());
            let option = words.next().unwrap_or_default();
            let named = match option {
                "-r" | "-c" | "--requirement" | "--constraint" => words.next(),
                _ => option.strip_prefix("-r").or_else(|| option.strip_prefix("-c")),
            };
            open.extend(named.map(|named| normal(&join(parent(&path), named))));
        }
        seen.insert(path);
    }
}

/// The path without `.` and `..`.
pub(super) fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether the requirements name a package, in any of the files.
pub(super) fn names_package(tree: &Tree, files: &[String], package: &str) -> bool {
    files.iter().filter_map(|file| tree.text(file)).any(|text| {
        text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
            .any(|word| word.eq_ignore_ascii_case(package))
    })
}
