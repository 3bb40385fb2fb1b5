//! One space on one link: what was sent, what was acknowledged, what is to be repaired.
//!
//! It sends the journal from where the peer stopped reading, keeps a bounded number of batches
//! under way, and compares digests whenever both sides have nothing more to say.

use std::collections::{BTreeSet, VecDeque};

use linli_domain::digest::Digest;
use linli_domain::id::{ChangeHash, EpochId, PeerName, Space};

use crate::engine::{Effect, LinkId};
use crate::frame::{Ack, Batch, Cursor, Frame, Item, Refused, SpaceState};
use crate::holdings::{Admission, Holdings, Placed};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_ITEMS_MAX, BATCHES_IN_FLIGHT_MAX, CURSOR_LAG_MAX, FIRST_MEETING_MAX,
    QUIET_TICKS, REPAIR_QUEUE_MAX, REST_GRACE_TICKS, REST_SECONDS_MAX, SLICES_PER_PUMP_MAX,
};
use crate::pace::Pace;
use crate::ranges;

/// One space on one link.
#[derive(Debug)]
pub(crate) struct Session {
    peer: PeerName,
    space: Space,
    /// Our journal is sent up to here.
    sent: u64,
    /// The peer was told to move its cursor up to here.
    told: u64,
    /// Number of the last batch sent.
    number: u64,
    in_flight: VecDeque<InFlight>,
    /// Our digest, as our hello told it.
    greeted_with: Digest,
    /// The peer's digest, as it last told.
    peer_held: Option<Digest>,
    /// Our changes that the peer refuses for good.
    refused_by_peer: Digest,
    /// What it has refused since a comparison began, where it may hold by now what it refused before:
    /// it was asked to judge once more.
    judged_again: Option<BTreeSet<ChangeHash>>,
    /// The peer has said that it has nothing more for now.
    heard_last: bool,
    /// The peer was told that all we hold has been sent.
    said_last: bool,
    /// Changes of ours the peer lacks, by place: sent oldest first, so that causes come first.
    repair: BTreeSet<u64>,
    /// How fast the peer takes them.
    pace: Pace,
    /// Ticks for which the peer was asked to rest: until then a difference is no news.
    asked_to_rest: u32,
    /// The peer's place in our journal is not known, or it may lack something before it: until both
    /// agree, nothing more counts as held by it.
    unsure: bool,
    /// Ranges are to be compared once this turn is durable: what is only staged has no place yet.
    comparison_due: bool,
    /// Ranges were compared since the last tick: repairs wait until all answers are in.
    comparing: bool,
    differs_for_ticks: u32,
    /// Hashes of the space by hash, kept while ranges are compared.
    pub(crate) hashes: Option<Vec<(ChangeHash, u64)>>,
}

/// A batch sent and not yet acknowledged.
#[derive(Debug)]
struct InFlight {
    number: u64,
    /// Our journal up to here is with the peer once this and all before it are acknowledged.
    end: u64,
    items: Vec<(ChangeHash, u64)>,
}

