//! The Dockerfile that runs uv: one stage per requirement file.

use std::fmt::Write as _;

/// Version of uv unless the project's build argument UV_VERSION says another.
pub const UV_VERSION: &str = "0.13.9";

/// Never used: whoever runs the recipe says the image. The engine warns of a stage without one.
const BASE_IMAGE: &str = "python:3.12-slim";

/// The stage that gets uv. Word for word that of the images' Dockerfiles: an engine that built
/// these has it already.
pub const UV_STAGE: &str = "FROM ${BASE_IMAGE} AS uv
ARG UV_VERSION
RUN --mount=type=cache,id=doc2md-pip,target=/root/.cache/pip,sharing=locked \\
    pip install --disable-pip-version-check --root-user-action=ignore \\
        --target /opt/uv uv==${UV_VERSION}
";

/// One requirement file, as the recipe needs it. The files lie in the build context below the
/// number of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeInput {
    /// Path of the requirement file below its root, with `/`.
    pub path: String,
    /// Oldest Python, `None` for the base image's.
    pub python: Option<String>,
    /// Its index options are in `options.txt`.
    pub has_options: bool,
}

/// Which locked versions are given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// All.
    pub all: bool,
    /// Those of these packages.
    pub packages: Vec<String>,
}

/// The Dockerfile. Its result has `N/pins.txt`, `N/pylock.toml` and `N/python` for each source.
pub fn dockerfile(sources: &[RecipeInput], upgrade: &Upgrade) -> String {
    let mut text = format!("ARG BASE_IMAGE={BASE_IMAGE}\nARG UV_VERSION={UV_VERSION}\n{UV_STAGE}");
    let mut last = "\nFROM scratch\n".to_owned();
    for (number, source) in sources.iter().enumerate() {
        let (folder, file) = source.path.rsplit_once('/').unwrap_or((".", &source.path));
        let mut compile =
            "uv pip compile --quiet --universal --no-header --no-emit-index-url".to_owned();
        if let Some(python) = &source.python {
            let _ = write!(compile, " --python-version {python}");
        }
        let mut upgrades = String::new();
        if upgrade.all {
            upgrades.push_str(" --upgrade");
        }
        for package in &upgrade.packages {
            let _ = write!(upgrades, " --upgrade-package {}", quoted(package));
        }
        let options = if source.has_options { "/lock/options.txt " } else { "" };
        let _ = write!(
            text,
            "\nFROM ${{BASE_IMAGE}} AS lock-{number}\n\
             ENV UV_PYTHON_DOWNLOADS=never\n\
             COPY {number} /lock/\n\
             RUN --mount=type=bind,from=uv,source=/opt/uv/bin/uv,target=/usr/local/bin/uv \\\n    \
             --mount=type=cache,id=doc2md-uv,target=/root/.cache/uv \\\n    \
             cd /lock/in/{folder} \\\n    \
             && {compile} --generate-hashes{upgrades} {file} --output-file /lock/pins.txt \\\n    \
             && {compile} --no-deps --format pylock.toml {options}/lock/pins.txt --output-file /lock/pylock.toml \\\n    \
             && python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])' > /lock/python\n",
            folder = quoted(folder),
            file = quoted(file),
        );
        let _ = writeln!(
            last,
            "COPY --from=lock-{number} /lock/pins.txt /lock/pylock.toml /lock/python /{number}/"
        );
    }
    text + &last
}

/// A word the shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_dockerfiles_get_uv_the_same_way() {
        for text in [include_str!("../../Dockerfile.api"), include_str!("../../Dockerfile.worker")]
        {
            assert!(text.contains(UV_STAGE));
            assert!(text.contains(&format!("\nARG UV_VERSION={UV_VERSION}\n")));
        }
    }

    #[test]
    fn each_file_has_a_stage() {
        let sources = [
            RecipeInput { path: "api/requirements.in".into(), python: None, has_options: false },
            RecipeInput { path: "it's.in".into(), python: Some("3.11".into()), has_options: true },
        ];
        let upgrade = Upgrade { all: false, packages: vec!["numpy".into()] };
        insta::assert_snapshot!(dockerfile(&sources, &upgrade));
    }
}
