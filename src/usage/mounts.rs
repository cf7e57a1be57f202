//! Which cache mount a record is, by its description, and which services name it.

use super::facts::ServiceFacts;
use crate::dockerfile::{self, CacheMountSpec};
use crate::inventory::{CacheKind, CacheRecord};

/// What a description tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
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

/// Reads `cached mount TARGET from exec COMMAND with id "/ID"` (BuildKit `solver/llbsolver/mounts`).
/// What stands before the first slash of the id is a namespace, which is empty unless
/// `BUILDKIT_CACHE_MOUNT_NS` sets one.
pub(super) fn parse(description: &str) -> Named {
    let Some(rest) = description.strip_prefix("cached mount ") else { return Named::default() };
    let (rest, id) = match rest.rsplit_once(" with id ") {
        Some((rest, quoted)) => (rest, serde_json::from_str::<String>(quoted).ok()),
        None => (rest, None),
    };
    let (target, from) = rest.split_once(" from ").unwrap_or((rest, ""));
    Named {
        full_id: id.clone(),
        id: id.map(|id| id.strip_prefix('/').map(str::to_owned).unwrap_or(id)),
        target: Some(target.to_owned()).filter(|target| !target.is_empty()),
        command: from.strip_prefix("exec ").unwrap_or(from).to_owned(),
    }
}

/// The services whose Dockerfiles name the mount: by its id, or where the engine does not tell that, by
/// target and command.
pub(super) fn services(services: &[ServiceFacts], named: &Named) -> Services {
    let mut found = Services::default();
    for service in services {
        if let Some(spec) = specs(service, named).into_iter().next() {
            found.names.push(service.name.clone());
            if named.id.is_none() && !spec.id.contains('$') {
                found.id = Some(spec.id);
            }
        }
    }
    found
}

/// How services ask for the cache mount that a record is, each way with the id as the engine has it.
pub fn asked_for(services: &[ServiceFacts], record: &CacheRecord) -> Vec<(String, CacheMountSpec)> {
    if record.kind != CacheKind::CacheMount {
        return Vec::new();
    }
    let named = parse(&record.description);
    let ways = services.iter().flat_map(|service| {
        let id = |spec: &CacheMountSpec| match &named.full_id {
            Some(id) => id.clone(),
            None => format!("{}/{}", service.namespace, spec.id),
        };
        specs(service, &named).into_iter().map(move |spec| (id(&spec), spec))
    });
    ways.collect()
}

/// The mounts of a service that a description can mean.
fn specs(service: &ServiceFacts, named: &Named) -> Vec<CacheMountSpec> {
    let Some(file) = &service.dockerfile else { return Vec::new() };
    let instructions = dockerfile::instructions(&file.text);
    let mounts = instructions.iter().flat_map(|instruction| {
        let specs = dockerfile::cache_mounts(instruction).into_iter();
        specs.filter(move |spec| match &named.full_id {
            Some(id) => {
                let rest = id.strip_prefix(&service.namespace).and_then(|id| id.strip_prefix('/'));
                rest.is_some_and(|id| may_be(&spec.id, id))
            }
            None => {
                named.target.as_ref().is_some_and(|target| may_be(&spec.target, target))
                    && is_command(instruction, &named.command)
            }
        })
    });
    mounts.collect()
}

/// Whether `written`, which may hold variables, can stand for `actual`.
fn may_be(written: &str, actual: &str) -> bool {
    let Some((start, rest)) = written.split_once('$') else { return written == actual };
    let Some(actual) = actual.strip_prefix(start) else { return false };
    let after = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}').map_or("", |(_, after)| after),
        None => rest.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || char == '_'),
    };
    let ends = actual.char_indices().map(|(at, _)| at).chain([actual.len()]);
    ends.into_iter().any(|at| may_be(after, &actual[at..]))
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

    fn named(id: Option<&str>, target: &str, command: &str) -> Named {
        Named {
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
            ("mount / from exec make", Named::default()),
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
        let names = |named: &Named| services(&all, named).names;
        assert_eq!(names(&named(Some("/root/.cache/pip"), "/elsewhere", "x")), ["api"]);
        assert_eq!(names(&named(Some("pip-arm64"), "/c", "x")), ["worker"]);
        assert!(names(&named(Some("pip"), "/c", "/bin/sh -c pip install b")).is_empty());
        let old = named(None, "/root/.cache/pip", "/bin/sh -c pip install a");
        let found = services(&all, &old);
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
        ] {
            assert_eq!(may_be(written, actual), expected, "{written} {actual}");
        }
    }
}
