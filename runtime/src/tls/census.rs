//! How many connections there are, whose they are and where they come from.
//!
//! Strangers, those who have not shown a certificate yet or have none, share places of their own:
//! however many come, no enrolled machine waits behind them. Where places run out, the oldest of
//! the address that holds the most gives way, so that an office is not shut out by what others
//! do. A machine's newest connection takes the place of an older one: an office whose network
//! broke comes back at once, long before the dead connection is noticed. It refuses to count
//! what it cannot cut.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linli_domain::id::PeerName;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits::{
    CONNECTIONS_ANONYMOUS_MAX, CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX, CONNECTIONS_MAX,
    CONNECTIONS_PER_PEER_MAX, HANDSHAKE_SURE, HANDSHAKES_MAX,
};
use crate::seldom::Seldom;

static REPLACED: Seldom = Seldom::new();

/// All connections of one listener; clones count the same ones.
#[derive(Debug, Clone, Default)]
pub struct Census(Arc<Mutex<Places>>);

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Of enrolled machines.
    pub machines: usize,
    /// Of those who are not known, or not known yet.
    pub strangers: usize,
    /// Connections that were cut or refused since the start because places ran out.
    pub turned_away: u64,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// In the order of their coming.
    taken: BTreeMap<u64, Place>,
    machines: BTreeMap<PeerName, Vec<u64>>,
    named: usize,
    handshaking: usize,
    turned_away: u64,
}

#[derive(Debug)]
struct Place {
    address: IpAddr,
    since: Instant,
    who: Who,
    linked: Arc<AtomicBool>,
    /// Dropped to cut the connection.
    _life: oneshot::Sender<()>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// In the handshake.
    Unsaid,
    /// Without a certificate.
    Nobody,
    Machine(PeerName),
}

/// No place is free, and none may be freed yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Census {
    /// What is counted at this moment.
    pub fn counted(&self) -> Counted {
        let places = self.lock();
        let strangers = places.taken.len() - places.named;
        Counted { machines: places.named, strangers, turned_away: places.turned_away }
    }

    /// A place for a handshake. Where all are taken, one that is no longer sure of its place
    /// gives way.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Seat, Full> {
        self.enter_at(address, Instant::now())
    }

    fn enter_at(&self, address: IpAddr, now: Instant) -> Result<Seat, Full> {
        let mut places = self.lock();
        if places.handshaking >= HANDSHAKES_MAX {
            let unsure = |place: &Place| {
                place.who == Who::Unsaid
                    && now.saturating_duration_since(place.since) >= HANDSHAKE_SURE
            };
            let oldest = places.oldest_of_busiest(unsure).ok_or(Full)?;
            places.cut(oldest);
        }
        let (life, cut) = oneshot::channel();
        let linked = Arc::new(AtomicBool::new(false));
        let number = places.next;
        places.next += 1;
        places.handshaking += 1;
        let place =
            Place { address, since: now, who: Who::Unsaid, linked: linked.clone(), _life: life };
        places.taken.insert(number, place);
        Ok(Seat { census: self.clone(), number, linked, cut: Some(cut) })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change of it is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// The oldest connection that may go, of the address that has the most of these.
    fn oldest_of_busiest(&self, may_go: impl Fn(&Place) -> bool) -> Option<u64> {
        let mut by_address: BTreeMap<IpAddr, (usize, u64)> = BTreeMap::new();
        for (number, place) in self.taken.iter().filter(|(_, place)| may_go(place)) {
            by_address.entry(place.address).or_insert((0, *number)).0 += 1;
        }
        by_address.values().max_by_key(|(count, _)| *count).map(|(_, oldest)| *oldest)
    }

    /// Ends a connection and frees its place at once.
    fn cut(&mut self, number: u64) {
        self.turned_away += 1;
        self.leave(number);
    }

    fn leave(&mut self, number: u64) {
        let Some(place) = self.taken.remove(&number) else { return };
        match place.who {
            Who::Unsaid => self.handshaking -= 1,
            Who::Nobody => {}
            Who::Machine(peer) => {
                self.named -= 1;
                if let Some(numbers) = self.machines.get_mut(&peer) {
                    numbers.retain(|held| *held != number);
                    if numbers.is_empty() {
                        self.machines.remove(&peer);
                    }
                }
            }
        }
    }

    /// A handshake ended without a certificate; false if the address has enough of these.
    fn nobody(&mut self, number: u64) -> bool {
        let Some(address) = self.taken.get(&number).map(|place| place.address) else {
            return false;
        };
        let nobodies = || self.taken.values().filter(|place| place.who == Who::Nobody);
        if nobodies().filter(|place| place.address == address).count()
            >= CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX
        {
            return false;
        }
        if nobodies().count() >= CONNECTIONS_ANONYMOUS_MAX
            && let Some(oldest) = self.oldest_of_busiest(|place| place.who == Who::Nobody)
        {
            self.cut(oldest);
        }
        self.said(number, Who::Nobody)
    }

    /// A handshake ended with a machine's certificate; false if there are enough machines.
    fn machine(&mut self, number: u64, peer: &PeerName) -> bool {
        let held = self.machines.get(peer).map_or(&[][..], Vec::as_slice);
        if held.len() >= CONNECTIONS_PER_PEER_MAX {
            let idle = |number: &&u64| {
                self.taken.get(number).is_some_and(|place| !place.linked.load(Ordering::Relaxed))
            };
            let oldest = held.iter().find(idle).or(held.first()).copied();
            if let Some(oldest) = oldest {
                if let Some(unsaid) = REPLACED.may() {
                    tracing::info!(%peer, unsaid, "a fifth connection takes the place of the oldest");
                }
                self.cut(oldest);
            }
        }
        if self.named >= CONNECTIONS_MAX {
            return false;
        }
        if !self.said(number, Who::Machine(peer.clone())) {
            return false;
        }
        self.named += 1;
        self.machines.entry(peer.clone()).or_default().push(number);
        true
    }

    fn said(&mut self, number: u64, who: Who) -> bool {
        // One that was cut meanwhile has no place any more.
        let Some(place) = self.taken.get_mut(&number) else { return false };
        place.who = who;
        self.handshaking -= 1;
        true
    }
}

