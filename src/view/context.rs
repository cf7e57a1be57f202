//! `doc2md-docker context`: what is sent, as tables and documents. Pure.

use std::path::Path;

use serde::Serialize;

use crate::counted::counted;
use crate::terminal::{format, wrap};
use crate::transfer::{Amount, PathAnswer, Reader, SentPath, Transfer};
use crate::view::table::{self, Column, Shape};

/// Schema of the document of `context ls` (docs/context.schema.json).
const SCHEMA: &str = "doc2md-docker/context/v1";
/// Schema of the document of `context explain`.
const EXPLAIN_SCHEMA: &str = "doc2md-docker/context-explain/v1";

const COLUMNS: [Column; 4] = [
    Column::new("SIZE", Shape::Right),
    Column::new("FILES", Shape::Right).drop(1),
    Column::new("PATH", Shape::CutStart(16)),
    Column::new("READ BY", Shape::CutStart(12)),
];

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    contexts: &'a [Transfer],
}

#[derive(Serialize)]
struct Answers<'a> {
    schema: &'static str,
    answers: &'a [PathAnswer],
}

/// What is sent, as a JSON document.
pub fn document(contexts: &[Transfer]) -> String {
    super::history::document(&Document { schema: SCHEMA, contexts })
}

/// Why a path is sent, as a JSON document.
pub fn answers_document(answers: &[PathAnswer]) -> String {
    super::history::document(&Answers { schema: EXPLAIN_SCHEMA, answers })
}

/// A paragraph for each context: what is sent of what may be, and of which paths.
pub fn table(contexts: &[Transfer], here: &Path, columns: usize) -> String {
    let context = |transfer: &Transfer| {
        let all = amount(transfer.let_through);
        let may_be_sent = match &transfer.ignore_file {
            Some(file) => format!("{} lets {all} through", shown(file, here)),
            None => format!("no ignore file, so {all} could be"),
        };
        let title = format!(
            "{}: sends {} from {}; {may_be_sent}",
            heading(&transfer.service, &transfer.name),
            amount(transfer.sent),
            shown(&transfer.directory, here),
        );
        let rows: Vec<Vec<String>> = transfer
            .parts
            .iter()
            .map(|part| {
                vec![
                    format::bytes(part.amount.bytes),
                    part.amount.files.to_string(),
                    table::cell(&part.path),
                    readers(&part.readers),
                ]
            })
            .collect();
        let title = wrap::lines(&title, columns) + "\n";
        match rows.is_empty() {
            true => title,
            false => title + &table::render(&COLUMNS, &rows, columns),
        }
    };
    contexts.iter().map(context).collect::<Vec<_>>().join("\n")
}

/// What took most of what a run sent, a line each; nothing where nothing is worth naming.
pub fn largest(sent_bytes: u64, paths: &[SentPath], here: &Path) -> Option<String> {
    let named = |sent: &SentPath| {
        let is_directory = sent.path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let slash = if is_directory { "/" } else { "" };
        let path = shown(&sent.path, here);
        format!("  {:>8}  {}{slash}\n", format::bytes(sent.bytes), path.trim_end_matches('/'))
    };
    let lines: String = paths.iter().map(named).collect();
    (!lines.is_empty()).then(|| {
        let sent = format::bytes(sent_bytes);
        let what = "`doc2md-docker context ls` shows what reads them";
        format!("{sent} of build contexts were sent, most of it:\n{lines}{what}")
    })
}

/// A few lines for each context that has the path.
pub fn answers(answers: &[PathAnswer], here: &Path) -> String {
    let mut text = String::new();
    for answer in answers {
        let name = match answer.path.as_str() {
            "" => ".".to_owned(),
            path => table::cell(path),
        };
        let verdict = if answer.is_sent { "sent" } else { "not sent" };
        text += &format!("{}: {name} is {verdict}\n", heading(&answer.service, &answer.name));
        text += &match &answer.decision {
            Some(it) => format!(
                "  {}:{} `{}` {}\n",
                shown(&it.file, here),
                it.line,
                table::cell(&it.pattern),
                match it.leaves_out {
                    true if answer.is_sent => "leaves it out, but not all that is in it",
                    true => "leaves it out",
                    false => "takes it in",
                }
            ),
            None => "  no ignore file leaves it out\n".to_owned(),
        };
        match answer.readers.as_slice() {
            [] if answer.is_sent => text += "  only by a link, or with what is read beside it\n",
            [] => text += "  no COPY, ADD or bind mount on the way to the image reads it\n",
            readers => {
                for reader in readers {
                    let paths = table::cell(&reader.paths.join(" "));
                    let file = table::cell(&reader.file);
                    text += &format!("  {file}:{} reads {paths}\n", reader.line);
                }
            }
        }
    }
    text
}

