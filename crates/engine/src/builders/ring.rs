//! Which pod a key belongs to, as buildx's kubernetes driver chooses: the same key leads to the same pod from every machine.
//!
//! Each pod is one point on a ring, and so is the key. The pod behind the key is the chosen one. A point is the MD5 of a text
//! read as two signed little-endian numbers; that of a pod is of its name with `-0` behind it. Source: buildx
//! `driver/kubernetes/podchooser`, `github.com/serialx/hashring` at 22c0c7a with its default hash and weights of one.

use md5::{Digest as _, Md5};

/// The names in the order in which `key` would take them: the chosen one first, then the one to take where that is gone.
pub(super) fn order<'a>(names: impl IntoIterator<Item = &'a str>, key: &str) -> Vec<&'a str> {
    let mut points: Vec<_> =
        names.into_iter().map(|name| (point(&format!("{name}-0")), name)).collect();
    points.sort_unstable();
    let behind = points.partition_point(|(it, _)| *it <= point(key));
    points.rotate_left(behind);
    points.into_iter().map(|(_, name)| name).collect()
}

fn point(text: &str) -> (i64, i64) {
    let hash = u128::from_le_bytes(Md5::digest(text).into());
    // The halves as they stand: the low one is first in the bytes and counts first.
    (hash as u64 as i64, (hash >> 64) as u64 as i64)
}

#[cfg(test)]
mod tests {
    use sha2::Sha256;

    use super::*;

    /// The start of SHA-256 over the pods that 1,000 paths get, a line each, with 1 to 20 pods. Made with the Go library itself
    /// (22c0c7a, Go 1.19) in a program that makes the same names and paths.
    const CHOSEN: [&str; 20] = [
        "c5ac9d0fe8e15a7e",
        "52e967070bf04d9a",
        "9a81ea10eca76bdd",
        "3a716f63ba72b6af",
        "e35892f894487b4d",
        "a2b8adff52a9ae34",
        "04abe44ba0b04f1e",
        "61b0f61aac2541ab",
        "e89b2ae37fb21d27",
        "14d6a1cfac22eba1",
        "70f2c4e9635522d2",
        "b81eeccff2c51ebd",
        "abdfaded760aca72",
        "1b1318029143eb1c",
        "527af03cf9613011",
        "c7dd284940dac3c5",
        "6cb679c03d0941cc",
        "925e260276ab5a90",
        "4db15d5332dda763",
        "46e48ebebd633df1",
    ];

    #[test]
    fn a_thousand_paths_get_the_pods_that_buildx_chooses() {
        for (count, chosen) in (1..).zip(CHOSEN) {
            let names: Vec<String> = (0..count)
                .map(|pod| {
                    format!("buildkit-5d8f7c9b6-{:05x}", (pod * 7919 + count * 104_729) % 1_048_576)
                })
                .collect();
            let mut hash = Sha256::new();
            for path in 0..1000 {
                let key = format!("/home/user{}/src/project {path}/é", path % 17);
                let order = order(names.iter().map(String::as_str), &key);
                assert_eq!(order.len(), names.len());
                hash.update(format!("{}\n", order[0]));
            }
            assert_eq!(hex::encode(&hash.finalize()[..8]), chosen, "{count} pods");
        }
    }

    /// From the same program, with all pods in their order.
    #[test]
    fn the_next_pod_is_the_next_one_on_the_ring() {
        for (key, pods) in [
            ("", ["b-2", "b-0", "b-1"]),
            ("/src", ["b-2", "b-0", "b-1"]),
            ("/src/app", ["b-1", "b-2", "b-0"]),
            ("/home/me/work", ["b-2", "b-0", "b-1"]),
        ] {
            assert_eq!(order(["b-1", "b-0", "b-2"], key), pods, "{key}");
        }
        assert!(order([], "/src").is_empty());
    }

    #[test]
    fn only_builds_of_a_pod_that_goes_get_another_one() {
        let names = ["b-0", "b-1", "b-2", "b-3"];
        for path in 0..200 {
            let key = format!("/src/{path}");
            let before = order(names, &key);
            let after = order(names.into_iter().filter(|name| *name != "b-2"), &key);
            let left: Vec<_> = before.into_iter().filter(|name| *name != "b-2").collect();
            assert_eq!(after, left, "{key}");
        }
    }
}
