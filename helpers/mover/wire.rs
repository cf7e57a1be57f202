//! The connection: numbers are little-endian, texts have their length before them.

use alloc::vec::Vec;

use super::system::Fd;

const BUFFER: usize = 128 * 1024;
/// Longer names than any file system has.
const LONGEST_TEXT: usize = 1 << 20;
/// Seconds within which the other end says that it is there.
const PATIENCE: i64 = 20;

pub struct Wire {
    socket: Fd,
    out: Vec<u8>,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    is_broken: bool,
}

impl Wire {
    /// A connection that somebody has taken. BuildKit stops taking any when a session ends, and closes none of those that wait
    /// (`session/sshforward`, `MountSSHSocket`): whoever waited there for ever would keep the mounts from everybody.
    pub fn connect(path: *const u8) -> Option<Self> {
        let socket = Fd::connect(path).ok()?;
        let (out, buffer) = (Vec::with_capacity(BUFFER), alloc::vec![0; BUFFER]);
        let mut wire = Self { socket, out, buffer, at: 0, filled: 0, is_broken: false };
        wire.socket.set_patience(PATIENCE).ok()?;
        if wire.byte()? != b'h' {
            return None;
        }
        wire.socket.set_patience(0).ok()?;
        Some(wire)
    }

    /// Adds to what is sent.
    pub fn put(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() > BUFFER && self.flush().is_none() {
            return;
        }
        self.out.extend_from_slice(bytes);
    }

    pub fn put_text(&mut self, text: &[u8]) {
        self.put(&(text.len() as u32).to_le_bytes());
        self.put(text);
    }

    /// Sends what has been put; `None` where nobody takes it any more.
    pub fn flush(&mut self) -> Option<()> {
        let mut rest = &self.out[..];
        while !rest.is_empty() && !self.is_broken {
            match self.socket.write(rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => self.is_broken = true,
            }
        }
        self.out.clear();
        (!self.is_broken).then_some(())
    }

    /// Lets `fill` write up to `wanted` bytes to be sent; it returns how many.
    pub fn fill<E>(&mut self, wanted: u64, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Option<Result<usize, E>> {
        if self.out.len() >= BUFFER / 2 {
            self.flush()?;
        }
        let start = self.out.len();
        let room = (BUFFER - start).min(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.out.resize(start + room, 0);
        let filled = fill(&mut self.out[start..]);
        self.out.truncate(start + filled.as_ref().map_or(0, |filled| *filled));
        Some(filled)
    }

    /// Says that something failed, which ends what was asked for.
    pub fn fail(&mut self, what: &str, path: &[u8], error: u32) -> Option<()> {
        self.put(b"e");
        self.put(&error.to_le_bytes());
        self.put_text(what.as_bytes());
        self.put_text(path);
        self.flush()
    }

    fn refill(&mut self) -> Option<()> {
        self.at = 0;
        self.filled = self.socket.read(&mut self.buffer).ok().filter(|read| *read > 0)?;
        Some(())
    }

    /// What has come, up to `most` bytes, at least one.
    pub fn some(&mut self, most: u64) -> Option<&[u8]> {
        if self.at == self.filled {
            self.refill()?;
        }
        let length = (self.filled - self.at).min(usize::try_from(most).unwrap_or(usize::MAX));
        self.at += length;
        Some(&self.buffer[self.at - length..self.at])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut array = [0; N];
        let mut at = 0;
        while at < N {
            let part = self.some((N - at) as u64)?;
            array[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Some(array)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|byte| byte[0])
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub fn text(&mut self) -> Option<Vec<u8>> {
        let length = self.u32()? as usize;
        if length > LONGEST_TEXT {
            return None;
        }
        let mut text = Vec::with_capacity(length);
        while text.len() < length {
            let part = self.some((length - text.len()) as u64)?;
            text.extend_from_slice(part);
        }
        Some(text)
    }
}
