//! `--set TARGET.KEY[.NAME][+]=VALUE`, as `docker buildx bake` applies it.

use std::collections::{BTreeMap, BTreeSet};

use crate::build_context::glob::match_name;
use crate::compose::{ComposeError, parse_bool};
use crate::nearest::{did_you_mean, nearest};
use crate::targets::spec::{Secret, Spec, SpecError, SshKey};
use crate::targets::target::{Target, TargetSet};

/// Finds the value of a variable, if it is set.
type Lookup<'a> = dyn Fn(&str) -> Result<Option<&'a String>, ComposeError> + 'a;

/// One parsed override.
struct Override<'a> {
    key: &'a str,
    name: Option<&'a str>,
    append: bool,
    value: String,
}

/// Applies `assignments` in order to the targets they match.
///
/// # Errors
///
/// A malformed assignment, a pattern that matches no target, an unknown key or a wrong value.
pub fn apply(
    set: &mut TargetSet,
    assignments: &[String],
    variable: &Lookup<'_>,
) -> Result<(), ComposeError> {
    // The first assignment to a list replaces it; later ones add to it.
    let mut replaced: BTreeSet<(String, String)> = BTreeSet::new();
    for text in assignments {
        let wrong = |reason: &str| {
            ComposeError::usage(format!("invalid --set {text}: {reason}"))
                .hint("write TARGET.KEY=VALUE, such as `*.platform=linux/arm64`")
        };
        let (left, value) = match text.split_once('=') {
            Some((left, value)) => (left, Some(value)),
            None => (text.as_str(), None),
        };
        let (path, append) = match left.strip_suffix('+') {
            Some(path) => (path, true),
            None => (left, false),
        };
        let mut parts = path.splitn(3, '.');
        let (Some(pattern), Some(key)) = (parts.next(), parts.next()) else {
            return Err(wrong("a target and a key are needed"));
        };
        let name = parts.next();
        let value = match (value, key, name) {
            (Some(value), ..) => value.to_owned(),
            (None, "args", Some(name)) => match variable(name)? {
                Some(value) => value.clone(),
                None => continue,
            },
            _ => return Err(wrong("a value is needed")),
        };
        let matched = matching(set, pattern);
        if matched.is_empty() {
            let names = set.targets.iter().map(|target| target.name.as_str());
            let near =
                did_you_mean(pattern, names).map_or(String::new(), |near| format!(", {near}"));
            return Err(wrong(&format!("no target matches `{pattern}`{near}")));
        }
        for target in set.targets.iter_mut().filter(|target| matched.contains(&target.name)) {
            let first = replaced.insert((target.name.clone(), key.to_owned()));
            let change = Override { key, name, append: append || !first, value: value.clone() };
            let is_set = |name: &str| !matches!(variable(name), Ok(None));
            change.apply(target, &is_set).map_err(|reason| wrong(&reason))?;
        }
    }
    Ok(())
}

fn matching(set: &TargetSet, pattern: &str) -> BTreeSet<String> {
    let names = set.targets.iter().map(|target| &target.name);
    names.filter(|name| match_name(pattern.as_bytes(), name.as_bytes())).cloned().collect()
}

