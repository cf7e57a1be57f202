//! Blobs that the engine sends.
//!
//! A blob is written beside its place and takes its name when it is complete and its digest is what was
//! promised. One that is cut off leaves nothing. Protocol: containerd `contentserver`, answer by answer.

use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::codec::Streaming;

use super::digest::Hasher;
use super::messages::{WriteAction, WriteContentRequest, WriteContentResponse};
use super::{Access, Digest, Directory, reading};
use crate::files::partial::{self, PartialFile};
use crate::progress::TransferProgress;

/// How many messages of up to 8 MiB may wait to be written.
const WAITING_MESSAGES: usize = 2;

pub(super) type Answers = ReceiverStream<Result<WriteContentResponse, Status>>;

/// Serves one call: one blob.
pub(super) fn write(
    directory: Directory,
    received: Arc<TransferProgress>,
    mut incoming: Streaming<WriteContentRequest>,
) -> Answers {
    let (forward, messages) = mpsc::channel(WAITING_MESSAGES);
    let (out, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        // A call that is cut off ends like one that ends: without a commit nothing is kept.
        while let Ok(Some(message)) = incoming.message().await {
            if forward.send(message).await.is_err() {
                break;
            }
        }
    });
    tokio::task::spawn_blocking(move || receive(&directory, &received, messages, &out));
    ReceiverStream::new(answers)
}

fn receive(
    directory: &Directory,
    received: &Arc<TransferProgress>,
    mut messages: mpsc::Receiver<WriteContentRequest>,
    out: &mpsc::Sender<Result<WriteContentResponse, Status>>,
) {
    let mut ingest: Option<Ingest> = None;
    while let Some(message) = messages.blocking_recv() {
        let commit = message.action == WriteAction::Commit as i32;
        let answer = match &mut ingest {
            Some(ingest) => ingest.take(&message),
            None => Ingest::begin(directory, received, &message)
                .and_then(|begun| ingest.insert(begun).take(&message)),
        };
        let answer = match (answer, commit) {
            (Ok(answer), true) => ingest.take().map_or(Ok(answer.clone()), |ingest| {
                ingest.commit().map(|digest| WriteContentResponse { digest, ..answer })
            }),
            (answer, _) => answer,
        };
        let ends = commit || answer.is_err();
        if out.blocking_send(answer).is_err() || ends {
            return;
        }
    }
}

/// A blob on its way in.
struct Ingest {
    layout: PathBuf,
    /// Whether its name will be taken for its content.
    is_durable: bool,
    file: PartialFile,
    hasher: Hasher,
    written: u64,
    total: u64,
    /// Bytes of it that others know to come.
    announced: u64,
    expected: Option<Digest>,
    received: Arc<TransferProgress>,
}

impl Ingest {
    fn begin(
        Directory { path: layout, access }: &Directory,
        received: &Arc<TransferProgress>,
        first: &WriteContentRequest,
    ) -> Result<Self, Status> {
        if first.reference.is_empty() {
            return Err(Status::invalid_argument("the first message has no reference"));
        }
        let expected = expected(&first.expected)?;
        // A blob stays what it is: containerd's stores have them read-only, too.
        let file = partial::file(layout, 0o444).map_err(|error| not_written(layout, &error))?;
        let hasher = expected.as_ref().map(Digest::hasher).unwrap_or_default();
        let (layout, is_durable) = (layout.clone(), *access != Access::Keep);
        let received = received.clone();
        Ok(Self {
            layout,
            is_durable,
            file,
            hasher,
            written: 0,
            total: 0,
            announced: 0,
            expected,
            received,
        })
    }

    /// Takes one message. A commit is up to [`Self::commit`] then.
    fn take(&mut self, message: &WriteContentRequest) -> Result<WriteContentResponse, Status> {
        if let Ok(total @ 1..) = u64::try_from(message.total) {
            self.total = total;
        }
        if let Some(digest) = expected(&message.expected)? {
            // A blob of another size than announced is what a crash left; it is replaced.
            let there = reading::open(&self.layout, &digest);
            if there.is_ok_and(|(_, size)| self.total == 0 || self.total == size) {
                return Err(Status::already_exists(format!("{digest} is there")));
            }
            self.expected = Some(digest);
        }
        if let Some(more) = self.total.checked_sub(self.announced) {
            self.received.expect(more);
            self.announced = self.total;
        }
        if message.action != WriteAction::Stat as i32 {
            let offset = u64::try_from(message.offset).unwrap_or_default();
            if offset == 0 && self.written > 0 {
                self.restart().map_err(|error| not_written(&self.layout, &error))?;
            }
            if offset != self.written {
                let why = format!("{} bytes are there, not {offset}", self.written);
                return Err(Status::out_of_range(why));
            }
            let written = self.file.as_file_mut().write_all(&message.data);
            written.map_err(|error| not_written(&self.layout, &error))?;
            self.hasher.update(&message.data);
            self.written += message.data.len() as u64;
            self.received.add(message.data.len() as u64);
        }
        Ok(WriteContentResponse {
            action: message.action,
            offset: i64::try_from(self.written).unwrap_or(i64::MAX),
            total: i64::try_from(self.total).unwrap_or(i64::MAX),
            digest: String::new(),
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        let file = self.file.as_file_mut();
        file.set_len(0)?;
        file.rewind()?;
        self.hasher.finish();
        self.written = 0;
        Ok(())
    }

    /// Gives the blob its name, if it is what was promised; answers its digest.
    fn commit(mut self) -> Result<String, Status> {
        if self.total > 0 && self.total != self.written {
            let why = format!("{} bytes came, {} were announced", self.written, self.total);
            return Err(Status::failed_precondition(why));
        }
        let digest = self.hasher.finish();
        if let Some(expected) = self.expected.filter(|expected| *expected != digest) {
            let why = format!("the blob's digest is {digest}, not {expected}");
            return Err(Status::failed_precondition(why));
        }
        let path = digest.path_in(&self.layout);
        let file = self.file;
        let store = || -> io::Result<()> {
            fs_err::create_dir_all(path.parent().unwrap_or(&self.layout))?;
            // Also after a power cut.
            if self.is_durable {
                file.as_file().sync_all()?;
            }
            file.persist(&path)
        };
        store().map_err(|error| not_written(&self.layout, &error))?;
        Ok(digest.to_string())
    }
}

fn expected(text: &str) -> Result<Option<Digest>, Status> {
    if text.is_empty() { Ok(None) } else { reading::digest(text).map(Some) }
}

/// How the engine is told that something cannot be written to `layout`; the reason follows.
pub fn cannot_write(layout: &Path) -> String {
    format!("cannot write to {}: ", layout.display())
}

fn not_written(layout: &Path, error: &io::Error) -> Status {
    Status::aborted(format!("{}{error}", cannot_write(layout)))
}
