//! Recorded answers of every engine of the test matrix (one project on a shared base image, cut to
//! its records), and the forms of API 1.52 and later made from them after moby's
//! `api/types/system/disk_usage.go`: no engine of that version was at hand.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{DiskUsage, questions};
use crate::inventory::ApiVersion;
use crate::inventory::{CacheKind, Part};

const RECORDED: [(&str, &str); 4] = [
    ("20.10", include_str!("recorded/20.10.json")),
    ("26.1", include_str!("recorded/26.1.json")),
    ("28.5", include_str!("recorded/28.5.json")),
    ("28.5-containerd", include_str!("recorded/28.5-containerd.json")),
];

#[test]
fn every_release_tells_the_same_things() {
    for (engine, answer) in RECORDED {
        let usage = DiskUsage::from_json(answer.as_bytes()).unwrap();
        let app = usage.images.iter().find(|image| image.references == ["rec-app:1"]).unwrap();
        assert_eq!(app.labels["com.docker.compose.project"], "rec", "{engine}");
        assert!(app.unique_bytes().unwrap() < app.shared_bytes.unwrap(), "{engine}");
        assert!(usage.images.iter().any(super::Image::is_dangling), "{engine}");
        let container = &usage.containers[0];
        assert_eq!((container.name.as_str(), container.is_running()), ("rec-c", true), "{engine}");
        assert_eq!(container.image_id, app.id, "{engine}");
        assert_eq!(container.mounts[0].volume.as_deref(), Some("rec-data"), "{engine}");
        assert!(container.size_rw_bytes.unwrap() > 0, "{engine}");
        assert_eq!(usage.volumes[0].size_bytes, Some(4), "{engine}");

        let made = |kind: CacheKind| {
            usage
                .cache
                .iter()
                .find(|record| record.kind == kind && record.description.contains("rec-made"))
                .unwrap_or_else(|| panic!("{engine}: no {kind:?}"))
        };
        let layer = made(CacheKind::Regular);
        assert!(layer.shared, "{engine}");
        assert_eq!(layer.parents.len(), 1, "{engine}");
        let parent = usage.cache.iter().find(|record| record.id == layer.parents[0]).unwrap();
        assert!(
            parent.description.contains("COPY f.txt") || parent.description == "fileop target",
            "{engine}: {}",
            parent.description
        );
        assert!(made(CacheKind::CacheMount).last_used_at.is_some(), "{engine}");
    }
}

/// The recorded answer as API 1.53 words it.
fn usage_objects(recorded: &Value) -> Value {
    let object = |list: &str, total: Value| json!({ "TotalCount": 3, "ActiveCount": 1, "TotalSize": total, "Reclaimable": 1, "Items": recorded[list] });
    json!({
        "ImageUsage": object("Images", recorded["LayersSize"].clone()),
        "ContainerUsage": object("Containers", json!(9)),
        "VolumeUsage": object("Volumes", json!(4)),
        "BuildCacheUsage": object("BuildCache", json!(100)),
    })
}

#[test]
fn the_forms_of_newer_engines_say_the_same() {
    for (engine, answer) in RECORDED {
        let old: Value = serde_json::from_str(answer).unwrap();
        let new = usage_objects(&old);
        let mut both = old.clone();
        both.as_object_mut().unwrap().extend(new.as_object().unwrap().clone());
        let expected = format!("{:?}", DiskUsage::from_json(answer.as_bytes()).unwrap());
        for form in [new, both] {
            let told = DiskUsage::from_json(form.to_string().as_bytes()).unwrap();
            assert_eq!(format!("{told:?}"), expected, "{engine}");
        }
    }
}

#[test]
fn an_engine_that_holds_nothing_is_understood() {
    for empty in [
        "{}",
        r#"{"LayersSize":0,"Images":null,"Containers":null,"Volumes":null,"BuildCache":null}"#,
        r#"{"ImageUsage":{},"ContainerUsage":{},"VolumeUsage":{},"BuildCacheUsage":{}}"#,
    ] {
        let usage = DiskUsage::from_json(empty.as_bytes()).unwrap();
        assert!(usage.images.is_empty() && usage.cache.is_empty(), "{empty}");
    }
}

/// The list of containers is their part of the answer.
#[test]
fn containers_that_were_listed_are_the_same_as_those_of_the_answer() {
    for (engine, answer) in RECORDED {
        let all: Value = serde_json::from_str(answer).unwrap();
        let listed = all["Containers"].to_string();
        let alone = DiskUsage::read(&[Part::Containers], listed.as_bytes()).unwrap();
        let among = DiskUsage::from_json(answer.as_bytes()).unwrap();
        assert!(!alone.containers.is_empty(), "{engine}");
        assert_eq!(
            format!("{:?}", alone.containers),
            format!("{:?}", among.containers),
            "{engine}"
        );
    }
}

#[test]
fn each_version_is_asked_in_its_own_way() {
    let asked = |minor| {
        questions(ApiVersion::v1(minor)).into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(asked(41), ["/system/df"]);
    assert_eq!(questions(ApiVersion::v1(41))[0].1.len(), 4);
    assert_eq!(asked(45)[0], "/containers/json?all=true&size=true");
    assert_eq!(asked(45)[2], "/system/df?type=build-cache");
    assert_eq!(asked(52)[2], "/system/df?type=build-cache&verbose=1");
    let parts = questions(ApiVersion::v1(55)).into_iter().flat_map(|(_, parts)| parts);
    assert_eq!(parts.collect::<Vec<_>>(), [Part::Containers, Part::Volumes, Part::Cache]);
}
