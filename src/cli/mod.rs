//! Command line types. Nothing but clap.
