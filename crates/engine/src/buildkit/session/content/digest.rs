//! What a digest is: one rule for what the engine asks for, what an index names and what a user writes.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256, Sha512};

/// The name of a blob: `sha256:` or `sha512:` and as many lowercase hexadecimal digits as that
/// algorithm has (OCI image specification, "Registered Algorithms").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl Digest {
    /// Reads a digest; `None` when `text` is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, hex) = text.split_once(':')?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        let digits = hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (digits && hex.len() == algorithm.digits()).then(|| Self { algorithm, hex: hex.to_owned() })
    }

    /// Whether `text` starts as a digest does, so that what follows must be one.
    pub fn is_meant(text: &str) -> bool {
        let name = text.split_once(':').map(|(name, _)| name);
        Algorithm::ALL.into_iter().any(|algorithm| Some(algorithm.name()) == name)
    }

    /// Where an image layout has the blob.
    pub fn path_in(&self, layout: &Path) -> PathBuf {
        layout.join("blobs").join(self.algorithm.name()).join(&self.hex)
    }

    /// What computes a digest of the same kind.
    pub fn hasher(&self) -> Hasher {
        match self.algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Computes the digest of a blob as it comes in.
pub enum Hasher {
    /// By SHA-256.
    Sha256(Sha256),
    /// By SHA-512.
    Sha512(Box<Sha512>),
}

impl Default for Hasher {
    fn default() -> Self {
        Self::Sha256(Sha256::new())
    }
}

impl Hasher {
    /// Takes the next piece of the blob.
    pub fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(data),
            Self::Sha512(hash) => hash.update(data),
        }
    }

    /// The digest of everything so far; it starts anew.
    pub fn finish(&mut self) -> Digest {
        match self {
            Self::Sha256(hash) => {
                Digest { algorithm: Algorithm::Sha256, hex: hex::encode(hash.finalize_reset()) }
            }
            Self::Sha512(hash) => {
                Digest { algorithm: Algorithm::Sha512, hex: hex::encode(hash.finalize_reset()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_digests_are_digests() {
        let zeros = "0".repeat(64);
        let digest = Digest::parse(&format!("sha256:{zeros}")).unwrap();
        assert_eq!(digest.to_string(), format!("sha256:{zeros}"));
        assert_eq!(digest.path_in(Path::new("/l")), Path::new("/l/blobs/sha256").join(&zeros));
        assert!(Digest::parse(&format!("sha512:{zeros}{zeros}")).is_some());
        for text in [
            "",
            "latest",
            "sha256:",
            "sha256:../../../../etc/passwd",
            &format!("sha256:{}", "0".repeat(63)),
            &format!("sha256:{}", "A".repeat(64)),
            &format!("sha512:{zeros}"),
            &format!("md5:{zeros}"),
            &format!("../sha256:{zeros}"),
            &zeros,
        ] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
        assert!(Digest::is_meant("sha256:short"));
        assert!(!Digest::is_meant("host:tag") && !Digest::is_meant("sha256"));
    }

    #[test]
    fn digests_are_computed_by_their_own_algorithm() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let mut hasher = Digest::parse(empty).unwrap().hasher();
        assert_eq!(hasher.finish().to_string(), empty);
        let mut long = Digest::parse(&format!("sha512:{}", "0".repeat(128))).unwrap().hasher();
        long.update(b"abc");
        assert!(long.finish().to_string().starts_with("sha512:ddaf35a193617aba"));
    }
}
