//! Small projects of many layouts, each with the decision that is expected for it: tests/projects.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use crate::init::detect::{Broker, Service, UserNames, detect};
use crate::init::files::files;
use crate::init::requirements::Requirements;
use crate::init::tree::Tree;

/// The files of a project, which stand one after the other in a text below what is expected.
fn project(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("=== ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap()).collect()
}

fn decision(name: &str, service: &Service, dockerfile: &str) -> String {
    let packages = match &service.requirements {
        Requirements::Tool { tool, member, .. } => {
            format!("{tool:?} {}", member.clone().unwrap_or_default())
        }
        Requirements::Written { packages, .. } => format!("imports: {}", packages.join(" ")),
        other => other.files().join(" "),
    };
    let command = dockerfile.lines().rfind(|line| line.starts_with("CMD")).unwrap();
    let mut text = format!("{name} {command}\n");
    let _ = writeln!(text, "  python 3.{}, packages: {}", service.python, packages.trim());
    let _ = writeln!(text, "  code: {}", service.items.join(" "));
    for (what, list) in
        [("more packages", service.extra.join(" ")), ("system packages", service.system.join(" "))]
    {
        if !list.is_empty() {
            let _ = writeln!(text, "  {what}: {list}");
        }
    }
    if service.writes_beside_code {
        let _ = writeln!(text, "  writes beside its code");
    }
    text
}

fn decisions(tree: &Tree) -> String {
    let found = match detect(tree, &UserNames::default()) {
        Ok(found) => found.unwrap(),
        Err(error) => return format!("refused: {error}\n"),
    };
    let written = files(Some(&found), tree, "shop", None);
    let mut text = String::new();
    for (name, service) in found.services() {
        let path = format!("Dockerfile.{name}");
        let dockerfile = &written.iter().find(|file| file.path == path).unwrap().text;
        text += &decision(name, service, dockerfile);
    }
    if let Some(broker) = found.broker {
        let name = if broker == Broker::Redis { "redis" } else { "rabbitmq" };
        let set: Vec<&str> = found.environment.iter().map(|(name, _)| name.as_str()).collect();
        let _ = writeln!(text, "{name}: {}", set.join(" "));
    }
    text
}

#[test]
fn every_layout_gets_what_it_needs_or_a_reason() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/projects");
    let mut count = 0;
    let mut wrong = String::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs_err::read_to_string(&path).unwrap();
        let (wanted, _) = text.split_once("=== ").unwrap();
        let decided = decisions(&Tree::from_files(&project(&text)));
        if decided != wanted {
            let _ = writeln!(wrong, "## {}\n{decided}", path.file_name().unwrap().display());
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "decided otherwise:\n{wrong}");
    assert!(count >= 40, "{count} projects");
}
