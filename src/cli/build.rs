//! `doc2md-docker build`: the flags of `docker compose build` and `docker buildx bake`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::why::WhyFormat;

/// Headings of its help.
const CACHE: &str = "Cache";
const RESULT: &str = "Result";
const RUN: &str = "Run";

/// Arguments of `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// Services to build [default: all that have a build section].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Also build the services these depend on.
    #[arg(long)]
    pub with_dependencies: bool,
    /// Do not use the layer cache.
    #[arg(long, help_heading = CACHE)]
    pub no_cache: bool,
    /// Do not use it for these stages.
    #[arg(long, help_heading = CACHE, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Ask the registry for newer base images.
    #[arg(long, help_heading = CACHE)]
    pub pull: bool,
    /// Ask the engine, also where nothing can have changed.
    ///
    /// Where the record of an earlier build proves that nothing it stood on has changed, `build` says so and solves
    /// nothing. DOC2MD_DOCKER_ALWAYS_SOLVE does the same.
    #[arg(long, help_heading = CACHE)]
    pub always_solve: bool,
    /// Push the images after building.
    #[arg(long, help_heading = RESULT)]
    pub push: bool,
    /// Load the images into the engine: what a build does anyway.
    ///
    /// From another builder images that are pushed are loaded only with it, and without an engine it is an error.
    #[arg(long, help_heading = RESULT, hide_short_help = true)]
    pub load: bool,
    /// How layers are compressed, on the containerd image store.
    ///
    /// What a layer was compressed with first stays, also where it is pushed later. An output with a compression of its own,
    /// such as `--set TARGET.output=type=image,compression=estargz`, goes by that.
    #[arg(long, help_heading = RESULT, hide_short_help = true, value_enum, value_name = "KIND", default_value_t = Compression::Auto)]
    pub compression: Compression,
    /// Of `docker build`; see `--set TARGET.output=VALUE`.
    #[arg(short, long, hide = true, value_name = "VALUE")]
    pub output: Option<String>,
    /// Set a build argument of every target.
    ///
    /// KEY alone takes the value from the environment.
    #[arg(long, value_name = "KEY=VALUE")]
    pub build_arg: Vec<String>,
    /// Stage to build instead of the file's.
    ///
    /// It counts for every service that is built.
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Platforms to build for, such as linux/amd64.
    ///
    /// Without it those of the compose file, and then DOCKER_DEFAULT_PLATFORM.
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Secret for all: id=ID[,src=FILE|env=NAME].
    #[arg(long, value_name = "SPEC")]
    pub secret: Vec<String>,
    /// SSH agent or keys: default or ID[=SOCKET|KEY].
    #[arg(long, value_name = "SPEC")]
    pub ssh: Vec<String>,
    /// Import cache: REF or type=TYPE,...
    #[arg(long, help_heading = CACHE, value_name = "SPEC")]
    pub cache_from: Vec<String>,
    /// Export cache: REF or type=TYPE,...
    #[arg(long, help_heading = CACHE, value_name = "SPEC")]
    pub cache_to: Vec<String>,
    /// Layer cache for all: REPOSITORY, dir:FOLDER or gha.
    ///
    /// Every target reads the cache of its branch and of the main one; in CI the branch's is written after a build in which a
    /// step ran, but not for pull requests. After a comma: write=true or write=false for all, mode=min or mode=max for what
    /// stages made that are not in the image; without it that is kept unless moving it at rate=50MB a second takes longer.
    #[arg(long, visible_alias = "cache", help_heading = CACHE, value_name = "PLACE")]
    pub caches: Option<String>,
    /// Provenance attestation of every target: true, false or KEY=VALUE,... such as mode=max.
    #[arg(long, help_heading = RESULT, hide_short_help = true, value_name = "VALUE")]
    pub provenance: Option<String>,
    /// SBOM attestation of every target: true, false or KEY=VALUE,... such as generator=IMAGE.
    #[arg(long, help_heading = RESULT, hide_short_help = true, value_name = "VALUE")]
    pub sbom: Option<String>,
    /// Override a value of a target, as bake does.
    ///
    /// TARGET is a service or a pattern such as `*`; KEY is one of bake's, such as args.NAME, platform, output or
    /// cache-from. `+=` adds to a list.
    #[arg(long, value_name = "TARGET.KEY=VALUE")]
    pub set: Vec<String>,
    /// At most N at once [env: COMPOSE_PARALLEL_LIMIT].
    #[arg(long, help_heading = RUN, value_name = "N")]
    pub parallel: Option<NonZeroUsize>,
    /// Go on with the other targets when one fails.
    #[arg(long, help_heading = RUN)]
    pub keep_going: bool,
    /// Stop after this long: 90s, 10m, 1h30m.
    #[arg(long, help_heading = RUN, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Print the resolved targets as JSON and stop.
    #[arg(long, help_heading = RUN)]
    pub print: bool,
    /// Tell what would run, and why; build nothing.
    ///
    /// From the build graphs that the engine makes, the files as they are, and the history.
    #[arg(long, help_heading = RUN, conflicts_with_all = ["print", "check", "push"])]
    pub dry_run: bool,
    /// With --dry-run: exit with 4 where something would run.
    #[arg(long, help_heading = RUN, hide_short_help = true, requires = "dry_run")]
    pub exit_code: bool,
    /// How --dry-run is printed.
    #[arg(long, help_heading = RUN, hide_short_help = true, value_enum, value_name = "FORMAT", default_value_t = WhyFormat::Text, requires = "dry_run")]
    pub format: WhyFormat,
    /// Check the Dockerfiles instead of building.
    #[arg(long, help_heading = RUN)]
    pub check: bool,
    /// Write what was built as JSON, as bake does.
    #[arg(long, help_heading = RESULT, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Write a page of HTML: when each step ran.
    ///
    /// It shows the chain of steps that determined the end.
    #[arg(long, help_heading = RESULT, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Write the same in Chrome's trace event format, for Perfetto.
    #[arg(long, help_heading = RESULT, hide_short_help = true, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the image id; only with one target.
    #[arg(long, help_heading = RESULT, hide_short_help = true, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
}

/// How layers of images are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// With zstd where no image of the build is pushed, no layer cache is written with --cache-to, and the names of the image
    /// name no registry; else with gzip.
    #[default]
    Auto,
    /// With gzip: BuildKit's own choice.
    Gzip,
    /// With zstd, pushed images as well.
    Zstd,
}

/// Reads a duration as docker's flags do: numbers with units `h`, `m`, `s`, `ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90s, 10m or 1h30m");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        total += Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        rest = tail;
    }
    if total.is_zero() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s500ms"), Ok(Duration::from_secs(2)));
        for wrong in ["", "5", "s", "5 s", "-1s", "0s", "1d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
