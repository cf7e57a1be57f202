//! The compose loader under any input: it ends, with a project or one error, and never panics.
//!
//! Inputs are bytes, pieces of YAML, trees of compose's own keys, and damaged files of the corpus.
//! Whatever loads must also become targets, and the same ones however the file was written.
//! PROPTEST_CASES replaces the number of cases for a long campaign.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use doc2md_docker::compose::{ComposeError, LoadRequest, config, load};
use doc2md_docker::targets::{TargetOptions, from_compose, print_json};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn cases(number: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    if given { ProptestConfig::default() } else { ProptestConfig::with_cases(number) }
}

/// What `build --print` prints, or why not.
fn printed(request: &LoadRequest) -> Result<String, ComposeError> {
    let project = load(request)?;
    // What `config` prints of whatever loads is YAML and JSON; files of variables may be missing.
    if let Ok((_, config)) = config(request, &[]) {
        let yaml: serde_yaml::Value = serde_yaml::from_str(&config.yaml().unwrap()).unwrap();
        assert!(yaml.is_mapping());
        let _: Value = serde_json::from_str(&config.json().unwrap()).unwrap();
    }
    let options = TargetOptions { with_dependencies: true, ..TargetOptions::default() };
    from_compose(&project, &options).map(|set| print_json(&set))
}

fn stdin(text: &str, working_dir: &Path) -> LoadRequest {
    LoadRequest {
        files: vec!["-".into()],
        stdin: Some(text.into()),
        working_dir: working_dir.into(),
        environment: [("SET", "value"), ("EMPTY", ""), ("HOME", "/home/u")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        ..LoadRequest::default()
    }
}

fn of_text(text: &str) -> Result<String, ComposeError> {
    printed(&stdin(text, Path::new("/srv/demo")))
}

/// An error is one line that says something.
fn check(result: &Result<String, ComposeError>) -> Result<(), TestCaseError> {
    if let Err(error) = result {
        prop_assert!(!error.message.trim().is_empty());
        if let Some(place) = &error.place {
            prop_assert!(place.line >= 1 && place.column >= 1, "{}", place);
        }
    }
    Ok(())
}

/// Pieces that make compose files, in any order: most results are wrong.
const PIECES: [&str; 52] = [
    "services:",
    "\n",
    "\n  ",
    "\n    ",
    "a",
    ":",
    " ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "build:",
    "context: .",
    "args:",
    "&x ",
    "*x",
    "<<: ",
    "!reset ",
    "!override ",
    "${A:-",
    "$$",
    "${",
    "- ",
    "\"",
    "'",
    "|",
    ">-",
    "---\n",
    "extends: ",
    "include: ",
    "depends_on: ",
    "secrets: ",
    "null",
    "1e9",
    "0x",
    "#",
    "\t",
    "name: ",
    "é",
    "2001-01-01",
    "? ",
    "!!merge <<: ",
    "!!int ",
    "!!binary ",
    "\u{feff}",
    "\r\n",
    "%YAML 1.2\n",
    "...\n",
    "\\u00e9",
    "\u{85}",
    "\0",
];

/// Keys a compose file has, and some it has not.
const KEYS: [&str; 44] = [
    "services",
    "a",
    "b",
    "build",
    "context",
    "dockerfile",
    "dockerfile_inline",
    "args",
    "labels",
    "target",
    "cache_from",
    "cache_to",
    "no_cache",
    "no_cache_filter",
    "additional_contexts",
    "network",
    "provenance",
    "sbom",
    "pull",
    "shm_size",
    "extra_hosts",
    "isolation",
    "privileged",
    "secrets",
    "tags",
    "ulimits",
    "platforms",
    "ssh",
    "entitlements",
    "image",
    "extends",
    "service",
    "file",
    "depends_on",
    "condition",
    "profiles",
    "include",
    "path",
    "name",
    "source",
    "soft",
    "hard",
    "x-y",
    "zzz",
];

const WORDS: [&str; 30] = [
    "",
    ".",
    "./d",
    "~/x",
    "a",
    "b",
    "service:a",
    "service:b",
    "A=1",
    "A",
    "default",
    "default=/k",
    "${SET}",
    "${UNSET}",
    "${UNSET:?no}",
    "${UNSET:-${EMPTY:+x}}",
    "$$",
    "64m",
    "h:1.2.3.4",
    "h=[::1]",
    "linux/amd64",
    "https://h/r.git#main:d",
    "docker-image://x",
    "type=gha,mode=max",
    "service_started",
    "true",
    "yes",
    "s",
    "é\n",
    "compose.yaml",
];

/// A value anywhere in a compose file.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-2_i64..70).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let key = prop::sample::select(&KEYS[..]).prop_map(str::to_owned);
        let entries = prop::collection::vec((key, inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A `build:` of known keys, mostly with values of the right kind.
fn build() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(&WORDS[..28]).prop_map(Value::from);
    let text = ["context", "dockerfile", "target", "network", "provenance", "sbom", "isolation"];
    let flag = ["no_cache", "pull", "privileged"];
    let list = ["cache_from", "cache_to", "no_cache_filter", "tags", "platforms", "entitlements"];
    let map = ["args", "labels", "additional_contexts", "args", "labels"];
    let pair = ("[A-Ca-c]{1,2}", prop::sample::select(&WORDS[..28]));
    let pairs = prop::collection::vec(pair, 0..3);
    let mapping = pairs.clone().prop_map(|pairs| {
        pairs.into_iter().map(|(key, word)| (key, word.into())).collect::<Map<_, _>>().into()
    });
    let listing = pairs.prop_map(|pairs| {
        let mut pairs: Vec<String> =
            pairs.into_iter().map(|(key, word)| format!("{key}={word}")).collect();
        pairs.sort();
        pairs.dedup();
        Value::from(pairs)
    });
    let words = prop::collection::vec(word(), 0..3).prop_map(Value::from);
    let entry = prop_oneof![
        6 => (prop::sample::select(text.to_vec()), word()),
        2 => (prop::sample::select(flag.to_vec()), any::<bool>().prop_map(Value::from)),
        4 => (prop::sample::select(list.to_vec()), words),
        4 => (prop::sample::select(map.to_vec()), prop_oneof![mapping, listing]),
        1 => (prop::sample::select(&KEYS[4..29]), value()),
    ];
    prop::collection::vec(entry, 0..6).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<Map<_, _>>()
            .into()
    })
}

