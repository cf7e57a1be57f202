//! A corpus of compose projects: what this program makes of them is what compose printed.
//!
//! Every folder of `tests/cli/compose/` is a project (`corpus.rs`): `expected.json` is what compose 2.40.3 printed with
//! the project's folder written as `$DIR`; `refused` stands there instead when compose fails.
//!
//! Record with `DOC2MD_RECORD_COMPOSE=1 DOC2MD_TEST_COMPOSE=... cargo test --test cli prints_now`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use doc2md_docker::compose::{ComposeError, LoadRequest, load};
use doc2md_docker::targets::spec::Spec;
use doc2md_docker::targets::{TargetOptions, from_compose, print_json};
use serde_json::Value;

use crate::corpus::{Case, cases};

fn corpus() -> Vec<Case> {
    let cases = cases("compose");
    assert!(cases.len() >= 60, "the corpus has only {} projects", cases.len());
    cases
}

/// Runs the corpus's few options through the library, as the `build` command does.
fn ours(case: &Case) -> Result<Value, String> {
    let mut request = LoadRequest {
        environment: case.environment.clone(),
        working_dir: case.working_dir(),
        stdin: case.stdin(),
        ..LoadRequest::default()
    };
    let mut options = TargetOptions::default();
    let mut args = case.options.iter().chain(case.arguments_of("build"));
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap().clone();
        match arg.as_str() {
            "-f" => request.files.push(value().into()),
            "-p" => request.project_name = Some(value()),
            "--project-directory" => request.project_directory = Some(value().into()),
            "--profile" => request.profiles.push(value()),
            "--env-file" => request.env_files.push(value().into()),
            "--no-cache" => options.no_cache = true,
            "--pull" => options.pull = true,
            "--push" => options.push = true,
            "--check" => options.check = true,
            "--with-dependencies" => options.with_dependencies = true,
            "--build-arg" => options.build_args.push(value()),
            "--ssh" => options.ssh.push(value()),
            service => {
                assert!(!service.starts_with('-'), "{}: unknown option {service}", case.name);
                options.services.push(service.to_owned());
            }
        }
    }
    let project = load(&request).map_err(with_hint)?;
    let set = from_compose(&project, &options).map_err(with_hint)?;
    Ok(canonical(&print_json(&set), &case.directory))
}

/// A project of one file, loaded without compose as a witness.
fn project(text: &str) -> Result<doc2md_docker::compose::Project, ComposeError> {
    load(&LoadRequest {
        files: vec!["-".into()],
        stdin: Some(text.into()),
        working_dir: "/srv/demo".into(),
        ..LoadRequest::default()
    })
}

fn targets(text: &str, options: &TargetOptions) -> doc2md_docker::targets::TargetSet {
    from_compose(&project(text).unwrap(), options).unwrap()
}

#[test]
fn what_a_build_cannot_use_is_named_with_its_place() {
    let set = targets(
        "services:\n  a:\n    build:\n      context: .\n      isolation: hyperv\n      network: mine\n      \
         secrets: [s, {source: f, mode: 256}]\nsecrets:\n  s: {external: true}\n  f: {file: x}\n",
        &TargetOptions::default(),
    );
    let text: Vec<String> =
        set.unsupported.iter().map(ToString::to_string).chain(set.warnings).collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    -:5:7: services.a.build.isolation: BuildKit has no isolation `hyperv`
    -:6:7: services.a.build.network: BuildKit cannot use the network `mine`
    -:7:17: services.a.build.secrets: secret `s` has neither a file nor an environment variable
    -:7:20: uid, gid and mode of a build secret have no effect; set them in RUN --mount
    ");
}

#[test]
fn keys_newer_than_the_oracle_are_known() {
    let set = targets(
        "services: {a: {build: {context: ., no_cache_filter: [one, two]}}}",
        &TargetOptions { no_cache_filter: vec!["three".into()], ..TargetOptions::default() },
    );
    assert_eq!(set.targets[0].no_cache_filter, ["one", "two", "three"]);
}

#[test]
fn remote_contexts_keep_the_name_of_their_dockerfile() {
    let text = "services: {a: {build: {context: \"https://h/x.tar.gz\", dockerfile: d/F}}}";
    let set = targets(text, &TargetOptions::default());
    assert_eq!(set.targets[0].context, "https://h/x.tar.gz");
    assert_eq!(set.targets[0].dockerfile.as_deref(), Some("d/F"));
}

#[test]
fn services_that_share_a_target_name_stay_apart() {
    let text = "services: {a.b: {build: ./1}, a_b: {build: ./2}, c: {build: {context: ., \
                additional_contexts: {x: 'service:a_b'}}}}";
    let set = targets(text, &TargetOptions::default());
    assert_eq!(set.group, ["a_b", "a_b_", "c"]);
    assert_eq!(set.targets[2].contexts["x"], "target:a_b_");
}

#[test]
fn only_what_is_asked_for_and_its_contexts_are_built() {
    let text = "services: {lib: {build: ./l}, app: {build: {context: ., additional_contexts: {l: \
                'service:lib'}}, depends_on: [db]}, db: {build: ./d}, other: {build: ./o}}";
    let names = |options: &TargetOptions| -> (Vec<String>, Vec<String>) {
        let set = targets(text, options);
        let built = set.to_build().into_iter().map(|target| target.name).collect();
        (set.targets.into_iter().map(|target| target.name).collect(), built)
    };
    let app = TargetOptions { services: vec!["app".into()], ..TargetOptions::default() };
    let (printed, built) = names(&app);
    assert_eq!(printed, ["app", "db", "lib"]);
    assert_eq!(built, ["app", "lib"]);
    let (_, built) = names(&TargetOptions { with_dependencies: true, ..app });
    assert_eq!(built, ["app", "db", "lib"]);
}

