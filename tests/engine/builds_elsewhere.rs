//! Builds on BuildKit that has no engine around it: by its own gRPC, with the session within it, and images that are loaded
//! into an engine, pushed or written to files.

use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::interrupt::runs;
use crate::support::{
    Authority, BUSYBOX, BuildkitStandIn, Engine, Project, Registry, engine, engines, eventually,
    on_every_engine, side_by_side, text,
};

/// Two services, one of which stands on the other, with a secret, an agent and a context that both have.
const SETTINGS: &str = "doc2md-docker.toml";

pub(crate) fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    project
        .write(
            "compose.yaml",
            "services:\n  \
               app: {build: {context: ., secrets: [{source: tok, target: tok}], ssh: [default]}}\n  \
               web: {build: {context: ., dockerfile: web.Dockerfile, additional_contexts: {base: 'service:app'}}}\n  \
               lone: {build: {context: ., dockerfile: lone.Dockerfile}}\n\
             secrets: {tok: {file: ./tok}}\n",
        )
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nCOPY big /big\n\
                 RUN --mount=type=secret,id=tok --mount=type=ssh wc -c </run/secrets/tok >/seen; \
                 if [ -S \"$SSH_AUTH_SOCK\" ]; then echo agent >>/seen; fi; date +%s%N >/stamp # {name}\n"
            ),
        )
        .write("web.Dockerfile", "FROM base\nCOPY big /again\nRUN cat /seen /stamp >/web\n")
        .write("lone.Dockerfile", format!("FROM {BUSYBOX}\nCOPY big /\nRUN date +%s%N >/stamp # {name}\n"))
        .write("tok", "the-token")
        .write(".dockerignore", "tok\n")
        // Builds of several projects on one builder share nothing: what one of them makes and still holds, BuildKit gives
        // to the others without the keys by which they find in the cache what stands on it.
        .write("big", name.repeat((3 << 20) / name.len()));
    project
}

/// Runs the real buildx on the project.
pub(crate) fn buildx(project: &Project, args: &[&str]) -> Output {
    let output = Command::new(std::env::var("DOC2MD_TEST_BUILDX").unwrap())
        .args(args)
        .current_dir(project.dir())
        .env("DOCKER_HOST", &project.engine().host)
        .env("DOCKER_CONFIG", project.home().join("docker"))
        .env("BUILDX_CONFIG", project.home().join("buildx"))
        .env("COMPOSE_PROJECT_NAME", project.name())
        .output()
        .unwrap();
    assert!(output.status.success(), "buildx {args:?}: {}", text(&output));
    output
}

fn create(project: &Project, name: &str, address: &str, options: &[String]) {
    let mut args = vec!["create", "--name", name, "--driver", "remote"];
    args.extend(options.iter().flat_map(|option| ["--driver-opt", option]));
    args.push(address);
    buildx(project, &args);
}

/// Writes the file that `buildx create` writes, which asks whoever is at the address first.
pub(crate) fn create_unseen(project: &Project, name: &str, address: &str, options: &[String]) {
    let options: serde_json::Map<String, Value> = options
        .iter()
        .filter_map(|option| option.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let node = serde_json::json!({
        "Name": format!("{name}0"), "Endpoint": address, "Platforms": null, "DriverOpts": options, "Flags": null,
        "Files": null
    });
    let builder =
        serde_json::json!({"Name": name, "Driver": "remote", "Nodes": [node], "Dynamic": false});
    let folder = project.home().join("buildx/instances");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), builder.to_string()).unwrap();
}

pub(crate) fn command(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("BUILDX_CONFIG", project.home().join("buildx")).stdin(Stdio::null());
    command
}

pub(crate) fn ours(project: &Project, args: &[&str]) -> Output {
    let agent = project.home().join("agent");
    let _ = std::fs::remove_file(&agent);
    let _agent = UnixListener::bind(&agent).unwrap();
    command(project, args).env("SSH_AUTH_SOCK", &agent).output().unwrap()
}

