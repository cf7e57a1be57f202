//! Cache mounts that grow, as `stats` and `clean` tell of them.

use std::time::Duration;

use doc2md_docker::buildkit::{Control, new_ref};
use doc2md_docker::dockerfile::Beginning;
use doc2md_docker::engine::{Connector, Engine as Client};
use doc2md_docker::inventory::CacheRecord;
use doc2md_docker::sight::{Mount, Sharing, Sight};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{BUSYBOX, Engine, Project, eventually_or_why, on_every_engine};

const LIMIT: Duration = Duration::from_secs(300);

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn look(engine: &Engine, mounts: &[Mount]) -> Sight {
    block(async {
        let control = Control::connect(&Connector::unix(engine.socket())).await.unwrap();
        control.look("x86_64", &new_ref(), mounts, LIMIT).await.unwrap()
    })
}

fn records(engine: &Engine, wanted: &str) -> Vec<CacheRecord> {
    let client = Client::new(&Connector::unix(engine.socket()));
    let mut records = block(client.cache_records()).unwrap();
    records.retain(|record| record.description.contains(wanted));
    records
}

fn stats(project: &Project, args: &[&str]) -> Value {
    let mut all = vec!["stats", "--format", "json"];
    all.extend(if args.is_empty() { &["--measure"] } else { args });
    let output = project.run(&all).success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The mounts of the project, by id.
fn mounts(report: &Value) -> Vec<Value> {
    let all = report["cache"]["mounts"].as_array().unwrap().clone();
    let mut ours: Vec<Value> =
        all.into_iter().filter(|it| !it["services"].as_array().unwrap().is_empty()).collect();
    ours.sort_by_key(|mount| mount["id"].to_string());
    ours
}

/// The report, once it has mounts of the project: 20.10 answers one disk usage query at a time, and refuses others.
fn told(project: &Project, args: &[&str]) -> (Value, Vec<Value>) {
    crate::support::eventually("mounts are told of", || {
        let report = stats(project, args);
        let found = mounts(&report);
        (!found.is_empty()).then_some((report, found))
    })
}

/// A project whose service runs this with these mounts: in a script, so that the step has one name, and 20.10, which
/// tells of no ids, knows whose the mount is.
fn write(project: &Project, mounts: &[&str], command: &str) {
    let mounts: Vec<String> =
        mounts.iter().map(|mount| format!("--mount=type=cache,{mount}")).collect();
    let (mounts, name) = (mounts.join(" "), project.name());
    project
        .write("compose.yaml", "services:\n  api: {build: .}\n")
        .write("run.sh", format!("{command}\n"))
        .write(
            "Dockerfile",
            format!("FROM {BUSYBOX}\nCOPY run.sh /\nRUN {mounts} sh -e /run.sh {name}\n"),
        );
}

/// Mounts as a line of a log can tell of them: what was asked of whom, and what it says.
fn in_short(mounts: &[Value]) -> String {
    let keys = ["id", "engine_bytes", "size_bytes", "size_source", "not_measured"];
    let short = |mount: &Value| keys.map(|key| mount[key].to_string()).join(" ");
    mounts.iter().map(short).collect::<Vec<_>>().join("; ")
}

fn assert_near(actual: &Value, megabytes: u64, what: &str) {
    let (actual, wanted) = (actual.as_u64().unwrap(), megabytes * 1_000_000);
    assert!(actual.abs_diff(wanted) < wanted / 50 + 60_000, "{what}: {actual}, not {wanted}");
}

fn fill(name: &str, megabytes: u64) -> String {
    format!("head -c {megabytes}000000 /dev/urandom > /c/{name}")
}

#[test]
fn a_mount_that_grows_is_as_large_as_it_is_after_every_build() {
    on_every_engine(|engine| {
        // While an engine counts what is in a mount for another test, a build gets a second, empty one of the same id:
        // then the builds of this test are not all in one.
        let is_told = (0..4).any(|_| growth_is_told(engine).is_some());
        assert!(is_told, "{}: each time a build got another mount", engine.name);
    });
}

/// `None` where a build got another mount than the one before.
fn growth_is_told(engine: &Engine) -> Option<()> {
    let project = Project::new(engine);
    let name = project.name();
    let mount = format!("id={name},target=/c");
    let mut all = 0;
    for (build, megabytes) in [1, 5, 10, 4].into_iter().enumerate() {
        all += megabytes;
        write(&project, &[&mount], &fill(&build.to_string(), megabytes));
        project.run(&["build"]).success();
        // The second finds nothing to measure and says the same.
        for args in [&[][..], &["--measure=auto"]] {
            let (report, mount) = eventually_or_why("the mount is measured", || {
                let report = stats(&project, args);
                let found = mounts(&report);
                match &found[..] {
                    [mount] if mount["size_source"] == "measured" => {
                        Ok(Some((report, mount.clone())))
                    }
                    [_, _, ..] => Ok(None),
                    _ => Err(in_short(&found)),
                }
            })?;
            assert_near(&mount["size_bytes"], all, &format!("{} {build}", engine.name));
            let kinds = report["cache"]["kinds"].as_array().unwrap();
            let kind = kinds.iter().find(|it| it["kind"] == "exec.cachemount").unwrap();
            assert!(kind["total_bytes"].as_u64() >= mount["size_bytes"].as_u64());
        }
    }
    // Budgets go by what is there, and a glance remembers it.
    let budget = format!("cache={}MB", 15);
    project.run(&["stats", "--measure=never", "--budget", &budget]).code(4);
    // Our looks are nobody's use: the mount goes with the project's cache.
    let plan = project.run(&["clean", "--only", "cache", "--dry-run", "--format", "json"]);
    let plan: Value = serde_json::from_slice(&plan.success().get_output().stdout).unwrap();
    let ours = |it: &CacheRecord| it.description.starts_with("cached mount");
    let id = match &records(engine, name).into_iter().filter(ours).collect::<Vec<_>>()[..] {
        [mount] => mount.id.clone(),
        mounts => {
            assert!(mounts.len() > 1, "{}: no mount", engine.name);
            return None;
        }
    };
    let item = |list: &str| {
        let items = plan[list].as_array().unwrap();
        items.iter().find(|item| item["id"] == *id).cloned()
    };
    if engine.name == "28.5-containerd" {
        // No prune where the base was imported (docs/design/clean.md).
        assert!(item("remove").is_none());
        return Some(());
    }
    // A disk usage query of another test counts as a use, and 20.10 has no history to explain it with.
    let is_unexplained =
        |it: &Value| engine.name == "20.10" && it["reason"].as_str().unwrap().starts_with("used ");
    if item("keep").is_some_and(|it| is_unexplained(&it)) {
        return Some(());
    }
    let item = item("remove").unwrap_or_else(|| {
        let list = |list: &str| plan[list].as_array().map(Vec::len);
        let listed = (list("remove"), list("keep"));
        panic!("{id} is kept: {:#?}, {listed:?}, {:#}", item("keep"), plan["notes"])
    });
    assert_near(&item["bytes"], all, "what clean frees");
    project.clean(&["--only", "cache"]);
    assert!(!records(engine, "").iter().any(|record| record.id == id));
    Some(())
}

#[test]
fn owners_namespaces_and_modes_of_sharing_are_those_of_the_builds() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        let secret = format!("id={name}-owned,target=/c,uid=1234,gid=7,mode=0700");
        let locked = format!("id={name}-locked,target=/l,sharing=locked");
        let private = format!("id={name}-private,target=/p,sharing=private");
        let twice = format!("id={name}-private,target=/q,sharing=private");
        let command = "head -c 2000000 /dev/urandom > /c/x; chown 1234:7 /c/x; chmod 0600 /c/x; \
                       head -c 3000000 /dev/urandom > /l/x; head -c 4000000 /dev/urandom > /p/x; ls /q/x";
        write(&project, &[&secret, &locked, &private, &twice], command);
        project.write(
            "compose.yaml",
            "services:\n  api: {build: {context: ., args: {BUILDKIT_CACHE_MOUNT_NS: team}}}\n",
        );
        project.run(&["build"]).success();
        let count = || {
            let of_project = |it: &CacheRecord| it.description.starts_with("cached mount");
            records(engine, name).iter().filter(|it| of_project(it)).count()
        };
        let before = count();
        // While other tests build on this engine, a private mount is left alone, and the engine's size is shown.
        let is_told = |mount: &Value| {
            let why = mount["not_measured"].as_str().unwrap_or_default();
            mount["size_source"] == "measured"
                || (mount["id"].to_string().contains("-private")
                    && why.contains("a build is at work"))
        };
        let found = eventually_or_why("all mounts are told of", || {
            let found = mounts(&stats(&project, &[]));
            let all = found.len() == 3 && found.iter().all(is_told);
            if all { Ok(found) } else { Err(in_short(&found)) }
        });
        for (mount, megabytes) in found.iter().zip([3, 2, 4]) {
            if mount["size_source"] == "measured" {
                assert_near(&mount["size_bytes"], megabytes, &format!("{} {mount:#}", engine.name));
            }
        }
        // A look makes no mount.
        assert_eq!((before, count()), (3, 3), "{}", engine.name);
        let made = |it: &CacheRecord| it.description.contains("from exec /doc2md-docker-measure");
        assert!(!records(engine, name).iter().any(made), "{}", engine.name);
    });
}

