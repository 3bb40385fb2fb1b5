//! The daemon: one thread that owns a machine, and drives it in turns.
//!
//! A turn takes all that waits, up to a bound; one commit makes it durable; only then do answers
//! and frames leave. Nothing else touches the machine, so nothing is locked, and whatever arrives
//! while a commit is on its way to the disk shares the next one. It refuses to go on after a
//! commit that failed: what the disk holds then is for the next start to find out.

mod clock;
mod files;
mod followers;
mod keys;
mod open;
mod room;
mod signal;
mod troubles;
mod wires;

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use linli_domain::id::{CommunityId, PeerName, Role};
use linli_replica::engine::OTHER_LIFE;
use linli_replica::frame::Frame;
use linli_replica::{Effect, LinkId};
use linli_store::disk::Disk;
use linli_store::views::Views;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

pub use clock::{CHINA_OFFSET_MINUTES, local_time, now_millis};
pub use files::watch_files;
pub use keys::{Keys, KeysError};
pub use open::{OpenMachineError, Opened, open, system_entropy};
pub use room::look_for_room;
pub use signal::{EXIT_JOURNAL, Ended, until_end};

use crate::ask::{Answer, Ask, Trouble};
use crate::books::{TakenToday, TurnError};
use crate::enrol::Revocation;
use crate::limits::{
    CALLS_MAX, QUIET_AFTER, TICK, TURN_BYTES_MAX, TURN_INPUTS_MAX, TURN_RECORD_BYTES,
};
use crate::link::LinkEvent;
use crate::site::{Audited, Site};
use crate::wire;
use followers::Followers;
use wires::{Overflow, Wires};

/// Speaks to a running daemon; clones speak to the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
    shut_out: watch::Receiver<BTreeSet<PeerName>>,
}

/// How a daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A turn did not become durable. The process must leave; the next start keeps all that was
    /// acknowledged.
    #[error(transparent)]
    Commit(#[from] TurnError),
    /// The thread panicked; the log says where.
    #[error("the machine's thread broke down; the log says where")]
    Panicked,
    /// The system gives no thread or timer.
    #[error("the system gives no thread")]
    Thread(#[from] std::io::Error),
}

/// A peer that a link stands to, or that was heard before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerState {
    /// The peer.
    pub peer: PeerName,
    /// A link to it stands.
    pub connected: bool,
    /// It holds what this machine holds, in every space they share; known while connected.
    pub agreed: bool,
    /// When it was last heard, in milliseconds since 1970.
    pub last_heard: Option<u64>,
    /// What it has handed to this hub today.
    pub today: TakenToday,
}

/// What a second life hears from a hub; its `status` says it in both languages, with what to do.
const TOLD_TO_SECOND_LIFE: &str = "this computer goes on under a name that another one uses; enrol it \
     anew under a name of its own";

/// What the thread is asked to do.
#[derive(Debug)]
enum Call {
    Ask { ask: Box<Ask>, reply: oneshot::Sender<Answer> },
    Enrolled { peers: Vec<PeerName>, communities: Vec<CommunityId> },
    Revoke { revocations: Vec<Revocation> },
    Peers { reply: oneshot::Sender<Vec<PeerState>> },
    Stop,
}

/// Starts the thread of a machine. `events` are those of its links; `keys` is where a ring that
/// comes by approval is kept. The receiver tells how it ended.
pub fn spawn<D, V>(
    site: Site<D, V>,
    events: mpsc::Receiver<LinkEvent>,
    keys: Option<Keys>,
) -> Result<(Handle, Ended), DaemonError>
where
    D: Disk + Send + 'static,
    V: Views + Send + 'static,
{
    let (calls_in, calls) = mpsc::channel(CALLS_MAX);
    let (end, ended) = oneshot::channel();
    let (shut_out_in, shut_out) = watch::channel(site.shut_out().clone());
    // A runtime of its own, for waiting only: the thread sleeps until a link or a person wakes it.
    let waiting = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("machine".into()).spawn(move || {
        let (wires, audits, followers) = (Wires::default(), Vec::new(), Followers::default());
        let shut_out = shut_out_in;
        let machine = Machine { site, wires, events, calls, keys, audits, followers, shut_out };
        let run = std::panic::AssertUnwindSafe(|| waiting.block_on(machine.run()));
        let outcome = std::panic::catch_unwind(run).unwrap_or(Err(DaemonError::Panicked));
        // Nobody waits any more when the process leaves in another way.
        let _ = end.send(outcome);
    })?;
    Ok((Handle { calls: calls_in, shut_out }, ended))
}

