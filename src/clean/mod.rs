//! Removing what belongs to one project: a plan of what is removed and what is kept, and its execution.
//!
//! [`survey`] asks the engine. [`plan`] decides and is pure: the engine's state and whose each thing is
//! ([`crate::ownership`]) come in as values. [`execute`] carries a plan out and decides nothing. [`space`] knows what removing a
//! thing frees where layers are shared. `docs/design/clean.md` has the rules and the measurements.

pub mod execute;
mod forgotten;
mod model;
mod offers;
pub mod plan;
pub mod reason;
mod select;
pub mod space;
pub mod survey;
#[cfg(test)]
mod tests;

pub use execute::{Outcome, Remainder};
pub use model::{Action, Item, Kind, Plan, Presentation, Request, Sort};
pub use offers::{Offer, Remedy, choices, offers, remedies};
pub use plan::{frees, plan};
pub use select::SpaceGoal;
