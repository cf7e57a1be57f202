//! `doc2md-docker dev`: its flags.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// Arguments of `dev`.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "doc2md-docker dev [OPTIONS] [SERVICE]... [-- OPTION...]\n       \
    doc2md-docker dev COMMAND [ARGUMENT]...",
    after_long_help = "Any command of docker compose works on what `dev` started: dev ps, dev logs --tail 3 -f, dev exec api sh, \
    dev restart worker, dev down -v.\n\nThe project of development is the project's name with `-dev` behind it: its containers, \
    networks and volumes stand beside those of production. Where the compose file of development has a `name:` of its own, \
    that counts.\n\nThe compose files are those of the project, and beside the first of them NAME.dev.yml or \
    NAME.dev.yaml, such as docker-compose.dev.yml. Files given by --file or COMPOSE_FILE are used as they are. \
    docker compose does the running; the exit code is its own.\n\nWhile it runs in the foreground, a \
    change of a file that an image is made of, such as a lock or the Dockerfile, builds that image again and starts its service \
    anew, with a line that says why. A file that a service mounts is not one of them."
)]
pub struct DevArgs {
    /// What to do; `up` by default.
    #[command(subcommand)]
    pub action: Option<DevAction>,
    /// Leave the services running in the background.
    #[arg(short, long)]
    pub detach: bool,
    /// Build once, and not again while the services run.
    #[arg(long)]
    pub no_rebuild: bool,
}

/// What `dev` does.
#[derive(Debug, Clone, Subcommand)]
pub enum DevAction {
    /// Build the development images and start the services.
    Up(UpArgs),
    /// A command of docker compose with its arguments; or, for `up`, services, or options of compose behind `--`.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Arguments of `dev up`.
#[derive(Debug, Clone, Default, Args)]
pub struct UpArgs {
    /// Services to build and start, with those they depend on [default: all].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Leave the services running in the background.
    #[arg(short, long)]
    pub detach: bool,
    /// Build once, and not again while the services run.
    #[arg(long)]
    pub no_rebuild: bool,
    /// Options handed on to `docker compose up`.
    #[arg(last = true, value_name = "OPTION")]
    pub compose: Vec<String>,
}
