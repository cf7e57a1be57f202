//! Commands that install packages.

use crate::dockerfile::syntax::{Instruction, ShellCommand, Syntax, Word};
use crate::package_name;

/// What installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Tool {
    Pip,
    Uv,
    Poetry,
    Pdm,
    Pipenv,
    Npm,
    Yarn,
    Pnpm,
    Conda,
    Apt,
    Apk,
    Dnf,
}

impl Tool {
    /// Whether it installs packages of the system.
    pub(super) fn is_system(self) -> bool {
        matches!(self, Self::Apt | Self::Apk | Self::Dnf)
    }

    /// Whether it installs packages of Python by lists that it can be given.
    pub(super) fn is_pip(self) -> bool {
        matches!(self, Self::Pip | Self::Uv)
    }

    /// What its cache directory has in its name.
    pub(super) fn cache_names(self) -> &'static [&'static str] {
        match self {
            Self::Pip => &["pip"],
            Self::Uv => &["uv"],
            Self::Poetry => &["poetry", "pip"],
            Self::Pdm => &["pdm"],
            Self::Pipenv => &["pipenv", "pip"],
            Self::Npm => &["npm"],
            Self::Yarn => &["yarn"],
            Self::Pnpm => &["pnpm"],
            Self::Conda => &["conda", "mamba", "pkgs"],
            Self::Apt => &["apt"],
            Self::Apk => &["apk"],
            Self::Dnf => &["dnf", "yum"],
        }
    }

    /// Where root keeps what was downloaded, where that is the same in every release.
    pub(super) fn cache_directory(self) -> Option<&'static str> {
        match self {
            Self::Pip => Some("/root/.cache/pip"),
            Self::Uv => Some("/root/.cache/uv"),
            Self::Poetry => Some("/root/.cache/pypoetry"),
            Self::Npm => Some("/root/.npm"),
            _ => None,
        }
    }
}

/// A command that installs.
pub(super) struct Install<'a> {
    pub(super) tool: Tool,
    pub(super) command: &'a ShellCommand,
    /// The word that says so, such as `install`.
    pub(super) action: &'a Word,
    /// The words behind it.
    arguments: &'a [Word],
    /// Whether it installs what files of the project name.
    pub(super) reads_files: bool,
}

/// Options of pip and uv that name an index.
pub(super) const INDEXES: [&str; 7] =
    ["-i", "--index-url", "--extra-index-url", "--index", "--default-index", "-f", "--find-links"];
/// Further options of pip and uv that take the next word.
const WITH_VALUE: [&str; 36] = [
    "-r",
    "--requirement",
    "--requirements",
    "-c",
    "--constraint",
    "--constraints",
    "-e",
    "--editable",
    "-t",
    "--target",
    "--prefix",
    "--root",
    "--platform",
    "--python-version",
    "--python-platform",
    "--no-binary",
    "--only-binary",
    "--upgrade-strategy",
    "--upgrade-package",
    "-P",
    "--timeout",
    "--retries",
    "--proxy",
    "--trusted-host",
    "--cert",
    "--cache-dir",
    "--src",
    "--root-user-action",
    "--progress-bar",
    "--python",
    "-p",
    "--index-strategy",
    "--torch-backend",
    "--extra",
    "--group",
    "--link-mode",
];

impl<'a> Install<'a> {
    fn of(command: &'a ShellCommand) -> Option<Self> {
        let program = command.program();
        let mut words = command.arguments();
        let mut tool = tool(program);
        if program.starts_with("python")
            && let [flag, module, rest @ ..] = words
            && flag.value == "-m"
        {
            tool = tool_of_module(&module.value);
            words = rest;
        }
        let tool = tool?;
        let mut at = position(words)?;
        if tool == Tool::Uv && words[at].value == "pip" {
            words = &words[at + 1..];
            at = position(words)?;
            let reads_files = words[at].value == "sync";
            let install = Self::new(tool, command, words, at, reads_files)?;
            return matches!(install.action.value.as_str(), "install" | "sync").then_some(install);
        }
        let action = words[at].value.as_str();
        let (is_install, reads_files) = match tool {
            Tool::Pip => (action == "install", false),
            Tool::Uv => (action == "sync", true),
            Tool::Poetry | Tool::Pdm | Tool::Pipenv => (matches!(action, "install" | "sync"), true),
            Tool::Npm => (matches!(action, "ci" | "install" | "i" | "clean-install"), true),
            Tool::Yarn => (action == "install", true),
            Tool::Pnpm => (matches!(action, "install" | "i"), true),
            Tool::Conda => {
                let rest = words.get(at + 1).map_or("", |word| word.value.as_str());
                let of_env = action == "env" && matches!(rest, "create" | "update");
                (action == "install" || of_env, of_env)
            }
            Tool::Apt | Tool::Dnf => (action == "install", false),
            Tool::Apk => (action == "add", false),
        };
        let mut install = Self::new(tool, command, words, at, reads_files)?;
        if matches!(tool, Tool::Npm | Tool::Pnpm | Tool::Pipenv) && !install.names().is_empty() {
            install.reads_files = false;
        }
        is_install.then_some(install)
    }

