//! Plans as people and programs get them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;
use crate::clean::{Action, Presentation, Sort};
use crate::view::schema_check::faults;

fn item<A>(action: A, kind: Kind, bytes: Option<u64>) -> Item<A> {
    let shown = Presentation {
        name: "name".into(),
        sort: Sort::Named,
        services: BTreeSet::new(),
        why: "why".into(),
    };
    let (id, name, reason) = ("id".into(), "name".into(), "why".into());
    Item { action, kind, id, name, bytes, reason, shown }
}

/// Things of one sort and service.
fn several<A: Clone>(
    action: A,
    kind: Kind,
    sort: Sort,
    service: &str,
    things: &[(&str, u64)],
    why: &str,
) -> Vec<Item<A>> {
    let services = BTreeSet::from([service.to_owned()]);
    let services = if service.is_empty() { BTreeSet::new() } else { services };
    let of_one = |(index, (name, bytes)): (usize, &(&str, u64))| Item {
        id: format!("sha256:{index:064}"),
        name: (*name).to_owned(),
        reason: format!("{why}: {name}"),
        shown: Presentation {
            name: (*name).to_owned(),
            sort,
            services: services.clone(),
            why: why.to_owned(),
        },
        ..item(action.clone(), kind, Some(*bytes))
    };
    things.iter().enumerate().map(of_one).collect()
}

fn full_disk() -> Plan {
    let cache = Action::Cache { usage_count: 1 };
    let run = "[2/3] RUN set -e;\n  for part in one two three four five six seven eight; do\n  make \"$part\";\n  done";
    let earlier = [("<none>", 3_000_000); 27];
    let mut remove = several(
        Action::Image { reference: None },
        Kind::Image,
        Sort::EarlierBuild,
        "worker",
        &earlier,
        "dangling, built by the project",
    );
    let steps = [(run, 600_000_000), ("[3/3] COPY . .", 5_000_000)];
    remove.extend(several(
        cache.clone(),
        Kind::Cache,
        Sort::Step,
        "worker",
        &steps,
        "made by builds",
    ));
    remove.extend(several(
        cache,
        Kind::Cache,
        Sort::CacheMount,
        "api",
        &[("/pip", 1_000)],
        "made by builds",
    ));
    let names = ["p-api-1", "p-api-2", "p-api-3", "p-api-4"].map(|name| (name, 5));
    let container = Action::Container { stop: false };
    remove.extend(several(container, Kind::Container, Sort::Named, "api", &names, "exited"));
    let volumes = ["p_a", "p_b"].map(|name| (name, 7));
    let volume = Action::Volume { created: None };
    remove.extend(several(volume, Kind::Volume, Sort::Named, "", &volumes, "of the project"));
    let others = [("mount / from exec x", 10), ("mount / from exec y", 20)];
    let mut keep = several((), Kind::Cache, Sort::Step, "", &others, "no known build made it");
    keep.extend(several(
        (),
        Kind::Cache,
        Sort::BaseLayer,
        "",
        &[("from local x", 99)],
        "a base image",
    ));
    Plan { remove, keep }
}

#[test]
fn a_plan_has_a_line_for_each_kind_and_service() {
    let more = Offer { what: "--stop", more_bytes: 146_000_000 };
    insta::assert_snapshot!(table(&full_disk(), &[more], usize::MAX, false), @r"
    REMOVE                                              FREES  WHY
    build cache                                      605.0 MB
      worker: 2 steps                                605.0 MB  made by builds
      api: cache mount /pip                            1.0 kB  made by builds
    27 earlier builds of worker                       81.0 MB  dangling, built by the project
    containers p-api-1, p-api-2, p-api-3 and 1 more      20 B  exited
    volumes                                              14 B
      p_a                                                 7 B  of the project
      p_b                                                 7 B  of the project

    KEEP                       SIZE  WHY
    build cache               129 B
      1 layer of base images   99 B  a base image
      2 steps                  30 B  no known build made it

    frees about 686.0 MB
    --stop would free 146.0 MB more
    ");
}

#[test]
fn a_narrow_terminal_has_reasons_below_things() {
    insta::assert_snapshot!(table(&full_disk(), &[], 40, false), @r"
    REMOVE                             FREES
    build cache                     605.0 MB
      worker: 2 steps               605.0 MB
          made by builds
      api: cache mount /pip           1.0 kB
          made by builds
    27 earlier builds of worker      81.0 MB
        dangling, built by the project
    containers p-api-1, p-api-2...      20 B
        exited
    volumes                             14 B
      p_a                                7 B
          of the project
      p_b                                7 B
          of the project

    KEEP                       SIZE
    build cache               129 B
      1 layer of base images   99 B
          a base image
      2 steps                  30 B
          no known build made it

    frees about 686.0 MB
    ");
    for columns in [40, 60, 69, 70, 80, 200] {
        for all in [false, true] {
            let text = table(&full_disk(), &[], columns, all);
            let widest = text.lines().map(crate::terminal::format::width).max();
            assert!(widest <= Some(columns), "{columns}: {text}");
        }
    }
}

#[test]
fn in_full_each_thing_has_one_line_that_is_not_cut() {
    let plan = full_disk();
    let text = table(&plan, &[], usize::MAX, true);
    // Two headers, an empty line before the second one and before the sum, the sum; above things that go five kinds
    // and two services, above those that stay one kind.
    let things = plan.remove.len() + plan.keep.len();
    assert_eq!(text.lines().count(), things + 5 + 7 + 1, "{text}");
    let run = r#"    [2/3] RUN set -e; for part in one two three four five six seven eight; do make "$part"; done"#;
    assert!(text.lines().nth(3).unwrap().starts_with(run), "{text}");
    assert!(text.contains("no known build made it: mount / from exec x"), "{text}");
}

#[test]
fn documents_are_what_their_schema_says() {
    let network = item(Action::Network, Kind::Network, None);
    let plan = Plan {
        remove: vec![
            item(Action::Volume { created: None }, Kind::Volume, Some(7)),
            network.clone(),
        ],
        keep: vec![item((), Kind::Cache, Some(1)), item((), Kind::Container, None)],
    };
    let remains = [Remainder { item: network, why: "in use".into(), was_reached: true }];
    let result = CleanResult { remains: &remains, freed_bytes: 7 };
    let nodes = [(plan.keep[0].id.clone(), "big0".to_owned())].into();
    let builder = BuilderPlace { name: "big".into(), nodes };
    let at_node = json("p", Some(&builder), &plan, None, &[]);
    assert_eq!(faults(include_str!("../../../docs/clean.schema.json"), &at_node), None);
    assert!(at_node.contains(r#""builder": "big""#), "{at_node}");
    assert!(at_node.contains(r#""node": "big0""#), "{at_node}");
    let sum = super::at_node("big0", &plan);
    assert!(sum.starts_with(&format!("big0: {} record", plan.remove.len())), "{sum}");
    for result in [None, Some(&result)] {
        let text = json("p", None, &plan, result, &["note".to_owned()]);
        assert!(!text.contains("node\""), "{text}");
        assert_eq!(faults(include_str!("../../../docs/clean.schema.json"), &text), None);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["freed_bytes"].as_u64(), result.map(|it| it.freed_bytes));
    }
}
