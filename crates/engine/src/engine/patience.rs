//! Asks again where a refusal passes by itself: an engine looks at its things one after the other, and misses what somebody
//! removes meanwhile. docs/design/engine.md lists the refusals. And gives up on an engine that is too slow.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::EngineError;

/// First wait before a question is asked again; it doubles.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// It doubles up to this.
const RETRY_AT_MOST: Duration = Duration::from_millis(800);
/// How often the engine may miss something while it looks before it is believed.
const ATTEMPTS: u32 = 6;

/// Why something is not known where the time for it is over.
pub const TOO_SLOW: &str = "the engine was too slow";

/// What `answer` becomes, where that is before `end`.
///
/// # Errors
/// It is none, or the time is over: why, in words.
pub async fn in_time<T, E: Display>(
    end: Option<Instant>,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let answer = match end {
        None => answer.await,
        Some(end) => timeout_at(end, answer).await.map_err(|_| TOO_SLOW.to_owned())?,
    };
    answer.map_err(|error| error.to_string())
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Everything of a kind: the engine has no reason to say that it is not there.
    All,
    /// One thing, which may be gone: that is an answer.
    One,
}

/// Returns what `ask` returns, and asks again while the refusal is one that passes by itself. Lists need it as much as
/// sums: the containerd store fails all of `/images/json` when one image goes while it walks them.
pub(super) async fn settled<T, F>(about: About, ask: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    let mut wait = RETRY_AFTER;
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(error)
                if is_busy(about, &error) || (attempt < ATTEMPTS && will_pass(about, &error)) =>
            {
                sleep(wait).await;
                attempt += 1;
                wait = RETRY_AT_MOST.min(wait * 2);
            }
            answer => return answer,
        }
    }
}

/// Whether the engine measures for somebody else: 20.10 does so for one client at a time. The time
/// box of such a question ends the wait.
fn is_busy(about: About, error: &EngineError) -> bool {
    let is_busy = |(_, message): (u16, &str)| message.contains("already running");
    about == About::All && error.refusal().is_some_and(is_busy)
}

/// Whether a refusal passes by itself: what was looked at went meanwhile, or got another name.
fn will_pass(about: About, error: &EngineError) -> bool {
    /// `errInconsistentData` of moby's `daemon/containerd/image.go` says so itself.
    const WORDS: [&str; 3] = ["does not exist", "not found", "data changed during operation"];
    error.refusal().is_some_and(|(status, message)| match status {
        404 => about == About::All,
        409 | 500 => WORDS.iter().any(|words| message.contains(words)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use super::super::HttpError;
    use super::*;

    fn refused(status: u16, message: &str) -> EngineError {
        let source = HttpError::Refused { status, message: message.to_owned() };
        EngineError::Request { operation: "inspect image a".into(), source }
    }

    /// How often is asked where the engine refuses with these first, and what comes of it.
    async fn asked(about: About, refusals: &[(u16, &str)]) -> (usize, bool) {
        let times = Cell::new(0);
        let answer = settled(about, || {
            let refusal = refusals.get(times.replace(times.get() + 1)).copied();
            async move { refusal.map_or(Ok(()), |(status, words)| Err(refused(status, words))) }
        })
        .await;
        (times.get(), answer.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_by_itself_is_asked_again() {
        let changed = (500, "consistency error: data changed during operation, retry");
        let missed = (500, "content digest sha256:1: not found");
        for about in [About::All, About::One] {
            assert_eq!(asked(about, &[changed, missed]).await, (3, true));
            assert_eq!(asked(about, &[changed; 9]).await, (6, false));
            assert_eq!(asked(about, &[(500, "disk failure"), changed]).await, (1, false));
            assert_eq!(asked(about, &[(409, "image is in use"), changed]).await, (1, false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_thing_that_is_gone_is_an_answer() {
        let gone = (404, "No such image: a");
        assert_eq!(asked(About::One, &[gone, gone]).await, (1, false));
        assert_eq!(asked(About::All, &[gone, gone]).await, (3, true));
    }

    /// Nothing would end the wait of a removal.
    #[tokio::test(start_paused = true)]
    async fn only_who_has_a_time_box_waits_for_a_busy_engine() {
        let busy = (409, "a disk usage operation is already running");
        assert_eq!(asked(About::All, &[busy; 40]).await, (41, true));
        assert_eq!(asked(About::One, &[busy; 40]).await, (1, false));
    }
}
