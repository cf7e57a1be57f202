//! Requests of targets, without an engine.

#![allow(clippy::unwrap_used)]
use super::*;

fn request(target: &Target) -> Result<SolveRequest, RequestError> {
    let context = RequestContext {
        scratch: Path::new("/scratch"),
        default_platform: None,
        fingerprint: "",
        stores: &TargetStores::default(),
        variables: &BTreeMap::new(),
    };
    solve_request(target, context)
}

fn output(text: &str) -> Spec {
    Spec::output(text).unwrap()
}

fn api() -> Target {
    Target {
        name: "api".into(),
        context: "/p".into(),
        dockerfile: Some("/p/docker/Dockerfile.api".into()),
        tags: vec!["p-api".into()],
        ..Target::default()
    }
}

#[test]
fn a_plain_target() {
    let request = request(&api()).unwrap();
    let attrs = &request.options.frontend_attrs;
    assert_eq!(attrs["filename"], "Dockerfile.api");
    assert_eq!(request.directories["context"], Path::new("/p"));
    assert_eq!(request.directories[&attrs["dockerfilekey"]], Path::new("/p/docker"));
    assert_eq!(request.options.exporters[0].kind, "moby");
    assert_eq!(request.options.exporters[0].attrs["name"], "p-api");
    assert!(request.loads_image);
}

#[test]
fn what_stands_in_the_compose_file_goes_as_it_is() {
    let mut target = api();
    target.args.insert("A".into(), "${B} $C".into());
    target.dockerfile_inline = Some("FROM x\nRUN echo ${B}".into());
    let request = request(&target).unwrap();
    assert_eq!(request.options.frontend_attrs["build-arg:A"], "${B} $C");
    let (path, text) = request.inline_dockerfile.unwrap();
    assert_eq!(
        (path.as_path(), text.as_str()),
        (Path::new("/scratch/api/Dockerfile"), "FROM x\nRUN echo ${B}")
    );
}

#[test]
fn contexts_of_every_kind() {
    let mut target = api();
    target.contexts = [("base", "target:base"), ("img", "docker-image://x"), ("dir", "/d")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let request = request(&target).unwrap();
    let attrs = &request.options.frontend_attrs;
    assert_eq!(request.needs, [("base".to_owned(), "base".to_owned())]);
    assert!(!attrs.contains_key("context:base"), "it is known once the other is built");
    assert_eq!(attrs["frontend.caps"], "moby.buildkit.frontend.contexts+forward");
    assert_eq!(attrs["context:img"], "docker-image://x");
    let local = attrs["context:dir"].strip_prefix("local:").unwrap();
    assert_eq!(request.directories[local], Path::new("/d"));
}

#[test]
fn what_cannot_be_done_is_named() {
    let cases: [(&str, Target); 3] = [
        ("network", Target { network: Some("mynet".into()), ..api() }),
        ("cache_to", Target { cache_to: vec![Spec::plain("local")], ..api() }),
        ("output", Target { outputs: vec![Spec::plain("tar")], ..api() }),
    ];
    for (key, target) in cases {
        let error = request(&target).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn exports_are_numbered() {
    let outputs = vec![Spec::plain("docker"), output("type=tar,dest=out.tar")];
    let request = request(&Target { outputs, ..api() }).unwrap();
    assert_eq!(request.exports["1"], Export::File("out.tar".into()));
}

#[test]
fn caches_to_export_are_served_and_entered() {
    let cache = |text| vec![Spec::cache(text).unwrap()];
    let cache_to = cache("type=local,dest=/c,tag=main,mode=max");
    let target = Target { cache_to, cache_from: cache("type=local,src=/c"), ..api() };
    let with_cache = request(&target).unwrap();
    // One to import is left out where nothing was found.
    assert_eq!(with_cache.options.cache_imports, []);
    let [export] = &with_cache.options.cache_exports[..] else { panic!("no export") };
    let store = &with_cache.stores[&format!("local:{}", export.attrs["dest"])];
    assert_eq!(*store, Directory { path: "/c".into(), access: Access::Write });
    assert_eq!(export.attrs["mode"], "max");
    let added = Addition::Cache { tag: "main".into() };
    assert_eq!(with_cache.index_updates, [IndexUpdate { path: "/c".into(), added }]);
    let check = request(&Target { call: Some("lint".into()), ..target }).unwrap();
    assert_eq!((check.options.cache_exports, check.index_updates), (vec![], vec![]));
}

#[test]
fn an_unpacked_layout_is_no_stream() {
    let to = |text: &str| Target { outputs: vec![output(text)], ..api() };
    let unpacked = request(&to("type=oci,dest=/l,tar=false")).unwrap();
    assert_eq!(unpacked.stores["export"], Directory { path: "/l".into(), access: Access::Write });
    assert!(unpacked.exports.is_empty());
    let attrs = &unpacked.options.exporters[0].attrs;
    assert_eq!((attrs["name"].as_str(), attrs["tar"].as_str()), ("p-api", "false"));
    let packed = request(&to("type=oci,dest=/l.tar,tar=true")).unwrap();
    assert_eq!(packed.exports["0"], Export::File("/l.tar".into()));
    assert!(packed.stores.is_empty());
    let error = request(&to("type=oci,dest=/l,tar=maybe")).unwrap_err().to_string();
    assert!(error.contains("tar=maybe is neither"), "{error}");
    let twice = ["/a", "/b"].map(|dest| output(&format!("type=oci,dest={dest},tar=false"))).into();
    let error = request(&Target { outputs: twice, ..api() }).unwrap_err().to_string();
    assert!(error.contains("one unpacked layout"), "{error}");
}
