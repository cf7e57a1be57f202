//! Ctrl-C and SIGTERM: the first cancels the run, the second ends the program at once.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The run's temporary directory, once it has one: leaving at once runs no destructors.
pub type Leftover = Arc<OnceLock<PathBuf>>;

/// Starts listening. The token is cancelled by the first signal; the second ends the program with
/// code 130 without waiting for anything. The terminal needs no care: between two frames of the
/// live view its cursor is visible and below the view.
///
/// # Errors
/// The operating system refused to deliver signals to this program.
pub fn cancel_on_interrupt(leftover: Leftover) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let first = token.clone();
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        first.cancel();
        signals.next().await;
        if let Some(directory) = leftover.get() {
            let _ = std::fs::remove_dir_all(directory);
        }
        exit_interrupted();
    });
    Ok(token)
}

// The user asked twice: nothing may hold the program back any more.
#[allow(clippy::exit)]
fn exit_interrupted() -> ! {
    std::process::exit(130)
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
