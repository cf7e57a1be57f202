//! Words that other programs have for what this one does: what leads to which command.
//!
//! A word that means one command is an alias of it. The words here mean an action of a command, an option, or
//! something that belongs to another program: they are not run, but the error names what to run.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// A word, and what to run instead.
const SYNONYMS: &[(&[&str], &str, &str)] = &[
    (&["diff", "compare"], "history compare", "shows what was different between two builds"),
    (&["show", "inspect"], "history show", "shows the steps of a build"),
    (&["log", "past"], "history", "lists earlier builds"),
    (&["explain", "reason", "reasons"], "why", "tells why the steps of a build ran"),
    (&["bake", "make", "compile"], "build", "builds the images of the project"),
    (&["push", "publish", "release"], "build --push", "builds the images and pushes them"),
    (&["pull"], "build --pull", "builds on the newest base images"),
    (&["lint"], "check", "finds what costs builds time or disk; `build --check` is BuildKit's own"),
    (&["validate", "verify"], "config --quiet", "checks the compose files"),
    (&["print", "plan"], "build --print", "prints what would be built"),
    (
        &["rm", "remove", "delete", "purge", "gc", "cleanup", "rmi"],
        "clean",
        "removes what belongs to the project",
    ),
    (
        &["size", "sizes", "usage", "disk", "images"],
        "stats",
        "shows what the project takes on disk",
    ),
    (&["ps", "top", "containers"], "dev ps", "lists the containers that `dev` started"),
    (&["up", "run", "start", "watch"], "dev", "builds the development images and starts them"),
    (&["down", "stop"], "dev down", "stops what `dev` started"),
    (&["logs"], "dev logs", "shows what the services that `dev` started say"),
    (
        &["exec", "shell", "sh"],
        "dev exec SERVICE sh",
        "opens a shell in a container that `dev` started",
    ),
    (&["builder", "buildx", "nodes"], "builders", "shows the builders that buildx knows"),
    (&["measure", "benchmark", "time"], "bench", "measures what builds cost"),
    (&["projects"], "ls", "lists the projects of the engine"),
    (&["new", "create", "generate", "scaffold"], "init", "writes Docker files for a project"),
    (&["freeze", "pin", "upgrade"], "lock", "pins Python requirements"),
    (&["version"], "--version", "prints the version"),
];

/// What to run instead of a word, and what that does.
fn meant(word: &str) -> Option<(&'static str, &'static str)> {
    let (_, run, does) = SYNONYMS.iter().find(|(words, ..)| words.contains(&word))?;
    Some((run, does))
}

/// Names the command that was meant, where clap only knows that there is none of this name.
pub(super) fn explain(mut error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument) {
        return error;
    }
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => return error,
    };
    if let Some((run, does)) = meant(&word) {
        // Not what is spelt like it.
        error.remove(ContextKind::SuggestedSubcommand);
        let tip = StyledStr::from(format!("`doc2md-docker {run}` {does}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn every_word_leads_to_something_that_can_be_run() {
        let mut words = BTreeSet::new();
        for (own, run, _) in SYNONYMS {
            for word in *own {
                assert!(words.insert(*word), "{word} stands there twice");
                // A word that is a command would never come here.
                let line = ["doc2md-docker", word].map(OsString::from);
                let error = crate::cli::parse(line).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidSubcommand, "{word}");
                let said = error.to_string();
                assert!(said.contains(&format!("`doc2md-docker {run}`")), "{word}: {said}");
                assert!(!said.contains("similar"), "{word}: {said}");
            }
            let line = std::iter::once("doc2md-docker").chain(run.split(' ')).map(OsString::from);
            match crate::cli::parse(line) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::DisplayVersion, "{run}: {error}"),
            }
        }
    }

    #[test]
    fn other_mistakes_stay_what_they_are() {
        let line = ["doc2md-docker", "biuld"].map(OsString::from);
        let said = crate::cli::parse(line).unwrap_err().to_string();
        assert!(said.contains("similar") && said.contains("build"), "{said}");
    }
}
