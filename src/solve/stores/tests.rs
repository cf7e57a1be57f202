//! Stores with directories, without an engine.

#![allow(clippy::unwrap_used)]
use super::*;

fn digest(digit: char) -> Digest {
    Digest::parse(&format!("sha256:{}", String::from(digit).repeat(64))).unwrap()
}

/// A layout whose image or cache is called `name`.
fn layout(digit: char, name: &Name) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let digest = digest(digit);
    let blob = digest.path_in(dir.path());
    std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
    std::fs::write(blob, "").unwrap();
    let descriptor = Map::from_iter([("digest".to_owned(), digest.to_string().into())]);
    update(dir.path(), &descriptor, std::slice::from_ref(name)).unwrap();
    dir
}

fn tag(tag: &str) -> Name {
    Name::Tag(tag.into())
}

fn with_cache(text: String) -> Target {
    Target {
        name: "api".into(),
        cache_from: vec![Spec::cache(&text).unwrap()],
        ..Target::default()
    }
}

fn with_context(source: String) -> Target {
    let contexts = BTreeMap::from([("base".to_owned(), source)]);
    Target { name: "api".into(), contexts, ..Target::default() }
}

#[test]
fn caches_are_found_by_tag_or_digest() {
    let dir = layout('a', &tag("latest"));
    let path = dir.path().display();
    for (attrs, warning) in [
        (String::new(), None),
        (",tag=latest".to_owned(), None),
        (format!(",digest={}", digest('a')), None),
        (",tag=v1".to_owned(), Some("no tag \"v1\"")),
        (format!(",digest={}", digest('b')), Some("has no sha256:bbb")),
        (",digest=sha256:x".to_owned(), Some("\"sha256:x\" is no digest")),
    ] {
        let text = format!("type=local,src={path}{attrs}");
        let entry = Spec::cache(&text).unwrap();
        let found = look(&with_cache(text.clone())).unwrap();
        match warning {
            None => assert_eq!(found.cache(&entry), Some(&digest('a')), "{text}"),
            Some(warning) => {
                assert_eq!(found.cache(&entry), None);
                let [told] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
                assert!(told.starts_with("target api: cache_from: "), "{told}");
                assert!(told.contains(warning), "{told}");
            }
        }
    }
}

#[test]
fn a_cache_that_is_not_there_yet_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("type=local,src={}/none", dir.path().display());
    let found = look(&with_cache(text)).unwrap();
    assert!(found.warnings[0].contains("there is no cache in"), "{:?}", found.warnings);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn images_are_found_or_named_with_the_tags_there_are() {
    let dir = layout('a', &tag("v1"));
    let source = |suffix: &str| format!("oci-layout://{}{suffix}", dir.path().display());
    let a = format!("@{}", digest('a'));
    // An image that is alone needs no tag.
    for suffix in ["", ":v1", &a] {
        let found = look(&with_context(source(suffix))).unwrap();
        let (value, store, directory) = found.layout(&source(suffix)).unwrap();
        let id = store.strip_prefix("oci:").unwrap();
        assert_eq!(value, format!("oci-layout://{id}{a}"));
        assert_eq!(directory, Directory { path: dir.path().into(), access: Access::Read });
    }
    let refused = |source: String| look(&with_context(source)).unwrap_err();
    for (suffix, says) in [
        (":v2", "no tag \"v2\"".to_owned()),
        (&format!("@{}", digest('b')), format!("no {}", digest('b'))),
    ] {
        let error = refused(source(suffix));
        assert!(error.to_string().starts_with("target api: additional_contexts: oci-layout://"));
        assert!(error.to_string().contains(&says), "{error}");
        assert_eq!(error.hint.as_deref(), Some("its tags: v1"));
    }
    let error = refused(source("/none"));
    assert!(error.to_string().contains("/none has no index.json"), "{error}");
    assert!(refused(source("@sha256:12")).to_string().contains("no digest"));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let target = Target { name: "api".into(), ..Target::default() };
    let stores = |path: &str| {
        let directory = Directory { path: dir.path().join(path), access: Access::Write };
        BTreeMap::from([("local:x".to_owned(), directory)])
    };
    prepare(&target, &stores("new/cache")).unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join("new/cache")).unwrap().count(), 0);
    let error = prepare(&target, &stores("file/cache")).unwrap_err().to_string();
    assert!(error.starts_with("target api: cache_to: cannot write to "), "{error}");
    assert!(error.contains("file/cache"), "{error}");
}

#[test]
fn what_a_solve_added_is_entered_under_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let image = format!(r#"{{"digest":"{}","size":2}}"#, digest('a'));
    let cache = format!(r#"{{"digest":"{}","size":3}}"#, digest('b'));
    let mut response = BTreeMap::from([
        ("containerimage.descriptor".to_owned(), STANDARD.encode(image)),
        ("cache.manifest".to_owned(), cache),
    ]);
    let updates = [Addition::Cache { tag: "main".into() }, Addition::Image]
        .map(|added| IndexUpdate { path: dir.path().to_owned(), added });
    record(&updates, &response).unwrap();
    response.insert("image.name".to_owned(), "docker.io/l/a:v1,docker.io/l/b:v2".to_owned());
    record(&updates[1..], &response).unwrap();
    let index = read_index(dir.path()).unwrap().unwrap();
    assert_eq!(index.names(), ["main", "latest", "v1", "v2"]);
    assert_eq!(index.find("main"), Some(digest('b')));
    assert_eq!(index.find("docker.io/l/a:v1"), Some(digest('a')));
    let mut files: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["index.json", "oci-layout"]);
    response.remove("cache.manifest");
    assert!(record(&updates, &response).unwrap_err().contains("did not say"));
}

#[test]
fn writers_of_one_index_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = dir.path();
            scope.spawn(move || {
                let descriptor = Map::from_iter([("size".to_owned(), number.into())]);
                update(path, &descriptor, &[tag(&format!("t{number}"))]).unwrap();
            });
        }
    });
    assert_eq!(read_index(dir.path()).unwrap().unwrap().names().len(), 8);
}
