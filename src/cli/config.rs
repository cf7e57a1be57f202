//! `doc2md-docker config`: the project as compose understands it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `config`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "What is printed can be read as a compose file. Values of variables and arguments stand in it as they are; \
    secrets are only named. With --quiet the files are checked and nothing is printed."
)]
pub struct ConfigArgs {
    /// Services to print, with what they depend on [default: all that are enabled].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ConfigFormat::Yaml)]
    pub format: ConfigFormat,
    /// Write it to a file instead.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the names of the services.
    #[arg(long = "services", group = "list")]
    pub only_services: bool,
    /// Print the images of the services.
    #[arg(long, group = "list")]
    pub images: bool,
    /// Print the volumes that services use.
    #[arg(long, group = "list")]
    pub volumes: bool,
    /// Print the networks that services use.
    #[arg(long, group = "list")]
    pub networks: bool,
    /// Print the settings of commands, and where each comes from.
    ///
    /// They stand in doc2md-docker.toml beside the compose file, such as parallel = 2 in the table [build], and in
    /// variables: DOC2MD_DOCKER_BUILD_PARALLEL. A list is an array there, and one value a line here.
    #[arg(long, group = "list")]
    pub settings: bool,
    /// Print the profiles of all services.
    #[arg(long = "profiles", group = "list")]
    pub only_profiles: bool,
}

/// How a project is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// A compose file.
    Yaml,
    /// The same as one JSON document.
    Json,
}
