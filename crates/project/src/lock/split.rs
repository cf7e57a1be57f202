//! uv's answer in two parts, by the size of the wheels.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::lock::torch;
use crate::package_name;

/// What pylock.toml (PEP 751) says of sizes; the rest of it is not read.
#[derive(Debug, Deserialize)]
struct Pylock {
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    wheels: Vec<File>,
    sdist: Option<File>,
    archive: Option<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    url: String,
    size: Option<u64>,
}

impl File {
    fn fits_linux(&self) -> bool {
        let name = self.url.rsplit('/').next().unwrap_or_default();
        name.contains("linux") || name.contains("-any.whl")
    }

    fn is_on_pypi(&self) -> bool {
        self.url.starts_with("https://files.pythonhosted.org/")
    }
}

/// What a package's files are to a Linux image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Download {
    /// Bytes of the largest file that it may download; `None` where the index does not say.
    pub size: Option<u64>,
    /// Every file lies where PyPI keeps its own.
    pub is_on_pypi: bool,
}

/// The downloads of a resolution, by normalised name of the package.
///
/// # Errors
/// `text` is not a pylock.toml.
pub fn downloads(text: &str) -> Result<BTreeMap<String, Download>, toml::de::Error> {
    let lock: Pylock = toml::from_str(text)?;
    let mut downloads: BTreeMap<String, Download> = BTreeMap::new();
    for package in lock.packages {
        let wheels: Vec<&File> = package.wheels.iter().filter(|wheel| wheel.fits_linux()).collect();
        // A source distribution is only taken where no wheel fits; what has neither is for other
        // systems and never downloaded.
        let sources = || package.sdist.iter().chain(&package.archive);
        let size = if !wheels.is_empty() {
            wheels.iter().filter_map(|wheel| wheel.size).max()
        } else if sources().next().is_some() {
            sources().find_map(|file| file.size)
        } else {
            (!package.wheels.is_empty()).then_some(0)
        };
        let is_on_pypi = wheels.iter().copied().chain(sources()).all(File::is_on_pypi);
        // One package may be there in several versions, by markers.
        downloads
            .entry(package_name::normalised(&package.name))
            .and_modify(|known| {
                known.size = known.size.max(size);
                known.is_on_pypi &= is_on_pypi;
            })
            .or_insert(Download { size, is_on_pypi });
    }
    Ok(downloads)
}

/// A resolution in two parts, each in the order of uv. The light part has its comments, too; in the heavy part they
/// would change with every light package that needs a heavy one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Division {
    /// Text of the light part.
    pub light: String,
    /// Text of the heavy part.
    pub heavy: String,
    /// Number of light packages.
    pub light_count: usize,
    /// Number of heavy packages.
    pub heavy_count: usize,
    /// Bytes of the heavy packages' largest Linux wheels.
    pub heavy_bytes: u64,
    /// Packages without a known size: they count as light, unless they were heavy before.
    pub unknown: Vec<String>,
    /// Every light package is on PyPI.
    pub is_light_on_pypi: bool,
    /// Every heavy package is on PyPI.
    pub is_heavy_on_pypi: bool,
}

/// Splits `pins`, uv's requirements format: what has wheels of at least `threshold` bytes is heavy. `before` is the
/// heavy part so far.
pub fn split(
    pins: &str,
    downloads: &BTreeMap<String, Download>,
    threshold: u64,
    before: &str,
) -> Division {
    let mut split =
        Division { is_light_on_pypi: true, is_heavy_on_pypi: true, ..Division::default() };
    let was_heavy: BTreeSet<String> = blocks(before).into_iter().map(name).collect();
    let mut heavy_names = BTreeSet::new();
    let mut light_names = BTreeSet::new();
    for block in blocks(pins) {
        let name = name(block);
        let Download { size, is_on_pypi } =
            downloads.get(&name).copied().unwrap_or(Download { size: None, is_on_pypi: false });
        let is_heavy = size.map_or_else(
            || was_heavy.contains(&name) || torch::is_heavy(&name),
            |size| size >= threshold,
        );
        if is_heavy {
            split.heavy.push_str(&without_comments(block));
            split.is_heavy_on_pypi &= is_on_pypi;
            if heavy_names.insert(name) {
                split.heavy_bytes += size.unwrap_or_default();
            }
            continue;
        }
        if size.is_none() && !split.unknown.contains(&name) {
            split.unknown.push(name.clone());
        }
        split.light.push_str(block);
        split.is_light_on_pypi &= is_on_pypi;
        light_names.insert(name);
    }
    (split.light_count, split.heavy_count) = (light_names.len(), heavy_names.len());
    split
}

/// A lock's text without what no installer reads.
pub fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).fold(
        String::new(),
        |mut kept, line| {
            kept.push_str(line);
            kept.push('\n');
            kept
        },
    )
}

/// What changed from one resolution to the next, sorted: `a 1 -> 2`, `+ b 1`, `- c 1`.
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (versions(before), versions(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old != new => Some(format!("{name} {old} -> {new}")),
            (None, Some(new)) => Some(format!("+ {name} {new}")),
            (Some(old), None) => Some(format!("- {name} {old}")),
            _ => None,
        })
        .collect()
}

fn versions(pins: &str) -> BTreeMap<String, String> {
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    for block in blocks(pins) {
        let line = block.lines().next().unwrap_or_default();
        let line = line.split(';').next().unwrap_or_default().trim_end_matches(['\\', ' ']);
        let version = line.split_once("==").or_else(|| line.split_once(" @ "));
        let version = version.map_or("", |(_, version)| version.trim());
        versions
            .entry(name(block))
            .and_modify(|known| {
                known.push('|');
                known.push_str(version);
            })
            .or_insert_with(|| version.to_owned());
    }
    versions
}

