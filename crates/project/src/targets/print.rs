//! Targets as the bake file that `docker compose build --print` writes: the names of its keys, and its escapes.
//!
//! What bake keeps out of the file (values of secrets, where a target came from) is not here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::targets::target::{Target, TargetSet};

/// A bake file.
#[derive(Serialize)]
struct File<'a> {
    group: BTreeMap<&'a str, Group<'a>>,
    target: BTreeMap<&'a str, Block<'a>>,
}

#[derive(Serialize)]
struct Group<'a> {
    targets: &'a [String],
}

/// A `target` block; nothing is written of what is not set.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Block<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    context: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    contexts: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dockerfile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dockerfile_inline: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    args: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_from: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_to: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secret: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    platforms: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pull: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    no_cache_filter: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    shm_size: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ulimits: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entitlements: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra_hosts: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    output: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attest: Vec<String>,
}

/// The JSON of `docker compose build --print`; empty when there is nothing to build.
pub fn print_json(set: &TargetSet) -> String {
    if set.group.is_empty() {
        return String::new();
    }
    let file = File {
        group: BTreeMap::from([("default", Group { targets: &set.group })]),
        target: set.targets.iter().map(|target| (target.name.as_str(), block(target))).collect(),
    };
    serde_json::to_string_pretty(&file).unwrap_or_default()
}

fn block(target: &Target) -> Block<'_> {
    let policy = target.layer_cache.as_ref();
    Block {
        context: &target.context,
        contexts: &target.contexts,
        dockerfile: target.dockerfile.as_deref(),
        dockerfile_inline: target.dockerfile_inline.as_deref().map(escape),
        args: target.args.iter().map(|(name, value)| (name.as_str(), escape(value))).collect(),
        labels: &target.labels,
        tags: &target.tags,
        cache_from: texts(target.cache_from.iter().chain(policy.iter().flat_map(|it| &it.from))),
        cache_to: texts(target.cache_to.iter().chain(policy.and_then(|it| it.to.as_ref().ok()))),
        target: target.target.as_deref(),
        secret: texts(&target.secrets),
        ssh: texts(&target.ssh),
        platforms: &target.platforms,
        pull: target.pull,
        no_cache: target.no_cache,
        network: target.network.as_deref(),
        no_cache_filter: &target.no_cache_filter,
        shm_size: target.shm_size.as_deref(),
        ulimits: &target.ulimits,
        call: target.call.as_deref(),
        entitlements: &target.entitlements,
        extra_hosts: &target.extra_hosts,
        output: texts(&target.outputs),
        attest: texts(&target.attest),
    }
}

/// Bake would read `${` as its own variable.
fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

fn texts<'a, T: ToString + 'a>(specs: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    specs.into_iter().map(T::to_string).collect()
}
