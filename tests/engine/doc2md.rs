//! The example from end to end: built here, run by docker compose, asked over its published port, edited while it runs.
//!
//! `make test` builds the worker without torch, `make test-full` (DOC2MD_TEST_FULL) the one with all of Docling.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::support::http::{self, Answer};
use crate::support::{PYTHON, Project, engine, eventually, install_compose, text};

/// Formats that every worker converts.
const OFFICE: &[&str] = &["csv", "docx", "html", "md", "pptx", "xlsx"];

fn is_full() -> bool {
    std::env::var_os("DOC2MD_TEST_FULL").is_some_and(|value| !value.is_empty())
}

/// The example as a compose project of its own.
struct Example {
    project: Project,
    /// Where its compose files are.
    folder: PathBuf,
    /// Name of the compose project that runs.
    name: String,
    /// What every program needs to know of it.
    environment: Vec<(&'static str, String)>,
}

impl Example {
    /// `part` numbers the examples that may run on one engine at the same time.
    fn new(project: Project, folder: PathBuf, part: u8) -> Self {
        let name = project.name().to_owned();
        install_compose(&project);
        std::fs::write(project.dir().join("redis.yml"), redis(&project, part)).unwrap();
        let mut environment = vec![
            ("BASE_IMAGE", PYTHON.to_owned()),
            // Any free port.
            ("API_PORT", "0".to_owned()),
            ("API_DEV_PORT", "0".to_owned()),
        ];
        if is_full() {
            environment.push(("DOC2MD_FULL", "1".to_owned()));
        }
        Self { project, folder, name, environment }
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.current_dir(&self.folder).envs(self.environment.iter().cloned());
        command
    }

    /// The program under test in the example's folder.
    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let output = self.at_home(self.project.command(args)).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn docker(&self, args: &[&str]) -> String {
        self.project.engine().docker_ok(args)
    }

    /// Name of the one container of a service.
    fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.name)
    }

    /// What `docker inspect` says of a service's container.
    fn inspect(&self, service: &str, format: &str) -> String {
        self.docker(&["inspect", "--format", format, &self.container(service)])
    }

    /// Waits until the containers' own checks call them healthy.
    fn wait_until_healthy(&self) {
        for service in ["redis", "api", "worker"] {
            eventually(&format!("{service} is healthy"), || {
                (self.inspect(service, "{{.State.Health.Status}}") == "healthy").then_some(())
            });
        }
    }

    /// Where the API is published.
    fn address(&self) -> String {
        self.docker(&["port", &self.container("api"), "8000"])
    }

    /// Uploads a document and waits for its Markdown, or for why there is none.
    fn convert(&self, address: &str, name: &str, content: &[u8]) -> Result<String, String> {
        let upload = eventually("the API takes documents", || {
            match http::post_file(address, "/documents", name, content) {
                Some(Answer { status: 502.., .. }) => None,
                answer => answer,
            }
        });
        if upload.status != 202 {
            return Err(format!("{}: {}", upload.status, upload.body));
        }
        let json: serde_json::Value = serde_json::from_str(&upload.body).unwrap();
        let job = format!("/documents/{}", json["job"].as_str().unwrap());
        let state = eventually(&format!("{name} is converted"), || {
            let state = http::get(address, &job)?.body;
            (!state.contains("pending")).then_some(state)
        });
        if !state.contains("done") {
            return Err(state);
        }
        let answer =
            eventually("the Markdown is there", || http::get(address, &format!("{job}/markdown")));
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        Ok(answer.body)
    }

    /// Containers, networks and volumes that carry the project's label.
    fn left(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let list = |args: &[&str]| self.docker(&[args, &["--quiet", "--filter", &label]].concat());
        [list(&["ps", "--all"]), list(&["network", "ls"]), list(&["volume", "ls"])].concat()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // What a failed test leaves; by the labels of the project, so without its files.
        let down = ["compose", "--project-name", &self.name, "down", "--volumes", "--timeout", "0"];
        let mut down = self.project.docker(&down);
        drop(down.current_dir(self.project.home()).output());
    }
}

