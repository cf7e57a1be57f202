//! What `--max-size` leaves out of a cache mount goes as a whole.

use super::cache::{next, project, statuses, step};
use crate::support::engine;

/// Unpacked packages, of which one was read last but for one of its files; what was built long ago, and an installation.
const FILL: &str = r#"
cd /c
mkdir -p archive-v0/new/sub archive-v0/old/sub sdists-v9/x venv/lib
cd archive-v0
for file in new/one new/sub/two old/one old/sub/two ../venv/lib/a ../venv/lib/b; do head -c 1500000 /dev/urandom > $file; done
head -c 500000 /dev/urandom > ../sdists-v9/x/a.whl
ln -s one old/link
ln new/one new/again
touch -d '2001-02-03 04:05:06' new/sub/two old/one old/sub/two ../sdists-v9/x/a.whl
touch -d '2000-02-03 04:05:06' ../venv/lib/b
"#;

#[test]
fn a_package_stays_whole_or_not_at_all() {
    let one = engine("20.10");
    let (project, other) = (project(&one), next(&one));
    step(&project, &one, FILL);
    let save = ["save", "--to", "saved", "--max-size", "5MB"];
    assert!(statuses(&project, &one, &save).contains(&"odd saved".to_owned()));
    assert!(statuses(&project, &one, &save).contains(&"odd unchanged".to_owned()));
    let restored = statuses(&project, &other, &["restore", "--from", "saved"]);
    assert!(restored.contains(&"odd restored".to_owned()), "{restored:?}");
    let list = "cd /c; find . | sort | sed 's/^/state /'";
    // 0.5 MB, 3 MB of what was not downloaded; of the packages nothing fits beside it.
    let built = [".", "./archive-v0", "./sdists-v9", "./sdists-v9/x", "./sdists-v9/x/a.whl"];
    let installed = ["./venv", "./venv/lib", "./venv/lib/a", "./venv/lib/b"];
    assert_eq!(step(&project, &other, list), [&built[..], &installed].concat());

    let smaller = ["save", "--to", "smaller", "--max-size", "3.6MB"];
    step(&project, &one, "rm -r /c/venv");
    assert!(statuses(&project, &one, &smaller).contains(&"odd saved".to_owned()));
    let restored = statuses(&project, &other, &["restore", "--from", "smaller", "--force"]);
    assert!(restored.contains(&"odd restored".to_owned()), "{restored:?}");
    let new = ["/again", "/one", "/sub", "/sub/two"].map(|name| format!("./archive-v0/new{name}"));
    let mut whole = vec![".", "./archive-v0", "./archive-v0/new"];
    whole.extend(new.iter().map(String::as_str).chain(built[2..].iter().copied()));
    assert_eq!(step(&project, &other, list), whole);
}

#[test]
fn an_installation_that_does_not_fit_is_not_saved() {
    let one = engine("28.5");
    let project = project(&one);
    step(
        &project,
        &one,
        "mkdir -p /c/a /c/b; head -c 1500000 /dev/urandom | tee /c/a/one > /c/b/two",
    );
    let save = |most| statuses(&project, &one, &["save", "--to", "saved", "--max-size", most]);
    assert!(save("3MB").contains(&"odd saved".to_owned()));
    // What was saved is not what is there any more.
    assert!(save("2MB").contains(&"odd skipped".to_owned()));
    let restored = statuses(&project, &next(&one), &["restore", "--from", "saved"]);
    assert!(restored.contains(&"odd unsaved".to_owned()), "{restored:?}");
}
