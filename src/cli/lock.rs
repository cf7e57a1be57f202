//! `doc2md-docker lock`: its flags.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

/// Arguments of `lock`.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// Requirement files or pyproject.toml.
    ///
    /// By default every requirements*.in in the build contexts of the project
    /// and in the folders right below them and every pyproject.toml that was locked before; without any of them, every
    /// pyproject.toml with dependencies.
    #[arg(value_name = "FILE")]
    // Not `files`: that is the option of all commands, and clap takes equal names for one argument.
    pub requirements: Vec<PathBuf>,
    /// Only say whether the locks fit (exit code 4).
    ///
    /// That is, their requirement files. Needs no engine.
    #[arg(long, conflicts_with_all = ["upgrade", "upgrade_packages"])]
    pub check: bool,
    /// Take the newest versions of everything.
    ///
    /// Instead of keeping those that are locked.
    #[arg(short = 'U', long)]
    pub upgrade: bool,
    /// Take the newest version of this package; repeatable.
    #[arg(long = "upgrade-package", value_name = "NAME")]
    pub upgrade_packages: Vec<String>,
    /// From which size on a package is heavy.
    ///
    /// That of its largest Linux wheel [default: that of the lock, or 10MB].
    #[arg(long, value_name = "SIZE")]
    pub threshold: Option<ByteSize>,
    /// Oldest Python it has to work with: 3.11.
    ///
    /// [default: that of the lock, or the base image's].
    #[arg(long, value_name = "VERSION", value_parser = python_version)]
    pub python_version: Option<String>,
    /// Lock this extra of pyproject.toml, too.
    ///
    /// Into requirements-NAME.lock; repeatable.
    #[arg(long = "extra", value_name = "NAME", value_parser = name)]
    pub extras: Vec<String>,
    /// Lock this dependency group, too.
    ///
    /// One of pyproject.toml; repeatable.
    #[arg(long = "group", value_name = "NAME", value_parser = name)]
    pub groups: Vec<String>,
    /// The build of torch: cpu, cu128, pypi.
    ///
    /// That of torchvision and torchaudio, too: a name in PyTorch's index, or `pypi` for that of PyPI, which brings CUDA [default: that of the lock].
    #[arg(long, value_name = "BUILD", value_parser = torch)]
    pub torch: Option<String>,
    /// Index of that build, if not PyTorch's own.
    #[arg(long, value_name = "URL", requires = "torch", value_parser = torch_index)]
    pub torch_index: Option<String>,
    /// Image to run uv in.
    ///
    /// It has Python 3.9 or newer and pip [default: the build argument BASE_IMAGE of the project].
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,
}

fn name(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_part) && !text.starts_with('.') {
        Ok(text.to_owned())
    } else {
        Err("want letters, digits, hyphens, underscores and dots".to_owned())
    }
}

fn torch(text: &str) -> Result<String, String> {
    let is_build =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if is_build {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("want cpu, cu128 and the like, or pypi".to_owned())
    }
}

/// An address becomes part of the lock, which everybody reads.
fn torch_index(text: &str) -> Result<String, String> {
    let rest =
        ["https://", "http://", "file:///"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_fine = rest.is_some_and(|rest| !rest.is_empty() && !text.contains(char::is_whitespace));
    let has_user =
        rest.and_then(|rest| rest.split('/').next()).is_some_and(|host| host.contains('@'));
    match (is_fine, has_user) {
        (false, _) => Err("want an address that begins with https://".to_owned()),
        (true, true) => {
            Err("the address becomes part of the lock: leave out user and password".to_owned())
        }
        (true, false) => Ok(text.to_owned()),
    }
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
