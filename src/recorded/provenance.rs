//! Provenance as BuildKit writes it: the operations of a build without what is of one session, the text of the Dockerfile,
//! and which images it began with. Two forms of one document: SLSA v0.2 up to BuildKit 0.27, v1 since. Pure.
//!
//! Whatever is missing or has another form is not known; nothing here fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::history::record::sha256;
use crate::image_reference;
use crate::redact::Redactor;

/// Operations of one build that are read, as many as steps are kept.
const MOST_OPERATIONS: usize = 10_000;
/// How the address of a client's directory begins.
const LOCAL: &str = "local://";
/// How that of an image does.
const IMAGE: &str = "docker-image://";
/// Attributes of a source that say which part of a directory was sent, and to whom, not what was done with it.
const OF_A_SESSION: [&str; 7] = [
    "local.session",
    "local.unique",
    "local.sharedkeyhint",
    "local.followpaths",
    "local.includepattern",
    "local.excludepatterns",
    "local.differ",
];

/// What is known of a build from its provenance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// Operations by the digest of their vertexes.
    pub operations: HashMap<String, Operation>,
    /// Digests of the images that it began with, by reference as steps name them.
    pub images: HashMap<String, String>,
    /// Name and text of the Dockerfile.
    pub dockerfile: Option<(String, String)>,
}

/// What one vertex did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Digest of what it did, and of everything below it: equal ones were asked for the same. `None` where something
    /// below is not known.
    pub whole: Option<String>,
    /// What it did by itself, as text to compare.
    pub own: String,
    /// The process that it ran, if it did.
    pub exec: Option<Exec>,
    /// Images below it and their digests, where these are known.
    pub images: BTreeMap<String, Option<String>>,
    /// Whether it, or anything below, reads what can be another thing under the same name: files of a client, a git
    /// repository, a URL.
    pub stands_on_files: bool,
    /// Whether it reads such itself.
    pub reads_files: bool,
    /// What of it, as far as that is told.
    pub paths: Vec<String>,
}

/// A process of a RUN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Directory.
    pub cwd: String,
    /// User; empty for the image's own.
    pub user: String,
    /// Everything else: mounts, network, limits.
    pub rest: String,
}

/// The parts of a document that are read.
pub(super) struct Sections<'a> {
    /// The operations.
    pub(super) config: &'a Value,
    materials: &'a Value,
    metadata: &'a Value,
}

impl<'a> Sections<'a> {
    /// Those of `document`; what is missing is null.
    pub(super) fn read(document: &'a Value) -> Self {
        // A statement of in-toto may be around it.
        let document = document.get("predicate").unwrap_or(document);
        match document.get("buildDefinition") {
            Some(definition) => Self {
                config: &definition["internalParameters"]["buildConfig"],
                materials: &definition["resolvedDependencies"],
                metadata: &document["runDetails"]["metadata"]["buildkit_metadata"],
            },
            None => Self {
                config: &document["buildConfig"],
                materials: &document["materials"],
                metadata: &document["metadata"]["https://mobyproject.org/buildkit@v1#metadata"],
            },
        }
    }
}

impl Provenance {
    /// Takes out what must not be shown.
    pub fn redact(&mut self, redactor: &Redactor) {
        for operation in self.operations.values_mut() {
            operation.paths.iter_mut().for_each(|path| *path = redactor.text(path));
            let Some(exec) = &mut operation.exec else { continue };
            exec.args.iter_mut().for_each(|text| *text = redactor.text(text));
            for (name, value) in &mut exec.env {
                *value = redactor.argument(name, value);
            }
        }
    }

    /// Makes one operation of those of a group, which stand for one step.
    pub fn add_group(&mut self, group: &str, members: &BTreeSet<String>) {
        let all: Option<Vec<&Operation>> =
            members.iter().map(|digest| self.operations.get(digest)).collect();
        let Some(all) = all.filter(|all| !all.is_empty()) else { return };
        // Their digests differ from session to session, and so does their order.
        let mut own: Vec<&str> = all.iter().map(|it| it.own.as_str()).collect();
        own.sort_unstable();
        let whole: Option<Vec<&str>> = all.iter().map(|it| it.whole.as_deref()).collect();
        let whole = whole.map(|mut whole| {
            whole.sort_unstable();
            sha256(whole.join("\n").as_bytes())
        });
        let mut paths: Vec<String> = all.iter().flat_map(|it| it.paths.clone()).collect();
        paths.dedup();
        let operation = Operation {
            whole,
            own: own.join("\n"),
            exec: None,
            images: all.iter().flat_map(|it| it.images.clone()).collect(),
            stands_on_files: all.iter().any(|it| it.stands_on_files),
            reads_files: all.iter().any(|it| it.reads_files),
            paths,
        };
        self.operations.insert(group.to_owned(), operation);
    }

