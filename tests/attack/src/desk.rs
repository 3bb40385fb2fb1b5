//! An enrolled desk that misbehaves: broken changes over and over, and frames out of turn.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::hlc::Hlc;
use linli_domain::id::{ChangeHash, EntryId, EpochId, Space};
use linli_replica::frame::{Batch, Frame, Hello, Item, SpaceState};
use linli_runtime::dial::{Dial, dial};
use linli_runtime::enrol;
use linli_runtime::limits::LINK_AGE;
use linli_runtime::link::{LinkEvent, Links};
use linli_runtime::tls::{Clock, Expect};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::{Tally, Target};

/// Changes in one batch.
const ITEMS: u64 = 200;
/// Batches on one link before a frame out of turn ends it.
const BATCHES: u64 = 3;
/// It does not wait as an honest desk would before it dials again.
const HURRY_EVERY: Duration = Duration::from_millis(20);

/// Misbehaves until the time is over.
pub(crate) async fn misbehave(
    target: &Target,
    tally: &Arc<Tally>,
    until: Instant,
) -> anyhow::Result<()> {
    let enrolled = enrol::load(&target.identity)?.context("the attacker is enrolled")?;
    let community = enrolled.identity.peer().community.clone().context("it is a desk")?;
    let space = Space::Open(community);
    let (links, mut events) = Links::new();
    let (_keep, identity) = watch::channel(Arc::new(enrolled.identity));
    let dialling = dial(Dial {
        address: target.address.to_string(),
        expect: Expect::Hub,
        identity,
        registry: enrol::Registry::in_memory(),
        links,
        clock: Clock::system(),
        link_age: LINK_AGE,
    });
    let mut sender = None;
    let mut number = 0;
    let mut drawn = 1;
    let mut hurry = Instant::now() + HURRY_EVERY;
    while Instant::now() < until {
        let Ok(event) = timeout_at(hurry.min(until), events.recv()).await else {
            dialling.hurry();
            hurry = Instant::now() + HURRY_EVERY;
            continue;
        };
        let frame = match event.context("links go on")? {
            LinkEvent::Up { frames, .. } => {
                tally.note_opened();
                number = 0;
                sender = Some(frames);
                continue;
            }
            LinkEvent::Down { .. } => {
                tally.note_closed();
                sender = None;
                continue;
            }
            LinkEvent::Frame { frame, .. } => frame,
            LinkEvent::Room { .. } => continue,
        };
        let Some(sender) = &sender else { continue };
        let answer = match frame {
            Frame::Hello(_) => hello(&space),
            Frame::Ack(_) if number >= BATCHES => hello(&space),
            Frame::Ack(_) => {
                number += 1;
                tally.note_done(ITEMS);
                junk(&space, number, &mut drawn)
            }
            _ => continue,
        };
        let greets = number == 0;
        // What finds no room was only junk.
        let _ = sender.try_send(answer);
        if greets {
            number = 1;
            let _ = sender.try_send(junk(&space, number, &mut drawn));
        }
    }
    Ok(())
}

fn hello(space: &Space) -> Frame {
    let state = SpaceState {
        space: space.clone(),
        held: Digest::default(),
        head: 0,
        chain: 0,
        cursor: None,
        refused: Digest::default(),
    };
    Frame::Hello(Hello { epoch: EpochId([6; 16]), now: Hlc(1), spaces: vec![state] })
}

/// Bytes that are no changes, under names that are nobody's.
fn junk(space: &Space, number: u64, drawn: &mut u64) -> Frame {
    let items = (0..ITEMS)
        .map(|nth| {
            *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(nth + 1);
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&drawn.to_le_bytes());
            Item {
                entry: EntryId::new("issue", &format!("j{drawn}")).expect("a letter and digits"),
                hash: ChangeHash(hash),
                bytes: Bytes::from(drawn.to_le_bytes().repeat(40)),
                keys: Vec::new(),
            }
        })
        .collect();
    let (space, held) = (space.clone(), Digest::default());
    Frame::Batch(Batch { space, to: None, number, items, last: true, held })
}