/// The service, and the name of the context where it is not the build context.
fn heading(service: &str, context: &str) -> String {
    match context {
        "" => table::cell(service),
        context => format!("{}, context {}", table::cell(service), table::cell(context)),
    }
}

fn amount(amount: Amount) -> String {
    format!("{} in {}", format::bytes(amount.bytes), counted(amount.files, "file"))
}

fn shown(path: &Path, here: &Path) -> String {
    match path.strip_prefix(here) {
        Ok(path) if path.as_os_str().is_empty() => ".".to_owned(),
        Ok(path) => table::cell(&path.display().to_string()),
        Err(_) => table::cell(&path.display().to_string()),
    }
}

/// Places of the instructions, each file once.
fn readers(readers: &[Reader]) -> String {
    let mut text = String::new();
    let mut file = "";
    for reader in readers {
        if reader.file == file {
            text += &format!(", {}", reader.line);
            continue;
        }
        file = &reader.file;
        text += &format!("{}:{}", table::cell(file), reader.line);
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::transfer::{Decision, Part};
    use crate::view::schema_check::faults;

    const LS: &str = include_str!("../../docs/context.schema.json");
    const EXPLAIN: &str = include_str!("../../docs/context-explain.schema.json");

    fn reader(line: usize) -> Reader {
        Reader { file: "Dockerfile".into(), line, paths: vec!["api".into(), "x y".into()] }
    }

    #[test]
    fn a_context_is_told_by_its_largest_paths() {
        let part = |path: &str, bytes, readers| Part {
            path: path.into(),
            amount: Amount { files: 2, bytes },
            readers,
        };
        let transfer = Transfer {
            service: "api".into(),
            name: String::new(),
            directory: "/p".into(),
            ignore_file: Some("/p/.dockerignore".into()),
            sent: Amount { files: 1, bytes: 3_000_100 },
            let_through: Amount { files: 10, bytes: 40_000_000 },
            parts: vec![
                part("api/", 3_000_000, vec![reader(4), reader(7)]),
                part("l\u{1b}[31mink\n", 100, vec![]),
            ],
        };
        let docs = Transfer {
            name: "docs".into(),
            ignore_file: None,
            directory: "/docs".into(),
            sent: Amount::default(),
            parts: Vec::new(),
            ..transfer.clone()
        };
        insta::assert_snapshot!(table(&[transfer.clone(), docs], Path::new("/p"), 60), @"
        api: sends 3.0 MB in 1 file from .; .dockerignore lets
          40.0 MB in 10 files through
          SIZE  FILES  PATH  READ BY
        3.0 MB      2  api/  Dockerfile:4, 7
         100 B      2  link  -

        api, context docs: sends 0 B in 0 files from /docs; no
          ignore file, so 40.0 MB in 10 files could be
        ");
        assert_eq!(faults(LS, &document(std::slice::from_ref(&transfer))), None);
        assert!(table(&[transfer], Path::new("/p"), 20).lines().all(|it| it.len() <= 40));
    }

    #[test]
    fn most_of_what_was_sent_is_named() {
        let sent = |path: &str, bytes| SentPath { path: path.into(), bytes };
        let paths = [
            sent("/p/models/bert.bin", 1_100_000_000),
            sent("/other/.git/", 80_000_000),
            sent("/p/a\u{1b}[31m\nb", 3),
        ];
        assert_eq!(largest(1_200_000_000, &[], Path::new("/p")), None);
        insta::assert_snapshot!(largest(1_200_000_000, &paths, Path::new("/p")).unwrap(), @"
        1.2 GB of build contexts were sent, most of it:
            1.1 GB  models/bert.bin
           80.0 MB  /other/.git/
               3 B  a b
        `doc2md-docker context ls` shows what reads them
        ");
    }

    #[test]
    fn a_path_is_told_with_pattern_and_readers() {
        let answer = PathAnswer {
            service: "api".into(),
            name: String::new(),
            directory: "/p".into(),
            path: "api/main.py".into(),
            is_sent: true,
            decision: Some(Decision {
                file: "/p/.dockerignore".into(),
                line: 3,
                pattern: "!api".into(),
                leaves_out: false,
            }),
            readers: vec![reader(4)],
        };
        let unread = PathAnswer {
            is_sent: false,
            decision: None,
            readers: Vec::new(),
            path: String::new(),
            ..answer.clone()
        };
        let both = [answer, unread];
        assert_eq!(faults(EXPLAIN, &answers_document(&both)), None);
        insta::assert_snapshot!(answers(&both, Path::new("/p")), @r"
        api: api/main.py is sent
          .dockerignore:3 `!api` takes it in
          Dockerfile:4 reads api x y
        api: . is not sent
          no ignore file leaves it out
          no COPY, ADD or bind mount on the way to the image reads it
        ");
    }
}
