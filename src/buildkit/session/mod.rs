//! The session: services the engine calls on us while it builds.
