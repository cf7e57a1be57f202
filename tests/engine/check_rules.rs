//! `check`: BuildKit's own findings beside this program's, and what earlier builds took.

use serde_json::Value;

use crate::support::{Project, on_every_engine};

const DOCKERFILE: &str = "FROM doc2md/base:busybox as Stage\nARG API_TOKEN\nCOPY . /app\nRUN sleep 1 && echo pip install x==1 # step\n";

fn document(project: &Project) -> (Value, String) {
    let output = project.command(&["check", "--format", "json"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    (serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

fn rules(document: &Value) -> Vec<(&str, &str, u64)> {
    let all = document["findings"].as_array().unwrap().iter();
    all.map(|it| {
        (it["source"].as_str().unwrap(), it["rule"].as_str().unwrap(), it["line"].as_u64().unwrap())
    })
    .collect()
}

#[test]
fn findings_of_buildkit_stand_beside_our_own() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {api: {build: .}}")
            .write("Dockerfile", DOCKERFILE);
        let (document, stderr) = document(&project);
        let rules = rules(&document);
        assert!(rules.contains(&("doc2md-docker", "secret-in-argument", 2)), "{rules:?}");
        // Checks came with BuildKit 0.15.
        if ["20.10", "26.1"].contains(&engine.name.as_str()) {
            assert!(rules.iter().all(|(source, _, _)| *source == "doc2md-docker"), "{rules:?}");
            assert!(
                document["buildkit_left_out"].as_str().unwrap().contains("no checks"),
                "{document:#}"
            );
            assert!(stderr.contains("note: BuildKit's own checks are left out"), "{stderr}");
        } else {
            for (rule, line) in
                [("StageNameCasing", 1), ("FromAsCasing", 1), ("SecretsUsedInArgOrEnv", 2)]
            {
                assert!(rules.contains(&("buildkit", rule, line)), "{}: {rules:?}", engine.name);
            }
            assert!(
                document["buildkit_left_out"].is_null() && !stderr.contains("note:"),
                "{stderr}"
            );
        }
        assert!(project.images().is_empty(), "a check builds nothing");
    });
}

#[test]
fn what_a_fault_cost_is_what_builds_took() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        // A program of that name, so that nothing is fetched.
        let dockerfile = format!(
            "FROM doc2md/base:busybox\nRUN printf '#!/bin/sh\\nsleep 2\\n' > /bin/pip && chmod +x /bin/pip # {name}\n\
             COPY . /app\nRUN pip install -r /app/requirements.txt\n"
        );
        project
            .write("compose.yaml", "services: {api: {build: .}}")
            .write("requirements.txt", "x==1\n")
            .write("app.py", "1")
            .write("Dockerfile", dockerfile);
        project.run(&["build"]).success();
        project.write("app.py", "2");
        project.run(&["build"]).success();
        project.run(&["build"]).success();
        let (document, _) = document(&project);
        let findings = document["findings"].as_array().unwrap();
        let finding = findings.iter().find(|it| it["rule"] == "code-before-requirements").unwrap();
        assert_eq!(finding["line"], 3, "{finding:#}");
        let cost = &finding["cost"];
        assert_eq!((&cost["builds"], &cost["recorded_builds"]), (&2.into(), &3.into()), "{cost:#}");
        let seconds = cost["seconds"].as_f64().unwrap();
        assert!((2.0..20.0).contains(&seconds), "{cost:#}");
        // The file changes: steps are known by their words.
        let text = std::fs::read_to_string(project.dir().join("Dockerfile")).unwrap();
        project.write("Dockerfile", format!("# comment\n{text}"));
        let (document, _) = self::document(&project);
        let findings = document["findings"].as_array().unwrap();
        let finding = findings.iter().find(|it| it["rule"] == "code-before-requirements").unwrap();
        assert_eq!((&finding["line"], &finding["cost"]["builds"]), (&4.into(), &2.into()));
    });
}
