//! Provenance as BuildKit writes it, and what is made of it.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::provenance::{Operation, Provenance};
use crate::redact::{Redactor, Secrets};

const BASE: &str = "docker-image://docker.io/library/python:3";

fn digest(letter: char) -> String {
    letter.to_string().repeat(64)
}

/// A base, a context, a copy of it, and a RUN.
fn config(env: &str, follow: &str, base: &str) -> Value {
    let args = json!(["/bin/sh", "-c", "make"]);
    json!({
        "llbDefinition": [
            {"id": "step0", "op": {"Op": {"source": {"identifier": base}}, "platform": {"OS": "linux"}}},
            {"id": "step1", "op": {"Op": {"source": {
                "identifier": "local://context",
                "attrs": {"local.followpaths": follow, "local.session": follow},
            }}}},
            {"id": "step2", "inputs": ["step0:0", "step1:0"], "op": {"Op": {"file": {"actions": [
                {"secondaryInput": 1, "Action": {"copy": {"src": "/app", "dest": "/app"}}},
                {"secondaryInput": -1, "Action": {"mkdir": {"path": "/srv"}}},
            ]}}}},
            {"id": "step3", "inputs": ["step0:0"], "op": {"Op": {"exec": {
                "meta": {"args": args, "env": ["PATH=/bin", env], "cwd": "/", "proxy_env": {"http_proxy": follow}},
                "mounts": [{"dest": "/"}, {"input": -1, "dest": "/c", "cacheOpt": {"ID": follow}}],
            }}}},
            {"id": "step4", "inputs": ["step2:0"], "op": {"Op": {"exec": {"meta": {"args": args}}}}},
        ],
        "digestMapping": {"d0": "step0", "d2": "step2", "d3": "step3", "d4": "step4", "dx": "step9"},
    })
}

fn materials() -> Value {
    json!([{
        "uri": "pkg:docker/python@3?platform=linux%2Famd64", "digest": {"sha256": digest('a')},
    }])
}

fn source() -> Value {
    json!({"source": {"infos": [{"filename": "Dockerfile", "data": "RlJPTSB4Cg=="}]}})
}

fn v02(config: &Value, materials: &Value) -> Value {
    json!({
        "buildConfig": config, "materials": materials,
        "metadata": {"https://mobyproject.org/buildkit@v1#metadata": source()},
    })
}

fn v1(config: &Value, materials: &Value) -> Value {
    json!({
        "buildDefinition": {
            "internalParameters": {"buildConfig": config}, "resolvedDependencies": materials,
        },
        "runDetails": {"metadata": {"buildkit_metadata": source()}},
    })
}

fn read(document: &Value) -> Provenance {
    let mut provenance = Provenance::default();
    provenance.add(document.to_string().as_bytes());
    provenance
}

fn whole(provenance: &Provenance, digest: &str) -> String {
    provenance.operations[digest].whole.clone().unwrap()
}

#[test]
fn both_forms_say_the_same() {
    let config = config("A=1", "f", BASE);
    let (old, new) = (read(&v02(&config, &materials())), read(&v1(&config, &materials())));
    assert_eq!(old, new);
    assert_eq!(old, read(&json!({"predicate": v1(&config, &materials())})));
    assert_eq!(old.dockerfile, Some(("Dockerfile".to_owned(), "FROM x\n".to_owned())));
    let base = format!("sha256:{}", digest('a'));
    assert_eq!(old.images["docker.io/library/python:3"], base);
    let Operation { images, stands_on_files, reads_files, paths, exec, .. } = &old.operations["d2"];
    assert_eq!(images["docker.io/library/python:3"], Some(base));
    assert_eq!((stands_on_files, reads_files, paths), (&true, &true, &vec!["app".to_owned()]));
    assert!(exec.is_none());
    let run = &old.operations["d3"];
    assert!(!run.stands_on_files && !run.reads_files && run.paths.is_empty());
    let exec = run.exec.as_ref().unwrap();
    assert_eq!(exec.env[1], ("A".to_owned(), "1".to_owned()));
    let last = &old.operations["d4"];
    assert!(last.stands_on_files && !last.reads_files);
    assert!(!old.operations.contains_key("dx"));
}

