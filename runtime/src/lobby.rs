//! The lobby: a thread of its own for callers who have not shown a certificate.
//!
//! Handshakes are computed here, one at a time, and whoever shows no certificate stays here. The
//! thread gives way to all others of the program: strangers, however many, take what machines leave
//! of the processor. On the threads of the links they held up edits for up to 5 ms at a time. It
//! refuses to know what its guests want.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The end of Linux's scale.
#[cfg(target_os = "linux")]
const NICE_MAX: i32 = 19;

/// The thread; dropping it ends it, and all that runs on it.
#[derive(Debug)]
pub(crate) struct Lobby {
    handle: Handle,
    _open: oneshot::Sender<Infallible>,
}

impl Lobby {
    /// Begins the thread. An error if the system gives none.
    pub(crate) fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel();
        thread::Builder::new().name("linli-lobby".to_owned()).spawn(move || {
            step_aside();
            // Nothing is ever sent: it ends when the other half is gone.
            let _ = runtime.block_on(closed);
        })?;
        Ok(Self { handle, _open: open })
    }

    /// Does work here, one step at a time with all others.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(work)
    }
}

/// Lets other threads go first, now: between two steps of the lobby's work.
///
/// A thread that computes without a rest is left alone by Linux until the next tick, some 4 ms, whatever
/// its priority and whoever was woken meanwhile.
pub(crate) fn rest() {
    thread::yield_now();
}

/// Lets all other threads have more.
#[cfg(target_os = "linux")]
fn step_aside() {
    use rustix::process::{getpriority_process, setpriority_process};
    let me = Some(rustix::thread::gettid());
    let back =
        |nice: i32| setpriority_process(me, (nice + crate::limits::LOBBY_NICE).min(NICE_MAX));
    if let Err(error) = getpriority_process(me).and_then(back) {
        tracing::warn!(%error, "strangers are served with the priority of machines");
    }
}

/// Elsewhere priorities are not of a thread, or have other names: a desk that listens in its office
/// has few strangers.
#[cfg(not(target_os = "linux"))]
fn step_aside() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_gives_way_and_ends_with_its_guests() {
        let lobby = Lobby::open().unwrap();
        let (inside, outside) = oneshot::channel::<()>();
        lobby.spawn(async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        });
        #[cfg(target_os = "linux")]
        {
            let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid()));
            let there = lobby.spawn(async move { nice() }).await.unwrap().unwrap();
            assert_eq!(there, (nice().unwrap() + crate::limits::LOBBY_NICE).min(NICE_MAX));
        }
        drop(lobby);
        outside.await.expect_err("the guest is gone");
    }
}
