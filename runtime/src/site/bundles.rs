//! What a desk says in a bundle, and how it takes one.
//!
//! A bundle is a link without a network: its changes pass the same admission, count in the same
//! turns and are answered after the same commit. Who has made it was proved by its certificate
//! before anything comes here. It refuses bundles of other communities and of desks that are shut
//! out, and on machines that are no desks.

use linli_domain::id::{MachineId, PeerName, Role, Space};
use linli_replica::carried::{self, Outcome, Stands, Stretch};
use linli_replica::frame::{Batch, Cursor, Frame};
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use super::answers::not_here;
use super::refusals::words;
use crate::ask::{
    Answer, BundleOpened, BundleSaid, BundleSpace, BundleStretch, BundleTaken, RefusedView, Trouble,
};
use crate::bundle::{frame_of, text_of};
use crate::limits::BUNDLE_READERS_MAX;
use crate::policy;

impl<D: Disk, V: Views> Site<D, V> {
    /// Hellos to every desk known, and where the journal begins for the reader.
    pub(super) fn bundle_open(
        &mut self,
        reader: Option<&MachineId>,
        since: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let since = since.map(|day| self.day_begins(day)).transpose()?;
        let desks = self.other_desks()?;
        let reader = reader.map(|reader| self.reader_named(&desks, reader)).transpose()?;
        let spaces = policy::community_spaces(self.books.me());
        let hello = |to: Option<&PeerName>| BundleSaid {
            to: to.cloned(),
            frame: text_of(Frame::Hello(carried::hello(&spaces, to, &self.books))),
        };
        let said = std::iter::once(None).chain(desks.iter().map(Some)).map(hello).collect();
        let stretches = spaces.iter().map(|space| {
            let after = since.map_or(0, |since| self.books.place_before(space, since).seq);
            let Stretch { space, from, until } =
                carried::stretch(space, reader.as_ref(), after, &mut self.books);
            let held = self.books.held(&space).digest;
            let begins = Batch {
                space: space.clone(),
                to: Some(from),
                number: 0,
                items: Vec::new(),
                last: false,
                held,
            };
            let begins = text_of(Frame::Batch(begins));
            BundleStretch { space, after: from.seq, until, begins }
        });
        let stretches = stretches.collect();
        Ok(Answer::BundleOpened(BundleOpened { said, stretches }))
    }

    /// The next batch of a space.
    pub(super) fn bundle_read(
        &mut self,
        reader: Option<&MachineId>,
        space: &Space,
        after: u64,
        until: u64,
    ) -> Result<Answer, Trouble> {
        let desks = self.other_desks()?;
        let reader = reader.map(|reader| self.reader_named(&desks, reader)).transpose()?;
        if !policy::community_spaces(self.books.me()).contains(space) {
            return Err(foreign());
        }
        let from = Cursor { epoch: self.books.epoch(), ..Cursor::default() };
        let stretch = Stretch { space: space.clone(), from, until };
        let page = carried::read(&stretch, after, reader.as_ref(), &mut self.books);
        Ok(match page {
            None => Answer::BundlePage { frame: None, after, changes: 0 },
            Some((batch, after)) => {
                let changes = batch.items.len();
                Answer::BundlePage { frame: Some(text_of(Frame::Batch(batch))), after, changes }
            }
        })
    }

    /// Takes a batch; the answer leaves once it is durable.
    pub(super) fn bundle_take(&mut self, from: &PeerName, frame: &str) -> Result<Answer, Trouble> {
        let spaces = self.spaces_shared_with(from)?;
        let batch = match frame_of(frame) {
            Some(Frame::Batch(batch)) if spaces.contains(&batch.space) => batch,
            _ => return Err(foreign()),
        };
        let outcome = carried::take(from, &batch, &mut self.books);
        let Outcome { taken, known, missing, later, lost, refused } = outcome;
        let refused = refused.into_iter().map(|(item, reason)| RefusedView {
            space: batch.space.clone(),
            hash: item.hash.to_string(),
            entry: Some(item.entry),
            by: "here".to_owned(),
            from: from.to_string(),
            reason: reason.code().to_owned(),
            words: words(reason.code()),
            at: None,
            kept: false,
        });
        let refused = refused.collect();
        Ok(Answer::BundleTaken(BundleTaken { taken, known, missing, later, lost, refused }))
    }

