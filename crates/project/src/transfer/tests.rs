//! Trees of files, and what is sent of them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::targets::Target;

fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn target(folder: &Path) -> Target {
    let context = folder.display().to_string();
    Target { service: "api".to_owned(), context, ..Target::default() }
}

const DOCKERFILE: &str = "FROM x AS deps\n\
    RUN --mount=type=bind,source=api.lock,target=/l true\n\
    COPY --from=docs a.md /a\n\
    FROM deps\n\
    COPY --exclude=*.md api shared/x.py /app/\n";

fn project() -> TempDir {
    tree(&[
        (".dockerignore", "# no models\n\n*\n!api\n!shared\napi/models\n!api.lock\n"),
        ("api.lock", "12345"),
        ("api/main.py", "123"),
        ("api/README.md", "1234567"),
        ("api/models/big.bin", "1234567890"),
        ("shared/x.py", "1"),
        ("shared/y.py", "12"),
        (".git/objects/1", "1234"),
    ])
}

#[test]
fn only_what_is_read_is_sent() {
    let folder = project();
    let transfers = look(&target(folder.path()), ("Dockerfile", DOCKERFILE), 1).unwrap();
    assert_eq!(transfers.len(), 1, "a named context that is not there is the engine's");
    let transfer = &transfers[0];
    let amount = |files, bytes| Amount { files, bytes };
    // The README is excluded by the COPY alone: it is sent.
    assert_eq!(transfer.sent, amount(4, 16));
    assert_eq!(transfer.let_through, amount(5, 18));
    let parts: Vec<_> = transfer
        .parts
        .iter()
        .map(|part| {
            let lines: Vec<usize> = part.readers.iter().map(|reader| reader.line).collect();
            (part.path.as_str(), part.amount.bytes, lines)
        })
        .collect();
    assert_eq!(parts, [("api/", 10, vec![5]), ("api.lock", 5, vec![2]), ("shared/", 1, vec![5])]);
    let deep = look(&target(folder.path()), ("Dockerfile", DOCKERFILE), 2).unwrap();
    let readme = deep[0].parts.iter().find(|part| part.path == "api/README.md").unwrap();
    assert_eq!(readme.readers, []);
}

#[test]
fn a_context_that_nothing_reads_sends_nothing() {
    let folder = project();
    let transfers = look(&target(folder.path()), ("Dockerfile", "FROM x\nRUN y\n"), 1).unwrap();
    assert_eq!(transfers[0].sent, Amount::default());
    assert_eq!(transfers[0].parts, []);
    let remote = Target { context: "https://example.com/x.git".into(), ..Target::default() };
    assert_eq!(look(&remote, ("Dockerfile", DOCKERFILE), 1).unwrap(), []);
}

#[test]
fn named_contexts_have_ignore_files_of_their_own() {
    let folder = project();
    let docs = tree(&[(".dockerignore", "b.md"), ("a.md", "1"), ("b.md", "12"), ("c.md", "123")]);
    let mut target = target(folder.path());
    target.contexts.insert("docs".into(), docs.path().display().to_string());
    target.contexts.insert("base".into(), "docker-image://x".into());
    let transfers = look(&target, ("Dockerfile", DOCKERFILE), 1).unwrap();
    assert_eq!(transfers.len(), 2);
    assert_eq!((transfers[1].name.as_str(), transfers[1].sent.bytes), ("docs", 1));
    // The ignore file itself counts as well.
    assert_eq!(transfers[1].let_through.bytes, 8);
}

#[test]
fn the_pattern_that_decides_is_the_last_one_that_matches() {
    let folder = project();
    let target = target(folder.path());
    for (path, is_sent, line, readers) in [
        ("api/main.py", true, Some(4), vec![5]),
        ("api/models/big.bin", false, Some(6), vec![5]),
        ("api/models", false, Some(6), vec![5]),
        ("shared/y.py", false, Some(5), vec![]),
        ("shared", true, Some(5), vec![5]),
        (".git/objects/1", false, Some(3), vec![]),
        ("api.lock", true, Some(7), vec![2]),
        ("api/new.py", true, Some(4), vec![5]),
        ("nothing", false, Some(3), vec![]),
    ] {
        let answers =
            explain(&target, ("Dockerfile", DOCKERFILE), &folder.path().join(path)).unwrap();
        let [answer] = &answers[..] else { panic!("{path}: {answers:?}") };
        assert_eq!(answer.is_sent, is_sent, "{answer:?}");
        assert_eq!(answer.decision.as_ref().map(|it| it.line), line, "{answer:?}");
        let lines: Vec<usize> = answer.readers.iter().map(|reader| reader.line).collect();
        assert_eq!(lines, readers, "{answer:?}");
    }
    assert_eq!(explain(&target, ("Dockerfile", DOCKERFILE), Path::new("/other")).unwrap(), []);
}

#[test]
fn what_is_there_is_told_as_it_is_sent() {
    let folder = tree(&[
        (".dockerignore", "models\n!models/keep\nempty/x\n"),
        ("models/keep", "1"),
        ("models/big", "12"),
        ("real/a", "1"),
        ("other/b", "1"),
        ("empty/x", "1"),
    ]);
    std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
    let copies = ("Dockerfile", "FROM x\nCOPY models link empty /d/\n");
    for (path, is_sent) in [
        ("models", true),
        ("models/keep", true),
        ("models/big", false),
        ("models/new", false),
        ("link", true),
        ("real/a", true),
        ("other", false),
        ("other/b", false),
        ("empty", true),
        ("empty/x", false),
        ("", true),
    ] {
        let answers = explain(&target(folder.path()), copies, &folder.path().join(path)).unwrap();
        assert_eq!(answers[0].is_sent, is_sent, "{path}: {answers:?}");
    }
}

#[test]
fn a_malformed_pattern_is_an_error() {
    let folder = tree(&[(".dockerignore", "[a\n"), ("a", "1")]);
    let copies = ("Dockerfile", "FROM x\nCOPY . .\n");
    look(&target(folder.path()), copies, 1).unwrap_err();
    explain(&target(folder.path()), copies, &folder.path().join("a")).unwrap_err();
    fs::write(folder.path().join(".dockerignore"), "# nothing\n").unwrap();
    let all = look(&target(folder.path()), copies, 1).unwrap();
    assert_eq!(all[0].sent, all[0].let_through);
}
