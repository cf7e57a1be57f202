//! What parses bytes of others: each takes any bytes and does with them what the program does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::sink;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use doc2md_docker::build_context::ignore_file;
use doc2md_docker::build_context::patterns::{MatchInfo, PatternMatcher};
use doc2md_docker::builders::Catalog;
use doc2md_docker::buildkit::{SolveError, solve_status};
use doc2md_docker::check::{self, subject};
use doc2md_docker::compose::{LoadRequest, load};
use doc2md_docker::diagnose::{self, Dockerfile, EngineFailure, Facts, LongIgnoreFile, Supply};
use doc2md_docker::dockerfile::{self as text_of, Outline, Place};
use doc2md_docker::engine::docker_config::DockerConfig;
use doc2md_docker::engine::{Connector, ConnectorSettings, DiskUsage, registry_of};
use doc2md_docker::history::Entry;
use doc2md_docker::image_reference::{self, familiar};
use doc2md_docker::init::detect::{UserNames, detect};
use doc2md_docker::init::files::files;
use doc2md_docker::init::tree::Tree;
use doc2md_docker::lock::source::Source;
use doc2md_docker::lock::{Lock, LockOptions, Selection, Subject, header, split};
use doc2md_docker::progress::{Event, Redaction, SolveStatus, StatusBounds, TargetInfo};
use doc2md_docker::recorded::Provenance;
use doc2md_docker::redact::{self, Redactor, Secrets};
use doc2md_docker::solve::oci_layout::{Index, LayoutRef, Name};
use doc2md_docker::targets::{TargetOptions, from_compose, print_json, reference as image_name};
use doc2md_docker::terminal::control::Colours;
use doc2md_docker::terminal::{Size, Stream, Ui, UiEnv};
use doc2md_docker::view::ci::Ci;
use doc2md_docker::view::history::{Comparison, comparison, list, show};
use doc2md_docker::view::timeline::{Timeline, page};
use doc2md_docker::view::{Progress, Reporter};
use prost::Message as _;

/// A parser.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    pub(crate) run: fn(&[u8]),
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// A folder with one file in it, for what reads files.
fn folder_with(name: &str, input: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, input).unwrap();
    folder
}

fn request(stdin: &str, working_dir: &Path) -> LoadRequest {
    LoadRequest {
        files: vec!["-".into()],
        stdin: Some(stdin.to_owned()),
        working_dir: working_dir.to_owned(),
        environment: [("A".to_owned(), "value".to_owned())].into(),
        ..LoadRequest::default()
    }
}

pub(crate) fn compose(input: &[u8]) {
    let Ok(project) = load(&request(&text(input), Path::new("/srv/demo"))) else { return };
    let options = TargetOptions { with_dependencies: true, ..TargetOptions::default() };
    if let Ok(set) = from_compose(&project, &options) {
        drop(print_json(&set));
    }
}

pub(crate) fn env_file(input: &[u8]) {
    let folder = folder_with(".env", input);
    drop(load(&request("services: {a: {build: {context: ., args: {X: '$A$B'}}}}", folder.path())));
}

pub(crate) fn dockerfile(input: &[u8]) {
    let text = text(input);
    let outline = Outline::new(&text);
    for step in ["[2/9] RUN make", "[deps 3/4] COPY a b /", "[stage-1 1/1] FROM x", "COPY . ."] {
        let _ = outline.locate(step);
        drop(outline.copy_sources(step));
    }
    let instructions = text_of::instructions(&text);
    let history: Vec<&str> = instructions.iter().map(String::as_str).collect();
    let lines = text_of::history_lines(&text, None, &history);
    assert_eq!(lines.len(), history.len());
    for instruction in &instructions {
        drop(text_of::cache_mounts(instruction));
    }
    drop(text_of::declared_args(&text));
    let services = vec![subject::Service { text: text.clone(), ..subject::Service::default() }];
    drop(check::findings(&subject::Project { services, ..subject::Project::default() }));
    drop(text_of::stages(&text));
    drop(text_of::file_uses(&text, None, &BTreeMap::new()));
    drop(text_of::context_fingerprint(&text, Some("x")));
    drop(text_of::excerpt(&text, "D", Place { line_start: 2, line_end: 9, column: Some(3) }));
}

pub(crate) fn provenance(input: &[u8]) {
    let mut provenance = Provenance::default();
    provenance.add(input);
    let members = provenance.operations.keys().cloned().collect();
    provenance.add_group("group", &members);
    provenance.redact(&Redactor::default());
}

