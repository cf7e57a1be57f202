//! Questions of targets, and what the steps of a build leave certain. No engine.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::progress::{Event, RunTrace, SolveStatus, Vertex};
use crate::solve::plan::BuildPlan;
use crate::solve::request::{RequestContext, SolveRequest, solve_request};
use crate::solve::stores::TargetStores;
use crate::targets::spec::Spec;
use crate::targets::target::Target;

const DOCKERFILE: &str =
    "FROM busybox AS one\nFROM pinned@sha256:aa\nCOPY --from=one a /\nCOPY --from=other:1 b /\n";

fn api() -> Target {
    Target {
        name: "api".into(),
        context: "/nowhere".into(),
        dockerfile_inline: Some(DOCKERFILE.into()),
        tags: vec!["p-api".into()],
        ..Target::default()
    }
}

fn requests(plan: &BuildPlan, scratch: &Path) -> Vec<SolveRequest> {
    let stores = TargetStores::default();
    let context = RequestContext {
        scratch,
        default_platform: None,
        fingerprint: "",
        stores: &stores,
        variables: &std::collections::BTreeMap::new(),
    };
    plan.steps.iter().map(|step| solve_request(&step.target, context).unwrap()).collect()
}

fn question(target: Target) -> Option<Question> {
    let plan = BuildPlan::new(vec![target]).unwrap();
    let scratch = Path::new("/scratch");
    Question::new(&plan, &requests(&plan, scratch), Some(scratch))
}

#[test]
fn a_question_names_the_images_that_its_dockerfile_needs() {
    let question = question(api()).unwrap();
    let bases: Vec<&str> = question.bases().collect();
    assert_eq!(bases, ["docker.io/library/busybox:latest", "docker.io/library/other:1"]);
}

/// What is asked for, and nothing that differs with every run.
#[test]
fn another_request_is_another_question() {
    let digest = |target: Target| {
        let question = question(target).unwrap();
        let (_, request) = question.requests().next().unwrap();
        request.to_owned()
    };
    let plain = digest(api());
    let plan = BuildPlan::new(vec![api()]).unwrap();
    let other = Path::new("/another/scratch");
    let elsewhere = Question::new(&plan, &requests(&plan, other), Some(other)).unwrap();
    assert_eq!(elsewhere.requests().next().unwrap().1, plain);
    let changes: [fn(&mut Target); 9] = [
        |it| drop(it.args.insert("A".into(), "1".into())),
        |it| drop(it.labels.insert("a".into(), "1".into())),
        |it| it.tags = vec!["p-api:2".into()],
        |it| it.context = "/elsewhere".into(),
        |it| it.target = Some("one".into()),
        |it| it.platforms = vec!["linux/amd64".into()],
        |it| it.network = Some("none".into()),
        |it| it.dockerfile_inline = Some(format!("{DOCKERFILE}RUN true\n")),
        |it| drop(it.contexts.insert("extra".into(), "/extra".into())),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut target = api();
        change(&mut target);
        assert_ne!(digest(target), plain, "change {number}");
    }
}

type Change = Box<dyn Fn(&mut Target)>;

#[test]
fn who_asks_for_work_asks_no_question() {
    let typed = |text: &str| Spec::output(text).unwrap();
    let changes: [(&str, Change); 10] = [
        ("no cache", Box::new(|it| it.no_cache = true)),
        ("a part without cache", Box::new(|it| it.no_cache_filter = vec!["one".into()])),
        ("pull", Box::new(|it| it.pull = true)),
        ("a git context", Box::new(|it| it.context = "https://example.com/a.git".into())),
        (
            "an image as a context",
            Box::new(|it| drop(it.contexts.insert("x".into(), "docker-image://a".into()))),
        ),
        ("files", Box::new(move |it| it.outputs = vec![typed("type=local,dest=/out")])),
        ("push", Box::new(move |it| it.outputs = vec![typed("type=registry")])),
        (
            "a cache",
            Box::new(|it| drop(it.args.insert("BUILDKIT_INLINE_CACHE".into(), "1".into()))),
        ),
        ("a frontend", Box::new(|it| drop(it.args.insert("BUILDKIT_SYNTAX".into(), "x".into())))),
        ("no name", Box::new(|it| it.tags.clear())),
    ];
    assert!(question(api()).is_some());
    for (what, change) in &changes {
        let mut target = api();
        change(&mut target);
        assert!(question(target).is_none(), "{what}");
    }
    let mut attested = api();
    attested.attest = vec![Spec::attestation("type=provenance,mode=max").unwrap()];
    assert!(question(attested).is_none());
}