#[test]
fn a_look_leaves_the_mount_and_the_history_as_they_were() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        write(&project, &[&format!("id={name},target=/c")], &fill("x", 1));
        project.run(&["build"]).success();
        let history = |engine: &Engine| match engine.name.as_str() {
            // The one tells of no builds, and the other of more than the CLI takes.
            "20.10" | "26.1" => String::new(),
            _ => engine.docker_ok(&["buildx", "history", "ls", "--format", "{{.Name}}"]),
        };
        let mount =
            Mount { id: format!("/{name}"), sharing: Sharing::Shared, beginning: Beginning::Empty };
        // Until the engine has counted what is in the mount, for anybody, whoever asks for it may get a new one.
        stats(&project, &[]);
        let steps = |engine: &Engine| records(engine, "mkfile /doc2md-docker-measure").len();
        for _ in 0..4 {
            let sight = look(engine, std::slice::from_ref(&mount));
            assert!(sight.mounts[0].is_some() && sight.disk.is_some(), "{sight:?}");
        }
        // Of any number of looks the engine keeps the program, once. 20.10 may call it "fileop target", as all of its kind.
        let is_once = || match steps(engine) {
            0 => engine.name == "20.10",
            count => count == 1,
        };
        crate::support::eventually("one program is kept", || is_once().then_some(()));
        assert!(!history(engine).contains("measure"));
        // The engine lets go of a mount a little after its answer; meanwhile a build would get another one.
        let is_free = || records(engine, name).iter().all(|it| !it.in_use);
        crate::support::eventually("the mount is free", || is_free().then_some(()));
        write(&project, &[&format!("id={name},target=/c")], "ls /c/x && touch /c/y");
        project.run(&["build"]).success();
    });
}

