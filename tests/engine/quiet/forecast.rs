//! What would run: each forecast is held against the build that follows it.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::Value;

use crate::support::{BUSYBOX, Engine, Project, on_every_engine};

/// The steps of the targets in a report: target, instruction, whether it comes from the cache, kind of its cause, and
/// whether that is certain.
type Steps = Vec<(String, String, bool, String, bool)>;

fn steps(report: &[u8]) -> Steps {
    let report: Value = serde_json::from_slice(report).unwrap();
    let mut found = Steps::new();
    for target in report["targets"].as_array().unwrap() {
        for step in target["steps"].as_array().unwrap() {
            let cause = &step["cause"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            found.push((
                text(&target["target"]),
                text(&step["instruction"]),
                step["cached"] == true,
                text(&cause["kind"]),
                cause["certain"] == true,
            ));
        }
    }
    found
}

fn foreseen(project: &Project, args: &[&str]) -> Steps {
    let args = [&["build", "--dry-run", "--format", "json"], args].concat();
    steps(&project.run(&args).success().get_output().stdout)
}

fn built(project: &Project, args: &[&str]) -> Steps {
    project.run(&[&["build"], args].concat()).success();
    steps(&project.run(&["why", "--format", "json"]).success().get_output().stdout)
}

/// What is wrong with a forecast: steps that ran and were not foreseen, and the other way round; causes that turned out
/// to be others although they were certain.
fn mistakes(foreseen: &Steps, built: &Steps) -> Vec<String> {
    // Stages with one base share the step that fetches it, which has the name of one of them.
    let runs = |steps: &Steps| {
        let mut runs = steps.clone();
        runs.retain(|it| !it.1.starts_with("FROM "));
        runs.sort();
        runs
    };
    // A step that reads two others that ran has two causes.
    let kind =
        |step: &(String, String, bool, String, bool)| step.3.replace("stage", "earlier-step");
    let (foreseen, built) = (runs(foreseen), runs(built));
    let names =
        |steps: &Steps| steps.iter().map(|it| (it.0.clone(), it.1.clone())).collect::<Vec<_>>();
    assert_eq!(names(&foreseen), names(&built));
    let mut mistakes = Vec::new();
    for (before, after) in foreseen.iter().zip(&built) {
        // A copy from a stage that runs may find the same there: that it runs, and what follows, is likely and no more.
        let may_be_cached = matches!(kind(before).as_str(), "earlier-step") && !before.4;
        if before.2 != after.2 && !(may_be_cached && after.2) {
            mistakes.push(format!("{}: foreseen {before:?}, built {after:?}", before.1));
        } else if !before.2
            && before.4
            && kind(before) != kind(after)
            // Of a step that is not to come from the cache a build only tells that the one below it ran.
            && (before.3.as_str(), kind(after).as_str()) != ("requested", "earlier-step")
        {
            mistakes.push(format!("{}: certain {}, and it was {}", before.1, before.3, after.3));
        }
    }
    mistakes
}

struct Edited<'a> {
    project: &'a Project,
}

impl Edited<'_> {
    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.project.dir().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.project.dir().join(file)
    }
}

/// A change, and what it is called.
type Edit = (&'static str, fn(&Edited<'_>));