/// One connection's place; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Seat {
    census: Census,
    number: u64,
    linked: Arc<AtomicBool>,
    cut: Option<oneshot::Receiver<()>>,
}

impl Seat {
    /// Resolves when the connection must give way. There is one for each connection.
    pub(super) fn take_cut(&mut self) -> Option<oneshot::Receiver<()>> {
        self.cut.take()
    }

    /// Set while the connection carries a link.
    pub(super) fn linked(&self) -> Arc<AtomicBool> {
        self.linked.clone()
    }

    /// Counts the connection as the machine's, or as a stranger's; false if there are enough.
    pub(super) fn take(&self, peer: Option<&PeerName>) -> bool {
        let mut places = self.census.lock();
        let taken = match peer {
            Some(peer) => places.machine(self.number, peer),
            None => places.nobody(self.number),
        };
        if !taken {
            places.turned_away += 1;
        }
        taken
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.census.lock().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn peer(text: &str) -> PeerName {
        PeerName::parse(text).unwrap()
    }

    fn is_cut(seat: &mut Seat) -> bool {
        seat.cut.as_mut().unwrap().try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn slow_handshakes_give_way_and_young_ones_do_not() {
        let census = Census::default();
        let now = Instant::now();
        let mut quiet = census.enter_at(address(1), now).unwrap();
        let mut many: Vec<Seat> =
            (1..HANDSHAKES_MAX).map(|_| census.enter_at(address(2), now).unwrap()).collect();
        assert!(census.enter_at(address(3), now).is_err(), "all are sure of their places");
        let late = census.enter_at(address(3), now + HANDSHAKE_SURE).unwrap();
        assert!(is_cut(&mut many[0]), "the oldest of the busiest address goes");
        assert!(!is_cut(&mut quiet) && !is_cut(&mut many[1]));
        assert_eq!(census.counted().strangers, HANDSHAKES_MAX);
        assert_eq!(census.counted().turned_away, 1);
        // The one that was cut has no place to give back, and cannot be let in any more.
        assert!(!many[0].take(None));
        drop((late, quiet, many));
        assert_eq!(census.counted().strangers, 0);
    }

    #[test]
    fn strangers_never_take_a_machines_place() {
        let census = Census::default();
        let enter = |last| census.enter(address(last)).unwrap();
        let mut nobodies = Vec::new();
        for nth in 0..=CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX {
            let seat = enter(1);
            assert_eq!(seat.take(None), nth < CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX, "{nth}");
            nobodies.push(seat);
        }
        for last in 2..250 {
            let seat = enter(last);
            assert!(seat.take(None), "another address is let in");
            nobodies.push(seat);
        }
        nobodies.retain_mut(|seat| !is_cut(seat));
        assert!(census.counted().strangers <= CONNECTIONS_ANONYMOUS_MAX + 1, "{census:?}");
        let machines: Vec<Seat> = (0..CONNECTIONS_MAX)
            .map(|nth| {
                let seat = enter(9);
                assert!(seat.take(Some(&peer(&format!("d/s/c/m{nth}")))), "{nth}");
                seat
            })
            .collect();
        assert!(!enter(9).take(Some(&peer("d/s/c/more"))), "2,000 and no more");
        drop(machines);
        assert_eq!(census.counted().machines, 0);
    }

    #[test]
    fn a_fifth_connection_takes_the_place_of_the_oldest_without_a_link() {
        let census = Census::default();
        let desk = peer("d/s/c/desk");
        let mut seats: Vec<Seat> =
            (0..CONNECTIONS_PER_PEER_MAX).map(|_| census.enter(address(1)).unwrap()).collect();
        for seat in &seats {
            assert!(seat.take(Some(&desk)));
        }
        seats[0].linked().store(true, Ordering::Relaxed);
        let fifth = census.enter(address(1)).unwrap();
        assert!(fifth.take(Some(&desk)));
        assert!(is_cut(&mut seats[1]), "the oldest without a link");
        assert!(!is_cut(&mut seats[0]) && !is_cut(&mut seats[2]));
        assert_eq!(census.counted().machines, CONNECTIONS_PER_PEER_MAX);
        // Where all have links, the oldest goes.
        for seat in seats.iter().chain([&fifth]) {
            seat.linked().store(true, Ordering::Relaxed);
        }
        let sixth = census.enter(address(1)).unwrap();
        assert!(sixth.take(Some(&desk)));
        assert!(is_cut(&mut seats[0]));
        drop((seats, fifth, sixth));
        assert_eq!(census.counted().machines, 0);
    }
}
