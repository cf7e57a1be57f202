//! `lock`: requirement files to lock files, by uv in a build.

use crate::support::{PYTHON, Project, engine, text};

fn lock(project: &Project, args: &[&str]) -> (Option<i32>, String) {
    let base = ["lock", "requirements.in", "--base-image", PYTHON];
    let output = project.command(&[&base[..], args].concat()).output().unwrap();
    (output.status.code(), text(&output))
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.dir().join(name)).unwrap()
}

#[test]
fn packages_are_pinned_split_by_size_and_kept() {
    let project = Project::new(&engine("28.5"));
    // An old version of a small package, and a large one that needs nothing else.
    project.write("requirements.in", "-r more.in\nsix<1.17\n").write("more.in", "pygments\n");
    let (code, told) = lock(&project, &["--threshold", "1MB"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 light and 1 heavy packages"), "{told}");
    let (light, heavy) =
        (read(&project, "requirements.lock"), read(&project, "requirements.heavy.lock"));
    assert!(
        light.contains("\nsix==1.16.0 \\\n    --hash=sha256:") && !light.contains("pygments=="),
        "{light}"
    );
    assert!(heavy.contains("\npygments==") && !heavy.contains("six=="), "{heavy}");

    assert_eq!(lock(&project, &["--check"]).0, Some(0));
    project.write("requirements.in", "-r more.in\nsix\n");
    let (code, told) = lock(&project, &["--check"]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("requirements changed since it was locked"), "{told}");

    // What is locked and still allowed stays; the threshold, too.
    let (code, told) = lock(&project, &[]);
    assert_eq!((code, told.contains("no version changed")), (Some(0), true), "{told}");
    assert!(read(&project, "requirements.lock").contains("\nsix==1.16.0 "));
    assert_eq!(lock(&project, &["--check"]).0, Some(0));
    let (code, told) = lock(&project, &["--upgrade-package", "six"]);
    assert_eq!((code, told.contains("six 1.16.0 -> 1.")), (Some(0), true), "{told}");
}
