//! Budgets: limits on sizes and on growth, and what became of them.
//!
//! Written as `NAME=SIZE` on the command line or in the table `budgets` of the project's
//! `doc2md-docker.toml`. `total`, `cache` and `project-cache` are names of sums; a service that is
//! called so is meant by `service:NAME`.

use std::fmt;

use crate::size::SizeFault;

use super::model::{StatsReport, Verdict};

/// Name of the file in the project's directory.
pub const FILE: &str = "doc2md-docker.toml";
/// The key that limits growth.
const MAX_GROWTH: &str = "max-growth";

/// What a budget limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All images of the project, shared layers counted once.
    Total,
    /// The engine's build cache.
    Cache,
    /// The project's part of it.
    ProjectCache,
    /// The image of a service.
    Service(String),
}

impl Subject {
    fn parse(name: &str) -> Result<Self, BudgetError> {
        Ok(match name.trim() {
            "total" => Self::Total,
            "cache" => Self::Cache,
            "project-cache" => Self::ProjectCache,
            name => match name.strip_prefix("service:").unwrap_or(name) {
                "" => return Err(BudgetError::NoName),
                name => Self::Service(name.to_owned()),
            },
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => f.write_str("total"),
            Self::Cache => f.write_str("cache"),
            Self::ProjectCache => f.write_str("project-cache"),
            Self::Service(name) if matches!(name.as_str(), "total" | "cache" | "project-cache") => {
                write!(f, "service:{name}")
            }
            Self::Service(name) => f.write_str(name),
        }
    }
}

/// A limit on a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// On what.
    pub subject: Subject,
    /// At most this many bytes.
    pub limit_bytes: u64,
    /// The limit as it was written.
    written: String,
}

/// By how much an image may grow from one build to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// In thousandths of a percent.
    thousandths: u64,
    written: String,
}

/// All budgets of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    sizes: Vec<Budget>,
    growth: Option<Growth>,
}

/// A budget that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// No `=`.
    #[error("{0:?} is no budget such as api=300MB")]
    Form(String),
    /// Nothing before the `=`.
    #[error("a budget has no name before its `=`")]
    NoName,
    /// No size.
    #[error("{text:?} {fault}: write a size such as 300MB or 1.5GiB")]
    Size {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        fault: SizeFault,
    },
    /// No percentage.
    #[error("{0:?} is no growth such as 10%")]
    Growth(String),
    /// The file is not TOML, or has keys that mean nothing.
    #[error("{0}")]
    File(String),
    /// The project has no such service.
    #[error("there is a budget for {name}, but no service of that name has an image here")]
    UnknownService {
        /// The service.
        name: String,
        /// Those that have one.
        known: Vec<String>,
    },
}

impl Budget {
    /// Reads `NAME=SIZE`.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(text: &str) -> Result<Self, BudgetError> {
        let (name, size) =
            text.split_once('=').ok_or_else(|| BudgetError::Form(text.to_owned()))?;
        Self::new(name, size)
    }

    fn new(name: &str, size: &str) -> Result<Self, BudgetError> {
        let size = size.trim();
        let limit_bytes = crate::size::parse(size)
            .map_err(|fault| BudgetError::Size { text: size.to_owned(), fault })?;
        Ok(Self { subject: Subject::parse(name)?, limit_bytes, written: size.to_owned() })
    }
}

impl Growth {
    /// Reads `10%` or `0.5`.
    ///
    /// # Errors
    /// It is not a number, or less than 0.
    pub fn parse(text: &str) -> Result<Self, BudgetError> {
        let wrong = || BudgetError::Growth(text.to_owned());
        let number = text.trim().trim_end_matches('%').trim_end();
        let percent: f64 = number.parse().map_err(|_| wrong())?;
        if !(0.0..=1e9).contains(&percent) {
            return Err(wrong());
        }
        let thousandths = (percent * 1000.0).round() as u64;
        Ok(Self { thousandths, written: format!("{number}%") })
    }

    fn limit(&self, previous: u64) -> u64 {
        let more = u128::from(previous) * u128::from(self.thousandths) / 100_000;
        u64::try_from(u128::from(previous) + more).unwrap_or(u64::MAX)
    }
}

