//! Facts to findings.

use jiff::SignedDuration;

use super::finding::{fine, note, problem, troubled, warning};
use super::{BuildkitState, EngineState, Facts, Finding, Verdict, dns};
use crate::buildkit::GcPolicy;
use crate::inventory::Store;
use crate::release;
use crate::terminal::format;
use crate::usage::Loss;

/// Clocks that are further apart make times of the history, and certificates, wrong.
const CLOCK_DRIFT: SignedDuration = SignedDuration::from_secs(5);
/// From here on TLS and tokens of registries fail.
const CLOCK_WRONG: SignedDuration = SignedDuration::from_mins(2);
/// A build cache of images with torch is larger.
const SMALL_CACHE: u64 = 10_000_000_000;
/// Seconds that builds lose, from which on that is said.
const WORTH_A_WORD: f64 = 60.0;
/// The first release with everything that builds here use: history with logs (24.0), named contexts (23.0).
const MODERN: u32 = 24;

/// What is to be said, in the order in which one would look.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &facts.engine {
        Some(Ok(seen)) => engine(facts, seen, &mut findings),
        Some(Err(trouble)) => findings.push(troubled("engine", trouble)),
        None => {}
    }
    match &facts.builder {
        Some(Ok(builder)) => findings.push(fine("builder", format!("builds go to {builder}"))),
        Some(Err(trouble)) => {
            findings.push(Finding { verdict: Verdict::Warning, ..troubled("builder", trouble) })
        }
        None => {}
    }
    credentials(facts, &mut findings);
    for (image, failure) in &facts.registries {
        findings.push(match failure {
            None => fine("registry", format!("the engine reaches the registry of {image}")),
            Some(why) => warning(
                "registry",
                format!("the engine does not reach the registry of {image}: {why}"),
                "builds go on with base images that are there; a proxy of the engine stands in its daemon.json (`proxies`)",
            ),
        });
    }
    findings.push(match &facts.history {
        Ok(directory) => fine("history", format!("builds are remembered in {directory}")),
        Err(why) => warning(
            "history",
            format!("builds are not remembered: {why}"),
            "set DOC2MD_DOCKER_STATE_DIR to a directory that you can write to",
        ),
    });
    findings
}

fn engine(facts: &Facts, seen: &EngineState, findings: &mut Vec<Finding>) {
    let release = &seen.facts.version;
    let rootless = if seen.machine.is_rootless { ", rootless" } else { "" };
    let (address, api) = (&facts.address, seen.facts.api_version);
    let message = format!("Docker {release} (API {api}{rootless}) answers at {address}");
    findings.push(match release::major(release) {
        Some(major) if major < MODERN => warning(
            "engine",
            format!(
                "{message}; it is old: logs of earlier builds need 24.0, `additional_contexts` 23.0"
            ),
            "update the engine; 24.0 and later have everything that is used here",
        ),
        _ => fine("engine", message),
    });
    findings.push(store(seen));
    buildkit(seen, findings);
    disk(seen, findings);
    garbage_collection(seen, findings);
    findings.extend(clock(seen));
    findings.extend(dns::findings(seen.lookups.as_ref(), facts.has_proxy));
    if seen.facts.cgroup_version == "1" {
        findings.push(note(
            "cgroups",
            "version 1: engines do not measure what steps take of CPU and memory".to_owned(),
            "boot with systemd.unified_cgroup_hierarchy=1 for version 2",
        ));
    }
    for text in seen.machine.warnings.iter().filter(|text| !text.trim().is_empty()) {
        let text = text.trim().trim_start_matches("WARNING: ");
        findings.push(Finding { advice: None, ..note("engine", text.to_owned(), "") });
    }
}

fn store(seen: &EngineState) -> Finding {
    let driver = &seen.facts.driver;
    match seen.facts.store {
        Store::Containerd => {
            fine("store", format!("images are in the containerd store ({driver})"))
        }
        _ => note(
            "store",
            format!(
                "images are in the graph driver {driver}: one platform, no attestations, caches only inline"
            ),
            "`\"features\": {\"containerd-snapshotter\": true}` in daemon.json changes that; images have to be built again",
        ),
    }
}

fn buildkit(seen: &EngineState, findings: &mut Vec<Finding>) {
    findings.push(match &seen.buildkit {
        // Distributions build engines without saying which BuildKit is in them.
        Ok(BuildkitState { version: Some(version), .. }) if !version.starts_with("v0.0.0") => {
            fine("buildkit", format!("BuildKit {version} answers"))
        }
        Ok(_) => fine("buildkit", "BuildKit answers".to_owned()),
        Err(why) => problem(
            "buildkit",
            format!("BuildKit within the engine does not answer: {why}"),
            "builds need it: it comes with Docker 18.09 and later; a proxy before the socket has to let `Upgrade` pass",
        ),
    });
}

