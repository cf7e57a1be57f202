//! What stops a run from outside: Ctrl-C, SIGTERM, SIGHUP and the time limit.
//!
//! A thread of its own listens, so a run is stopped whatever its main thread waits for: an engine that is silent, a file
//! system that hangs. A run that is not in an orderly part is dropped where it waits. An orderly part, such as builds that
//! have to be cancelled, watches [`Interrupt::token`] and ends by itself; a second signal ends the program at once in any
//! case. The rules: `docs/design/files.md`, "What stops a run".

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::error::{CommandError, ExitKind};

/// How long the main thread may take to notice that the run is over, outside of orderly parts.
const NOTICE: Duration = Duration::from_millis(400);
/// How much longer than the time limit an orderly part may take. A cancel takes up to 7 s on Docker 25.0 to 27.0.
const ORDERLY_END: Duration = Duration::from_secs(15);
/// How long it may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Ctrl-C, SIGTERM or SIGHUP.
    Signal,
    /// The time limit, which was this long.
    TimeLimit(Duration),
}

impl Cause {
    /// What a run ends with that was stopped before it had anything to tell.
    pub fn error(self) -> CommandError {
        match self {
            Self::Signal => CommandError::new(ExitKind::Interrupted, "interrupted"),
            Self::TimeLimit(limit) => {
                CommandError::new(ExitKind::Failed, format!("timed out after {limit:?}"))
            }
        }
    }
}

/// When a run ends at the latest.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    /// How long it may take.
    pub limit: Duration,
    /// When that is over.
    pub at: Instant,
}

/// Tells a run that it is to stop. Clones are the same.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    token: CancellationToken,
    /// Why, and whether an orderly part was running then.
    cause: OnceLock<(Cause, bool)>,
    orderly_parts: AtomicUsize,
    is_over: AtomicBool,
    limit: watch::Sender<Option<TimeLimit>>,
    leftovers: Mutex<Vec<PathBuf>>,
}

/// A part of a run that stops by itself when the token is cancelled; the part ends when this is dropped.
#[derive(Debug)]
pub struct OrderlyPart(Interrupt);

impl Drop for OrderlyPart {
    fn drop(&mut self) {
        self.0.0.orderly_parts.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Interrupt {
    /// Starts listening. `last_words` are said where the main thread does not notice that the run is over; they answer the
    /// exit code.
    ///
    /// # Errors
    /// The operating system refused to deliver signals or to start a thread.
    pub fn listen(last_words: impl FnOnce(Cause) -> u8 + Send + 'static) -> std::io::Result<Self> {
        let (limit, limits) = watch::channel(None);
        let interrupt = Self(Arc::new(Inner {
            token: CancellationToken::new(),
            cause: OnceLock::new(),
            orderly_parts: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            limit,
            leftovers: Mutex::default(),
        }));
        let listener = runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _in_runtime = listener.enter();
            Signals::listen()?
        };
        let inner = interrupt.0.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || listener.block_on(watch(&inner, signals, limits, last_words)))?;
        Ok(interrupt)
    }

    /// The run may take this long, from now on.
    pub fn limit(&self, limit: Duration) {
        let at = Instant::now() + limit;
        self.0.limit.send_replace(Some(TimeLimit { limit, at }));
    }

    /// The time limit, if there is one.
    pub fn time_limit(&self) -> Option<TimeLimit> {
        *self.0.limit.borrow()
    }

    /// Cancelled when the run is to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }

    /// Why the run is to stop, if it is.
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause.get().map(|(cause, _)| *cause)
    }

    /// The part of the run until the answer is dropped ends by itself.
    #[must_use]
    pub fn orderly_part(&self) -> OrderlyPart {
        self.0.orderly_parts.fetch_add(1, Ordering::SeqCst);
        OrderlyPart(self.clone())
    }

    /// Ends when the run is to be dropped, which never is where an orderly part is told to stop.
    pub async fn stopped(&self) -> Cause {
        self.0.token.cancelled().await;
        match self.0.cause.get() {
            Some((cause, false)) => *cause,
            _ => std::future::pending().await,
        }
    }

    /// A directory to remove if the program ends without running destructors.
    pub fn remove_at_exit(&self, directory: &Path) {
        self.0.leftovers().push(directory.to_owned());
    }

    /// The run has ended: what follows is short.
    pub fn is_over(&self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

impl Inner {
    fn leftovers(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exit(&self, code: u8) -> ! {
        for directory in self.leftovers().iter() {
            let _ = std::fs::remove_dir_all(directory);
        }
        exit(code)
    }
}

async fn watch(
    inner: &Inner,
    mut signals: Signals,
    limits: watch::Receiver<Option<TimeLimit>>,
    last_words: impl FnOnce(Cause) -> u8 + Send + 'static,
) {
    let cause = tokio::select! {
        () = signals.next() => Cause::Signal,
        limit = passed(limits) => Cause::TimeLimit(limit),
    };
    let orderly = inner.orderly_parts.load(Ordering::SeqCst) > 0;
    let _ = inner.cause.set((cause, orderly));
    inner.token.cancel();
    let patience = async {
        match (orderly, cause) {
            (false, _) => sleep(NOTICE).await,
            (true, Cause::TimeLimit(_)) => sleep(ORDERLY_END).await,
            // Whoever is not content with that says it again.
            (true, Cause::Signal) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.next() => inner.exit(ExitKind::Interrupted as u8),
        () = patience => {}
    }
    if inner.is_over.load(Ordering::SeqCst) {
        signals.next().await;
        inner.exit(ExitKind::Interrupted as u8);
    }
    // Whoever holds the streams may be what hangs.
    let (said, code) = mpsc::channel();
    std::thread::spawn(move || said.send(last_words(cause)));
    let code = code.recv_timeout(LAST_WORDS).unwrap_or(cause.error().kind as u8);
    inner.exit(code)
}

/// Ends when the time limit has passed, once there is one.
async fn passed(mut limits: watch::Receiver<Option<TimeLimit>>) -> Duration {
    loop {
        let limit = *limits.borrow_and_update();
        let end = async {
            match limit {
                Some(TimeLimit { at, limit }) => {
                    sleep_until(at).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            limit = end => return limit,
            Ok(()) = limits.changed() => {}
        }
    }
}

// Nothing may hold the program back any more.
#[allow(clippy::exit)]
fn exit(code: u8) -> ! {
    std::process::exit(code.into())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where whoever started the program wants it to outlive the terminal, as nohup does.
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether this process was started with SIGHUP ignored (proc_pid_status(5)). Elsewhere nobody can tell without
/// changing it.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
