//! `stats --html` of a real project, by its figures and in a real browser.

use doc2md_docker::terminal::format;
use serde_json::Value;

use crate::support::{BUSYBOX, Engine, Project, browser, engine, eventually};

/// Two services with a layer and a cache mount in common; filling the mount is slow.
fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    let file = |own: &str| {
        format!(
            "FROM {BUSYBOX}\nRUN head -c 3000000 /dev/urandom > /runtime; echo {name}\n\
             COPY data /\n\
             RUN --mount=type=cache,id={name},target=/c \
             if [ ! -e /c/full ]; then sleep 3; new=$(mktemp -p /c); head -c 5000000 /dev/urandom > $new; mv $new /c/full; fi; {own}\n"
        )
    };
    project
        .write(
            "compose.yaml",
            format!(
                "services:\n  api: {{build: {{context: ., dockerfile: Dockerfile.api}}}}\n  \
                 a-worker-with-quite-a-long-name-for-a-narrow-window:\n    build: {{context: ., dockerfile: Dockerfile.worker}}\n  \
                 later: {{build: {{context: ., dockerfile: Dockerfile.api}}, profiles: [later]}}\n\
                 volumes:\n  data: {{name: {name}}}\n"
            ),
        )
        .write("Dockerfile.api", file("echo api"))
        .write("Dockerfile.worker", file("cp /c/full /own"))
        .write("data", "small");
    project
}

fn json(project: &Project, args: &[&str]) -> Value {
    let output = project.run(args).success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn shown(bytes: &Value) -> String {
    format::bytes(bytes.as_u64().unwrap_or_else(|| panic!("no number: {bytes}")))
}

#[test]
fn the_page_says_what_the_document_says() {
    let engine = &engine("28.5");
    let project = project(engine);
    project.run(&["build"]).success();
    project.write("data", vec![b'0'; 2_000_000]);
    project.run(&["build"]).success();
    let mount = eventually("the worth of the mount is known", || {
        let mounts = json(&project, &["cache", "ls", "--format", "json"]);
        let mount = mounts["mounts"][0].clone();
        mount["saves_seconds"].is_number().then_some(mount)
    });
    let told = json(&project, &["stats", "--html", "sizes.html", "--format", "json"]);
    let path = project.dir().join("sizes.html");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");

    let mut wanted = vec![format!("<b>{}</b> together", shown(&told["total_bytes"]))];
    for image in told["images"].as_array().unwrap().iter().filter(|it| !it["id"].is_null()) {
        wanted.push(format!("<span class=\"size\">{}</span>", shown(&image["size_bytes"])));
        let [own, shared] = ["unique_bytes", "shared_bytes"].map(|key| shown(&image[key]));
        wanted.push(format!("{own} its own, {shared} shared; 2.0 MB more than before"));
        wanted.push(format!(
            "{} after the last of 2 builds, 2.0 MB more",
            shown(&image["size_bytes"])
        ));
    }
    for kind in told["cache"]["kinds"].as_array().unwrap() {
        wanted.push(format!("<span class=\"size\">{}</span>", shown(&kind["total_bytes"])));
    }
    wanted.push(format!("<b>{}</b> in all", shown(&told["cache"]["total_bytes"])));
    let mounts = told["cache"]["mounts"].as_array().unwrap();
    let own = mounts.iter().find(|it| it["id"].as_str() == Some(project.name())).unwrap();
    let saves = format::seconds(mount["saves_seconds"].as_f64().unwrap());
    wanted.push(format!(
        "<td class=\"mount\">{}</td><td class=\"num\">{}</td><td class=\"num\">{saves}</td>",
        project.name(),
        shown(&own["size_bytes"])
    ));
    for command in ["clean", "clean --old", "clean --only cache"] {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(["--dry-run", "--format", "json"]);
        let plan = json(&project, &args);
        let frees = shown(&plan["estimated_bytes"]);
        let bar = page.split_once(&format!("doc2md-docker {command}</span>")).unwrap().1;
        let size = format!("<span class=\"size\">{frees}</span>");
        let row = bar.split_once("</li>").unwrap().0;
        assert!(row.contains(&size), "{command}: no {size:?} in {row}");
    }
    for words in &wanted {
        assert!(page.contains(words), "no {words:?} in {page}");
    }

    // Where the page is the data, the table gives way.
    let output = project.run(&["stats", "--html", "-"]).success().get_output().clone();
    let alone = String::from_utf8(output.stdout).unwrap();
    assert!(alone.starts_with("<!DOCTYPE html>") && alone.ends_with("</html>\n"), "{alone}");
    // What a mount saves is in the history: nobody has to look into it.
    project.run(&["stats", "--html", "short.html", "--measure=never"]).success();
    let short = std::fs::read_to_string(project.dir().join("short.html")).unwrap();
    assert!(short.contains(&format!("<td class=\"num\">{saves}</td>")), "{short}");

    project.run(&["build", "--timeline", "timeline.html"]).success();
    for name in ["sizes.html", "timeline.html"] {
        let path = project.dir().join(name);
        browser::allows_itself(&path);
        for (width, is_dark) in [(1100, false), (1100, true), (360, false), (360, true)] {
            let look = browser::look(&path, width, is_dark);
            let at = format!("{name} at {width}: {look:?}");
            assert_eq!((look.is_dark, look.excess), (is_dark, 0), "{at}");
            assert!(look.faint.is_empty() && look.outside.is_empty(), "{at}");
        }
    }
}
