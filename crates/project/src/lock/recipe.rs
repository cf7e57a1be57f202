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
    --mount=type=secret,id=ca,required=false --mount=type=secret,id=netrc,target=/root/.netrc,required=false \\
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \\
    && pip install --disable-pip-version-check --root-user-action=ignore \\
        --target /opt/uv uv==${UV_VERSION}
";

/// How uv resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Requirement files, or the `[project]` table of a pyproject.toml.
    Compile {
        /// Options that select extras and groups.
        options: Vec<String>,
        /// A further index, from which PyTorch comes.
        index: Option<String>,
        /// Packages whose locked version does not count.
        give_up: Vec<String>,
    },
    /// The project's own uv.lock, brought up to date.
    Uv {
        /// Its path below the root.
        lock: String,
        /// Options that select a member, extras and groups.
        options: Vec<String>,
    },
}

/// Secrets for company networks, as in the images' Dockerfiles.
const SECRETS: &str = "    --mount=type=secret,id=ca,required=false --mount=type=secret,id=netrc,target=/root/.netrc,required=false \\
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \\
";

/// One requirement file or project, as the recipe needs it. The files lie in the build context below the
/// number of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeInput {
    /// Path of the file below its root, with `/`.
    pub path: String,
    /// Oldest Python, `None` for the base image's.
    pub python: Option<String>,
    /// Its index options are in `options.txt`.
    pub has_options: bool,
    /// How it is resolved.
    pub resolution: Resolution,
}

/// Which locked versions are given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// All.
    pub all: bool,
    /// Those of these packages.
    pub packages: Vec<String>,
}

/// The Dockerfile. Its result has `N/pins.txt`, `N/pylock.toml` and `N/python` for each source, and `N/uv.lock` where it
/// has one.
pub fn dockerfile(sources: &[RecipeInput], upgrade: &Upgrade) -> String {
    let mut text = format!("ARG BASE_IMAGE={BASE_IMAGE}\nARG UV_VERSION={UV_VERSION}\n{UV_STAGE}");
    let mut last = "\nFROM scratch\n".to_owned();
    for (number, source) in sources.iter().enumerate() {
        let (folder, file) = source.path.rsplit_once('/').unwrap_or((".", &source.path));
        let (commands, more) = match &source.resolution {
            Resolution::Compile { options, index, give_up } => {
                let mut options = words(options);
                if let Some(index) = index {
                    // The newest of all indexes: a build has a version of its own, and all others stay PyPI's.
                    let _ = write!(
                        options,
                        " --index-strategy unsafe-best-match --extra-index-url {}",
                        quoted(index)
                    );
                }
                (compile(source, &quoted(file), &options, &upgrades(upgrade, give_up)), "")
            }
            Resolution::Uv { lock, options } => {
                (export(lock, &words(options), &upgrades(upgrade, &[])), " /lock/uv.lock")
            }
        };
        let _ = write!(
            text,
            "\nFROM ${{BASE_IMAGE}} AS lock-{number}\n\
             ENV UV_PYTHON_DOWNLOADS=never\n\
             COPY {number} /lock/\n\
             RUN --mount=type=bind,from=uv,source=/opt/uv/bin/uv,target=/usr/local/bin/uv \\\n    \
             --mount=type=cache,id=doc2md-uv,target=/root/.cache/uv \\\n\
             {SECRETS}    \
             && cd /lock/in/{folder} \\\n    \
             && {commands} \\\n    \
             && python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])' > /lock/python\n",
            folder = quoted(folder),
        );
        let _ = writeln!(
            last,
            "COPY --from=lock-{number} /lock/pins.txt /lock/pylock.toml /lock/python{more} /{number}/"
        );
    }
    text + &last
}

fn compile(source: &RecipeInput, file: &str, options: &str, upgrades: &str) -> String {
    let mut compile =
        "uv pip compile --quiet --universal --no-header --no-emit-index-url".to_owned();
    if let Some(python) = &source.python {
        let _ = write!(compile, " --python-version {python}");
    }
    // What is pinned is looked up again for its sizes, wherever it is from.
    let indexes = if source.has_options {
        "--index-strategy unsafe-best-match /lock/options.txt "
    } else {
        ""
    };
    format!(
        "{compile} --generate-hashes{upgrades}{options} {file} --output-file /lock/pins.txt \\\n    \
         && {compile} --no-deps --format pylock.toml {indexes}/lock/pins.txt --output-file /lock/pylock.toml"
    )
}

fn export(lock: &str, options: &str, upgrades: &str) -> String {
    let export =
        format!("uv export --quiet --frozen --no-dev --no-emit-local --no-header{options}");
    format!(
        "uv lock --quiet{upgrades} \\\n    \
         && {export} --format requirements.txt --output-file /lock/pins.txt > /dev/null \\\n    \
         && {export} --format pylock.toml --output-file /lock/pylock.toml > /dev/null \\\n    \
         && cp {} /lock/uv.lock",
        quoted(&format!("/lock/in/{lock}"))
    )
}

fn upgrades(upgrade: &Upgrade, give_up: &[String]) -> String {
    let all = if upgrade.all { " --upgrade" } else { "" };
    upgrade.packages.iter().chain(give_up).fold(all.to_owned(), |text, package| {
        format!("{text} --upgrade-package {}", quoted(package))
    })
}

fn words(words: &[String]) -> String {
    words.iter().fold(String::new(), |text, word| {
        let is_option = word.starts_with("--");
        text + " " + &if is_option { word.clone() } else { quoted(word) }
    })
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
        for text in [
            include_str!("../../../../Dockerfile.api"),
            include_str!("../../../../Dockerfile.worker"),
        ] {
            assert!(text.contains(UV_STAGE) && text.contains(SECRETS));
            assert!(text.contains(&format!("\nARG UV_VERSION={UV_VERSION}\n")));
        }
    }

    #[test]
    fn each_file_has_a_stage() {
        let sources = [
            RecipeInput {
                path: "api/requirements.in".into(),
                python: None,
                has_options: false,
                resolution: Resolution::Compile {
                    options: Vec::new(),
                    index: None,
                    give_up: Vec::new(),
                },
            },
            RecipeInput {
                path: "it's.in".into(),
                python: Some("3.11".into()),
                has_options: true,
                resolution: Resolution::Compile {
                    options: vec!["--extra".into(), "web".into()],
                    index: Some("https://example.org/cpu".into()),
                    give_up: vec!["torch".into()],
                },
            },
            RecipeInput {
                path: "packages/a/pyproject.toml".into(),
                python: None,
                has_options: false,
                resolution: Resolution::Uv {
                    lock: "uv.lock".into(),
                    options: vec!["--package".into(), "a".into(), "--group".into(), "ml".into()],
                },
            },
        ];
        let upgrade = Upgrade { all: false, packages: vec!["numpy".into()] };
        insta::assert_snapshot!(dockerfile(&sources, &upgrade));
    }
}
