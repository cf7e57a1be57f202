//! This program as a plugin of the docker CLI: `docker doc2md ...`.
//!
//! docker looks for programs called `docker-NAME` in its folders of plugins, asks each for its metadata, and runs it with
//! its own command line, NAME included, behind docker's global options (docker/cli, `cli-plugins/manager`). What these
//! mean is said here in options and variables of this program.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The name of the program's file, or of a link to it, by which docker finds it.
pub const FILE: &str = "docker-doc2md";
/// The word of docker's command line that means it.
const NAME: &str = "doc2md";

/// How the program was called.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    /// By its own name.
    Own(Vec<OsString>),
    /// By docker, which wants to know what it is.
    Metadata,
    /// By docker, for words that could stand where the last one does.
    Completion(Vec<OsString>),
    /// By docker, to be run.
    Run {
        /// The command line.
        args: Vec<OsString>,
        /// Variables that stand for options of docker's own.
        variables: Vec<(String, String)>,
    },
}

/// What a command line means. The first word is the program's name.
///
/// # Errors
/// One of docker's options cannot be honoured: a sentence.
pub fn read(args: Vec<OsString>) -> Result<Call, String> {
    let is_plugin =
        args.first().is_some_and(|name| Path::new(name).file_name() == Some(OsStr::new(FILE)));
    if !is_plugin {
        return Ok(Call::Own(args));
    }
    let mut words = args.into_iter().skip(1).peekable();
    if words.peek().is_some_and(|word| word == "docker-cli-plugin-metadata") {
        return Ok(Call::Metadata);
    }
    let completes =
        words.next_if(|word| word == "__complete" || word == "__completeNoDesc").is_some();
    // clap takes it for the name that usage lines begin with.
    let mut own = vec![OsString::from("docker doc2md")];
    let mut variables = Vec::new();
    let mut helps = false;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == NAME {
            break;
        }
        if text == "help" {
            helps = true;
            continue;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), None),
        };
        let mut value_of = || {
            let value =
                value.clone().or_else(|| Some(words.next()?.to_string_lossy().into_owned()));
            value.ok_or_else(|| format!("docker's option {name} has no value"))
        };
        match name {
            "-H" | "--host" => own.extend(["--host".into(), value_of()?.into()]),
            "-c" | "--context" => own.extend(["--context".into(), value_of()?.into()]),
            "--config" => variables.push(("DOCKER_CONFIG".to_owned(), value_of()?)),
            "-l" | "--log-level" => drop(value_of()?),
            "-D" | "--debug" => own.push("--verbose".into()),
            "--tls" if is_on(value.as_deref()) => {
                variables.push(("DOCKER_TLS".to_owned(), "1".to_owned()))
            }
            "--tlsverify" if is_on(value.as_deref()) => {
                variables.push(("DOCKER_TLS_VERIFY".to_owned(), "1".to_owned()));
            }
            "--tls" | "--tlsverify" => {}
            _ => return Err(format!("docker's option {name} has no meaning here")),
        }
    }
    own.extend(words);
    own.extend(helps.then(|| OsString::from("--help")));
    Ok(if completes { Call::Completion(own) } else { Call::Run { args: own, variables } })
}

fn is_on(value: Option<&str>) -> bool {
    !matches!(value, Some("false" | "0"))
}

/// What docker is told of it (`cli-plugins/metadata`).
pub fn metadata() -> String {
    let metadata = serde_json::json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "doc2md",
        "Version": env!("CARGO_PKG_VERSION"),
        "ShortDescription": "Build, explain, measure and clean the images of a compose project",
    });
    format!("{metadata}\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn call(line: &str) -> Result<Call, String> {
        read(line.split(' ').map(OsString::from).collect())
    }

    fn words(line: &str) -> Vec<OsString> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        std::iter::once("docker doc2md").chain(words).map(OsString::from).collect()
    }

    #[test]
    fn docker_names_the_plugin_and_may_have_options_of_its_own() {
        for (line, args, variables) in [
            ("docker-doc2md doc2md build", "build", &[][..]),
            ("/x/docker-doc2md doc2md", "", &[]),
            ("docker-doc2md -H unix:///s doc2md stats -v", "--host unix:///s stats -v", &[]),
            ("docker-doc2md --context=c -D doc2md doc2md", "--context c --verbose doc2md", &[]),
            (
                "docker-doc2md --config /c --tlsverify doc2md x",
                "x",
                &[("DOCKER_CONFIG", "/c"), ("DOCKER_TLS_VERIFY", "1")],
            ),
            (
                "docker-doc2md --config /c help doc2md build",
                "build --help",
                &[("DOCKER_CONFIG", "/c")],
            ),
            ("docker-doc2md -l debug --tlsverify=false doc2md x", "x", &[]),
        ] {
            let variables =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let expected = Call::Run { args: words(args), variables: variables.collect() };
            assert_eq!(call(line), Ok(expected), "{line}");
        }
        assert_eq!(call("docker-doc2md docker-cli-plugin-metadata"), Ok(Call::Metadata));
        assert_eq!(call("docker-doc2md __complete doc2md bu"), Ok(Call::Completion(words("bu"))));
        assert!(call("docker-doc2md --tlscacert f doc2md x").unwrap_err().contains("--tlscacert"));
        assert!(call("docker-doc2md --host").unwrap_err().contains("has no value"));
    }

    #[test]
    fn by_its_own_name_it_is_no_plugin() {
        for line in ["doc2md-docker docker-cli-plugin-metadata", "/a/docker-doc2md/x doc2md"] {
            let args = line.split(' ').map(OsString::from).collect();
            assert_eq!(call(line), Ok(Call::Own(args)));
        }
    }
}
