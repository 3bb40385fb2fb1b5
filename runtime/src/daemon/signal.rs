//! How a daemon's process comes to its end: by a signal, or because its journal failed.

use std::future::Future;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{DaemonError, Handle};

/// Tells how a machine's thread ended.
pub type Ended = oneshot::Receiver<Result<(), DaemonError>>;

/// Exit code of a process whose journal could not be written; whoever supervises it starts it
/// again.
pub const EXIT_JOURNAL: u8 = 70;

/// Writing the views may take this long at the end; what is not written is derived again.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for Ctrl-C, for SIGTERM, or for the machine to end by itself; then lets `close` end links
/// and API, and the machine last.
pub async fn until_end(
    mut ended: Ended,
    handle: &Handle,
    close: impl Future<Output = ()>,
) -> Result<(), DaemonError> {
    tokio::select! {
        outcome = &mut ended => return outcome.unwrap_or(Err(DaemonError::Panicked)),
        () = told() => {}
    }
    tracing::info!("shutting down");
    close.await;
    handle.stop().await;
    if let Ok(outcome) = tokio::time::timeout(CLOSE_TIMEOUT, ended).await {
        return outcome.unwrap_or(Err(DaemonError::Panicked));
    }
    tracing::warn!("the views were not written in time; the next start derives them again");
    Ok(())
}

/// Resolves when the process is asked to end.
#[cfg(unix)]
async fn told() {
    use tokio::signal::unix::{SignalKind, signal};
    // Without handlers the system ends the process, which is safe as well.
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

/// Resolves when the process is asked to end.
#[cfg(not(unix))]
async fn told() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler the system ends the process, which is safe as well.
        std::future::pending().await
    }
}