/// Builds; returns what stderr said and the metadata.
#[track_caller]
pub(crate) fn built(project: &Project, args: &[&str]) -> (String, Value) {
    let args = [args, &["--metadata-file", "-", "--progress", "plain"]].concat();
    let output = ours(project, &args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    (said, serde_json::from_slice(&output.stdout).unwrap())
}

/// The digests of each target's image.
fn digests(metadata: &Value) -> Vec<(String, String, String)> {
    let digest = |image: &Value, key: &str| image[key].as_str().unwrap_or_default().to_owned();
    let images = metadata.as_object().unwrap().iter();
    images
        .map(|(name, image)| {
            let config = digest(image, "containerimage.config.digest");
            (name.clone(), digest(image, "containerimage.digest"), config)
        })
        .collect()
}

#[track_caller]
pub(crate) fn ran_nothing(said: &str) {
    let built: Vec<_> = said.lines().filter(|line| line.contains(" built, ")).collect();
    assert_eq!(built.len(), 3, "{said}");
    assert!(built.iter().all(|line| line.contains("cached, 0 run")), "{said}");
}

fn tls_options(project: &Project, authority: &Authority, name: &str) -> Vec<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let (certificate, key) = authority.issue("client");
    let files = [("cacert", authority.pem()), ("cert", certificate), ("key", key)];
    let mut options: Vec<String> = Vec::new();
    for (option, text) in files {
        let path = project.home().join(format!("{option}-{number}.pem"));
        std::fs::write(&path, text).unwrap();
        options.push(format!("{option}={}", path.display()));
    }
    options.push(format!("servername={name}"));
    options
}

#[test]
fn a_build_there_is_the_same_as_on_the_engine() {
    let engine = engine("28.5-containerd");
    let project = project(&engine);
    let authority = Authority::new();
    let unix = BuildkitStandIn::on_socket(engine.socket());
    let tcp = BuildkitStandIn::start(engine.socket());
    let tls = BuildkitStandIn::with_tls(engine.socket(), &authority, "buildkit.test");
    create(&project, "unix", &unix.address(), &[]);
    create(&project, "tcp", &tcp.address(), &[]);
    create(&project, "tls", &tls.address(), &tls_options(&project, &authority, "buildkit.test"));
    // Ids are of manifests here, so both have to compress alike.
    project.write(SETTINGS, "[build]\ncompression = \"gzip\"\n");
    // Whatever is new is sent through the tunnel.
    let (said, there) = built(&project, &["--builder", "tcp", "build"]);
    let first = format!("building on the builder `tcp`, node `tcp0`, at {}", tcp.address());
    assert!(said.starts_with(&first), "{said}");
    let reference = there["app"]["buildx.build.ref"].as_str().unwrap();
    assert!(reference.starts_with("tcp/tcp0/"), "{reference}");
    let shown = |image: &str| {
        let image = format!("{}-{image}", project.name());
        engine.said_in(&[], &image, &["cat", "/seen", "/web"])
    };
    let seen = shown("web");
    assert!(seen.starts_with("9\nagent\n9\nagent\n"), "{seen}");
    let (said, here) = built(&project, &["build"]);
    ran_nothing(&said);
    assert!(!said.contains("building on"), "{said}");
    assert_eq!(digests(&here), digests(&there));
    // What was built there first is told of there.
    let why = text(&ours(&project, &["why", "--build", "latest~1"]));
    let place = "because no earlier build of it is remembered on the builder tcp";
    assert!(why.contains(place), "{why}");
    for builder in ["unix", "tcp", "tls"] {
        let image = format!("{}-web", project.name());
        engine.docker_ok(&["image", "rm", &image]);
        let (said, there) = built(&project, &["--builder", builder, "build"]);
        ran_nothing(&said);
        assert_eq!(digests(&there), digests(&here), "{builder}");
        // It was loaded.
        assert_eq!(
            engine.image_id(&image).as_deref(),
            there["web"]["containerimage.digest"].as_str()
        );
        assert_eq!(shown("web"), seen);
    }
    // Where they do not, the images are the same but for how they are written down.
    std::fs::remove_file(project.dir().join(SETTINGS)).unwrap();
    let (said, otherwise) = built(&project, &["build"]);
    ran_nothing(&said);
    let configs = |all: &Value| digests(all).into_iter().map(|it| it.2).collect::<Vec<_>>();
    assert_eq!(configs(&otherwise), configs(&here));
    assert_eq!(shown("web"), seen);
    // Only files that changed travel.
    project.write("big", [vec![b'x'; 3 << 20], project.name().into()].concat());
    let (said, _) = built(&project, &["--builder", "tls", "build", "lone"]);
    assert!(said.contains("1 cached, 2 run"), "{said}");
}