const EDITS: &[Edit] = &[
    ("nothing", |_| {}),
    ("a file touched", |it| {
        let file = std::fs::File::open(it.path("app/main.py")).unwrap();
        file.set_modified(std::time::SystemTime::now()).unwrap();
    }),
    ("a file changed", |it| it.replace("app/main.py", "main", "other")),
    ("a file changed back", |it| it.replace("app/main.py", "other", "main")),
    ("a file added", |it| std::fs::write(it.path("app/new.py"), "new").unwrap()),
    ("a file renamed", |it| {
        std::fs::rename(it.path("app/new.py"), it.path("app/newer.py")).unwrap()
    }),
    ("a file removed", |it| std::fs::remove_file(it.path("app/newer.py")).unwrap()),
    ("a mode", |it| {
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(it.path("app/main.py"), executable).unwrap();
    }),
    ("a link", |it| {
        std::fs::remove_file(it.path("app/link")).unwrap();
        symlink("other.py", it.path("app/link")).unwrap();
    }),
    ("an empty folder", |it| std::fs::create_dir(it.path("app/empty")).unwrap()),
    ("the mode of a folder", |it| {
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(it.path("app/empty"), closed).unwrap();
    }),
    ("line endings", |it| it.replace("app/main.py", "\n", "\r\n")),
    ("a file that nothing reads", |it| std::fs::write(it.path("unread"), "x").unwrap()),
    ("a file ignored", |it| std::fs::write(it.path(".dockerignore"), "app/ignored.py\n").unwrap()),
    ("an ignore file without effect", |it| {
        std::fs::write(it.path(".dockerignore"), "app/ignored.py\nnowhere\n").unwrap();
    }),
    ("a comment", |it| it.replace("Dockerfile", "COPY app", "# two\n# lines\nCOPY app")),
    ("a comment and a file", |it| {
        it.replace("Dockerfile", "# two\n", "");
        it.replace("app/main.py", "main", "again");
    }),
    ("a label", |it| it.replace("Dockerfile", "LABEL v=1", "LABEL v=2")),
    ("a variable", |it| it.replace("Dockerfile", "ENV X=1", "ENV X=2")),
    ("the last instruction", |it| it.replace("Dockerfile", "echo end", "echo finis")),
    ("a new instruction", |it| it.replace("Dockerfile", "COPY app", "RUN echo new\nCOPY app")),
    ("an argument that is used", |it| it.replace("compose.yaml", "MODE: a", "MODE: b")),
    ("an argument that is not", |it| it.replace("compose.yaml", "MODE: b", "MODE: b, NONE: x")),
    ("an argument whose value is not kept", |it| {
        it.replace("compose.yaml", "TOKEN: s3cret-a", "TOKEN: s3cret-b")
    }),
    ("a variable whose value is not kept", |it| {
        it.replace("Dockerfile", "PASSWORD=s3cret-c", "PASSWORD=s3cret-d")
    }),
    ("a mounted file", |it| it.replace("lock.txt", "lock", "locked")),
    ("another stage", |it| it.replace("tools/t", "tools", "tool")),
    ("requirements and code", |it| {
        it.replace("reqs.txt", "reqs", "requirements");
        it.replace("app/main.py", "again", "both");
    }),
    ("the stage below both", |it| it.replace("Dockerfile", "echo below", "echo beneath")),
    ("another name of a service", |it| it.replace("compose.yaml", "  side:", "  aside:")),
    ("a service that is a stage of another", |it| {
        it.replace(
            "compose.yaml",
            "  aside:",
            "  stage: {build: {context: ., target: tools}}\n  aside:",
        );
    }),
    // What two services have in common is told as run by one of them.
    ("that service is gone", |it| {
        it.replace("compose.yaml", "  stage: {build: {context: ., target: tools}}\n", "");
    }),
    ("a base image", |it| {
        let other = format!("{}-base", it.project.name());
        let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {other} > /other\n");
        it.project.write("base/Dockerfile", dockerfile);
        it.project.build_image(&other, "base");
        it.replace(
            "Dockerfile",
            &format!("FROM {BUSYBOX} AS tools"),
            &format!("FROM {other} AS tools"),
        );
    }),
    ("the base image of two stages", |it| {
        // One that no other service begins with: of such a step the engine tells by the name that one of them has for it.
        let twin = format!("{}-twin", it.project.name());
        it.project.write("twin/Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {twin} > /twin\n"));
        it.project.build_image(&twin, "twin");
        it.replace("compose.yaml", "{BASE: ''}", &format!("{{BASE: {twin}}}"));
    }),
    ("a base image that moved", |it| {
        it.replace("base/Dockerfile", "> /other", "> /another");
        it.project.build_image(&format!("{}-base", it.project.name()), "base");
    }),
];

