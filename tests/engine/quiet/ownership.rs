//! Whose a thing is, on every engine: what looks like the project's and is somebody else's stays, and the plan says
//! why. Containers come from the real docker compose.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doc2md_docker::clean::space::Space;
use doc2md_docker::clean::{self, Kind, Request, execute};
use doc2md_docker::engine::{Connector, Engine as Client};
use doc2md_docker::ownership::{self, Question};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::{BUSYBOX, Engine, Project, on_every_engine, text};

/// A project, and everything with its name or label, which goes when the test ends, however it does.
pub(crate) struct Owned(pub(crate) Project);

impl std::ops::Deref for Owned {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.0.name());
        let name = format!("name={}", self.0.name());
        let docker = |args: &[&str]| self.0.engine().docker(args).output().unwrap();
        let mut containers = String::new();
        for filter in [&label, &name] {
            let listed = docker(&["ps", "-aq", "--no-trunc", "--filter", filter]);
            containers += &String::from_utf8_lossy(&listed.stdout);
        }
        for id in containers.lines() {
            docker(&["rm", "-fv", id]);
        }
        for kind in ["volume", "network"] {
            for filter in [&label, &name] {
                let listed = docker(&[kind, "ls", "-q", "--filter", filter]);
                for id in String::from_utf8_lossy(&listed.stdout).lines() {
                    docker(&[kind, "rm", id]);
                }
            }
        }
    }
}

/// A project of one service with a named and an anonymous volume, built in `folder` below the test's own.
fn project(engine: &Engine) -> Owned {
    let project = Owned(Project::new(engine));
    write(&project, Path::new(""), "");
    project
}

/// The files of a checkout; `mark` makes its image another one.
fn write(project: &Project, folder: &Path, mark: &str) {
    let name = project.name();
    project
        .write(folder.join("Dockerfile"), format!("FROM {BUSYBOX}\nRUN echo {name}{mark} > /own\n"))
        .write(
            folder.join("compose.yaml"),
            "services:\n  app:\n    build: .\n    command: sleep 600\n    network_mode: none\n    \
             volumes: [data:/data, /anonymous]\nvolumes:\n  data: {}\n",
        );
}

/// The program in a folder of the project.
pub(crate) fn command(project: &Project, folder: &Path, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.current_dir(folder);
    command
}

pub(crate) fn run(project: &Project, folder: &Path, args: &[&str]) -> String {
    let output = command(project, folder, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn compose(project: &Project, folder: &Path, args: &[&str]) {
    let mut command = project.docker(&[&["compose"], args].concat());
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "compose {args:?}: {}", text(&output));
}

/// A clean's document.
fn clean(project: &Project, folder: &Path, args: &[&str]) -> Value {
    let args = [&["clean", "--force", "--format", "json"], args].concat();
    serde_json::from_str(&run(project, folder, &args)).unwrap()
}

/// `KIND NAME` of what a document lists under `key`.
fn listed(document: &Value, key: &str) -> Vec<String> {
    let things = document[key].as_array().unwrap().iter();
    let text = |thing: &Value, key: &str| thing[key].as_str().unwrap().to_owned();
    let mut lines: Vec<String> =
        things.map(|thing| format!("{} {}", text(thing, "kind"), text(thing, "name"))).collect();
    lines.sort();
    lines
}

/// Why a thing stays.
fn reason(document: &Value, name: &str) -> String {
    let kept = document["keep"].as_array().unwrap().iter();
    let reasons: Vec<&str> = kept
        .filter(|thing| thing["name"] == name || thing["id"] == name)
        .filter_map(|thing| thing["reason"].as_str())
        .collect();
    assert_eq!(reasons.len(), 1, "{name}: {document:#}");
    reasons[0].to_owned()
}

pub(crate) fn has(engine: &Engine, kind: &str, name: &str) -> bool {
    engine.docker(&[kind, "inspect", name]).output().unwrap().status.success()
}

/// Ids of the anonymous volumes of a container.
pub(crate) fn anonymous(engine: &Engine, container: &str) -> Vec<String> {
    let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}}\n{{end}}{{end}}";
    let names = engine.docker_ok(&["inspect", "--format", format, container]);
    names.lines().filter(|name| name.len() == 64).map(str::to_owned).collect()
}

