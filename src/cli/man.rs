//! `doc2md-docker man`: its arguments.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Command whose page is printed, such as history show [default: that of the program].
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub words: Vec<String>,
    /// Write the pages of all commands into a folder.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}
