//! Asks the engine, BuildKit within it and the registries, each for itself: what one does not answer hides nothing of the
//! others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::{BuildkitState, EngineState, REGISTRY_ANSWER, Trouble};
use crate::buildkit::{Control, Lookup};
use crate::engine::docker_config::DockerConfig;
use crate::engine::{Connector, Engine, EngineError, registry_of};
use crate::inventory::{CacheKind, CacheRecord, EngineFacts};
use crate::measure;
use crate::sight::Disk;
use crate::usage::gc::Rules;
use crate::usage::{Loss, OwnMounts, ServiceFacts};

/// How long the engine may take for each question.
const ANSWER: Duration = Duration::from_secs(10);
/// What a step looks up: builds of Python projects cannot do without it.
const NAMES: [&str; 1] = ["pypi.org"];
/// How long the step may take. A name server gets 2 s, and there are three at most.
const LOOKUP: Duration = Duration::from_secs(8);
/// Base images whose registries are asked.
const REGISTRIES: usize = 5;

/// What the questions go to.
pub struct Sources<'a> {
    /// How the engine is reached.
    pub connector: &'a Connector,
    /// References of base images.
    pub bases: &'a [String],
    /// The project here, by its name and services.
    pub project: Option<(&'a str, &'a [ServiceFacts])>,
    /// Where builds are remembered, if anywhere.
    pub ledger: Option<&'a PathBuf>,
}

impl Sources<'_> {
    /// What of the project's cache mounts garbage collection takes, and how long until then.
    async fn losses(
        &self,
        engine: &EngineFacts,
        records: &[CacheRecord],
        buildkit: &Result<BuildkitState, String>,
        disk: Option<Disk>,
    ) -> Vec<(Loss, SignedDuration)> {
        let policies = buildkit.as_ref().ok().and_then(|it| it.policies.clone());
        let (Some((project, services)), Some(policies)) = (self.project, policies) else {
            return Vec::new();
        };
        let rules = Rules::new(policies, disk.map(|disk| disk.available_bytes));
        let (engine, ledger, now) = (engine.id.as_str(), self.ledger, Timestamp::now());
        let own = OwnMounts { records, services, project, engine, ledger };
        let losses = own.losses(&rules, records, now).await.into_iter();
        let left =
            |loss: &Loss| loss.from.map_or(SignedDuration::ZERO, |it| it.duration_since(now));
        losses.map(|loss| (loss.clone(), left(&loss))).collect()
    }
}

/// The engine, or why it cannot be asked, and whether it reaches the registries of the base images.
pub async fn gather(
    sources: &Sources<'_>,
    trouble: impl Fn(EngineError) -> Trouble,
) -> (Result<EngineState, Trouble>, Vec<(String, Option<String>)>) {
    let engine = Engine::new(sources.connector);
    let silent = || Trouble {
        message: format!("the engine was silent for {} s", ANSWER.as_secs()),
        hint: Some("is it frozen, or very busy?".to_owned()),
    };
    let before = Timestamp::now();
    let facts = match timeout(ANSWER, engine.facts()).await {
        Ok(Ok(facts)) => facts,
        Ok(Err(error)) => return (Err(trouble(error)), Vec::new()),
        Err(_) => return (Err(silent()), Vec::new()),
    };
    let (machine, cache, (buildkit, lookups), registries) = tokio::join!(
        timeout(ANSWER, engine.machine()),
        timeout(ANSWER, engine.cache_records()),
        builds(sources.connector, &facts),
        registries(&engine, sources.bases),
    );
    let machine = machine.ok().and_then(Result::ok).unwrap_or_default();
    let records = cache.ok().and_then(Result::ok);
    let disk = measure::disk(sources.connector, &facts);
    let all = records.as_deref().unwrap_or_default();
    let losses = sources.losses(&facts, all, &buildkit, disk).await;
    let seen = EngineState {
        clock_ahead: machine.time.map(|time| ahead(time, before, Timestamp::now())),
        disk,
        buildkit,
        lookups,
        cache: records.as_deref().map(bytes),
        losses,
        facts,
        machine,
    };
    (Ok(seen), registries)
}

/// How far `time`, which was read between `before` and `after`, is ahead.
fn ahead(time: Timestamp, before: Timestamp, after: Timestamp) -> SignedDuration {
    if time < before {
        return time.duration_since(before);
    }
    if time > after { time.duration_since(after) } else { SignedDuration::ZERO }
}

/// BuildKit, and what became of names that a step looked up.
async fn builds(
    connector: &Connector,
    facts: &EngineFacts,
) -> (Result<BuildkitState, String>, Option<Result<Vec<Lookup>, String>>) {
    let answer = timeout(ANSWER, buildkit(connector)).await;
    match answer.unwrap_or_else(|_| Err("it is silent".to_owned())) {
        Ok((control, state)) => (Ok(state), Some(lookups(&control, facts).await)),
        Err(why) => (Err(why), None),
    }
}

async fn buildkit(connector: &Connector) -> Result<(Control, BuildkitState), String> {
    let control = Control::connect(connector).await.map_err(|error| error.to_string())?;
    let about = control.about().await.map_err(|error| error.message)?;
    let state = BuildkitState { version: about.version, policies: control.gc_policies().await };
    Ok((control, state))
}

/// Has a step look up [`NAMES`].
async fn lookups(control: &Control, facts: &EngineFacts) -> Result<Vec<Lookup>, String> {
    let found = control.look_up(&facts.architecture, &NAMES.map(str::to_owned), LOOKUP).await;
    found.map_err(|error| error.message)
}

/// Bytes of all records, and of the cache mounts among them.
fn bytes(records: &[CacheRecord]) -> (u64, u64) {
    let all = records.iter().filter(|record| !record.shared);
    let mounts = records.iter().filter(|record| record.kind == CacheKind::CacheMount);
    (all.map(|it| it.size_bytes).sum(), mounts.map(|it| it.size_bytes).sum())
}

/// Whether the engine reaches each registry of `bases`, with an image of it.
async fn registries(engine: &Engine, bases: &[String]) -> Vec<(String, Option<String>)> {
    let mut seen = BTreeSet::new();
    let firsts = bases.iter().filter(|image| seen.insert(registry_of(image).to_owned()));
    let asked = firsts.take(REGISTRIES).map(async |image| {
        let failure = match timeout(REGISTRY_ANSWER, engine.reaches_registry_of(image)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(reason(&error)),
            Err(_) => Some(format!("no answer within {} s", REGISTRY_ANSWER.as_secs())),
        };
        (image.clone(), failure)
    });
    join_all(asked).await
}

fn reason(error: &EngineError) -> String {
    let refusal = error.refusal().map(|(_, message)| message.trim().to_owned());
    refusal.unwrap_or_else(|| error.to_string())
}

/// Programs that docker's configuration names for logins, and whether each is in one of the directories of `path`.
pub fn helpers(config: &DockerConfig, path: &str) -> Vec<(String, bool)> {
    let names = config.creds_store.iter().chain(config.cred_helpers.values());
    let names: BTreeSet<String> = names
        .filter(|name| !name.is_empty())
        .map(|name| format!("docker-credential-{name}"))
        .collect();
    let is_there = |name: &String| {
        path.split(':').any(|directory| is_program(&Path::new(directory).join(name)))
    };
    names.into_iter().map(|name| (name.clone(), is_there(&name))).collect()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
