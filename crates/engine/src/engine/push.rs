//! Pushes an image from the engine's store.
//!
//! By a plain request: of a line that does not end bollard keeps everything, and reads it again with every piece that
//! comes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::auth::DockerCredentials;
use bollard::body_full;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::api::{Engine, RegistryCredentials, registry_of};
use super::error::{TooLong, failed};
use super::http::encoded;
use super::{EngineError, HttpError};

/// Header with the login (moby `api/types/registry/authconfig.go`).
const LOGIN: HeaderName = HeaderName::from_static("x-registry-auth");
/// Longest line of progress that is read.
const LONGEST_LINE: usize = 1 << 20;

/// A line of progress, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    /// What is for people to read, as it is.
    pub(super) stream: Option<String>,
    error_detail: Option<Detail>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    message: Option<String>,
}

impl Line {
    pub(super) fn error(self) -> Option<String> {
        self.error_detail.and_then(|detail| detail.message).or(self.error)
    }
}

impl Engine {
    /// Pushes `reference` from the engine's image store.
    ///
    /// # Errors
    /// The registry or the engine refused.
    pub async fn push(
        &self,
        reference: &str,
        credentials: RegistryCredentials,
    ) -> Result<(), EngineError> {
        let operation = format!("push {reference}");
        let (name, tag) = split_tag(reference);
        let login = DockerCredentials {
            serveraddress: Some(registry_of(reference).to_owned()),
            username: Some(credentials.username),
            password: Some(credentials.password),
            identitytoken: Some(credentials.identity_token).filter(|token| !token.is_empty()),
            ..DockerCredentials::default()
        };
        let login = serde_json::to_vec(&login).map_err(failed(&operation))?;
        let mut login = HeaderValue::from_str(&URL_SAFE.encode(login))
            .expect("base64 is what headers may hold");
        login.set_sensitive(true);
        let name: Vec<String> = name.split('/').map(encoded).collect();
        let path = format!("/images/{}/push?tag={}", name.join("/"), encoded(tag));
        let mut lines = Lines::default();
        let mut refused = None;
        let mut take = |piece: Bytes| {
            lines.push(&piece, |line| {
                // What is not progress is not a failure either.
                let line = serde_json::from_slice::<Line>(line).ok();
                refused = refused.take().or_else(|| line?.error());
            })
        };
        let pushed = self
            .http()
            .post_streaming(&path, (LOGIN, login), body_full(Bytes::new()), &mut take)
            .await;
        pushed.and_then(|()| take(Bytes::from_static(b"\n"))).map_err(failed(operation))?;
        match refused {
            Some(message) => Err(EngineError::Push { reference: reference.to_owned(), message }),
            None => Ok(()),
        }
    }
}

/// Splits `host:5000/name:tag` into name and tag; the tag is `latest` when there is none.
fn split_tag(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

/// Pieces of a stream to its lines.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), HttpError> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(part);
            if part.ends_with(b"\n") {
                each(&self.0);
                self.0.clear();
            } else if self.0.len() > LONGEST_LINE {
                return Err(TooLong(LONGEST_LINE).into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tags() {
        assert_eq!(split_tag("a:b"), ("a", "b"));
        assert_eq!(split_tag("h:5000/a"), ("h:5000/a", "latest"));
        assert_eq!(split_tag("h:5000/a:c"), ("h:5000/a", "c"));
    }

    #[test]
    fn progress_is_read_line_by_line_however_it_is_cut() {
        let all = b"{\"status\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"no\"},\"error\":\"e\"}\n{\"error\":\"e\"}\n";
        for size in [1, 7, 1000] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in all.chunks(size) {
                let each = |line: &[u8]| found.extend(serde_json::from_slice::<Line>(line).ok());
                lines.push(piece, each).unwrap();
            }
            let errors: Vec<_> = found.into_iter().map(Line::error).collect();
            assert_eq!(errors, [None, Some("no".to_owned()), Some("e".to_owned())]);
        }
    }

    #[test]
    fn a_line_without_an_end_is_too_long() {
        let (mut lines, piece) = (Lines::default(), [b'x'; 10_000]);
        let ended = (0..1000).try_for_each(|_| lines.push(&piece, |_| {}));
        assert!(matches!(ended, Err(HttpError::TooLong(TooLong(LONGEST_LINE)))), "{ended:?}");
        assert!(lines.0.len() < LONGEST_LINE + 20_000);
    }
}
