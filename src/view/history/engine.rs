//! `history ls --engine`: a line for each build that the engine remembers.

use jiff::Timestamp;
use serde_json::json;

use super::{ago, document, hits, or_dash};
use crate::recorded::listed::{BuildEnd, BuildRow};
use crate::terminal::format;
use crate::view::table::{self, Column, Shape};

/// Schema of the document (docs/history-engine.schema.json).
const SCHEMA: &str = "doc2md-docker/history-engine/v1";

const COLUMNS: [Column; 8] = [
    Column::new("BUILD", Shape::Left),
    Column::new("WHEN", Shape::Left),
    Column::new("OUTCOME", Shape::Left),
    Column::new("TIME", Shape::Right),
    Column::new("CACHED", Shape::Right).drop(2),
    Column::new("TARGET", Shape::CutEnd(8)),
    Column::new("PROJECT", Shape::CutEnd(8)).drop(1),
    Column::new("HERE", Shape::Left).drop(3),
];

/// A table of `builds`, in their order.
pub fn engine(builds: &[BuildRow], now: Timestamp, columns: usize) -> String {
    let rows: Vec<Vec<String>> = builds.iter().map(|build| row(build, now)).collect();
    table::render(&COLUMNS, &rows, columns)
}

fn row(build: &BuildRow, now: Timestamp) -> Vec<String> {
    vec![
        table::cell(&build.id),
        or_dash(build.started.map(|started| ago(started, now))),
        match build.outcome {
            BuildEnd::Succeeded => "succeeded",
            BuildEnd::Failed => "failed",
            BuildEnd::Unfinished => "unfinished",
        }
        .to_owned(),
        or_dash(build.seconds.map(format::seconds)),
        hits((build.cached as usize, build.steps as usize)),
        table::cell(&build.target),
        or_dash(build.project.as_deref().map(table::cell)),
        or_dash(build.own.as_ref().map(ToString::to_string)),
    ]
}

/// The same as a document; `project` is whose builds they are, `None` for everybody's.
pub fn engine_json(project: Option<&str>, builds: &[BuildRow]) -> String {
    document(&json!({"schema": SCHEMA, "project": project, "builds": builds}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::BuildId;
    use crate::view::schema_check::faults;

    fn builds() -> Vec<BuildRow> {
        let now: Timestamp = "2026-11-28T10:00:00Z".parse().unwrap();
        let build = |id: &str, outcome| BuildRow {
            id: id.to_owned(),
            started: Some(now),
            outcome,
            seconds: Some(2.875),
            cached: 5,
            steps: 11,
            target: "api".to_owned(),
            project: Some("shop".to_owned()),
            images: vec!["shop-api:latest".to_owned()],
            own: None,
        };
        vec![
            BuildRow {
                own: BuildId::parse("mhx3k2p9a7f2"),
                ..build("pgx9xg0mz1sq34dxf3raaw8p1", BuildEnd::Succeeded)
            },
            BuildRow {
                target: "tool\u{1b}[2J:1".to_owned(),
                project: None,
                ..build("nmadaizugyho30ke9kv3j3enl", BuildEnd::Failed)
            },
            BuildRow {
                started: None,
                seconds: None,
                cached: 0,
                steps: 0,
                images: Vec::new(),
                ..build("lhsrh3kojzgqh80d8z57muj9y", BuildEnd::Unfinished)
            },
        ]
    }

    #[test]
    fn builds_of_the_engine_in_a_table() {
        let now: Timestamp = "2026-11-28T10:05:00Z".parse().unwrap();
        let text =
            |columns| anstream::adapter::strip_str(&engine(&builds(), now, columns)).to_string();
        insta::assert_snapshot!(text(200), @r"
        BUILD                      WHEN    OUTCOME     TIME  CACHED  TARGET  PROJECT  HERE
        pgx9xg0mz1sq34dxf3raaw8p1  5m ago  succeeded   2.9s    5/11  api     shop     mhx3k2p9a7f2
        nmadaizugyho30ke9kv3j3enl  5m ago  failed      2.9s    5/11  tool:1  -        -
        lhsrh3kojzgqh80d8z57muj9y  -       unfinished     -       -  api     shop     -
        ");
        insta::assert_snapshot!(text(80), @r"
        BUILD                      WHEN    OUTCOME     TIME  CACHED  TARGET  PROJECT
        pgx9xg0mz1sq34dxf3raaw8p1  5m ago  succeeded   2.9s    5/11  api     shop
        nmadaizugyho30ke9kv3j3enl  5m ago  failed      2.9s    5/11  tool:1  -
        lhsrh3kojzgqh80d8z57muj9y  -       unfinished     -       -  api     shop
        ");
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let schema = include_str!("../../../docs/history-engine.schema.json");
        for project in [Some("shop"), None] {
            assert_eq!(faults(schema, &engine_json(project, &builds())), None);
        }
    }
}
