//! `build --check`: the frontend's findings, without building.

use crate::support::{Project, engine, on_every_engine};

#[test]
fn findings_are_data_and_fail_the_run() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {api: {build: .}}")
            .write("Dockerfile", "from doc2md/base:busybox as Stage\nRUN exit 7\n");
        let output = project.command(&["build", "--check"]).output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        // Checks came with BuildKit 0.15; older frontends say that they know no such request.
        if ["20.10", "26.1"].contains(&engine.name.as_str()) {
            assert!(stderr.contains("this engine's Dockerfile frontend has no checks"), "{stderr}");
        } else {
            assert!(stdout.contains("StageNameCasing"), "{stdout}");
        }
        assert!(project.images().is_empty(), "a check builds nothing");
    });
}

#[test]
fn a_dockerfile_that_cannot_be_built_is_said_with_its_line() {
    // The engines whose frontend has checks.
    for engine in [engine("28.5"), engine("28.5-containerd")] {
        let project = Project::new(&engine);
        let dockerfile =
            "FROM doc2md/base:busybox AS build\nFROM doc2md/base:busybox\nCOPY --from=biuld /x /\n";
        project
            .write("compose.yaml", "services: {api: {build: .}}")
            .write("Dockerfile", dockerfile);
        let output = project.command(&["build", "--check"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        for part in
            ["error: api cannot be built: ", "3 | COPY --from=biuld", "did you mean `build`?"]
        {
            assert!(stderr.contains(part), "{}: {stderr}", engine.name);
        }
    }
}
