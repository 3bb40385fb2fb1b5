//! How much each machine has handed to this hub today, and which are put off until tomorrow.
//!
//! So a desk gone mad, or a stolen one, cannot fill the hub's disk, and holds up nobody but
//! itself. It refuses to lose anything: what is over the limit is asked for again.

use std::collections::BTreeMap;

use linli_domain::id::{PeerName, Role};
use linli_replica::limits::REST_SECONDS_MAX;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::{Books, BooksTrouble, Row};

const INTAKE: u8 = b'q';
const DAY_MILLIS: u64 = 86_400_000;
const DAY_SECONDS: u32 = 86_400;

/// What one machine has handed over today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenToday {
    /// Bytes of changes that were taken or refused.
    pub bytes: u64,
    /// Nothing more is taken from it today.
    pub put_off: bool,
}

/// The counts of all machines.
#[derive(Debug)]
pub(super) struct Quotas {
    /// What one machine may hand over in a day; 0 where nothing is limited.
    bytes_per_day: u64,
    intakes: BTreeMap<PeerName, Intake>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Intake {
    /// The day it is for, counted from 1970 in UTC; the greatest seen, so that a clock that is
    /// set back and forth gives nothing away.
    day: u64,
    bytes: u64,
    /// Seconds this hub has run since the count began. After a day's worth of them a new one
    /// begins whatever the clock says: it may have been years ahead for a moment.
    seconds: u32,
    /// The log was told that there is little left.
    warned: bool,
    /// Something was put off. The rest of the day goes the same way, or what is small would come
    /// before what it depends on.
    full: bool,
}

impl Intake {
    fn is_over(&self, today: u64) -> bool {
        today > self.day || self.seconds >= DAY_SECONDS
    }
}

impl Quotas {
    pub(super) fn new(bytes_per_day: u64) -> Self {
        Self { bytes_per_day, intakes: BTreeMap::new() }
    }

    /// The count of today.
    fn today(&mut self, peer: &PeerName, now_millis: u64) -> &mut Intake {
        if !self.intakes.contains_key(peer) {
            self.intakes.insert(peer.clone(), Intake::default());
        }
        let intake = self.intakes.get_mut(peer).expect("inserted above");
        let today = now_millis / DAY_MILLIS;
        if intake.is_over(today) {
            *intake = Intake { day: today.max(intake.day), ..Intake::default() };
        }
        intake
    }
}

/// Four fifths of a day's bytes.
fn is_near(bytes: u64, bytes_per_day: u64) -> bool {
    bytes >= bytes_per_day / 5 * 4
}

impl<D: Disk, V: Views> Books<D, V> {
    /// Seconds to rest, where one more change of `len` bytes is too much for today.
    pub(super) fn put_off(&mut self, from: &PeerName, len: usize) -> Option<u32> {
        let bytes_per_day = self.quotas.bytes_per_day;
        if bytes_per_day == 0 || !self.is_counted(from) {
            return None;
        }
        let now_millis = self.now_millis;
        let intake = self.quotas.today(from, now_millis);
        if !intake.full && intake.bytes + len as u64 <= bytes_per_day {
            return None;
        }
        if !std::mem::replace(&mut intake.full, true) {
            let bytes = intake.bytes;
            self.troubles.push(BooksTrouble::PutOff { from: from.clone(), bytes, bytes_per_day });
        }
        let left = (DAY_MILLIS - now_millis % DAY_MILLIS).div_ceil(1_000);
        Some(u32::try_from(left).map_or(REST_SECONDS_MAX, |left| left.min(REST_SECONDS_MAX)))
    }

    /// Counts a change of `len` bytes that was taken or refused.
    pub(super) fn count_intake(&mut self, from: &PeerName, len: usize) {
        if !self.is_counted(from) {
            return;
        }
        let bytes_per_day = self.quotas.bytes_per_day;
        let intake = self.quotas.today(from, self.now_millis);
        intake.bytes += len as u64;
        let near = bytes_per_day > 0 && is_near(intake.bytes, bytes_per_day);
        if near && !std::mem::replace(&mut intake.warned, true) {
            let bytes = intake.bytes;
            self.troubles.push(BooksTrouble::NearQuota {
                from: from.clone(),
                bytes,
                bytes_per_day,
            });
        }
    }

    /// About a second has passed.
    pub(crate) fn second_passes(&mut self) {
        for intake in self.quotas.intakes.values_mut() {
            intake.seconds = intake.seconds.saturating_add(1);
        }
    }

    /// What `peer` has handed over today; hubs count it, of desks.
    pub fn taken_today(&self, peer: &PeerName) -> TakenToday {
        let today = self.now_millis / DAY_MILLIS;
        let intake = self.quotas.intakes.get(peer).filter(|intake| !intake.is_over(today));
        intake.map_or_else(TakenToday::default, |intake| TakenToday {
            bytes: intake.bytes,
            put_off: intake.full,
        })
    }

    /// A hub counts what desks hand over; what it sends itself is its own affair.
    fn is_counted(&self, from: &PeerName) -> bool {
        self.me.role() != Role::Node && from.role() == Role::Node
    }

    /// Rows of the counts, written with a checkpoint: what came after the last one is forgotten by
    /// a crash, and a rebuilt view begins with none.
    pub(crate) fn intake_rows(&self) -> Vec<Row> {
        let row = |(peer, intake): (&PeerName, &Intake)| {
            let mut key = vec![INTAKE];
            key.extend_from_slice(peer.to_string().as_bytes());
            let mut row = intake.day.to_le_bytes().to_vec();
            row.extend_from_slice(&intake.bytes.to_le_bytes());
            row.extend_from_slice(&intake.seconds.to_le_bytes());
            (key, Some(row))
        };
        self.quotas.intakes.iter().map(row).collect()
    }

    /// Reads what [`Self::intake_rows`] wrote. A machine that was put off is so again with its
    /// next change, unless the limit was raised.
    pub(super) fn load_intakes(&mut self) {
        let bytes_per_day = self.quotas.bytes_per_day;
        for (key, row) in self.rows(&[INTAKE]) {
            let peer = std::str::from_utf8(&key[1..]).ok();
            let peer = peer.and_then(|text| PeerName::parse(text).ok());
            if let (Some(peer), Some((day, bytes, seconds))) = (peer, read_intake(&row)) {
                let warned = is_near(bytes, bytes_per_day);
                let intake = Intake { day, bytes, seconds, warned, full: false };
                self.quotas.intakes.insert(peer, intake);
            }
        }
    }
}

fn read_intake(row: &[u8]) -> Option<(u64, u64, u32)> {
    let (day, rest) = row.split_first_chunk()?;
    let (bytes, rest) = rest.split_first_chunk()?;
    let seconds: &[u8; 4] = rest.try_into().ok()?;
    Some((u64::from_le_bytes(*day), u64::from_le_bytes(*bytes), u32::from_le_bytes(*seconds)))
}
