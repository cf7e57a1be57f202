//! Directories of blobs: local caches and image layouts, to and from buildx, and what an engine cannot do.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::{
    BUSYBOX, Engine, PrivateEngine, Project, engine, eventually, on_every_engine, text,
};

const CONTAINERD: &str = "28.5-containerd";

/// A project with the one service `app`, whose build section is `build`. Its /f is another in every run
/// that is no cached one.
fn project(engine: &Engine, build: &str) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", services(&[("app", build)]))
        .write("Dockerfile", dockerfile(&project));
    project
}

/// No other test has its step in a cache.
fn dockerfile(project: &Project) -> String {
    format!("FROM {BUSYBOX}\nRUN head -c 9 /dev/urandom | md5sum > /f # {}\n", project.name())
}

fn services(services: &[(&str, &str)]) -> String {
    let services: Vec<String> = services
        .iter()
        .map(|(name, build)| format!("{name}: {{build: {{context: ., {build}}}}}"))
        .collect();
    format!("services: {{{}}}", services.join(", "))
}

/// Builds, and answers the image's /f.
#[track_caller]
fn built(project: &Project) -> String {
    project.run(&["build"]).success();
    let image = format!("{}-app", project.name());
    project.engine().file_of(&image, "/f")
}

/// The same with buildx, which has no part in the compose file.
#[track_caller]
fn built_by_buildx(project: &Project, args: &[&str]) -> String {
    let image = format!("{}-buildx", project.name());
    let all = [&["buildx", "build", "--tag", &image, "."], args].concat();
    let output = project.docker(&all).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    project.engine().file_of(&image, "/f")
}

#[track_caller]
fn refused(project: &Project, args: &[&str], code: i32, says: &[&str]) {
    let said = stderr(project.run(args).code(code));
    for part in says {
        assert!(said.contains(part), "{}: no {part:?} in {said}", project.engine().name);
    }
}

fn stderr(run: assert_cmd::assert::Assert) -> String {
    String::from_utf8(run.get_output().stderr.clone()).unwrap()
}

fn at(project: &Project, name: &str) -> String {
    project.dir().join(name).display().to_string()
}

fn index(layout: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(layout.join("index.json")).unwrap()).unwrap()
}

/// Tags in an index, in its order.
fn tags(layout: &Path) -> Vec<String> {
    let index = index(layout);
    let manifests = index["manifests"].as_array().unwrap();
    let tag = |manifest: &serde_json::Value| {
        manifest["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap().to_owned()
    };
    manifests.iter().map(tag).collect()
}

/// A directory that reads like an image layout with the tag `v1`, without an image.
fn write_hollow_layout(project: &Project) {
    let hex = "0".repeat(64);
    project.write(format!("layout/blobs/sha256/{hex}"), "").write(
        "layout/index.json",
        format!(
            r#"{{"manifests": [{{"digest": "sha256:{hex}", "annotations": {{"org.opencontainers.image.ref.name": "v1"}}}}]}}"#
        ),
    );
}

#[test]
fn a_local_cache_goes_to_buildx_and_back() {
    // The engine that writes is alone: its cache is thrown away on the way.
    let writer = PrivateEngine::start(CONTAINERD);
    writer.import_base("busybox");
    let ours = project(writer.engine(), "cache_to: ['type=local,dest=cache,mode=max']");
    let (first, cache) = (built(&ours), at(&ours, "cache"));
    assert_eq!(tags(Path::new(&cache)), ["latest"]);
    let (from, to) = (format!("type=local,src={cache}"), format!("type=local,dest={cache}"));
    let forget = || drop(writer.engine().docker_ok(&["buildx", "prune", "--all", "--force"]));
    forget();
    assert_eq!(built_by_buildx(&ours, &["--cache-from", &from]), first);
    let read_everywhere = |expected: &str| {
        on_every_engine(|engine| {
            let reader = project(engine, &format!("cache_from: ['{from}']"));
            reader.write("Dockerfile", dockerfile(&ours));
            let read = built(&reader);
            // BuildKit of 20.10 spells steps otherwise than that of 28.5, and the containerd store tells bases apart
            // that were imported at different times: buildx finds nothing in it there either.
            let other = ["20.10", CONTAINERD].contains(&engine.name.as_str());
            assert!(read == expected || other, "{}", engine.name);
        });
    };
    read_everywhere(&first);
    let second = built_by_buildx(&ours, &["--no-cache", "--cache-to", &to]);
    assert_ne!(second, first);
    forget();
    let again = project(writer.engine(), &format!("cache_from: ['{from}']"));
    again.write("Dockerfile", dockerfile(&ours));
    assert_eq!(built(&again), second);
}

#[test]
fn a_cache_that_is_not_there_yet_is_a_warning() {
    on_every_engine(|engine| {
        let project = project(engine, "cache_from: ['type=local,src=cache']");
        let said = stderr(project.run(&["build"]).success());
        let warning = "warning: target app: cache_from: there is no cache in cache";
        assert!(said.contains(warning), "{}: {said}", engine.name);
        assert!(!project.dir().join("cache").exists());
        if engine.name == CONTAINERD {
            let both = "cache_from: ['type=local,src=cache'], cache_to: ['type=local,dest=cache']";
            project.write("compose.yaml", services(&[("app", both)]));
            project.run(&["build"]).success();
            let said = stderr(project.run(&["build"]).success());
            assert!(!said.contains("warning"), "{said}");
        }
    });
}

#[test]
fn services_share_one_cache_directory_under_their_tags() {
    let project = Project::new(&engine(CONTAINERD));
    let (one, two) = (
        "cache_to: ['type=local,dest=cache,tag=one']",
        "cache_to: ['type=local,dest=cache,tag=two']",
    );
    let compose = services(&[
        ("one", &format!("args: {{WHO: 1}}, {one}")),
        ("two", &format!("args: {{WHO: 2}}, {two}")),
    ]);
    let step = "RUN echo $WHO > /f; head -c 300000 /dev/urandom > /r\n";
    project
        .write("compose.yaml", compose)
        .write("Dockerfile", format!("FROM {BUSYBOX}\nARG WHO\n{step}"));
    project.run(&["build", "--no-cache"]).success();
    let cache = project.dir().join("cache");
    let mut tags = tags(&cache);
    tags.sort();
    assert_eq!(tags, ["one", "two"]);
    let mut names: Vec<_> =
        fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["blobs", "index.json", "oci-layout"]);
}

