//! `doc2md-docker init`: Docker files for a project that has none.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Looks for an app (FastAPI, Starlette, Litestar, Flask, Django), a worker (Celery, RQ, Dramatiq, or a \
    program called worker.py) and the files that name their packages (requirements, uv, Poetry, Pipenv), and writes \
    Dockerfiles, compose files, .dockerignore and a CI workflow for them. An empty folder gets a small Doc2MD to start \
    from. `doc2md-docker build` works right after it."
)]
pub struct InitArgs {
    /// Folder of the project; made if it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Show what would be written, and write nothing.
    ///
    /// Content and differences included.
    #[arg(long)]
    pub dry_run: bool,
    /// Overwrite Docker files that are there.
    #[arg(long)]
    pub force: bool,
    /// The app, where it is not found: app.main:app.
    #[arg(long, value_name = "MODULE:VARIABLE")]
    pub api: Option<String>,
    /// The Celery app, where it is not found.
    ///
    /// Such as workers.tasks.
    #[arg(long, value_name = "MODULE")]
    pub worker: Option<String>,
    /// Write the small Doc2MD, whatever is there.
    ///
    /// Also into a folder that is not empty.
    #[arg(long, conflicts_with_all = ["api", "worker"])]
    pub example: bool,
    /// Where the workflow gets doc2md-docker from.
    ///
    /// The https address of a git repository and a full commit hash
    /// [default: the workflow's variables DOC2MD_DOCKER_REPOSITORY and DOC2MD_DOCKER_REVISION].
    #[arg(long, value_name = "URL@COMMIT", value_parser = repository)]
    pub install_from: Option<(String, String)>,
}

fn repository(text: &str) -> Result<(String, String), String> {
    let wrong = "want an https address and a commit of 40 hexadecimal digits, as in URL@COMMIT";
    let (address, commit) = text.rsplit_once('@').ok_or(wrong)?;
    let is_address = address.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte))
    });
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if is_address && commit.len() == 40 && commit.bytes().all(is_digit) {
        Ok((address.to_owned(), commit.to_owned()))
    } else {
        Err(wrong.to_owned())
    }
}
