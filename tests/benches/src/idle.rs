//! W7: what a link costs a hub while nothing happens.
//!
//! Two hundred enrolled machines link from this process. They say hello as a desk that holds what
//! the hub holds, and then nothing. It refuses to open two hundred stores for that.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use linli_demo::office::{Programs, Street};
use linli_domain::id::EpochId;
use linli_replica::frame::{Frame, Hello};
use linli_runtime::dial::{Dial, dial};
use linli_runtime::limits::LINK_AGE;
use linli_runtime::link::{LinkEvent, LinkSender, Links, SendRefused};
use linli_runtime::tls::{Clock, Expect};
use tokio::sync::watch;
use tokio::task::block_in_place;

use crate::desk::seat;
use crate::process::{cpu_at_rest, resident_kilobytes};
use crate::table::Measured;

const LINKS: usize = 200;
/// Desks of one community.
const DESKS: usize = 5;

/// Measures once.
pub(crate) async fn run(
    programs: &Programs,
    dir: &Path,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let street = block_in_place(|| Street::found(programs, dir))?;
    let mut enrolled = Vec::new();
    for nth in 0..LINKS {
        let (community, name) = (format!("c{}", nth / DESKS), format!("desk{}", nth % DESKS));
        enrolled.push(seat(&street, &dir.join(format!("seat{nth}")), &community, &name).await?);
    }
    let hub = street.hub.pid().context("the hub runs")?;
    block_in_place(|| cpu_at_rest(hub))?;
    let before = resident_kilobytes(hub)?;
    let (links, mut events) = Links::new();
    let mut dialled = Vec::new();
    for one in enrolled {
        let (keep, identity) = watch::channel(Arc::new(one.identity));
        let (links, clock, link_age) = (links.clone(), Clock::system(), LINK_AGE);
        let (expect, registry) = (Expect::Hub, linli_runtime::enrol::Registry::in_memory());
        let dial =
            dial(Dial { address: one.hub, expect, identity, registry, links, clock, link_age });
        dialled.push((dial, keep));
    }
    let mut senders: Vec<(linli_runtime::link::LinkId, LinkSender)> = Vec::new();
    let mut greeted = 0;
    while greeted < LINKS {
        match events.recv().await.context("the links end")? {
            LinkEvent::Up { link, frames, .. } => senders.push((link, frames)),
            LinkEvent::Frame { link, frame: Frame::Hello(hello), .. } => {
                let sender = senders.iter().find(|(known, _)| *known == link);
                let (_, sender) = sender.context("a link is up before it speaks")?;
                let sent = sender.try_send(Frame::Hello(agreeing(hello)));
                ensure!(!matches!(sent, Err(SendRefused::Gone)), "a link is gone");
                greeted += 1;
            }
            LinkEvent::Down { reason, .. } => anyhow::bail!("a link ended: {reason}"),
            LinkEvent::Frame { .. } | LinkEvent::Room { .. } => {}
        }
    }
    block_in_place(|| cpu_at_rest(hub))?;
    let after = resident_kilobytes(hub)?;
    measured.add("W7.kb", (after - before) / LINKS as f64);
    Ok(())
}

/// The hello of a machine that holds exactly the same.
fn agreeing(theirs: Hello) -> Hello {
    let mut spaces = theirs.spaces;
    for space in &mut spaces {
        space.cursor = None;
    }
    Hello { epoch: EpochId([7; 16]), now: theirs.now, spaces }
}
