//! `doc2md-docker dev`: our build, then the real docker compose, with one idea of project and engine.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{
    BUSYBOX, Engine, Project, engine, eventually, eventually_or_why, install_compose,
    on_every_engine, text,
};

/// A project whose service says another thing in development.
fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    install_compose(&project);
    project
        .write(
            "compose.yaml",
            "services: {app: {build: {context: ., target: prod}, network_mode: none}}",
        )
        .write(
            "compose.dev.yaml",
            "services: {app: {image: \"${COMPOSE_PROJECT_NAME}-app:dev\", build: {target: dev}}}",
        )
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX} AS dev\nCMD [\"sh\", \"-c\", \"echo in development; sleep 1000\"]\n\
                 FROM {BUSYBOX} AS prod\nCMD [\"sh\", \"-c\", \"echo in production\"]\n"
            ),
        );
    project
}

/// Name of the compose project that `dev` runs.
fn name(project: &Project) -> String {
    format!("{}-dev", project.name())
}

/// What a compose project has made, sorted: `kind id`, and whether a container runs.
fn things(project: &Project, name: &str) -> Vec<String> {
    let label = format!("label=com.docker.compose.project={name}");
    let mut all = Vec::new();
    for (kind, list) in [
        ("container", &["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.State}}"][..]),
        ("network", &["network", "ls", "--no-trunc", "--format", "{{.ID}}"]),
        ("volume", &["volume", "ls", "--format", "{{.Name}}"]),
    ] {
        let told = project.engine().docker_ok(&[list, &["--filter", &label]].concat());
        all.extend(told.lines().map(|line| format!("{kind} {line}")));
    }
    all.sort();
    all
}

fn containers(project: &Project) -> String {
    let mut all = things(project, &name(project));
    all.retain(|it| it.starts_with("container"));
    all.join("\n")
}