#[test]
fn a_directory_that_cannot_be_written_to_fails_by_name() {
    let engine = engine(CONTAINERD);
    let cache = project(&engine, "cache_to: ['type=local,dest=Dockerfile/cache']");
    let name = "cannot write to Dockerfile/cache";
    refused(&cache, &["build"], 1, &["target app: cache_to", name]);
    let layout = project(&engine, "args: {A: b}");
    let output = "app.output=type=oci,dest=Dockerfile/cache,tar=false";
    refused(&layout, &["build", "--set", output], 1, &["target app: output", name]);
}

#[test]
fn image_layouts_are_written_and_built_on() {
    let engine = engine(CONTAINERD);
    let base = project(&engine, "args: {A: b}");
    base.run(&["build", "--set", "app.output=type=oci,dest=ours,tar=false"]).success();
    let expected = built(&base);
    let output = "type=oci,dest=buildx,tar=false";
    let run = base.docker(&["buildx", "build", "--output", output, "."]).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
    let (ours, buildx) = (base.dir().join("ours"), base.dir().join("buildx"));
    let first = &index(&ours)["manifests"][0];
    let image = format!("docker.io/library/{}-app:latest", base.name());
    assert_eq!(first["annotations"]["io.containerd.image.name"], *image);
    assert_eq!(tags(&ours), ["latest"]);
    let digest = first["digest"].as_str().unwrap();
    for reference in [
        ours.display().to_string(),
        format!("{}:latest", ours.display()),
        format!("{}@{digest}", ours.display()),
        buildx.display().to_string(),
    ] {
        let contexts = format!("additional_contexts: {{lay: 'oci-layout://{reference}'}}");
        let user = project(&engine, &contexts);
        user.write("Dockerfile", "FROM lay\nRUN echo on top > /g\n");
        assert_eq!(built(&user), expected, "{reference}");
    }
    base.write("Dockerfile", "FROM lay\nRUN echo on top of it > /g\n");
    let context = format!("lay=oci-layout://{}:latest", ours.display());
    assert_eq!(built_by_buildx(&base, &["--build-context", &context]), expected);
}

#[test]
fn what_a_layout_does_not_have_is_named_with_the_tags_it_has() {
    let engine = engine(CONTAINERD);
    let hollow = |reference: &str| {
        let project =
            project(&engine, &format!("additional_contexts: {{lay: 'oci-layout://{reference}'}}"));
        write_hollow_layout(&project);
        project
    };
    let key = "target app: additional_contexts: oci-layout://";
    let none = format!("layout@sha256:{}", "1".repeat(64));
    for reference in ["layout:v2", &none] {
        refused(
            &hollow(reference),
            &["build"],
            5,
            &[key, "the layout has no", "hint: its tags: v1"],
        );
    }
    refused(&hollow("nowhere"), &["build"], 5, &[key, "nowhere has no index.json"]);
}

#[test]
fn what_needs_the_containerd_store_is_refused_by_key() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("cache_to: ['type=local,dest=out']", &[], "cache_to"),
        ("args: {A: b}", &["--set", "app.output=type=oci,dest=out,tar=false"], "output"),
        ("additional_contexts: {lay: 'oci-layout://layout:v1'}", &[], "additional_contexts"),
    ];
    on_every_engine(|engine| {
        for (build, further, key) in cases {
            if engine.name == CONTAINERD {
                continue;
            }
            let project = project(engine, build);
            write_hollow_layout(&project);
            let args = [&["build"][..], further].concat();
            let old = engine.name == "20.10" && *key == "additional_contexts";
            let why = if old { "too old" } else { "containerd image store" };
            refused(&project, &args, 5, &["target app", key, why]);
            assert!(!project.dir().join("out").exists(), "{}: {key}", engine.name);
        }
    });
}

#[test]
fn an_interrupted_export_leaves_no_partial_blob() {
    let project = project(&engine(CONTAINERD), "args: {A: b}");
    let step = "RUN head -c 150000000 /dev/urandom > /r #";
    project.write("Dockerfile", format!("FROM {BUSYBOX}\n{step} {}\n", project.name()));
    project.run(&["build"]).success();
    let args = ["build", "--set", "app.cache-to=type=local,dest=cache"];
    let mut run = project.command(&args).stderr(Stdio::null()).spawn().unwrap();
    let cache = project.dir().join("cache");
    let partial = || {
        let mut entries = fs::read_dir(&cache).ok()?.map(|entry| entry.unwrap());
        entries.find(|entry| entry.path().extension().is_some_and(|end| end == "partial"))
    };
    let large = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|file| file.len() > 1 << 20);
    eventually("the layer arrives", || partial().filter(large));
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(partial().is_none());
    assert!(!cache.join("index.json").exists());
}