impl Budgets {
    /// Reads the text of a `doc2md-docker.toml`.
    ///
    /// # Errors
    /// It is not TOML, or holds something that is not a budget.
    pub fn from_toml(text: &str) -> Result<Self, BudgetError> {
        let file = |message: String| BudgetError::File(message);
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| file(error.to_string()))?;
        let mut budgets = Self::default();
        for (name, value) in &table {
            // Other tables are settings of commands, which others read.
            if name != "budgets" {
                continue;
            }
            let toml::Value::Table(entries) = value else {
                return Err(file("budgets stand in [budgets]".to_owned()));
            };
            for (key, value) in entries {
                let value = match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Integer(bytes) => bytes.to_string(),
                    other => {
                        let text = format!("{key} = a {}", other.type_str());
                        return Err(BudgetError::Size { text, fault: SizeFault::Form });
                    }
                };
                if key == MAX_GROWTH {
                    budgets.growth = Some(Growth::parse(&value)?);
                } else {
                    budgets.sizes.push(Budget::new(key, &value)?);
                }
            }
        }
        Ok(budgets)
    }

    /// Adds budgets that replace those on the same thing.
    pub fn replace(&mut self, sizes: Vec<Budget>, growth: Option<Growth>) {
        for budget in sizes {
            self.sizes.retain(|other| other.subject != budget.subject);
            self.sizes.push(budget);
        }
        self.growth = growth.or(self.growth.take());
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.growth.is_none()
    }

    /// Whether one is on the project's part of the build cache.
    pub fn need_project_cache(&self) -> bool {
        self.sizes.iter().any(|budget| budget.subject == Subject::ProjectCache)
    }

    /// What becomes of them.
    ///
    /// # Errors
    /// One is for a service that has no row in the report.
    pub fn verdicts(&self, report: &StatsReport) -> Result<Vec<Verdict>, BudgetError> {
        let mut verdicts = Vec::new();
        for budget in &self.sizes {
            let actual = match &budget.subject {
                Subject::Total => report.total_bytes,
                Subject::Cache => report.cache.total_bytes,
                Subject::ProjectCache => report.cache.project_bytes,
                Subject::Service(name) => size_of(report, name)?,
            };
            verdicts.push(Verdict {
                rule: format!("{}={}", budget.subject, budget.written),
                limit_bytes: Some(budget.limit_bytes),
                actual_bytes: actual,
                ok: actual.map(|actual| actual <= budget.limit_bytes),
            });
        }
        let Some(growth) = &self.growth else { return Ok(verdicts) };
        for image in report.images.iter().filter(|image| image.id.is_some()) {
            let limit = image.previous_size_bytes.map(|previous| growth.limit(previous));
            verdicts.push(Verdict {
                rule: format!("{} {MAX_GROWTH}={}", image.service, growth.written),
                limit_bytes: limit,
                actual_bytes: image.size_bytes,
                ok: limit.zip(image.size_bytes).map(|(limit, actual)| actual <= limit),
            });
        }
        Ok(verdicts)
    }
}

/// The size of a service's image; the largest where several carry its label.
fn size_of(report: &StatsReport, service: &str) -> Result<Option<u64>, BudgetError> {
    let mut images = report.images.iter().filter(|image| image.service == service).peekable();
    if images.peek().is_none() {
        let mut known: Vec<String> =
            report.images.iter().map(|image| image.service.clone()).collect();
        known.dedup();
        return Err(BudgetError::UnknownService { name: service.to_owned(), known });
    }
    Ok(images.filter_map(|image| image.size_bytes).max())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn budgets_are_names_and_sizes() {
        let budget = |text: &str| Budget::parse(text).map(|it| (it.subject, it.limit_bytes));
        let service = |name: &str| Subject::Service(name.to_owned());
        assert_eq!(budget("api=300MB"), Ok((service("api"), 300_000_000)));
        assert_eq!(budget(" total = 1.5 GiB"), Ok((Subject::Total, 1_610_612_736)));
        assert_eq!(budget("cache=5GB"), Ok((Subject::Cache, 5_000_000_000)));
        assert_eq!(budget("service:cache=0"), Ok((service("cache"), 0)));
        assert_eq!(Budget::parse("service:cache=1B").unwrap().subject.to_string(), "service:cache");
        for wrong in [
            "api",
            "=1MB",
            "api=",
            "api=-1MB",
            "api=1XB",
            "api=.",
            "api=NaN",
            "service:=1B",
            "api=300",
        ] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn growth_is_a_percentage_of_the_earlier_size() {
        let limit = |text: &str, previous| Growth::parse(text).unwrap().limit(previous);
        assert_eq!(limit("10%", 1000), 1100);
        assert_eq!(limit("0", 7), 7);
        assert_eq!(limit("0.125 %", 1_000_000), 1_001_250);
        assert_eq!(limit("100%", u64::MAX), u64::MAX);
        for wrong in ["", "%", "-1%", "NaN", "inf", "ten"] {
            assert!(Growth::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_replaces_the_file() {
        let mut budgets =
            Budgets::from_toml("[budgets]\napi = \"1MB\"\ntotal = \"5B\"\nmax-growth = \"10%\"\n")
                .unwrap();
        let given = ["api=2MB", "worker=3MB"].map(|text| Budget::parse(text).unwrap());
        budgets.replace(given.to_vec(), None);
        let limits: Vec<_> =
            budgets.sizes.iter().map(|it| (it.subject.to_string(), it.limit_bytes)).collect();
        let expected = [("total", 5), ("api", 2_000_000), ("worker", 3_000_000)];
        assert_eq!(limits, expected.map(|(name, limit)| (name.to_owned(), limit)));
        assert_eq!(budgets.growth, Some(Growth::parse("10%").unwrap()));
    }

    #[test]
    fn files_with_anything_else_are_refused() {
        for wrong in
            ["budgets = 1", "[budgets]\napi = true", "[budgets", "[budgets]\nmax-growth = 'x'"]
        {
            assert!(Budgets::from_toml(wrong).is_err(), "{wrong}");
        }
        assert!(Budgets::from_toml("").unwrap().is_empty());
    }
}
