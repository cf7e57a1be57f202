//! One transfer: the list of entries, then the content of the files the engine asks for.
//!
//! Walking and reading block, so they run on threads of their own and hand whole batches over a
//! bounded channel; an engine that is slow to read makes them wait, and one that hangs up ends
//! them. The STATs that were sent are kept as they were: they are what a file is held against
//! when its turn comes.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::SystemTime;

use bytes::Bytes;
use prost::Message;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tonic::Status;
use tonic::codec::Streaming;

use super::LocalDir;
use super::report::{Counters, SyncFailure, SyncReport};
use super::sent::{ContentDigest, SentList};
use crate::build_context::filter::{Filter, FilterRequest};
use crate::build_context::root::Root;
use crate::build_context::seal::{Seal, Sealer};
use crate::build_context::stat::{Kind, Stat, go_mode};
use crate::build_context::walk::{Entry, Stop, WalkError, walk};
use crate::buildkit::session::diff_copy::{self, Out, Outgoing};
use crate::buildkit::session::packet::{self, FRAME_HEADER, Packet, kind};

/// Bytes of STATs that travel together.
const STAT_BATCH: usize = 32 << 10;
/// Bytes of DATA that travel together.
const DATA_BATCH: usize = 64 << 10;
/// Bytes of content in one DATA packet, as buildx cuts them.
const CHUNK: usize = 32 << 10;
/// Files read at the same time, at most.
const READERS: usize = 3;

/// Why a transfer failed.
#[derive(Debug)]
struct SendError {
    path: Option<String>,
    reason: String,
}

impl SendError {
    fn general(reason: impl Into<String>) -> Self {
        Self { path: None, reason: reason.into() }
    }

    fn about(path: &[u8], what: impl std::fmt::Display) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        let reason = format!("\"{path}\" {what}");
        Self { path: Some(path), reason }
    }
}

/// How a thread of the transfer ended.
enum ThreadEnd {
    Done,
    /// Nobody takes the output any more.
    HungUp,
    Failed(SendError),
}

/// Serves one call of `DiffCopy` and answers its final status.
pub(super) async fn send(
    dir: LocalDir,
    request: FilterRequest,
    incoming: Streaming<Bytes>,
    out: Out,
    report: Arc<SyncReport>,
) -> Status {
    let transfer =
        Transfer { counters: report.begin(&dir.name), sent: Mutex::default(), out: out.clone() };
    let transfer = Arc::new(transfer);
    match run(&dir, request.clone(), incoming, transfer.clone()).await {
        Ok(()) => {
            if transfer.counters.complete.load(Relaxed) {
                report.keep(transfer.kept(dir.name, request));
            }
            diff_copy::ok()
        }
        Err(SendError { path, reason }) => {
            report.fail(SyncFailure { dir_name: dir.name, path, reason: reason.clone() });
            let data = reason.clone().into();
            let packet = Packet { kind: kind::ERR, data, ..Packet::default() };
            // If nobody listens, the status has no reader either.
            let _ = out.send(Outgoing::Frames(packet::framed(&packet))).await;
            Status::aborted(reason)
        }
    }
}