fn ok(project: &Project, args: &[&str]) -> String {
    let output = project.command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

/// `command` as a person would run it whose engine is given on the command line only.
fn by_host(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("DOCKER_HOST", "unix:///nowhere.sock").args(["--host", &project.engine().host]);
    command
}

#[test]
fn up_logs_and_down() {
    on_every_engine(|engine| {
        let project = project(engine);
        let up = by_host(&project, &["dev", "-d"]).output().unwrap();
        assert!(up.status.success(), "{}: {}", engine.name, text(&up));
        assert!(!containers(&project).is_empty(), "{}", engine.name);
        assert!(engine.image_id(&format!("{}-app:dev", name(&project))).is_some());
        // The production image was not built along the way.
        assert!(engine.image_id(&format!("{}-app", project.name())).is_none());

        eventually("the service has spoken", || {
            let logs = by_host(&project, &["dev", "logs", "app"]).output().unwrap();
            text(&logs).contains("in development").then_some(())
        });

        let down =
            project.command(&["dev", "down", "-v", "--", "--timeout", "0"]).output().unwrap();
        assert!(down.status.success(), "{}: {}", engine.name, text(&down));
        assert_eq!(containers(&project), "", "{}", engine.name);
    });
}

#[test]
fn the_exit_code_is_that_of_compose_and_a_failed_build_starts_nothing() {
    on_every_engine(|engine| {
        let project = project(engine);
        project.write(
            "compose.dev.yaml",
            "services: {app: {build: {target: dev}, command: [sh, -c, exit 7]}}",
        );
        let options = ["dev", "up", "app", "--", "--exit-code-from", "app"];
        let up = project.command(&options).output().unwrap();
        assert_eq!(up.status.code(), Some(7), "{}: {}", engine.name, text(&up));
        project.run(&["dev", "down"]).success();

        project.write("Dockerfile", format!("FROM {BUSYBOX} AS dev\nRUN exit 9\n"));
        let up = project.command(&["dev", "up", "-d"]).output().unwrap();
        assert_eq!(up.status.code(), Some(1), "{}: {}", engine.name, text(&up));
        assert_eq!(containers(&project), "", "{}", engine.name);
    });
}

#[test]
fn in_the_foreground_an_interrupt_stops_what_was_started() {
    let project = project(&engine("28.5"));
    project.write(
        "compose.dev.yaml",
        "services: {app: {build: {target: dev}, stop_grace_period: 0s}}",
    );
    let mut dev =
        project.command(&["dev"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let logs = ["dev", "logs", "app"];
    eventually("the service has spoken", || {
        text(&project.command(&logs).output().unwrap()).contains("in development").then_some(())
    });
    // Compose has taken the program's place, so this reaches it.
    let pid = rustix::process::Pid::from_child(&dev);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    eventually("the program has ended", || dev.try_wait().unwrap());
    let label = format!("label=com.docker.compose.project={}", name(&project));
    let running = project.engine().docker_ok(&["ps", "--quiet", "--filter", &label]);
    assert_eq!(running, "");
    assert!(!containers(&project).is_empty(), "stopped, not removed");
    project.run(&["dev", "down"]).success();
}

/// Production as compose runs it: a container, a network, a volume.
fn production(project: &Project) -> Vec<String> {
    let up = project.docker(&["compose", "up", "--detach", "--no-build"]).output().unwrap();
    assert!(up.status.success(), "{}", text(&up));
    let made = things(project, project.name());
    assert_eq!(made.len(), 3, "{made:?}");
    made
}

/// A project with everything that compose makes: in a range of addresses that no other engine here has chosen.
fn whole(engine: &Engine, part: u8) -> Project {
    let range = engine.docker_ok(&[
        "network",
        "inspect",
        "--format",
        "{{(index .IPAM.Config 0).Subnet}}",
        "bridge",
    ]);
    let number = range.split('.').nth(2).unwrap();
    let project = project(engine);
    let subnet = |half: u8| format!("10.79.{number}.{}/28", part * 32 + half * 16);
    project.write(
        "compose.yaml",
        format!(
            "services: {{app: {{build: {{context: ., target: prod}}, volumes: [data:/data], stop_grace_period: 0s, command: [sleep, \"1000\"]}}}}\n\
             volumes: {{data: {{}}}}\nnetworks: {{default: {{ipam: {{config: [{{subnet: {}}}]}}}}}}\n",
            subnet(0)
        ),
    );
    project.write(
        "compose.dev.yaml",
        format!(
            "services: {{app: {{build: {{target: dev}}, command: [sh, -c, \"seq 9; sleep 1000\"]}}}}\n\
             networks: {{default: {{ipam: !override {{config: [{{subnet: {}}}]}}}}}}\n",
            subnet(1)
        ),
    );
    project
}

/// What a test made by compose goes, also when it failed.
struct Down<'a>(&'a Project);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        for name in [self.0.name().to_owned(), name(self.0)] {
            let down = ["compose", "--project-name", &name, "down", "--volumes", "--timeout", "0"];
            drop(self.0.docker(&down).output());
        }
    }
}

#[test]
fn production_stays_as_it_is_whatever_development_does() {
    on_every_engine(|engine| {
        let project = whole(engine, 0);
        let _down = Down(&project);
        ok(&project, &["build"]);
        let before = production(&project);

        ok(&project, &["dev", "up", "-d"]);
        let development = things(&project, &name(&project));
        assert_eq!(development.len(), 3, "{}: {development:?}", engine.name);
        assert_eq!(things(&project, project.name()), before, "{}", engine.name);

        assert!(ok(&project, &["dev", "ps", "--quiet"]).contains(&containers(&project)[10..22]));
        eventually("the service has counted", || {
            let told = ok(&project, &["dev", "logs", "--no-log-prefix", "--tail", "3"]);
            let told: Vec<&str> = told.lines().filter(|it| it.parse::<u8>().is_ok()).collect();
            (told == ["7", "8", "9"]).then_some(())
        });
        let shell = ["dev", "exec", "-T", "app", "sh", "-c", "echo $((6 * 7)); exit 3"];
        let told = project.command(&shell).output().unwrap();
        assert_eq!(told.status.code(), Some(3), "{}", text(&told));
        assert!(text(&told).contains("42"), "{}", text(&told));
        ok(&project, &["dev", "restart"]);
        ok(&project, &["dev", "stop", "app"]);
        assert_eq!(things(&project, project.name()), before, "{}", engine.name);

        ok(&project, &["dev", "down"]);
        let left = things(&project, &name(&project));
        assert!(left.len() == 1 && left[0].starts_with("volume"), "{}: {left:?}", engine.name);
        ok(&project, &["dev", "up", "-d"]);
        ok(&project, &["dev", "down", "-v"]);
        assert!(things(&project, &name(&project)).is_empty(), "{}", engine.name);
        assert_eq!(things(&project, project.name()), before, "{}", engine.name);
    });
}

