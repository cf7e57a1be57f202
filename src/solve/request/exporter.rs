//! Exporters of images and their attributes, as BuildKit calls them (`exporter/containerimage/exptypes`).

/// Exporter of images that become images of the engine around BuildKit.
pub const IN_ENGINE: &str = "moby";
/// Attribute with the references of an image.
pub const NAME: &str = "name";
/// Attribute that pushes what was made.
pub const PUSH: &str = "push";