/// An image that somebody builds with plain docker; its id.
pub(crate) fn build_on(project: &Project, base: &str, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("Dockerfile"),
        format!("FROM {base}\nRUN echo {base} {} > /theirs\n", options.join("")),
    )
    .unwrap();
    let path = folder.path().display().to_string();
    let file = folder.path().join("id").display().to_string();
    let args = [&["buildx", "build", "--load", "--iidfile", &file, &path], options].concat();
    project.engine().docker_ok(&args);
    std::fs::read_to_string(folder.path().join("id")).unwrap()
}

#[test]
fn what_somebody_made_of_the_projects_image_stays() {
    on_every_engine(|engine| {
        let project = project(engine);
        let (dir, app) = (project.dir(), format!("{}-app:latest", project.name()));
        let name = |what: &str| format!("{}-{what}", project.name());
        run(&project, &dir, &["build"]);
        compose(&project, &dir, &["create", "--no-build"]);
        compose(&project, &dir, &["run", "--detach", "--name", &name("once"), "app", "true"]);
        // By hand, from the project's image, from one built on it, and from a container of compose's that was committed.
        let (stopped, running) = (name("stopped"), name("running"));
        engine.docker_ok(&["create", "--name", &stopped, "-v", "/data", "--network", "none", &app]);
        let derived = name("derived");
        let derived_id = build_on(&project, &app, &["--tag", &derived]);
        let committed = name("committed");
        engine.docker_ok(&["commit", &name("app-1"), &committed]);
        let of_commit = name("of-commit");
        engine.docker_ok(&["create", "--name", &of_commit, "--network", "none", &committed]);
        engine.docker_ok(&[
            "run",
            "-d",
            "--name",
            &running,
            "--network",
            "none",
            &derived,
            "sleep",
            "600",
        ]);
        engine.docker_ok(&["tag", &app, &name("mine")]);
        // Without a name, built on the project's image: nobody's build of the project made it.
        let unnamed = build_on(&project, &app, &["--label", "theirs=1"]);

        let own = anonymous(engine, &name("app-1"));
        let theirs = anonymous(engine, &stopped);
        assert_eq!((own.len(), theirs.len()), (1, 1));
        let shown = run(&project, &dir, &["stats", "--format", "json"]);
        let stats: Value = serde_json::from_str(&shown).unwrap();
        let names = |key: &str, field: &str| -> Vec<String> {
            let things = stats[key].as_array().unwrap().iter();
            things.map(|thing| thing[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("containers", "name"), [name("app-1"), name("once")], "{stats:#}");
        assert!(names("volumes", "name").contains(&own[0]), "{stats:#}");
        assert!(!names("volumes", "name").contains(&theirs[0]), "{stats:#}");

        let done = clean(&project, &dir, &["--stop"]);
        let gone = listed(&done, "remove");
        for kept in [&stopped, &running, &of_commit] {
            assert!(has(engine, "container", kept), "{}: {kept} {gone:?}", engine.name);
            assert!(reason(&done, kept).starts_with("compose did not make it"), "{done:#}");
        }
        let state = engine.docker_ok(&["inspect", "--format", "{{.State.Running}}", &running]);
        assert_eq!(state, "true", "{}", engine.name);
        for gone in [name("app-1"), name("once")] {
            assert!(!has(engine, "container", &gone), "{}: {gone} {done:#}", engine.name);
        }
        assert!(!has(engine, "volume", &own[0]), "{}: {done:#}", engine.name);
        assert!(has(engine, "volume", &theirs[0]), "{}: {done:#}", engine.name);
        assert!(!has(engine, "volume", &format!("{}_data", project.name())), "{}", engine.name);
        for kept in [&app, &derived, &derived_id, &committed, &name("mine"), &unnamed] {
            assert!(has(engine, "image", kept), "{}: {kept} {done:#}", engine.name);
        }
        assert!(reason(&done, &app).contains(" uses it"), "{done:#}");
        assert!(reason(&done, &unnamed).contains("--include unrecorded"), "{done:#}");

        // Once nobody uses the image, its name goes, and that of somebody's own stays.
        engine.docker_ok(&["rm", "-fv", &stopped, &running, &of_commit]);
        let done = clean(&project, &dir, &[]);
        assert_eq!(listed(&done, "remove"), [format!("image {app}")], "{}", engine.name);
        assert!(has(engine, "image", &name("mine")), "{}: {done:#}", engine.name);
        engine.docker_ok(&["image", "rm", "-f", &unnamed, &derived, &committed, &name("mine")]);
    });
}

#[test]
fn an_earlier_image_goes_where_a_build_made_it() {
    on_every_engine(|engine| {
        let project = project(engine);
        let dir = project.dir();
        let id = || engine.image_id(&format!("{}-app", project.name())).unwrap();
        run(&project, &dir, &["build"]);
        let first = id();
        write(&project, Path::new(""), "-again");
        run(&project, &dir, &["build"]);
        let second = id();
        assert_ne!(first, second);
        let stats: Value =
            serde_json::from_str(&run(&project, &dir, &["stats", "--format", "json"])).unwrap();
        // The containerd store keeps no image whose name another one has taken.
        if !engine.name.ends_with("containerd") {
            assert_eq!(stats["dangling"][0]["id"], first.as_str(), "{}: {stats:#}", engine.name);
        }
        clean(&project, &dir, &[]);
        for gone in [first, second] {
            assert!(!has(engine, "image", &gone), "{}", engine.name);
        }
    });
}

#[test]
fn what_the_files_call_external_or_do_not_name_stays() {
    on_every_engine(|engine| {
        let project = project(engine);
        let (dir, name) = (project.dir(), project.name().to_owned());
        let file = |volumes: &str, networks: &str| {
            project.write(
                "compose.yaml",
                format!(
                    "services:\n  app:\n    image: {BUSYBOX}\n    networks: [mine]\n    volumes: \
                     [data:/data, old:/old, other:/other]\nvolumes:\n{volumes}\nnetworks:\n{networks}\n"
                ),
            );
        };
        file("  data:\n  old:\n  other:", "  mine:");
        compose(&project, &dir, &["create"]);
        engine.docker_ok(&["rm", &format!("{name}-app-1")]);
        // Compose made them all; the files take that back in three ways, and somebody has one of his own.
        file(
            &format!(
                "  data: {{external: true, name: {name}_data}}\n  old: {{external: {{name: {name}_old}}}}"
            ),
            &format!("  mine: {{external: true, name: {name}_mine}}"),
        );
        let compose_file = std::fs::read_to_string(dir.join("compose.yaml")).unwrap();
        project.write("compose.yaml", compose_file.replace(", other:/other", ""));
        let by_hand = format!("{name}_by-hand");
        let label = format!("com.docker.compose.project={name}");
        engine.docker_ok(&["volume", "create", "--label", &label, &by_hand]);
        let done = clean(&project, &dir, &[]);
        assert_eq!(listed(&done, "remove"), [""; 0], "{}", engine.name);
        for thing in ["data", "old", "mine"] {
            let why = reason(&done, &format!("{name}_{thing}"));
            assert_eq!(why, "the compose file calls it external", "{}", engine.name);
        }
        let why = reason(&done, &format!("{name}_other"));
        assert!(why.contains("--include undeclared"), "{}: {why}", engine.name);
        let why = reason(&done, &by_hand);
        assert_eq!(why, "compose did not make it", "{}", engine.name);
        let shown = run(&project, &dir, &["stats", "--format", "json"]);
        let stats: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(stats["volumes"].as_array().unwrap().len(), 0, "{}: {stats:#}", engine.name);

        let done = clean(&project, &dir, &["--include", "undeclared,other-directories,unrecorded"]);
        assert_eq!(listed(&done, "remove"), [format!("volume {name}_other")], "{}", engine.name);
        for volume in ["data", "old", "by-hand"] {
            assert!(has(engine, "volume", &format!("{name}_{volume}")), "{}", engine.name);
        }
        assert!(has(engine, "network", &format!("{name}_mine")), "{}", engine.name);
    });
}

/// Two folders with the files of one project.
fn checkouts(engine: &Engine) -> (Owned, PathBuf, PathBuf) {
    let project = Owned(Project::new(engine));
    write(&project, Path::new("a/app"), "");
    write(&project, Path::new("b/app"), "");
    let (a, b) = (project.dir().join("a/app"), project.dir().join("b/app"));
    (project, a, b)
}

#[test]
fn another_checkout_of_the_project_keeps_what_it_has() {
    on_every_engine(|engine| {
        let (project, a, b) = checkouts(engine);
        let (name, app) = (project.name().to_owned(), format!("{}-app:latest", project.name()));
        run(&project, &a, &["build"]);
        let done = clean(&project, &b, &[]);
        assert_eq!(listed(&done, "remove"), [""; 0], "{}: {done:#}", engine.name);
        let why = reason(&done, &app);
        assert!(why.contains(a.to_str().unwrap()), "{}: {why}", engine.name);

        compose(&project, &a, &["create", "--no-build"]);
        let owned = anonymous(engine, &format!("{name}-app-1"));
        let done = clean(&project, &b, &["--stop"]);
        assert_eq!(listed(&done, "remove"), [""; 0], "{}: {done:#}", engine.name);
        let why = reason(&done, &format!("{name}-app-1"));
        assert!(why.starts_with("made from another directory, "), "{}: {why}", engine.name);
        assert!(reason(&done, &format!("{name}_data")).contains("uses it"), "{done:#}");
        assert!(reason(&done, &owned[0]).contains("uses it"), "{done:#}");

        // The same folder by another path is still the same folder.
        std::os::unix::fs::symlink(&a, project.dir().join("link")).unwrap();
        let link = project.dir().join("link").display().to_string();
        let shown = run(
            &project,
            &b,
            &["--project-directory", &link, "clean", "--dry-run", "--format", "json"],
        );
        let plan: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(plan["remove"].as_array().unwrap().len(), 4, "{}: {plan:#}", engine.name);

        // On request it all goes: the container, the image, the volume of the files and the one without a name.
        let done = clean(&project, &b, &["--include", "other-directories"]);
        assert_eq!(listed(&done, "remove").len(), 4, "{}: {done:#}", engine.name);
        assert!(!has(engine, "image", &app), "{}", engine.name);
    });
}

#[test]
fn of_two_checkouts_each_takes_the_image_that_it_built() {
    on_every_engine(|engine| {
        let (project, a, b) = checkouts(engine);
        let id = || engine.image_id(&format!("{}-app", project.name())).unwrap();
        run(&project, &a, &["build"]);
        let first = id();
        // The same image from the same steps: both built it.
        run(&project, &b, &["build"]);
        assert_eq!(id(), first, "{}", engine.name);
        let done = clean(&project, &b, &[]);
        assert!(
            reason(&done, &format!("{}-app:latest", project.name())).contains("too: "),
            "{done:#}"
        );
        // Another one takes the name, and the first is without.
        write(&project, Path::new("b/app"), "-b");
        run(&project, &b, &["build", "--no-cache"]);
        let second = id();
        assert_ne!(second, first);
        let done = clean(&project, &b, &[]);
        assert!(!has(engine, "image", &second), "{}: {done:#}", engine.name);
        let is_kept = !engine.name.ends_with("containerd");
        assert_eq!(has(engine, "image", &first), is_kept, "{}: {done:#}", engine.name);
        // Its folder is known by the ledger alone. What both built goes with neither without being asked for.
        clean(&project, &a, &["--include", "other-directories"]);
        assert!(!has(engine, "image", &first), "{}", engine.name);
    });
}

#[test]
fn an_image_of_another_project_stays_though_the_files_use_it() {
    on_every_engine(|engine| {
        let (ours, theirs) = (project(engine), project(engine));
        let image = format!("{}-app:latest", theirs.name());
        run(&theirs, &theirs.dir(), &["build"]);
        ours.write("compose.yaml", format!("services: {{app: {{image: '{image}'}}}}"));
        let done = clean(&ours, &ours.dir(), &["--all"]);
        assert_eq!(reason(&done, &image), format!("project {} made it", theirs.name()), "{done:#}");
        assert!(has(engine, "image", &image), "{}", engine.name);
    });
}

#[test]
fn the_name_on_the_command_line_is_the_only_project_that_is_meant() {
    on_every_engine(|engine| {
        let (here, other) = (project(engine), project(engine));
        for project in [&here, &other] {
            run(project, &project.dir(), &["build"]);
            compose(project, &project.dir(), &["create", "--no-build"]);
        }
        // The name of the folder's project comes from its file here, as it does for most people.
        let file = std::fs::read_to_string(here.dir().join("compose.yaml")).unwrap();
        here.write("compose.yaml", format!("name: {}\n{file}", here.name()));
        let in_folder = |args: &[&str]| {
            let mut command = here.command(args);
            command.env_remove("COMPOSE_PROJECT_NAME");
            command.output().unwrap()
        };
        let shown =
            in_folder(&["clean", "-p", other.name(), "--force", "--stop", "--format", "json"]);
        assert!(shown.status.success(), "{}", text(&shown));
        let done: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(done["remove"].as_array().unwrap().len(), 4, "{}: {done:#}", engine.name);
        assert!(!done.to_string().contains(&format!("{}-app", here.name())), "{done:#}");
        assert!(has(engine, "container", &format!("{}-app-1", here.name())), "{}", engine.name);

        for command in ["clean", "stats"] {
            let empty = in_folder(&[command, "-p", ""]);
            assert_eq!(empty.status.code(), Some(2), "{}", text(&empty));
            let unknown = format!("{}-no-such", other.name());
            let args: &[&str] = match command {
                "clean" => &["clean", "-p", &unknown, "--force"],
                _ => &["stats", "-p", &unknown],
            };
            let said = text(&in_folder(args));
            assert!(said.contains(&format!("nothing of project {unknown}")), "{said}");
            assert!(said.contains(here.name()), "{said}");
        }
        // The name of the files themselves: they apply.
        let shown = in_folder(&["clean", "-p", here.name(), "--dry-run", "--format", "json"]);
        let plan: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert!(!plan["notes"].to_string().contains("going by the name"), "{plan:#}");
    });
}

#[test]
fn ci_is_no_consent_to_lose_volumes() {
    on_every_engine(|engine| {
        let project = project(engine);
        compose(&project, &project.dir(), &["create", "--build"]);
        let volume = format!("{}_data", project.name());
        let in_ci = |args: &[&str]| {
            let mut command = project.command(&[&["clean"], args].concat());
            command.env("CI", "true").output().unwrap()
        };
        let refused = in_ci(&[]);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(
            text(&refused).contains("CI is no consent to removing volumes"),
            "{}",
            text(&refused)
        );
        assert!(has(engine, "volume", &volume), "{}", engine.name);
        let refused = in_ci(&["--only", "volumes", "--only", "containers"]);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        let alone = in_ci(&["--images"]);
        assert_eq!(alone.status.code(), Some(2), "{}", text(&alone));
        assert!(text(&alone).contains("--only images"), "{}", text(&alone));
        assert!(has(engine, "container", &format!("{}-app-1", project.name())));

        assert!(in_ci(&["--volumes=false"]).status.success());
        assert!(has(engine, "volume", &volume), "{}", engine.name);
        let done = in_ci(&["--volumes"]);
        assert!(done.status.success(), "{}", text(&done));
        assert!(!has(engine, "volume", &volume), "{}", engine.name);
    });
}

#[test]
fn a_terminal_in_ci_is_asked_like_any_other() {
    on_every_engine(|engine| {
        let project = project(engine);
        compose(&project, &project.dir(), &["create", "--build"]);
        let volume = format!("{}_data", project.name());
        let at_terminal = |answer: &str| {
            let clean = project.command(&[]);
            // `script` gives it a terminal and types what comes on its standard input.
            let mut terminal = Command::new("script")
                .args(["--quiet", "--return", "--command"])
                .arg(format!("{} clean", env!("CARGO_BIN_EXE_doc2md-docker")))
                .arg("/dev/null")
                .current_dir(project.dir())
                .env_clear()
                .envs(clean.get_envs().filter_map(|(name, value)| Some((name, value?))))
                .env("CI", "true")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            terminal.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
            let output = terminal.wait_with_output().unwrap();
            (output.status.success(), text(&output))
        };
        let (_, said) = at_terminal("n\n");
        assert!(said.contains("[y/N]"), "{said}");
        assert!(has(engine, "volume", &volume), "{}: {said}", engine.name);
        let (done, said) = at_terminal("y\n");
        assert!(done && !has(engine, "volume", &volume), "{}: {said}", engine.name);
    });
}

/// What changed between the plan and its execution counts.
#[test]
fn what_somebody_took_into_use_since_the_plan_stays() {
    on_every_engine(|engine| {
        let project = project(engine);
        let file = std::fs::read_to_string(project.dir().join("compose.yaml")).unwrap();
        project.write("compose.yaml", file.replace("    network_mode: none\n", ""));
        let name = project.name().to_owned();
        compose(&project, &project.dir(), &["create", "--build"]);
        let (container, network) = (format!("{name}-app-1"), format!("{name}_default"));
        let volume = format!("{name}_data");
        let client = Client::new(&Connector::unix(engine.socket()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(async {
            // Whoever asks while an engine answers somebody else is told what there was before.
            let end = Instant::now() + Duration::from_secs(300);
            let inventory = loop {
                let inventory = client.inventory(Duration::from_secs(60)).await.unwrap();
                let volumes: Vec<&String> = inventory.volumes.iter().map(|it| &it.name).collect();
                let seen = inventory.containers.iter().find(|it| it.name == container);
                let mounted = seen.map(|it| it.mounts.iter().filter_map(|it| it.volume.as_ref()));
                if mounted.is_some_and(|mut it| it.all(|volume| volumes.contains(&volume))) {
                    break inventory;
                }
                assert!(Instant::now() < end, "{}: {:#?}", engine.name, inventory.containers);
            };
            let project = ownership::Project { name: name.clone(), ..Default::default() };
            let answer = ownership::judge(&Question {
                project: &project,
                inventory: &inventory,
                stacks: &[],
                histories: &[],
                evidence: &ownership::Evidence::default(),
                include: &Default::default(),
            });
            let plan = clean::plan(
                &inventory,
                &Space::new(&inventory, &[]),
                &answer,
                &Request {
                    kinds: [Kind::Container, Kind::Network, Kind::Image, Kind::Volume].into(),
                    whole_cache: false,
                    only_old: false,
                    pulled_images: false,
                    stop: false,
                    until: None,
                    cache_goal: None,
                    records: None,
                },
            );
            assert_eq!(plan.remove.len(), 5, "{plan:#?}");
            engine.docker_ok(&["start", &container]);
            let by_hand = format!("{name}-by-hand");
            engine.docker_ok(&[
                "create",
                "--name",
                &by_hand,
                "--network",
                &network,
                "-v",
                &format!("{volume}:/d"),
                BUSYBOX,
                "true",
            ]);
            execute::execute(&client, &plan, &CancellationToken::new(), |_| {}).await
        });
        assert!(outcome.stopped.is_none());
        assert_eq!(outcome.remains.len(), 5, "{}: {:#?}", engine.name, outcome.remains);
        let state = engine.docker_ok(&["inspect", "--format", "{{.State.Running}}", &container]);
        assert_eq!(state, "true", "{}", engine.name);
        for (kind, thing) in [("network", &network), ("volume", &volume)] {
            assert!(has(engine, kind, thing), "{}: {thing}", engine.name);
        }
        engine.docker_ok(&["kill", &container]);
    });
}