impl Handle {
    /// Asks the machine; the answer comes once everything it speaks of is durable.
    pub async fn ask(&self, ask: Ask) -> Answer {
        let (reply, answer) = oneshot::channel();
        let call = Call::Ask { ask: Box::new(ask), reply };
        if self.calls.send(call).await.is_err() {
            return Answer::Trouble(stopping());
        }
        answer.await.unwrap_or_else(|_| Answer::Trouble(stopping()))
    }

    /// Tells a hub which machines are enrolled, and which communities it expects besides theirs.
    pub async fn enrolled(&self, peers: Vec<PeerName>, communities: Vec<CommunityId>) {
        // A daemon that has ended needs no news.
        let _ = self.calls.send(Call::Enrolled { peers, communities }).await;
    }

    /// Has a hub write revocations down where desks find them.
    pub async fn revoke(&self, revocations: Vec<Revocation>) {
        // As above.
        let _ = self.calls.send(Call::Revoke { revocations }).await;
    }

    /// The machines this one has no more to do with; changes are announced.
    pub fn shut_out(&self) -> watch::Receiver<BTreeSet<PeerName>> {
        self.shut_out.clone()
    }

    /// The peers heard so far.
    pub async fn peers(&self) -> Vec<PeerState> {
        let (reply, answer) = oneshot::channel();
        if self.calls.send(Call::Peers { reply }).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// Finishes the turn, writes the views and ends the thread.
    pub async fn stop(&self) {
        // One that has ended is stopped.
        let _ = self.calls.send(Call::Stop).await;
    }
}

fn stopping() -> Trouble {
    Trouble {
        code: "stopping".into(),
        zh: "程序正在退出，这一步没有完成。重新启动后再试。".into(),
        en: "The program is shutting down and did not do this. Try again after a restart.".into(),
    }
}

/// One thing that waits for a turn.
enum Input {
    Event(LinkEvent),
    Call(Call),
    /// The links or the people are gone for good.
    Closed,
    Tick,
}

struct Machine<D: Disk, V: Views> {
    site: Site<D, V>,
    wires: Wires,
    events: mpsc::Receiver<LinkEvent>,
    calls: mpsc::Receiver<Call>,
    keys: Option<Keys>,
    /// Who waits for the audit that is under way.
    audits: Vec<oneshot::Sender<Answer>>,
    followers: Followers,
    shut_out: watch::Sender<BTreeSet<PeerName>>,
}

/// What a turn owes to people once it is durable.
#[derive(Default)]
struct Owed {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    peers: Vec<oneshot::Sender<Vec<PeerState>>>,
    stop: bool,
}

impl<D: Disk, V: Views> Machine<D, V> {
    async fn run(mut self) -> Result<(), DaemonError> {
        let mut last_tick = Instant::now();
        let mut tick = std::pin::pin!(sleep_until((last_tick + TICK).into()));
        let mut no_events = false;
        // What opening the machine staged.
        self.turn(Input::Tick, true)?;
        let (mut rests, mut quiet) = (false, false);
        loop {
            let first = match self.waiting() {
                Some(input) => input,
                // Figures, rows and checkpoints can wait until nothing comes: an edit, or an office
                // that hands over a month, should not wait for them.
                None if quiet && !rests => {
                    rests = !self.site.idle();
                    self.tell_audited();
                    continue;
                }
                None => tokio::select! {
                    biased;
                    event = self.events.recv(), if !no_events => {
                        event.map_or(Input::Closed, Input::Event)
                    }
                    call = self.calls.recv() => Input::Call(call.unwrap_or(Call::Stop)),
                    () = &mut tick => Input::Tick,
                    () = sleep(QUIET_AFTER), if !rests => {
                        quiet = true;
                        continue;
                    }
                },
            };
            quiet = false;
            if matches!(first, Input::Closed) {
                no_events = true;
            }
            let tick_due = last_tick.elapsed() >= TICK;
            if self.turn(first, tick_due)? {
                self.site.close()?;
                return Ok(());
            }
            if tick_due {
                rests = false;
                last_tick = Instant::now();
                tick.as_mut().reset((last_tick + TICK).into());
            }
        }
    }

