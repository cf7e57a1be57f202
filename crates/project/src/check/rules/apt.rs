//! apt on cache mounts.

use crate::check::case::{Case, Words, cache_targets};
use crate::check::install::Tool;
use crate::check::model::{Edit, Finding, Severity};
use crate::dockerfile::syntax::{Instruction, ShellCommand};

fn is_apt(command: &ShellCommand) -> bool {
    matches!(command.program(), "apt" | "apt-get" | "aptitude")
}

/// A cache mount that two apts may write at once: the second one fails or finds half a file.
pub(super) fn not_locked(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, it) in case.instructions() {
        if !it.commands().iter().any(is_apt) {
            continue;
        }
        for (target, word) in cache_targets(it) {
            let is_aptitudes =
                ["/var/cache/apt", "/var/lib/apt", "/var/lib/apt/lists"].contains(&target.as_str());
            let sharing = word.value.split(',').find_map(|field| field.strip_prefix("sharing="));
            if !is_aptitudes || matches!(sharing, Some("locked" | "private")) {
                continue;
            }
            let words = Words {
                message: format!(
                    "two builds may run apt on the cache mount at {target} at the same time, which apt does not allow"
                ),
                change: "add `sharing=locked` to the mount".to_owned(),
            };
            let mut finding =
                case.finding("apt-cache-not-locked", Severity::Warning, word.span.clone(), words);
            finding.fix = case.fix(match sharing {
                _ if case.syntax.text()[word.span.clone()].contains(['"', '\'', '\n']) => {
                    Vec::new()
                }
                None => vec![Edit::new(word.span.end..word.span.end, ",sharing=locked")],
                Some(_) => {
                    let part = word.part("sharing=shared");
                    part.map(|span| Edit::new(span, "sharing=locked")).into_iter().collect()
                }
            });
            findings.push(finding);
        }
    }
    findings
}

/// Bases whose apt removes packages once they are installed (`/etc/apt/apt.conf.d/docker-clean`).
const CLEANING: [&str; 18] = [
    "debian",
    "ubuntu",
    "python",
    "node",
    "golang",
    "rust",
    "ruby",
    "php",
    "perl",
    "buildpack-deps",
    "gcc",
    "openjdk",
    "eclipse-temurin",
    "maven",
    "gradle",
    "postgres",
    "nginx",
    "nvidia/cuda",
];

/// A cache mount for apt's packages on an image that removes them.
pub(super) fn docker_clean(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_off =
        |text: &str| text.contains("docker-clean") || text.contains("Keep-Downloaded-Packages");
    let text = |it: &Instruction| &case.syntax.text()[it.span.clone()];
    let mut known: Vec<usize> =
        case.instructions().filter(|(_, it)| is_off(text(it))).map(|(index, _)| index).collect();
    for (index, it, installed) in case.installing() {
        let base = it.stage.map_or("", |stage| case.base(stage));
        let (repository, tag) = base.split_once(':').unwrap_or((base, ""));
        let repository = repository.trim_start_matches("docker.io/").trim_start_matches("library/");
        let mount = cache_targets(it).into_iter().find(|(target, _)| target == "/var/cache/apt");
        let Some((_, word)) = mount else { continue };
        let is_apt = installed.iter().any(|install| install.tool == Tool::Apt);
        let is_known = known.contains(&index) || case.earlier(&known, index).next().is_some();
        if !is_apt || !CLEANING.contains(&repository) || tag.contains("alpine") || is_known {
            continue;
        }
        // Of steps on top of each other the first one is enough.
        known.push(index);
        known.sort_unstable();
        let words = Words {
            message: "the base image's docker-clean removes packages after each install, so the cache mount at \
                      /var/cache/apt stays empty"
                .to_owned(),
            change: format!("put `{OFF}` before it"),
        };
        let mut finding =
            case.finding("apt-docker-clean", Severity::Warning, word.span.clone(), words);
        finding.fix = case.fix(vec![Edit::new(it.span.start..it.span.start, format!("{OFF}\n"))]);
        findings.push(finding);
    }
    findings
}

const OFF: &str = "RUN rm -f /etc/apt/apt.conf.d/docker-clean && echo \
                   'Binary::apt::APT::Keep-Downloaded-Packages \"true\";' > /etc/apt/apt.conf.d/keep-cache";