async fn run(
    dir: &LocalDir,
    request: FilterRequest,
    mut incoming: Streaming<Bytes>,
    transfer: Arc<Transfer>,
) -> Result<(), SendError> {
    let path = dir.path.clone();
    let root = tokio::task::spawn_blocking(move || Root::open(&path));
    let root = root.await.map_err(|e| SendError::general(e.to_string()))?.map_err(|e| {
        SendError::general(format!("cannot open the directory {}: {e}", dir.path.display()))
    })?;
    let root = Arc::new(root);
    let (walked, walking) = (transfer.clone(), root.clone());
    let mut walking: Option<JoinHandle<ThreadEnd>> =
        Some(tokio::task::spawn_blocking(move || walked.list(&walking, &request)));
    let mut readers = Readers::new(transfer.clone(), root);
    loop {
        let ended = tokio::select! {
            ended = finished(&mut walking) => ended,
            Some(ended) = readers.tasks.join_next(), if !readers.tasks.is_empty() => ended,
            message = incoming.message() => match message {
                Ok(Some(message)) => {
                    let packet = packet::decode(message)
                        .map_err(|e| SendError::general(e.message().to_owned()))?;
                    match packet.kind {
                        kind::REQ => {
                            readers.ask(packet.id)?;
                            continue;
                        }
                        kind::FIN => break,
                        // The engine failed, and says why where the build is followed.
                        kind::ERR => return Ok(()),
                        // A receiver has nothing else to say; newer ones may.
                        _ => continue,
                    }
                }
                // The engine ended the call early: the build was cancelled, or failed elsewhere.
                Ok(None) | Err(_) => return Ok(()),
            },
        };
        match ended {
            Ok(ThreadEnd::Done) => {}
            Ok(ThreadEnd::HungUp) => return Ok(()),
            Ok(ThreadEnd::Failed(error)) => return Err(error),
            Err(e) => return Err(SendError::general(e.to_string())),
        }
    }
    transfer.counters.complete.store(true, Relaxed);
    let fin = Packet { kind: kind::FIN, ..Packet::default() };
    // If the engine is gone already, it has all it wanted.
    let _ = transfer.out.send(Outgoing::Frames(packet::framed(&fin))).await;
    Ok(())
}

/// The end of the walk, once.
async fn finished(walking: &mut Option<JoinHandle<ThreadEnd>>) -> Result<ThreadEnd, JoinError> {
    let Some(task) = walking else { return std::future::pending().await };
    let ended = task.await;
    *walking = None;
    ended
}

/// What the threads of one transfer share.
struct Transfer {
    counters: Arc<Counters>,
    sent: Mutex<StatLog>,
    out: Out,
}

/// The STATs sent so far.
#[derive(Default)]
struct StatLog {
    batches: Vec<Bytes>,
    /// By id; `None` for what has no content and for what was asked for already.
    entries: Vec<Option<Offset>>,
    /// Sockets travel as empty files and cannot be opened.
    sockets: HashSet<u32>,
    /// SHA-256 of files that were sent, by id.
    digests: HashMap<u32, [u8; 32]>,
    /// Files that the engine asked for.
    asked: HashSet<u32>,
    /// Once all is listed.
    seal: Option<Seal>,
}

/// Batch, and where in it the message begins.
type Offset = (u32, u32);

/// What a file was when it was listed.
struct ListedFile {
    path: Vec<u8>,
    size: u64,
    mtime: i64,
    socket: bool,
}

impl StatLog {
    fn take(&mut self, id: u32) -> Option<ListedFile> {
        let (batch, at) = self.entries.get_mut(id as usize)?.take()?;
        let message = self.batches.get(batch as usize)?.slice(at as usize..);
        let (header, body) = message.split_at_checked(FRAME_HEADER)?;
        let len = u32::from_be_bytes(header[1..].try_into().ok()?) as usize;
        self.asked.insert(id);
        let stat = Packet::decode(body.get(..len)?).ok()?.stat?;
        Some(ListedFile {
            path: stat.path,
            size: stat.size.cast_unsigned(),
            mtime: stat.mtime,
            socket: self.sockets.contains(&id),
        })
    }
}

impl Transfer {
    /// What was listed, once it is complete.
    fn kept(&self, dir_name: String, request: FilterRequest) -> SentList {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let StatLog { batches, digests, asked, seal, .. } = std::mem::take(&mut *sent);
        SentList { dir_name, request, seal, batches, digests, asked }
    }

    fn send(&self, batch: Bytes) -> Result<(), Stop> {
        self.counters.wire_bytes.fetch_add(batch.len() as u64, Relaxed);
        self.out.blocking_send(Outgoing::Frames(batch)).map_err(|_| Stop)
    }

