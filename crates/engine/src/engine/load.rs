//! Loads an image from an archive.
//!
//! By a plain request, as a push: bollard wants the archive in memory, or as a stream that cannot fail.

use std::io;

use bollard::body_try_stream;
use bytes::Bytes;
use futures_util::Stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::EngineError;
use super::api::Engine;
use super::error::failed;
use super::push::{Line, Lines};

const OPERATION: &str = "load the image into the engine";
/// How the containerd store says that an image which it keeps all the same cannot be run (moby
/// `daemon/containerd/image_exporter.go`): in a line for people, and not as an error.
const NOT_UNPACKED: &str = "Error unpacking image";

impl Engine {
    /// Loads the images in an archive that comes in `pieces`.
    ///
    /// # Errors
    /// The pieces end with an error, the engine refused, or it could not use all of the archive.
    pub async fn load(
        &self,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let body = body_try_stream(pieces);
        let header = (CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
        let (mut lines, mut refused) = (Lines::default(), None);
        let mut take = |piece: Bytes| {
            lines.push(&piece, |line| {
                let line = serde_json::from_slice::<Line>(line).ok();
                refused = refused.take().or_else(|| failure(line?));
            })
        };
        let loaded = self.http().post_streaming("/images/load?quiet=1", header, body, &mut take);
        loaded.await.and_then(|()| take(Bytes::from_static(b"\n"))).map_err(failed(OPERATION))?;
        match refused {
            Some(message) => Err(EngineError::Load { message }),
            None => Ok(()),
        }
    }
}

/// What a line says of a failure.
fn failure(line: Line) -> Option<String> {
    let told = line.stream.as_deref().map(str::trim);
    let unpacked = told.filter(|text| text.starts_with(NOT_UNPACKED)).map(str::to_owned);
    line.error().or(unpacked)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failure_is_an_error_or_a_line_for_people() {
        let failure = |text: &str| failure(serde_json::from_str(text).unwrap());
        assert_eq!(failure(r#"{"stream":"Loaded image: a:b\n"}"#), None);
        assert_eq!(
            failure(r#"{"errorDetail":{"message":"no space"},"error":"no"}"#).unwrap(),
            "no space"
        );
        let unpacking = r#"{"stream":"Error unpacking image a:b: NotFound\n"}"#;
        assert_eq!(failure(unpacking).unwrap(), "Error unpacking image a:b: NotFound");
    }
}