impl Override<'_> {
    fn apply(self, target: &mut Target, is_set: &dyn Fn(&str) -> bool) -> Result<(), String> {
        match self.key {
            "context" => {
                target.places.forget("context");
                target.context = self.value;
            }
            "dockerfile" => {
                target.places.forget("dockerfile");
                target.dockerfile = Some(self.value);
            }
            "target" => target.target = Some(self.value),
            "call" => target.call = Some(self.value),
            "network" => target.network = Some(self.value),
            "shm-size" => target.shm_size = Some(self.value),
            "no-cache" => target.no_cache = self.flag()?,
            "pull" => target.pull = self.flag()?,
            "push" => {
                let push = self.flag()?;
                target.outputs = pushed(&target.outputs, push);
            }
            "load" => {
                if self.flag()? {
                    target.outputs = vec![Spec::plain("docker")];
                }
            }
            "args" => self.entry(&mut target.args)?,
            "contexts" => {
                target.places.forget("additional_contexts");
                self.entry(&mut target.contexts)?;
            }
            "labels" => self.entry(&mut target.labels)?,
            "extra-hosts" => self.entry(&mut target.extra_hosts)?,
            "tags" => self.texts(&mut target.tags),
            "platform" => self.texts(&mut target.platforms),
            "cache-from" => self.list(&mut target.cache_from, Spec::cache)?,
            "cache-to" => self.list(&mut target.cache_to, Spec::cache)?,
            "secrets" => self.list(&mut target.secrets, |text| Secret::read(text, is_set))?,
            "ssh" => self.list(&mut target.ssh, |text| Ok(SshKey::read(text)))?,
            "output" => self.list(&mut target.outputs, Spec::output)?,
            "no-cache-filter" => self.texts(&mut target.no_cache_filter),
            "ulimits" => self.texts(&mut target.ulimits),
            "entitlements" => target.entitlements.push(self.value),
            "attest" => {
                let own = Spec::attestation(&self.value).map_err(|error| error.reason)?;
                target.attest.retain(|known| known.kind != own.kind);
                target.attest.push(own);
            }
            "annotations" | "policy" | "resources" | "secret" => {
                return Err(format!("the key `{}` is not supported", self.key));
            }
            other => return Err(unknown_key(other)),
        }
        Ok(())
    }

    fn flag(&self) -> Result<bool, String> {
        parse_bool(&self.value).ok_or_else(|| format!("`{}` is neither true nor false", self.value))
    }

    fn entry(self, map: &mut BTreeMap<String, String>) -> Result<(), String> {
        let name = self.name.ok_or_else(|| format!("`{}` needs a name", self.key))?;
        map.insert(name.to_owned(), self.value);
        Ok(())
    }

    fn texts(self, list: &mut Vec<String>) {
        // A text is what it says.
        let _ = self.list(list, |text| Ok(text.to_owned()));
    }

    fn list<T>(
        self,
        list: &mut Vec<T>,
        read: impl Fn(&str) -> Result<T, SpecError>,
    ) -> Result<(), String> {
        if !self.append {
            list.clear();
        }
        // Nothing is an empty list, not a list with nothing in it.
        if !self.value.is_empty() {
            list.push(read(&self.value).map_err(|error| error.reason)?);
        }
        Ok(())
    }
}

