//! Compose files to a project: find, load, interpolate, merge.
