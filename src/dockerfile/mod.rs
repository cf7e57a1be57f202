//! Dockerfiles as far as errors need them: places, excerpts, nearest names.
