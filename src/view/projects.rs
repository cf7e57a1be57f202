//! The projects of an engine as a table and as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::history::{ago, outcome};
use super::table::{Column, Shape, cell, render};
use crate::projects::ProjectRow;
use crate::terminal::format;

/// Schema of the document.
pub const SCHEMA: &str = "doc2md-docker/ls/v1";

const COLUMNS: [Column; 7] = [
    Column::new("PROJECT", Shape::CutEnd(12)),
    Column::new("RUNNING", Shape::Right),
    Column::new("IMAGES", Shape::Right).drop(1),
    Column::new("SIZE", Shape::Right),
    Column::new("VOLUMES", Shape::Right).drop(2),
    Column::new("LAST BUILD", Shape::CutEnd(10)).drop(3),
    Column::new("DIRECTORY", Shape::CutStart(16)).drop(4),
];

/// A line for each project.
pub fn table(projects: &[ProjectRow], now: Timestamp, width: usize) -> String {
    let rows: Vec<Vec<String>> = projects.iter().map(|project| row(project, now)).collect();
    render(&COLUMNS, &rows, width)
}

fn row(project: &ProjectRow, now: Timestamp) -> Vec<String> {
    let bytes = |count: Option<usize>, bytes: Option<u64>| match (count, bytes) {
        (Some(0), _) => "-".to_owned(),
        (_, Some(bytes)) => format::bytes(bytes),
        (_, None) => "?".to_owned(),
    };
    let running = match project.containers {
        None => "?".to_owned(),
        Some((0, _)) => "-".to_owned(),
        Some((all, running)) => format!("{running}/{all}"),
    };
    let build = project.last_build.as_ref().map(|build| {
        let when = ago(build.started, now);
        match outcome(build.outcome) {
            "succeeded" => when,
            other => format!("{when}, {other}"),
        }
    });
    let directory =
        project.directory.as_deref().map(|directory| match project.other_directories.len() {
            0 => cell(directory),
            more => format!("{} (+{more})", cell(directory)),
        });
    vec![
        cell(&project.name),
        running,
        project.images.map_or("?".to_owned(), |count| count.to_string()),
        bytes(project.images, project.images_bytes),
        bytes(project.volumes, project.volumes_bytes),
        build.unwrap_or_else(|| "-".to_owned()),
        directory.unwrap_or_else(|| "-".to_owned()),
    ]
}

/// One JSON document.
pub fn document(projects: &[ProjectRow]) -> String {
    let projects: Vec<Value> = projects.iter().map(project).collect();
    let document = json!({"schema": SCHEMA, "projects": projects});
    format!("{document:#}\n")
}

fn project(project: &ProjectRow) -> Value {
    let build = project
        .last_build
        .as_ref()
        .map(|build| json!({"id": build.id, "started": build.started, "outcome": build.outcome}));
    json!({
        "name": project.name,
        "directory": project.directory,
        "other_directories": project.other_directories,
        "images": project.images,
        "images_bytes": project.images_bytes,
        "volumes": project.volumes,
        "volumes_bytes": project.volumes_bytes,
        "containers": project.containers.map(|(all, _)| all),
        "running": project.containers.map(|(_, running)| running),
        "last_build": build,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::Outcome;
    use crate::projects::LastBuild;
    use crate::view::schema_check;

    fn projects() -> Vec<ProjectRow> {
        let built = LastBuild {
            id: "mwup9c2nhuqa".into(),
            started: "2026-11-27T06:00:00Z".parse().unwrap(),
            outcome: Outcome::Failed,
            directory: "/srv/shop".into(),
        };
        let shop = ProjectRow {
            name: "shop".into(),
            directory: Some("/srv/\u{202e}customers/north/shop".into()),
            other_directories: vec!["/tmp/shop".into()],
            images: Some(3),
            images_bytes: Some(1_234_000_000),
            volumes: Some(1),
            volumes_bytes: Some(5_000_000),
            containers: Some((2, 1)),
            last_build: Some(built),
        };
        let unknown = ProjectRow {
            name: "a-project-with-a-name-that-is-long".into(),
            directory: None,
            other_directories: Vec::new(),
            images: None,
            images_bytes: None,
            volumes: Some(2),
            volumes_bytes: None,
            containers: Some((0, 0)),
            last_build: None,
        };
        vec![unknown, shop]
    }

    #[test]
    fn the_table_fits_and_is_uncut_in_a_pipe() {
        let now = "2026-11-27T07:00:00Z".parse().unwrap();
        for width in 40..200 {
            let table = table(&projects(), now, width);
            let long = table.lines().find(|line| format::width(line) > width);
            assert_eq!(long, None, "{width}");
            assert!(table.contains("shop"), "{width}");
        }
        let whole = table(&projects(), now, usize::MAX);
        insta::assert_snapshot!(whole, @r"
        PROJECT                             RUNNING  IMAGES    SIZE  VOLUMES  LAST BUILD      DIRECTORY
        a-project-with-a-name-that-is-long        -       ?       ?        ?  -               -
        shop                                    1/2       3  1.2 GB   5.0 MB  1h ago, failed  /srv/customers/north/shop (+1)
        ");
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let schema = include_str!("../../docs/ls.schema.json");
        for projects in [projects(), Vec::new()] {
            assert_eq!(schema_check::faults(schema, &document(&projects)), None);
        }
        let wrong = document(&projects()).replace("\"failed\"", "\"lost\"");
        assert!(schema_check::faults(schema, &wrong).is_some());
    }
}
