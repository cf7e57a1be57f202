//! Labels by which compose, and this program as compose does, mark what belongs to a project.

/// The project, on everything.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service, on containers and images.
pub const SERVICE: &str = "com.docker.compose.service";
/// The release of compose, on everything.
pub const VERSION: &str = "com.docker.compose.version";
/// The directory of the project, on containers.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The compose files, separated by commas, on containers.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// The key of a volume in the compose file.
pub const VOLUME: &str = "com.docker.compose.volume";
/// The key of a network in the compose file.
pub const NETWORK: &str = "com.docker.compose.network";
/// The number of a service's container.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// What compose puts on each container that it makes, and on no image. `docker commit` copies them into an image,
/// whose containers then inherit them with the same values.
pub const OF_CONTAINERS: [&str; 3] =
    ["com.docker.compose.config-hash", NUMBER, "com.docker.compose.oneoff"];
/// The engine's own mark of volumes that nobody named, from 23.0 on.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";
