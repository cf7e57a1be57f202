//! The layer cache that `--caches` means: where it is, and what each target reads of it and writes to it. Pure: which branch
//! is built, and whether it may write, is a parameter.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::size;
use crate::targets::spec::{Spec, SpecError};
use crate::targets::target::{CacheValue, LayerCache, Target};

/// The longest tag of a registry (OCI distribution specification, "Pulling manifests").
const LONGEST_TAG: usize = 128;
/// Bytes a second that a place moves, where nobody says how many: what runners of CI get from their caches.
const RATE: u64 = 50_000_000;
/// Digits of the digest in a name that does not say everything.
const DIGITS: usize = 12;

/// The value of `--caches`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSetting {
    home: Home,
    mode: Option<String>,
    rate: u64,
    /// Whether it is written, whoever builds; `None` leaves that to the rules.
    pub write: Option<bool>,
}

/// Where caches are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Home {
    /// A repository of a registry.
    Registry(String),
    /// A folder of this machine.
    Folder(String),
    /// The cache service of GitHub Actions.
    GitHub,
}

/// What is built, and who may write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// Name of the project.
    pub project: String,
    /// The branch whose cache is written, if one is.
    pub own: Option<String>,
    /// Branches whose caches are read, the nearest first.
    pub reads: Vec<String>,
    /// Why nothing is written, where the rules say so.
    pub refusal: Option<String>,
}

impl CacheSetting {
    /// Reads `PLACE[,mode=min|max][,rate=SIZE][,write=true|false]`; `None` for an empty one. A relative folder is one of `directory`.
    ///
    /// # Errors
    /// It is neither a repository, nor a folder, nor `gha`, or an attribute is not one of these.
    pub fn read(text: &str, directory: &Path) -> Result<Option<Self>, SpecError> {
        let fail =
            |reason: String| SpecError { what: "layer cache", text: text.to_owned(), reason };
        let mut fields = text.split(',').map(str::trim);
        let place = fields.next().unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(None);
        }
        let mut setting = Self {
            home: home(place, directory).map_err(fail)?,
            mode: None,
            rate: RATE,
            write: None,
        };
        for field in fields {
            match field.split_once('=') {
                Some(("mode", mode @ ("min" | "max"))) => setting.mode = Some(mode.to_owned()),
                Some(("rate", rate)) => match size::parse(rate) {
                    Ok(bytes) if bytes > 0 => setting.rate = bytes,
                    _ => return Err(fail(format!("{rate:?} is not a size, such as 30MB"))),
                },
                Some(("write", "true")) => setting.write = Some(true),
                Some(("write", "false")) => setting.write = Some(false),
                _ => {
                    let reason = format!(
                        "{field:?} is not mode=min, mode=max, rate=SIZE, write=true or write=false"
                    );
                    return Err(fail(reason));
                }
            }
        }
        Ok(Some(setting))
    }

    /// Where it is, as messages call it.
    pub fn place(&self) -> &str {
        match &self.home {
            Home::Registry(place) | Home::Folder(place) => place,
            Home::GitHub => "the GitHub Actions cache",
        }
    }

    /// Whether it is the cache service of GitHub Actions, which keeps 10 GB for a repository.
    pub fn is_github(&self) -> bool {
        self.home == Home::GitHub
    }

    /// Whether it is a folder of this machine, which no one else reads.
    pub fn is_folder(&self) -> bool {
        matches!(self.home, Home::Folder(_))
    }

    /// What `target` reads and writes. `stages` are those in its image, where its Dockerfile has others, too: what these made
    /// is kept if that is worth it, which no layer of the image has.
    pub fn of_target(
        &self,
        policy: &CachePolicy,
        target: &Target,
        stages: Option<BTreeSet<String>>,
    ) -> LayerCache {
        let name = |branch: &String| name(&policy.project, target, branch);
        let to = match (self.write, &policy.refusal, &policy.own) {
            (Some(false), _, _) => Err("write=false".to_owned()),
            (None, Some(why), _) => Err(why.clone()),
            (_, _, None) => Err("no branch is checked out".to_owned()),
            (_, _, Some(own)) => {
                let default = if stages.is_some() { "max" } else { "min" };
                Ok(self.export(&name(own), self.mode.as_deref().unwrap_or(default)))
            }
        };
        let from = policy.reads.iter().map(|branch| self.import(&name(branch))).collect();
        let value = stages.filter(|_| self.mode.is_none());
        let value = value.map(|stages| CacheValue { rate: self.rate, stages });
        LayerCache { place: self.place().to_owned(), from, to, value }
    }

    fn import(&self, name: &str) -> Spec {
        match &self.home {
            Home::Registry(place) => {
                Spec::plain("registry").with("ref", &format!("{place}:{name}"))
            }
            Home::Folder(path) => Spec::plain("local").with("src", path).with("tag", name),
            Home::GitHub => Spec::plain("gha").with("scope", name),
        }
    }

    fn export(&self, name: &str, mode: &str) -> Spec {
        let spec = match &self.home {
            // An image's manifest instead of an index: some registries take no index of layers.
            Home::Registry(place) => Spec::plain("registry")
                .with("ref", &format!("{place}:{name}"))
                .with("image-manifest", "true"),
            Home::Folder(path) => Spec::plain("local").with("dest", path).with("tag", name),
            Home::GitHub => {
                return Spec::plain("gha")
                    .with("scope", name)
                    .with("mode", mode)
                    .with("ignore-error", "true");
            }
        };
        // Layers that are compressed already stay as they are: that takes `force-compression`.
        spec.with("oci-mediatypes", "true")
            .with("compression", "zstd")
            .with("mode", mode)
            .with("ignore-error", "true")
    }
}

