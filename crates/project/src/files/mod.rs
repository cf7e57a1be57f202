//! Files of others and files for others: the rules for each kind of file stand here, once.
//!
//! [`read`] reads what somebody else wrote: plain files, up to a bound. [`write`](mod@write) writes a document for
//! somebody else: whole or not at all, through links, into devices and pipes. [`partial`] names what is not complete, so
//! that a later run can remove what a dead one left. [`memory`] keeps what this program itself wants to know again. Knows
//! no command, no engine and no terminal. The rules and their
//! reasons: `docs/design/files.md`.

mod descriptor;
pub mod memory;
pub mod partial;
pub mod read;
pub mod write;
