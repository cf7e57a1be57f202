//! Moves what is in cache mounts between an engine and this machine.
//!
//! A step of a build of ours (`helpers/mover`) has the mounts and, as a socket, the SSH service of our session: whatever it
//! writes there comes here, and the other way round. So nothing is copied on the engine, no exporter has to wait for the
//! end of a step, and both sides talk: what is sent depends on what is there. Each mount has a connection of its own.
//!
//! The step fails when it is done, as that of `measure` does: of a step that failed the engine keeps neither result nor
//! cache key, and of an internal build no history. What it did to a mount stays.

mod connection;
mod protocol;
mod service;

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as wire;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::session::{Opening, Services, Session, ssh};
use super::solve::SolveError;
use super::step::Step;
use crate::engine::Connector;
use crate::sight::Mount;
pub use connection::{Connection, LineEnd};
pub use protocol::{Contents, End, EntryWriter, MoveError};

/// The program for each machine, by the name the kernel gives it and by Go's.
const HELPERS: [(&str, &str, &[u8]); 2] = [
    ("x86_64", "amd64", include_bytes!("../../../../../helpers/mover-x86_64")),
    ("aarch64", "arm64", include_bytes!("../../../../../helpers/mover-aarch64")),
];
/// Where the program is put. Records of the cache that such a step made bear its name.
pub const PROGRAM: &str = "/doc2md-docker-mover";
/// Where the step finds the socket.
const SOCKET: &str = "/run/doc2md-docker.sock";
/// How the message of the engine ends for a step that did what it was told.
const DONE: &str = "exit code: 9";
/// How long the engine may take to run the step. It waits for a locked mount that a build holds.
const START: Duration = Duration::from_secs(60);
/// How long the step may take to end when nobody wants anything more of it.
const END: Duration = Duration::from_secs(20);
/// Mounts that are moved at the same time: each has its own compression.
const AT_ONCE: usize = 4;

/// Go's name of a machine, by the kernel's.
pub fn go_name(architecture: &str) -> Option<&'static str> {
    HELPERS.iter().find(|(name, ..)| *name == architecture).map(|(_, go_name, _)| *go_name)
}

/// Whether a record with this description is `mount`, made by the step called `name`.
pub fn is_made_by(description: &str, name: &str, mount: &Mount) -> bool {
    let made = format!("cached mount {} from exec {PROGRAM} {SOCKET} {name} ", mount.place());
    description.starts_with(&made)
}

/// What is done with mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// They are read.
    Read,
    /// They are written to.
    Write,
}

/// Which mounts of which engine, and how.
pub struct MoveRequest<'a> {
    /// Where the session is opened.
    pub connector: &'a Connector,
    /// The kernel's name of the engine's machine.
    pub architecture: &'a str,
    /// The mounts. One that is not there is made.
    pub mounts: &'a [Mount],
    /// What is done with them.
    pub access: Access,
    /// A name that no other step has.
    pub name: &'a str,
    /// Ends it: connections break, and the step is given the time to put things back.
    pub cancel: &'a CancellationToken,
}

impl Control {
    /// Runs the step, and `work` for each mount on a thread of its own: a few at a time, all within one solve. Returns
    /// what `work` made of each mount; `None` where the step did not come to it.
    ///
    /// # Errors
    /// There is no program for this machine, the step could not be run, or the connection was lost.
    pub async fn move_mounts<T: Send + 'static>(
        &self,
        moving: &MoveRequest<'_>,
        work: impl Fn(usize, Connection) -> T + Clone + Send + 'static,
    ) -> Result<Vec<Option<T>>, SolveError> {
        let helper = HELPERS.iter().find(|(name, ..)| *name == moving.architecture);
        let Some((_, go_name, program)) = helper else {
            let message = format!("cannot move cache mounts on {}", moving.architecture);
            return Err(failure(tonic::Code::Unimplemented, message));
        };
        let (to, mut connections) = mpsc::channel(moving.mounts.len().max(1));
        let service = service::server(to, moving.cancel.clone());
        let services = Services::default().with(service, ssh::METHODS);
        let at = Opening::Engine(moving.connector);
        let session = Session::open(at, "doc2md-docker-mover", services).await;
        let session =
            session.map_err(|error| failure(tonic::Code::Unavailable, error.to_string()))?;
        let request = request(moving, go_name, program, session.id());
        let ended = CancellationToken::new();
        let solve = async {
            let solved = self.request(request).await;
            ended.cancel();
            solved
        };
        let mut solve = std::pin::pin!(solve);
        let mut serving = std::pin::pin!(serve(moving, &mut connections, &ended, work));
        let mut solved = None;
        let served = loop {
            tokio::select! {
                result = &mut solve, if solved.is_none() => solved = Some(result),
                served = &mut serving => break served,
            }
        };
        if solved.is_none() && served.is_ok() {
            // What was cancelled puts things back before it ends.
            solved = timeout(END, solve).await.ok();
        }
        let served = served?;
        match solved {
            // What was done counts, even where the step ended otherwise than it should: every answer of it has come.
            Some(Err(status)) if !is_done(&status) && served.iter().all(Option::is_none) => {
                Err(status.into())
            }
            _ => Ok(served),
        }
    }
}

fn is_done(status: &tonic::Status) -> bool {
    status.message().contains(DONE)
}

fn failure(code: tonic::Code, message: String) -> SolveError {
    SolveError { code, message, vertex: None, location: None }
}

fn request(
    moving: &MoveRequest<'_>,
    go_name: &str,
    program: &[u8],
    session: &str,
) -> wire::SolveRequest {
    let mut args = vec![SOCKET.to_owned(), moving.name.to_owned()];
    args.extend(moving.mounts.iter().map(Mount::place));
    let step = Step {
        go_name,
        path: PROGRAM,
        program,
        args,
        mounts: moving.mounts.iter().map(|mount| (mount.place(), mount)).collect(),
        is_read_only: moving.access == Access::Read,
        has_network: false,
        socket: Some(SOCKET),
        once: moving.name,
    };
    wire::SolveRequest {
        definition: Some(step.definition()),
        session: session.to_owned(),
        cache: Some(wire::CacheOptions::default()),
        internal: true,
        r#ref: moving.name.to_owned(),
        ..Default::default()
    }
}

/// Takes the connections of the step and has each served.
async fn serve<T: Send + 'static>(
    moving: &MoveRequest<'_>,
    connections: &mut mpsc::Receiver<Connection>,
    ended: &CancellationToken,
    work: impl Fn(usize, Connection) -> T + Clone + Send + 'static,
) -> Result<Vec<Option<T>>, SolveError> {
    let count = moving.mounts.len();
    let room = std::sync::Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let late = "the engine did not run the step in time: a build may be using a locked mount";
        let next = tokio::select! {
            next = timeout(START, connections.recv()) => next,
            () = moving.cancel.cancelled() => break,
            () = ended.cancelled() => break,
        };
        let Ok(Some(connection)) = next else {
            return Err(failure(tonic::Code::DeadlineExceeded, late.to_owned()));
        };
        let (room, work) = (room.clone(), work.clone());
        tasks.spawn(async move {
            let _place = room.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let mut connection = connection;
                let index = connection.hello().ok().filter(|index| *index < count)?;
                Some((index, work(index, connection)))
            })
            .await
        });
    }
    let mut results: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    while let Some(done) = tasks.join_next().await {
        if let Ok(Ok(Some((index, result)))) = done {
            results[index] = Some(result);
        }
    }
    Ok(results)
}
