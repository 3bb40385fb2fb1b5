//! A link: frames to and from one authenticated peer, as events for the replica.
//!
//! The replica's thread never waits here: it offers frames to a bounded queue, keeps what finds no
//! room, and is told when there is room again. Coding and compression happen in the link's own
//! tasks. A link refuses to reorder, to drop and to buffer without bound: when the replica is
//! slow, it stops reading, and the network tells the peer.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use linli_domain::id::PeerName;
use linli_proto::v1::Envelope;
use linli_replica::frame::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Status, Streaming};

use crate::ahead::Ahead;
use crate::conduct::Conduct;
use crate::limits::{LINK_EVENTS_MAX, LINK_FRAMES_MAX};
use crate::tls::Traffic;
use crate::wire::{self, WireError};

/// One life of a link; never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What links tell the replica. For each link: one `Up`, then any of the others, last one `Down`.
#[derive(Debug)]
pub enum LinkEvent {
    /// A link is there.
    Up {
        /// The link.
        link: LinkId,
        /// Who is on the other end, by its certificate.
        peer: PeerName,
        /// Takes the frames to send. Dropping it closes the link.
        frames: LinkSender,
        /// Whether this side dialled.
        dialled: bool,
    },
    /// A frame came.
    Frame {
        /// The link.
        link: LinkId,
        /// The frame.
        frame: Frame,
        /// What the gate says of its changes by themselves.
        ahead: Ahead,
    },
    /// After [`SendRefused::Full`]: there is room again.
    Room {
        /// The link.
        link: LinkId,
    },
    /// The link is gone.
    Down {
        /// The link.
        link: LinkId,
        /// Why.
        reason: DownReason,
    },
}

/// Why a link is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// The peer ended it in good order.
    #[error("the other side closed the link")]
    PeerClosed,
    /// The replica let it go.
    #[error("this side closed the link")]
    LetGo,
    /// This program is ending, or no longer dials.
    #[error("this program is shutting down")]
    ShuttingDown,
    /// The peer was revoked.
    #[error("the machine was revoked")]
    Revoked,
    /// It has stood for so long that another takes its place.
    #[error("the link has reached its age; a new one takes its place")]
    Aged,
    /// The peer's certificate came to its end.
    #[error("the machine's certificate has ended")]
    CertificateEnded,
    /// The peer sent what breaks a bound or a form.
    #[error("the other side sent a broken frame: {0}")]
    Broken(#[from] WireError),
    /// The peer refuses this machine.
    #[error("the other side refuses this machine: {why}")]
    Refused {
        /// In the peer's words.
        why: String,
    },
    /// The connection broke.
    #[error("the connection was lost: {why}")]
    Lost {
        /// In the transport's words.
        why: String,
    },
}

/// Where links of one program meet: they share one queue of events and one count of traffic.
#[derive(Debug, Clone)]
pub struct Links {
    events: mpsc::Sender<LinkEvent>,
    next: Arc<AtomicU64>,
    traffic: Arc<Traffic>,
    conduct: Conduct,
    standing: Standing,
}

/// How many links stand to each peer.
#[derive(Debug, Clone, Default)]
struct Standing(Arc<Mutex<BTreeMap<PeerName, usize>>>);

impl Standing {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerName, usize>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One link that stands.
#[derive(Debug)]
struct Stands {
    standing: Standing,
    peer: PeerName,
}

impl Stands {
    fn to(standing: &Standing, peer: &PeerName) -> Self {
        *standing.lock().entry(peer.clone()).or_default() += 1;
        Self { standing: standing.clone(), peer: peer.clone() }
    }
}

impl Drop for Stands {
    fn drop(&mut self) {
        let mut standing = self.standing.lock();
        let left = standing.get(&self.peer).map_or(0, |links| links - 1);
        if left == 0 {
            standing.remove(&self.peer);
        } else {
            standing.insert(self.peer.clone(), left);
        }
    }
}

impl Links {
    /// The meeting place, and the queue that the replica's thread reads. Links end when the
    /// receiver is dropped.
    pub fn new() -> (Self, mpsc::Receiver<LinkEvent>) {
        let (events, receiver) = mpsc::channel(LINK_EVENTS_MAX);
        let next = Arc::new(AtomicU64::new(1));
        let (traffic, conduct) = (Arc::default(), Conduct::default());
        let standing = Standing::default();
        (Self { events, next, traffic, conduct, standing }, receiver)
    }

    /// Whether a link to a peer stands, whoever dialled it.
    pub fn stands(&self, peer: &PeerName) -> bool {
        self.standing.lock().contains_key(peer)
    }