pub(crate) fn dockerignore(input: &[u8]) {
    let patterns = ignore_file::parse(input);
    let Ok(matcher) = PatternMatcher::new(&patterns) else { return };
    let (mut above, mut here) = (MatchInfo::default(), MatchInfo::default());
    for path in ["a", "a/b/c", "src/x.log", "node_modules/é/x.tmp"] {
        matcher.matches(path.as_bytes());
        matcher.matches_below(path.as_bytes(), None, &mut above);
        let below = format!("{path}/below.txt");
        let is_out = matcher.matches_below(below.as_bytes(), Some(&above), &mut here);
        // What a walk finds is what a look at the whole path finds, where no pattern takes anything back.
        if !matcher.has_exceptions() {
            assert_eq!(is_out, matcher.matches(below.as_bytes()), "{below}");
        }
    }
}

pub(crate) fn docker_config(input: &[u8]) {
    let folder = folder_with("config.json", input);
    let config = DockerConfig::load(folder.path());
    drop(config.proxy_args("tcp://x:1"));
    let mut environment = BTreeMap::from([
        ("DOCKER_AUTH_CONFIG".to_owned(), text(input)),
        ("DOCKER_CONFIG".to_owned(), folder.path().display().to_string()),
        // The name of the context `c` by its digest, as docker has it.
        ("DOCKER_CONTEXT".to_owned(), "c".to_owned()),
    ]);
    drop(config.with_logins_of(&environment));
    let meta =
        "contexts/meta/2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6/meta.json";
    for name in [meta, "buildx/current", "buildx/instances/b"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, input).unwrap();
    }
    let settings = |environment: &BTreeMap<String, String>| ConnectorSettings {
        environment: environment.clone(),
        ..ConnectorSettings::default()
    };
    drop(Connector::resolve(&settings(&environment)));
    environment.remove("DOCKER_CONTEXT");
    let catalog = Catalog::new(settings(&environment), &Connector::unix("/d.sock"));
    drop(catalog.choose(None));
    for name in catalog.store.names() {
        drop(catalog.store.builder(&name));
    }
    environment.insert("DOCKER_HOST".to_owned(), text(input));
    drop(Connector::resolve(&settings(&environment)));
}

pub(crate) fn disk_usage(input: &[u8]) {
    drop(DiskUsage::from_json(input));
}

pub(crate) fn history_entry(input: &[u8]) {
    let Ok(entry) = serde_json::from_slice::<Entry>(input) else { return };
    for target in &entry.targets {
        target.hits();
    }
    let now = jiff::Timestamp::UNIX_EPOCH;
    drop(show(&entry, now, 80));
    drop(comparison(&Comparison::between(&entry, &entry), 80));
    drop(page::page(&Timeline::of_entry(&entry)));
    drop(list(&[entry.clone(), entry.clone()], now, 80, true));
    drop(serde_json::to_vec(&entry).unwrap());
}

/// Shows statuses of one target as a log and as a redrawn block.
fn shown(statuses: impl Iterator<Item = SolveStatus> + Clone) {
    for (progress, is_terminal) in [(Progress::Plain, false), (Progress::Tty, true)] {
        let stream = |is_terminal| Stream::new(Box::new(sink()), is_terminal, Colours::Keep);
        let env = UiEnv::read(|_| None);
        let ui = Ui::new(
            stream(false),
            stream(is_terminal),
            Size::Given(Arc::new(Mutex::new((80, 24)))),
            &env,
        );
        let mut reporter = Reporter::new(progress, ui, Ci::None).unwrap();
        let mut secrets = Secrets::default();
        secrets.add(b"the-secret-value");
        let mut door = Redaction::new(Redactor::new(&secrets));
        let info = TargetInfo { name: "t".into(), image: "p-t".into(), same_as: None };
        reporter.handle(&Event::Planned { targets: vec![info] }, Duration::ZERO);
        let mut at = Duration::ZERO;
        let mut bounds = StatusBounds::default();
        for mut status in statuses.clone() {
            bounds.apply(&mut status);
            at += Duration::from_millis(700);
            for event in door.pass(Event::Status { target: "t".into(), status }) {
                reporter.handle(&event, at);
            }
            reporter.tick(at);
        }
        let summary = reporter.summary(at);
        reporter.finish(&summary);
        for step in reporter.run().targets().flat_map(|target| target.trace.steps()) {
            assert!(step.duration() >= Duration::ZERO);
        }
    }
}

pub(crate) fn status_trace(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n');
    shown(lines.filter_map(|line| serde_json::from_slice::<SolveStatus>(line).ok()));
}

pub(crate) fn status_message(input: &[u8]) {
    let Ok(message) = pb::StatusResponse::decode(input) else { return };
    let status = solve_status(message);
    shown([status.clone(), status].into_iter());
}

/// A build that gets nothing it asks for.
struct Little;