#[test]
fn buildx_and_this_program_share_the_cache_of_a_builder() {
    let engine = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::start(engine.socket());
    for ours_is_first in [true, false] {
        let project = project(&engine);
        project.write("compose.yaml", "services: {app: {build: {context: ., secrets: [{source: tok, target: tok}]}}, lone: {build: {context: ., dockerfile: lone.Dockerfile}}}\nsecrets: {tok: {file: ./tok}}\n");
        create_unseen(&project, "far", &buildkit.address(), &[]);
        let bake = || {
            let output = buildx(
                &project,
                &[
                    "bake",
                    "--builder",
                    "far",
                    "--progress",
                    "rawjson",
                    "--load",
                    "--allow=ssh",
                    "app",
                    "lone",
                ],
            );
            let lines = String::from_utf8_lossy(&output.stderr).into_owned();
            let status = |line: &str| serde_json::from_str::<Value>(line).ok();
            let all: Vec<Value> = lines.lines().filter_map(status).collect();
            let vertices = all.iter().filter_map(|it| it["vertexes"].as_array()).flatten();
            let run: Vec<String> = vertices
                .filter(|it| it["completed"].is_string() && it["cached"] != true)
                .filter_map(|it| it["name"].as_str().map(str::to_owned))
                .filter(|name| name.contains("] RUN") || name.contains("] COPY"))
                .collect();
            run
        };
        if ours_is_first {
            built(&project, &["--builder", "far", "build"]);
            assert_eq!(bake(), Vec::<String>::new());
        } else {
            assert!(!bake().is_empty());
            let (said, _) = built(&project, &["--builder", "far", "build"]);
            assert_eq!(said.matches("cached, 0 run").count(), 2, "{said}");
        }
    }
}

#[test]
fn images_are_loaded_into_whichever_engine_the_user_has() {
    let builder = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::on_socket(builder.socket());
    on_every_engine(|engine| {
        let project = project(engine);
        create_unseen(&project, "far", &buildkit.address(), &[]);
        let (said, metadata) = built(&project, &["--builder", "far", "build"]);
        for service in ["app", "web", "lone"] {
            let image = format!("{}-{service}", project.name());
            let id = engine.image_id(&image).unwrap();
            let facts = &metadata[service];
            let digests = [&facts["containerimage.digest"], &facts["containerimage.config.digest"]];
            assert!(digests.iter().any(|it| it.as_str() == Some(&id)), "{id}: {facts}");
        }
        let image = format!("{}-web", project.name());
        let seen = engine.file_of(&image, "/web");
        assert!(seen.starts_with("9\nagent\n"), "{seen}");
        // The summary has the size that the engine tells.
        assert!(!said.contains(" - "), "{said}");
    });
}

#[test]
fn buildkit_within_an_engine_keeps_its_images_there() {
    let runs = engines().into_iter().filter(|it| it.name != "28.5-containerd").map(|engine| {
        (engine.name.clone(), move || {
            let project = Project::new(&engine);
            project
                .write("compose.yaml", "services: {app: {build: ., image: 'reg.test/app'}}")
                .write(
                    "Dockerfile",
                    format!("FROM {BUSYBOX}\nRUN date >/stamp # {}\n", project.name()),
                );
            project.write(
                "compose.yaml",
                format!("services: {{app: {{build: ., image: '{}-app'}}}}", project.name()),
            );
            let buildkit = BuildkitStandIn::start(engine.socket());
            create_unseen(&project, "far", &buildkit.address(), &[]);
            let (said, metadata) = built(&project, &["--builder", "far", "build"]);
            assert!(
                said.contains("the images stay in the docker engine of the builder `far`"),
                "{said}"
            );
            let id = engine.image_id(&format!("{}-app", project.name()));
            let facts = &metadata["app"];
            let digests = [&facts["containerimage.digest"], &facts["containerimage.config.digest"]];
            assert!(digests.iter().any(|it| it.as_str() == id.as_deref()), "{id:?}: {facts}");
            for option in ["--push", "--load"] {
                let output = ours(&project, &["--builder", "far", "build", option]);
                assert_eq!(output.status.code(), Some(5), "{option}: {}", text(&output));
                assert!(text(&output).contains("node `far0`"), "{}", text(&output));
            }
        })
    });
    side_by_side(runs.collect());
}