impl Session {
    /// A session that begins with a hello which told `greeted_with`.
    pub(crate) fn new(
        link: LinkId,
        peer: PeerName,
        space: Space,
        greeted_with: Digest,
        refused_by_peer: Digest,
    ) -> Self {
        Self {
            peer,
            space,
            sent: 0,
            told: 0,
            number: link.numbered_behind(),
            in_flight: VecDeque::new(),
            greeted_with,
            peer_held: None,
            refused_by_peer,
            judged_again: None,
            heard_last: false,
            said_last: false,
            repair: BTreeSet::new(),
            pace: Pace::default(),
            asked_to_rest: 0,
            unsure: false,
            comparison_due: false,
            comparing: false,
            differs_for_ticks: 0,
            hashes: None,
        }
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    /// Both hold the same, but for what either refused.
    pub(crate) fn agrees(&self, holdings: &dyn Holdings) -> bool {
        let ours = holdings.held(&self.space).digest.minus(&self.refused_by_peer);
        let refused = holdings.refused_from(&self.peer, &self.space);
        self.peer_held.is_some_and(|theirs| theirs.minus(&refused) == ours)
    }

    /// Changes of ours not acknowledged yet.
    pub(crate) fn unsent(&self, holdings: &dyn Holdings) -> u64 {
        let waiting = holdings.held(&self.space).head.saturating_sub(self.sent);
        let under_way: usize = self.in_flight.iter().map(|batch| batch.items.len()).sum();
        waiting + under_way as u64 + self.repair.len() as u64
    }

    /// The peer has asked us for rest.
    pub(crate) fn is_resting(&self) -> bool {
        self.pace.is_resting()
    }

    /// The peer's hello: decide where to begin.
    pub(crate) fn open(
        &mut self,
        peer_epoch: EpochId,
        told: &SpaceState,
        holdings: &mut dyn Holdings,
    ) {
        let ours = holdings.held(&self.space);
        self.peer_held = Some(told.held);
        self.refused_by_peer = told.refused;
        // It has taken what it refused before, or we do not know what it refuses: comparing tells.
        let judges_otherwise = told.refused != holdings.refused_by(&self.peer, &self.space);
        if self.agrees(holdings) {
            self.comparison_due = judges_otherwise;
            let cursor = Cursor { epoch: peer_epoch, seq: told.head, chain: told.chain };
            holdings.set_cursor(&self.peer, &self.space, cursor);
            holdings.set_proven(&self.peer, &self.space, cursor);
            holdings.set_acked(&self.peer, &self.space, ours.head);
            (self.sent, self.told) = (ours.head, ours.head);
            self.heard_last = true;
            // What we judged again and took since our hello, the peer would else never hear of.
            self.said_last = self.greeted_with == ours.digest;
            return;
        }
        let start = match told.cursor {
            None if told.held.count.min(ours.head) <= FIRST_MEETING_MAX => Some(0),
            None => None,
            Some(cursor) => {
                let same_journal = cursor.epoch == holdings.epoch()
                    && holdings.chain_at(&self.space, cursor.seq) == Some(cursor.chain);
                same_journal.then_some(cursor.seq)
            }
        };
        // A peer that was set back may lack what it once acknowledged.
        let acked = holdings.acked(&self.peer, &self.space).min(start.unwrap_or(0));
        holdings.set_acked(&self.peer, &self.space, acked);
        // It has read what it did not acknowledge: answers were lost with a link, or it asked for
        // changes again because it lacked their cause.
        self.unsure = start.is_none_or(|start| acked < start);
        self.sent = start.unwrap_or(ours.head);
        self.told = start.unwrap_or(0);
        self.comparison_due = start.is_none() || judges_otherwise;
        // Where the peer has read everything we have, there is nothing to wait for from it but
        // what lies behind our own cursor; it will say `last` when it is through.
        self.heard_last = told.head == 0;
    }

    /// Sends what is new, as far as the window allows.
    pub(crate) fn pump(
        &mut self,
        link: LinkId,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        if std::mem::take(&mut self.comparison_due) {
            self.hashes = None;
            if holdings.refused_by(&self.peer, &self.space) != Digest::default()
                || self.refused_by_peer != Digest::default()
            {
                // Whatever it lacks is offered again, and what it refuses again stays on the list.
                self.judged_again = Some(BTreeSet::new());
                self.refused_by_peer = Digest::default();
            }
            ranges::begin(link, self, holdings, effects);
        }
        if !self.pace.is_free() {
            return;
        }
        for _ in 0..SLICES_PER_PUMP_MAX {
            let held = holdings.held(&self.space);
            if self.in_flight.len() >= BATCHES_IN_FLIGHT_MAX || self.sent >= held.head {
                break;
            }
            let slice = holdings.read(&self.space, self.sent, BATCH_ITEMS_MAX, BATCH_BYTES_MAX);
            let Some(end) = slice.last().map(|placed| placed.seq) else { break };
            self.sent = end;
            let own = origin_of(&self.peer);
            let news: Vec<Placed> = slice.into_iter().filter(|p| p.origin != own).collect();
            if news.is_empty() && end - self.told < CURSOR_LAG_MAX {
                continue;
            }
            self.told = end;
            let chain = holdings.chain_at(&self.space, end).unwrap_or(0);
            let to = Cursor { epoch: holdings.epoch(), seq: end, chain };
            self.send(link, news, Some(to), end >= held.head, held.digest, effects);
        }
        self.say_last(link, holdings, effects);
    }

    /// Tells the peer that nothing more comes, if the last batch could not: all behind it came from
    /// the peer itself. Two who each wait for the other's last word would never compare.
    fn say_last(&mut self, link: LinkId, holdings: &mut dyn Holdings, effects: &mut Vec<Effect>) {
        let held = holdings.held(&self.space);
        let through = self.sent >= held.head && self.repair.is_empty();
        if through && !self.said_last && self.in_flight.len() < BATCHES_IN_FLIGHT_MAX {
            self.send(link, Vec::new(), None, true, held.digest, effects);
        }
    }

    /// Time has passed: send repairs, and compare ranges if a difference stands.
    pub(crate) fn tick(
        &mut self,
        link: LinkId,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.tick();
        self.asked_to_rest = self.asked_to_rest.saturating_sub(1);
        if std::mem::take(&mut self.comparing) {
            return;
        }
        self.hashes = None;
        self.send_repairs(link, holdings, effects);
        let held = holdings.held(&self.space);
        let through = self.in_flight.is_empty()
            && self.sent >= held.head
            && self.heard_last
            && self.pace.is_free();
        if !through || !self.repair.is_empty() {
            self.differs_for_ticks = 0;
            // Two that wait for each other's causes would never be quiet.
            self.comparison_due |= through && self.asked_to_rest == 0 && self.pace.is_stuck();
            return;
        }
        if self.agrees(holdings) {
            self.differs_for_ticks = 0;
            self.unsure = false;
            if let Some(still) = self.judged_again.take() {
                holdings.keep_refused_by(&self.peer, &self.space, &still);
            }
            holdings.set_acked(&self.peer, &self.space, held.head);
            self.tell_cursor(link, holdings, effects);
            return;
        }
        if self.asked_to_rest > 0 {
            return;
        }
        self.differs_for_ticks += 1;
        if self.differs_for_ticks >= QUIET_TICKS {
            self.differs_for_ticks = 0;
            self.comparison_due = true;
        }
    }

    /// Moves the peer's cursor over what it holds by another way: what came from itself, and what
    /// was repaired.
    fn tell_cursor(
        &mut self,
        link: LinkId,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        let held = holdings.held(&self.space);
        if self.told >= self.sent || self.sent != held.head {
            return;
        }
        // A place that is only staged has no chain value yet; the next tick will have it.
        let Some(chain) = holdings.chain_at(&self.space, self.sent) else { return };
        self.told = self.sent;
        let to = Cursor { epoch: holdings.epoch(), seq: self.sent, chain };
        self.send(link, Vec::new(), Some(to), true, held.digest, effects);
    }

    /// A batch from the peer.
    pub(crate) fn take(
        &mut self,
        link: LinkId,
        batch: Batch,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        let mut refused = Vec::new();
        let mut again = Vec::new();
        let mut taken = false;
        let mut rest_seconds = 0;
        for item in &batch.items {
            match holdings.admit(&self.space, &self.peer, item) {
                Admission::Taken => taken = true,
                Admission::Known => {}
                Admission::Missing => again.push(item.hash),
                Admission::Later(seconds) => {
                    again.push(item.hash);
                    rest_seconds = seconds.clamp(1, REST_SECONDS_MAX).max(rest_seconds);
                }
                Admission::Refused(reason) => {
                    refused.push(Refused { hash: item.hash, reason: reason.code().to_owned() });
                }
            }
        }
        if rest_seconds > 0 {
            self.asked_to_rest = rest_seconds + REST_GRACE_TICKS;
        } else if taken {
            self.asked_to_rest = 0;
        }
        // What was put off comes again; a cursor behind it lets the next link begin there, too.
        if let Some(cursor) = batch.to.filter(|_| rest_seconds == 0) {
            holdings.set_cursor(&self.peer, &self.space, cursor);
        }
        self.heard_last = batch.last;
        self.hear_held(batch.held);
        self.note_proof(holdings);
        let held = holdings.held(&self.space).digest;
        let (space, number) = (self.space.clone(), batch.number);
        let ack = Ack { space, number, held, refused, again, rest_seconds };
        effects.push(Effect::Send { link, frame: Frame::Ack(ack) });
    }

    /// The peer has made a batch durable.
    pub(crate) fn acknowledged(
        &mut self,
        ack: Ack,
        holdings: &mut dyn Holdings,
    ) -> Result<(), &'static str> {
        let batch = match self.in_flight.pop_front() {
            Some(batch) if batch.number == ack.number => batch,
            _ => return Err("an acknowledgement out of order"),
        };
        let sent = |hash: &ChangeHash| batch.items.iter().find(|(known, _)| known == hash);
        for refused in &ack.refused {
            if sent(&refused.hash).is_some() {
                let reason = &refused.reason;
                holdings.note_refused_by(&self.peer, &self.space, refused.hash, reason);
                // From a list: a change that is offered again is refused again, and counts once.
                self.refused_by_peer = match &mut self.judged_again {
                    Some(again) => {
                        again.insert(refused.hash);
                        again.iter().copied().collect()
                    }
                    None => holdings.refused_by(&self.peer, &self.space),
                };
            }
        }
        let again: Vec<u64> = ack.again.iter().filter_map(sent).map(|(_, seq)| *seq).collect();
        for seq in &again {
            self.put_into_repair(*seq);
        }
        self.hear_held(ack.held);
        self.note_proof(holdings);
        if ack.rest_seconds > 0 {
            self.pace.rest(ack.rest_seconds);
            // Its cursor has stayed before what it put off.
            let before = again.iter().min().map_or(self.told, |seq| seq - 1);
            self.told = self.told.min(before);
        } else {
            self.pace.taken();
            if !again.is_empty() {
                self.pace.bounced(batch.number, self.number);
            }
        }
        self.unsure = self.unsure && !self.agrees(holdings);
        if !self.unsure {
            holdings.set_acked(&self.peer, &self.space, self.acked(batch.end));
        }
        Ok(())
    }

