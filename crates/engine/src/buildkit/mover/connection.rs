//! A line to the step, for a thread that may wait.

use tokio::sync::mpsc;

/// Bytes per message towards the engine: it takes more, but passes on that much at a time.
const MESSAGE: usize = 32 * 1024;
/// Longer than any name.
const LONGEST_TEXT: usize = 1 << 20;
/// What the step says first.
const GREETING: &[u8; 4] = b"d2m1";

/// The line has ended: the step, the engine or the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the engine's step ended")]
pub struct LineEnd;

/// A connection to the step for one mount. Numbers are little-endian, texts have their length before them.
pub struct Connection {
    incoming: mpsc::Receiver<Vec<u8>>,
    outgoing: mpsc::Sender<Vec<u8>>,
    message: Vec<u8>,
    at: usize,
    waiting: Vec<u8>,
}

impl Connection {
    pub(super) fn new(incoming: mpsc::Receiver<Vec<u8>>, outgoing: mpsc::Sender<Vec<u8>>) -> Self {
        let waiting = Vec::with_capacity(MESSAGE);
        Self { incoming, outgoing, message: Vec::new(), at: 0, waiting }
    }

    /// Which mount it is.
    pub(super) fn hello(&mut self) -> Result<usize, LineEnd> {
        if self.array::<4>()? != *GREETING {
            return Err(LineEnd);
        }
        usize::try_from(self.u32()?).map_err(|_| LineEnd)
    }

    /// What has come, up to `most` bytes, at least one.
    pub(super) fn some(&mut self, most: u64) -> Result<&[u8], LineEnd> {
        while self.at == self.message.len() {
            self.message = self.incoming.blocking_recv().ok_or(LineEnd)?;
            self.at = 0;
        }
        let rest = self.message.len() - self.at;
        let length = rest.min(usize::try_from(most).unwrap_or(usize::MAX));
        self.at += length;
        Ok(&self.message[self.at - length..self.at])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], LineEnd> {
        let mut array = [0; N];
        let mut at = 0;
        while at < N {
            let part = self.some((N - at) as u64)?;
            array[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, LineEnd> {
        self.array::<1>().map(|byte| byte[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, LineEnd> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, LineEnd> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, LineEnd> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<Vec<u8>, LineEnd> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > LONGEST_TEXT {
            return Err(LineEnd);
        }
        let mut text = Vec::with_capacity(length);
        while text.len() < length {
            let part = self.some((length - text.len()) as u64)?;
            text.extend_from_slice(part);
        }
        Ok(text)
    }

    /// Adds to what is sent.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), LineEnd> {
        while self.waiting.len() + bytes.len() >= MESSAGE {
            let (now, later) = bytes.split_at(MESSAGE - self.waiting.len());
            self.waiting.extend_from_slice(now);
            self.flush()?;
            bytes = later;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_text(&mut self, text: &[u8]) -> Result<(), LineEnd> {
        self.put(&u32::try_from(text.len()).map_err(|_| LineEnd)?.to_le_bytes())?;
        self.put(text)
    }

    pub(super) fn flush(&mut self) -> Result<(), LineEnd> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // Somebody ended it, although the step would still take what comes.
        if self.incoming.is_closed() && self.incoming.is_empty() {
            return Err(LineEnd);
        }
        let message = std::mem::replace(&mut self.waiting, Vec::with_capacity(MESSAGE));
        self.outgoing.blocking_send(message).map_err(|_| LineEnd)
    }

    /// Whether the step has said something that nobody has read: while it takes entries, that is a refusal.
    pub(super) fn has_answer(&mut self) -> Result<bool, LineEnd> {
        if self.at < self.message.len() {
            return Ok(true);
        }
        match self.incoming.try_recv() {
            Ok(message) => {
                (self.message, self.at) = (message, 0);
                Ok(true)
            }
            Err(mpsc::error::TryRecvError::Empty) => Ok(false),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(LineEnd),
        }
    }
}
