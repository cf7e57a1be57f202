//! Programs that tests make and run.
//!
//! Another process writes them: a child of any test that is forked while this process has one open for writing holds it
//! open, too, until it runs its own program, and Linux runs no file that is open for writing (`ETXTBSY`).
// Tests of the library have no need of all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

/// A copy of the program `from` that everybody may run.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("install").args(["-m", "755"]).arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} to {}: {copied}", from.display(), to.display());
}

/// A shell script with these lines.
pub fn script(path: &Path, lines: &str) {
    let text = path.with_extension("txt");
    std::fs::write(&text, format!("#!/bin/sh\n{lines}\n")).unwrap();
    copy(&text, path);
    std::fs::remove_file(text).unwrap();
}