#[test]
fn what_both_would_call_the_same_is_refused_and_a_name_of_its_own_counts() {
    let engine = engine("28.5");
    let project = whole(&engine, 1);
    let _down = Down(&project);
    let compose = std::fs::read_to_string(project.dir().join("compose.yaml")).unwrap();
    let volume = format!("{}_fixed", project.name());
    let fixed = compose.replace("data: {}", &format!("data: {{name: {volume}}}"));
    project.write("compose.yaml", fixed);
    ok(&project, &["build"]);
    let before = production(&project);
    // Production is down, its data stay.
    project.docker(&["compose", "down"]).output().unwrap();
    for words in [&["dev", "up", "-d"][..], &["dev", "down", "-v"]] {
        let refused = project.command(words).output().unwrap();
        assert_eq!(refused.status.code(), Some(5), "{}", text(&refused));
        assert!(text(&refused).contains(&volume), "{}", text(&refused));
    }
    let left = things(&project, project.name());
    assert!(left.len() == 1 && before.contains(&left[0]), "{left:?}");

    // Without a name of the project from elsewhere, that of the file for development is another already.
    project.write("compose.yaml", format!("name: {}\n{compose}", project.name()));
    let dev = std::fs::read_to_string(project.dir().join("compose.dev.yaml")).unwrap();
    project.write("compose.dev.yaml", format!("name: {}-own\n{dev}", project.name()));
    let told = project.command(&["dev", "config"]).env_remove("COMPOSE_PROJECT_NAME").output();
    let told = text(&told.unwrap());
    assert!(told.contains(&format!("name: {}-own\n", project.name())), "{told}");
}

/// What a `dev` in the foreground says, as it says it.
struct Foreground<'a> {
    project: &'a Project,
    child: Child,
    said: Arc<Mutex<String>>,
}

impl<'a> Foreground<'a> {
    fn start(project: &'a Project) -> Self {
        let said = Arc::default();
        Self { project, child: spawn(project, &said), said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Starts it again where it was ended by compose: one that looks for a container which the recreation of another compose
    /// has just removed reads a null pointer (compose 2.40.3, `monitor.go`).
    fn goes_on(&mut self) {
        let said = self.said();
        if said.contains("pkg/compose.(*monitor).Start") && self.child.try_wait().unwrap().is_some()
        {
            *self.said.lock().unwrap() = said.replace("(*monitor).Start", "(*monitor).Started");
            self.child = spawn(self.project, &self.said);
        }
    }

    #[track_caller]
    fn says(&mut self, words: &str) {
        eventually_or_why(words, || {
            self.goes_on();
            let said = self.said();
            if said.contains(words) { Ok(()) } else { Err(said) }
        });
    }

    /// Waits until the container of the service `app` says `words`, and returns its id.
    #[track_caller]
    fn app_says(&mut self, words: &str) -> String {
        eventually_or_why(words, || {
            self.goes_on();
            let app = container(self.project, "app");
            let logs = self.project.docker(&["logs", &app]).output().unwrap();
            if text(&logs).contains(words) { Ok(app) } else { Err(self.said()) }
        })
    }
}

fn spawn(project: &Project, said: &Arc<Mutex<String>>) -> Child {
    let mut child = project
        .command(&["dev"])
        .env_remove("DOC2MD_DOCKER_ALWAYS_SOLVE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let streams: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for stream in streams {
        let said = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                *said.lock().unwrap() += &(line + "\n");
            }
        });
    }
    child
}

