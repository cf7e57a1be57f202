//! The compose files of development: the project's, and the `.dev` file beside the first.

use std::path::{Path, PathBuf};

use crate::app;
use crate::cli::project::ProjectArgs;
use crate::compose::Project;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};

/// The options that name all files, and the project without that of development: production.
///
/// # Errors
/// There is no compose file, or none for development beside it.
pub(super) fn choose(
    args: &ProjectArgs,
    environment: &Environment,
) -> Result<(ProjectArgs, Project), CommandError> {
    let production = app::read(args, environment)?;
    let with = |files: Vec<PathBuf>| ProjectArgs { files, ..args.clone() };
    // Options, COMPOSE_FILE from the environment or from .env, say what the files are.
    let is_said = !args.files.is_empty()
        || production.environment.get("COMPOSE_FILE").is_some_and(|files| !files.is_empty());
    if is_said {
        return Ok((with(production.files.clone()), production));
    }
    let files = &production.files;
    let candidates = files.first().map(|file| candidates(file)).unwrap_or_default();
    if let Some(found) = candidates.iter().find(|file| file.is_file()) {
        let files = files.iter().chain([found]).cloned().collect();
        return Ok((with(files), production));
    }
    let names: Vec<String> =
        candidates.iter().filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect();
    let folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new("."));
    let message = format!("no compose file for development found in {}", folder.display());
    Err(CommandError::new(ExitKind::Invalid, message).hint(format!(
        "put what is different in development into {}, or name all files with --file",
        names.join(" or ")
    )))
}

/// Names of the file for development that belongs to `file`; the one with its own ending first.
fn candidates(file: &Path) -> Vec<PathBuf> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let own = file.extension().unwrap_or_default().to_string_lossy();
    let other = if own == "yml" { "yaml" } else { "yml" };
    [&*own, other].iter().map(|end| file.with_file_name(format!("{stem}.dev.{end}"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chosen(folder: &Path, variables: &[(&str, &str)]) -> Result<String, CommandError> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let environment = Environment {
            variables: variables.collect(),
            working_dir: folder.to_owned(),
            ..Environment::default()
        };
        let (args, _) = choose(&ProjectArgs::default(), &environment)?;
        let names = args.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap());
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_file_for_development_stands_beside_the_first_and_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            fs_err::write(folder.path().join(name), "services: {a: {image: x}}\n").unwrap();
        };
        put("docker-compose.yml");
        put("compose.dev.yaml");
        let missing = chosen(folder.path(), &[]).unwrap_err();
        assert_eq!(missing.kind, ExitKind::Invalid);
        assert!(missing.hints[0].contains("docker-compose.dev.yml"), "{:?}", missing.hints);

        put("docker-compose.dev.yaml");
        put("docker-compose.override.yml");
        assert_eq!(
            chosen(folder.path(), &[]).unwrap(),
            "docker-compose.yml docker-compose.override.yml docker-compose.dev.yaml"
        );
        put("docker-compose.dev.yml");
        assert!(chosen(folder.path(), &[]).unwrap().ends_with(" docker-compose.dev.yml"));
        let variables = [("COMPOSE_FILE", "compose.dev.yaml")];
        assert_eq!(chosen(folder.path(), &variables).unwrap(), "compose.dev.yaml");
    }
}
