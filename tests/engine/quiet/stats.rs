//! `stats` against the docker CLI and the raw API on every release.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use doc2md_docker::engine::Connector;
use doc2md_docker::inventory::Image;
use doc2md_docker::ownership::records::stacks;
use doc2md_docker::usage::{add_shared, wanted};
use serde_json::Value;

use crate::support::{
    BUSYBOX, Engine, MEASURING, PrivateEngine, Project, SlowSocket, engine, on_every_engine,
};

/// The engine's own answer.
pub(super) fn get(engine: &Engine, path: &str) -> Value {
    let mut stream = UnixStream::connect(engine.socket()).unwrap();
    // HTTP/1.0: the answer ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let start = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    serde_json::from_slice(&answer[start..]).unwrap()
}

/// Two services that share their first layers, and one that is never built.
fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    let shared = format!(
        "FROM {BUSYBOX} AS base\nWORKDIR /app\nCOPY shared.txt .\nRUN head -c 300000 /dev/urandom > /app/blob; echo {name}\n"
    );
    project
        .write(
            "compose.yaml",
            format!(
                "services:\n  api: {{build: {{context: ., dockerfile: Dockerfile.api}}}}\n  \
                 worker: {{build: {{context: ., dockerfile: Dockerfile.worker}}}}\n  \
                 later: {{build: {{context: ., dockerfile: Dockerfile.api}}, profiles: [later]}}\n\
                 volumes:\n  data: {{name: {name}}}\n"
            ),
        )
        .write("shared.txt", name)
        .write("Dockerfile.api", format!("{shared}\nFROM base\nCMD [\"api\"]\n"))
        .write(
            "Dockerfile.worker",
            format!(
                "{shared}\nFROM base\nARG WHO=world\n# comment\nRUN --mount=type=cache,id={name},target=/c \\\n  \
                 head -c 200000 /dev/urandom > /c/{name}; cp /c/{name} /y; echo $WHO\n"
            ),
        );
    project
}