    /// How the machines behave that dialled this one.
    pub fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    /// Bytes over all links and enrolments so far.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// The halves of a new link.
    pub(crate) fn open(&self, peer: PeerName, dialled: bool) -> (Session, Outgoing) {
        let link = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, frames) = mpsc::channel(LINK_FRAMES_MAX);
        let (end, ended) = oneshot::channel();
        let (live, gone) = oneshot::channel();
        let stalled = Arc::new(AtomicBool::new(false));
        let queued = Arc::new(AtomicUsize::new(0));
        // Whom we dialled we chose; who dialled us is watched.
        let watched =
            (!dialled).then(|| Watched { conduct: self.conduct.clone(), peer: peer.clone() });
        let parting = Arc::new(OnceLock::new());
        let frames_in = LinkSender {
            frames: sender,
            stalled: stalled.clone(),
            queued: queued.clone(),
            parting: parting.clone(),
            watched: watched.clone(),
        };
        let stands = Stands::to(&self.standing, &peer);
        let up = LinkEvent::Up { link, peer, frames: frames_in, dialled };
        let (up, events) = (Some(up), self.events.clone());
        let session = Session { link, up, events: events.clone(), end, gone, watched, stands };
        let live = Some(live);
        (session, Outgoing { link, frames, stalled, queued, parting, events, ended, live })
    }
}

/// Takes the frames to send on one link. Dropping it closes the link.
#[derive(Debug)]
pub struct LinkSender {
    frames: mpsc::Sender<Frame>,
    stalled: Arc<AtomicBool>,
    /// Bytes of the frames in the queue.
    queued: Arc<AtomicUsize>,
    parting: Arc<OnceLock<&'static str>>,
    watched: Option<Watched>,
}

/// A peer that dialled us, and where its conduct is noted.
#[derive(Debug, Clone)]
struct Watched {
    conduct: Conduct,
    peer: PeerName,
}

/// A frame that was not taken.
#[derive(Debug)]
pub enum SendRefused {
    /// No room; a [`LinkEvent::Room`] will say when there is. Gives the frame back.
    Full(Box<Frame>),
    /// The link is gone; its [`LinkEvent::Down`] is on the way.
    Gone,
}

impl LinkSender {
    /// Offers a frame; never waits.
    pub fn try_send(&self, frame: Frame) -> Result<(), SendRefused> {
        let Err(refused) = self.offer(frame) else { return Ok(()) };
        let SendRefused::Full(frame) = refused else { return Err(refused) };
        // The queue may have emptied since, with nobody left to notice the flag: look again.
        self.stalled.store(true, Ordering::SeqCst);
        self.offer(*frame)
    }

    /// Bytes that wait in the queue, about.
    pub fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// So many changes that the peer sent were refused.
    pub fn note_refused(&self, changes: usize) {
        if let Some(Watched { conduct, peer }) = &self.watched {
            conduct.note_refused(peer, changes);
        }
    }

    /// The peer broke a rule that the replica knows; the link is about to be closed.
    pub fn note_breach(&self) {
        if let Some(Watched { conduct, peer }) = &self.watched {
            conduct.note_breach(peer);
        }
    }

    /// The link is about to be closed, and who dialled it is told why.
    pub fn part(&self, why: &'static str) {
        // The first word stands.
        let _said = self.parting.set(why);
    }

    fn offer(&self, frame: Frame) -> Result<(), SendRefused> {
        // Counted first: it may leave before `try_send` returns.
        let bytes = wire::bytes_of(&frame);
        self.queued.fetch_add(bytes, Ordering::Relaxed);
        self.frames.try_send(frame).map_err(|refused| {
            self.queued.fetch_sub(bytes, Ordering::Relaxed);
            match refused {
                mpsc::error::TrySendError::Full(frame) => SendRefused::Full(Box::new(frame)),
                mpsc::error::TrySendError::Closed(_) => SendRefused::Gone,
            }
        })
    }
}

/// The sending half: coded frames, drawn by the connection itself.
#[derive(Debug)]
pub(crate) struct Outgoing {
    link: LinkId,
    frames: mpsc::Receiver<Frame>,
    stalled: Arc<AtomicBool>,
    queued: Arc<AtomicUsize>,
    /// Why the replica lets go, if the other side is to hear it.
    parting: Arc<OnceLock<&'static str>>,
    events: mpsc::Sender<LinkEvent>,
    ended: oneshot::Receiver<Status>,
    /// Tells the receiving half that the replica let go; `None` once this half has ended.
    live: Option<oneshot::Sender<()>>,
}

impl Outgoing {
    fn tell_room(&self) {
        if self.frames.len() <= LINK_FRAMES_MAX / 2 && self.stalled.swap(false, Ordering::SeqCst) {
            let (events, link) = (self.events.clone(), self.link);
            tokio::spawn(async move { events.send(LinkEvent::Room { link }).await });
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<Envelope, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.live.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(end) = Pin::new(&mut self.ended).poll(cx) {
            self.live = None;
            self.frames.close();
            let told = end.ok().filter(|status| status.code() != Code::Ok);
            return Poll::Ready(told.map(Err));
        }
        match self.frames.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                // The session may have ended by itself in this very moment.
                let _ = self.live.take().map(|live| live.send(()));
                let why = self.parting.get().map(|why| Err(Status::permission_denied(*why)));
                Poll::Ready(why)
            }
            Poll::Ready(Some(frame)) => {
                self.queued.fetch_sub(wire::bytes_of(&frame), Ordering::Relaxed);
                self.tell_room();
                Poll::Ready(Some(Ok(wire::encode(frame))))
            }
        }
    }
}

