//! Which build of PyTorch is locked: PyPI's wheels for Linux bring CUDA, gigabytes that no CPU needs.

/// Packages that an index of PyTorch's builds has in a build of its own.
pub const PACKAGES: [&str; 3] = ["torch", "torchaudio", "torchvision"];

/// A build of PyTorch and the index that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torch {
    /// What stands behind the `+` of its versions: `cpu`, `cu128`.
    pub variant: String,
    /// Address of the index.
    pub index: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TorchChoice {
    /// Whatever the requirement files' own indexes have.
    Unspecified,
    /// A build.
    Build(Torch),
}

impl Torch {
    /// The build `variant` from PyTorch's own index, or from `index`.
    pub fn new(variant: &str, index: Option<&str>) -> Self {
        let own = || format!("https://download.pytorch.org/whl/{variant}");
        Self { variant: variant.to_owned(), index: index.map_or_else(own, str::to_owned) }
    }

    /// As a header says it.
    pub fn text(&self) -> String {
        format!("{}@{}", self.variant, self.index)
    }

    /// From what a header says.
    pub fn parse(text: &str) -> Option<Self> {
        let (variant, index) = text.split_once('@')?;
        Some(Self::new(variant, Some(index)))
    }

    /// The line by which an installer finds the index.
    pub fn option(&self) -> String {
        format!("--extra-index-url {}", self.index)
    }

    /// Whether pins have this build, where they have torch at all.
    pub fn is_in(&self, pins: &str) -> bool {
        let build = format!("+{}", self.variant);
        pins.lines()
            .filter(|line| line.starts_with("torch=="))
            .all(|line| line.split([' ', ';']).next().is_some_and(|pin| pin.ends_with(&build)))
    }
}

/// Whether a package is one of PyTorch's or brings its CUDA: large, also where an index says no sizes.
pub fn is_heavy(name: &str) -> bool {
    PACKAGES.contains(&name)
        || ["triton", "nvidia-", "cuda-toolkit"].iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_build_is_known_by_its_version() {
        let cpu = Torch::new("cpu", None);
        assert_eq!(cpu.option(), "--extra-index-url https://download.pytorch.org/whl/cpu");
        assert_eq!(Torch::parse(&cpu.text()), Some(cpu.clone()));
        assert!(cpu.is_in("six==1\ntorch==2.15.0+cpu \\\n") && cpu.is_in("six==1\n"));
        assert!(cpu.is_in("torch==2+cpu ; sys_platform == 'linux'\n"));
        assert!(!cpu.is_in("torch==2.15.0 \\\n") && !cpu.is_in("torch==2+cu128\n"));
        assert!(!cpu.is_in("torch==2+cpu ; a\ntorch==2 ; b\n"));
    }
}