#[test]
fn results_go_where_they_are_asked_to() {
    let engine = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::start(engine.socket());
    let registry = Registry::open();
    let project = Project::new(&engine);
    let image = format!("{}/{}-app", registry.address(), project.name());
    project
        .write("compose.yaml", format!("services: {{app: {{build: ., image: '{image}'}}}}"))
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} >/made\n", project.name()));
    create_unseen(&project, "far", &buildkit.address(), &[]);
    let no_engine = |args: &[&str]| {
        let args = [&["--builder", "far", "build"], args].concat();
        command(&project, &args).env("DOCKER_HOST", "unix:///nowhere/d.sock").output().unwrap()
    };
    // A push needs no engine, and loads nothing.
    let pushed = no_engine(&["--push"]);
    assert!(pushed.status.success(), "{}", text(&pushed));
    assert!(!text(&pushed).contains("warning"), "{}", text(&pushed));
    engine.docker_ok(&["pull", &image]);
    let made = engine.file_of(&image, "/made");
    assert_eq!(made.trim(), project.name());
    engine.docker_ok(&["image", "rm", &image]);
    // Both at once.
    let both = ours(&project, &["--builder", "far", "build", "--push", "--load"]);
    assert!(both.status.success(), "{}", text(&both));
    assert!(engine.image_id(&image).is_some());
    engine.docker_ok(&["image", "rm", &image]);
    // Files.
    for (kind, made) in
        [("local", "out/made"), ("tar", "out.tar"), ("oci", "out.oci"), ("docker", "out.docker")]
    {
        let dest = made.split('/').next().unwrap();
        let output = no_engine(&["--set", &format!("app.output=type={kind},dest={dest}")]);
        assert!(output.status.success(), "{kind}: {}", text(&output));
        assert!(!text(&output).contains("warning"), "{kind}: {}", text(&output));
        assert!(std::fs::metadata(project.dir().join(made)).unwrap().len() > 0, "{kind}");
    }
    engine.docker_ok(&["load", "-i", project.dir().join("out.docker").to_str().unwrap()]);
    assert!(engine.image_id(&image).is_some());
    engine.docker_ok(&["image", "rm", &image]);
    // Without an engine the result is in the cache, unless it has to be loaded.
    let kept = no_engine(&[]);
    assert!(kept.status.success(), "{}", text(&kept));
    let warning = "the images stay in the cache of the builder";
    assert!(text(&kept).contains(warning), "{}", text(&kept));
    let asked = no_engine(&["--load"]);
    assert_eq!(asked.status.code(), Some(3), "{}", text(&asked));
    assert!(text(&asked).contains("/nowhere/d.sock"), "{}", text(&asked));
    let several =
        ours(&project, &["--builder", "far", "build", "--platform", "linux/amd64,linux/arm64"]);
    assert_eq!(several.status.code(), Some(5), "{}", text(&several));
    assert!(
        text(&several).contains("cannot be loaded from the builder `far`"),
        "{}",
        text(&several)
    );
}

