//! Looks up names where builds do: in a step of a build of ours, with the network that steps have.
//!
//! Which name servers a step has, and whether it reaches them, no request to the engine returns. So a small program
//! (`helpers/resolve.rs`) is put into an empty file system and run, as that of `measure` is: the step fails when it is done, and
//! the engine keeps neither result nor history, but the program as one small record.

use std::time::Duration;

use super::control::Control;
use super::solve::SolveError;
use super::step::Step;

/// The program for each machine, by the name the kernel gives it and by Go's.
const HELPERS: [(&str, &str, &[u8]); 2] = [
    ("x86_64", "amd64", include_bytes!("../../../../helpers/resolve-x86_64")),
    ("aarch64", "arm64", include_bytes!("../../../../helpers/resolve-aarch64")),
];
/// Where the program is put. The record of the cache bears its name.
const PROGRAM: &str = "/doc2md-docker-resolve";

/// What became of looking up a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The name.
    pub name: String,
    /// Whether there is an address.
    pub is_resolved: bool,
    /// Servers that gave none, in the order in which they were asked, and why.
    pub failures: Vec<(String, LookupFailure)>,
}

/// Why a name server gave no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupFailure {
    /// It did not answer.
    Silence,
    /// Nothing listens there.
    ClosedPort,
    /// There is no way to it.
    NoRoute,
    /// It answered something else: a code of DNS.
    Answer(String),
}

impl Control {
    /// Looks up `names` in a step, which may take `limit`.
    ///
    /// # Errors
    /// It cannot be found out: there is no program for this architecture, the step could not be run or did not end in time,
    /// or the connection was lost.
    pub async fn look_up(
        &self,
        architecture: &str,
        names: &[String],
        limit: Duration,
    ) -> Result<Vec<Lookup>, SolveError> {
        let Some((_, go_name, program)) = HELPERS.iter().find(|(name, ..)| *name == architecture)
        else {
            return Err(failure(format!("there is no program for {architecture:?}")));
        };
        let name = super::new_ref();
        let output = step(go_name, program, names, &name).run(self, limit).await;
        let found = read(&output.text);
        match output.end {
            _ if found.len() == names.len() => Ok(found),
            Some(Err(status)) => Err(status.into()),
            Some(Ok(())) => Err(failure("the step said nothing".to_owned())),
            None => Err(failure(format!("the step did not end in {} s", limit.as_secs()))),
        }
    }
}

/// The program with the names.
fn step<'a>(go_name: &'a str, program: &'a [u8], names: &[String], once: &'a str) -> Step<'a> {
    Step {
        go_name,
        path: PROGRAM,
        program,
        args: names.to_vec(),
        mounts: Vec::new(),
        is_read_only: true,
        has_network: true,
        socket: None,
        once,
    }
}

/// Reads what the program wrote: names that it was done with.
fn read(output: &str) -> Vec<Lookup> {
    let mut found = Vec::new();
    let mut failures = Vec::new();
    // A line without an end is not whole yet.
    for line in output.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["failed", server, why] => {
                let why = match why {
                    "timeout" => LookupFailure::Silence,
                    "closed" => LookupFailure::ClosedPort,
                    "unreachable" => LookupFailure::NoRoute,
                    code => LookupFailure::Answer(code.to_owned()),
                };
                failures.push((server.to_owned(), why));
            }
            [word @ ("resolved" | "unresolved"), name] => found.push(Lookup {
                name: name.to_owned(),
                is_resolved: word == "resolved",
                failures: std::mem::take(&mut failures),
            }),
            _ => {}
        }
    }
    found
}

fn failure(message: String) -> SolveError {
    SolveError { code: tonic::Code::Unimplemented, message, vertex: None, location: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bollard_buildkit_proto::pb;
    use prost::Message as _;

    use super::*;

    fn lookup(name: &str, is_resolved: bool, failures: &[(&str, LookupFailure)]) -> Lookup {
        let failures = failures.iter().map(|(server, why)| ((*server).to_owned(), why.clone()));
        Lookup { name: name.to_owned(), is_resolved, failures: failures.collect() }
    }

    #[test]
    fn each_name_has_the_servers_that_failed() {
        let output = "failed 10.0.0.1 timeout\nfailed ::1 closed\nresolved pypi.org\n\
                      failed 10.0.0.1 NXDOMAIN\nunresolved other.org\n\
                      failed 10.0.0.1 unreachable\nunresolved third.o";
        let answer = LookupFailure::Answer("NXDOMAIN".to_owned());
        let servers = [("10.0.0.1", LookupFailure::Silence), ("::1", LookupFailure::ClosedPort)];
        assert_eq!(
            read(output),
            [
                lookup("pypi.org", true, &servers),
                lookup("other.org", false, &[("10.0.0.1", answer)])
            ]
        );
        assert_eq!(read("exec format error\n"), []);
    }

    #[test]
    fn the_step_has_the_network_of_builds() {
        let ops = step("amd64", b"elf", &["pypi.org".to_owned()], "once").definition().def;
        let step = pb::Op::decode(ops[1].as_slice()).unwrap();
        let Some(pb::op::Op::Exec(exec)) = step.op else { panic!("not a step") };
        assert_eq!(exec.network(), pb::NetMode::Unset);
        assert_eq!(exec.meta.unwrap().args, [PROGRAM, "pypi.org"]);
    }

    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[test]
    fn the_program_reads_the_hosts_of_its_machine() {
        let folder = tempfile::tempdir().unwrap();
        let (raw, program) = (folder.path().join("raw"), folder.path().join("resolve"));
        let (.., bytes) = HELPERS.iter().find(|it| it.0 == std::env::consts::ARCH).unwrap();
        std::fs::write(&raw, bytes).unwrap();
        crate::test_program::copy(&raw, &program);
        let output = std::process::Command::new(&program).arg("localhost").output().unwrap();
        assert_eq!(output.status.code(), Some(9));
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read(&told), [lookup("localhost", true, &[])]);
    }
}
