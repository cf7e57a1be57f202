//! Which cache mount a record is, by its description, and which services name it.

use super::facts::ServiceFacts;
use crate::dockerfile::{self, CacheMountSpec};
use crate::inventory::{CacheKind, CacheRecord, MountDescription};

/// What a description tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MountNames {
    /// `id=` as in the Dockerfile; 20.10 does not tell it.
    pub(super) id: Option<String>,
    /// The same with the namespace before it.
    full_id: Option<String>,
    pub(super) target: Option<String>,
    /// The command of the RUN that made it, shell included.
    pub(super) command: String,
}

/// Services that name a mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Services {
    pub(super) names: Vec<String>,
    /// The id they give it.
    pub(super) id: Option<String>,
}

/// Reads the description of a record; nothing of one that is not a cache mount.
pub(super) fn parse(description: &str) -> MountNames {
    let Some(described) = MountDescription::parse(description) else {
        return MountNames::default();
    };
    let id = described.id.clone();
    MountNames {
        full_id: id.clone(),
        id: id.map(|id| id.strip_prefix('/').map(str::to_owned).unwrap_or(id)),
        target: Some(described.target().to_owned()).filter(|target| !target.is_empty()),
        command: described.command().to_owned(),
    }
}

/// How the cache mount that a record is can be called.
pub(super) fn name(declared: &DeclaredMounts, record: &CacheRecord) -> String {
    let named = parse(&record.description);
    let id = named.id.clone().or_else(|| declared.services(&named).id);
    id.or(named.target).unwrap_or_else(|| record.id.clone())
}

/// The cache mounts that the Dockerfiles of services declare, read once for all records.
pub struct DeclaredMounts<'a>(Vec<(&'a ServiceFacts, Vec<Declaration>)>);

/// An instruction that declares cache mounts.
struct Declaration {
    instruction: String,
    specs: Vec<CacheMountSpec>,
}

impl<'a> DeclaredMounts<'a> {
    /// Those of `services`.
    pub fn new(services: &'a [ServiceFacts]) -> Self {
        let declared = |service: &ServiceFacts| {
            let text = service.dockerfile.as_ref().map(|file| file.text.as_str());
            let instructions = text.map(dockerfile::instructions).unwrap_or_default().into_iter();
            let declared = instructions.map(|instruction| {
                let specs = dockerfile::cache_mounts(&instruction);
                Declaration { instruction, specs }
            });
            declared.filter(|declared| !declared.specs.is_empty()).collect()
        };
        Self(services.iter().map(|service| (service, declared(service))).collect())
    }

    /// The services that name the mount: by its id, or where the engine does not tell that, by target and
    /// command.
    pub(super) fn services(&self, named: &MountNames) -> Services {
        let mut found = Services::default();
        for (service, declared) in &self.0 {
            if let Some(spec) = specs(service, declared, named).next() {
                found.names.push(service.name.clone());
                if named.id.is_none() && !spec.id.contains('$') {
                    found.id = Some(spec.id.clone());
                }
            }
        }
        found
    }

    /// How services ask for the cache mount that a record is, each way with the id as the engine has it.
    pub fn asked_for(&self, record: &CacheRecord) -> Vec<(String, CacheMountSpec)> {
        if record.kind != CacheKind::CacheMount {
            return Vec::new();
        }
        let named = parse(&record.description);
        let mut ways = Vec::new();
        for (service, declared) in &self.0 {
            let id = |spec: &CacheMountSpec| match &named.full_id {
                Some(id) => id.clone(),
                None => format!("{}/{}", service.namespace, spec.id),
            };
            ways.extend(specs(service, declared, &named).map(|spec| (id(spec), spec.clone())));
        }
        ways
    }
}

/// The mounts of a service that a description can mean.
fn specs<'m>(
    service: &'m ServiceFacts,
    declared: &'m [Declaration],
    named: &'m MountNames,
) -> impl Iterator<Item = &'m CacheMountSpec> {
    declared.iter().flat_map(move |declared| {
        declared.specs.iter().filter(move |spec| match &named.full_id {
            Some(id) => {
                let rest = id.strip_prefix(&service.namespace).and_then(|id| id.strip_prefix('/'));
                rest.is_some_and(|id| may_be(&spec.id, id))
            }
            None => {
                named.target.as_ref().is_some_and(|target| may_be(&spec.target, target))
                    && is_command(&declared.instruction, &named.command)
            }
        })
    })
}

