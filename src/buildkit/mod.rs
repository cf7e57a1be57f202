//! BuildKit's gRPC: the session the engine calls back on, and the Control API.

pub mod session;
