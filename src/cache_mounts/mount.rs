//! Which cache mounts services have, and which of an engine's records they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::dockerfile::{Beginning, CacheMountSpec, declared_mounts};
use crate::inventory::{CacheKind, CacheRecord, MountDescription};
use crate::sight::{Mount, Sharing};

/// The build argument that BuildKit's Dockerfile frontend puts before ids of cache mounts.
pub const NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// A service as far as its cache mounts depend on it.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What the user calls its Dockerfile.
    pub file: String,
    /// The text of that.
    pub text: String,
    /// The stage that is built, where not the last one.
    pub stage: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// `linux/arm64`, where the service is built for another platform than the engine's.
    pub platform: Option<String>,
}

/// Who uses a mount, and where that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Use {
    /// The service.
    pub service: String,
    /// What the user calls its Dockerfile.
    pub file: String,
    /// The line of the instruction, from 1.
    pub line: usize,
}

/// A cache mount of the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMount {
    /// As it stands in Dockerfiles, variables replaced, with a namespace before it where there is one. The engine's own
    /// id can be another: it is that of `mount`.
    pub id: String,
    /// Where steps see it; the first of several places.
    pub target: String,
    /// How it is asked for.
    pub mount: Mount,
    /// Who uses it.
    pub users: Vec<Use>,
    /// Ids as they are written, with the namespace: an engine that tells of no ids is asked for those.
    pub written: BTreeSet<String>,
    /// Why it is left alone, if it is.
    pub obstacle: Option<Obstacle>,
}

/// Why a mount is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A variable of which only the base image knows the value.
    Variable,
    /// It begins with files of a stage or image.
    Beginning,
    /// A word that BuildKit does not know, either.
    Sharing,
    /// A build has it.
    InUse,
    /// A build is at work, and would get another one.
    Busy,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "a variable that only the base image may set is in it",
            Self::Beginning => "it begins with files of a stage, or a variable says with what",
            Self::Sharing => "how it is shared is not known",
            Self::InUse => "a build is using it",
            Self::Busy => "a build is at work, and it is not shared",
        })
    }
}

impl CacheMount {
    /// A name for files: what people recognise, and what tells mounts of similar ids apart.
    pub fn slug(&self) -> String {
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
        let words: String = self.id.chars().map(plain).collect();
        let words = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
        let words: String = words.chars().take(48).collect();
        let key = format!("{}\n{:?}", self.id, self.mount.beginning);
        let digest = hex::encode(Sha256::digest(key));
        format!("{words}-{}", &digest[..8])
    }

    /// The records of it among those of an engine. `asked_for` tells ids that services give a record.
    pub fn records<'a>(
        &self,
        records: &'a [CacheRecord],
        asked_for: impl Fn(&CacheRecord) -> Vec<(String, CacheMountSpec)>,
    ) -> Vec<&'a CacheRecord> {
        let made_here = self.mount.place();
        let is_it = |record: &&CacheRecord| {
            let begins = match self.mount.beginning {
                Beginning::Directory { .. } => !record.parents.is_empty(),
                Beginning::Empty | Beginning::Other => record.parents.is_empty(),
            };
            let named = |(id, _): &(String, CacheMountSpec)| {
                *id == self.mount.id || self.written.contains(id)
            };
            let is_ours = || {
                let described = MountDescription::parse(&record.description);
                described.is_some_and(|it| it.target() == made_here)
                    || asked_for(record).iter().any(named)
            };
            record.kind == CacheKind::CacheMount && begins && is_ours()
        };
        records.iter().filter(is_it).collect()
    }

    /// What keeps it from being moved now, by its records and those of the engine. Whoever only reads can read beside a
    /// build that shares the mount.
    pub fn obstacle_now(
        &self,
        own: &[&CacheRecord],
        all: &[CacheRecord],
        writes: bool,
    ) -> Option<Obstacle> {
        let in_use = own.iter().any(|record| record.in_use);
        match self.mount.sharing {
            Sharing::Shared if writes && in_use => Some(Obstacle::InUse),
            Sharing::Shared => None,
            Sharing::Locked => in_use.then_some(Obstacle::InUse),
            Sharing::Private if in_use => Some(Obstacle::InUse),
            Sharing::Private => all.iter().any(|record| record.in_use).then_some(Obstacle::Busy),
        }
    }
}