/// The keys that [`Override::apply`] takes, for whoever misspells one.
const KEYS: &[&str] = &[
    "args",
    "attest",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "contexts",
    "dockerfile",
    "entitlements",
    "extra-hosts",
    "labels",
    "load",
    "network",
    "no-cache",
    "no-cache-filter",
    "output",
    "platform",
    "pull",
    "push",
    "secrets",
    "shm-size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];

/// Keys of compose files and options that bake has by another name.
const OF_COMPOSE: &[(&str, &str)] = &[
    ("additional-contexts", "contexts"),
    ("build-arg", "args"),
    ("build-args", "args"),
    ("image", "tags"),
    ("outputs", "output"),
    ("platforms", "platform"),
    ("tag", "tags"),
];

fn unknown_key(key: &str) -> String {
    let dashed = key.replace('_', "-");
    let known =
        OF_COMPOSE.iter().find(|(theirs, _)| *theirs == dashed).map(|(_, ours)| (*ours).to_owned());
    match known.or_else(|| nearest(&dashed, KEYS.iter().copied())) {
        Some(near) => format!("unknown key `{key}`, did you mean `{near}`?"),
        None => format!("unknown key `{key}`; the keys are {}", KEYS.join(", ")),
    }
}

/// `push=true` on image exporters; a docker export turns into a registry one.
fn pushed(outputs: &[Spec], push: bool) -> Vec<Spec> {
    let is_plain = |output: &Spec, kind: &str| *output == Spec::plain(kind);
    if !push {
        let kept = outputs.iter().filter(|output| !is_plain(output, "registry"));
        let unpushed = |output: &Spec| match output.attrs.get("push") {
            Some(push) if push == "true" => output.clone().with("push", "false"),
            _ => output.clone(),
        };
        return kept.map(unpushed).collect();
    }
    let pushed = |output: &Spec| match &*output.kind {
        "image" => output.clone().with("push", "true"),
        _ if is_plain(output, "docker") => Spec::plain("registry"),
        _ => output.clone(),
    };
    let mut changed: Vec<Spec> = outputs.iter().map(pushed).collect();
    if changed.is_empty() {
        changed.push(Spec::plain("registry"));
    }
    changed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set() -> TargetSet {
        let target = |name: &str| Target {
            name: name.into(),
            tags: vec![format!("{name}:1")],
            args: BTreeMap::from([("A".into(), "1".into())]),
            outputs: vec![Spec::plain("docker")],
            ..Target::default()
        };
        let targets = vec![target("api"), target("worker")];
        TargetSet { group: vec!["api".into(), "worker".into()], targets, ..TargetSet::default() }
    }

    fn run(assignments: &[&str]) -> Result<TargetSet, String> {
        let mut set = set();
        let assignments: Vec<String> = assignments.iter().map(|text| (*text).into()).collect();
        let environment = BTreeMap::from([("SET".to_owned(), "env".to_owned())]);
        apply(&mut set, &assignments, &|name| Ok(environment.get(name)))
            .map_err(|error| error.to_string())?;
        Ok(set)
    }

    #[test]
    fn changes_what_the_pattern_matches() {
        let set = run(&["*.platform=linux/arm64", "api.target=dev", "w*.args.A=2"]).unwrap();
        assert_eq!(set.targets[0].platforms, ["linux/arm64"]);
        assert_eq!(set.targets[0].target.as_deref(), Some("dev"));
        assert_eq!(set.targets[0].args["A"], "1");
        assert_eq!(set.targets[1].target, None);
        assert_eq!(set.targets[1].args["A"], "2");
    }

    #[test]
    fn lists_are_replaced_once_and_then_grow() {
        let set = run(&["api.tags=x", "api.tags=y", "worker.tags+=z"]).unwrap();
        assert_eq!(set.targets[0].tags, ["x", "y"]);
        assert_eq!(set.targets[1].tags, ["worker:1", "z"]);
    }

    #[test]
    fn nothing_empties_a_list() {
        let set = run(&["api.tags=", "api.output=", "worker.tags=", "worker.tags=b"]).unwrap();
        assert!(set.targets[0].tags.is_empty() && set.targets[0].outputs.is_empty());
        assert_eq!(set.targets[1].tags, ["b"]);
    }

    #[test]
    fn flags_environment_and_outputs() {
        let set =
            run(&["api.args.SET", "api.args.UNSET", "api.no-cache=1", "*.push=true"]).unwrap();
        assert_eq!(set.targets[0].args["SET"], "env");
        assert!(!set.targets[0].args.contains_key("UNSET"));
        assert!(set.targets[0].no_cache);
        assert_eq!(set.targets[1].outputs, [Spec::plain("registry")]);
        assert_eq!(run(&["api.labels.a.b=c"]).unwrap().targets[0].labels["a.b"], "c");
    }

    #[test]
    fn refuses_what_it_cannot_apply() {
        for (text, reason) in [
            ("api=1", "a target and a key are needed"),
            ("api.target", "a value is needed"),
            ("nope.target=x", "no target matches `nope`"),
            (
                "api.nope=x",
                "unknown key `nope`; the keys are args, attest, cache-from, cache-to, call, context, contexts, dockerfile, entitlements, extra-hosts, labels, load, network, no-cache, no-cache-filter, output, platform, pull, push, secrets, shm-size, ssh, tags, target, ulimits",
            ),
            ("api.platfrom=x", "unknown key `platfrom`, did you mean `platform`?"),
            ("api.platforms=x", "unknown key `platforms`, did you mean `platform`?"),
            ("api.cache_from=x", "unknown key `cache_from`, did you mean `cache-from`?"),
            ("api.build_args.A=x", "unknown key `build_args`, did you mean `args`?"),
            ("ap.target=x", "no target matches `ap`, did you mean `api`?"),
            ("api.pull=maybe", "`maybe` is neither true nor false"),
            ("api.args=x", "`args` needs a name"),
            ("api.annotations=x", "the key `annotations` is not supported"),
            ("api.output=dest=x,a=b", "it has no type"),
            ("api.cache-to=type=local,x", "field \"x\" must be KEY=VALUE"),
            ("api.secrets=src=x", "it has no id"),
        ] {
            assert_eq!(run(&[text]).unwrap_err(), format!("invalid --set {text}: {reason}"));
        }
    }

    #[test]
    fn every_key_that_is_offered_is_taken() {
        for key in KEYS.iter().chain(OF_COMPOSE.iter().map(|(_, ours)| ours)) {
            let applied = apply(&mut set(), &[format!("api.{key}.NAME=true")], &|_| Ok(None));
            let said = applied.map_err(|error| error.to_string());
            assert!(!said.is_err_and(|said| said.contains("unknown key")), "{key}");
        }
    }
}
