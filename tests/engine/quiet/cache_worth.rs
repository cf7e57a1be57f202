//! Whether a mount is worth moving, by what builds took with and without it.

use serde_json::Value;

use super::cache::{cache, project, step};
use crate::support::{Engine, Project, on_every_engine};

/// Slow where the mount is empty: slower than moving what is in it on a machine that does much else.
const FILL: &str =
    "if [ ! -e /c/full ]; then sleep 30; head -c 20000000 /dev/urandom > /c/full; fi";

/// What is said of the mount that is filled.
fn odd(project: &Project, engine: &Engine, args: &[&str]) -> Value {
    crate::support::eventually("the mount is told of", || {
        let (code, document, said) = cache(project, engine, args);
        assert_eq!(code, 0, "{said}");
        let mounts = document["mounts"].as_array().unwrap().iter();
        let mut odd = mounts.filter(|it| it["id"].as_str().unwrap().ends_with("odd"));
        odd.next().filter(|it| it["status"] != "absent").cloned()
    })
}

#[test]
fn what_is_not_worth_it_stays_and_what_nobody_knows_goes() {
    on_every_engine(|engine| {
        let project = project(engine);
        let save =
            |more: &[&str]| odd(&project, engine, &[&["save", "--to", "saved"], more].concat());
        let says = |mount: &Value, status: &str, words: &str| {
            assert_eq!(mount["status"], status, "{}: {mount:#}", engine.name);
            let reason = mount["reason"].as_str().unwrap_or_default();
            assert!(reason.contains(words), "{}: {words}: {mount:#}", engine.name);
        };
        step(&project, engine, FILL);
        let first = save(&[]);
        says(&first, "saved", "nothing of its size was moved yet");
        assert!(first["saves_seconds"].as_f64().unwrap() >= 30.0, "{first:#}");
        says(&save(&[]), "unchanged", "no recorded build had it filled");
        step(&project, engine, FILL);
        let known = save(&[]);
        says(&known, "unchanged", "moving it there and back takes");
        let saves = known["saves_seconds"].as_f64().unwrap();
        assert!(saves > 2.0 && known["moving_seconds"].as_f64().unwrap() < saves, "{known:#}");
        assert!(odd(&project, engine, &["ls"])["saves_seconds"].as_f64().unwrap() > 2.0);

        // Twice 20 MB at 100 kB a second.
        let slow = save(&["--rate", "100kB"]);
        says(&slow, "not_worth", "--always saves it");
        assert!(slow["moving_seconds"].as_f64().unwrap() > 400.0, "{slow:#}");
        let manifest = std::fs::read(project.dir().join("saved/manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert!(manifest["mounts"].as_object().unwrap().is_empty(), "{manifest:#}");
        assert!(!manifest["costs"].as_object().unwrap().is_empty(), "{manifest:#}");
        assert_eq!(save(&["--rate", "100kB", "--always"])["status"], "saved");
        says(&save(&["--never", "*-odd"]), "skipped", "--never");
        says(&save(&[]), "saved", "moving it there and back takes");
    });
}
