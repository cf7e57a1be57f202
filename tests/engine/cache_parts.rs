//! What `--max-size` leaves out of a cache mount goes as a whole.

use super::cache::{next, project, statuses, step};
use crate::support::engine;

/// Unpacked packages, of which one was read last but for one of its files; what was built long ago, and a new download.
const FILL: &str = r#"
cd /c
mkdir -p lib/new/sub lib/old/sub sdists-v9/x http-v2/a
for file in lib/new/one lib/new/sub/two lib/old/one lib/old/sub/two http-v2/a/x; do head -c 1500000 /dev/urandom > $file; done
head -c 500000 /dev/urandom > sdists-v9/x/a.whl
ln -s one lib/old/link
ln lib/new/one lib/new/again
touch -d '2001-02-03 04:05:06' lib/new/sub/two lib/old/one lib/old/sub/two sdists-v9/x/a.whl
"#;

#[test]
fn a_package_stays_whole_or_not_at_all() {
    let one = engine("20.10");
    let (project, other) = (project(&one), next(&one));
    step(&project, &one, FILL);
    let save = ["save", "--to", "saved", "--max-size", "4MB"];
    assert!(statuses(&project, &one, &save).contains(&"odd saved".to_owned()));
    assert!(statuses(&project, &one, &save).contains(&"odd unchanged".to_owned()));
    let restored = statuses(&project, &other, &["restore", "--from", "saved"]);
    assert!(restored.contains(&"odd restored".to_owned()), "{restored:?}");
    let there = step(&project, &other, "cd /c; find . | sort | sed 's/^/state /'");
    // 3 MB, 0.5 MB; of the other package and the download nothing.
    let whole = [
        ".",
        "./http-v2",
        "./lib",
        "./lib/new",
        "./lib/new/again",
        "./lib/new/one",
        "./lib/new/sub",
        "./lib/new/sub/two",
        "./sdists-v9",
        "./sdists-v9/x",
        "./sdists-v9/x/a.whl",
    ];
    assert_eq!(there, whole);
}
