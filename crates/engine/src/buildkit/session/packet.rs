//! fsutil's packets as they travel, in gRPC frames.
//!
//! The wire format is that of `fsutil/types/wire.proto`, but paths are bytes: names need not be
//! UTF-8, and the generated types insist on it. STATs are written straight into the buffer that
//! goes out: a warm rebuild of a large context consists of little else.

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};

use crate::build_context::walk::Entry;

/// Length of what gRPC puts before each message: a flag and the length, big-endian.
pub(crate) const FRAME_HEADER: usize = 5;

/// Kinds of packets.
pub(crate) mod kind {
    pub(crate) const STAT: i32 = 0;
    pub(crate) const REQ: i32 = 1;
    pub(crate) const DATA: i32 = 2;
    pub(crate) const FIN: i32 = 3;
    pub(crate) const ERR: i32 = 4;
}

/// A packet of either direction.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Packet {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) stat: Option<WireStat>,
    #[prost(uint32, tag = "3")]
    pub(crate) id: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) data: Bytes,
}

/// Metadata as it travels.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireStat {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) path: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) mode: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) uid: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) gid: u32,
    #[prost(int64, tag = "5")]
    pub(crate) size: i64,
    #[prost(int64, tag = "6")]
    pub(crate) mtime: i64,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) link: Vec<u8>,
    #[prost(int64, tag = "8")]
    pub(crate) devmajor: i64,
    #[prost(int64, tag = "9")]
    pub(crate) devminor: i64,
    /// A map on the wire is a list of such entries.
    #[prost(message, repeated, tag = "10")]
    pub(crate) xattrs: Vec<WireXattr>,
}

/// An extended attribute.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireXattr {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// Appends a frame around whatever `write` appends.
pub(crate) fn put_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER]);
    write(out);
    // No message comes near 4 GiB.
    let len = (out.len() - start - FRAME_HEADER) as u32;
    out[start + 1..start + FRAME_HEADER].copy_from_slice(&len.to_be_bytes());
}

/// Appends the STAT of `entry`. `scratch` is only there to be used again.
pub(crate) fn put_stat(out: &mut Vec<u8>, entry: &Entry<'_>, scratch: &mut Vec<u8>) {
    let stat = entry.stat;
    scratch.clear();
    put_bytes(scratch, 1, entry.path);
    put_number(scratch, 2, u64::from(stat.mode));
    put_number(scratch, 5, stat.size);
    put_number(scratch, 6, stat.mtime.cast_unsigned());
    put_bytes(scratch, 7, entry.link);
    put_number(scratch, 8, stat.devmajor.cast_unsigned());
    put_number(scratch, 9, stat.devminor.cast_unsigned());
    for (name, value) in &stat.xattrs {
        let mut xattr = Vec::with_capacity(name.len() + value.len() + 8);
        put_bytes(&mut xattr, 1, name);
        put_bytes(&mut xattr, 2, value);
        put_bytes(scratch, 10, &xattr);
    }
    put_frame(out, |out| put_bytes(out, 2, scratch));
}

/// Appends the empty STAT that ends the list.
pub(crate) fn put_end_of_stats(out: &mut Vec<u8>) {
    put_frame(out, |_| {});
}

/// Appends a DATA packet; an empty one ends the file.
pub(crate) fn put_data(out: &mut Vec<u8>, id: u32, data: &[u8]) {
    put_frame(out, |out| {
        put_number(out, 1, kind::DATA as u64);
        put_number(out, 3, u64::from(id));
        put_bytes(out, 4, data);
    });
}

/// A packet that is nothing but its kind and a text or id.
pub(crate) fn framed(packet: &Packet) -> Bytes {
    let mut out = Vec::with_capacity(FRAME_HEADER + packet.encoded_len());
    // Writing to a Vec cannot run out of room.
    put_frame(&mut out, |out| packet.encode_raw(out));
    out.into()
}

fn put_number(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag << 3);
        put_varint(out, value);
    }
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(tag << 3 | 2);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Hands on the bytes of a message: what they mean depends on the stream.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RawDecoder;

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

/// Reads a packet.
pub(crate) fn decode(message: Bytes) -> Result<Packet, Status> {
    Packet::decode(message).map_err(|e| Status::internal(format!("malformed packet: {e}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::build_context::stat::{Kind, Stat};
    use bollard_buildkit_proto::fsutil::types as generated;

    #[test]
    fn stats_are_what_the_generated_types_read() {
        let stat = Stat {
            kind: Kind::File,
            mode: 1 << 23 | 0o755,
            size: 300,
            mtime: -7,
            devmajor: 1,
            devminor: 259,
            xattrs: vec![(b"user.a".to_vec(), vec![0, 255]), (b"user.b".to_vec(), Vec::new())],
            ctime: 0,
            id: (1, 2),
            has_links: false,
        };
        let entry = Entry { path: b"a/b", stat: &stat, link: b"first" };
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        put_stat(&mut out, &entry, &mut scratch);
        assert_eq!(out[0], 0);
        assert_eq!(u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize, out.len() - 5);
        let packet = generated::Packet::decode(&out[5..]).unwrap();
        let read = packet.stat.unwrap();
        assert_eq!((read.path.as_str(), read.linkname.as_str()), ("a/b", "first"));
        assert_eq!((read.mode, read.size, read.mod_time), (1 << 23 | 0o755, 300, -7));
        assert_eq!((read.uid, read.gid, read.devmajor, read.devminor), (0, 0, 1, 259));
        assert_eq!(read.xattrs["user.a"], [0, 255]);
        assert_eq!(read.xattrs.len(), 2);
        let own = decode(Bytes::copy_from_slice(&out[5..])).unwrap().stat.unwrap();
        assert_eq!((own.path, own.mtime, own.xattrs.len()), (b"a/b".to_vec(), -7, 2));
    }

    #[test]
    fn data_and_errors_are_what_the_generated_types_read() {
        let mut out = Vec::new();
        put_data(&mut out, 70_000, b"xyz");
        let packet = generated::Packet::decode(&out[5..]).unwrap();
        assert_eq!((packet.r#type, packet.id, packet.data), (2, 70_000, b"xyz".to_vec()));
        let error = Packet { kind: kind::ERR, data: "no".into(), ..Default::default() };
        let packet = generated::Packet::decode(&framed(&error)[5..]).unwrap();
        assert_eq!((packet.r#type, packet.data), (4, b"no".to_vec()));
    }
}
