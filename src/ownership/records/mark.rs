//! What tells which layer of an image a record is: the one comparison of the two.
//!
//! Engines do not say it. An image's history tells of each layer the second in which its step ended, and the instruction;
//! a record tells when it was made, and of which step. Both are brought into one form, a [`Mark`], and compared here for
//! everybody: for whose a record is, for what a current build needs, and for the space that a removal frees.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::input::{BuildStep, Record, RecordKind};
use super::words;

/// An instruction that makes layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Keyword {
    Run,
    Copy,
    Add,
    Workdir,
}

/// What 20.10 says of the records of each of these instructions but RUN.
const FILES_OF_20_10: &str = "fileop target";

/// When a layer or a record was made, by which instruction, and in which words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    second: i64,
    /// `None` is one of those but RUN.
    keyword: Option<Keyword>,
    /// A digest of them without keyword, flags and shell; `None` where they are not told.
    words: Option<u64>,
}

/// How much a record and a layer of one second and one kind of instruction have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Their words, too.
    SameWords,
    /// Words differ where only one of both has values of variables.
    OtherWords,
}

impl Mark {
    /// The mark of a layer, by its image's history; `None` where no instruction of BuildKit made it.
    pub fn of_layer(created: Timestamp, created_by: &str) -> Option<Self> {
        let keyword = created_by.split(' ').next()?;
        Some(Self {
            second: created.as_second(),
            keyword: Some(Keyword::read(keyword)?),
            words: Some(digest(&words::plain(created_by))),
        })
    }

    /// The mark of a record, by what it says of itself; `None` where it is not the result of an instruction.
    pub fn of_record(created: Timestamp, description: &str) -> Option<Self> {
        let second = created.as_second();
        if description == FILES_OF_20_10 {
            return Some(Self { second, keyword: None, words: None });
        }
        let instruction = words::written(description);
        let keyword = instruction.split(' ').next()?;
        Some(Self {
            second,
            keyword: Some(Keyword::read(keyword)?),
            words: Some(digest(&words::plain(&instruction))),
        })
    }

    /// The mark of a record whose step is known.
    pub(super) fn of_result(record: &Record, step: &BuildStep) -> Option<Self> {
        if record.kind != RecordKind::Regular {
            return None;
        }
        Some(Self {
            second: record.created_at?.as_second(),
            keyword: Some(Keyword::read(step.keyword())?),
            words: Some(digest(&words::of_record(record, step))),
        })
    }

    /// What a record and a layer have in common; `None` where the one cannot be the other.
    pub fn likeness(&self, layer: &Self) -> Option<Likeness> {
        let is_same_keyword = match (self.keyword, layer.keyword) {
            (Some(own), Some(other)) => own == other,
            (Some(keyword), None) | (None, Some(keyword)) => keyword != Keyword::Run,
            (None, None) => true,
        };
        let is_candidate = self.second == layer.second && is_same_keyword;
        is_candidate.then(|| match self.words.is_some() && self.words == layer.words {
            true => Likeness::SameWords,
            false => Likeness::OtherWords,
        })
    }

    /// What groups records whose step is known with the layers that they may be.
    pub(super) fn group(&self) -> impl Ord + use<> {
        (self.second, self.keyword)
    }

    /// Stands for what it says, where that is told.
    pub fn words(&self) -> Option<u64> {
        self.words
    }

    /// When it was made, in seconds.
    pub fn second(&self) -> i64 {
        self.second
    }
}

impl Keyword {
    fn read(word: &str) -> Option<Self> {
        match word {
            "RUN" => Some(Self::Run),
            "COPY" => Some(Self::Copy),
            "ADD" => Some(Self::Add),
            "WORKDIR" => Some(Self::Workdir),
            _ => None,
        }
    }
}

/// Stands for a text: short, and not the same for two texts by chance.
pub(super) fn digest(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(description: &str, created_by: &str) -> Option<Likeness> {
        let second = Timestamp::UNIX_EPOCH;
        Mark::of_record(second, description)?.likeness(&Mark::of_layer(second, created_by)?)
    }

    #[test]
    fn records_say_what_histories_say() {
        let (same, other) = (Some(Likeness::SameWords), Some(Likeness::OtherWords));
        for (description, created_by, expected) in [
            ("mount / from exec /bin/sh -c make a", "RUN /bin/sh -c make a # buildkit", same),
            (
                "mount / from exec /bin/sh -c make a",
                "RUN |1 A=b /bin/sh -c make a # buildkit",
                same,
            ),
            ("mount / from exec /bin/sh -c make a", "RUN /bin/sh -c make b # buildkit", other),
            ("mount / from exec python -m x", "RUN python -m x # buildkit", same),
            ("[base 2/3] COPY --chown=a f /f", "COPY --chown=a f /f # buildkit", same),
            ("[base 2/3] COPY f /f", "COPY f /g # buildkit", other),
            ("[2/3] WORKDIR /app", "WORKDIR /app", same),
            ("fileop target", "COPY f /f # buildkit", other),
            ("fileop target", "COPY target # buildkit", other),
            ("fileop target", "RUN /bin/sh -c make # buildkit", None),
            ("[2/3] WORKDIR /f", "COPY /f # buildkit", None),
            ("[2/3] COPYING /f", "COPY /f # buildkit", None),
            ("pulled from docker.io/library/python", "COPY /f # buildkit", None),
            ("mount / from exec /bin/sh -c make", "CMD [\"make\"]", None),
            ("mount / from exec /bin/sh -c make", "", None),
            ("", "RUN /bin/sh -c make", None),
        ] {
            assert_eq!(likeness(description, created_by), expected, "{description} {created_by}");
        }
    }

    #[test]
    fn another_second_is_another_layer() {
        let text = "[2/3] WORKDIR /app";
        let layer = Mark::of_layer(Timestamp::UNIX_EPOCH, "WORKDIR /app");
        for (milliseconds, is_it) in [(0, true), (999, true), (1000, false), (60_000, false)] {
            let made = Timestamp::from_millisecond(milliseconds);
            let record = made.ok().and_then(|made| Mark::of_record(made, text));
            let likeness = record.zip(layer.as_ref()).and_then(|(it, layer)| it.likeness(layer));
            assert_eq!(likeness.is_some(), is_it, "{milliseconds}");
        }
    }
}