fn disk(seen: &EngineState, findings: &mut Vec<Finding>) {
    let Some(disk) = &seen.disk else {
        let message = "the engine's disk is not on this machine, or cannot be seen from here";
        let advice = "`doc2md-docker stats` looks at it from within a build";
        findings.push(note("disk", message.to_owned(), advice));
        return;
    };
    let (free, all) = (format::bytes(disk.available_bytes), format::bytes(disk.size_bytes));
    let message = format!("{free} of {all} are free for images and cache");
    let advice = "`doc2md-docker clean --dry-run` says what could go, `stats` what takes the space";
    findings.push(match disk {
        disk if disk.available_bytes < disk.size_bytes / 50 => problem("disk", message, advice),
        disk if disk.is_short() => warning("disk", message, advice),
        _ => fine("disk", message),
    });
}

fn garbage_collection(seen: &EngineState, findings: &mut Vec<Finding>) {
    let Ok(BuildkitState { policies: Some(policies), .. }) = &seen.buildkit else { return };
    let used = seen.cache.map_or(0, |(all, _)| all);
    // The last rule is the one that lets anything go.
    let Some(last) = policies.last() else {
        findings.push(note(
            "garbage-collection",
            format!("is off: the build cache ({}) grows until somebody cleans", format::bytes(used)),
            "`\"builder\": {\"gc\": {\"enabled\": true, \"defaultKeepStorage\": \"50GB\"}}` in daemon.json",
        ));
        return;
    };
    let limit = last.limit();
    let advice = "raise it: `\"builder\": {\"gc\": {\"enabled\": true, \"defaultKeepStorage\": \"50GB\"}}` in daemon.json";
    findings.push(match limit {
        None => fine("garbage-collection", "the build cache has no limit of its own".to_owned()),
        Some(limit) if limit < SMALL_CACHE || used > limit / 10 * 9 => warning(
            "garbage-collection",
            format!(
                "the build cache may take {} and takes {}: what a build needs again may be gone by then",
                format::bytes(limit),
                format::bytes(used)
            ),
            advice,
        ),
        Some(limit) => {
            let (limit, used) = (format::bytes(limit), format::bytes(used));
            fine("garbage-collection", format!("the build cache may take {limit} and takes {used}"))
        }
    });
    findings.extend(mounts(seen, policies));
    findings.extend(seen.losses.iter().filter_map(loss));
}

const MOUNTS_LAST: &str = "`doc2md-docker stats` says when each is due; in daemon.json, `\"builder\": {\"gc\": {\"enabled\": true, \
    \"policy\": [{\"filter\": [\"type=regular\"], \"keepStorage\": \"40GB\"}, {\"all\": true, \"keepStorage\": \"80GB\"}]}}` \
    takes layers first";

/// The rule that takes cache mounts first, where there is one.
fn mounts(seen: &EngineState, policies: &[GcPolicy]) -> Option<Finding> {
    let is_it = |policy: &&GcPolicy| policy.filters.iter().any(|it| it.contains("exec.cachemount"));
    let policy = policies.iter().find(is_it)?;
    let hours = policy.keep_for.as_secs() / 3600;
    let limit = policy.limit()?;
    let bytes = seen.cache.map(|(_, mounts)| mounts).filter(|bytes| *bytes > limit)?;
    Some(note(
        "cache-mounts",
        format!(
            "take {}; above {} those go first that no build has used for {hours} h",
            format::bytes(bytes),
            format::bytes(limit)
        ),
        MOUNTS_LAST,
    ))
}

/// A cache mount that goes, where builds lose minutes with it.
fn loss((loss, left): &(Loss, SignedDuration)) -> Option<Finding> {
    let seconds = loss.worth.saves_seconds;
    if seconds < WORTH_A_WORD {
        return None;
    }
    let longer = format::seconds(seconds);
    let up_to = if loss.worth.is_bound { "up to " } else { "" };
    let name = &loss.name;
    let goes = match left.is_zero() {
        true => format!("the next garbage collection takes {name}"),
        false => {
            let left = format::age(left.as_secs().unsigned_abs());
            format!("garbage collection takes {name} in {left}, unless a build uses it")
        }
    };
    Some(warning(
        "cache-mounts",
        format!("{goes}; then builds take {up_to}{longer} longer"),
        "`doc2md-docker cache keep` from a timer keeps it, or rules in daemon.json that take layers first",
    ))
}

fn clock(seen: &EngineState) -> Option<Finding> {
    let ahead = seen.clock_ahead?;
    let apart = ahead.abs();
    let word = if ahead.is_negative() { "behind" } else { "ahead of" };
    let message = format!("the engine's clock is {} s {word} this machine's", apart.as_secs());
    let advice = "set both by NTP (`timedatectl set-ntp true`); a virtual machine that slept needs a restart";
    Some(match apart {
        apart if apart >= CLOCK_WRONG => {
            problem("clock", format!("{message}: certificates and logins fail"), advice)
        }
        apart if apart >= CLOCK_DRIFT => warning("clock", message, advice),
        _ => fine("clock", "the engine's clock is this machine's".to_owned()),
    })
}

