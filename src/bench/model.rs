//! The report of a benchmark, schema `doc2md-docker/bench/v1`. `docs/bench.schema.json` describes the document.
//!
//! Fields may be added within `v1`, none goes or changes its meaning. Times are seconds of wall time on the
//! client's clock, sizes are bytes.

use jiff::Timestamp;
use serde::Serialize;

use super::Case;

/// Schema of the document.
const SCHEMA: &str = "doc2md-docker/bench/v1";

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Release of this program.
    pub version: &'static str,
    /// When it began.
    pub started: Timestamp,
    /// How often each case was measured.
    pub runs: usize,
    /// How many targets were built at once; `None` for no limit.
    pub parallel: Option<usize>,
    /// Where.
    pub engine: EngineReport,
    /// The projects, the one that is compared first.
    pub projects: Vec<ProjectReport>,
    /// A result for each case.
    pub cases: Vec<CaseReport>,
    /// What is to be known of the figures.
    pub notes: Vec<String>,
    /// What the benchmark left on the engine, and why.
    pub left: Vec<Leftover>,
}

/// The engine and its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EngineReport {
    /// Docker's release.
    pub version: String,
    /// Engine API version.
    pub api_version: String,
    /// `graphdriver` or `containerd`.
    pub store: String,
    /// Such as `overlay2`.
    pub driver: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// Linux release.
    pub kernel: String,
    /// CPUs.
    pub cpus: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
}

/// One of the projects that were built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectReport {
    /// What it is called in this report.
    pub name: String,
    /// Directory of its compose file.
    pub directory: String,
    /// Its targets.
    pub targets: Vec<String>,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseReport {
    /// `first`, `warm`, `unchanged`, `code` or `requirement`.
    pub case: &'static str,
    /// Its name in tables.
    pub title: &'static str,
    /// A result for each project, in their order.
    pub results: Vec<ResultReport>,
    /// Median of the first project in parts of the second's, where both were measured.
    pub ratio: Option<f64>,
}

/// A case of one project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultReport {
    /// Its name.
    pub project: String,
    /// Why there are no figures; `None` where there are.
    pub not_measured: Option<String>,
    /// What was changed before the builds.
    pub changes: Vec<Change>,
    /// From the command to its end.
    pub seconds: Option<Seconds>,
    /// Bytes of build contexts that were sent, framing included; median.
    pub sent_bytes: Option<u64>,
    /// By how many bytes the cache mounts grew, which is what was downloaded and kept; median.
    pub mounts_grew_bytes: Option<u64>,
    /// Figures of each target.
    pub targets: Vec<TargetReport>,
}

/// A file that was changed in the copy of a build context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Targets it was changed for.
    pub targets: Vec<String>,
    /// From the root of the build context.
    pub file: String,
    /// What was changed.
    pub what: String,
}

/// A target in a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetReport {
    /// Its name.
    pub name: String,
    /// From when its solve was sent to its end.
    pub seconds: Seconds,
    /// Steps that came from the cache, in the last run.
    pub cached: usize,
    /// Steps that ran, in the last run.
    pub ran: usize,
    /// Size of its image after the last run, as the engine reports it.
    pub image_bytes: Option<u64>,
    /// Bytes of the layers of its image that no image had before; median.
    pub written_bytes: Option<u64>,
}

/// Several measurements of one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seconds {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// All, in the order of the runs.
    pub all: Vec<f64>,
}

/// Something that was not removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// `image` or `cache`.
    pub kind: String,
    /// How many.
    pub count: usize,
    /// Bytes they take together.
    pub bytes: u64,
    /// Why.
    pub why: String,
}

/// One build.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Wall time.
    pub seconds: f64,
    /// Bytes of build contexts that were sent.
    pub sent_bytes: u64,
    /// By how many bytes the cache mounts grew; `None` where the engine does not tell whose they are.
    pub mounts_grew_bytes: Option<u64>,
    /// What is known of each target.
    pub targets: Vec<TargetSample>,
}

/// A target in one build.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetSample {
    /// Its name.
    pub name: String,
    /// Wall time.
    pub seconds: f64,
    /// Steps that came from the cache.
    pub cached: usize,
    /// Steps that ran.
    pub ran: usize,
    /// Id of the image.
    pub image: Option<String>,
    /// Size of the image.
    pub image_bytes: Option<u64>,
    /// Bytes of its layers that no image had before.
    pub written_bytes: Option<u64>,
}

