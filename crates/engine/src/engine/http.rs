//! Requests to the Engine API in the version that the engine speaks: bollard's, and plain ones for what bollard cannot ask
//! or its models lose. docs/design/engine.md says which these are. Knows URLs and statuses, not what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use bollard::{BollardRequest, body_full};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::inventory::ApiVersion;

use super::error::{failed, message_in};
use super::transport::{self, Allowance, Body, HttpClient};
use super::{Connector, EngineError, HttpError};

/// The newest API version whose answers this program has been written for.
const NEWEST: ApiVersion = ApiVersion::v1(55);

/// How long an engine may take to answer the first question, which costs it nothing.
const FIRST_ANSWER: Duration = Duration::from_secs(120);

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

/// Requests to one engine. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(super) struct Http {
    client: HttpClient,
    ping: Arc<OnceCell<Ping>>,
}

impl Http {
    pub(super) fn new(connector: &Connector) -> Self {
        Self { client: transport::client(connector), ping: Arc::default() }
    }

    /// Asks once which version the engine speaks.
    pub(super) async fn ping(&self) -> Result<&Ping, HttpError> {
        let ask =
            async || timeout(FIRST_ANSWER, self.ask_ping()).await.unwrap_or(Err(HttpError::Silent));
        self.ping.get_or_try_init(ask).await
    }

    async fn ask_ping(&self) -> Result<Ping, HttpError> {
        let response = self.exchange(request(Method::GET, "/_ping")).await?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let version = ApiVersion::parse(header("Api-Version")).unwrap_or(ApiVersion::v1(41));
        let release = header("Server").strip_prefix("Docker/").unwrap_or_default();
        Ok(Ping {
            api_version: version.min(NEWEST),
            release: release.split(' ').next().unwrap_or_default().to_owned(),
            os: header("Ostype").to_owned(),
        })
    }

    /// Sends a request for a path without a version in the version that the engine speaks. bollard's paths have none
    /// either: `Url::join` drops it (bollard 0.21, `src/uri.rs`).
    pub(super) async fn versioned(
        &self,
        mut request: BollardRequest,
    ) -> Result<Response<Incoming>, HttpError> {
        let version = self.ping().await?.api_version;
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = format!("http://docker/v{version}{path}").parse();
        *request.uri_mut() = uri.expect("a valid path has been lengthened");
        self.exchange(request).await
    }

    async fn exchange(&self, request: BollardRequest) -> Result<Response<Incoming>, HttpError> {
        let response = self.client.request(request).await.map_err(HttpError::connection)?;
        if !response.status().is_success() {
            limit(&response, LONGEST_REFUSAL);
        }
        Ok(response)
    }

    /// GET of `path` (which starts with `/`, without the version), decoded.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
    ) -> Result<T, EngineError> {
        let body = self.send(Method::GET, operation, path).await?;
        serde_json::from_slice(&body).map_err(failed(operation))
    }

    /// The body of a successful answer.
    pub(super) async fn send(
        &self,
        method: Method,
        operation: &str,
        path: &str,
    ) -> Result<Bytes, EngineError> {
        let body = async {
            let response = self.versioned(request(method, path)).await?;
            accepted(response).await?.collect().await.map_err(HttpError::connection)
        };
        Ok(body.await.map_err(failed(operation))?.to_bytes())
    }

    /// POST of `body` to `path` with a header; `take` gets the body of a successful answer piece by piece, and may refuse it.
    pub(super) async fn post_streaming(
        &self,
        path: &str,
        (name, value): (HeaderName, HeaderValue),
        body: Body,
        take: &mut impl FnMut(Bytes) -> Result<(), HttpError>,
    ) -> Result<(), HttpError> {
        let mut request = request(Method::POST, path);
        *request.body_mut() = body;
        request.headers_mut().insert(name, value);
        let response = self.versioned(request).await?;
        if response.status().is_success() {
            // Whoever takes the pieces keeps none.
            limit(&response, usize::MAX);
        }
        let mut body = accepted(response).await?;
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(HttpError::connection)?.into_data() {
                take(piece)?;
            }
        }
        Ok(())
    }
}

/// Returns the body of a successful answer; of another, the error that it tells.
async fn accepted(response: Response<Incoming>) -> Result<Incoming, HttpError> {
    let (status, body) = (response.status(), response.into_body());
    if status.is_success() {
        return Ok(body);
    }
    let body = body.collect().await.map_err(HttpError::connection)?.to_bytes();
    Err(refused(status, &body))
}

fn limit(response: &Response<Incoming>, bytes: usize) {
    if let Some(allowance) = response.extensions().get::<Allowance>() {
        allowance.limit(bytes);
    }
}

fn refused(status: StatusCode, body: &[u8]) -> HttpError {
    HttpError::Refused { status: status.as_u16(), message: message_in(body) }
}

fn request(method: Method, path: &str) -> BollardRequest {
    Request::builder()
        .method(method)
        // The host part is what Go's client sends for sockets too; the dialer never looks at it.
        .uri(format!("http://docker{path}"))
        .body(body_full(Bytes::new()))
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
    use super::{HttpError, encoded, message_in, refused};
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
        assert!(message_in(b"<!DOCTYPE HTML>\n<html>").contains("not a Docker Engine"));
    }
}