    /// Takes what one document says; of a build for several platforms there is one of each.
    pub fn add(&mut self, document: &[u8]) {
        let Ok(document) = serde_json::from_slice::<Value>(document) else { return };
        let Sections { config, materials, metadata } = Sections::read(&document);
        self.add_operations(config, &digests(materials));
        if self.dockerfile.is_none() {
            self.dockerfile = dockerfile(&metadata["source"]["infos"]);
        }
    }

    fn add_operations(&mut self, config: &Value, images: &HashMap<String, Option<String>>) {
        let mut by_id: HashMap<&str, Operation> = HashMap::new();
        let none = Vec::new();
        let definition = config["llbDefinition"].as_array().unwrap_or(&none);
        // What an operation reads stands before it.
        for entry in definition.iter().take(MOST_OPERATIONS) {
            let Some(id) = entry["id"].as_str() else { continue };
            let image = image(&entry["op"]["Op"]).map(|(reference, digest)| {
                let known = images.get(&image_reference::full(&reference));
                let digest = digest.or_else(|| known.cloned().flatten());
                (reference, digest)
            });
            if let Some((reference, Some(digest))) = &image {
                self.images.insert(reference.clone(), digest.clone());
            }
            let operation = operation(entry, image, &by_id);
            by_id.insert(id, operation);
        }
        let mapping = config["digestMapping"].as_object();
        for (digest, id) in mapping.into_iter().flatten() {
            if let Some(operation) = id.as_str().and_then(|id| by_id.get(id)) {
                self.operations.insert(digest.clone(), operation.clone());
            }
        }
    }
}

fn operation(
    entry: &Value,
    image: Option<(String, Option<String>)>,
    known: &HashMap<&str, Operation>,
) -> Operation {
    let (op, platform) = (&entry["op"]["Op"], &entry["op"]["platform"]);
    let op = without_session(op);
    // With a graph driver the address of an image does not say which one it was.
    let digest = image.as_ref().and_then(|(_, digest)| digest.as_deref()).unwrap_or_default();
    let own = format!("{op} {platform} {digest}");
    let none = Vec::new();
    let inputs = entry["inputs"].as_array().unwrap_or(&none);
    // `step3:0`: the first result of an operation.
    let input = |input: &Value| {
        let (id, index) = input.as_str()?.split_once(':')?;
        Some((known.get(id)?, index.to_owned()))
    };
    let below: Option<Vec<_>> = inputs.iter().map(input).collect();
    let whole = below.as_ref().and_then(|below| {
        let mut text = own.clone();
        for (operation, index) in below {
            text += &format!("\n{} {index}", operation.whole.as_ref()?);
        }
        Some(sha256(text.as_bytes()))
    });
    let is_source =
        |it: &Operation| it.reads_files && it.exec.is_none() && it.own.starts_with(SOURCE);
    let below = below.unwrap_or_default();
    let sources: Vec<bool> = below.iter().map(|(it, _)| is_source(it)).collect();
    let moves = op.get("source").is_some_and(moves);
    let paths = read_paths(&op, &sources);
    let mut images: BTreeMap<String, Option<String>> = image.into_iter().collect();
    below.iter().for_each(|(it, _)| images.extend(it.images.clone()));
    Operation {
        whole,
        images,
        exec: op.get("exec").map(exec),
        stands_on_files: moves || below.iter().any(|(it, _)| it.stands_on_files),
        reads_files: moves || sources.contains(&true),
        paths,
        own,
    }
}

/// How the text of a source begins.
const SOURCE: &str = "{\"source\":";

/// Whether a source can be another thing under the same address: all but images, which have their digests.
fn moves(source: &Value) -> bool {
    !source["identifier"].as_str().is_some_and(|address| address.starts_with(IMAGE))
}

/// The image that an operation is, and its digest where the address has it.
fn image(op: &Value) -> Option<(String, Option<String>)> {
    let address = op["source"]["identifier"].as_str()?.strip_prefix(IMAGE)?;
    Some(match address.split_once('@') {
        Some((name, digest)) => (name.to_owned(), Some(digest.to_owned())),
        None => (address.to_owned(), None),
    })
}

