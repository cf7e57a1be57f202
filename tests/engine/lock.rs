//! `lock`: requirement files to lock files, by uv in a build.

use crate::support::{PYTHON, Project, engine, on_every_engine, text};

fn lock(project: &Project, args: &[&str]) -> (Option<i32>, String) {
    let base = ["lock", "requirements.in", "--base-image", PYTHON];
    let output = project.command(&[&base[..], args].concat()).output().unwrap();
    (output.status.code(), text(&output))
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.dir().join(name)).unwrap()
}

#[test]
fn packages_are_pinned_split_by_size_and_kept() {
    let project = Project::new(&engine("28.5"));
    // An old version of a small package, and a large one that needs nothing else.
    project.write("requirements.in", "-r more.in\nsix<1.17\n").write("more.in", "pygments\n");
    let (code, told) = lock(&project, &["--threshold", "1MB"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 light and 1 heavy packages"), "{told}");
    let (light, heavy) =
        (read(&project, "requirements.lock"), read(&project, "requirements.heavy.lock"));
    assert!(
        light.contains("\nsix==1.16.0 \\\n    --hash=sha256:") && !light.contains("pygments=="),
        "{light}"
    );
    assert!(heavy.contains("\npygments==") && !heavy.contains("six=="), "{heavy}");

    assert_eq!(lock(&project, &["--check"]).0, Some(0));
    project.write("requirements.in", "-r more.in\nsix\n");
    let (code, told) = lock(&project, &["--check"]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("requirements changed since it was locked"), "{told}");

    // What is locked and still allowed stays; the threshold, too.
    let (code, told) = lock(&project, &[]);
    assert_eq!((code, told.contains("no version changed")), (Some(0), true), "{told}");
    assert!(read(&project, "requirements.lock").contains("\nsix==1.16.0 "));
    assert_eq!(lock(&project, &["--check"]).0, Some(0));
    let (code, told) = lock(&project, &["--upgrade-package", "six"]);
    assert_eq!((code, told.contains("six 1.16.0 -> 1.")), (Some(0), true), "{told}");
}

/// Two layers as in the guide: the heavy part by a stage that chooses the locks, the light one from the context.
const LAYERS: &str = "\
ARG BASE_IMAGE
FROM scratch AS locks
COPY requirements.heavy.lock heavy.lock
COPY requirements.lock light.lock
FROM ${BASE_IMAGE}
RUN --mount=type=bind,from=locks,source=heavy.lock,target=/tmp/heavy.lock \\
    cp /tmp/heavy.lock / && date +%N > /heavy
RUN --mount=type=bind,source=requirements.heavy.lock,target=/tmp/heavy.lock \\
    cp /tmp/heavy.lock /again && date +%N > /heavy-again
RUN --mount=type=bind,from=locks,source=light.lock,target=/tmp/light.lock \\
    cp /tmp/light.lock / && date +%N > /light
";

/// The layers of the project's image above its base, below the light one; and that one.
fn layers(project: &Project) -> (Vec<String>, String) {
    let image = format!("{}-app", project.name());
    let told = project.engine().docker_ok(&[
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        &image,
    ]);
    let mut layers: Vec<String> = serde_json::from_str(&told).unwrap();
    let light = layers.pop().unwrap();
    (layers, light)
}

#[test]
fn a_new_light_requirement_leaves_the_heavy_layers_cached() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("Dockerfile", LAYERS)
            .write(
                "compose.yaml",
                format!("services:\n  app:\n    build:\n      context: .\n      args: {{BASE_IMAGE: {PYTHON}}}\n"),
            )
            .write("requirements.in", "pygments\nsix\n");
        project.run(&["lock", "--threshold", "1MB"]).success();
        project.run(&["build"]).success();
        let (heavy, light) = layers(&project);
        let text = read(&project, "requirements.heavy.lock");

        // The second one needs the heavy package, too.
        for more in ["sniffio", "rich"] {
            let requirements = read(&project, "requirements.in");
            project.write("requirements.in", format!("{requirements}{more}\n"));
            project.run(&["lock", "--check"]).code(4);
            project.run(&["lock"]).success();
            project.run(&["lock", "--check"]).success();
            project.run(&["build"]).success();
            assert_eq!(read(&project, "requirements.heavy.lock"), text, "{more}");
            let (heavy_now, light_now) = layers(&project);
            assert_eq!(heavy_now, heavy, "{}: {more}", engine.name);
            assert_ne!(light_now, light, "{}: {more}", engine.name);
        }
    });
}
