//! The layer cache that `--caches` means: filled by one engine and read by others, with and without the right to write.

use std::process::Output;

use crate::support::{Engine, PrivateEngine, Project, Registry, engine, eventually, http, text};

const CONTAINERD: &str = "28.5-containerd";

/// A push to a branch, as GitHub Actions says it.
fn push(branch: &str) -> Vec<(&'static str, String)> {
    let fixed = [("GITHUB_ACTIONS", "true"), ("CI", "true"), ("GITHUB_EVENT_NAME", "push")];
    let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
    fixed.chain([("GITHUB_REF_NAME", branch.to_owned())]).collect()
}

/// A pull request from a branch.
fn request(branch: &str) -> Vec<(&'static str, String)> {
    let mut variables = push("7/merge");
    variables[2].1 = "pull_request".to_owned();
    variables.push(("GITHUB_HEAD_REF", branch.to_owned()));
    variables.push(("GITHUB_BASE_REF", "main".to_owned()));
    variables
}

/// A project with two stages, whose files are others whenever a step runs.
fn shop(engine: &Engine, base: &str, name: &str, last: &str) -> Project {
    let project = Project::new(engine);
    let dockerfile = format!(
        "FROM {base} AS made\nRUN head -c 9 /dev/urandom | md5sum > /f # {name}\n\
         FROM {base}\nCOPY --from=made /f /f\nRUN head -c 9 /dev/urandom | md5sum > /g # {name} {last}\n"
    );
    project
        .write("compose.yaml", "services: {app: {image: '${COMPOSE_PROJECT_NAME}-app', build: .}}")
        .write("Dockerfile", dockerfile);
    project
}

fn output(project: &Project, name: &str, variables: &[(&str, String)], args: &[&str]) -> Output {
    let mut command = project.command(args);
    command.env("COMPOSE_PROJECT_NAME", name).envs(variables.iter().map(|(k, v)| (*k, v)));
    command.output().unwrap()
}

/// Builds; returns what is said, and both files.
#[track_caller]
fn built(
    project: &Project,
    name: &str,
    variables: &[(&str, String)],
    caches: &str,
) -> (String, [String; 2]) {
    let args = ["--progress", "plain", "build", "--caches", caches];
    let output = output(project, name, variables, &args);
    let said = text(&output);
    assert!(output.status.success(), "{}: {said}", project.engine().name);
    let image = format!("{name}-app");
    let files = ["/f", "/g"].map(|path| project.engine().file_of(&image, path));
    project.engine().docker_ok(&["image", "rm", "--force", &image]);
    (said, files)
}

/// Builds files of a project on `engine` as a push to main does, and removes its images again; returns what is said.
#[track_caller]
fn pushed(engine: &Engine, name: &str, files: &[(&str, &str)], args: &[&str]) -> String {
    let project = Project::new(engine);
    for (path, text) in files {
        project.write(path, text);
    }
    let args = [&["--progress", "plain", "build"], args].concat();
    let output = output(&project, name, &push("main"), &args);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    // The containerd store fails to list images while another test removes one.
    let images = eventually("images are listed", || {
        let listed = engine.docker(&["images", "--format", "{{.Repository}}"]).output().unwrap();
        listed.status.success().then(|| text(&listed))
    });
    for image in images.lines().filter(|image| image.starts_with(name)) {
        engine.docker_ok(&["image", "rm", "--force", image]);
    }
    said
}

#[track_caller]
fn says(said: &str, part: &str) {
    assert!(said.contains(part), "no {part:?} in {said}");
}

