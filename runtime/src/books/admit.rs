//! Judging what peers send, before anything of it is durable.

use linli_domain::doc::Fit;
use linli_domain::gate::{self, Refusal};
use linli_domain::id::{ChangeHash, EntryId, PeerName, Role, Space};
use linli_domain::limits::CHANGE_BYTES_MAX;
use linli_domain::seal;
use linli_replica::frame::Item;
use linli_replica::holdings::Admission;
use linli_replica::limits::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};
use linli_replica::session::origin_of;
use linli_store::disk::Disk;
use linli_store::journal::Record;
use linli_store::views::Views;

use super::{Books, BooksTrouble};
use crate::limits::FULL_REST_SECONDS;

impl<D: Disk, V: Views> Books<D, V> {
    pub(super) fn admit_item(&mut self, space: &Space, from: &PeerName, item: &Item) -> Admission {
        if self.half(space, &item.entry).holds(&item.hash) {
            self.take_late_keys(space, item);
            return Admission::Known;
        }
        if let Some(reason) = self.refusals.reason(space, &item.hash) {
            return self.refuse(space, from, item, reason);
        }
        if self.full {
            return Admission::Later(FULL_REST_SECONDS);
        }
        let bytes = item.bytes.len() + item.keys.iter().map(bytes::Bytes::len).sum::<usize>();
        if let Some(rest_seconds) = self.put_off(from, bytes) {
            return Admission::Later(rest_seconds);
        }
        let verdict = if space.is_sealed() {
            self.admit_sealed(space, from, item)
        } else {
            self.admit_open(space, from, item)
        };
        if matches!(verdict, Ok(Admission::Taken) | Err(_)) {
            self.count_intake(from, bytes);
        }
        match verdict {
            Ok(admission) => admission,
            Err(reason) => self.refuse(space, from, item, reason),
        }
    }

    pub(super) fn admit_open(
        &mut self,
        space: &Space,
        from: &PeerName,
        item: &Item,
    ) -> Result<Admission, Refusal> {
        let said = self.ahead.take(item);
        let change = said.unwrap_or_else(|| gate::parse(&item.bytes, &item.hash))?;
        if !self.may_write(space, change.actor.author()) {
            return self.admit_unknown();
        }
        match self.half(space, &item.entry).doc.check(&change)? {
            Fit::Known => Ok(Admission::Known),
            Fit::Missing(missing) => {
                let lost = missing.iter().any(|dep| self.refusals.reason(space, dep).is_some());
                if lost { Err(Refusal::DependsOnRefused) } else { Ok(Admission::Missing) }
            }
            Fit::Fits => {
                self.stage_from(space, from, item)?;
                self.apply(space, &item.entry, &change);
                self.apply_waiting(space, &item.entry);
                Ok(Admission::Taken)
            }
        }
    }

    /// An envelope is taken on its form alone, with or without the key: every machine of the
    /// community must hold the same set. What it says is judged when it is opened.
    pub(super) fn admit_sealed(
        &mut self,
        space: &Space,
        from: &PeerName,
        item: &Item,
    ) -> Result<Admission, Refusal> {
        if item.bytes.len() > seal::ENVELOPE_BYTES_MAX.max(CHANGE_BYTES_MAX) {
            return Err(Refusal::TooLarge);
        }
        if seal::envelope_hash(&item.bytes) != item.hash {
            return Err(Refusal::WrongHash);
        }
        let head = seal::inspect(&item.bytes).map_err(|_| Refusal::BadEnvelope)?;
        if !self.may_write(space, head.sender) {
            return self.admit_unknown();
        }
        let seq = self.stage_from(space, from, item)?;
        self.take_keys(space, item);
        self.note_envelope(space, &item.entry, item.hash, seq);
        self.read_sealed(space, &item.entry, Some((seq, &item.bytes)));
        if self.me.role() == Role::Node && !self.half(space, &item.entry).unread.is_empty() {
            self.unread.insert((space.clone(), item.entry.clone()));
        }
        Ok(Admission::Taken)
    }

    /// Takes the keys of an envelope that was here before them, and opens it. One that this turn
    /// staged is opened after its commit.
    fn take_late_keys(&mut self, space: &Space, item: &Item) {
        if self.take_keys(space, item) && !self.half(space, &item.entry).unread.is_empty() {
            self.read_sealed(space, &item.entry, None);
            self.unread.insert((space.clone(), item.entry.clone()));
        }
    }

    /// Notes an envelope that is durable or staged; it waits to be opened unless it was erased.
    fn note_envelope(&mut self, space: &Space, entry: &EntryId, hash: ChangeHash, seq: u64) {
        let erased = self.is_erased(space, entry);
        let half = self.half_mut(space, entry);
        half.seals.push(hash);
        if !erased {
            half.unread.push(seq);
        }
    }

    /// Opens what came in this turn before something it depends on, or before the ring, now that
    /// the journal can give it back.
    pub(super) fn read_again(&mut self) {
        for (space, entry) in std::mem::take(&mut self.unread) {
            self.read_sealed(&space, &entry, None);
        }
    }

    /// A hub knows every machine it enrolled, so an author it does not know is refused. A desk
    /// may meet a new desk over the office's own network before its hub has told it: it waits.
    fn admit_unknown(&self) -> Result<Admission, Refusal> {
        match self.me.role() {
            Role::Node => Ok(Admission::Missing),
            Role::StreetHub | Role::DistrictHub => Err(Refusal::UnknownAuthor),
        }
    }

