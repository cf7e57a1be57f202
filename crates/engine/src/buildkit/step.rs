//! A step of the house's own: a program in an empty file system, with cache mounts.
//!
//! A mount is reached by its id, its sharing mode and the directory it began with. All three have to be those of the
//! builds that use it: for another directory, or for a mount that somebody holds in another mode, BuildKit makes
//! a new one (`solver/llbsolver/mounts`, `getRefCacheDir`).

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as wire;
use bollard_buildkit_proto::pb;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::control::Control;
use crate::dockerfile::Beginning;
use crate::progress::SolveStatus;
use crate::sight::{Mount, Sharing};

/// An input that is not there (BuildKit `pb.Empty`), and an output that nobody wants (`pb.SkipOutput`).
const NONE: i64 = -1;
/// No time of its own (BuildKit `client/llb`, `marshalTime`).
const NO_TIME: i64 = -1;

/// What is run.
pub(super) struct Step<'a> {
    /// Go's name of the machine.
    pub(super) go_name: &'a str,
    /// Where the program is put. Records of the cache that such a step made bear its name.
    pub(super) path: &'a str,
    pub(super) program: &'a [u8],
    pub(super) args: Vec<String>,
    /// Where each mount is seen.
    pub(super) mounts: Vec<(String, &'a Mount)>,
    pub(super) is_read_only: bool,
    /// Whether it has the network that steps of builds have; none otherwise.
    pub(super) has_network: bool,
    /// Where the session's SSH service is reached; nowhere if `None`.
    pub(super) socket: Option<&'a str>,
    /// Builds that run at the same time share a step that is the same to the byte, and its output.
    pub(super) once: &'a str,
}

/// What a step said, and how the build of it ended; `None` where it took too long.
pub(super) struct StepOutput {
    pub(super) text: String,
    pub(super) end: Option<Result<(), tonic::Status>>,
}

impl Step<'_> {
    /// Runs it for `limit` at most; then, and when the future is dropped, the engine ends it. It needs no session, and no
    /// history has it.
    pub(super) async fn run(&self, control: &Control, limit: Duration) -> StepOutput {
        let build_ref = super::new_ref();
        let request = wire::SolveRequest {
            r#ref: build_ref.clone(),
            definition: Some(self.definition()),
            cache: Some(wire::CacheOptions::default()),
            internal: true,
            ..Default::default()
        };
        let (to, mut statuses) = mpsc::channel::<SolveStatus>(16);
        let ended = CancellationToken::new();
        let mut output = Vec::new();
        let work = async {
            let listen = async {
                while let Some(status) = statuses.recv().await {
                    for log in status.logs {
                        output.extend(log.data);
                    }
                }
            };
            let solve = async {
                let solved = control.request(request).await;
                ended.cancel();
                solved
            };
            let follow = control.follow(build_ref.clone(), to, ended.clone());
            tokio::join!(solve, listen, follow).0
        };
        let end = timeout(limit, work).await.ok();
        StepOutput { text: String::from_utf8_lossy(&output).into_owned(), end }
    }

    /// The build: the program in an empty file system, the directories that mounts begin with, the step.
    pub(super) fn definition(&self) -> pb::Definition {
        let mut graph = Graph::new(self.go_name);
        let program = pb::file_action::Action::Mkfile(pb::FileActionMkFile {
            path: self.path.to_owned(),
            mode: 0o755,
            data: self.program.to_vec(),
            owner: None,
            timestamp: NO_TIME,
        });
        let root = graph.input(file(program));
        let mut all = vec![pb::Mount { input: root, dest: "/".to_owned(), ..Default::default() }];
        for (place, mount) in &self.mounts {
            let (input, selector) = match mount.beginning {
                Beginning::Directory { uid, gid, mode } => {
                    (graph.input(file(directory(uid, gid, mode))), "/cache")
                }
                Beginning::Empty | Beginning::Other => (NONE, ""),
            };
            let cache = cache_mount(place, mount, self.is_read_only);
            all.push(pb::Mount { input, selector: selector.to_owned(), ..cache });
        }
        all.extend(self.socket.map(socket));
        let mut args = vec![self.path.to_owned()];
        args.extend(self.args.iter().cloned());
        let env = vec![format!("ONCE={}", self.once)];
        let network = if self.has_network { pb::NetMode::Unset } else { pb::NetMode::None };
        let meta = pb::Meta { args, env, cwd: "/".to_owned(), ..Default::default() };
        graph.end_with(pb::op::Op::Exec(pb::ExecOp {
            meta: Some(meta),
            mounts: all,
            network: network.into(),
            ..Default::default()
        }))
    }
}

