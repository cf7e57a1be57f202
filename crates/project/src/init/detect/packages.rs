//! Packages of a service that no file names, those of its system, and what is said of them.

use std::collections::BTreeSet;

use super::code::is_within;
use super::start::Start;
use super::{DetectError, Detection, Runner};
use crate::init::apps::{self, Server};
use crate::init::python;
use crate::init::requirements::{Requirements, package_of};
use crate::init::tree::{Tree, parent};

/// Requirements for code whose packages nothing declares.
pub(super) fn written(
    tree: &Tree,
    start: &Start,
    items: &[String],
) -> Result<Requirements, DetectError> {
    let mut packages = BTreeSet::new();
    let mut unknown: Option<(String, Vec<String>)> = None;
    let sources = tree
        .python()
        .filter(|(path, _)| !apps::is_test(path) && items.iter().any(|item| is_within(path, item)));
    for (path, source) in sources {
        for module in &source.imports.required {
            if python::is_standard(module) || python::local(tree, &start.root, module).is_some() {
                continue;
            }
            // A module beside the source, as a script imports it.
            if python::local(tree, parent(path), module).is_some() {
                continue;
            }
            match package_of(module) {
                Some(package) => {
                    packages.insert(package.to_owned());
                }
                None => unknown
                    .get_or_insert_with(|| (path.to_owned(), Vec::new()))
                    .1
                    .push(module.clone()),
            }
        }
    }
    if let Some((file, modules)) = unknown {
        return Err(DetectError::Undeclared { file, modules: modules.join(", ") });
    }
    match &start.runner {
        Runner::Web { server: Server::Asgi, .. } => packages.insert("uvicorn".to_owned()),
        Runner::Web { server: Server::Wsgi, .. } => packages.insert("gunicorn".to_owned()),
        Runner::Celery { .. } => {
            packages.remove("celery");
            packages.insert("celery[redis]".to_owned())
        }
        Runner::Dramatiq { .. } => {
            packages.remove("dramatiq");
            packages.insert("dramatiq[redis]".to_owned())
        }
        Runner::Rq { .. } | Runner::Module => false,
    };
    let packages = packages.into_iter().collect();
    Ok(Requirements::Written { file: "requirements.txt".to_owned(), packages })
}

/// Debian packages without which well-known Python packages cannot be installed or imported.
pub(super) fn system_packages(tree: &Tree, requirements: &Requirements) -> Vec<&'static str> {
    const NEEDS: &[(&str, &[&str])] = &[
        ("mysqlclient", &["default-libmysqlclient-dev", "gcc", "libc6-dev", "pkg-config"]),
        ("opencv-python", &["libgl1", "libglib2.0-0"]),
        ("pdf2image", &["poppler-utils"]),
        ("psycopg2", &["gcc", "libc6-dev", "libpq-dev"]),
        ("pydub", &["ffmpeg"]),
        ("pytesseract", &["tesseract-ocr"]),
        ("python-magic", &["libmagic1"]),
        ("weasyprint", &["libpango-1.0-0", "libpangoft2-1.0-0"]),
    ];
    let mut system: BTreeSet<&'static str> = NEEDS
        .iter()
        .filter(|(package, _)| requirements.name(tree, package))
        .flat_map(|(_, needs)| needs.iter().copied())
        .collect();
    let texts = requirements.files();
    if texts.iter().filter_map(|file| tree.text(file)).any(|text| text.contains("git+")) {
        system.extend(["ca-certificates", "git"]);
    }
    system.into_iter().collect()
}

impl Detection {
    /// Says what was seen and is not taken care of.
    pub(super) fn note_packages(&mut self, tree: &Tree) {
        let mut notes = Vec::new();
        for (name, service) in self.services() {
            let file = &service.requirements.files()[0];
            if matches!(service.requirements, Requirements::Written { .. }) {
                notes.push(format!(
                    "nothing declares the packages of {name}: {file} has what the code imports"
                ));
            }
            for package in &service.extra {
                notes.push(format!(
                    "{file} names no {package}, which {name} needs: the image gets the newest; add it there"
                ));
            }
            if service.writes_beside_code {
                notes.push(format!(
                    "the code of {name} writes into its own folder: what it writes is gone with the container"
                ));
            }
        }
        const DATABASES: [&str; 7] = [
            "asyncpg",
            "mysqlclient",
            "psycopg",
            "psycopg2",
            "psycopg2-binary",
            "pymongo",
            "pymysql",
        ];
        let names = |package: &&&str| {
            self.services().any(|(_, service)| service.requirements.name(tree, package))
        };
        if let Some(package) = DATABASES.iter().find(names) {
            notes.push(format!(
                "{package} wants a database: the compose file has none, its address belongs into .env"
            ));
        }
        notes.dedup();
        self.notes.extend(notes);
    }
}