    /// Walks the directory and sends a STAT for each entry. Runs on a thread of its own.
    fn list(&self, root: &Root, request: &FilterRequest) -> ThreadEnd {
        let filter = match Filter::new(root, request) {
            Ok(filter) => filter,
            Err(e) => {
                let mut reason = e.to_string();
                let mut source = std::error::Error::source(&e);
                while let Some(cause) = source {
                    reason = format!("{reason}: {cause}");
                    source = cause.source();
                }
                return ThreadEnd::Failed(SendError::general(reason));
            }
        };
        let mut list = List {
            transfer: self,
            batch: Vec::new(),
            places: Vec::new(),
            first_id: 0,
            sockets: Vec::new(),
            sealer: Sealer::new(root, SystemTime::now()),
        };
        let mut scratch = Vec::new();
        let walked = walk(root, &filter, &mut |entry| list.add(entry, &mut scratch));
        let walked = walked.and_then(|()| {
            // Before the engine can say that it has everything.
            let seal = list.sealer.seal();
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).seal = seal;
            packet::put_end_of_stats(&mut list.batch);
            list.flush().map_err(|Stop| WalkError::Stopped)
        });
        match walked {
            Ok(()) => ThreadEnd::Done,
            Err(WalkError::Stopped) => ThreadEnd::HungUp,
            Err(WalkError::Read { path, source }) => ThreadEnd::Failed(SendError::about(
                path.as_bytes(),
                format!("cannot be read: {source}"),
            )),
        }
    }

    /// Appends the content of a file to `batch`, sending what is full.
    fn read(&self, root: &Root, id: u32, listed: &ListedFile, batch: &mut Vec<u8>) -> ThreadEnd {
        let path = listed.path.as_slice();
        if !listed.socket {
            match self.copy(root, id, listed, batch) {
                Ok(()) => {}
                Err(ReadError::Stop) => return ThreadEnd::HungUp,
                Err(ReadError::Changed) => {
                    return ThreadEnd::Failed(SendError::about(
                        path,
                        "changed while it was being sent",
                    ));
                }
                Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::NotFound => {
                    return ThreadEnd::Failed(SendError::about(
                        path,
                        "vanished while it was being sent",
                    ));
                }
                Err(ReadError::Io(e)) => {
                    return ThreadEnd::Failed(SendError::about(
                        path,
                        format!("cannot be read: {e}"),
                    ));
                }
            }
        }
        packet::put_data(batch, id, &[]);
        self.counters.files.fetch_add(1, Relaxed);
        ThreadEnd::Done
    }

    fn copy(
        &self,
        root: &Root,
        id: u32,
        listed: &ListedFile,
        batch: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let mut file = root.open_file(&listed.path).map_err(|e| {
            // Where a directory or a file was, there is something else now, or a symlink.
            let raw = e.raw_os_error();
            let moved = [rustix::io::Errno::LOOP, rustix::io::Errno::NOTDIR];
            if moved.iter().any(|errno| raw == Some(errno.raw_os_error())) {
                ReadError::Changed
            } else {
                ReadError::Io(e)
            }
        })?;
        listed.check(&file)?;
        let mut chunk = [0_u8; CHUNK];
        let mut total = 0_u64;
        let mut digest = ContentDigest::of_size(listed.size, &self.counters.digested);
        loop {
            let n = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(ReadError::Io(e)),
            };
            total += n as u64;
            if total > listed.size {
                return Err(ReadError::Changed);
            }
            self.counters.file_bytes.fetch_add(n as u64, Relaxed);
            digest.update(&chunk[..n]);
            packet::put_data(batch, id, &chunk[..n]);
            if batch.len() >= DATA_BATCH {
                // More of this file is likely to follow.
                let next = Vec::with_capacity(DATA_BATCH + CHUNK + 64);
                let full = std::mem::replace(batch, next);
                self.send(full.into()).map_err(|Stop| ReadError::Stop)?;
            }
        }
        if total != listed.size {
            return Err(ReadError::Changed);
        }
        // Same length, other bytes: the time tells.
        listed.check(&file)?;
        if let Some(digest) = digest.finish() {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.digests.insert(id, digest);
        }
        Ok(())
    }
}

enum ReadError {
    Stop,
    Changed,
    Io(io::Error),
}

impl ListedFile {
    fn check(&self, file: &std::fs::File) -> Result<(), ReadError> {
        let stat = rustix::fs::fstat(file).map_err(|e| ReadError::Io(e.into()))?;
        let stat = Stat::new(&stat);
        if stat.kind != Kind::File || stat.size != self.size || stat.mtime != self.mtime {
            return Err(ReadError::Changed);
        }
        Ok(())
    }
}

/// Collects STATs until a batch is full.
struct List<'a> {
    transfer: &'a Transfer,
    batch: Vec<u8>,
    /// Of the entries in `batch`, where they begin.
    places: Vec<Option<u32>>,
    first_id: u32,
    sockets: Vec<u32>,
    sealer: Sealer,
}

