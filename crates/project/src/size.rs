//! Sizes as users write them: with a unit, because a bare number of bytes is nearly always meant as something else.

use std::fmt;

use bytesize::ByteSize;

/// Why a text is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeFault {
    /// It is not a number with a unit.
    Form,
    /// A number alone.
    NoUnit,
}

impl fmt::Display for SizeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "is not a size",
            Self::NoUnit => "has no unit",
        })
    }
}

/// Reads a size in bytes: `5GB`, `1.5 GiB`, `5B`, and `0`, which needs no unit.
///
/// # Errors
/// It has another form, or no unit.
pub fn parse(text: &str) -> Result<u64, SizeFault> {
    let text = text.trim();
    let size: ByteSize = text.parse().map_err(|_| SizeFault::Form)?;
    match size.as_u64() {
        bytes if bytes > 0 && !text.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Err(SizeFault::NoUnit)
        }
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(parse("5GB"), Ok(5_000_000_000));
        assert_eq!(parse(" 1.5 KiB "), Ok(1536));
        assert_eq!((parse("5B"), parse("0"), parse("0B")), (Ok(5), Ok(0), Ok(0)));
        for text in ["5", "300", " 1024 "] {
            assert_eq!(parse(text), Err(SizeFault::NoUnit), "{text}");
        }
        for text in ["", "GB", "five", "5XB", "-5GB"] {
            assert_eq!(parse(text), Err(SizeFault::Form), "{text}");
        }
    }
}