    /// How far the peer holds our journal, once it has acknowledged batches up to `end`: not
    /// beyond what it asked for again.
    fn acked(&self, end: u64) -> u64 {
        let under_way = self.in_flight.iter().flat_map(|batch| &batch.items).map(|(_, seq)| *seq);
        let lacking = under_way.chain(self.repair.first().copied()).min();
        lacking.map_or(end, |seq| end.min(seq - 1))
    }

    /// Where both hold the same, all that was read of the peer is here, and a comparison finds nothing.
    fn note_proof(&mut self, holdings: &mut dyn Holdings) {
        if !self.agrees(holdings) {
            return;
        }
        self.pace.agreed();
        if let Some(cursor) = holdings.cursor(&self.peer, &self.space) {
            holdings.set_proven(&self.peer, &self.space, cursor);
        }
    }

    /// The peer's digest. Where it has changed, a cause that was missing may have come.
    fn hear_held(&mut self, held: Digest) {
        if self.peer_held != Some(held) {
            self.pace.hurry();
        }
        self.peer_held = Some(held);
    }

    /// Notes that the peer lacks the change at `seq`, as a comparison has shown.
    pub(crate) fn queue_repair(&mut self, seq: u64) {
        if self.put_into_repair(seq) {
            self.pace.found();
        }
    }