fn stats(project: &Project, args: &[&str]) -> Value {
    let mut all = vec!["stats", "--format", "json"];
    all.extend(args);
    let output = project.run(&all).success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn bytes(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn sizes_are_those_of_inspect_history_and_df() {
    on_every_engine(|shared| {
        let own = PrivateEngine::start(&shared.name);
        own.import_base("busybox");
        let engine = own.engine();
        let project = project(engine);
        let name = project.name();
        // An older worker without a name stays behind.
        project.run(&["build", "--set", "worker.args.WHO=me"]).success();
        project.run(&["build"]).success();
        let label = format!("com.docker.compose.project={name}");
        // With the labels that compose would give them.
        let key = "com.docker.compose.volume=data";
        engine.docker_ok(&["volume", "create", "--label", &label, "--label", key, name]);
        let directory =
            format!("com.docker.compose.project.working_dir={}", project.dir().display());
        let image = format!("{name}-api");
        let script = "head -c 4096 /dev/zero > /data/v; head -c 8192 /dev/zero > /w";
        let mount = format!("{name}:/data");
        engine.docker_ok(&[
            "run",
            "--name",
            name,
            "--label",
            "com.docker.compose.config-hash=hash",
            "--label",
            &directory,
            "--network",
            "none",
            "-v",
            &mount,
            &image,
            "sh",
            "-c",
            script,
        ]);
        // As the engine says: what is measured inside of cache mounts is tests/engine/quiet/measure.rs's.
        let told = stats(&project, &["-v", "--measure=never"]);
        let df = get(engine, "/system/df");
        let at = &engine.name;
        assert_eq!(
            told["notes"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|note| {
                    !note.as_str().unwrap().contains("estimated")
                        && !note.as_str().unwrap().contains("goes by its images' history")
                        && !note.as_str().unwrap().contains("it may have grown: not asked for")
                })
                .count(),
            0,
            "{at}: {}",
            told["notes"]
        );

        let containerd = told["engine"]["store"] == "containerd";
        let mut seen = BTreeMap::new();
        for image in told["images"].as_array().unwrap() {
            let reference = image["reference"].as_str().unwrap();
            let inspected =
                engine.docker_ok(&["image", "inspect", "--format", "{{.Size}}", reference]);
            let inspected: u64 = inspected.parse().unwrap();
            let of_store = if containerd { &image["content_bytes"] } else { &image["size_bytes"] };
            assert_eq!(bytes(of_store), inspected, "{at}: {reference}");
            let listed = df["Images"].as_array().unwrap();
            let row = listed.iter().find(|row| row["Id"] == image["id"]).unwrap();
            assert_eq!(image["size_bytes"], row["Size"], "{at}: {reference}");
            assert_eq!(image["shared_bytes"], row["SharedSize"], "{at}: {reference}");
            let history = engine.docker_ok(&[
                "history",
                "--no-trunc",
                "--human=false",
                "--format",
                "{{.Size}}",
                reference,
            ]);
            let sum: u64 = history.lines().map(|size| size.parse::<u64>().unwrap()).sum();
            let layers = image["layers"].as_array().unwrap();
            let own_sum: u64 = layers.iter().map(|layer| bytes(&layer["size_bytes"])).sum();
            assert_eq!(own_sum, sum, "{at}: {reference}");
            if !containerd {
                assert_eq!(sum, inspected, "{at}: {reference}");
            }
            seen.insert(image["service"].as_str().unwrap(), image);
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["api", "worker"], "{at}");
        let worker = seen["worker"]["layers"].as_array().unwrap().last().unwrap();
        assert_eq!(worker["line"], 9, "{at}: {worker}");
        assert_eq!(worker["dockerfile"], "Dockerfile.worker", "{at}");
        assert!(
            worker["instruction"].as_str().unwrap().starts_with("RUN head -c 200000"),
            "{worker}"
        );
        let blob = &seen["api"]["layers"].as_array().unwrap()[3];
        assert_eq!(
            (&blob["line"], &blob["shared_with"][0]),
            (&Value::from(4), &"worker".into()),
            "{at}"
        );
        // What both have counts once: api's layers are all in worker.
        if !containerd {
            assert_eq!(told["total_bytes"], seen["worker"]["size_bytes"], "{at}");
        }

        let dangling = told["dangling"].as_array().unwrap();
        // The containerd store lets go of an image whose name moves on.
        let services: Vec<&str> = if containerd { vec![] } else { vec!["worker"] };
        let of: Vec<_> = dangling.iter().map(|it| it["service"].as_str().unwrap()).collect();
        assert_eq!(of, services, "{at}: {dangling:?}");
        let container = &told["containers"][0];
        let row =
            df["Containers"].as_array().unwrap().iter().find(|it| it["Id"] == container["id"]);
        assert_eq!(container["size_bytes"], row.unwrap()["SizeRw"], "{at}");
        let volume = &told["volumes"][0];
        assert_eq!(volume["name"], name, "{at}");
        assert_eq!(volume["size_bytes"], df["Volumes"][0]["UsageData"]["Size"], "{at}");
        assert_eq!(
            (&volume["in_use"], &volume["containers"][0]),
            (&true.into(), &name.into()),
            "{at}"
        );
        the_layers_tell_the_same(engine, name, &df);
        engine.docker_ok(&["rm", "-v", name]);
        cache_is_that_of_df(at, &told["cache"], &df, name);
    });
}

/// Sizes without the engine's sums over all images.
fn the_layers_tell_the_same(engine: &Engine, name: &str, df: &Value) {
    let client = doc2md_docker::engine::Engine::new(&Connector::unix(engine.socket()));
    let layers = async |images: &[Image]| {
        let own = wanted(name, &[], images);
        let ids = images.iter().map(|image| image.id.clone());
        let others: Vec<String> = ids.filter(|id| !own.contains(id)).collect();
        let details = client.image_details(&own).await.unwrap();
        let others = client.image_details(&others).await.unwrap();
        (own, details, stacks(&others))
    };
    let work = async {
        let (mut seen, (own, details, others)) =
            client.inventory_with(Duration::from_secs(60), layers).await.unwrap();
        add_shared(&mut seen, &details, &others);
        (seen, own)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (seen, own) = runtime.block_on(work);
    assert!(own.len() >= 2 && seen.gaps.is_empty(), "{}: {:?}", engine.name, seen.gaps);
    for row in df["Images"].as_array().unwrap() {
        let id = row["Id"].as_str().unwrap().to_owned();
        let image = seen.image(&id).unwrap_or_else(|| panic!("{}: no {id}", engine.name));
        assert_eq!(image.size_bytes, row["Size"].as_u64(), "{}: {row}", engine.name);
        if own.contains(&id) {
            assert_eq!(image.shared_bytes, row["SharedSize"].as_u64(), "{}: {row}", engine.name);
        }
    }
}

fn cache_is_that_of_df(at: &str, cache: &Value, df: &Value, name: &str) {
    let records = df["BuildCache"].as_array().unwrap();
    let sum = |wanted: &dyn Fn(&Value) -> bool| -> u64 {
        records.iter().filter(|it| wanted(it)).map(|it| bytes(&it["Size"])).sum()
    };
    assert_eq!(bytes(&cache["total_bytes"]), sum(&|_| true), "{at}");
    let shared = sum(&|it| it["Shared"] == true);
    assert_eq!(bytes(&cache["shared_with_images_bytes"]), shared, "{at}");
    let free = sum(&|it| it["Shared"] == false && it["InUse"] == false);
    assert_eq!(bytes(&cache["reclaimable_bytes"]), free, "{at}");
    assert_eq!(cache["records"].as_array().unwrap().len(), records.len(), "{at}");
    let mount = &cache["mounts"][0];
    assert_eq!((&mount["id"], &mount["target"]), (&name.into(), &"/c".into()), "{at}");
    assert_eq!(mount["services"][0], "worker", "{at}");
    assert!(bytes(&mount["size_bytes"]) >= 200_000, "{at}: {mount}");
    assert!(mount["last_used"].is_string(), "{at}: {mount}");
    // Layers and the cache mount; 20.10 tells of no builds.
    let own = bytes(&cache["project_bytes"]);
    if at != "20.10" {
        assert!((700_000..=bytes(&cache["total_bytes"])).contains(&own), "{at}: {own}");
    }
    // Nothing is about to go from a cache of a moment ago.
    assert_eq!(mount["gc"]["due"], false, "{at}: {mount}");
}

#[test]
fn a_slow_engine_gives_a_partial_table_and_a_note() {
    on_every_engine(|engine| {
        let project = project(engine);
        project.run(&["build", "api"]).success();
        let slow = SlowSocket::new(engine.socket(), MEASURING, Duration::from_secs(600));
        let host = format!("unix://{}", slow.path().display());
        let output = project.run(&["stats", "-H", &host, "--timeout", "20s"]).success();
        let output = output.get_output().clone();
        let (table, notes) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(table.contains(&format!("{}-api", project.name())), "{}: {table}", engine.name);
        assert!(
            notes.contains("note: build cache unknown: no answer within 20s"),
            "{}: {notes}",
            engine.name
        );
        let told = stats(&project, &["-H", &host, "--timeout", "20s"]);
        assert_eq!(told["cache"]["total_bytes"], Value::Null, "{}", engine.name);
        // What has a budget and cannot be measured is no pass.
        let args = ["stats", "-H", &host, "--timeout", "20s", "--budget", "cache=1GB"];
        project.run(&args).code(1);
    });
}

#[test]
fn a_project_without_files_is_known_by_its_labels() {
    on_every_engine(|engine| {
        let project = project(engine);
        project.run(&["build"]).success();
        for file in ["compose.yaml", "Dockerfile.api", "Dockerfile.worker"] {
            std::fs::remove_file(project.dir().join(file)).unwrap();
        }
        let output = project.run(&["stats", "-p", project.name()]).success().get_output().clone();
        let notes = String::from_utf8(output.stderr).unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        for service in ["api", "worker"] {
            assert!(
                table.lines().any(|line| line.starts_with(service)),
                "{}: {table}{notes}",
                engine.name
            );
        }
        assert!(!table.contains('\x1b'), "{}: {table}", engine.name);
    });
}

#[test]
fn a_pipe_has_no_width_and_images_go_by_repository_or_short_id() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        let image = format!("{name}/{}:tag", ["a-long-component"; 7].join("/"));
        let run = format!("RUN echo {} > /f && echo the-end", "long-word ".repeat(30));
        project.write("Dockerfile", format!("FROM {BUSYBOX}\n{run}\n")).write(
            "compose.yaml",
            format!("services:\n  app:\n    build: .\n    image: {image}\n"),
        );
        project.run(&["build"]).success();
        let id = engine.image_id(&image).unwrap();
        let directory =
            format!("com.docker.compose.project.working_dir={}", project.dir().display());
        let labels = ["--label", "com.docker.compose.config-hash=hash", "--label", &directory];
        engine.docker_ok(&[&["create", "--name", name], &labels[..], &[&id]].concat());
        let output = project.run(&["stats", "-p", name]).success().get_output().clone();
        engine.docker_ok(&["rm", name]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!(" {image} ")), "{}: {text}", engine.name);
        assert!(text.contains("&& echo the-end\n"), "{}: {text}", engine.name);
        let short = &id.trim_start_matches("sha256:")[..12];
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        // Between the title and the sum of the project, which begin with the same word.
        let container = [name, short, "created"];
        let has_row = text.lines().map(words).any(|row| row.len() > 3 && row[..3] == container);
        assert!(has_row, "{}: {text}", engine.name);
        assert!(!text.contains("..."), "{}: {text}", engine.name);
    });
}