    /// What waits already, people before links so that neither starves the other: a link's frames
    /// are bounded by its windows.
    fn waiting(&mut self) -> Option<Input> {
        if let Ok(call) = self.calls.try_recv() {
            return Some(Input::Call(call));
        }
        self.events.try_recv().ok().map(Input::Event)
    }

    /// One turn; true if it was the last.
    fn turn(&mut self, first: Input, tick_due: bool) -> Result<bool, TurnError> {
        self.site.set_now(now_millis());
        let mut owed = Owed::default();
        let mut bytes = 0;
        let mut inputs = 0;
        let mut next = Some(first);
        while let Some(input) = next {
            bytes += self.take(input, &mut owed);
            inputs += 1;
            let room = bytes < TURN_BYTES_MAX && inputs < TURN_INPUTS_MAX && !owed.stop;
            next = if room { self.waiting() } else { None };
        }
        if tick_due {
            self.site.tick();
            for gone in self.followers.take_gone() {
                self.site.unfollow_entry(gone);
            }
        }
        self.followers.tell(self.site.tell_followers(false));
        let effects = self.site.end_turn()?;
        for effect in effects {
            self.carry_out(effect);
        }
        for (reply, answer) in owed.answers {
            // Who asked may have gone.
            let _ = reply.send(answer);
        }
        for reply in owed.peers {
            let _ = reply.send(self.peers());
        }
        self.followers.tell(self.site.tell_followers(true));
        self.after_turn();
        Ok(owed.stop)
    }

    /// Feeds one input to the machine; about how many bytes it staged.
    fn take(&mut self, input: Input, owed: &mut Owed) -> usize {
        match input {
            Input::Event(event) => self.take_event(event),
            Input::Call(Call::Ask { ask, reply }) if matches!(*ask, Ask::Audit {}) => {
                self.site.begin_audit();
                self.audits.push(reply);
                0
            }
            Input::Call(Call::Ask { ask, reply }) if matches!(*ask, Ask::Follow { .. }) => {
                if let Ask::Follow { community, entry, seen } = *ask {
                    let follower = self.followers.next();
                    match self.site.follow_entry(follower, community, entry, seen) {
                        Some(answer) => owed.answers.push((reply, answer)),
                        None => self.followers.wait(follower, reply),
                    }
                }
                TURN_RECORD_BYTES
            }
            Input::Call(Call::Ask { ask, reply }) => {
                let bytes = match &*ask {
                    Ask::Import { records, .. } => records.len() * TURN_RECORD_BYTES,
                    Ask::BundleTake { frame, .. } => frame.len(),
                    _ => TURN_RECORD_BYTES,
                };
                let answer = self.site.ask(*ask);
                owed.answers.push((reply, answer));
                bytes
            }
            Input::Call(Call::Enrolled { peers, communities }) => {
                self.site.host(&communities);
                self.site.enrolled(&peers);
                0
            }
            Input::Call(Call::Revoke { revocations }) => {
                self.site.revoke(revocations);
                0
            }
            Input::Call(Call::Peers { reply }) => {
                owed.peers.push(reply);
                0
            }
            Input::Call(Call::Stop) => {
                owed.stop = true;
                0
            }
            Input::Closed | Input::Tick => 0,
        }
    }