fn tags(registry: &Registry) -> Vec<String> {
    let answer = http::get(registry.address(), "/v2/cache/tags/list").unwrap();
    let list: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let mut tags: Vec<String> =
        list["tags"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    tags.sort();
    tags
}

#[test]
fn what_another_stage_made_sooner_than_it_moves_is_left_out() {
    const LEFT: &str = "rate=100kB";
    let writer = engine(CONTAINERD);
    let ours = Project::new(&writer);
    let name = ours.name().to_owned();
    // Made in a moment; at 100 kB a second it would travel for minutes, at 1 TB for none.
    let written = |rate: &str| {
        let registry = Registry::open();
        let base = registry.base();
        let before = registry.blobs();
        let dockerfile = format!(
            "FROM {base} AS Fetched\nRUN head -c 20000000 /dev/urandom >/big # {name} {rate}\n\
             FROM {base} AS own\nRUN echo {name} {rate} >/own\n\
             FROM own\nCOPY --from=fetched /etc/passwd /p\n"
        );
        let image = format!("services: {{app: {{image: '{name}-app', build: .}}}}");
        let caches = format!("{}/cache", registry.address());
        let args = ["--caches", &format!("{caches},{rate}")];
        let files = [("compose.yaml", image.as_str()), ("Dockerfile", dockerfile.as_str())];
        let said = pushed(&writer, &name, &files, &args);
        let now = registry.blobs().into_iter().filter(|(digest, _)| !before.contains_key(digest));
        let bytes: u64 = now.map(|(_, file)| file.metadata().unwrap().len()).sum();
        if rate == LEFT {
            // An engine that has nothing builds the image without a step all the same.
            let fresh = PrivateEngine::start(CONTAINERD);
            let again = pushed(fresh.engine(), &name, &files, &args);
            says(&again, "read for app; not written for app: no step ran");
        }
        (said, bytes)
    };
    let (said, bytes) = written(LEFT);
    says(&said, "; without 20.0 MB of other stages, made in ");
    assert!(bytes < 2_000_000, "{bytes}: {said}");
    for other in ["rate=1TB", "rate=100kB,mode=max"] {
        let (said, bytes) = written(other);
        assert!(!said.contains("of other stages"), "{said}");
        assert!(bytes > 20_000_000, "{bytes}: {said}");
    }
}

#[test]
fn a_fresh_engine_builds_all_from_the_cache_and_who_may_not_write_reads() {
    let registry = Registry::open();
    let base = registry.base();
    let caches = format!("{}/cache", registry.address());
    let writer = engine(CONTAINERD);
    let ours = shop(&writer, &base, "", "");
    let name = ours.name().to_owned();
    let ours = shop(&writer, &base, &name, "");
    let (said, first) = built(&ours, &name, &push("main"), &caches);
    says(&said, &format!("layer cache {caches}: not there yet; written for app in "));
    assert!(!said.contains("warning") && !said.contains("FAILED"), "{said}");
    assert_eq!(tags(&registry), [format!("{name}.app.main")]);

    // An engine that has nothing runs no step.
    let fresh = PrivateEngine::start(CONTAINERD);
    let reader = shop(fresh.engine(), &base, &name, "");
    let (said, files) = built(&reader, &name, &push("main"), &caches);
    assert_eq!(files, first, "{said}");
    says(&said, "read for app; not written for app: no step ran");
    // One with graph drivers only reads.
    let graph = shop(&engine("28.5"), &base, &name, "");
    let (said, files) = built(&graph, &name, &push("main"), &caches);
    assert_eq!(files, first, "{said}");
    says(&said, "read for app; not written: writing needs the containerd image store");

    // A branch has what main made and writes its own, a pull request reads both.
    let branch = shop(&writer, &base, &name, "branch");
    let (said, second) = built(&branch, &name, &push("fix/1"), &caches);
    assert!(second[0] == first[0] && second[1] != first[1], "{said}");
    says(&said, "read for app; written for app in ");
    let both = tags(&registry);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both.iter().any(|tag| tag.starts_with(&format!("{name}.app.fix-1-"))), "{both:?}");
    let pull = shop(fresh.engine(), &base, &name, "branch");
    let (said, files) = built(&pull, &name, &request("fix/1"), &caches);
    assert_eq!(files, second, "{said}");
    says(&said, "read for app; not written: a pull request does not write");
    let pull = shop(fresh.engine(), &base, &name, "pull");
    let (said, _) = built(&pull, &name, &request("fix/1"), &caches);
    says(&said, "not written: a pull request does not write");
    assert_eq!(tags(&registry), both);
}