/// What an engine makes of Dockerfiles.
#[derive(Debug, Clone, Copy)]
pub struct Frontend<'a> {
    /// Go's name of its machine.
    pub architecture: &'a str,
    /// Whether it replaces variables in ids: Docker from 23.0 on. 20.10 takes them as they are written.
    pub expands: bool,
}

/// The cache mounts of `services`, each once, by id.
pub fn mounts(services: &[Service], frontend: Frontend<'_>) -> Vec<CacheMount> {
    let mut all: BTreeMap<(String, Beginning), CacheMount> = BTreeMap::new();
    for service in services {
        let namespace = service.args.get(NAMESPACE).map_or("", String::as_str);
        let platform = platform(service.platform.as_deref(), frontend.architecture);
        let stage = service.stage.as_deref();
        for declared in declared_mounts(&service.text, stage, &service.args, &platform) {
            let shown = match namespace {
                "" => declared.spec.id.clone(),
                namespace => format!("{namespace}/{}", declared.spec.id),
            };
            let spec = if frontend.expands { declared.spec } else { declared.written.clone() };
            let CacheMountSpec { id, target, sharing, beginning } = spec;
            let full_id = format!("{namespace}/{id}");
            let sharing = match sharing.as_str() {
                "shared" => Ok(Sharing::Shared),
                "private" => Ok(Sharing::Private),
                "locked" => Ok(Sharing::Locked),
                word if word.contains('$') => Err(Obstacle::Variable),
                _ => Err(Obstacle::Sharing),
            };
            let obstacle = match (sharing, beginning) {
                _ if full_id.contains('$') && frontend.expands => Some(Obstacle::Variable),
                (Err(obstacle), _) => Some(obstacle),
                (_, Beginning::Other) => Some(Obstacle::Beginning),
                _ => None,
            };
            let sharing = sharing.unwrap_or(Sharing::Shared);
            let mount = Mount { id: full_id.clone(), sharing, beginning };
            let known = all.entry((full_id, beginning)).or_insert_with(|| CacheMount {
                id: shown,
                target,
                mount,
                users: Vec::new(),
                written: BTreeSet::new(),
                obstacle,
            });
            // Whoever is the most careful with it knows why.
            known.mount.sharing = known.mount.sharing.max(sharing);
            known.written.insert(format!("{namespace}/{}", declared.written.id));
            let (service, file) = (service.name.clone(), service.file.clone());
            known.users.push(Use { service, file, line: declared.line });
        }
    }
    let mut mounts: Vec<CacheMount> = all.into_values().collect();
    for mount in &mut mounts {
        mount.users.sort();
        mount.users.dedup();
    }
    mounts
}