/// Unlike [`BUSYBOX`], it shares no step with other tests.
fn dockerfile(name: &str) -> String {
    format!(
        "FROM {BUSYBOX} AS tools\nRUN echo {name} > /name\nCOPY tools /tools\n\
         FROM {BUSYBOX} AS below\nRUN echo below {name}\n\
         FROM below\nARG MODE\nARG TOKEN\nLABEL v=1\nCOPY reqs.txt /\n\
         RUN --mount=type=cache,target=/c,id={name} cp reqs.txt /c/\nENV X=1\nENV PASSWORD=s3cret-c\n\
         RUN --mount=type=bind,source=lock.txt,target=/l echo $MODE && cat /l\n\
         COPY app /app\nCOPY --from=tools /tools /tools\nRUN echo end\n"
    )
}

fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name().to_owned();
    for file in ["tools/t", "reqs.txt", "lock.txt", "app/main.py", "app/other.py", "app/ignored.py"]
    {
        let stem = Path::new(file).file_stem().unwrap().to_str().unwrap();
        let stem = if file == "tools/t" { "tools" } else { stem };
        project.write(file, format!("{name} {stem}\n"));
    }
    symlink("main.py", project.dir().join("app/link")).unwrap();
    project
        .write("Dockerfile", dockerfile(&name))
        .write("side/Dockerfile", format!("FROM {BUSYBOX}\nRUN echo side {name}\nCOPY f /\n"))
        .write("side/f", &name)
        .write(
            "twins/Dockerfile",
            format!(
                "ARG BASE\nFROM ${{BASE:-{BUSYBOX}}} AS tools\nRUN echo twin {name}\n\
                 FROM ${{BASE:-{BUSYBOX}}}\nRUN echo other {name}\nCOPY --from=tools /etc/passwd /p\n"
            ),
        )
        .write(
            "compose.yaml",
            "services:\n  api: {build: {context: ., args: {MODE: a, TOKEN: s3cret-a}}}\n  side: {build: side}\n  \
             twins: {build: {context: twins, args: {BASE: ''}}}\n",
        );
    project
}

#[test]
fn a_forecast_is_what_the_next_build_does() {
    on_every_engine(|engine| {
        let project = project(engine);
        let edited = Edited { project: &project };
        let first = foreseen(&project, &[]);
        assert!(first.iter().all(|it| it.1.starts_with("FROM ") || !it.2), "{first:#?}");
        // Of a first build the engine says that the base was fetched, too.
        let mut wrong = mistakes(&first, &built(&project, &[]));
        wrong.retain(|it| !it.contains("certain first-build"));
        for (what, edit) in EDITS {
            edit(&edited);
            let before = foreseen(&project, &[]);
            let after = built(&project, &[]);
            wrong.extend(mistakes(&before, &after).into_iter().map(|it| format!("{what}: {it}")));
        }
        let flags = ["--no-cache-filter", "tools"];
        let (before, after) = (foreseen(&project, &flags), built(&project, &flags));
        let asked: Vec<_> = before.iter().filter(|it| it.3 == "requested").collect();
        assert!(
            asked.iter().all(|it| it.1.contains("/name")
                || it.1.contains("tools")
                || it.1.contains("twin")),
            "{asked:#?}"
        );
        wrong.extend(mistakes(&before, &after).into_iter().map(|it| format!("{flags:?}: {it}")));
        let wrong = wrong.join("\n");
        assert!(wrong.is_empty(), "{}:\n{wrong}", engine.name);
    });
}