    fn take_event(&mut self, event: LinkEvent) -> usize {
        match event {
            LinkEvent::Up { link, peer, frames, dialled } => {
                tracing::info!(%peer, link = link.0, dialled, "link up");
                self.wires.up(LinkId(link.0), peer.clone(), frames);
                if self.site.me().role() == Role::StreetHub {
                    // Its certificate is ours: a desk may link before its enrolment is announced.
                    self.site.enrolled(std::slice::from_ref(&peer));
                }
                self.site.link_up(LinkId(link.0), peer);
                0
            }
            LinkEvent::Frame { link, frame, ahead } => {
                let bytes = wire::bytes_of(&frame);
                self.site.frame_ahead(LinkId(link.0), frame, ahead);
                bytes
            }
            LinkEvent::Room { link } => {
                self.wires.flush(LinkId(link.0));
                0
            }
            LinkEvent::Down { link, reason } => {
                if let Some(peer) = self.wires.drop(LinkId(link.0)) {
                    tracing::info!(%peer, link = link.0, %reason, "link down");
                }
                self.site.link_down(LinkId(link.0));
                0
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { link, frame } => {
                if let Frame::Ack(ack) = &frame
                    && !ack.refused.is_empty()
                {
                    self.wires.note_refused(link, ack.refused.len());
                }
                if let Err(Overflow(link)) = self.wires.send(link, frame) {
                    self.close(link, "the peer does not read what it is sent");
                    self.site.link_down(link);
                }
            }
            Effect::Close { link, reason: OTHER_LIFE } => {
                self.wires.part(link, TOLD_TO_SECOND_LIFE);
                self.close(link, OTHER_LIFE);
            }
            Effect::Close { link, reason } => {
                self.wires.note_breach(link);
                self.close(link, reason);
            }
        }
    }

    fn close(&mut self, link: LinkId, reason: &str) {
        if let Some(peer) = self.wires.drop(link) {
            tracing::warn!(%peer, link = link.0, reason, "link closed");
        }
    }

    /// Tells people and the log how an audit has ended.
    fn tell_audited(&mut self) {
        let Some(audited) = self.site.take_audited() else { return };
        let Audited { records, rows, documents, damage, began, ended } = &audited;
        let millis = ended.saturating_sub(*began);
        if damage.is_empty() {
            tracing::info!(records, rows, documents, millis, "the audit found everything sound");
        }
        for what in damage {
            tracing::error!(what, "the audit found damage; `status` says what to do");
        }
        for reply in self.audits.drain(..) {
            // Who asked may have gone.
            let _ = reply.send(audited.answer());
        }
    }

    fn after_turn(&mut self) {
        if let Some(ring) = self.site.take_ring()
            && let Some(keys) = &self.keys
        {
            match keys.keep(&ring) {
                Ok(()) => tracing::info!("the community's keys are kept"),
                Err(error) => {
                    tracing::error!(%error, "the community's key could not be kept; restart and it comes again");
                }
            }
        }
        if let Some(list) = self.site.take_list()
            && let Some(keys) = &self.keys
            && let Err(error) = keys.keep_members(&list)
        {
            tracing::error!(%error, "the member list could not be kept; restart and it is read again");
        }
        if let Some(machines) = self.site.take_shut_out() {
            tracing::info!(machines = machines.len(), "machines are shut out");
            self.shut_out.send_replace(machines);
        }
        self.site.keep_bounded();
        for trouble in self.site.take_troubles() {
            troubles::log(trouble);
        }
    }

    fn peers(&self) -> Vec<PeerState> {
        let standings = self.site.standings();
        let heard = self.site.heard();
        let known: BTreeSet<&PeerName> = self.wires.peers().chain(heard.keys()).collect();
        let state = |peer: &PeerName| {
            let mut shared = standings.iter().filter(|standing| standing.peer == *peer);
            let connected = self.wires.peers().any(|up| up == peer);
            PeerState {
                peer: peer.clone(),
                connected,
                agreed: connected && shared.all(|standing| standing.agreed),
                last_heard: heard.get(peer).copied(),
                today: self.site.taken_today(peer),
            }
        };
        known.into_iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests;