#[test]
fn budgets_decide_the_exit_code() {
    let engine = engine("28.5");
    let project = project(&engine);
    let summary = project.dir().join("summary.md");
    project.run(&["build"]).success();
    project
        .run(&["stats", "--budget", "api=1GB", "--budget", "total=1GB", "--max-growth", "5%"])
        .success();
    project.run(&["stats", "--budget", "later=1GB"]).code(2);
    project.run(&["stats", "--budget", "api"]).code(2);
    project.write("doc2md-docker.toml", "[budgets]\napi = \"1kB\"\ntotal = \"1GB\"\n");
    let mut command = project.command(&["stats", "--budget", "worker=2kB"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let output = command.output().unwrap();
    let (table, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(4), "{errors}");
    let verdicts: Vec<&str> = table.lines().skip_while(|line| *line != "Budgets").collect();
    assert!(verdicts[2].starts_with("api=1kB") && verdicts[2].contains("over by"), "{table}");
    assert!(verdicts[3].starts_with("total=1GB") && verdicts[3].ends_with("ok"), "{table}");
    assert!(errors.contains("error: over budget: api=1kB, worker=2kB"), "{errors}");
    assert_eq!(errors.matches("::error title=").count(), 2, "{errors}");
    let page = std::fs::read_to_string(summary).unwrap();
    assert!(page.contains("| budget | limit | actual | verdict |"), "{page}");
    project.write("doc2md-docker.toml", "[budgets]\napi = true\n");
    project.run(&["stats"]).code(2);
}

#[test]
fn growth_is_measured_from_the_build_before() {
    on_every_engine(|engine| {
        let at = &engine.name;
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY data /{}\n", project.name()))
            .write("data", "small");
        project.run(&["build"]).success();
        let growth = ["stats", "--max-growth", "10%"];
        let output = project.run(&growth).success().get_output().clone();
        let table = String::from_utf8(output.stdout).unwrap();
        let verdict = table.lines().find(|line| line.starts_with("api max-growth=10%"));
        let verdict = verdict.unwrap_or_else(|| panic!("{at}: {table}"));
        assert!(verdict.ends_with("no earlier build to compare with"), "{at}: {table}");
        let before = stats(&project, &[])["images"][0].clone();
        assert_eq!(before["previous_size_bytes"], Value::Null, "{at}");

        project.write("data", vec![b'0'; 4_000_005]);
        project.run(&["build"]).success();
        // One that changes nothing is no build to compare with.
        project.run(&["build"]).success();
        let output = project.run(&growth).code(4).get_output().clone();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("error: over budget: api max-growth=10%"), "{at}: {errors}");
        let told = stats(&project, &[]);
        let image = &told["images"][0];
        assert_eq!(image["previous_size_bytes"], before["size_bytes"], "{at}");
        let grown = bytes(&image["size_bytes"]) - bytes(&before["size_bytes"]);
        // The containerd store has the layer compressed as well, and counts files in blocks of 4 KiB.
        let blocks = 976 * 4096;
        match told["engine"]["store"] == "containerd" {
            true => assert!((blocks..blocks + 100_000).contains(&grown), "{at}: {grown}"),
            false => assert_eq!(grown, 4_000_000, "{at}"),
        }
        project.run(&["stats", "--max-growth", "1000%"]).success();
    });
}

#[test]
fn an_engine_that_is_not_there_is_exit_code_3() {
    let project = project(&engine("28.5"));
    project.run(&["stats", "-H", "unix:///nowhere/docker.sock"]).code(3);
}