#[test]
fn what_was_removed_would_run_again() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write(
                "Dockerfile",
                format!("FROM {BUSYBOX}\nRUN echo {name}\nCOPY f /\nRUN echo on\n"),
            )
            .write("f", name);
        built(&project, &[]);
        assert_eq!(mistakes(&foreseen(&project, &[]), &built(&project, &[])), [""; 0]);
        project.clean(&["--only", "images", "--only", "cache"]);
        let before = foreseen(&project, &[]);
        let gone = before.iter().filter(|it| it.3 == "record-gone").count();
        // With the containerd store `clean` leaves records that base images need.
        assert!(gone > 0 || engine.name == "28.5-containerd", "{}: {before:#?}", engine.name);
        assert!(before.iter().all(|it| !it.4 || it.2), "{}: {before:#?}", engine.name);
        let mut after = built(&project, &[]);
        after.retain(|it| !it.2 && !it.1.starts_with("FROM "));
        let foreseen = |it: &(String, String, bool, String, bool)| {
            before.iter().any(|before| before.1 == it.1 && !before.2)
        };
        assert!(after.iter().all(foreseen), "{}: {before:#?} {after:#?}", engine.name);
    });
}

#[test]
fn a_dry_run_builds_nothing_and_its_exit_code_can_be_asked_for() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let (name, image) = (project.name(), format!("{}-api", project.name()));
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {name}\nCOPY f /\n"))
            .write("f", name);
        let run = |args: &[&str], code| {
            let run = project.run(args).code(code);
            let output = run.get_output();
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let [told, _] = run(&["build", "--dry-run"], 0);
        assert!(told.starts_with("api: 2 of 3 steps would run"), "{told}");
        assert_eq!(engine.image_id(&image), None);
        let [history, _] = run(&["history", "ls", "--format", "json"], 0);
        assert!(!history.contains("\"id\""), "{history}");
        let [_, error] = run(&["build", "--dry-run", "--exit-code"], 4);
        assert!(error.contains("2 steps would run"), "{error}");
        run(&["build"], 0);
        let [told, _] = run(&["build", "--dry-run", "--exit-code"], 0);
        assert_eq!(told, "api: nothing would run, 3 of 3 from the cache\n");
        assert_eq!(run(&["why", "--next", "api"], 0)[0], told);
        let [asked, _] = run(&["build", "--dry-run", "--no-cache"], 0);
        assert!(asked.contains("because the cache was not to be read"), "{asked}");
        std::fs::remove_file(project.dir().join("f")).unwrap();
        let [told, error] = run(&["build", "--dry-run"], 0);
        assert!(told.contains("COPY f /") && told.contains("f is gone"), "{told}{error}");
        project.write("Dockerfile", "FROM nowhere.invalid/none\n");
        let [_, error] = run(&["build", "--dry-run"], 1);
        assert!(error.contains("failed to build api"), "{error}");
    });
}

/// A here document is text, whatever it looks like and wherever in its line it begins.
#[test]
fn here_documents_hide_nothing_that_comes_after_them() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        // The frontend of 20.10 has none.
        let before = match engine.name.as_str() {
            "20.10" => "",
            _ => {
                "RUN cat <<EOF > /x && echo \"<<not\"\nCOPY nothing /\nFROM nowhere\nEOF\n\
                 RUN cat <<A - <<-'B C'\nx\nA\n\tRUN y\n\tB C\n"
            }
        };
        project
            .write("compose.yaml", "services: {app: {build: .}}")
            .write(
                "Dockerfile",
                format!(
                    "FROM {BUSYBOX}\nRUN echo {name}\n{before}COPY a /a\nRUN cat /a # '<<EOF'\n"
                ),
            )
            .write("a", "1");
        built(&project, &[]);
        assert!(foreseen(&project, &[]).iter().all(|it| it.2), "{}", engine.name);
        project.write("a", "2");
        let (foreseen, built) = (foreseen(&project, &[]), built(&project, &[]));
        let copy = built.iter().find(|it| it.1.starts_with("COPY")).unwrap();
        assert_eq!((copy.2, copy.3.as_str()), (false, "files"), "{}: {built:?}", engine.name);
        assert_eq!(mistakes(&foreseen, &built), Vec::<String>::new(), "{}", engine.name);
        let output = project.run(&["context", "ls", "--format", "json"]).success();
        let contexts: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!(contexts["contexts"][0]["sent"]["files"], 1, "{contexts}");
    });
}