impl BenchReport {
    /// A report without results.
    pub fn new(started: Timestamp, runs: usize, engine: EngineReport) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            started,
            runs,
            parallel: None,
            engine,
            projects: Vec::new(),
            cases: Vec::new(),
            notes: Vec::new(),
            left: Vec::new(),
        }
    }
}

impl CaseReport {
    /// Of the results of each project.
    pub fn new(case: Case, results: Vec<ResultReport>) -> Self {
        let median = |result: &ResultReport| result.seconds.as_ref().map(|seconds| seconds.median);
        let ratio = match &results[..] {
            [one, other] => median(one).zip(median(other)).map(|(one, other)| rounded(one / other)),
            _ => None,
        };
        Self { case: case.word(), title: case.title(), results, ratio }
    }
}

impl ResultReport {
    /// Of the builds in the order of the runs.
    pub fn new(project: &str, changes: Vec<Change>, samples: &[Sample]) -> Self {
        let last = samples.last();
        let targets = last.into_iter().flat_map(|last| &last.targets).map(|target| {
            let own =
                || samples.iter().flat_map(|it| &it.targets).filter(|it| it.name == target.name);
            TargetReport {
                name: target.name.clone(),
                seconds: Seconds::of(own().map(|it| it.seconds).collect()),
                cached: target.cached,
                ran: target.ran,
                image_bytes: target.image_bytes,
                written_bytes: middle(own().filter_map(|it| it.written_bytes)),
            }
        });
        Self {
            project: project.to_owned(),
            not_measured: None,
            changes,
            seconds: last.map(|_| Seconds::of(samples.iter().map(|it| it.seconds).collect())),
            sent_bytes: middle(samples.iter().map(|it| it.sent_bytes)),
            mounts_grew_bytes: middle(samples.iter().filter_map(|it| it.mounts_grew_bytes)),
            targets: targets.collect(),
        }
    }

    /// One without figures.
    pub fn not_measured(project: &str, why: String) -> Self {
        Self { not_measured: Some(why), ..Self::new(project, Vec::new(), &[]) }
    }
}

impl Seconds {
    /// Of at least one measurement; of none all are 0.
    pub fn of(all: Vec<f64>) -> Self {
        let all: Vec<f64> = all.into_iter().map(rounded).collect();
        let mut sorted = all.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match (sorted.get(middle), sorted.len() % 2) {
            (Some(upper), 0) => (sorted[middle - 1] + upper) / 2.0,
            (Some(middle), _) => *middle,
            (None, _) => 0.0,
        };
        let (min, max) = (sorted.first(), sorted.last());
        Self {
            median: rounded(median),
            min: min.copied().unwrap_or(0.0),
            max: max.copied().unwrap_or(0.0),
            all,
        }
    }
}

/// The middle one, of two the larger.
fn middle(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// To a thousandth: below that there is only noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let of = |all: &[f64]| Seconds::of(all.to_vec());
        assert_eq!(of(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
        let one = of(&[1.23456]);
        assert_eq!((one.min, one.median, one.max, one.all), (1.235, 1.235, 1.235, vec![1.235]));
        assert_eq!(of(&[]).median, 0.0);
    }

    #[test]
    fn a_ratio_needs_two_projects_that_were_measured() {
        let result = |seconds: f64| {
            ResultReport::new("p", Vec::new(), &[Sample { seconds, ..Sample::default() }])
        };
        let without = ResultReport::not_measured("p", "no file".to_owned());
        let ratio = |results| CaseReport::new(Case::Code, results).ratio;
        assert_eq!(ratio(vec![result(1.0), result(4.0)]), Some(0.25));
        assert_eq!(ratio(vec![result(1.0)]), None);
        assert_eq!(ratio(vec![result(1.0), without]), None);
    }

    #[test]
    fn targets_are_measured_by_themselves() {
        let target = |name: &str, seconds, ran| TargetSample {
            name: name.to_owned(),
            seconds,
            ran,
            ..TargetSample::default()
        };
        let sample =
            |seconds, targets| Sample { seconds, sent_bytes: 5, targets, ..Sample::default() };
        let samples = [
            sample(3.0, vec![target("api", 1.0, 4), target("worker", 3.0, 5)]),
            sample(5.0, vec![target("api", 2.0, 1), target("worker", 5.0, 5)]),
        ];
        let result = ResultReport::new("p", Vec::new(), &samples);
        assert_eq!(result.seconds.unwrap().median, 4.0);
        assert_eq!(result.sent_bytes, Some(5));
        assert_eq!((result.targets[0].seconds.median, result.targets[0].ran), (1.5, 1));
        assert_eq!(result.targets[1].seconds.all, [3.0, 5.0]);
    }
}