/// A file with the services `a` and `b`.
fn file() -> impl Strategy<Value = Value> {
    let extra = || prop::option::weighted(0.1, value());
    let service = || (build(), extra(), extra());
    (service(), prop::option::of(service()), extra()).prop_map(|(a, b, extra)| {
        let of = |(build, extends, depends_on): (Value, Option<Value>, Option<Value>)| {
            let mut service = Map::from_iter([("build".to_owned(), build)]);
            service.extend(extends.map(|value| ("extends".to_owned(), value)));
            service.extend(depends_on.map(|value| ("depends_on".to_owned(), value)));
            Value::Object(service)
        };
        let mut services = Map::from_iter([("a".to_owned(), of(a))]);
        services.extend(b.map(|b| ("b".to_owned(), of(b))));
        let mut file = Map::from_iter([("services".to_owned(), Value::Object(services))]);
        file.extend(extra.map(|value| ("secrets".to_owned(), value)));
        Value::Object(file)
    })
}

/// The same tree in YAML's block style, for what JSON says in flow style.
fn block(value: &Value, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                out.push_str(&format!("\n{margin}{key}:"));
                block(value, indent + 2, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("\n{margin}-"));
                block(item, indent + 2, out);
            }
        }
        other => out.push_str(&format!(" {other}")),
    }
}

/// The compose files of the corpus, each with the folder of its project.
fn corpus() -> &'static [(PathBuf, String)] {
    static CORPUS: OnceLock<Vec<(PathBuf, String)>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/compose");
        let mut files = Vec::new();
        for folder in std::fs::read_dir(root).unwrap() {
            let folder = folder.unwrap().path();
            for file in std::fs::read_dir(&folder).unwrap() {
                let file = file.unwrap().path();
                let yaml = file.extension().is_some_and(|end| end == "yaml" || end == "yml");
                if yaml && let Ok(text) = std::fs::read_to_string(&file) {
                    files.push((folder.clone(), text));
                }
            }
        }
        assert!(files.len() > 100);
        files.sort();
        files
    })
}