/// Fails with code 3 and one error that holds all of `parts`.
#[track_caller]
pub(crate) fn fails(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error:")).count(), 1, "{said}");
    assert!(said.lines().any(|line| line.starts_with("hint:")), "{said}");
    for noise in ["panicked", "rpc error", "code:", "h2 protocol"] {
        assert!(!said.contains(noise), "{noise}: {said}");
    }
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn what_is_not_there_or_not_right_says_so() {
    let engine = engine("28.5-containerd");
    let project = Project::new(&engine);
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write("Dockerfile", "FROM scratch\n");
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = BuildkitStandIn::with_tls(engine.socket(), &authority, "buildkit.test");
    let plain = BuildkitStandIn::start(engine.socket());
    let right = tls_options(&project, &authority, "buildkit.test");
    let wrong_name = tls_options(&project, &authority, "other.test");
    let strangers = tls_options(&project, &other, "buildkit.test");
    // Our side is a stranger's, and the authority the right one.
    let stranger = [&right[..1], &strangers[1..]].concat();
    let engine_itself = format!("unix://{}", engine.socket().display());
    let (tls, plain) = (tls.address(), plain.address());
    let none: &[String] = &[];
    let cases: [(&str, &str, &[String], &[&str]); 8] = [
        ("port", "tcp://127.0.0.1:9", none, &["connection refused", "is buildkitd running"]),
        ("socket", "unix:///nowhere/b.sock", none, &["no such socket", "is buildkitd running"]),
        ("name", &tls, &wrong_name, &["`servername` of the builder"]),
        ("authority", &tls, &strangers, &["`cacert` of the builder"]),
        ("stranger", &tls, &stranger, &["`cert` and `key` of the builder"]),
        ("no-tls", &tls, none, &["does it expect TLS?"]),
        ("tls", &plain, &right, &["does not speak TLS"]),
        ("engine", &engine_itself, none, &["is it BuildKit that listens there"]),
    ];
    for (name, address, options, _) in &cases {
        create_unseen(&project, name, address, options);
    }
    let project = &project;
    let runs = cases.map(|(name, _, _, parts)| {
        (name.to_owned(), move || {
            let node = format!("the builder `{name}`, node `{name}0`");
            fails(
                &ours_plainly(project, &["--builder", name, "build"]),
                &[parts, &[&node]].concat(),
            );
        })
    });
    side_by_side(runs.into());
    // A file of the builder that is not there.
    create_unseen(project, "gone", &tls, &right);
    std::fs::remove_file(right[2].strip_prefix("key=").unwrap()).unwrap();
    let gone = ours_plainly(project, &["--builder", "gone", "build"]);
    assert_eq!(gone.status.code(), Some(3), "{}", text(&gone));
    assert!(text(&gone).contains("cannot reach the builder `gone`"), "{}", text(&gone));
    assert!(text(&gone).contains("/key-"), "{}", text(&gone));
}

fn ours_plainly(project: &Project, args: &[&str]) -> Output {
    command(project, args).output().unwrap()
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_build_says_so() {
    let engine = engine("28.5-containerd");
    let runs = ["cut", "frozen", "silent"].map(|name| {
        let engine = &engine;
        (name.to_owned(), move || {
            if name == "silent" {
                return no_answer_at_all(engine);
            }
            let project = Project::new(engine);
            let nap = format!("7{}", project.name().replace(|it: char| !it.is_ascii_digit(), ""));
            std::fs::create_dir(project.home().join("tmp")).unwrap();
            project
                .write(
                    "compose.yaml",
                    "services: {app: {build: .}, web: {build: {context: ., dockerfile: web}}}",
                )
                .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN sleep {nap}\n"))
                .write("web", format!("FROM {BUSYBOX}\nRUN sleep {nap}1\n"));
            let buildkit = BuildkitStandIn::start(engine.socket());
            create_unseen(&project, "far", &buildkit.address(), &[]);
            let build = command(&project, &["--builder", "far", "build", "--progress", "plain"])
                .env("TMPDIR", project.home().join("tmp"))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            eventually("the steps run", || (runs(&nap) && runs(&format!("{nap}1"))).then_some(()));
            match name {
                "cut" => buildkit.cut(),
                _ => buildkit.freeze(),
            }
            let output = ended(build);
            let lost = "the connection to the builder `far`, node `far0`, at tcp://";
            fails(&output, &[lost, "was lost during the build"]);
            let left: Vec<_> = std::fs::read_dir(project.home().join("tmp")).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
            drop(buildkit);
            eventually("no step runs", || (!runs(&nap)).then_some(()));
        })
    });
    side_by_side(runs.into());
}

/// What listens takes connections, and that is all.
fn no_answer_at_all(engine: &Engine) {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write("Dockerfile", "FROM scratch\n");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    create_unseen(&project, "far", &format!("tcp://{}", silent.local_addr().unwrap()), &[]);
    let output = ours_plainly(&project, &["--builder", "far", "build"]);
    fails(&output, &["the builder `far`, node `far0`, at tcp://", "no answer within 20 s"]);
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

#[test]
fn an_interrupt_ends_the_steps_there() {
    let engine = engine("28.5-containerd");
    let project = Project::new(&engine);
    let nap = format!("8{}", project.name().replace(|it: char| !it.is_ascii_digit(), ""));
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN sleep {nap}\n"));
    let buildkit = BuildkitStandIn::start(engine.socket());
    create_unseen(&project, "far", &buildkit.address(), &[]);
    let mut build =
        command(&project, &["--builder", "far", "build"]).stderr(Stdio::null()).spawn().unwrap();
    eventually("the step runs", || runs(&nap).then_some(()));
    let id = rustix::process::Pid::from_child(&build);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(build.wait().unwrap().code(), Some(130));
    eventually("no step runs", || (!runs(&nap)).then_some(()));
}
