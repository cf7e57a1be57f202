//! `--timeline` and `--trace` of real builds.

use std::path::Path;

use crate::support::{Project, on_every_engine};

/// The slices of a trace: target and instruction.
fn slices(path: &Path) -> Vec<(String, serde_json::Value)> {
    let text = std::fs::read_to_string(path).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    let steps = events.iter().filter(|event| event["args"]["instruction"].is_string());
    steps
        .map(|event| (event["args"]["target"].as_str().unwrap().to_owned(), event.clone()))
        .collect()
}

fn find<'a>(
    slices: &'a [(String, serde_json::Value)],
    target: &str,
    start: &str,
) -> &'a serde_json::Value {
    let found = slices.iter().find(|(name, event)| {
        name == target && event["args"]["instruction"].as_str().unwrap().starts_with(start)
    });
    &found.unwrap_or_else(|| panic!("no {start:?} of {target} in {slices:#?}")).1
}

fn two(project: &Project, ending: &str) {
    project
        .write(
            "compose.yaml",
            "services:\n  api: {build: {context: ., dockerfile: Dockerfile.api}}\n  \
             worker: {build: {context: ., dockerfile: Dockerfile.worker}}\n",
        )
        .write("Dockerfile.api", "FROM doc2md/base:busybox\nCOPY app.txt ./\nRUN echo '<api> & \"more\"'\n")
        .write(
            "Dockerfile.worker",
            format!(
                "FROM doc2md/base:busybox AS build\n# A comment.\nRUN echo {0}; sleep 6; echo {0} > /out\n\
                 FROM doc2md/base:busybox\nCOPY --from=build /out ./\nRUN {ending}\nRUN echo last\n",
                project.name()
            ),
        )
        .write("app.txt", project.name());
}

#[test]
fn a_good_build_is_drawn_with_its_critical_path() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        two(&project, "echo fine");
        let build = ["build", "--timeline", "t.html", "--trace", "t.json"];
        project.run(&build).success();
        let page = std::fs::read_to_string(project.dir().join("t.html")).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
        for word in
            ["2 of 2 targets built", "&lt;api&gt; &amp; &quot;more&quot;", "Dockerfile.worker:3"]
        {
            assert!(page.contains(word), "{}: no {word:?} in {page}", engine.name);
        }
        let trace = slices(&project.dir().join("t.json"));
        // The slow step is what both others of its target waited for.
        for start in ["RUN echo doc2md", "COPY --from=build", "RUN echo fine", "RUN echo last"] {
            let start = start.replace("doc2md", project.name());
            assert_eq!(find(&trace, "worker", &start)["args"]["critical"], true, "{}", engine.name);
        }
        let slow = find(&trace, "worker", &format!("RUN echo {}", project.name()));
        assert!(slow["dur"].as_u64().unwrap() >= 1_500_000, "{slow}");
        assert_eq!(slow["args"]["cached"], false);
        // Again: everything is there.
        project.run(&build).success();
        let trace = slices(&project.dir().join("t.json"));
        for (target, start) in [("worker", "RUN echo last"), ("api", "COPY app.txt")] {
            assert_eq!(find(&trace, target, start)["args"]["cached"], true, "{}", engine.name);
        }
    });
}

#[test]
fn a_failed_build_is_drawn_too() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        two(&project, "echo no such thing >&2; exit 3");
        project.run(&["build", "--timeline", "t.html", "--trace", "t.json"]).code(1);
        let page = std::fs::read_to_string(project.dir().join("t.html")).unwrap();
        for word in ["1 failed", "ended with exit code 3", "RUN echo last", "not run"] {
            assert!(page.contains(word), "{}: no {word:?} in {page}", engine.name);
        }
        let trace = slices(&project.dir().join("t.json"));
        let failed = find(&trace, "worker", "RUN echo no such thing");
        assert_eq!(failed["args"]["result"], "failed", "{}", engine.name);
        assert_eq!(failed["args"]["line"], 6, "{}", engine.name);
    });
}
