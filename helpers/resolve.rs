//! Looks up names from within a step of a build, as programs of such a step do.
//!
//! `resolve NAME...` asks the name servers that /etc/resolv.conf names, three at most, for an IPv4 address of each name:
//! over UDP, twice and for 2 s in all. Where the file names none, 127.0.0.1 is asked, as C libraries do. For each server
//! that gave no address it writes a line, `failed SERVER REASON`, and for each name one more, `resolved NAME` or
//! `unresolved NAME`; names in /etc/hosts are resolved. After `NXDOMAIN` no other server is asked. It ends with code 9,
//! never 0: an engine keeps nothing of a step that failed.
//!
//! It runs on engines whose images need not have a shell, so it stands alone: no C library, no allocation.
//! `scripts/helpers` compiles it for each architecture; the program carries the results (`buildkit::resolve`).

#![no_std]
#![no_main]

mod start;

use core::ffi::CStr;
use core::net::IpAddr;

use start::{FAILED, end, system};

#[cfg(target_arch = "x86_64")]
mod call {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const SOCKET: usize = 41;
    pub const CONNECT: usize = 42;
    pub const SETSOCKOPT: usize = 54;
    pub const OPENAT: usize = 257;
    pub const GETRANDOM: usize = 318;
}

#[cfg(target_arch = "aarch64")]
mod call {
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const SOCKET: usize = 198;
    pub const CONNECT: usize = 203;
    pub const SETSOCKOPT: usize = 208;
    pub const GETRANDOM: usize = 278;
}

const CWD: isize = -100;
const CLOEXEC: usize = 0o2_000_000;
const EINTR: isize = -4;
const EAGAIN: isize = -11;
const ECONNREFUSED: isize = -111;
/// What the step ends with.
const ASKED: usize = 9;
/// Servers that C libraries ask.
const SERVERS: usize = 3;
/// How often a server is asked: a packet may be lost.
const ATTEMPTS: usize = 2;
/// Seconds that each answer is waited for.
const PATIENCE: i64 = 1;
/// Packets that may come before the answer.
const STRAYS: usize = 8;
const PORT: u16 = 53;
/// An answer without extensions is no longer.
const PACKET: usize = 512;
/// The header, a name of 255 bytes, type and class.
const QUERY: usize = 12 + 255 + 4;

/// What a server says that knows no such name: others are not asked.
const NO_SUCH_NAME: &str = "NXDOMAIN";
/// The same of a name without an IPv4 address.
const NO_ADDRESS: &str = "NODATA";

/// A file's beginning, as far as there is room for it; nothing where it cannot be read.
fn contents<'a>(path: &CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    let file = system(call::OPENAT, [CWD as usize, path.as_ptr() as usize, CLOEXEC, 0, 0]);
    if file < 0 {
        return &[];
    }
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        let read = system(call::READ, [file as usize, rest.as_mut_ptr() as usize, rest.len(), 0, 0]);
        if read <= 0 {
            break;
        }
        length += read as usize;
    }
    system(call::CLOSE, [file as usize, 0, 0, 0, 0]);
    &buffer[..length]
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Whether a line of /etc/hosts has the name.
fn has_name(line: &[u8], name: &[u8]) -> bool {
    let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    words(line).skip(1).any(|word| word.eq_ignore_ascii_case(name))
}

/// The server that a line of /etc/resolv.conf names, as it stands there and as an address. A zone is left out.
fn server(line: &[u8]) -> Option<(&str, IpAddr)> {
    if !line.starts_with(b"nameserver") {
        return None;
    }
    let text = core::str::from_utf8(words(line).nth(1)?).ok()?;
    Some((text, text.split('%').next()?.parse().ok()?))
}

/// Writes the question for an address of the name. Returns its length; `None` where that is no name.
fn question(name: &[u8], packet: &mut [u8; QUERY]) -> Option<usize> {
    system(call::GETRANDOM, [packet.as_mut_ptr() as usize, 2, 0, 0, 0]);
    // Recursion is wanted, and there is one question.
    packet[2..12].copy_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let mut length = 12;
    for label in name.split(|byte| *byte == b'.').filter(|label| !label.is_empty()) {
        let size = u8::try_from(label.len()).ok().filter(|size| *size < 64)?;
        *packet.get_mut(length)? = size;
        packet.get_mut(length + 1..length + 1 + label.len())?.copy_from_slice(label);
        length += 1 + label.len();
    }
    // The end of the name, an address, of the internet.
    packet.get_mut(length..length + 5)?.copy_from_slice(&[0, 0, 1, 0, 1]);
    Some(length + 5)
}

/// The kernel's address of a server, and its length.
fn address(server: IpAddr) -> ([u8; 28], usize) {
    let mut address = [0; 28];
    address[2..4].copy_from_slice(&PORT.to_be_bytes());
    match server {
        IpAddr::V4(server) => {
            address[..2].copy_from_slice(&2_u16.to_ne_bytes());
            address[4..8].copy_from_slice(&server.octets());
            (address, 16)
        }
        IpAddr::V6(server) => {
            address[..2].copy_from_slice(&10_u16.to_ne_bytes());
            address[8..24].copy_from_slice(&server.octets());
            (address, 28)
        }
    }
}

