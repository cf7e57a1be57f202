//! What a build says of the contexts that it sends.

use std::fs::File;

use crate::support::{BUSYBOX, Project, on_every_engine, text};

#[test]
fn a_build_names_what_took_most_of_what_it_sent() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {a: {build: app}, b: {build: app}}")
            .write("app/Dockerfile", format!("FROM {BUSYBOX}\nCOPY . /app\n"))
            .write("app/.dockerignore", "unread\n")
            .write("app/main.py", "1")
            .write("app/models/bert/weights.bin", "")
            .write("app/data/a/1", "")
            .write("app/data/b/2", "")
            .write("app/unread/large", "");
        for (path, bytes) in [
            ("models/bert/weights.bin", 90_000_000),
            ("data/a/1", 8_000_000),
            ("data/b/2", 8_000_000),
            ("unread/large", 500_000_000),
        ] {
            File::create(project.dir().join("app").join(path)).unwrap().set_len(bytes).unwrap();
        }
        let said = |args: &[&str]| {
            let built = project.run(&[&["build"], args].concat()).success();
            text(built.get_output())
        };
        let first = said(&["--progress=plain"]);
        let at = first.find("MB of build contexts were sent").unwrap_or_else(|| panic!("{first}"));
        let lines: Vec<&str> = first[at..].lines().skip(1).take(3).map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "90.0 MB  app/models/bert/weights.bin",
                "16.0 MB  app/data/",
                "`doc2md-docker context ls` shows what reads them"
            ],
            "{}: {first}",
            engine.name
        );
        // The engine has them now.
        project.write("app/main.py", "2");
        let second = said(&["--progress=plain"]);
        assert!(!second.contains("were sent"), "{}: {second}", engine.name);
        // Scripts that want quiet get it.
        project.write("app/Dockerfile", format!("FROM {BUSYBOX}\nCOPY --chown=1 . /app\n"));
        File::create(project.dir().join("app/models/next")).unwrap().set_len(101_000_000).unwrap();
        let quiet = said(&["--progress=quiet"]);
        assert!(!quiet.contains("were sent"), "{}: {quiet}", engine.name);
    });
}