impl Facts for Little {
    fn paths(&self) -> Vec<String> {
        vec!["src/main.py".to_owned(), "requirements.txt".to_owned()]
    }

    fn name_not_utf8(&self) -> Option<String> {
        Some("a\u{fffd}".to_owned())
    }

    fn long_ignore_file(&self) -> Option<LongIgnoreFile> {
        Some(LongIgnoreFile { path: ".dockerignore".to_owned(), patterns: 1 })
    }

    fn secret(&self, _id: &str) -> Supply {
        Supply::No
    }

    fn has_ssh(&self, _id: &str) -> bool {
        false
    }
}

pub(crate) fn failure(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let details = input.get(end + 1..).unwrap_or_default().to_vec();
    let status =
        tonic::Status::with_details(tonic::Code::Unknown, text(&input[..end]), details.into());
    let error = SolveError::from(status);
    let own_words = ["cannot write to cache: ".to_owned()];
    let source = error.location.as_ref().map_or("FROM a AS b\nCOPY main.py /\n", |it| &it.text);
    for step in [None, Some("[2/2] COPY main.py /")] {
        drop(diagnose::explain(&EngineFailure {
            message: &error.message,
            own_words: &own_words,
            unavailable: false,
            step,
            lines: None,
            reading: false,
            dockerfile: Some(Dockerfile { name: "Dockerfile", source }),
            facts: Some(&Little),
        }));
    }
    drop(diagnose::classify(&error.message));
}

pub(crate) fn requirements(input: &[u8]) {
    let folder = folder_with("requirements.in", input);
    for (source, lock) in
        [("requirements.in", "requirements"), ("pyproject.toml", "requirements-a")]
    {
        let path = folder.path().join(source);
        std::fs::write(&path, input).unwrap();
        let names = if source == "pyproject.toml" { &["a".to_owned()][..] } else { &[] };
        let named = Subject { path, selection: Selection::new(names, &[]) };
        if let Ok(source) = Source::read(&named.path, &named.selection) {
            drop((source.digest(), source.root(), source.index_options().text()));
        }
        std::fs::write(folder.path().join(format!("{lock}.lock")), input).unwrap();
        std::fs::write(folder.path().join(format!("{lock}.heavy.lock")), input).unwrap();
        if let Ok(lock) = Lock::read(&named) {
            drop((lock.stale(&LockOptions::default()), lock.input(&LockOptions::default())));
        }
    }
    drop(doc2md_docker::lock::find([folder.path()]));
}

pub(crate) fn lock(input: &[u8]) {
    let text = text(input);
    drop((header::Header::find(&text), header::body(&text)));
    let downloads = split::downloads(&text).unwrap_or_default();
    let parts = split::split(&text, &downloads, 10, &text);
    drop(split::changes(&parts.light, &text));
    drop(Tree::from_files(&[
        ("uv.lock", &text),
        ("pyproject.toml", &text),
        ("Pipfile.lock", &text),
    ]));
}

/// The files of a project, which stand one after the other behind lines of `=== NAME`.
pub(crate) fn init(input: &[u8]) {
    let text = text(input);
    let parts = text.split("=== ").skip(1);
    let project: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('\n')).collect();
    let tree = Tree::from_files(&project);
    if let Ok(found) = detect(&tree, &UserNames::default()) {
        drop(files(found.as_ref(), &tree, "shop", None));
    }
}

pub(crate) fn reference(input: &[u8]) {
    let text = text(input);
    if let Some(fault) = image_name::fault(&text) {
        drop((fault.to_string(), fault.hint(&text)));
    }
    drop((familiar(&text), registry_of(&text), LayoutRef::parse(&text)));
    assert!(image_reference::is_same(&text, &text));
}

pub(crate) fn layout(input: &[u8]) {
    let Ok(mut index) = Index::parse(&text(input)) else { return };
    drop((index.find("latest"), index.only()));
    let names: BTreeSet<String> = index.names().into_iter().map(str::to_owned).collect();
    index.put(&serde_json::Map::new(), &Name::Image("docker.io/library/a:1".into()));
    assert!(names.len() <= index.names().len() + 1);
    drop(Index::parse(&index.to_json()).unwrap());
}

pub(crate) fn redaction(input: &[u8]) {
    let mut secrets = Secrets::default();
    secrets.add(b"the-secret-value");
    secrets.add(&input[..input.len() / 2]);
    secrets.add_argument("PIP_INDEX_URL", &text(input));
    let redactor = Redactor::new(&secrets);
    let shown = redactor.text(&text(input));
    assert!(!shown.contains("the-secret-value"), "{shown}");
    drop((redactor.bytes(input), redact::urls(&shown), redact::address(&shown)));
}