impl List<'_> {
    fn add(&mut self, entry: &Entry<'_>, scratch: &mut Vec<u8>) -> Result<(), Stop> {
        let has_content = entry.stat.mode & go_mode::TYPE == 0;
        if has_content && entry.stat.kind == Kind::Special {
            self.sockets.push(self.first_id + self.places.len() as u32);
        }
        self.places.push(has_content.then_some(self.batch.len() as u32));
        packet::put_stat(&mut self.batch, entry, scratch);
        self.sealer.add(entry);
        if !entry.path.is_ascii() && std::str::from_utf8(entry.path).is_err() {
            self.transfer.counters.note_not_utf8(entry.path);
        }
        if self.batch.len() >= STAT_BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let full = std::mem::replace(&mut self.batch, Vec::with_capacity(STAT_BATCH + 1024));
        let batch = Bytes::from(full);
        self.transfer.counters.entries.fetch_add(self.places.len() as u64, Relaxed);
        self.first_id += self.places.len() as u32;
        {
            // Before the engine can ask for any of them.
            let mut sent = self.transfer.sent.lock().unwrap_or_else(PoisonError::into_inner);
            let number = sent.batches.len() as u32;
            sent.batches.push(batch.clone());
            sent.entries.extend(self.places.drain(..).map(|at| Some((number, at?))));
            sent.sockets.extend(self.sockets.drain(..));
        }
        self.transfer.send(batch)
    }
}

/// The threads that read files, started as they are needed.
struct Readers {
    transfer: Arc<Transfer>,
    root: Arc<Root>,
    tasks: JoinSet<ThreadEnd>,
    queue: mpsc::Sender<(u32, ListedFile)>,
    asked: Arc<Mutex<mpsc::Receiver<(u32, ListedFile)>>>,
}

impl Readers {
    fn new(transfer: Arc<Transfer>, root: Arc<Root>) -> Self {
        let (queue, asked) = mpsc::channel();
        Self { transfer, root, tasks: JoinSet::new(), queue, asked: Arc::new(Mutex::new(asked)) }
    }

    fn ask(&mut self, id: u32) -> Result<(), SendError> {
        let listed = {
            let mut sent = self.transfer.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.take(id)
        };
        let listed = listed.ok_or_else(|| {
            SendError::general(format!("the engine asked for the unknown file {id}"))
        })?;
        if self.tasks.len() < READERS {
            let (transfer, root, asked) =
                (self.transfer.clone(), self.root.clone(), self.asked.clone());
            self.tasks.spawn_blocking(move || read_asked(&transfer, &root, &asked));
        }
        self.queue
            .send((id, listed))
            .map_err(|_| SendError::general("the readers of the transfer have ended"))
    }
}

/// Serves requests until there are no more. A batch goes out when it is full or when nothing else
/// is asked for: small files share one.
fn read_asked(
    transfer: &Transfer,
    root: &Root,
    asked: &Mutex<mpsc::Receiver<(u32, ListedFile)>>,
) -> ThreadEnd {
    let mut batch = Vec::new();
    loop {
        // A reader that waits for requests holds the lock: never wait for it with data in hand.
        let next = match asked.try_lock() {
            Ok(asked) => asked.try_recv(),
            Err(_) => Err(mpsc::TryRecvError::Empty),
        };
        let (id, listed) = match next {
            Ok(next) => next,
            Err(mpsc::TryRecvError::Disconnected) => return ThreadEnd::Done,
            Err(mpsc::TryRecvError::Empty) => {
                if !batch.is_empty() && transfer.send(std::mem::take(&mut batch).into()).is_err() {
                    return ThreadEnd::HungUp;
                }
                let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
                match next {
                    Ok(next) => next,
                    Err(mpsc::RecvError) => return ThreadEnd::Done,
                }
            }
        };
        match transfer.read(root, id, &listed, &mut batch) {
            ThreadEnd::Done => {}
            other => return other,
        }
        if batch.len() >= DATA_BATCH && transfer.send(std::mem::take(&mut batch).into()).is_err() {
            return ThreadEnd::HungUp;
        }
    }
}