/// One damage: where, how much, and what comes there.
type Damage = (prop::sample::Index, usize, usize, &'static str);

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, length, how, piece) in damages {
        let start = at.index(chars.len() + 1);
        let end = (start + length).min(chars.len());
        let span: Vec<char> = chars[start..end].to_vec();
        let new: Vec<char> = match how {
            0 => Vec::new(),
            1 => piece.chars().collect(),
            2 => [span.clone(), span].concat(),
            3 => span.into_iter().rev().collect(),
            _ => piece.chars().chain(span).collect(),
        };
        chars.splice(start..end, new);
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        check(&of_text(&pieces.concat()))?;
    }

    #[test]
    fn characters(text in "\\PC{0,200}") {
        check(&of_text(&text))?;
    }

    #[test]
    fn trees(tree in value()) {
        check(&of_text(&tree.to_string()))?;
    }

    /// Flow or block style, alone or merged with files that say nothing: the same targets.
    #[test]
    fn files(tree in file()) {
        let flow = of_text(&tree.to_string());
        check(&flow)?;
        let mut text = String::new();
        block(&tree, 0, &mut text);
        let same = |one: &Result<String, ComposeError>, other: &Result<String, ComposeError>| {
            match (one, other) {
                (Ok(one), Ok(other)) => one == other,
                (Err(one), Err(other)) => one.message == other.message,
                _ => false,
            }
        };
        let block = of_text(&text);
        prop_assert!(same(&flow, &block), "{flow:?}\n{block:?}\n{text}");
        let padded = of_text(&format!("---\nx-none: 1\n--- {text}\n---\nservices: {{}}\n"));
        prop_assert!(padded.is_err() || same(&flow, &padded), "{flow:?}\n{padded:?}\n{text}");
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn damaged_files(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..12_usize, 0..5_usize, prop::sample::select(&PIECES[..])),
            1..4,
        ),
    ) {
        let (folder, text) = which.get(corpus());
        check(&printed(&stdin(&damaged(text, &damages), folder)))?;
    }

    /// Files on disk, which need not be text, that override, extend and include each other.
    #[test]
    fn several_files(
        trees in prop::collection::vec(file(), 3),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        links in prop::collection::vec((0..4_usize, 0..4_usize, 0..3_usize), 0..4),
        variables in "[A-C=:'\"\\\\$#{} \n]{0,40}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let name = |index: usize| ["compose.yaml", "compose.override.yaml", "sub/c.yaml", "raw"][index];
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("raw"), bytes).unwrap();
        std::fs::write(dir.path().join(".env"), variables).unwrap();
        for (index, mut tree) in trees.into_iter().enumerate() {
            for (_, to, how) in links.iter().filter(|(from, ..)| *from == index) {
                let to = dir.path().join(name(*to)).to_string_lossy().into_owned();
                match how {
                    0 => tree["include"] = vec![to].into(),
                    1 => tree["services"]["a"]["extends"] = serde_json::json!({"service": "b", "file": to}),
                    _ => tree["services"]["c"] = serde_json::json!({"extends": {"service": "a", "file": to}}),
                }
            }
            std::fs::write(dir.path().join(name(index)), tree.to_string()).unwrap();
        }
        let request = LoadRequest { working_dir: dir.path().into(), ..LoadRequest::default() };
        check(&printed(&request))?;
        let raw = LoadRequest { files: vec!["raw".into()], ..request };
        check(&printed(&raw))?;
    }
}

/// What grows with the file must neither overflow the stack nor take its square.
#[test]
fn extremes_end() {
    let chain: String = (0..5000)
        .map(|i| format!("  s{i}: {{build: ., depends_on: [s{}]}}\n", i + 1))
        .chain(["  s5000: {build: .}\n".into()])
        .collect();
    assert!(of_text(&format!("services:\n{chain}")).unwrap().contains("\"s5000\""));
    let args: Vec<String> = (0..30_000).map(|i| format!("A{i}=1")).collect();
    let text = serde_json::json!({"services": {"a": {"build": {"context": ".", "args": args}}}});
    assert!(of_text(&text.to_string()).unwrap().contains("\"A29999\""));
    let deep = format!("services: {}", "[".repeat(100_000));
    assert!(of_text(&deep).unwrap_err().place.is_some());
}

#[test]
fn includes_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let load = |name: &str| {
        let files = vec![name.into()];
        printed(&LoadRequest { files, working_dir: dir.path().into(), ..LoadRequest::default() })
    };
    write("fan0.yaml", "services: {a: {build: .}}");
    for i in 1..30 {
        let next = i - 1;
        write(
            &format!("fan{i}.yaml"),
            &format!("include: [fan{next}.yaml, {{path: [fan{next}.yaml]}}]"),
        );
    }
    assert!(load("fan3.yaml").unwrap().contains("\"a\""));
    assert!(load("fan29.yaml").unwrap_err().message.contains("files are included"));
    for i in 0..150 {
        write(&format!("chain{i}.yaml"), &format!("include: [chain{}.yaml]", i + 1));
    }
    write("chain150.yaml", "services: {a: {build: .}}");
    assert!(load("chain100.yaml").unwrap().contains("\"a\""));
    assert!(load("chain0.yaml").unwrap_err().message.contains("by each other"));
    std::fs::write(dir.path().join("latin.yaml"), b"services:\n  a: {image: \xe9}\n").unwrap();
    let error = load("latin.yaml").unwrap_err();
    assert_eq!(error.to_string(), "latin.yaml:2:14: the compose file is not UTF-8");
}