fn credentials(facts: &Facts, findings: &mut Vec<Finding>) {
    for damage in &facts.config_damage {
        findings.push(warning(
            "credentials",
            damage.clone(),
            "correct the file: logins in it are not used until then",
        ));
    }
    for (helper, is_there) in &facts.helpers {
        findings.push(match is_there {
            true => fine("credentials", format!("{helper} is there")),
            false => problem(
                "credentials",
                format!("{helper}, which docker's configuration names, is not in PATH: logins fail"),
                "install it, or take it out of `credsStore` and `credHelpers` in docker's config.json",
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Trouble;
    use super::*;
    use crate::buildkit::Lookup;
    use crate::engine::Machine;
    use crate::inventory::{ApiVersion, EngineFacts};
    use crate::sight::Disk;
    use crate::usage::MountWorth;

    const GB: u64 = 1_000_000_000;

    /// An engine without fault.
    fn healthy() -> Facts {
        let facts = EngineFacts {
            id: "id".to_owned(),
            version: "28.5.2".to_owned(),
            api_version: ApiVersion::v1(51),
            store: Store::Containerd,
            driver: "overlayfs".to_owned(),
            os: "linux".to_owned(),
            architecture: "x86_64".to_owned(),
            data_root: "/var/lib/docker".to_owned(),
            host: "here".to_owned(),
            kernel: "6.1".to_owned(),
            cgroup_version: "2".to_owned(),
        };
        let policy = GcPolicy { all: true, max_used_bytes: 100 * GB, ..GcPolicy::default() };
        let resolved =
            Lookup { name: "pypi.org".to_owned(), is_resolved: true, ..Lookup::default() };
        let seen = EngineState {
            facts,
            machine: Machine::default(),
            clock_ahead: Some(SignedDuration::ZERO),
            disk: Some(disk(200, 120)),
            buildkit: Ok(BuildkitState {
                version: Some("v0.25.1".to_owned()),
                policies: Some(vec![policy]),
            }),
            lookups: Some(Ok(vec![resolved])),
            cache: Some((9 * GB, GB)),
            losses: Vec::new(),
        };
        Facts {
            address: "unix:///run/docker.sock".to_owned(),
            engine: Some(Ok(seen)),
            helpers: vec![("docker-credential-pass".to_owned(), true)],
            registries: vec![("python:3.12".to_owned(), None)],
            history: Ok("/home/me/.local/state/doc2md-docker".to_owned()),
            ..Facts::default()
        }
    }

    fn disk(size: u64, free: u64) -> Disk {
        Disk { size_bytes: size * GB, free_bytes: free * GB, available_bytes: free * GB }
    }

    fn seen(facts: &mut Facts) -> &mut EngineState {
        facts.engine.as_mut().unwrap().as_mut().unwrap()
    }

    /// A mount that goes in some hours.
    fn lost(saves_seconds: f64, is_bound: bool, hours: i64) -> (Loss, SignedDuration) {
        let worth = MountWorth { saves_seconds, is_bound };
        (Loss { name: "pip".to_owned(), from: None, worth }, SignedDuration::from_hours(hours))
    }

    fn policies(facts: &mut Facts) -> &mut Vec<GcPolicy> {
        seen(facts).buildkit.as_mut().unwrap().policies.as_mut().unwrap()
    }

    fn lookup(facts: &mut Facts) -> &mut Lookup {
        &mut seen(facts).lookups.as_mut().unwrap().as_mut().unwrap()[0]
    }

    /// What is said beyond that all is well.
    fn told(facts: &Facts) -> Vec<(&'static str, Verdict, String)> {
        let findings = diagnose(facts).into_iter();
        let bad = findings.filter(|finding| finding.verdict != Verdict::Fine);
        bad.map(|finding| (finding.check, finding.verdict, finding.message)).collect()
    }

    #[test]
    fn a_healthy_engine_is_fine() {
        assert_eq!(told(&healthy()), []);
        assert_eq!(diagnose(&healthy()).len(), 10);
    }

    #[test]
    fn each_fault_is_named_and_has_a_remedy() {
        type Break = fn(&mut Facts);
        let faults: &[(Break, &str, Verdict, &str)] = &[
            (
                |it| {
                    it.engine = Some(Err(Trouble {
                        message: "no such socket".to_owned(),
                        hint: Some("start it".to_owned()),
                    }))
                },
                "engine",
                Verdict::Problem,
                "no such socket",
            ),
            (
                |it| seen(it).facts.version = "20.10.24".to_owned(),
                "engine",
                Verdict::Warning,
                "it is old",
            ),
            (
                |it| {
                    seen(it).facts.store = Store::GraphDriver;
                    seen(it).facts.driver = "overlay2".to_owned();
                },
                "store",
                Verdict::Note,
                "graph driver overlay2",
            ),
            (
                |it| seen(it).buildkit = Err("refused".to_owned()),
                "buildkit",
                Verdict::Problem,
                "does not answer: refused",
            ),
            (
                |it| seen(it).disk = Some(disk(200, 2)),
                "disk",
                Verdict::Problem,
                "2.0 GB of 200.0 GB",
            ),
            (
                |it| seen(it).disk = Some(disk(200, 30)),
                "disk",
                Verdict::Warning,
                "30.0 GB of 200.0 GB",
            ),
            (|it| seen(it).disk = None, "disk", Verdict::Note, "cannot be seen"),
            (|it| policies(it).clear(), "garbage-collection", Verdict::Note, "is off"),
            (
                |it| policies(it)[0].max_used_bytes = 2 * GB,
                "garbage-collection",
                Verdict::Warning,
                "may take 2.0 GB and takes 9.0 GB",
            ),
            (
                |it| seen(it).cache = Some((95 * GB, GB)),
                "garbage-collection",
                Verdict::Warning,
                "may take 100.0 GB and takes 95.0 GB",
            ),
            (
                |it| {
                    let rule = GcPolicy {
                        filters: vec!["type==source.local,type==exec.cachemount".to_owned()],
                        keep_for: std::time::Duration::from_secs(48 * 3600),
                        max_used_bytes: GB / 2,
                        ..GcPolicy::default()
                    };
                    policies(it).insert(0, rule);
                },
                "cache-mounts",
                Verdict::Note,
                "above 500.0 MB those go first that no build has used for 48 h",
            ),
            (
                |it| seen(it).losses = vec![lost(125.0, false, 0), lost(5.0, false, 0)],
                "cache-mounts",
                Verdict::Warning,
                "the next garbage collection takes pip; then builds take 2m05s longer",
            ),
            (
                |it| seen(it).losses = vec![lost(60.0, true, 3)],
                "cache-mounts",
                Verdict::Warning,
                "takes pip in 3h, unless a build uses it; then builds take up to 1m00s longer",
            ),
            (
                |it| seen(it).clock_ahead = Some(SignedDuration::from_secs(-30)),
                "clock",
                Verdict::Warning,
                "30 s behind",
            ),
            (
                |it| seen(it).clock_ahead = Some(SignedDuration::from_hours(2)),
                "clock",
                Verdict::Problem,
                "7200 s ahead of",
            ),
            (
                |it| lookup(it).is_resolved = false,
                "dns",
                Verdict::Problem,
                "builds do not resolve pypi.org",
            ),
            (
                |it| seen(it).facts.cgroup_version = "1".to_owned(),
                "cgroups",
                Verdict::Note,
                "version 1",
            ),
            (
                |it| seen(it).machine.warnings = vec!["WARNING: no swap limit".to_owned()],
                "engine",
                Verdict::Note,
                "no swap limit",
            ),
            (
                |it| it.helpers[0].1 = false,
                "credentials",
                Verdict::Problem,
                "docker-credential-pass, which",
            ),
            (
                |it| it.config_damage = vec!["it is ignored".to_owned()],
                "credentials",
                Verdict::Warning,
                "it is ignored",
            ),
            (
                |it| it.registries[0].1 = Some("no route".to_owned()),
                "registry",
                Verdict::Warning,
                "of python:3.12: no route",
            ),
            (
                |it| it.history = Err("read-only".to_owned()),
                "history",
                Verdict::Warning,
                "not remembered: read-only",
            ),
            (
                |it| {
                    it.builder = Some(Err(Trouble {
                        message: "not supported".to_owned(),
                        hint: Some("other".to_owned()),
                    }))
                },
                "builder",
                Verdict::Warning,
                "not supported",
            ),
        ];
        for (fault, check, verdict, says) in faults {
            let mut facts = healthy();
            fault(&mut facts);
            let told = told(&facts);
            let [(told_check, told_verdict, message)] = told.as_slice() else {
                panic!("{says}: {told:?}")
            };
            assert_eq!((told_check, told_verdict), (check, verdict), "{message}");
            assert!(message.contains(says), "{message} says nothing of {says}");
            let findings = diagnose(&facts);
            let finding = findings.iter().find(|it| it.verdict != Verdict::Fine).unwrap();
            assert!(finding.advice.is_some() || *says == "no swap limit", "{finding:?}");
        }
        let mut rootless = healthy();
        seen(&mut rootless).machine.is_rootless = true;
        assert!(diagnose(&rootless)[0].message.contains("rootless"));
    }
}