fn home(place: &str, directory: &Path) -> Result<Home, String> {
    let folder = place.strip_prefix("dir:");
    if place == "gha" {
        return Ok(Home::GitHub);
    }
    if let Some(path) = folder.or_else(|| place.starts_with(['.', '/']).then_some(place)) {
        let path = crate::compose::join(directory, Path::new(path));
        // The specs of caches are records of CSV.
        return match path.to_str().filter(|it| !it.contains([',', '"', '\n'])) {
            Some(path) => Ok(Home::Folder(path.to_owned())),
            None => {
                Err("a folder with a comma, a quote or a line break cannot be named".to_owned())
            }
        };
    }
    let is_plain =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "._-/".contains(char);
    let (first, path) = place.split_once('/').unwrap_or((place, ""));
    let is_host = first.contains(['.', ':']) || first == "localhost";
    let is_fine = path.split('/').all(|part| !part.is_empty()) && path.chars().all(is_plain);
    let first_is_fine = first.chars().all(|char| {
        is_plain(char)
            || is_host && (char == ':' || char.is_ascii_uppercase() || "[]".contains(char))
    });
    if is_fine && first_is_fine {
        return Ok(Home::Registry(place.to_owned()));
    }
    Err("it is neither a repository without a tag, such as registry.example.com/cache, nor dir:FOLDER, nor gha".to_owned())
}

/// The name of a cache: project, target and branch, where all of them can be read in it, with a digest of them where not.
/// Neither names of projects nor those of targets have a dot, so no two of them have the same.
fn name(project: &str, target: &Target, branch: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    let kept = |text: &str| -> String {
        text.chars().map(|char| if plain(char) { char } else { '-' }).collect()
    };
    let parts = [
        vec![project, &target.name],
        target.platforms.iter().map(String::as_str).collect(),
        vec![branch],
    ]
    .concat();
    let whole = kept(&parts.join("."));
    let says_all = target.platforms.is_empty()
        && [project, &target.name, branch]
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(plain))
        && !project.contains('.')
        && !project.starts_with('-')
        && !target.name.contains('.')
        && whole.len() <= LONGEST_TAG
        && !ends_as_digest(branch);
    if says_all {
        return whole;
    }
    let digest = hex::encode(Sha256::digest(parts.join("\0")));
    let room = LONGEST_TAG - DIGITS - 1;
    let short: String = whole.trim_start_matches(['.', '-']).chars().take(room).collect();
    let separator = if short.is_empty() { "" } else { "-" };
    format!("{short}{separator}{}", &digest[..DIGITS])
}