/// Redis for a place without a registry, from Debian's package; and a network that no other engine on this machine
/// has chosen: engines look for a free range without knowing of each other.
fn redis(project: &Project, part: u8) -> String {
    let range = project.engine().docker_ok(&[
        "network",
        "inspect",
        "--format",
        "{{(index .IPAM.Config 0).Subnet}}",
        "bridge",
    ]);
    let number = range.split('.').nth(2).unwrap();
    format!(
        r#"
services:
  redis:
    image: {name}-redis
    build:
      context: .
      dockerfile_inline: |
        FROM {PYTHON}
        RUN --mount=type=tmpfs,target=/var/lib/apt/lists --mount=type=tmpfs,target=/var/cache/apt \
            apt-get -qq -o Acquire::Check-Valid-Until=false update \
            && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends redis-server
    command: [redis-server, --dir, /data, --protected-mode, "no"]
networks:
  default:
    ipam: {{config: [{{subnet: 10.78.{number}.{start}/26}}]}}
"#,
        name = project.name(),
        start = u16::from(part) * 64,
    )
}

fn document(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/documents");
    std::fs::read(folder.join(name)).unwrap()
}

/// Figures go past the harness, which shows nothing of a test that passes.
fn tell(what: &str, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    std::io::stderr().write_all(format!("doc2md: {what}: {seconds:.1} s\n").as_bytes()).unwrap();
}

#[test]
fn documents_of_every_format_become_markdown() {
    let project = Project::new(&engine("28.5"));
    let redis = project.dir().join("redis.yml");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/doc2md");
    let example = Example::new(project, folder, 0);
    let files = ["--file", "docker-compose.yml", "--file", redis.to_str().unwrap()];
    let start = Instant::now();
    example.run(&[&files[..], &["build"]].concat());
    tell("build", start);
    let start = Instant::now();
    let up = ["up", "--detach", "--no-build"];
    let up = example
        .at_home(example.project.docker(&[&["compose"], &files[..], &up].concat()))
        .output()
        .unwrap();
    assert!(up.status.success(), "{}", text(&up));
    example.wait_until_healthy();
    tell("production is healthy", start);

    let address = example.address();
    for format in OFFICE {
        let name = format!("report.{format}");
        let expected = String::from_utf8(document(&format!("{name}.expected"))).unwrap();
        let markdown = example.convert(&address, &name, &document(&name));
        assert_eq!(markdown.as_deref(), Ok(expected.trim_end()), "{name}");
    }
    let pdf = example.convert(&address, "report.pdf", &document("report.pdf"));
    if is_full() {
        check_pdf_with_models(pdf);
    } else {
        let why = pdf.unwrap_err();
        assert!(
            why.starts_with("415: ") && why.contains("build and start with DOC2MD_FULL=1"),
            "{why}"
        );
    }
    let why = example.convert(&address, "broken.docx", b"not a document").unwrap_err();
    assert!(why.contains("could not load document"), "{why}");
    let why = example.convert(&address, "photo.heic", b"").unwrap_err();
    assert!(why.starts_with("415: ") && why.contains(".docx"), "{why}");
    // What was converted, or could not be, takes no space any longer.
    let kept = example.docker(&["exec", &example.container("worker"), "ls", "/data"]);
    assert!(kept.lines().all(|name| name.ends_with(".out.md")), "{kept}");

    for service in ["api", "worker"] {
        let container = example.container(service);
        assert_eq!(example.docker(&["exec", &container, "id", "-u"]), "10001", "{service}");
        let write = example
            .project
            .engine()
            .docker(&["exec", &container, "touch", "/app/x"])
            .output()
            .unwrap();
        assert!(text(&write).contains("Read-only file system"), "{service}: {}", text(&write));
    }
    example.docker(&["stop", "--time", "0", &example.container("redis")]);
    let answer = http::get(&address, "/health").unwrap();
    assert_eq!(
        (answer.status, answer.body.contains("does not answer")),
        (503, true),
        "{}",
        answer.body
    );
}

/// The models come from a hub that a test may not reach: then the job has to say what is missing.
fn check_pdf_with_models(pdf: Result<String, String>) {
    match pdf {
        Ok(markdown) => assert!(markdown.contains("Two cities, counted in 2022."), "{markdown}"),
        Err(why) => assert!(why.contains("models"), "{why}"),
    }
}