    fn new(
        tool: Tool,
        command: &'a ShellCommand,
        words: &'a [Word],
        at: usize,
        reads_files: bool,
    ) -> Option<Self> {
        let (action, arguments) = (words.get(at)?, words.get(at + 1..)?);
        let mut install = Self { tool, command, action, arguments, reads_files };
        if tool.is_pip() {
            install.reads_files |= !install.requirements().is_empty();
        }
        Some(install)
    }

    /// Values of an option, in each of its forms.
    pub(super) fn values(&self, names: &[&str]) -> Vec<&'a str> {
        let mut values = Vec::new();
        for (at, word) in self.arguments.iter().enumerate() {
            let word = word.value.as_str();
            for name in names {
                if word == *name {
                    values.extend(self.arguments.get(at + 1).map(|next| next.value.as_str()));
                } else if let Some(rest) = word.strip_prefix(name) {
                    let is_short = !name.starts_with("--") && name.len() == 2 && !rest.is_empty();
                    match rest.strip_prefix('=') {
                        Some(value) => values.push(value),
                        None if is_short => values.push(rest),
                        None => {}
                    }
                }
            }
        }
        values
    }

    /// Files that name what it installs.
    pub(super) fn requirements(&self) -> Vec<&'a str> {
        let mut files = self.values(&["-r", "--requirement", "--requirements"]);
        if self.action.value == "sync" {
            let is_file =
                |name: &&&Word| name.value.ends_with(".txt") || name.value.ends_with(".lock");
            files.extend(self.names().iter().filter(is_file).map(|word| word.value.as_str()));
        }
        files
    }

    /// The option, as a word of its own.
    pub(super) fn option(&self, names: &[&str]) -> Option<&'a Word> {
        self.arguments.iter().find(|word| names.contains(&word.value.as_str()))
    }

    /// Words that are neither options nor their values.
    pub(super) fn names(&self) -> Vec<&'a Word> {
        let mut names = Vec::new();
        let mut is_value = false;
        for word in self.arguments {
            let value = word.value.as_str();
            if std::mem::take(&mut is_value) {
                continue;
            }
            if value.starts_with('-') {
                let takes_value = WITH_VALUE.contains(&value) || INDEXES.contains(&value);
                is_value = takes_value && self.tool.is_pip();
            } else if value.contains(['>', '<']) && !value.starts_with(char::is_alphanumeric) {
                is_value = value.ends_with(['>', '<']);
            } else {
                names.push(word);
            }
        }
        names
    }
}

/// Where the first word is that is no option.
fn position(words: &[Word]) -> Option<usize> {
    words.iter().position(|word| !word.value.starts_with('-'))
}

fn tool(program: &str) -> Option<Tool> {
    Some(match program {
        "uv" => Tool::Uv,
        "poetry" => Tool::Poetry,
        "pdm" => Tool::Pdm,
        "pipenv" => Tool::Pipenv,
        "npm" => Tool::Npm,
        "yarn" => Tool::Yarn,
        "pnpm" => Tool::Pnpm,
        "conda" | "mamba" | "micromamba" => Tool::Conda,
        "apt" | "apt-get" => Tool::Apt,
        "apk" => Tool::Apk,
        "dnf" | "yum" | "microdnf" => Tool::Dnf,
        _ => {
            let version = program.strip_prefix("pip")?;
            let is_pip = version.chars().all(|c| c.is_ascii_digit() || c == '.');
            return is_pip.then_some(Tool::Pip);
        }
    })
}

fn tool_of_module(module: &str) -> Option<Tool> {
    match module {
        "pip" => Some(Tool::Pip),
        "uv" => Some(Tool::Uv),
        "poetry" => Some(Tool::Poetry),
        "pipenv" => Some(Tool::Pipenv),
        _ => None,
    }
}

/// What an instruction installs.
pub(super) fn installs(instruction: &Instruction) -> Vec<Install<'_>> {
    instruction.commands().iter().filter_map(Install::of).collect()
}

/// A requirement's name as indexes know it, and what stands behind it.
pub(super) fn name(requirement: &str) -> (String, &str) {
    let (name, rest) = package_name::split(requirement);
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    (name, rest)
}

/// Whether it installs nothing but tools that install: small, and seldom another one.
pub(super) fn is_of_tools(install: &Install<'_>, syntax: &Syntax) -> bool {
    const TOOLS: [&str; 12] = [
        "pip",
        "setuptools",
        "wheel",
        "uv",
        "poetry",
        "poetry-core",
        "poetry-plugin-export",
        "pipenv",
        "pdm",
        "hatch",
        "pip-tools",
        "virtualenv",
    ];
    let names = install.names();
    install.tool == Tool::Pip
        && !install.reads_files
        && !names.is_empty()
        && names.iter().all(|word| TOOLS.contains(&name(&syntax.expand(&word.value)).0.as_str()))
}
