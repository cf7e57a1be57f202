//! The projects of `tests/cli/compose/` and `tests/cli/config/`, a folder each, that are read here and by compose.
//!
//! `args` holds one argument a line: options, then a line with the command, then what stands after it. `env` holds
//! `NAME=VALUE` lines. The program starts in the folder, or in `cwd` below it, and reads `stdin` where there is one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// What stands before the command.
    pub(crate) options: Vec<String>,
    command: Option<String>,
    rest: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

/// The projects of a folder, by name.
pub(crate) fn cases(folder: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(folder);
    let mut cases: Vec<Case> =
        fs::read_dir(root).unwrap().map(|entry| Case::read(entry.unwrap().path())).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    fn read(directory: PathBuf) -> Self {
        let args = lines(&directory.join("args"));
        let command = args.iter().position(|line| line == "config" || line == "build");
        let (options, rest) = args.split_at(command.unwrap_or(args.len()));
        let own = lines(&directory.join("env"));
        let own = own.iter().map(|line| line.split_once('=').unwrap());
        let fixed = [("HOME", "/nonexistent"), ("PATH", "/usr/bin:/bin")];
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            name: directory.file_name().unwrap().to_string_lossy().into_owned(),
            options: options.to_vec(),
            command: rest.first().cloned(),
            rest: rest.iter().skip(1).cloned().collect(),
            environment: fixed.into_iter().chain(own).map(pair).collect(),
            directory,
        }
    }

    /// What stands after this command; nothing where the project has arguments for another one.
    pub(crate) fn arguments_of(&self, command: &str) -> &[String] {
        if self.command.as_deref() == Some(command) { &self.rest } else { &[] }
    }

    /// The same project with other options.
    pub(crate) fn with_options(&self, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { options, ..self.clone() }
    }

    /// Where the program starts.
    pub(crate) fn working_dir(&self) -> PathBuf {
        let inner = self.directory.join("cwd");
        if inner.is_dir() { inner } else { self.directory.clone() }
    }

    pub(crate) fn stdin(&self) -> Option<String> {
        fs::read_to_string(self.directory.join("stdin")).ok()
    }

    /// What a program prints with these arguments, or its complaint.
    pub(crate) fn printed(&self, program: &Path, args: &[String]) -> Result<String, String> {
        let stdin = File::open(self.directory.join("stdin"));
        let output = Command::new(program)
            .args(args)
            .current_dir(self.working_dir())
            .env_clear()
            .envs(&self.environment)
            .stdin(stdin.map_or_else(|_| Stdio::null(), Stdio::from))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The text with `$DIR` for the project's folder.
    pub(crate) fn portable(&self, text: &str) -> String {
        text.replace(self.directory.to_str().unwrap(), "$DIR")
    }
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