/// Id of the container of a service of development.
fn container(project: &Project, service: &str) -> String {
    let label = format!("label=com.docker.compose.project={}", name(project));
    let service = format!("label=com.docker.compose.service={service}");
    project.engine().docker_ok(&["ps", "--quiet", "--filter", &label, "--filter", &service])
}

impl Drop for Foreground<'_> {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn a_changed_requirement_is_built_and_started_again() {
    let project = project(&engine("28.5"));
    // No other run of this test has built its steps.
    let own = project.name();
    let dockerfile = |from: &str| {
        format!(
            "FROM {from} AS dev\nRUN echo {own}\nCOPY need*.txt /\nCOPY code /code\nRUN cat /needs.txt > /installed\n\
             CMD [\"sh\", \"-c\", \"echo has $(cat /installed) and $(cat /code/main); exec sleep 1000\"]\n"
        )
    };
    project
        .write(
            "compose.dev.yaml",
            "services:\n  app:\n    build: {target: dev}\n    stop_grace_period: 0s\n    \
             volumes: [\"./code:/code:ro\"]\n  other:\n    build: {context: other}\n    network_mode: none\n    \
             stop_grace_period: 0s\n",
        )
        .write("other/Dockerfile", format!("FROM {BUSYBOX}\nCMD [\"sleep\", \"1000\"]\n"))
        .write("Dockerfile", dockerfile(BUSYBOX))
        .write("needs.txt", "first")
        .write("code/main", "one")
        .write("README", "a");
    let mut dev = Foreground::start(&project);
    dev.says("has first and one");
    // Compose starts the services one after the other and attaches to each at once.
    let untouched = eventually("the other service runs", || {
        Some(container(&project, "other")).filter(|id| !id.is_empty())
    });

    // An editor writes a new file in the place of the old one.
    project.write("needs.new", "second");
    std::fs::rename(project.dir().join("needs.new"), project.dir().join("needs.txt")).unwrap();
    let second = dev.app_says("has second and one");
    let said = dev.said();
    assert!(said.contains("app: builds again: needs.txt changed"), "{said}");
    assert!(said.contains("because needs.txt changed"), "{said}");

    // What has only been touched, what is mounted and what no step reads lead to nothing.
    project.write("needs.txt", "second");
    std::thread::sleep(Duration::from_secs(2));
    project.write("code/main", "two").write("README", "b");
    // A Dockerfile that cannot be built is told of, and the next change mends it.
    project.write("Dockerfile", "FORM x\n");
    dev.says("FORM");
    assert_eq!(container(&project, "app"), second, "{}", dev.said());
    project.write("needs.txt", "third");
    project.write("Dockerfile", dockerfile(BUSYBOX) + "ENV A=1\n");
    dev.app_says("has third and two");
    let said = dev.said();
    assert!(!said.contains("code/main changed") && !said.contains("README"), "{said}");
    assert_eq!(container(&project, "other"), untouched, "{said}");

    let pid = rustix::process::Pid::from_child(&dev.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    eventually("the program has ended", || dev.child.try_wait().unwrap());
    let mark = format!("DOC2MD_DOCKER_DEV_BESIDE={}", dev.child.id());
    eventually("nothing looks for changes any more", || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut environments =
            processes.filter_map(|it| std::fs::read(it.path().join("environ")).ok());
        let is_one = |text: Vec<u8>| text.split(|byte| *byte == 0).any(|it| it == mark.as_bytes());
        (!environments.any(is_one)).then_some(())
    });
    project.run(&["dev", "down"]).success();
}
