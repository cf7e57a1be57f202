//! Why a request to the Engine API failed. bollard's errors and those of plain requests become the same ones.

use std::error::Error;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use serde::Deserialize;

use super::connector::error_within;

/// A request the engine refused, or that did not reach it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request failed.
    #[error("{operation}")]
    Request {
        /// What was asked.
        operation: String,
        /// What came back.
        #[source]
        source: HttpError,
    },
    /// The engine took too long.
    #[error("{operation}: no answer within {limit:?}")]
    TimedOut {
        /// What was asked.
        operation: String,
        /// How long it was given.
        limit: Duration,
    },
    /// The engine was there, and then answered no question.
    #[error("{operation}: {why}")]
    Silent {
        /// What was asked.
        operation: String,
        /// What came back to the first question.
        why: String,
    },
    /// Loading an image ended with an error in the engine's answer.
    #[error("load the image into the engine: {message}")]
    Load {
        /// The engine's message.
        message: String,
    },
    /// A push ended with an error in its stream.
    #[error("push {reference}: {message}")]
    Push {
        /// The reference.
        reference: String,
        /// The registry's or engine's message.
        message: String,
    },
}

impl EngineError {
    /// Returns the status and the message with which the engine refused the request; `None` where it failed otherwise.
    pub fn refusal(&self) -> Option<(u16, &str)> {
        match self {
            Self::Request { source: HttpError::Refused { status, message }, .. } => {
                Some((*status, message))
            }
            _ => None,
        }
    }
}

/// Adds what was asked to what came back.
pub(super) fn failed<E: Into<HttpError>>(
    operation: impl Into<String>,
) -> impl FnOnce(E) -> EngineError {
    let operation = operation.into();
    move |error| EngineError::Request { operation, source: error.into() }
}

/// Turns the refusal of what the engine does not have into `None`.
///
/// # Errors
/// Any other failure.
pub(super) fn unless_missing<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.refusal().is_some_and(|(status, _)| status == 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An answer, or a line of one, is longer than this many bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is longer than {} MiB: is this a Docker Engine?", .0 >> 20)]
pub struct TooLong(pub usize);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// The engine answered with an error.
    #[error("the engine answered {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's message.
        message: String,
    },
    /// The answer goes on and on.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The engine did not begin to answer for minutes.
    #[error("no answer")]
    Silent,
    /// The answer is not what the API describes.
    #[error("the answer cannot be understood")]
    Answer(#[source] Box<dyn Error + Send + Sync>),
}

impl HttpError {
    pub(super) fn connection(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        match error_within::<TooLong>(&*error) {
            Some(too_long) => Self::TooLong(*too_long),
            None => Self::Connection(error),
        }
    }
}

impl From<serde_json::Error> for HttpError {
    fn from(error: serde_json::Error) -> Self {
        Self::Answer(error.into())
    }
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::DockerResponseServerError { status_code, message } => {
                Self::Refused { status: status_code, message: message_in(message.as_bytes()) }
            }
            ApiError::JsonDataError { .. } | ApiError::JsonSerdeError { .. } => {
                Self::Answer(error.into())
            }
            ApiError::RequestTimeoutError => Self::Silent,
            // Our own, which bollard has passed on.
            ApiError::IOError { err } => err.downcast().unwrap_or_else(Self::connection),
            ApiError::HyperResponseError { err } => Self::connection(err),
            other => Self::connection(other),
        }
    }
}

impl From<HttpError> for ApiError {
    fn from(error: HttpError) -> Self {
        Self::IOError { err: std::io::Error::other(error) }
    }
}

/// What the body of a refusal says: the engine's message, or the text of whoever else answered.
pub(crate) fn message_in(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    if let Ok(answer) = serde_json::from_slice::<Message>(body) {
        return answer.message;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // A page is for a browser: whatever answered here is not an engine.
    if text.starts_with('<') {
        "a web page, not a Docker Engine's answer".to_owned()
    } else {
        text.to_owned()
    }
}