/// What the second installation takes of the cache mount, and what it must not.
#[test]
fn bytecode_of_an_earlier_build_is_that_of_the_same_files() {
    let project = Project::new(&engine("28.5"));
    let folder = project.dir();
    let example = Example::new(project, folder.clone(), 2);
    example.run(&["init", "--example"]);
    example.run(&["build", "worker"]);
    let lock = folder.join("workers/requirements.lock");
    let locked = std::fs::read_to_string(&lock).unwrap();
    std::fs::write(&lock, format!("{locked}# one line more\n")).unwrap();
    example.run(&["build", "worker"]);

    let image = format!("{}-worker", example.name);
    let script = format!("{}:/tmp/bytecode.py:ro", folder.join("build/bytecode.py").display());
    let python = ["run", "--rm", "--volume", &script, &image, "python", "-c", BYTECODE_CHECK];
    assert_eq!(example.docker(&python), "checked");
}

/// Run in the image: bytecode is there for all packages, is used whatever the times are, and is what the compiler makes of
/// the files. A file that is replaced by one of the same size and time gets bytecode of its own.
const BYTECODE_CHECK: &str = r#"
import importlib.util, marshal, os, pathlib, subprocess, sys
files = [f for f in pathlib.Path("/opt/venv/lib").rglob("*.py") if not {"test", "tests"} & set(f.parts)]
checked = 0
for number, file in enumerate(sorted(files)):
    compiled = pathlib.Path(importlib.util.cache_from_source(str(file)))
    if not compiled.exists():
        try:
            compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        sys.exit(f"no bytecode of {file}")
    content = compiled.read_bytes()
    if "pandas" in file.parts or "numpy" in file.parts:
        continue
    assert int.from_bytes(content[4:8], "little") == 1, (file, content[:16])
    if number % 20 == 0:
        assert marshal.loads(content[16:]) == compile(file.read_bytes(), str(file), "exec", dont_inherit=True), file
        checked += 1
assert checked > 50, checked
source = pathlib.Path("/tmp/one/module.py")
source.parent.mkdir()
for text in ["x = 1", "x = 2", "x = 1"]:
    source.write_text(text)
    os.utime(source, (1, 1))
    subprocess.run([sys.executable, "/tmp/bytecode.py", "/tmp/kept", source], check=True)
    code = marshal.loads(pathlib.Path(importlib.util.cache_from_source(str(source))).read_bytes()[16:])
    assert code == compile(text, str(source), "exec", dont_inherit=True), text
assert len(os.listdir("/tmp/kept")) == 2
print("checked")
"#;

#[test]
fn in_development_a_saved_file_answers_without_a_build() {
    let project = Project::new(&engine("28.5"));
    let folder = project.dir();
    let mut example = Example::new(project, folder.clone(), 1);
    example.name.push_str("-dev");
    example.run(&["init", "--example"]);
    std::fs::rename(folder.join("redis.yml"), folder.join("docker-compose.override.yml")).unwrap();
    let start = Instant::now();
    example.run(&["dev", "up", "--detach"]);
    example.wait_until_healthy();
    tell("development is built and healthy", start);
    let address = example.address();
    let report = document("report.md");
    let before = example.convert(&address, "report.md", &report).unwrap();
    let running =
        || ["api", "worker"].map(|service| example.inspect(service, "{{.Id}} {{.Image}}"));
    let containers = running();

    let edit = |path: &str, old: &str, new: &str| {
        let path = folder.join(path);
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(source.contains(old), "{source}");
        std::fs::write(path, source.replacen(old, new, 1)).unwrap();
        Instant::now()
    };
    let start = edit("api/main.py", "{\"status\": \"ok\"}", "{\"status\": \"edited\"}");
    eventually("the edited API answers", || {
        http::get(&address, "/health")?.body.contains("edited").then_some(())
    });
    tell("an edit of the API answers", start);
    let start = edit(
        "workers/convert.py",
        ".export_to_markdown()",
        ".export_to_markdown() + \"\\nedited\"",
    );
    eventually("the edited worker answers", || {
        let markdown = example.convert(&address, "report.md", &report).unwrap();
        (markdown == format!("{before}\nedited")).then_some(())
    });
    tell("an edit of the worker answers", start);
    assert_eq!(running(), containers, "no image was built and no container made");

    example.run(&["dev", "down", "--", "--timeout", "0"]);
    let volumes = example.left();
    assert_eq!(volumes.lines().count(), 3, "the volumes stay: {volumes}");
    example.run(&["dev", "down", "--volumes"]);
    assert_eq!(example.left(), "");
}
