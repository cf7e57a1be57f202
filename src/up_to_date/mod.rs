//! What proves that a build has nothing to do, without asking the engine to solve anything.
//!
//! A [`Question`] is what is asked for, of targets whose result depends on nothing but what can be looked at here: a
//! request to the engine, base images by their ids, directories by their [`SealedWalk`]s. A [`Proof`] is a question that
//! a build has answered. Where the next question is the same and everything it stood on is as it was, its images are the
//! answer. Of what cannot be looked at nothing is asked: such a target is solved. Pure, but for [`Proofs`], which are kept in
//! a file. `docs/design/why.md` has the conditions and their limits.

mod proof;
mod question;
#[cfg(test)]
mod tests;
mod trace;

pub use proof::{Bases, Builder, Proof, Proofs, Site, TargetProof};
pub use question::Question;
pub use trace::{Origin, bases, unnamed_bases};