#[test]
fn several_platforms_have_one_cache() {
    let registry = Registry::open();
    let base = registry.base();
    let caches = format!("{}/cache", registry.address());
    let writer = engine(CONTAINERD);
    let name = Project::new(&writer).name().to_owned();
    // Nothing of another machine is run: copies are made for any platform.
    let dockerfile = format!(
        "FROM {base} AS made\nCOPY compose.yaml /f\nFROM scratch\nCOPY --from=made /f /f\nCOPY compose.yaml /g\n"
    );
    let compose = format!("services: {{app: {{image: '{name}-app', build: .}}}}");
    let files = [("compose.yaml", &*compose), ("Dockerfile", &*dockerfile)];
    let args = ["--platform", "linux/amd64,linux/arm64", "--caches", &caches];
    let said = pushed(&writer, &name, &files, &args);
    says(&said, "not there yet; written for app in ");
    assert!(!said.contains("warning"), "{said}");
    let fresh = PrivateEngine::start(CONTAINERD);
    let said = pushed(fresh.engine(), &name, &files, &args);
    says(&said, "read for app; not written for app: no step ran");
    says(&said, " 0 run");
}

#[test]
fn what_is_built_on_another_target_is_cached_with_it() {
    let registry = Registry::open();
    let base = registry.base();
    let caches = format!("{}/cache", registry.address());
    let writer = engine(CONTAINERD);
    let name = Project::new(&writer).name().to_owned();
    let compose = format!(
        "services:\n  below: {{image: '{name}-below', build: {{context: ., dockerfile: below}}}}\n  \
         app: {{image: '{name}-app', build: {{context: ., additional_contexts: {{below: 'service:below'}}}}}}\n"
    );
    let below = format!("FROM {base}\nRUN head -c 9 /dev/urandom > /f # {name}\n");
    let app = "FROM below\nRUN head -c 9 /dev/urandom > /g\n";
    let files = [("compose.yaml", &*compose), ("below", &*below), ("Dockerfile", app)];
    let said = pushed(&writer, &name, &files, &["--caches", &caches]);
    assert!(said.contains("written for ") && !said.contains("warning"), "{said}");
    assert_eq!(tags(&registry), [format!("{name}.app.main"), format!("{name}.below.main")]);
    let fresh = PrivateEngine::start(CONTAINERD);
    let said = pushed(fresh.engine(), &name, &files, &["--caches", &caches]);
    assert_eq!(said.matches(", 0 run").count(), 2, "{said}");
    says(&said, "not written for below, app: no step ran");
}

#[test]
fn a_folder_is_a_cache_too() {
    let registry = Registry::open();
    let base = registry.base();
    let writer = engine(CONTAINERD);
    let name = Project::new(&writer).name().to_owned();
    let ours = shop(&writer, &base, &name, "");
    let (said, first) = built(&ours, &name, &[], "dir:cache");
    says(&said, "not there yet; written for app in ");
    let folder = format!("dir:{}", ours.dir().join("cache").display());
    let reader = shop(&engine("28.5"), &base, &name, "");
    let (said, files) = built(&reader, &name, &[], &folder);
    assert_eq!(files, first, "{said}");
    let (said, _) = built(&ours, &name, &[], "dir:cache");
    says(&said, "read for app; not written for app: no step ran");
}

#[test]
fn a_registry_that_does_not_answer_breaks_no_build() {
    for name in ["28.5", CONTAINERD] {
        let engine = engine(name);
        let project = shop(&engine, crate::support::BUSYBOX, name, "");
        let own = project.name().to_owned();
        let (said, _) = built(&project, &own, &push("main"), "127.0.0.1:1/cache");
        says(&said, "warning: the cache 127.0.0.1:1/cache is not used: ");
        let why = match name {
            CONTAINERD => "warning: the layer cache 127.0.0.1:1/cache was not written for app: ",
            _ => "not written: writing needs the containerd image store",
        };
        says(&said, why);
    }
}