/// The arguments that an ARG alone brings.
fn platform(of_service: Option<&str>, architecture: &str) -> BTreeMap<String, String> {
    let own = format!("linux/{architecture}");
    let target = of_service.unwrap_or(&own);
    let mut parts = target.splitn(3, '/');
    let (os, arch) = (parts.next().unwrap_or("linux"), parts.next().unwrap_or(architecture));
    [
        ("TARGETPLATFORM", target),
        ("TARGETOS", os),
        ("TARGETARCH", arch),
        ("TARGETVARIANT", parts.next().unwrap_or_default()),
        ("BUILDPLATFORM", &own),
        ("BUILDOS", "linux"),
        ("BUILDARCH", architecture),
        ("BUILDVARIANT", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn on(architecture: &str) -> Frontend<'_> {
        Frontend { architecture, expands: true }
    }

    fn service(name: &str, mounts: &str, args: &[(&str, &str)]) -> Service {
        Service {
            name: name.to_owned(),
            file: format!("{name}/Dockerfile"),
            text: format!("FROM x\nARG TARGETARCH\nARG UID=7\nRUN {mounts} make\n"),
            args: args.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..Service::default()
        }
    }

    #[test]
    fn the_same_mount_of_two_services_is_there_once() {
        let mount = "--mount=type=cache,target=/root/.cache/pip";
        let all = mounts(
            &[
                service("api", mount, &[]),
                service(
                    "worker",
                    &format!(
                        "{mount},sharing=locked --mount=type=cache,id=go-$TARGETARCH,target=/go"
                    ),
                    &[],
                ),
                service("other", mount, &[(NAMESPACE, "ns")]),
            ],
            on("arm64"),
        );
        let ids: Vec<(&str, &str)> =
            all.iter().map(|it| (it.id.as_str(), it.mount.id.as_str())).collect();
        assert_eq!(
            ids,
            [
                ("/root/.cache/pip", "//root/.cache/pip"),
                ("go-arm64", "/go-arm64"),
                ("ns//root/.cache/pip", "ns//root/.cache/pip"),
            ]
        );
        let users: Vec<&str> = all[0].users.iter().map(|it| it.service.as_str()).collect();
        assert_eq!((users, all[0].mount.sharing), (vec!["api", "worker"], Sharing::Locked));
        assert!(all[1].written.contains("/go-$TARGETARCH"));
        assert_eq!(all[0].users[0].line, 4);
        assert!(all.iter().all(|it| it.obstacle.is_none()));
    }

    #[test]
    fn owners_are_expanded_and_what_cannot_be_asked_for_is_left_alone() {
        let options = |text: &str| {
            let mount = format!("--mount=type=cache,target=/c,{text}");
            let found = mounts(&[service("api", &mount, &[])], on("amd64")).remove(0);
            (found.mount.beginning, found.obstacle)
        };
        let owned = Beginning::Directory { uid: 7, gid: 0, mode: 0o755 };
        assert_eq!(options("uid=$UID"), (owned, None));
        assert_eq!(options("uid=$WHO").1, Some(Obstacle::Beginning));
        assert_eq!(options("id=$WHO").1, Some(Obstacle::Variable));
        assert_eq!(options("from=deps").1, Some(Obstacle::Beginning));
        assert_eq!(options("sharing=odd").1, Some(Obstacle::Sharing));
    }

    #[test]
    fn an_old_engine_takes_ids_as_they_are_written() {
        let mount = "--mount=type=cache,id=go-$TARGETARCH,target=/c";
        let old = Frontend { architecture: "amd64", expands: false };
        let found = mounts(&[service("api", mount, &[])], old).remove(0);
        assert_eq!((found.mount.id.as_str(), found.obstacle), ("/go-$TARGETARCH", None));
        // The same mount on another engine.
        let new = mounts(&[service("api", mount, &[])], on("amd64")).remove(0);
        assert_eq!((found.slug(), found.id), (new.slug(), new.id));
    }

    #[test]
    fn names_of_files_tell_mounts_apart() {
        let named = |id: &str| {
            let mount = format!("--mount=type=cache,id={id},target=/c");
            mounts(&[service("api", &mount, &[])], on("amd64")).remove(0).slug()
        };
        assert!(named("/root/.cache/pip").starts_with("root-cache-pip-"));
        assert_ne!(named("a/b"), named("a-b"));
        assert!(named(&"é/../".repeat(99)).len() < 80);
        let plain = |name: String| name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
        assert!(plain(named("../../etc/passwd")) && plain(named("é..é")));
    }

    #[test]
    fn a_mount_in_use_is_left_alone() {
        let record = |in_use| CacheRecord {
            id: "r".into(),
            parents: Vec::new(),
            kind: CacheKind::CacheMount,
            description: String::new(),
            size_bytes: 0,
            in_use,
            shared: false,
            created_at: None,
            last_used_at: None,
            usage_count: 1,
        };
        let now = |sharing: &str, own, other, writes| {
            let mount = format!("--mount=type=cache,target=/c,sharing={sharing}");
            let found = mounts(&[service("api", &mount, &[])], on("amd64")).remove(0);
            let (own, all) = (record(own), [record(other)]);
            found.obstacle_now(&[&own], &all, writes)
        };
        assert_eq!(now("shared", true, true, false), None);
        assert_eq!(now("shared", true, true, true), Some(Obstacle::InUse));
        assert_eq!(now("locked", true, true, false), Some(Obstacle::InUse));
        assert_eq!(now("locked", false, true, true), None);
        assert_eq!(now("private", false, true, true), Some(Obstacle::Busy));
        assert_eq!(now("private", false, false, true), None);
    }
}