#[test]
fn a_mount_in_use_keeps_nobody_waiting() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        let mount = format!("id={name},target=/c,sharing=locked");
        write(&project, &[&mount], &fill("x", 1));
        project.run(&["build"]).success();
        write(&project, &[&mount], &format!("{}; echo filled-$1; sleep 1000", fill("y", 2)));
        let log = project.home().join("log");
        let mut build = project
            .command(&["build", "--progress", "plain"])
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        // The step itself says that it has the mount: of the build before the engine lets go a little after its answer.
        crate::support::eventually("the step has the mount", || {
            let said = std::fs::read_to_string(&log).unwrap();
            said.contains(&format!("| filled-{name}")).then_some(())
        });
        let (_, found) = told(&project, &[]);
        assert_eq!(found[0]["size_source"], "engine", "{found:#?}");
        assert_eq!(found[0]["not_measured"], "a build is using it");
        kill_process(Pid::from_child(&build), Signal::INT).unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(130), "{}", engine.name);
        let found = crate::support::eventually("the mount is free", || {
            let (_, found) = told(&project, &[]);
            (found[0]["size_source"] == "measured").then_some(found)
        });
        assert_near(&found[0]["size_bytes"], 3, &engine.name);
        assert_eq!(
            records(engine, "cached mount")
                .iter()
                .filter(|it| it.description.contains(name))
                .count(),
            1
        );
    });
}