/// The text package by package: each begins at the start of a line and goes on indented.
fn blocks(pins: &str) -> Vec<&str> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in pins.split_inclusive('\n') {
        if line.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([pins.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &pins[start..end]).collect()
}

fn name(block: &str) -> String {
    package_name::split(block).0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PINS: &str = "amqp==5.4.2 \\\n    --hash=sha256:aa\n    # via kombu\n\
        numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:bb\n\
        numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:cc\n\
        Own_Thing @ https://example.org/own.whl \\\n    --hash=sha256:dd\n\
        torch==2.15.0 \\\n    --hash=sha256:ee\n    # via\n    #   docling\n";
    const PYLOCK: &str = r#"
lock-version = "1.0"
[[packages]]
name = "amqp"
sdist = { url = "https://h/amqp.tar.gz", size = 133663 }
wheels = [{ url = "https://h/amqp-5-py3-none-any.whl", size = 51956 }]
[[packages]]
name = "numpy"
wheels = [{ url = "https://h/numpy-2.4.6-cp311-manylinux_2_27_x86_64.whl", size = 16000000 },
  { url = "https://h/numpy-2.4.6-cp311-win_amd64.whl", size = 99000000 }]
[[packages]]
name = "numpy"
wheels = [{ url = "https://h/numpy-2.5.5-cp312-manylinux_2_27_x86_64.whl", size = 9000000 }]
[[packages]]
name = "own-thing"
archive = { url = "https://example.org/own.whl" }
[[packages]]
name = "torch"
wheels = [{ url = "https://h/torch-2.15.0-cp311-manylinux_2_28_x86_64.whl", size = 539000000 }]
[[packages]]
name = "pywin32"
wheels = [{ url = "https://h/pywin32-312-cp311-win_amd64.whl", size = 99000000 }]
"#;

    #[test]
    fn wheels_of_other_systems_do_not_count() {
        let downloads = downloads(PYLOCK).unwrap();
        let size = |name: &str| downloads[name].size;
        assert_eq!(size("amqp"), Some(51_956));
        assert_eq!(size("numpy"), Some(16_000_000));
        assert_eq!(size("pywin32"), Some(0));
        assert_eq!(size("own-thing"), None);
    }

    #[test]
    fn nothing_is_lost_and_all_versions_of_a_package_stay_together() {
        let parts = split(PINS, &downloads(PYLOCK).unwrap(), 10_000_000, "");
        assert!(parts.heavy.starts_with("numpy==2.4.6") && parts.heavy.contains("numpy==2.5.5"));
        assert!(parts.heavy.ends_with("--hash=sha256:ee\n"));
        assert!(parts.light.starts_with("amqp") && parts.light.contains("Own_Thing @"));
        assert_eq!((parts.light_count, parts.heavy_count), (2, 2));
        assert_eq!(parts.heavy_bytes, 555_000_000);
        assert_eq!(parts.unknown, ["own-thing"]);
        let all = format!("{}{}", without_comments(&parts.light), parts.heavy);
        assert_eq!(all.len(), without_comments(PINS).len());
    }

    #[test]
    fn what_needs_a_heavy_package_does_not_change_the_heavy_part() {
        let downloads = downloads(PYLOCK).unwrap();
        let before = split(PINS, &downloads, 10_000_000, "");
        let more = PINS.replace("#   docling\n", "#   -r requirements.in\n    #   docling\n");
        assert_ne!(more, PINS);
        let after = split(&(more + "sniffio==1.3 \\\n    --hash=x\n"), &downloads, 10_000_000, "");
        assert_eq!(after.heavy, before.heavy);
    }

    #[test]
    fn a_heavy_package_stays_heavy_where_the_index_says_no_size() {
        let parts = split(PINS, &BTreeMap::new(), 10_000_000, "Amqp==5\n");
        // PyTorch's own index says no sizes either.
        assert!(parts.heavy.contains("torch==2.15.0") && parts.heavy.starts_with("amqp"));
        assert_eq!(
            (parts.heavy_count, parts.unknown),
            (2, vec!["numpy".to_owned(), "own-thing".to_owned()])
        );
    }

    #[test]
    fn where_the_files_of_a_part_are_is_known() {
        let lock = "[[packages]]\nname = 'amqp'\n\
            wheels = [{ url = 'https://files.pythonhosted.org/amqp-5-py3-none-any.whl', size = 1 }]\n\
            [[packages]]\nname = 'torch'\n\
            wheels = [{ url = 'https://download.pytorch.org/torch-2-linux.whl', size = 99 }]\n";
        let parts = split("amqp==5\ntorch==2\n", &downloads(lock).unwrap(), 50, "");
        assert_eq!((parts.is_light_on_pypi, parts.is_heavy_on_pypi), (true, false));
    }

    #[test]
    fn the_threshold_itself_is_heavy() {
        let downloads = downloads(PYLOCK).unwrap();
        assert_eq!(split(PINS, &downloads, 51_956, "").light_count, 1);
        assert_eq!(split(PINS, &downloads, 51_957, "").light_count, 2);
    }

    #[test]
    fn changes_are_told_by_package() {
        let after = PINS.replace("amqp==5.4.2", "amqp==5.5").replace("torch==2.15.0", "zstd==1");
        let told = changes(PINS, &after);
        assert_eq!(told, ["amqp 5.4.2 -> 5.5", "- torch 2.15.0", "+ zstd 1"]);
        assert!(changes(PINS, PINS).is_empty());
    }
}
