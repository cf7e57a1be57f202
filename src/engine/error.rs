//! Why a request to the Engine API failed.

use std::time::Duration;

use bollard::errors::Error as ApiError;

/// A request the engine refused, or that did not reach it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine's answer, or a broken connection.
    #[error("{operation}")]
    Request {
        /// What was asked.
        operation: String,
        /// What came back.
        #[source]
        source: ApiError,
    },
    /// The same for requests that bollard has no model for.
    #[error("{operation}")]
    Http {
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
    /// A push ended with an error in its stream.
    #[error("push {reference}: {message}")]
    Push {
        /// The reference.
        reference: String,
        /// The registry's or engine's message.
        message: String,
    },
}

/// What is said of an answer, or a line of one, that is longer than `limit`.
pub(super) fn too_long(limit: usize) -> String {
    format!("the answer is longer than {} MiB: is this a Docker Engine?", limit >> 20)
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine answered with an error.
    #[error("the engine answered {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's message.
        message: String,
    },
    /// The answer goes on and on.
    #[error("{}", too_long(*.0))]
    TooLong(usize),
    /// The answer is not what the API describes.
    #[error("the answer cannot be understood")]
    Answer(#[source] serde_json::Error),
}
