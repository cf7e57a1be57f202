//! `doc2md-docker why`: why steps of a build ran.

use clap::{Args, ValueEnum};

/// Arguments of `why`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "A build is named by its id, the beginning of it, `latest`, or `latest~N` for the Nth before that; \
    one of another client by what the engine calls it (`history ls --engine`). \
    Without compose files here, -p NAME names the project."
)]
pub struct WhyArgs {
    /// Services [default: all that the build made].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Which build.
    #[arg(long, value_name = "BUILD", default_value = "latest")]
    pub build: String,
    /// Of the build that `build` would make now, as `build --dry-run` does.
    #[arg(long, conflicts_with = "build")]
    pub next: bool,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = WhyFormat::Text)]
    pub format: WhyFormat,
}

impl WhyArgs {
    /// The command line that means the same, where the next build is meant.
    pub fn as_dry_run(&self) -> Option<Vec<String>> {
        if !self.next {
            return None;
        }
        let format = match self.format {
            WhyFormat::Text => "--format=text",
            WhyFormat::Json => "--format=json",
        };
        let fixed = ["doc2md-docker", "build", "--dry-run", format, "--"].map(str::to_owned);
        Some(fixed.into_iter().chain(self.services.iter().cloned()).collect())
    }
}

/// How causes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhyFormat {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}