/// Asks one server. `Err` says why there is no address.
fn ask(server: IpAddr, query: &[u8]) -> Result<(), &'static str> {
    const DATAGRAM: usize = 2;
    let family = if server.is_ipv4() { 2 } else { 10 };
    let socket = system(call::SOCKET, [family, DATAGRAM | CLOEXEC, 0, 0, 0]);
    if socket < 0 {
        return Err("unreachable");
    }
    let answer = converse(socket as usize, server, query);
    system(call::CLOSE, [socket as usize, 0, 0, 0, 0]);
    answer
}

fn converse(socket: usize, server: IpAddr, query: &[u8]) -> Result<(), &'static str> {
    const SOCKET_LEVEL: usize = 1;
    const RECEIVE_TIMEOUT: usize = 20;
    let time = [PATIENCE, 0];
    let (at, size) = (time.as_ptr() as usize, size_of_val(&time));
    if system(call::SETSOCKOPT, [socket, SOCKET_LEVEL, RECEIVE_TIMEOUT, at, size]) < 0 {
        end(FAILED);
    }
    let (address, length) = address(server);
    if system(call::CONNECT, [socket, address.as_ptr() as usize, length, 0, 0]) < 0 {
        return Err("unreachable");
    }
    let mut why = "timeout";
    for _ in 0..ATTEMPTS {
        let sent = system(call::WRITE, [socket, query.as_ptr() as usize, query.len(), 0, 0]);
        let received = if sent < 0 { Err(sent) } else { receive(socket, query) };
        match received {
            Ok(answer) => return answer,
            Err(EAGAIN) => {}
            Err(ECONNREFUSED) => why = "closed",
            Err(_) => why = "unreachable",
        }
    }
    Err(why)
}

/// Waits for the answer to a query; `Err` is the kernel's.
fn receive(socket: usize, query: &[u8]) -> Result<Result<(), &'static str>, isize> {
    let mut packet = [0_u8; PACKET];
    for _ in 0..STRAYS {
        let read = system(call::READ, [socket, packet.as_mut_ptr() as usize, PACKET, 0, 0]);
        if read < 0 && read != EINTR {
            return Err(read);
        }
        let packet = &packet[..read.max(0) as usize];
        if packet.len() >= 12 && packet[..2] == query[..2] && packet[2] & 0x80 != 0 {
            return Ok(meaning(packet));
        }
    }
    Err(EAGAIN)
}

/// What an answer says.
fn meaning(packet: &[u8]) -> Result<(), &'static str> {
    let is_cut = packet[2] & 2 != 0;
    match packet[3] & 15 {
        0 if is_cut || packet[6..8] != [0, 0] => Ok(()),
        0 => Err(NO_ADDRESS),
        1 => Err("FORMERR"),
        2 => Err("SERVFAIL"),
        3 => Err(NO_SUCH_NAME),
        4 => Err("NOTIMP"),
        5 => Err("REFUSED"),
        _ => Err("ERROR"),
    }
}

/// Asks the servers one after the other whether one has an address of the name.
fn is_resolved(name: &[u8], hosts: &[u8], settings: &[u8]) -> bool {
    if lines(hosts).any(|line| has_name(line, name)) {
        return true;
    }
    let mut packet = [0_u8; QUERY];
    let Some(length) = question(name, &mut packet) else { return false };
    let query = &packet[..length];
    let mut asked = 0;
    let nobody = ("127.0.0.1", IpAddr::from([127, 0, 0, 1]));
    let mut named = lines(settings).filter_map(server).take(SERVERS);
    loop {
        let next = named.next().or((asked == 0).then_some(nobody));
        let Some((text, server)) = next else { return false };
        asked += 1;
        let Err(why) = ask(server, query) else { return true };
        tell(&[b"failed", text.as_bytes(), why.as_bytes()]);
        if why == NO_SUCH_NAME || why == NO_ADDRESS {
            return false;
        }
    }
}

/// Writes words as a line.
fn tell(words: &[&[u8]]) {
    let mut line = [0_u8; 512];
    let mut length = 0;
    for (index, word) in words.iter().enumerate() {
        let end: &[u8] = if index + 1 == words.len() { b"\n" } else { b" " };
        for byte in word.iter().chain(end) {
            if let Some(place) = line.get_mut(length) {
                *place = *byte;
                length += 1;
            }
        }
    }
    let mut rest = &line[..length];
    while !rest.is_empty() {
        let written = system(call::WRITE, [1, rest.as_ptr() as usize, rest.len(), 0, 0]);
        if written <= 0 {
            end(FAILED);
        }
        rest = rest.get(written as usize..).unwrap_or_default();
    }
}

/// `stack` is where the kernel put the number of arguments and pointers to them.
unsafe extern "C" fn main(stack: *const usize) -> ! {
    let (mut hosts, mut settings) = ([0_u8; 16 << 10], [0_u8; 8 << 10]);
    let hosts = contents(c"/etc/hosts", &mut hosts);
    let settings = contents(c"/etc/resolv.conf", &mut settings);
    // SAFETY: that is how a process starts.
    let count = unsafe { *stack };
    for index in 1..count {
        // SAFETY: there are `count` pointers behind the number, to texts that end with a zero.
        let name = unsafe { CStr::from_ptr(*stack.add(1 + index) as *const _) }.to_bytes();
        let word: &[u8] = if is_resolved(name, hosts, settings) { b"resolved" } else { b"unresolved" };
        tell(&[word, name]);
    }
    end(ASKED)
}
