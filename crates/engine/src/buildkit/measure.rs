//! Measures cache mounts where they are: in a step of a build of ours.
//!
//! No request to the engine returns how large a cache mount has become: BuildKit takes its size the first time
//! somebody asks and keeps that (`cache/refs.go`, `size`). So a small program (`helpers/measure.rs`) is put into an
//! empty file system and run with the mounts, read-only and without a network. The step fails when it is done:
//! of a step that failed the engine keeps neither result nor cache key, and of an internal build no history.

use std::time::Duration;

use jiff::Timestamp;

use super::control::Control;
use super::solve::SolveError;
use super::step::Step;
use crate::sight::{Content, Disk, Mount, Sight};

/// The program for each machine, by the name the kernel gives it and by Go's.
const HELPERS: [(&str, &str, &[u8]); 2] = [
    ("x86_64", "amd64", include_bytes!("../../../../helpers/measure-x86_64")),
    ("aarch64", "arm64", include_bytes!("../../../../helpers/measure-aarch64")),
];
/// Where the program is put. Records of the cache that such a step made bear its name.
pub const PROGRAM: &str = "/doc2md-docker-measure";

/// The path at which the look called `name` sees the mount with this index.
fn place(name: &str, index: usize) -> String {
    format!("/measured/{name}/{index}")
}

/// Whether a record with this description is a mount that the look called `name` made, at this index.
pub fn is_made_by(description: &str, name: &str, index: usize) -> bool {
    description.starts_with(&format!("cached mount {} from exec {PROGRAM} ", place(name, index)))
}

/// Whether there is a program for the engine's machine, by the kernel's name for it.
pub fn can_measure(architecture: &str) -> bool {
    HELPERS.iter().any(|(name, ..)| *name == architecture)
}

impl Control {
    /// Looks into `mounts`, and at the engine's disk, under a `name` that no other look has. What has not been seen after
    /// `limit` is left out: all of it where the step did not even start; then, and when the future is dropped, the engine
    /// ends the step. An engine that at this moment counts what is in a mount makes a new one for the look
    /// ([`is_made_by`]).
    ///
    /// # Errors
    /// There is no program for this architecture, the step could not be run, or the connection was lost.
    pub async fn look(
        &self,
        architecture: &str,
        name: &str,
        mounts: &[Mount],
        limit: Duration,
    ) -> Result<Sight, SolveError> {
        let refused = |message: String| SolveError {
            code: tonic::Code::Unimplemented,
            message,
            vertex: None,
            location: None,
        };
        let Some((_, go_name, program)) = HELPERS.iter().find(|(name, ..)| *name == architecture)
        else {
            return Err(refused(format!("cannot measure on {architecture}")));
        };
        let output = step(go_name, program, mounts, name).run(self, limit).await;
        match (read(&output.text, mounts.len()), output.end) {
            (Some(seen), _) => Ok(seen),
            (None, Some(Err(status))) => Err(status.into()),
            (None, Some(Ok(()))) => Err(refused("the measuring step said nothing".to_owned())),
            (None, None) => Ok(Sight { disk: None, mounts: vec![None; mounts.len()] }),
        }
    }
}

/// The program with the mounts.
fn step<'a>(go_name: &'a str, program: &'a [u8], mounts: &'a [Mount], name: &'a str) -> Step<'a> {
    let place = |index| place(name, index);
    Step {
        go_name,
        path: PROGRAM,
        program,
        args: (0..mounts.len()).map(&place).collect(),
        mounts: mounts.iter().enumerate().map(|(index, mount)| (place(index), mount)).collect(),
        is_read_only: true,
        has_network: false,
        socket: None,
        once: name,
    }
}