/// A build graph that is being put together: operations without inputs, and a step that has them all.
struct Graph {
    platform: pb::Platform,
    ops: Vec<Vec<u8>>,
    inputs: Vec<pb::Input>,
}

impl Graph {
    fn new(go_name: &str) -> Self {
        let (architecture, os) = (go_name.to_owned(), "linux".to_owned());
        let platform = pb::Platform { architecture, os, ..Default::default() };
        Self { platform, ops: Vec::new(), inputs: Vec::new() }
    }

    /// Adds an operation, unless it is there already. Returns its number among the inputs of the step.
    fn input(&mut self, op: pb::op::Op) -> i64 {
        let op = self.encoded(Vec::new(), op);
        let digest = digest(&op);
        let at = self.inputs.iter().position(|input| input.digest == digest).unwrap_or_else(|| {
            self.ops.push(op);
            self.inputs.push(pb::Input { digest, index: 0 });
            self.inputs.len() - 1
        });
        i64::try_from(at).unwrap_or(i64::MAX)
    }

    /// The graph whose result is that of the step.
    fn end_with(mut self, step: pb::op::Op) -> pb::Definition {
        let step = self.encoded(self.inputs.clone(), step);
        let inputs = vec![pb::Input { digest: digest(&step), index: 0 }];
        let result = pb::Op { inputs, ..Default::default() };
        self.ops.extend([step, result.encode_to_vec()]);
        pb::Definition { def: self.ops, ..Default::default() }
    }

    fn encoded(&self, inputs: Vec<pb::Input>, op: pb::op::Op) -> Vec<u8> {
        let platform = Some(self.platform.clone());
        pb::Op { inputs, op: Some(op), platform, ..Default::default() }.encode_to_vec()
    }
}

/// What the Dockerfile frontend makes for `uid=`, `gid=` and `mode=` (`dockerfile2llb`, `setCacheUIDGID`).
fn directory(uid: u32, gid: u32, mode: u32) -> pb::file_action::Action {
    let user = |id| pb::UserOpt { user: Some(pb::user_opt::User::ById(id)) };
    pb::file_action::Action::Mkdir(pb::FileActionMkDir {
        path: "/cache".to_owned(),
        mode: i32::try_from(mode & 0o777).unwrap_or(0o755),
        make_parents: false,
        owner: Some(pb::ChownOpt { user: Some(user(uid)), group: Some(user(gid)) }),
        timestamp: NO_TIME,
    })
}

fn file(action: pb::file_action::Action) -> pb::op::Op {
    let action =
        pb::FileAction { input: NONE, secondary_input: NONE, output: 0, action: Some(action) };
    pb::op::Op::File(pb::FileOp { actions: vec![action] })
}

pub(super) fn digest(op: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(op)))
}

fn cache_mount(place: &str, mount: &Mount, is_read_only: bool) -> pb::Mount {
    let sharing = match mount.sharing {
        Sharing::Shared => pb::CacheSharingOpt::Shared,
        Sharing::Private => pb::CacheSharingOpt::Private,
        Sharing::Locked => pb::CacheSharingOpt::Locked,
    };
    pb::Mount {
        dest: place.to_owned(),
        output: NONE,
        readonly: is_read_only,
        mount_type: pb::MountType::Cache.into(),
        cache_opt: Some(pb::CacheOpt { id: mount.id.clone(), sharing: sharing.into() }),
        ..Default::default()
    }
}

/// A socket that leads to the session's SSH service, whatever that does with it.
fn socket(place: &str) -> pb::Mount {
    let id = super::session::ssh::DEFAULT_ID.to_owned();
    pb::Mount {
        input: NONE,
        output: NONE,
        dest: place.to_owned(),
        mount_type: pb::MountType::Ssh.into(),
        ssh_opt: Some(pb::SshOpt { id, uid: 0, gid: 0, mode: 0o600, optional: false }),
        ..Default::default()
    }
}