#[test]
fn what_is_of_one_session_counts_for_nothing() {
    let one = read(&v02(&config("A=1", "f", BASE), &materials()));
    let other = read(&v02(&config("A=1", "g", BASE), &materials()));
    for digest in ["d0", "d2", "d3", "d4"] {
        assert_eq!(whole(&one, digest), whole(&other, digest), "{digest}");
    }
    let argument = read(&v02(&config("A=2", "f", BASE), &materials()));
    assert_ne!(whole(&one, "d3"), whole(&argument, "d3"));
    assert_eq!(whole(&one, "d4"), whole(&argument, "d4"));
    let moved = json!([{"uri": "pkg:docker/python@3", "digest": {"sha256": digest('b')}}]);
    let moved = read(&v02(&config("A=1", "f", BASE), &moved));
    assert_ne!(whole(&one, "d0"), whole(&moved, "d0"));
    assert_eq!(one.operations["d4"].own, moved.operations["d4"].own);
    assert_ne!(whole(&one, "d4"), whole(&moved, "d4"));
}

#[test]
fn an_image_of_two_platforms_is_not_known() {
    let two = json!([
        {"uri": "pkg:docker/python@3?platform=linux%2Famd64", "digest": {"sha256": digest('a')}},
        {"uri": "pkg:docker/python@3?platform=linux%2Farm64", "digest": {"sha256": digest('b')}},
    ]);
    let provenance = read(&v02(&config("A=1", "f", BASE), &two));
    assert_eq!(provenance.operations["d0"].images["docker.io/library/python:3"], None);
    let pinned = format!("{BASE}@sha256:{}", digest('c'));
    let provenance = read(&v02(&config("A=1", "f", &pinned), &two));
    let known = format!("sha256:{}", digest('c'));
    assert_eq!(provenance.operations["d0"].images["docker.io/library/python:3"], Some(known));
}

#[test]
fn steps_of_a_group_are_one() {
    let one = |follow: &str| {
        let mut provenance = read(&v02(&config("A=1", follow, BASE), &materials()));
        provenance.add_group("g", &["d2", "d3"].map(str::to_owned).into());
        provenance.add_group("h", &["d2", "d9"].map(str::to_owned).into());
        provenance
    };
    let (first, second) = (one("f"), one("g"));
    assert_eq!(whole(&first, "g"), whole(&second, "g"));
    assert_eq!(first.operations["g"].paths, ["app"]);
    assert!(first.operations["g"].reads_files && !first.operations.contains_key("h"));
}

#[test]
fn secrets_are_not_kept() {
    let mut secrets = Secrets::default();
    secrets.add(b"hunter22");
    let mut provenance = read(&v02(&config("API_TOKEN=hunter22", "f", BASE), &materials()));
    provenance.redact(&Redactor::new(&secrets));
    let exec = provenance.operations["d3"].exec.as_ref().unwrap();
    assert_eq!(exec.env[1], ("API_TOKEN".to_owned(), "***".to_owned()));
}

#[test]
fn nothing_that_is_missing_or_of_another_form_is_a_fault() {
    let texts = ["", "[]", "null", "{\"predicate\":3}", "{\"buildConfig\":{\"llbDefinition\":{}}}"];
    for text in texts {
        let mut provenance = Provenance::default();
        provenance.add(text.as_bytes());
        assert_eq!(provenance, Provenance::default(), "{text}");
    }
    let op = |op: Value| json!({"id": "a", "op": {"Op": op}, "inputs": ["b:0", "a", 3]});
    let ops = [
        json!({"source": "x"}),
        json!({"source": {"identifier": "local://x", "attrs": "y"}}),
        json!({"exec": "x"}),
        json!({"exec": {"meta": [], "mounts": [3, "x", {"input": -9}, {"input": 1e300}]}}),
        json!({"file": {"actions": [3, {"Action": {"copy": 3}}, {"Action": {"copy": {"src": "/"}}}]}}),
        json!(3),
    ];
    for it in ops {
        let config =
            json!({"llbDefinition": [op(it.clone())], "digestMapping": {"d": "a", "e": 3}});
        let document =
            v02(&config, &json!([{"uri": "pkg:docker/%zz@%f"}, {"uri": "pkg:docker/é%"}, 3]));
        let provenance = read(&document);
        // What it reads is not known.
        assert_eq!(provenance.operations["d"].whole, None, "{it}");
    }
}
