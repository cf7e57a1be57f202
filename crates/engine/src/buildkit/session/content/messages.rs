//! The messages of `containerd.services.content.v1` that are spoken here. Of larger messages only the
//! fields that mean something here: protobuf skips the others.

use prost::{Enumeration, Message};

#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct Info {
    #[prost(string, tag = "1")]
    pub(in crate::buildkit) digest: String,
    #[prost(int64, tag = "2")]
    pub(in crate::buildkit) size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct InfoRequest {
    #[prost(string, tag = "1")]
    pub(in crate::buildkit) digest: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct InfoResponse {
    #[prost(message, optional, tag = "1")]
    pub(in crate::buildkit) info: Option<Info>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct ReadContentRequest {
    #[prost(string, tag = "1")]
    pub(in crate::buildkit) digest: String,
    #[prost(int64, tag = "2")]
    pub(in crate::buildkit) offset: i64,
    /// Bytes wanted; to the end where it is zero.
    #[prost(int64, tag = "3")]
    pub(in crate::buildkit) size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::buildkit) struct ReadContentResponse {
    #[prost(int64, tag = "1")]
    pub(in crate::buildkit) offset: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::buildkit) data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum WriteAction {
    /// Tell how far the blob is.
    Stat = 0,
    /// Take some of it.
    Write = 1,
    /// It is complete.
    Commit = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteContentRequest {
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub(super) action: i32,
    /// The engine's name for the transfer.
    #[prost(string, tag = "2")]
    pub(super) reference: String,
    /// Size of the whole blob; zero where it is not known yet.
    #[prost(int64, tag = "3")]
    pub(super) total: i64,
    /// Digest of the whole blob; empty where it is not known yet.
    #[prost(string, tag = "4")]
    pub(super) expected: String,
    #[prost(int64, tag = "5")]
    pub(super) offset: i64,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) data: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteContentResponse {
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub(super) action: i32,
    #[prost(int64, tag = "4")]
    pub(super) offset: i64,
    #[prost(int64, tag = "5")]
    pub(super) total: i64,
    #[prost(string, tag = "6")]
    pub(super) digest: String,
}
