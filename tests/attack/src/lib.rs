//! What a hub has to bear: callers that mean it no good, over real sockets.
//!
//! Each attack runs against one address for a stated time with a stated number of connections, and
//! says what became of it. It refuses other addresses than those of this machine, so that nobody
//! is attacked by a mistyped setting.

mod desk;
mod http2;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use tls::Dialled;

/// An attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Streams that are opened and reset at once, as fast as they are taken.
    RapidResets,
    /// Handshakes that begin and do not go on.
    SlowHandshakes,
    /// Connections without a certificate that say nothing.
    IdleConnections,
    /// Headers that never end, in CONTINUATION frames.
    HeaderFlood,
    /// A desk that lets one byte through at a time.
    TinyWindows,
    /// A desk that opens a link and reads nothing.
    NeverReading,
    /// A desk that sends broken changes over and over, and frames out of turn.
    Junk,
}

/// All of them.
pub const ATTACKS: [Attack; 7] = [
    Attack::RapidResets,
    Attack::SlowHandshakes,
    Attack::IdleConnections,
    Attack::HeaderFlood,
    Attack::TinyWindows,
    Attack::NeverReading,
    Attack::Junk,
];

/// Whom to attack, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The hub, on this machine.
    pub address: SocketAddr,
    /// The folder of a machine that was enrolled to misbehave.
    pub identity: PathBuf,
}

/// What became of an attack.
#[derive(Debug, Default)]
pub struct Tally {
    opened: AtomicU64,
    closed: AtomicU64,
    done: AtomicU64,
}

impl Tally {
    /// Connections that were made.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Connections or links that the hub ended.
    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Acts: resets, frames, changes, by the attack's kind.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn note_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_done(&self, acts: u64) {
        self.done.fetch_add(acts, Ordering::Relaxed);
    }
}

/// Between two tries of one attacker, so that it is the hub and not the client that is kept busy.
const PAUSE: Duration = Duration::from_millis(10);
/// Resets in one write.
const RESETS: u32 = 100;

/// Attacks over `connections` connections until `lasting` is over, or the future is dropped; `tally`
/// says meanwhile what became of it.
pub async fn attack(
    target: &Target,
    attack: Attack,
    connections: usize,
    lasting: Duration,
    tally: &Arc<Tally>,
) -> anyhow::Result<()> {
    ensure!(target.address.ip().is_loopback(), "only hubs on this machine are attacked");
    let until = Instant::now() + lasting;
    if attack == Attack::Junk {
        return desk::misbehave(target, tally, until).await;
    }
    let mut attackers = JoinSet::new();
    for _ in 0..connections {
        let (target, tally) = (target.clone(), tally.clone());
        attackers.spawn(async move {
            while Instant::now() < until {
                // Whatever ends a try, the next one follows.
                let _ended = timeout_at(until, once(&target, attack, &tally)).await;
                sleep(PAUSE).await;
            }
        });
    }
    attackers.join_all().await;
    Ok(())
}

/// One connection's attack, until the hub ends it.
async fn once(target: &Target, attack: Attack, tally: &Tally) -> anyhow::Result<()> {
    match attack {
        Attack::SlowHandshakes => {
            let mut tcp = TcpStream::connect(target.address).await?;
            tally.note_opened();
            // The first bytes of a record of a handshake, whose rest never comes.
            tcp.write_all(&[22, 3, 1, 2]).await?;
            drain(&mut tcp).await;
            tally.note_closed();
        }
        Attack::IdleConnections => {
            let mut stream = tls::connect(target.address, None).await?;
            tally.note_opened();
            drain(&mut stream).await;
            tally.note_closed();
        }
        Attack::RapidResets => {
            let stream = tls::connect(target.address, None).await?;
            until_closed(
                stream,
                tally,
                |nth| http2::resets(nth * RESETS, RESETS),
                u64::from(RESETS),
            )
            .await?;
        }
        Attack::HeaderFlood => {
            let stream = tls::connect(target.address, None).await?;
            let part =
                |nth| if nth == 0 { http2::endless_headers() } else { http2::continuation() };
            until_closed(stream, tally, part, 1).await?;
        }
        Attack::TinyWindows => {
            let mut stream = tls::connect(target.address, Some(&target.identity)).await?;
            tally.note_opened();
            stream.write_all(&http2::opening(1)).await?;
            stream.write_all(&http2::call(1)).await?;
            let (mut read, mut write) = tokio::io::split(stream);
            let wide = async {
                // One byte more from time to time, so that there is always something under way.
                while write.write_all(&http2::window(1, 1)).await.is_ok() {
                    tally.note_done(1);
                    sleep(PAUSE).await;
                }
            };
            tokio::select! { () = drain(&mut read) => {} () = wide => {} }
            tally.note_closed();
        }
        Attack::NeverReading => {
            let mut stream = tls::connect(target.address, Some(&target.identity)).await?;
            tally.note_opened();
            stream.write_all(&http2::opening(65_535)).await?;
            stream.write_all(&http2::call(1)).await?;
            // Pings want answers, which nobody takes.
            while stream.write_all(&http2::pings(64)).await.is_ok() {
                tally.note_done(64);
                sleep(PAUSE).await;
            }
            tally.note_closed();
        }
        Attack::Junk => {}
    }
    Ok(())
}

/// Writes one part after the other until the hub ends the connection.
async fn until_closed(
    mut stream: Dialled,
    tally: &Tally,
    part: impl Fn(u32) -> Vec<u8>,
    acts: u64,
) -> anyhow::Result<()> {
    tally.note_opened();
    stream.write_all(&http2::opening(65_535)).await?;
    let (mut read, mut write) = tokio::io::split(stream);
    let flood = async {
        for nth in 0.. {
            if write.write_all(&part(nth)).await.is_err() {
                break;
            }
            tally.note_done(acts);
        }
    };
    tokio::select! { () = drain(&mut read) => {} () = flood => {} }
    tally.note_closed();
    Ok(())
}

/// Reads to the end.
async fn drain(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}
