//! A forwarder that counts: what really crosses a socket, TLS and all, and how often the direction
//! turns. It refuses to be used where time is measured.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Count {
    up: AtomicU64,
    down: AtomicU64,
    /// Whether the last bytes went up, and how often that changed from up to down.
    turns: Mutex<(bool, u64)>,
}

impl Count {
    /// Payload bytes from the caller so far.
    pub(crate) fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Payload bytes to the caller so far.
    pub(crate) fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// Times that an answer came after something was said: round trips, the handshake's included
    /// and TCP's own left out.
    pub(crate) fn round_trips(&self) -> u64 {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn note(&self, is_up: bool, bytes: usize) {
        let counter = if is_up { &self.up } else { &self.down };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.0 && !is_up {
            turns.1 += 1;
        }
        turns.0 = is_up;
    }
}

/// Forwards to `address`; where to call instead, and the count.
pub(crate) async fn forward(address: String) -> anyhow::Result<(SocketAddr, Arc<Count>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?;
    let count = Arc::new(Count::default());
    let counting = count.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&address).await else { return };
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::spawn(carry(near_in, far_out, counting.clone(), true));
            tokio::spawn(carry(far_in, near_out, counting.clone(), false));
        }
    });
    Ok((here, count))
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<Count>, is_up: bool) {
    let mut buffer = vec![0; 64 * 1024];
    // A connection that breaks ends here as one that closes does.
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        count.note(is_up, bytes);
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