#[test]
fn the_token_of_github_is_neither_printed_nor_kept() {
    const TOKEN: &str = "token-of-the-job-0123456789";
    let engine = engine(CONTAINERD);
    let project = shop(&engine, crate::support::BUSYBOX, "gha", "");
    let name = project.name().to_owned();
    let mut variables = push("main");
    let (said, _) = built(&project, &name, &variables, "gha");
    says(
        &said,
        "the GitHub Actions cache is not used: the environment lacks ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL",
    );
    let own = [
        ("ACTIONS_RUNTIME_TOKEN", TOKEN),
        ("ACTIONS_RESULTS_URL", "http://127.0.0.1:1/"),
        ("ACTIONS_CACHE_SERVICE_V2", "true"),
    ];
    variables.extend(own.map(|(name, value)| (name, value.to_owned())));
    let shop = shop(&engine, crate::support::BUSYBOX, &name, "");
    for args in [
        &["--progress", "rawjson", "build", "--caches", "gha"][..],
        &["build", "--print", "--caches", "gha"],
    ] {
        let output = output(&shop, &name, &variables, args);
        let said = text(&output);
        assert!(output.status.success() && said.contains("gha"), "{said}");
        assert!(!said.contains(TOKEN), "{said}");
    }
    let kept =
        std::process::Command::new("grep").args(["-r", TOKEN]).arg(shop.home()).output().unwrap();
    assert!(kept.stdout.is_empty(), "{}", text(&kept));
    engine.docker_ok(&["image", "rm", "--force", &format!("{name}-app")]);
}

/// `docker buildx` hands on the keys of the environment, too. Which kinds an engine has it says itself.
#[test]
fn caches_of_services_get_keys_that_are_neither_printed_nor_kept() {
    const KEYS: [(&str, &str); 3] = [
        ("AWS_ACCESS_KEY_ID", "key-of-the-bucket-0123456789"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-the-bucket-0123456789"),
        ("AWS_SESSION_TOKEN", "token-of-the-bucket-0123456789"),
    ];
    const OWN: &str = "c2VjcmV0LW9mLXRoZS1hY2NvdW50";
    let engine = engine(CONTAINERD);
    let project = shop(&engine, crate::support::BUSYBOX, "services", "");
    let name = project.name().to_owned();
    let shop = shop(&engine, crate::support::BUSYBOX, &name, "");
    let keys = KEYS.map(|(name, value)| (name, value.to_owned()));
    let azure = format!("type=azblob,account_url=http://127.0.0.1:1,secret_access_key={OWN}");
    for (cache, kind) in [("type=s3,bucket=b,region=r", "s3"), (&*azure, "azblob")] {
        let read = ["--progress", "rawjson", "build", "--cache-from", cache];
        let read = output(&shop, &name, &keys, &read);
        let write = output(&shop, &name, &keys, &["build", "--cache-to", cache]);
        let (read_said, write_said) = (text(&read), text(&write));
        assert!(read.status.success(), "{read_said}");
        says(&read_said, &format!("cannot read caches of type {kind}"));
        assert_eq!(write.status.code(), Some(1), "{write_said}");
        says(
            &write_said,
            &format!("the BuildKit of this build cannot write caches of type {kind}"),
        );
        for secret in KEYS.map(|(_, value)| value).into_iter().chain([OWN]) {
            assert!(!read_said.contains(secret) && !write_said.contains(secret), "{secret}");
            let kept = std::process::Command::new("grep")
                .args(["-r", secret])
                .arg(shop.home())
                .output()
                .unwrap();
            assert!(kept.stdout.is_empty(), "{}", text(&kept));
        }
    }
    // What only the AWS SDK would find is said once.
    let profile = [("AWS_PROFILE", "ci".to_owned())];
    let both = ["type=s3,bucket=b,region=r", "type=s3,bucket=c,region=r"];
    let args = ["build", "--cache-from", both[0], "--cache-from", both[1]];
    let said = text(&output(&shop, &name, &profile, &args));
    assert_eq!(said.matches("AWS_PROFILE is not read").count(), 1, "{said}");
    engine.docker_ok(&["image", "rm", "--force", &format!("{name}-app")]);
}
