//! The build context on disk: `.dockerignore` patterns with Docker's semantics and the walk.
