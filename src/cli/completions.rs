//! `doc2md-docker completions`: its arguments.

use clap::{Args, ValueEnum};

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "The script asks this program for what fits: commands, options, services of the project, ids of earlier \
    builds, builders, projects. Load it anew with each release, as the lines below do.\n\n\
    bash        ~/.bashrc: source <(doc2md-docker completions bash)\n\
    zsh         ~/.zshrc, after compinit: source <(doc2md-docker completions zsh)\n\
    fish        ~/.config/fish/config.fish: doc2md-docker completions fish | source\n\
    powershell  $PROFILE: doc2md-docker completions powershell | Out-String | Invoke-Expression\n\
    elvish      ~/.config/elvish/rc.elv: eval (doc2md-docker completions elvish | slurp)\n\n\
    As `docker doc2md` (see `plugin`), docker's own completion asks it."
)]
pub struct CompletionsArgs {
    /// Shell that the script is for.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Shells that can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// PowerShell.
    #[value(alias = "pwsh")]
    Powershell,
    /// Elvish.
    Elvish,
}

impl Shell {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Elvish => "elvish",
        }
    }
}
