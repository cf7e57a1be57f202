//! The engines the other tests stand on: what they promise, and that they leave nothing behind.

use crate::support::{
    BUSYBOX, PYTHON, PrivateEngine, Project, engine, eventually, on_every_engine,
};

#[test]
fn the_matrix_has_every_release_and_store() {
    let facts = |name: &str, release: &str, driver: &str| {
        let info = engine(name).docker_ok(&["info", "--format", "{{.ServerVersion}} {{.Driver}}"]);
        assert!(info.starts_with(release) && info.ends_with(driver), "{name}: {info}");
    };
    facts("20.10", "20.10.", " overlay2");
    facts("26.1", "26.1.", " overlay2");
    facts("28.5", "28.5.", " overlay2");
    facts("28.5-containerd", "28.5.", " overlayfs");
}

#[test]
fn the_oracle_builds_on_every_engine_and_the_project_cleans_up() {
    on_every_engine(|engine| {
        assert!(engine.image_id(PYTHON).is_some(), "no {PYTHON}");
        let project = Project::new(engine);
        project.write(
            "Dockerfile",
            format!("FROM {BUSYBOX}\nRUN --mount=type=cache,target=/c echo made > /file\n"),
        );
        let tag = format!("{}-app", project.name());
        let built = project.docker(&["buildx", "build", "--tag", &tag, "."]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        assert_eq!(engine.file_of(&tag, "/file"), "made");
        drop(project);
        assert_eq!(engine.image_id(&tag), None);
    });
}

#[test]
fn a_killed_engine_comes_back_and_a_stopped_one_leaves_nothing() {
    let private = PrivateEngine::start("26.1");
    private.import_base("busybox");
    private.kill();
    assert!(!private.engine().docker(&["version"]).output().unwrap().status.success());
    private.start_again();
    assert!(private.engine().image_id(BUSYBOX).is_some(), "the image did not survive");

    let state = private.state();
    let network = std::fs::read_to_string(state.join("network")).unwrap();
    let bridge = network.split_whitespace().next().unwrap().to_owned();
    assert!(std::path::Path::new("/sys/class/net").join(&bridge).exists());
    let socket = private.engine().socket().to_owned();
    drop(private);
    assert!(
        !socket.exists()
            && !state.exists()
            && !std::path::Path::new("/sys/class/net").join(&bridge).exists()
    );
    let state = state.to_str().unwrap();
    eventually("no process of the engine is left", || {
        let processes = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok());
        let left = processes.filter(|line| String::from_utf8_lossy(line).contains(state)).count();
        (left == 0).then_some(())
    });
}

#[test]
fn a_small_data_root_runs_full() {
    let private = PrivateEngine::with_disk("28.5", "100M");
    private.import_base("busybox");
    let project = Project::new(private.engine());
    project
        .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY big /\n"))
        .write("big", vec![1; 150 << 20]);
    let built = project.docker(&["buildx", "build", "."]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&built.stderr).contains("no space left on device"),
        "{built:?}"
    );
}