    fn stage_from(&mut self, space: &Space, from: &PeerName, item: &Item) -> Result<u64, Refusal> {
        self.stage(space, &item.entry, origin_of(from), item.hash, item.bytes.clone())
            .map_err(|_| Refusal::TooLarge)
    }

    /// Opens what can be opened of an entry's unread envelopes. `fresh` is the record just taken,
    /// whose bytes are at hand before the journal can give them.
    pub(super) fn read_sealed(
        &mut self,
        space: &Space,
        entry: &EntryId,
        fresh: Option<(u64, &bytes::Bytes)>,
    ) {
        if self.ring.is_none() {
            return;
        }
        loop {
            let unread = self.half(space, entry).unread.clone();
            let mut progress = false;
            for seq in unread {
                let bytes = match fresh {
                    Some((at, bytes)) if at == seq => Some(bytes.clone()),
                    _ => self.record(space, seq).map(|record| record.bytes),
                };
                let Some(bytes) = bytes else { continue };
                let Ok(plain) = self.opened(space, entry, &bytes) else { continue };
                if self.apply_opened(space, entry, &plain) {
                    self.half_mut(space, entry).unread.retain(|at| *at != seq);
                    progress = true;
                }
            }
            if !progress {
                return;
            }
        }
    }

    /// Opens every envelope of a space that waits, in journal order.
    pub(crate) fn read_all_sealed(&mut self, space: &Space) {
        let mut after = 0;
        loop {
            let records = match self.store.read(space, after, BATCH_ITEMS_MAX, BATCH_BYTES_MAX) {
                Ok(records) => records,
                Err(error) => {
                    self.troubles.push(BooksTrouble::Read(error.to_string()));
                    return;
                }
            };
            let Some(last) = records.last() else { return };
            after = last.seq;
            for record in records {
                if self.half(space, &record.entry).unread.contains(&record.seq) {
                    self.read_sealed(space, &record.entry, Some((record.seq, &record.bytes)));
                }
            }
        }
    }

    /// Applies an opened change if it fits; true if it needs no further look.
    fn apply_opened(&mut self, space: &Space, entry: &EntryId, plain: &bytes::Bytes) -> bool {
        let Some(hash) = gate::hash_of(plain) else { return false };
        let Ok(change) = gate::parse(plain, &hash) else { return false };
        match self.half(space, entry).doc.check(&change) {
            Ok(Fit::Fits) => {
                self.apply(space, entry, &change);
                true
            }
            Ok(Fit::Known) => true,
            Ok(Fit::Missing(_)) | Err(_) => false,
        }
    }

    /// Replays a durable record into a half whose row may or may not have it already.
    pub(super) fn replay_one(&mut self, record: &Record) {
        let (space, entry) = (&record.space, &record.entry);
        if self.half(space, entry).holds(&record.hash) {
            return;
        }
        if space.is_sealed() {
            self.note_envelope(space, entry, record.hash, record.seq);
            if let Some(book) = self.spaces.get_mut(space) {
                book.shelf.mark(entry);
            }
            self.read_sealed(space, entry, Some((record.seq, &record.bytes)));
            return;
        }
        let parsed = gate::parse(&record.bytes, &record.hash);
        let fit = parsed.and_then(|change| {
            let fit = self.half(space, entry).doc.check(&change)?;
            Ok((change, fit))
        });
        match fit {
            Ok((change, Fit::Fits)) => {
                self.apply(space, entry, &change);
                self.apply_waiting(space, entry);
            }
            // Only a salvage leaves a journal with a change and without its cause.
            Ok((_, Fit::Missing(_))) => self.wait_for_cause(record),
            Ok((_, Fit::Known)) | Err(_) => self.troubles.push(BooksTrouble::Read(format!(
                "{space} {} {entry}: a durable change does not fit its document",
                record.seq
            ))),
        }
    }

    /// Notes that a durable change is held, and cannot be applied before its cause has come back.
    fn wait_for_cause(&mut self, record: &Record) {
        let half = self.half_mut(&record.space, &record.entry);
        half.seals.push(record.hash);
        half.unread.push(record.seq);
        if let Some(book) = self.spaces.get_mut(&record.space) {
            book.shelf.mark(&record.entry);
        }
    }

    /// Applies what waited for the change that was just applied to an open half.
    fn apply_waiting(&mut self, space: &Space, entry: &EntryId) {
        loop {
            let waiting = self.half(space, entry).unread.clone();
            let mut progress = false;
            for seq in waiting {
                let Some(record) = self.record(space, seq) else { continue };
                let Ok(change) = gate::parse(&record.bytes, &record.hash) else { continue };
                if self.half(space, entry).doc.check(&change) == Ok(Fit::Fits) {
                    let half = self.half_mut(space, entry);
                    half.unread.retain(|at| *at != seq);
                    half.seals.retain(|hash| *hash != record.hash);
                    self.apply(space, entry, &change);
                    progress = true;
                }
            }
            if !progress {
                return;
            }
        }
    }

    fn refuse(
        &mut self,
        space: &Space,
        from: &PeerName,
        item: &Item,
        reason: Refusal,
    ) -> Admission {
        if reason == Refusal::Fork {
            let (entry, from) = (item.entry.clone(), from.clone());
            self.troubles.push(BooksTrouble::Fork { entry, from });
        }
        // Bytes that are not what they are called say nothing about the change of that name, which
        // may come yet from somebody else.
        let is_named_so = if space.is_sealed() {
            seal::envelope_hash(&item.bytes) == item.hash
        } else {
            gate::hash_of(&item.bytes) == Some(item.hash)
        };
        if is_named_so {
            self.write_refused_from(from, space, item, reason);
        }
        Admission::Refused(reason)
    }
}