/// Whether a name could be taken for one with a digest.
fn ends_as_digest(branch: &str) -> bool {
    let end = branch.rsplit('-').next().unwrap_or_default();
    end.len() == DIGITS && end.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn target(name: &str, platforms: &[&str]) -> Target {
        let platforms = platforms.iter().map(|it| (*it).to_owned()).collect();
        Target { name: name.to_owned(), platforms, ..Target::default() }
    }

    fn setting(text: &str) -> CacheSetting {
        CacheSetting::read(text, Path::new("/srv/app")).unwrap().unwrap()
    }

    fn policy(own: Option<&str>, reads: &[&str], refusal: Option<&str>) -> CachePolicy {
        CachePolicy {
            project: "shop".to_owned(),
            own: own.map(str::to_owned),
            reads: reads.iter().map(|it| (*it).to_owned()).collect(),
            refusal: refusal.map(str::to_owned),
        }
    }

    fn shown(text: &str, policy: &CachePolicy, has_stages: bool) -> String {
        let stages = has_stages.then(|| BTreeSet::from(["prod".to_owned()]));
        let cache = setting(text).of_target(policy, &target("api", &[]), stages);
        let from: Vec<String> = cache.from.iter().map(|it| format!("from {it}\n")).collect();
        let to = cache.to.map_or_else(|why| format!("not: {why}"), |to| format!("to {to}"));
        format!("{}{to}", from.concat())
    }

    #[test]
    fn a_branch_reads_its_own_cache_and_that_of_main_and_writes_its_own() {
        let branch = policy(Some("fix/1"), &["fix/1", "main"], None);
        insta::assert_snapshot!(shown("registry.example.com/cache", &branch, true), @r"
        from type=registry,ref=registry.example.com/cache:shop.api.fix-1-0071e16eb08a
        from type=registry,ref=registry.example.com/cache:shop.api.main
        to type=registry,ref=registry.example.com/cache:shop.api.fix-1-0071e16eb08a,image-manifest=true,oci-mediatypes=true,compression=zstd,mode=max,ignore-error=true
        ");
        let main = policy(Some("main"), &["main"], None);
        insta::assert_snapshot!(shown("dir:cache", &main, false), @r"
        from type=local,src=/srv/app/cache,tag=shop.api.main
        to type=local,dest=/srv/app/cache,tag=shop.api.main,oci-mediatypes=true,compression=zstd,mode=min,ignore-error=true
        ");
        insta::assert_snapshot!(shown("gha,mode=min", &main, true), @r"
        from type=gha,scope=shop.api.main
        to type=gha,scope=shop.api.main,mode=min,ignore-error=true
        ");
    }

    #[test]
    fn who_may_not_write_reads() {
        let request = policy(Some("fix"), &["fix", "main"], Some("a pull request does not write"));
        assert!(shown("gha", &request, true).ends_with("not: a pull request does not write"));
        assert!(
            shown("gha,write=true", &request, false).contains("to type=gha,scope=shop.api.fix,")
        );
        let detached = policy(None, &["main"], None);
        assert!(shown("gha", &detached, true).ends_with("not: no branch is checked out"));
        let main = policy(Some("main"), &["main"], None);
        assert!(shown("gha,write=false", &main, true).ends_with("not: write=false"));
    }

    #[test]
    fn other_stages_are_kept_by_what_they_are_worth_unless_somebody_says() {
        let main = policy(Some("main"), &["main"], None);
        let value = |text: &str, stages: &[&str]| {
            let stages =
                (!stages.is_empty()).then(|| stages.iter().map(|it| (*it).into()).collect());
            setting(text).of_target(&main, &target("api", &[]), stages).value
        };
        let stages = BTreeSet::from(["prod".to_owned()]);
        let expected = |rate| Some(CacheValue { rate, stages: stages.clone() });
        assert_eq!(value("gha", &["prod"]), expected(RATE));
        assert_eq!(value("gha,rate=1GB", &["prod"]), expected(1_000_000_000));
        assert_eq!(value("gha,mode=max", &["prod"]), None);
        assert_eq!(value("gha", &[]), None);
    }

    #[test]
    fn what_is_not_a_place_is_refused() {
        for text in [
            "registry.example.com/cache:tag",
            "registry.example.com",
            "https://registry.example.com/cache",
            "cache",
            "User/cache",
            "registry.example.com/cache/",
            "gha,scope=x",
            "gha,write=maybe",
            "gha,rate=30",
            "gha,rate=0",
            "dir:a\"b",
        ] {
            assert!(CacheSetting::read(text, Path::new("/")).is_err(), "{text}");
        }
        for text in ["localhost:5000/cache", "user/cache", "[::1]:5000/a/b", "./c", "/c", "dir:c"] {
            assert!(CacheSetting::read(text, Path::new("/")).unwrap().is_some(), "{text}");
        }
        assert_eq!(CacheSetting::read(" ", Path::new("/")).unwrap(), None);
    }

    #[test]
    fn no_two_caches_have_one_name() {
        let long = "x".repeat(200);
        let almost = format!("{}y", "x".repeat(199));
        let digest = name("p", &target("t", &[]), "a/b");
        let literal = digest.strip_prefix("p.t.").unwrap().to_owned();
        let mut names: Vec<String> =
            ["main", "Main", "a/b", "a-b", "a.b", &literal, &long, &almost, "é", "ü", "-x", ".x"]
                .iter()
                .map(|branch| name("p", &target("t", &[]), branch))
                .collect();
        names.push(name("p", &target("t_", &[]), "main"));
        names.push(name("p_t", &target("t", &[]), "main"));
        names.push(name("-p", &target("t", &[]), "main"));
        names.push(name("p", &target("t", &["linux/arm64"]), "main"));
        names.push(name("p", &target("t", &[]), "linux-arm64.main"));
        for name in &names {
            let mut chars = name.chars();
            let first = chars.next().unwrap();
            assert!(first.is_ascii_alphanumeric() || first == '_', "{name}");
            assert!(chars.all(|it| it.is_ascii_alphanumeric() || "._-".contains(it)), "{name}");
            assert!(name.len() <= LONGEST_TAG, "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