    /// Draws the conclusions once the whole bundle was taken.
    pub(super) fn bundle_close(
        &mut self,
        from: &PeerName,
        hello: &str,
        to_me: bool,
        begins: &[String],
        whole: &[Space],
    ) -> Result<Answer, Trouble> {
        let shared = self.spaces_shared_with(from)?;
        let Some(Frame::Hello(hello)) = frame_of(hello) else { return Err(foreign()) };
        let begins: Vec<(Space, Cursor)> = begins
            .iter()
            .filter_map(|text| match frame_of(text) {
                Some(Frame::Batch(batch)) => Some((batch.space, batch.to?)),
                _ => None,
            })
            .collect();
        let mut spaces = Vec::new();
        for told in hello.spaces.iter().filter(|told| shared.contains(&told.space)) {
            let space = &told.space;
            let Some((_, begins)) = begins.iter().find(|(at, _)| at == space) else { continue };
            let read = self.books.proven(from, space).filter(|read| read.epoch == begins.epoch);
            let left_out = begins.seq.saturating_sub(read.map_or(0, |read| read.seq));
            let whole = whole.contains(space);
            let books = &mut self.books;
            let stands = carried::conclude(from, hello.epoch, told, to_me, begins, whole, books);
            if stands == Stands::Agreed {
                // As over a link: whatever came after a backup is here.
                self.books.met(space);
            }
            spaces.push(BundleSpace {
                space: space.clone(),
                complete: stands != Stands::Behind,
                agreed: stands == Stands::Agreed,
                left_out: if stands == Stands::Behind { left_out } else { 0 },
            });
        }
        Ok(Answer::BundleClosed { spaces })
    }

    /// When a local day begins, in milliseconds since 1970; one to come carries nothing.
    fn day_begins(&self, day: &str) -> Result<u64, Trouble> {
        let read: Option<jiff::civil::Date> = day.parse().ok().filter(|_| day.len() == 10);
        if read.is_none() || day > self.today().as_str() {
            return Err(bad_day(day));
        }
        let offset = i64::from(self.utc_offset_minutes) * 60;
        let midnight = read.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let seconds = midnight.map_or(0, |midnight| midnight.timestamp().as_second() - offset);
        Ok(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000))
    }

    /// The desks of this community that may write, as the hub has told, without this one.
    fn other_desks(&self) -> Result<Vec<PeerName>, Trouble> {
        let me = self.books.me();
        let (Role::Node, Some(community)) = (me.role(), &me.community) else {
            return Err(not_here());
        };
        let grants = self.books.authors(&Space::Open(community.clone()));
        let names = grants.iter().filter_map(|grant| PeerName::parse(&grant.name).ok());
        let welcome = |peer: &PeerName| is_neighbour(me, peer) && !self.shut_out().contains(peer);
        let mut desks: Vec<PeerName> = names.filter(welcome).take(BUNDLE_READERS_MAX).collect();
        desks.sort_unstable();
        Ok(desks)
    }

    fn spaces_shared_with(&self, from: &PeerName) -> Result<Vec<Space>, Trouble> {
        let me = self.books.me();
        if !is_neighbour(me, from) {
            return Err(foreign());
        }
        self.check_not_shut_out(from)?;
        Ok(policy::community_spaces(me))
    }

    /// The desk of that machine name, if anything may be said to it.
    fn reader_named(&self, desks: &[PeerName], machine: &MachineId) -> Result<PeerName, Trouble> {
        let named = PeerName { machine: machine.clone(), ..self.books.me().clone() };
        self.check_not_shut_out(&named)?;
        desk_named(desks, machine)
    }
}

/// The desk of that machine name.
fn desk_named(desks: &[PeerName], machine: &MachineId) -> Result<PeerName, Trouble> {
    let found = desks.iter().find(|desk| desk.machine == *machine).cloned();
    found.ok_or_else(|| Trouble {
        code: "no-such-device".into(),
        zh: format!("本机不认识本社区里名为 {machine} 的另一台电脑。请看 devices，或去掉 --for。"),
        en: format!(
            "This desk knows no other desk {machine} of its community. See `devices`, or leave out --for."
        ),
    })
}

/// Whether a desk is another one of the same community.
fn is_neighbour(me: &PeerName, peer: &PeerName) -> bool {
    me.role() == Role::Node
        && peer.role() == Role::Node
        && policy::access::who(me, peer) == policy::access::Who::OwnNode
}

fn bad_day(day: &str) -> Trouble {
    Trouble {
        code: "bad-day".into(),
        zh: format!("“{day}”不是日期，或在今天以后。请写成 2026-05-01 这样。"),
        en: format!("`{day}` is no day, or one to come. Write it like 2026-05-01."),
    }
}

fn foreign() -> Trouble {
    Trouble {
        code: "foreign-bundle".into(),
        zh: "这份内容不是本社区另一台电脑的，没有收。请核对文件来自哪台电脑。".into(),
        en: "This is not from another desk of this community, and was not taken. Check which desk made the file."
            .into(),
    }
}
