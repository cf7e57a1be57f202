//! Who may know whom: the table of docs/design/architecture.md, checked on the sources, and checked itself by
//! violations that are planted in every room.
#![allow(clippy::unwrap_used)]

mod circles;
mod lengths;
mod sources;
mod table;

use std::path::{Path, PathBuf};

use sources::Source;
use table::{ROOMS, Room};

/// Where sources are: those of all packages name their rooms by `crate`.
fn roots() -> [PathBuf; 3] {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["src", "crates/engine/src", "crates/project/src"].map(|root| package.join(root))
}

fn all_sources() -> Vec<Source> {
    roots().iter().flat_map(|root| sources::read(root)).collect()
}

/// The entry of the table for a file: the one with the longest place.
fn room_of(path: &Path) -> Option<&'static Room> {
    ROOMS
        .iter()
        .filter(|room| path.starts_with(room.place))
        .max_by_key(|room| Path::new(room.place).iter().count())
}

/// The name of the top room that a file or a place in the table belongs to.
fn top(path: &Path) -> String {
    let first = Path::new(path.iter().next().unwrap());
    first.with_extension("").to_str().unwrap().to_owned()
}

/// What a file must not mention and does.
fn offences(source: &Source) -> Vec<String> {
    let name = source.path.display();
    let Some(room) = room_of(&source.path) else {
        return vec![format!("{name} is in no room of the table (tests/architecture/table.rs)")];
    };
    let own = top(&source.path);
    let mut offences = Vec::new();
    for path in &source.mentions {
        if path[0] == "crate" {
            let other = path[1].as_str();
            // Names of the crate's root, such as `crate::run`, belong to no room.
            if other != own && is_room(other) && !room.may.contains(&other) {
                offences.push(format!("{name} knows {other} ({})", path.join("::")));
            }
        }
        for never in room.never {
            if mentions(path, never) {
                offences.push(format!("{name} mentions {}", path.join("::")));
            }
        }
    }
    let prints = ["println", "eprintln", "print", "eprint", "dbg"];
    if own != "terminal" {
        for name in prints.iter().filter(|name| source.macros.contains(**name)) {
            offences.push(format!("{} prints with {name}!", source.path.display()));
        }
        for path in &source.mentions {
            if matches!(path.last().map(String::as_str), Some("stdout" | "stderr"))
                && path.starts_with(&["std".to_owned(), "io".to_owned()])
            {
                offences.push(format!("{} writes to {}", source.path.display(), path.join("::")));
            }
        }
    }
    offences
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|room| top(Path::new(room.place)) == name)
}