fn run(names: &[&str]) -> RunTrace {
    let mut run = RunTrace::default();
    let vertex = |(number, name): (usize, &&str)| Vertex {
        digest: format!("sha256:{number}"),
        name: (*name).to_owned(),
        ..Vertex::default()
    };
    let vertexes = names.iter().enumerate().map(vertex).collect();
    let plan = BuildPlan::new(vec![api()]).unwrap();
    let status = SolveStatus { vertexes, ..SolveStatus::default() };
    for event in [
        Event::Planned { targets: plan.targets() },
        Event::TargetStarted { target: "api".into() },
        Event::Status { target: "api".into(), status },
    ] {
        run.apply(&event, Duration::ZERO);
    }
    run
}

fn images(images: &[(&str, &str)]) -> Bases {
    let image = |(name, id): &(&str, &str)| (format!("docker.io/library/{name}"), (*id).to_owned());
    images.iter().map(image).collect()
}

const PLAIN: [&str; 10] = [
    "[internal] load build definition from Dockerfile",
    "[internal] load .dockerignore",
    "[internal] load metadata for docker.io/library/busybox:latest",
    "[one 1/1] FROM docker.io/library/busybox:latest",
    "[stage-1 2/3] COPY --from=one a /",
    "[stage-1 3/3] ADD a b.tar /",
    "[context extra] load from client",
    "[internal] settings cache mount permissions",
    "[internal] preparing inline document",
    "exporting to image",
];

#[test]
fn bases_are_those_of_the_engine_before_and_after() {
    let question = question(api()).unwrap();
    let one = images(&[("busybox:latest", "sha256:1")]);
    let other = images(&[("busybox:latest", "sha256:2")]);
    let used = |names: &[&str], before: &Bases, after: &Bases| {
        bases(&question, &run(names), Origin::Engine { before, after })
    };
    assert_eq!(used(&PLAIN, &one, &one), Some(one.clone()));
    // It moved meanwhile, was not there, or was not looked at.
    for (before, after) in [(&one, &other), (&Bases::new(), &one), (&one, &Bases::new())] {
        assert_eq!(used(&PLAIN, before, after), None);
    }
    let with = |name: &'static str| -> Vec<&str> {
        PLAIN.iter().map(|it| if it.contains("] FROM") { name } else { *it }).collect()
    };
    // As Docker 20.10 names it.
    let short = Bases::from([("docker.io/library/busybox".to_owned(), "sha256:1".to_owned())]);
    assert_eq!(used(&PLAIN, &one, &short), Some(one.clone()));
    // Told by its digest: that of the engine, or one from a registry.
    let own = with("[one 1/1] FROM docker.io/library/busybox:latest@sha256:1");
    assert_eq!(used(&own, &one, &Bases::new()), Some(one.clone()));
    let fetched = with("[one 1/1] FROM docker.io/library/busybox:latest@sha256:3");
    assert_eq!(used(&fetched, &one, &one), None);
    // Of another build that does the same at this moment.
    let foreign = with("[x 1/1] FROM docker.io/library/elsewhere:latest@sha256:3");
    assert_eq!(used(&foreign, &one, &one), Some(one.clone()));
    // Without a number, as Docker 20.10 tells it.
    let bare = with("FROM docker.io/library/busybox:latest@sha256:3");
    assert_eq!(used(&bare, &one, &one), None);
    let pinned: Vec<&str> = PLAIN
        .iter()
        .map(|it| match it.contains("busybox") {
            true if it.contains("FROM") => "[1/1] FROM docker.io/library/pinned@sha256:aa",
            true => "[internal] load metadata for docker.io/library/pinned@sha256:aa",
            false => *it,
        })
        .collect();
    assert_eq!(used(&pinned, &Bases::new(), &Bases::new()), Some(Bases::new()));
    assert_eq!(unnamed_bases(&run(&PLAIN)).len(), 1);
    assert_eq!(unnamed_bases(&run(&own)).len() + unnamed_bases(&run(&pinned)).len(), 0);
}

