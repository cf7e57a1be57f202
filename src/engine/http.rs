//! Plain requests to the Engine API, below bollard, over the same dialer.
//!
//! For answers that bollard's models lose parts of: the disk usage of engines before API 1.53, and
//! the parents of cache records, whose name starts with a space. Knows URLs and statuses, not what
//! the answers mean.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::inventory::ApiVersion;

use super::transport::HttpClient;
use super::{Connector, EngineError, HttpError};

/// The newest API version whose answers this program has been written for.
const NEWEST: ApiVersion = ApiVersion { major: 1, minor: 55 };

/// Largest answer that is taken: the disk usage of an engine with 500,000 records of build cache has about as much,
/// and what never ends must not fill the memory.
const LONGEST_ANSWER: usize = 256 << 20;
/// Of a refusal only the message counts.
pub(crate) const LONGEST_REFUSAL: usize = 1 << 20;

/// What `/_ping` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ping {
    /// The version to speak: the engine's, but none newer than this program knows.
    pub(super) api_version: ApiVersion,
    /// Release, from the `Server` header; empty where there is none.
    pub(super) release: String,
    /// Operating system of the containers.
    pub(super) os: String,
}

/// Plain requests to one engine. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(super) struct Http {
    client: HttpClient,
    ping: Arc<OnceCell<Ping>>,
}

impl Http {
    pub(super) fn new(connector: &Connector) -> Self {
        Self { client: connector.http_client(), ping: Arc::default() }
    }

    /// Asks once which version the engine speaks.
    pub(super) async fn ping(&self) -> Result<&Ping, EngineError> {
        self.ping.get_or_try_init(|| self.ask_ping()).await
    }

    async fn ask_ping(&self) -> Result<Ping, EngineError> {
        let failed = failed("ask the engine's version");
        let response = match self.client.request(request(Method::GET, "/_ping")).await {
            Ok(response) => response,
            Err(error) => return Err(failed(HttpError::Connection(error.into()))),
        };
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let version = ApiVersion::parse(header("Api-Version")).map_or(ApiVersion::v1(41), |own| {
            if own.cmp(&NEWEST) == Ordering::Greater { NEWEST } else { own }
        });
        let release = header("Server").strip_prefix("Docker/").unwrap_or_default();
        Ok(Ping {
            api_version: version,
            release: release.split(' ').next().unwrap_or_default().to_owned(),
            os: header("Ostype").to_owned(),
        })
    }

    /// GET of `path` (which starts with `/`, without the version), decoded.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
    ) -> Result<T, EngineError> {
        let body = self.send(Method::GET, operation, path).await?;
        serde_json::from_slice(&body).map_err(HttpError::Answer).map_err(failed(operation))
    }

    /// The body of a successful answer.
    pub(super) async fn send(
        &self,
        method: Method,
        operation: &str,
        path: &str,
    ) -> Result<Bytes, EngineError> {
        let version = self.ping().await?.api_version;
        let request = request(method, &format!("/v{version}{path}"));
        self.exchange(request).await.map_err(failed(operation))
    }

    /// POST of `path` with a header; `take` gets the body of a successful answer piece by piece, and may refuse it.
    pub(super) async fn post_streaming(
        &self,
        path: &str,
        (name, value): (HeaderName, HeaderValue),
        take: &mut impl FnMut(Bytes) -> Result<(), HttpError>,
    ) -> Result<(), HttpError> {
        let ping = self.ping().await.map_err(|error| match error {
            EngineError::Http { source, .. } => source,
            error => HttpError::Connection(error.into()),
        })?;
        let mut request = request(Method::POST, &format!("/v{}{path}", ping.api_version));
        request.headers_mut().insert(name, value);
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Err(HttpError::Connection(error.into())),
        };
        let (status, mut body) = (response.status(), response.into_body());
        if !status.is_success() {
            let body = Limited::new(body, LONGEST_REFUSAL).collect().await;
            return Err(refused(status, &body.map(|body| body.to_bytes()).unwrap_or_default()));
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| HttpError::Connection(error.into()))?;
            if let Ok(piece) = frame.into_data() {
                take(piece)?;
            }
        }
        Ok(())
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, HttpError> {
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Err(HttpError::Connection(error.into())),
        };
        let status = response.status();
        let limit = if status.is_success() { LONGEST_ANSWER } else { LONGEST_REFUSAL };
        let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLong(limit)
            } else {
                HttpError::Connection(error)
            }
        })?;
        let body = body.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
    }
}

fn failed(operation: &str) -> impl Fn(HttpError) -> EngineError {
    let operation = operation.to_owned();
    move |source| EngineError::Http { operation: operation.clone(), source }
}

fn refused(status: StatusCode, body: &[u8]) -> HttpError {
    HttpError::Refused { status: status.as_u16(), message: told(body) }
}

/// What the body of a refusal says: the engine's message, or the text of whoever else answered.
pub(crate) fn told(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    if let Ok(answer) = serde_json::from_slice::<Message>(body) {
        return answer.message;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // A page is for a browser: whatever answered here, it is no engine.
    if text.starts_with('<') {
        "a web page, not a Docker Engine's answer".to_owned()
    } else {
        text.to_owned()
    }
}

fn request(method: Method, path: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        // The host part is what Go's client sends for sockets too; the dialer never looks at it.
        .uri(format!("http://docker{path}"))
        .body(Full::default())
        .expect("paths are made of constants and percent-encoded values")
}

/// `text` as one part of a URL's path or query: all but letters, digits and `-_.~` encoded (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{HttpError, encoded, refused, told};
    use crate::inventory::ApiVersion;

    #[test]
    fn versions_compare_by_number() {
        assert!(ApiVersion::parse("1.9").unwrap() < ApiVersion::v1(41));
        assert_eq!(ApiVersion::parse("1.51").unwrap().to_string(), "1.51");
        assert_eq!(ApiVersion::parse("dev"), None);
    }

    #[test]
    fn names_survive_a_url() {
        assert_eq!(encoded("doc2md/api:1 ü"), "doc2md%2Fapi%3A1%20%C3%BC");
    }

    #[test]
    fn the_engines_message_is_kept_with_and_without_json() {
        for body in [r#"{"message":"no such thing"}"#, "no such thing\n"] {
            let error = refused(http::StatusCode::NOT_FOUND, body.as_bytes());
            let HttpError::Refused { status, message } = error else { panic!("{error}") };
            assert_eq!((status, message.as_str()), (404, "no such thing"));
        }
        assert!(told(b"<!DOCTYPE HTML>\n<html>").contains("not a Docker Engine"));
    }
}