    /// True if it was not there.
    fn put_into_repair(&mut self, seq: u64) -> bool {
        self.repair.len() < REPAIR_QUEUE_MAX && self.repair.insert(seq)
    }

    /// Notes that ranges are being compared; repairs wait for the next quiet tick.
    pub(crate) fn note_comparing(&mut self) {
        self.comparing = true;
    }

    /// As [`Self::note_comparing`], where this side begins: it will be told what the peer holds, unless
    /// that is the same.
    pub(crate) fn note_begun(&mut self, holdings: &dyn Holdings) {
        self.note_comparing();
        if !self.agrees(holdings) {
            self.pace.ask();
        }
    }

    /// All ranges of the peer are ours: it answers none of those it was told.
    pub(crate) fn note_same(&mut self) {
        self.pace.agreed();
    }

    /// As [`Self::note_comparing`], where the peer has told what it holds.
    pub(crate) fn note_listed(&mut self) {
        self.note_comparing();
        self.pace.heard();
    }

    fn send_repairs(
        &mut self,
        link: LinkId,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        if !self.pace.may_repair() {
            return;
        }
        let (batches_max, items_max) =
            if self.pace.asks() { (1, 1) } else { (BATCHES_IN_FLIGHT_MAX, BATCH_ITEMS_MAX) };
        while !self.repair.is_empty() && self.in_flight.len() < batches_max {
            let mut items = Vec::new();
            let mut bytes = 0;
            while items.len() < items_max && bytes < BATCH_BYTES_MAX {
                let Some(seq) = self.repair.pop_first() else { break };
                if let Some(placed) = holdings.read_one(&self.space, seq) {
                    bytes += placed.item.bytes.len();
                    items.push(placed);
                }
            }
            if items.is_empty() {
                break;
            }
            let held = holdings.held(&self.space);
            let last = self.repair.is_empty() && self.sent >= held.head;
            self.send(link, items, None, last, held.digest, effects);
        }
        let waits_for_answer = self.pace.asks() && !self.in_flight.is_empty();
        if self.repair.is_empty() && !waits_for_answer {
            self.pace.caught_up();
        }
    }

    fn send(
        &mut self,
        link: LinkId,
        placed: Vec<Placed>,
        to: Option<Cursor>,
        last: bool,
        held: Digest,
        effects: &mut Vec<Effect>,
    ) {
        self.number += 1;
        self.said_last = last;
        let number = self.number;
        let marks = placed.iter().map(|placed| (placed.item.hash, placed.seq)).collect();
        self.in_flight.push_back(InFlight { number, end: self.sent, items: marks });
        let items: Vec<Item> = placed.into_iter().map(|placed| placed.item).collect();
        let batch = Batch { space: self.space.clone(), to, number, items, last, held };
        effects.push(Effect::Send { link, frame: Frame::Batch(batch) });
    }
}

/// The short id under which the journal remembers who a change came from; never 0, which means
/// that it was made here.
pub fn origin_of(peer: &PeerName) -> u64 {
    u64::from_be_bytes(peer.author().0).max(1)
}
