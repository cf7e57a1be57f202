//! `doc2md-docker lock`: its flags.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

/// Arguments of `lock`.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// Requirement files; by default every requirements*.in in the build contexts of the project
    /// and in the folders right below them.
    #[arg(value_name = "FILE")]
    // Not `files`: that is the option of all commands, and clap takes equal names for one argument.
    pub requirements: Vec<PathBuf>,
    /// Only say whether the locks fit their requirement files (exit code 4 when not); needs no
    /// engine.
    #[arg(long, conflicts_with_all = ["upgrade", "upgrade_packages"])]
    pub check: bool,
    /// Take the newest versions instead of keeping those that are locked.
    #[arg(short = 'U', long)]
    pub upgrade: bool,
    /// Take the newest version of this package; repeatable.
    #[arg(long = "upgrade-package", value_name = "NAME")]
    pub upgrade_packages: Vec<String>,
    /// Packages whose largest Linux wheel has at least this size are heavy [default: that of the
    /// lock, or 10MB].
    #[arg(long, value_name = "SIZE")]
    pub threshold: Option<ByteSize>,
    /// Oldest Python the lock has to work with, such as 3.11 [default: that of the lock, or the
    /// base image's].
    #[arg(long, value_name = "VERSION", value_parser = python_version)]
    pub python_version: Option<String>,
    /// Image to run uv in, with Python 3.9 or newer and pip [default: the build argument
    /// BASE_IMAGE of the project].
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,
}

fn python_version(text: &str) -> Result<String, String> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('.').collect();
    if (2..=3).contains(&parts.len()) && parts.iter().all(|part| number(part)) {
        Ok(text.to_owned())
    } else {
        Err("want two or three numbers, such as 3.11".to_owned())
    }
}