/// Reads what the program wrote; `None` where that is nothing.
fn read(output: &str, mounts: usize) -> Option<Sight> {
    let mut sight = Sight { disk: None, mounts: vec![None; mounts] };
    // A line without an end is not whole yet.
    for line in output.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let mut words = line.split_whitespace();
        let word = words.next();
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        match (word, numbers.as_slice()) {
            (Some("disk"), &[size_bytes, free_bytes, available_bytes]) => {
                sight.disk = Some(Disk { size_bytes, free_bytes, available_bytes });
            }
            (Some("mount"), &[index, bytes, _, unread, seconds, nanoseconds]) => {
                let place = sight.mounts.get_mut(usize::try_from(index).ok()?)?;
                let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
                let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
                let born = seconds.and_then(|seconds| Timestamp::new(seconds, nanoseconds).ok());
                *place = (unread == 0).then_some(Content { bytes, born });
            }
            _ => {}
        }
    }
    sight.disk.is_some().then_some(sight)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bollard_buildkit_proto::pb;
    use prost::Message as _;

    use super::super::step::digest;
    use super::*;
    use crate::dockerfile::Beginning;
    use crate::sight::Sharing;

    const NONE: i64 = -1;

    #[test]
    fn what_came_in_time_is_read_and_nothing_else() {
        let all =
            "disk 100 40 30\nmount 0 4096 1 0 1700000000 5\nmount 1 7 9 1 0 0\nmount 2 5 1 0 0 0";
        let sight = read(all, 3).unwrap();
        let disk = Disk { size_bytes: 100, free_bytes: 40, available_bytes: 30 };
        assert_eq!(sight.disk, Some(disk));
        let born = Timestamp::new(1_700_000_000, 5).ok();
        // The second has a directory that could not be read; the third line is not whole.
        assert_eq!(sight.mounts, [Some(Content { bytes: 4096, born }), None, None]);
        assert_eq!(read("exec format error\n", 1), None);
        assert_eq!(read("disk 1 1 1\nmount 9 1 1 1 1 1\n", 1), None);
    }

    #[test]
    fn each_op_names_the_bytes_it_reads() {
        let mount = |beginning| Mount { id: "/x".into(), sharing: Sharing::Locked, beginning };
        let owned = Beginning::Directory { uid: 7, gid: 8, mode: 0o700 };
        let mounts = [mount(Beginning::Empty), mount(owned), mount(owned)];
        let ops = step("amd64", b"elf", &mounts, "once").definition().def;
        // The program, one directory for both mounts, the step, and what is wanted of it.
        assert_eq!(ops.len(), 4);
        let step = pb::Op::decode(ops[2].as_slice()).unwrap();
        let read: Vec<String> = step.inputs.iter().map(|input| input.digest.clone()).collect();
        assert_eq!(read, [digest(&ops[0]), digest(&ops[1])]);
        let Some(pb::op::Op::Exec(exec)) = step.op else { panic!("not a step") };
        let inputs: Vec<i64> = exec.mounts.iter().map(|mount| mount.input).collect();
        assert_eq!(inputs, [0, NONE, 1, 1]);
        assert!(exec.mounts[1..].iter().all(|mount| mount.readonly && mount.output == NONE));
        let end = pb::Op::decode(ops[3].as_slice()).unwrap();
        assert_eq!(end.inputs[0].digest, digest(&ops[2]));
    }

    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[test]
    fn the_program_counts_as_du_does() {
        use std::os::unix::fs::symlink;
        use std::process::Command;
        let folder = tempfile::tempdir().unwrap();
        let (program, data) = (folder.path().join("measure"), folder.path().join("data"));
        let (.., bytes) = HELPERS.iter().find(|it| it.0 == std::env::consts::ARCH).unwrap();
        let raw = folder.path().join("raw");
        std::fs::write(&raw, bytes).unwrap();
        crate::test_program::copy(&raw, &program);
        std::fs::create_dir_all(data.join("a/b/c")).unwrap();
        for (name, size) in [("a/big", 3_000_000), ("a/b/small", 1), ("a/b/c/empty", 0)] {
            std::fs::write(data.join(name), vec![7; size]).unwrap();
        }
        std::fs::hard_link(data.join("a/big"), data.join("a/b/c/same")).unwrap();
        std::fs::File::create(data.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        symlink("/", data.join("elsewhere")).unwrap();
        let output = Command::new(&program).arg(&data).arg("/not/there").output().unwrap();
        assert_eq!(output.status.code(), Some(9));
        let sight = read(&String::from_utf8(output.stdout).unwrap(), 2).unwrap();
        let du = Command::new("du").args(["-s", "--block-size=1"]).arg(&data).output().unwrap();
        let du = String::from_utf8(du.stdout).unwrap();
        let expected = du.split_whitespace().next().unwrap().parse().ok();
        assert_eq!(sight.mounts[0].map(|content| content.bytes), expected);
        assert_eq!(sight.mounts[1], None);
    }
}