/// What an operation does, without what differs between two builds that ask for the same, which is not a part of BuildKit's
/// cache key: session, proxies, addresses of hosts, ids of cache mounts.
fn without_session(op: &Value) -> Value {
    let mut op = op.clone();
    if let Some(source) = op.get_mut("source") {
        let is_local = source["identifier"].as_str().is_some_and(|it| it.starts_with(LOCAL));
        let attrs = source.get_mut("attrs").and_then(Value::as_object_mut);
        if let Some(attrs) = attrs.filter(|_| is_local) {
            attrs.retain(|name, _| !OF_A_SESSION.contains(&name.as_str()));
        }
    }
    if let Some(exec) = op.get_mut("exec") {
        if let Some(meta) = exec.get_mut("meta").and_then(Value::as_object_mut) {
            meta.remove("proxy_env");
            meta.remove("proxyEnv");
            let hosts = meta.get_mut("extraHosts").and_then(Value::as_array_mut);
            for host in hosts.into_iter().flatten().filter_map(Value::as_object_mut) {
                host.remove("IP");
            }
        }
        let mounts = exec.get_mut("mounts").and_then(Value::as_array_mut);
        for mount in mounts.into_iter().flatten() {
            if let Some(cache) = mount.get_mut("cacheOpt").and_then(Value::as_object_mut) {
                cache.remove("ID");
            }
        }
    }
    op
}

fn exec(exec: &Value) -> Exec {
    let texts = |list: &Value| -> Vec<String> {
        let all = list.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let meta = &exec["meta"];
    let variable = |text: String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text, String::new()),
    };
    let mut rest = exec.clone();
    if let Some(meta) = rest.get_mut("meta").and_then(Value::as_object_mut) {
        ["args", "env", "cwd", "user"].iter().for_each(|name| drop(meta.remove(*name)));
    }
    Exec {
        args: texts(&meta["args"]),
        env: texts(&meta["env"]).into_iter().map(variable).collect(),
        cwd: text(&meta["cwd"]),
        user: text(&meta["user"]),
        rest: rest.to_string(),
    }
}

/// The paths that a copy takes, or a RUN mounts, of inputs that are `sources`.
fn read_paths(op: &Value, sources: &[bool]) -> Vec<String> {
    let is_source = |input: &Value| {
        let place = input.as_u64().unwrap_or_default();
        usize::try_from(place).ok().and_then(|place| sources.get(place)) == Some(&true)
    };
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let copied = all(&op["file"]["actions"]).into_iter().filter_map(|action| {
        let copy = action["Action"].get("copy")?;
        let path = copy["src"].as_str()?.to_owned();
        // Zero is left out of the document.
        (action["secondaryInput"].as_i64() != Some(-1) && is_source(&action["secondaryInput"]))
            .then_some(path)
    });
    let mounted = all(&op["exec"]["mounts"]).into_iter().filter_map(|mount| {
        let has_input = mount["input"].as_i64() != Some(-1);
        let path = mount["selector"].as_str().unwrap_or("/").to_owned();
        (has_input && is_source(&mount["input"])).then_some(path)
    });
    let mut paths: Vec<String> = Vec::new();
    for path in copied.chain(mounted) {
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { "." } else { path }.to_owned();
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Digests of images by their full references: `pkg:docker/doc2md/base@busybox?platform=linux%2Famd64`. That of one which
/// stands there for two platforms is not known.
fn digests(materials: &Value) -> HashMap<String, Option<String>> {
    let material = |material: &Value| {
        let address = material["uri"].as_str()?.strip_prefix("pkg:docker/")?;
        let address = address.split_once('?').map_or(address, |(address, _)| address);
        let (name, tag) = address.rsplit_once('@').unwrap_or((address, "latest"));
        let (name, tag) = (percent_decoded(name)?, percent_decoded(tag)?);
        let digest = material["digest"]["sha256"].as_str()?;
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let reference = image_reference::full(&format!("{name}:{tag}"));
        is_digest.then(|| (reference, format!("sha256:{digest}")))
    };
    let mut digests: HashMap<String, Option<String>> = HashMap::new();
    for (reference, digest) in materials.as_array().into_iter().flatten().filter_map(material) {
        let known = digests.entry(reference).or_insert_with(|| Some(digest.clone()));
        known.take_if(|known| *known != digest);
    }
    digests
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The first source text: that of the Dockerfile.
fn dockerfile(infos: &Value) -> Option<(String, String)> {
    let info = infos.as_array()?.first()?;
    let bytes = STANDARD.decode(info["data"].as_str()?).ok()?;
    let name = info["filename"].as_str().unwrap_or("Dockerfile");
    Some((name.to_owned(), String::from_utf8(bytes).ok()?))
}