/// The receiving half, before it runs.
#[derive(Debug)]
pub(crate) struct Session {
    link: LinkId,
    up: Option<LinkEvent>,
    events: mpsc::Sender<LinkEvent>,
    end: oneshot::Sender<Status>,
    gone: oneshot::Receiver<()>,
    watched: Option<Watched>,
    stands: Stands,
}

/// What became of a session.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Frames that came.
    pub(crate) frames: u64,
    /// Why it ended.
    pub(crate) reason: DownReason,
}

impl Session {
    pub(crate) fn link(&self) -> LinkId {
        self.link
    }

    /// Brings the link up, reads it until it ends or `until` says so, and brings it down.
    ///
    /// The link is up before `inbound` is there, so that the first frame travels with the call.
    /// `explain` may know better than the transport why a connection broke.
    pub(crate) async fn run(
        mut self,
        inbound: impl Future<Output = Result<Streaming<Envelope>, Status>>,
        until: impl Future<Output = DownReason>,
        explain: impl FnOnce() -> Option<DownReason>,
    ) -> Ended {
        let mut frames = 0;
        if let Some(up) = self.up.take() {
            // Nobody listens any more when the program ends.
            let _ = self.events.send(up).await;
        }
        let mut until = pin!(until);
        let reason = tokio::select! {
            biased;
            reason = &mut until => reason,
            // If the transport dropped the other half, the receiving half will say why.
            Ok(()) = &mut self.gone => DownReason::LetGo,
            reason = receive(self.link, &self.events, inbound, &mut frames, self.watched.as_ref())
                => reason,
        };
        if let (DownReason::Broken(_), Some(Watched { conduct, peer })) = (&reason, &self.watched) {
            conduct.note_breach(peer);
        }
        let reason = match reason {
            DownReason::Lost { .. } => explain().unwrap_or(reason),
            known => known,
        };
        // The sending half may be gone already.
        let _ = self.end.send(status_of(&reason));
        drop(self.stands);
        tracing::debug!(link = self.link.0, %reason, frames, "link down");
        let _ = self.events.send(LinkEvent::Down { link: self.link, reason: reason.clone() }).await;
        Ended { frames, reason }
    }
}

async fn receive(
    link: LinkId,
    events: &mpsc::Sender<LinkEvent>,
    inbound: impl Future<Output = Result<Streaming<Envelope>, Status>>,
    frames: &mut u64,
    watched: Option<&Watched>,
) -> DownReason {
    let mut inbound = match inbound.await {
        Ok(inbound) => inbound,
        Err(status) => return reason_of(&status),
    };
    loop {
        let envelope = match inbound.message().await {
            Ok(Some(envelope)) => envelope,
            Ok(None) => return DownReason::PeerClosed,
            Err(status) => return reason_of(&status),
        };
        let frame = match wire::decode(envelope) {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        *frames += 1;
        if let Some(Watched { conduct, peer }) = watched {
            let pause = conduct.pause(peer);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        let ahead = Ahead::of(&frame).await;
        if events.send(LinkEvent::Frame { link, frame, ahead }).await.is_err() {
            return DownReason::ShuttingDown;
        }
    }
}

/// What the peer is told.
fn status_of(reason: &DownReason) -> Status {
    let code = match reason {
        DownReason::PeerClosed | DownReason::LetGo => Code::Ok,
        DownReason::ShuttingDown | DownReason::Aged => Code::Unavailable,
        DownReason::Revoked => Code::PermissionDenied,
        DownReason::CertificateEnded => Code::Unauthenticated,
        DownReason::Broken(_) => Code::InvalidArgument,
        DownReason::Refused { .. } | DownReason::Lost { .. } => Code::Aborted,
    };
    Status::new(code, reason.to_string())
}

/// What the peer, or the transport, tells us.
fn reason_of(status: &Status) -> DownReason {
    let why = if status.message().is_empty() {
        status.code().description().to_owned()
    } else {
        status.message().to_owned()
    };
    match status.code() {
        // Only our own decoder says so; peers are told with another code.
        Code::OutOfRange => DownReason::Broken(WireError::Message),
        Code::Cancelled => DownReason::PeerClosed,
        Code::PermissionDenied | Code::Unauthenticated | Code::InvalidArgument => {
            DownReason::Refused { why }
        }
        _ => DownReason::Lost { why },
    }
}

#[cfg(test)]
mod tests;