/// A builder says of each which it was; that a token was fetched for it leaves that certain.
#[test]
fn bases_of_a_builder_are_those_that_its_steps_name() {
    let question = question(api()).unwrap();
    let used = |names: &[&str]| bases(&question, &run(names), Origin::Builder);
    let by_itself = |step: &'static str| -> Vec<&str> {
        let names = PLAIN.iter().map(|it| if it.contains("] FROM") { step } else { *it });
        let own = [
            "[auth] library/busybox:pull token for registry-1.docker.io",
            "exporting to oci image format",
            "sending tarball",
            "receiving layers",
            "loading into the engine",
        ];
        names.chain(own).collect()
    };
    let named = by_itself("[one 1/1] FROM docker.io/library/busybox:latest@sha256:1");
    assert_eq!(used(&named), Some(images(&[("busybox:latest", "sha256:1")])));
    assert_eq!(used(&PLAIN), None, "not told");
    let moved = "FROM docker.io/library/busybox:latest@sha256:2";
    assert_eq!(used(&[&named[..], &[moved]].concat()), None, "two of one name");
    for foreign in ["https://example.com/file", "importing cache manifest from x"] {
        assert_eq!(used(&[&named[..], &[foreign]].concat()), None, "{foreign}");
    }
    let mut by_platform = api();
    by_platform.platforms = vec!["linux/amd64".into()];
    let question = self::question(by_platform).unwrap();
    assert_eq!(bases(&question, &run(&named), Origin::Builder), None);
}

fn proof(builder: Option<&str>) -> Proof {
    let builder = builder.map(|address| Builder {
        address: address.to_owned(),
        worker: "w".into(),
        version: None,
    });
    let target = TargetProof {
        request: question(api()).unwrap().requests().next().unwrap().1.to_owned(),
        image: "sha256:i".into(),
        references: vec!["p-api".into()],
    };
    Proof {
        engine: "unix:///e".into(),
        release: "1".into(),
        builder,
        solved: Timestamp::now(),
        targets: [("api".to_owned(), target)].into(),
        bases: images(&[("busybox:latest", "sha256:1")]),
        walks: Vec::new(),
    }
}

/// By the engine and by each builder it is another one, and they are kept beside each other.
#[test]
fn a_proof_is_of_the_place_where_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let (question, now) = (question(api()).unwrap(), Timestamp::now() + Duration::from_secs(1));
    let places = [None, Some("tcp://a"), Some("tcp://b")];
    for builder in places.into_iter().chain(places) {
        Proofs::read(folder.path(), "p", "/d").keep(proof(builder)).unwrap();
    }
    let proofs = Proofs::read(folder.path(), "p", "/d");
    let at = |engine: &str, builder: Option<&str>| {
        let site = Site { engine: engine.into(), builder: builder.map(str::to_owned) };
        proofs.answering(&question, &site, now)
    };
    for builder in places {
        let found = at("unix:///e", builder).unwrap();
        assert_eq!(found.builder.as_ref().map(|it| it.address.as_str()), builder);
        // The builder has the bases, the engine the images.
        assert_eq!(found.images(&question).len(), if builder.is_some() { 1 } else { 2 });
        assert!(at("unix:///other", builder).is_none());
    }
    assert!(at("unix:///e", Some("tcp://c")).is_none());
}

#[test]
fn a_step_of_another_kind_leaves_nothing_certain() {
    let question = question(api()).unwrap();
    let one = images(&[("busybox:latest", "sha256:1")]);
    for name in [
        "resolve image config for docker-image://docker.io/docker/dockerfile:1",
        "docker-image://docker.io/docker/dockerfile:1",
        "[auth] library/busybox:pull token for registry-1.docker.io",
        "https://example.com/file",
        "[2/3] ADD https://example.com/file /",
        "[2/3] ADD [\"https://example.com/file\", \"/\"]",
        "[2/3] ADD git@example.com:a/b.git /",
        "[internal] load git source https://example.com/a.git",
        "[internal] load remote build context",
        "importing cache manifest from x",
    ] {
        let names = [&PLAIN[..], &[name]].concat();
        let from = Origin::Engine { before: &one, after: &one };
        assert_eq!(bases(&question, &run(&names), from), None, "{name}");
    }
}
