//! What is the same as `docker buildx build --progress=rawjson`.

use super::*;

#[test]
fn rawjson_is_what_buildx_printed_byte_for_byte() {
    for name in TRACES {
        let (out, err) = show(Progress::RawJson, &Ci::None, &events(&[("api", name)]));
        assert_eq!(out, "", "{name}");
        // What follows a failed build is the error.
        let ours: Vec<&str> = err.lines().filter(|line| line.starts_with('{')).collect();
        for (ours, theirs) in ours.iter().zip(trace_text(name).lines()) {
            assert_eq!(*ours, without_definition(theirs), "{name}");
        }
        assert_eq!(ours.len(), trace_text(name).lines().count(), "{name}");
    }
}

/// A recorded line without the build graph in the source of a warning, which is not kept.
fn without_definition(line: &str) -> String {
    if !line.contains("\"definition\"") {
        return line.to_owned();
    }
    let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
    for warning in value["warnings"].as_array_mut().unwrap() {
        warning["sourceInfo"].as_object_mut().unwrap().shift_remove("definition");
    }
    value.to_string()
}

#[test]
fn rawjson_tells_several_targets_by_the_names_of_their_steps() {
    let (_, err) = show(
        Progress::RawJson,
        &Ci::None,
        &events(&[("api", "28.5-cached"), ("worker", "28.5-cached")]),
    );
    for name in [
        "\"name\":\"[api internal] load .dockerignore\"",
        "\"name\":\"[worker build 2/4] WORKDIR /src\"",
        "\"name\":\"[worker] exporting to image\"",
    ] {
        assert!(err.contains(name), "{name}");
    }
    assert!(err.lines().all(|line| serde_json::from_str::<SolveStatus>(line).is_ok()));
}

#[test]
fn rawjson_of_every_run_holds_what_the_engine_said() {
    for (name, events) in runs() {
        let (_, err) = show(Progress::RawJson, &Ci::None, &events);
        let several = matches!(&events[0].0, Event::Planned { targets } if targets.len() > 1);
        let lines: Vec<SolveStatus> = err
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told = events.iter().filter_map(|(event, _)| match event {
            Event::Status { target, status } => Some((target, status)),
            _ => None,
        });
        assert_eq!(lines.len(), told.clone().count(), "{name}");
        for (line, (target, status)) in lines.iter().zip(told) {
            let names = status.vertexes.iter().map(|vertex| match vertex.name.strip_prefix('[') {
                _ if !several => vertex.name.clone(),
                Some(rest) => format!("[{target} {rest}"),
                None => format!("[{target}] {}", vertex.name),
            });
            let names: Vec<String> = names.collect();
            let ours: Vec<&String> = line.vertexes.iter().map(|vertex| &vertex.name).collect();
            assert_eq!(ours, names.iter().collect::<Vec<_>>(), "{name}");
            assert_eq!(line.logs.len(), status.logs.len(), "{name}");
        }
    }
}