/// Whether `written`, which may hold variables, can stand for `actual`: what stands between them is there in its order.
fn may_be(written: &str, actual: &str) -> bool {
    let Some((start, mut rest)) = written.split_once('$') else { return written == actual };
    let Some(mut actual) = actual.strip_prefix(start) else { return false };
    loop {
        let after = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}').map_or("", |(_, after)| after),
            None => rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
        let Some((between, next)) = after.split_once('$') else { return actual.ends_with(after) };
        // The first place leaves the most for what follows.
        let Some((_, left)) = actual.split_once(between) else { return false };
        (actual, rest) = (left, next);
    }
}

/// Whether a RUN of the Dockerfile is this command of an engine, which has a shell before it.
fn is_command(instruction: &str, command: &str) -> bool {
    let words = instruction.split_whitespace().skip(1).skip_while(|word| word.starts_with("--"));
    let written = words.collect::<Vec<_>>().join(" ");
    let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
    !written.is_empty() && command.ends_with(&written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::DockerfileFacts;

    fn named(id: Option<&str>, target: &str, command: &str) -> MountNames {
        MountNames {
            id: id.map(str::to_owned),
            full_id: id.map(|id| format!("/{id}")),
            target: Some(target.to_owned()),
            command: command.to_owned(),
        }
    }

    #[test]
    fn descriptions_of_every_release_are_read() {
        let pip = "/root/.cache/pip";
        for (text, expected) in [
            (
                r#"cached mount /root/.cache/pip from exec /bin/sh -c pip install x with id "//root/.cache/pip""#,
                named(Some(pip), pip, "/bin/sh -c pip install x"),
            ),
            (
                r#"cached mount /m from exec /bin/sh -c echo "with id \"x\"" with id "/a-1""#,
                named(Some("a-1"), "/m", r#"/bin/sh -c echo "with id \"x\"""#),
            ),
            ("cached mount /m from exec make all", named(None, "/m", "make all")),
            ("mount / from exec make", MountNames::default()),
        ] {
            assert_eq!(parse(text), expected);
        }
    }

    fn service(name: &str, text: &str) -> ServiceFacts {
        ServiceFacts {
            name: name.to_owned(),
            dockerfile: Some(DockerfileFacts {
                path: "Dockerfile".into(),
                text: text.to_owned(),
                stage: None,
            }),
            ..ServiceFacts::default()
        }
    }

    #[test]
    fn services_are_found_by_id_and_without_one_by_command() {
        let all = [
            service(
                "api",
                "FROM x\nRUN --mount=type=cache,target=/root/.cache/pip pip install a\n",
            ),
            service(
                "worker",
                "FROM x\nRUN --mount=type=cache,id=pip-$TARGETARCH,target=/c \\\n  pip install b\n",
            ),
            service("other", "FROM x\nRUN pip install c\n"),
        ];
        let declared = DeclaredMounts::new(&all);
        let names = |named: &MountNames| declared.services(named).names;
        assert_eq!(names(&named(Some("/root/.cache/pip"), "/elsewhere", "x")), ["api"]);
        assert_eq!(names(&named(Some("pip-arm64"), "/c", "x")), ["worker"]);
        assert!(names(&named(Some("pip"), "/c", "/bin/sh -c pip install b")).is_empty());
        let old = named(None, "/root/.cache/pip", "/bin/sh -c pip install a");
        let found = declared.services(&old);
        assert_eq!(
            (found.names.join(" "), found.id),
            ("api".into(), Some("/root/.cache/pip".into()))
        );
        assert_eq!(names(&named(None, "/c", "/bin/sh -c pip   install b")), ["worker"]);
        assert!(names(&named(None, "/c", "/bin/sh -c pip install a")).is_empty());
    }

    #[test]
    fn variables_stand_for_anything() {
        for (written, actual, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("$X", "", true),
            ("a-${X:-y}-b", "a-1-b", true),
            ("a-$X", "b-1", false),
            ("${X}é$Y", "1éé", true),
            ("$A-b-$B-c", "x-b-b-c-c", true),
            ("$A-b-$B-c", "x-b-b-c-d", false),
            ("$A${B}x", "x", true),
        ] {
            assert_eq!(may_be(written, actual), expected, "{written} {actual}");
        }
        // No way to try them all.
        let actual = "a".repeat(10_000);
        assert!(!may_be(&("${A}".repeat(1000) + "b"), &actual));
        assert!(!may_be(&("a${A}".repeat(1000) + "b"), &actual));
        assert!(may_be(&("a${A}".repeat(1000) + "a"), &actual));
    }
}
