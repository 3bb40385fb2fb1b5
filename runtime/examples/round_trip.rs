//! Measures a frame's way from one replica's thread to another and back, over mutual TLS on this
//! machine, and what a link carries in bulk.
//!
//! `cargo run --release -p linli-runtime --example round_trip`

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::id::{ChangeHash, CommunityId, EntryId, MachineId, PeerName, Space};
use linli_replica::frame::{Ack, Batch, Frame, Item};
use linli_runtime::authority::Authority;
use linli_runtime::dial::{Dial, dial};
use linli_runtime::enrol::{Invitations, Registrar, Registry, Seat, enrol};
use linli_runtime::limits::LINK_AGE;
use linli_runtime::link::{LinkEvent, LinkSender, Links, SendRefused};
use linli_runtime::serve::{Door, Terms, serve};
use linli_runtime::tls::{Census, Clock, Expect};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

const ROUND_TRIPS: usize = 20_000;
const BATCHES: usize = 2_000;
const ITEMS: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let hub_side = Runtime::new()?;
    let desk_side = Runtime::new()?;
    let dir = tempfile::tempdir()?;
    let clock = Clock::system();
    let hub = PeerName::parse("jiangbei/hongqi/-/hub")?;
    let authority = Authority::create(dir.path(), &hub, clock.now())?;
    let identity = authority.issue_hub(&[], clock.now())?;
    let registry = Registry::open(dir.path().join("machines.json"))?;
    let invitations = Invitations::open(dir.path().join("invitations.json"))?;
    let registrar =
        Arc::new(Registrar::new(authority, invitations, registry.clone(), clock.clone()));
    let (links, hub_events) = Links::new();
    let serving = hub_side.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let registrar = Some(registrar.clone());
        let (_, identity) = watch::channel(Arc::new(identity));
        let (clock, terms) = (clock.clone(), Terms::default());
        let census = Census::default();
        let registry = registry.clone();
        let door = Door { identity, registry, registrar, links, clock, census, terms };
        serve(listener, door).map_err(Box::<dyn Error>::from)
    })?;

    let address = serving.address().to_string();
    let seat = Seat::Community(CommunityId::parse("anping")?);
    let token = registrar.invite(seat, address.clone(), 3_600)?;
    let machine = MachineId::parse("desk1")?;
    let desk_dir = dir.path().join("desk");
    let enrolled = desk_side.block_on(enrol(&token, &machine, &desk_dir, &clock))?;
    let (links, mut desk_events) = Links::new();
    let traffic = links.traffic().clone();
    let (_keep, identity) = watch::channel(Arc::new(enrolled.identity));
    let (expect, link_age) = (Expect::Hub, LINK_AGE);
    let plan = Dial { address, expect, identity, registry, links, clock, link_age };
    let _dialling = desk_side.block_on(async { dial(plan) });

    thread::spawn(move || answer(hub_events));
    let to_hub = loop {
        if let Some(LinkEvent::Up { frames, .. }) = desk_events.blocking_recv() {
            break frames;
        }
    };
    round_trips(&to_hub, &mut desk_events, 300);
    let small = round_trips(&to_hub, &mut desk_events, 300);
    println!("one change of 300 bytes there, its acknowledgement back:");
    println!(
        "  p50 {:?}  p99 {:?}  max {:?}",
        small[ROUND_TRIPS / 2],
        small[ROUND_TRIPS / 100 * 99],
        small[ROUND_TRIPS - 1]
    );

    let (sent, began) = (traffic.sent(), Instant::now());
    bulk(&to_hub, &mut desk_events);
    let took = began.elapsed();
    let changes = BATCHES * ITEMS;
    println!("{changes} changes of 300 bytes in batches of {ITEMS}, each acknowledged:");
    println!(
        "  {:.0} changes/s, {:.1} MB/s plain, {:.1} MB sent",
        changes as f64 / took.as_secs_f64(),
        (changes * 300) as f64 / took.as_secs_f64() / 1e6,
        (traffic.sent() - sent) as f64 / 1e6,
    );
    Ok(())
}

/// The hub's replica: acknowledges every batch.
fn answer(mut events: mpsc::Receiver<LinkEvent>) {
    let mut to_desk = None;
    while let Some(event) = events.blocking_recv() {
        match event {
            LinkEvent::Up { frames, .. } => to_desk = Some(frames),
            LinkEvent::Frame { frame: Frame::Batch(batch), .. } => {
                let (space, number) = (batch.space, batch.number);
                let (refused, again) = (vec![], vec![]);
                let ack =
                    Ack { space, number, held: Digest::default(), refused, again, rest_seconds: 0 };
                if let Some(to_desk) = &to_desk {
                    // A window of eight never fills the queue.
                    let _ = to_desk.try_send(Frame::Ack(ack));
                }
            }
            _ => {}
        }
    }
}

fn round_trips(
    to_hub: &LinkSender,
    events: &mut mpsc::Receiver<LinkEvent>,
    bytes: usize,
) -> Vec<Duration> {
    let mut took: Vec<Duration> = (0..ROUND_TRIPS)
        .map(|number| {
            let frame = batch(1, bytes, number);
            let began = Instant::now();
            // One frame at a time never fills the queue.
            let _ = to_hub.try_send(frame);
            wait_for_ack(events);
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}

fn bulk(to_hub: &LinkSender, events: &mut mpsc::Receiver<LinkEvent>) {
    let mut under_way = 0;
    for number in 0..BATCHES {
        if under_way == 8 {
            wait_for_ack(events);
            under_way -= 1;
        }
        if let Err(SendRefused::Gone) = to_hub.try_send(batch(ITEMS, 300, number)) {
            return;
        }
        under_way += 1;
    }
    for _ in 0..under_way {
        wait_for_ack(events);
    }
}

fn wait_for_ack(events: &mut mpsc::Receiver<LinkEvent>) {
    while let Some(event) = events.blocking_recv() {
        if let LinkEvent::Frame { frame: Frame::Ack(_), .. } = event {
            return;
        }
    }
}

/// Changes that compress about as well as real ones: a third noise, the rest alike.
fn batch(items: usize, bytes: usize, number: usize) -> Frame {
    let items = (0..items)
        .map(|at| {
            let mut state = (number * ITEMS + at) as u64;
            let change: Vec<u8> = (0..bytes)
                .map(|place| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if place % 3 == 0 { (state >> 33) as u8 } else { place as u8 }
                })
                .collect();
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&state.to_le_bytes());
            Item {
                entry: EntryId::parse(&format!("issue/{number}-{at}"))
                    .unwrap_or_else(|_| unreachable!()),
                hash: ChangeHash(hash),
                bytes: Bytes::from(change),
                keys: Vec::new(),
            }
        })
        .collect();
    let space = Space::Open(CommunityId::parse("anping").unwrap_or_else(|_| unreachable!()));
    Frame::Batch(Batch {
        space,
        to: None,
        number: number as u64,
        items,
        last: true,
        held: Digest::default(),
    })
}