#[test]
fn options_of_the_command_line_reach_every_target() {
    let options = TargetOptions {
        target: Some("dev".into()),
        platforms: vec!["linux/amd64".into(), "linux/arm64".into()],
        secrets: vec!["id=t,env=TOKEN".into()],
        cache_from: vec!["x".into()],
        proxy_args: BTreeMap::from([
            ("HTTP_PROXY".into(), "http://p".into()),
            ("A".into(), "proxy".into()),
        ]),
        ..TargetOptions::default()
    };
    let set = targets("services: {a: {image: i, build: {context: ., args: {A: 1}}}}", &options);
    let target = &set.targets[0];
    assert_eq!(target.target.as_deref(), Some("dev"));
    assert_eq!(written(&target.outputs), ["type=image,push=false"]);
    assert_eq!(target.secret_env["TOKEN"], "");
    assert_eq!(target.args["A"], "1");
    assert_eq!(target.args["HTTP_PROXY"], "http://p");
    assert_eq!(written(&target.cache_from), ["x"]);
}

fn written(specs: &[Spec]) -> Vec<String> {
    specs.iter().map(ToString::to_string).collect()
}

#[test]
fn attestations_of_the_command_line_replace_those_of_the_file() {
    let attested = |provenance: Option<&str>, sbom: Option<&str>| {
        let options = TargetOptions {
            provenance: provenance.map(str::to_owned),
            sbom: sbom.map(str::to_owned),
            ..TargetOptions::default()
        };
        let text = "services: {a: {build: {context: ., provenance: mode=max}}}";
        written(&targets(text, &options).targets[0].attest)
    };
    assert_eq!(attested(None, None), ["type=provenance,mode=max"]);
    assert_eq!(attested(Some("mode=min"), Some("true")), ["type=provenance,mode=min", "type=sbom"]);
    assert_eq!(attested(Some("false"), Some("generator=g")), ["type=sbom,generator=g"]);
}

fn with_hint(error: ComposeError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("\n    hint: {hint}"));
    format!("{error}{}", hint.unwrap_or_default())
}

/// Runs compose itself.
fn theirs(compose: &Path, case: &Case) -> Result<Value, String> {
    let build = ["build", "--print"].map(String::from);
    let args = [&case.options, &build[..], case.arguments_of("build")].concat();
    Ok(canonical(&case.printed(compose, &args)?, &case.directory))
}

/// Parsed JSON with `$DIR` for the project's folder, `$PARENT` for the one above, and sorted lists where compose has no order.
fn canonical(text: &str, directory: &Path) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    let text = text.replace(directory.to_str().unwrap(), "$DIR");
    let text = text.replace(directory.parent().unwrap().to_str().unwrap(), "$PARENT");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let sort = |list: Option<&mut Value>| {
        if let Some(Value::Array(items)) = list {
            items.sort_by_key(Value::to_string);
        }
    };
    sort(value.pointer_mut("/group/default/targets"));
    for target in value["target"].as_object_mut().unwrap().values_mut() {
        // compose walks Go maps for these.
        sort(target.get_mut("ssh"));
        sort(target.get_mut("ulimits"));
    }
    value
}

fn recorded(case: &Case) -> Option<Value> {
    let text = std::fs::read_to_string(case.directory.join("expected.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// Collects the differences of all projects before failing.
fn compare(expected: impl Fn(&Case) -> Result<Value, String>) {
    let mut faults = Vec::new();
    for case in corpus() {
        match (expected(&case), ours(&case)) {
            (Ok(expected), Ok(ours)) if expected == ours => {}
            (Err(_), Err(_)) => {}
            (expected, ours) => faults.push(format!(
                "== {}\n-- compose: {}\n-- ours: {}",
                case.name,
                shown(&expected),
                shown(&ours)
            )),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What this program says where compose refuses, for review as a whole.
#[test]
fn errors_name_place_and_remedy() {
    let mut text = String::new();
    for case in corpus() {
        if let Err(message) = ours(&case) {
            text.push_str(&format!("{}: {}\n", case.name, case.portable(&message)));
        }
    }
    insta::assert_snapshot!(text);
}

fn shown(result: &Result<Value, String>) -> String {
    match result {
        Ok(value) => serde_json::to_string_pretty(value).unwrap(),
        Err(message) => format!("refused: {message}"),
    }
}

#[test]
fn targets_are_those_that_compose_recorded() {
    compare(|case| {
        recorded(case).ok_or_else(|| {
            assert!(
                case.directory.join("refused").exists(),
                "{}: neither expected.json nor refused: record it",
                case.name
            );
            String::from("refused")
        })
    });
}

#[test]
fn targets_are_those_that_compose_prints_now() {
    let compose = crate::real_compose();
    if std::env::var_os("DOC2MD_RECORD_COMPOSE").is_some() {
        record(&compose);
    }
    compare(|case| theirs(&compose, case));
}

fn record(compose: &Path) {
    for case in corpus() {
        let (expected, refused) =
            (case.directory.join("expected.json"), case.directory.join("refused"));
        match theirs(compose, &case) {
            Ok(value) => {
                let text = serde_json::to_string_pretty(&value).unwrap();
                std::fs::write(expected, text + "\n").unwrap();
                let _ = std::fs::remove_file(refused);
            }
            Err(message) => {
                std::fs::write(refused, case.portable(&message)).unwrap();
                let _ = std::fs::remove_file(expected);
            }
        }
    }
}