/// Whether a path is in a crate or module, or ends in a call such as `Instant::now`.
fn mentions(path: &[String], wanted: &[&str]) -> bool {
    if wanted.last() == Some(&"now") {
        return path.ends_with(&wanted.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    path.len() >= wanted.len() && path.iter().zip(wanted).all(|(part, wanted)| part == wanted)
}

#[test]
fn rooms_know_only_what_they_may() {
    let offences: Vec<_> = all_sources().iter().flat_map(offences).collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_place_of_the_table_exists() {
    let exists = |place: &&str| roots().iter().any(|root| root.join(place).exists());
    let stale: Vec<_> = ROOMS.iter().map(|room| room.place).filter(|it| !exists(it)).collect();
    assert!(stale.is_empty(), "places of the table that are gone: {stale:?}");
    for room in ROOMS {
        for other in room.may {
            assert!(is_room(other), "{} may know {other}, which is no room", room.place);
        }
    }
}

#[test]
fn rooms_form_no_circle() {
    // Of the arrows that the table allows, by top rooms: no path leads back.
    let mut arrows = circles::Graph::default();
    for room in ROOMS {
        for other in room.may {
            arrows.entry(top(Path::new(room.place))).or_default().insert((*other).to_owned());
        }
    }
    let circles = circles::find(&arrows);
    assert!(circles.is_empty(), "rooms that need each other: {circles:?}");
}

#[test]
fn files_form_no_circle() {
    let circles = circles::find(&circles::arrows_between_files(&all_sources()));
    assert!(circles.is_empty(), "files that need each other: {circles:?}");
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> = roots()
        .iter()
        .flat_map(|root| sources::rust_files(root))
        .filter(|file| !std::fs::read_to_string(file).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "modules without a first line of documentation: {silent:?}");
}

#[test]
fn no_function_is_long() {
    let mut long = Vec::new();
    for root in roots() {
        for source in sources::read(&root) {
            let text = std::fs::read_to_string(root.join(&source.path)).unwrap();
            for (name, lines) in lengths::long_functions(&text) {
                long.push(format!("{}: {name} has {lines} lines", source.path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_long_function_is_found() {
    let body = |lines: usize| "        call();\n".repeat(lines);
    for head in ["fn a()", "pub(in crate::b) async fn a<T>(it: T) -> X", "pub const fn a()"] {
        let file = |lines| format!("impl A {{\n    {head} {{\n{}    }}\n}}\n", body(lines));
        assert_eq!(lengths::long_functions(&file(63)), []);
        assert_eq!(lengths::long_functions(&file(64)), [("a".to_owned(), 66)]);
        // Comments and blank lines are free, and so are tests.
        let commented = file(63).replacen("call();", "call();\n\n        // Why.", 40);
        assert_eq!(lengths::long_functions(&commented), []);
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", file(99));
        assert_eq!(lengths::long_functions(&test), []);
    }
}

#[test]
fn a_violation_is_found_in_every_room() {
    // Each way to name something, behind a test module at the top of the file, which used to hide the rest.
    let ways: &[fn(&str) -> String] = &[
        |path| format!("use {path};"),
        |path| format!("use {path} as other;"),
        |path| format!("use {};", path.replacen("::", "::{", 1) + "}"),
        |path| format!("fn call() {{ {path}(); }}"),
        |path| format!("fn call() {{ log!(\"{{}}\", {path}()); }}"),
        |path| format!("fn call(value: &{path}) -> Option<{path}> {{ None }}"),
        |path| format!("mod inner {{ fn call() {{ use {path}; }} }}"),
    ];
    for room in ROOMS {
        let own = top(Path::new(room.place));
        let file = match Path::new(room.place).extension() {
            Some(_) => PathBuf::from(room.place),
            None => Path::new(room.place).join("planted.rs"),
        };
        let rooms = ROOMS
            .iter()
            .map(|other| top(Path::new(other.place)))
            .filter(|other| {
                *other != own && *other != "main" && !room.may.contains(&other.as_str())
            })
            .map(|other| format!("crate::{other}::thing"));
        let outside =
            room.never.iter().map(|path| path.join("::")).map(|path| match path.as_str() {
                "Instant::now" | "SystemTime::now" => format!("std::time::{path}"),
                "Timestamp::now" | "Zoned::now" => format!("jiff::{path}"),
                _ => format!("{path}::thing"),
            });
        for path in rooms.chain(outside) {
            for way in ways {
                let text = format!("//! Doc.\n#[cfg(test)]\nmod tests;\n{}\n", way(&path));
                let found = offences(&Source::parse(&file, &text));
                assert!(!found.is_empty(), "{path} goes unseen in {}:\n{text}", file.display());

                let text = format!("//! Doc.\n#[cfg(test)]\nmod tests {{ {} }}\n", way(&path));
                let found = offences(&Source::parse(&file, &text));
                assert!(found.is_empty(), "tests may name everything: {found:?}\n{text}");
            }
        }
    }
}

#[test]
fn a_path_through_super_is_found() {
    let text = "//! Doc.\nfn call() { super::super::terminal::thing(); }";
    let found = offences(&Source::parse(Path::new("usage/planted.rs"), text));
    assert_eq!(found, ["usage/planted.rs knows terminal (crate::terminal::thing)"]);
}

#[test]
fn printing_is_found_outside_of_the_terminal() {
    for call in ["println!(\"x\")", "eprint!(\"x\")", "std::io::stdout().lock()", "dbg!(1)"] {
        let text = format!("//! Doc.\nfn call() {{ {call}; }}");
        assert_eq!(offences(&Source::parse(Path::new("commands/planted.rs"), &text)).len(), 1);
        assert_eq!(offences(&Source::parse(Path::new("terminal/planted.rs"), &text)).len(), 0);
    }
}

#[test]
fn an_unknown_room_is_found() {
    let found = offences(&Source::parse(Path::new("helpers/mod.rs"), "//! Doc.\n"));
    assert_eq!(found.len(), 1, "{found:?}");
}
