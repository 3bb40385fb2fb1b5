//! A desk inside of this process: the daemon that offices run, over a real store and a real link,
//! asked directly so that the local API is not part of what is measured.
//!
//! What its link brings passes by here on the way to the machine's thread, so that waiting for
//! something costs nothing until something comes. It refuses to look at frames beyond that.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use linli_demo::office::Street;
use linli_domain::id::{CommunityId, EntryId, MachineId, Space};
use linli_domain::pack::Registry;
use linli_runtime::ask::{Answer, Ask};
use linli_runtime::authority::Identity;
use linli_runtime::daemon::{self, CHINA_OFFSET_MINUTES, Handle, Keys};
use linli_runtime::dial::{Dial, Dialling, dial};
use linli_runtime::enrol::{Enrolled, Registry as EnrolRegistry, Token, enrol};
use linli_runtime::limits::LINK_AGE;
use linli_runtime::link::{LinkEvent, Links};
use linli_runtime::site::{Opening, Standing};
use linli_runtime::tls::{Clock, Expect, Traffic};
use tokio::sync::{mpsc, watch};

use crate::forms;

/// Longer than any of what is measured may take.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// Something may change without a word from the link: looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Events between link and machine, as the links' own queue has.
const EVENTS_MAX: usize = 64;

/// A desk.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) handle: Handle,
    /// Where it dials: its hub's `host:port`.
    pub(crate) hub: String,
    space: Space,
    links: Links,
    identity: watch::Receiver<Arc<Identity>>,
    /// The identity is never renewed here, but who reads it must not think that it is gone.
    _identity: watch::Sender<Arc<Identity>>,
    /// Counts what came over the link.
    came: watch::Receiver<u64>,
    dialling: Option<Dialling>,
}

/// A new machine's seat at a hub.
pub(crate) async fn seat(
    street: &Street,
    dir: &Path,
    community: &str,
    name: &str,
) -> anyhow::Result<Enrolled> {
    let invite = Ask::Invite { community: CommunityId::parse(community)?, hours: 1 };
    let Answer::Invitation { token, .. } = street.hub.ask(&invite)? else {
        bail!("the hub gives no invitation");
    };
    let machine = MachineId::parse(name)?;
    Ok(enrol(&Token::parse(&token)?, &machine, dir, &Clock::system()).await?)
}

impl Desk {
    /// Enrols a desk and opens it; it does not dial yet.
    pub(crate) async fn join(
        street: &Street,
        dir: &Path,
        community: &str,
        name: &str,
    ) -> anyhow::Result<Self> {
        let data = dir.join(format!("{community}-{name}"));
        let enrolled = seat(street, &data.join("identity"), community, name).await?;
        let keys = Keys::below(&data);
        let ring = if enrolled.founding { Some(keys.found()?) } else { None };
        let opening = Opening {
            me: enrolled.identity.peer().clone(),
            registry: Arc::new(Registry::builtin().open_metrics()),
            ring,
            members: Standing::default(),
            device: Some(keys.device()?),
            entropy: daemon::system_entropy(),
            utc_offset_minutes: CHINA_OFFSET_MINUTES,
            node_bytes_per_day: 0,
            authority: None,
        };
        let opened = daemon::open(&data, opening)?;
        let (links, events) = Links::new();
        let (passed_on, machine_events) = mpsc::channel(EVENTS_MAX);
        let (count, came) = watch::channel(0);
        tokio::spawn(pass_on(events, passed_on, count));
        let (handle, _ended) = daemon::spawn(opened.site, machine_events, Some(keys))?;
        let (keep, identity) = watch::channel(Arc::new(enrolled.identity));
        let space = Space::Open(CommunityId::parse(community)?);
        let hub = enrolled.hub;
        Ok(Self { handle, hub, space, links, identity, _identity: keep, came, dialling: None })
    }

    /// Begins to dial `address`.
    pub(crate) fn dial(&mut self, address: &str) {
        self.dialling = Some(dial(Dial {
            address: address.to_owned(),
            expect: Expect::Hub,
            identity: self.identity.clone(),
            registry: EnrolRegistry::in_memory(),
            links: self.links.clone(),
            clock: Clock::system(),
            link_age: LINK_AGE,
        }));
    }

    /// Brings the link down, and waits until the desk knows: what it says of a link that has ended
    /// must not be taken for the next one's.
    pub(crate) async fn hang_up(&mut self) -> anyhow::Result<()> {
        if let Some(dialling) = self.dialling.take() {
            dialling.stop().await;
        }
        self.until("the desk knows that it has no link", Self::is_alone).await
    }

    async fn is_alone(&self) -> anyhow::Result<bool> {
        Ok(self.handle.peers().await.iter().all(|peer| !peer.connected))
    }

    /// Bytes inside of TLS, over all its links so far.
    pub(crate) fn traffic(&self) -> &Traffic {
        self.links.traffic()
    }

    /// Asks; trouble is an error.
    pub(crate) async fn ask(&self, ask: Ask) -> anyhow::Result<Answer> {
        answered(self.handle.ask(ask).await)
    }

    /// Imports the first `entries`; each `sealed_every`th has a sealed half, or none if that is 0.
    pub(crate) async fn import(&self, entries: usize, sealed_every: usize) -> anyhow::Result<()> {
        for ask in forms::imports(0, entries, sealed_every) {
            match self.ask(ask).await? {
                Answer::Imported { refused, .. } if refused.is_empty() => {}
                other => bail!("an import answered {other:?}"),
            }
        }
        Ok(())
    }

    /// The digest of the community's open halves.
    pub(crate) async fn digest(&self) -> anyhow::Result<String> {
        match self.ask(Ask::Digests {}).await? {
            Answer::Digests { digests } => {
                Ok(digests.get(&self.space).cloned().unwrap_or_default())
            }
            other => bail!("digests answered {other:?}"),
        }
    }

    /// Whether hub and desk hold the same, and both know it.
    pub(crate) async fn agrees(&self) -> anyhow::Result<bool> {
        Ok(self.handle.peers().await.iter().any(|peer| peer.agreed))
    }

    /// What a reader at this desk sees in a field.
    pub(crate) async fn field(&self, entry: &EntryId, name: &str) -> anyhow::Result<String> {
        let ask = Ask::Show { community: None, entry: entry.clone(), reason: None };
        match self.ask(ask).await? {
            Answer::Entry(view) => {
                let text = view.fields.get(name).and_then(|json| json.as_str());
                Ok(text.unwrap_or_default().to_owned())
            }
            other => bail!("a look answered {other:?}"),
        }
    }

    /// The digest of an entry as a reader at this desk sees it.
    pub(crate) async fn seen(&self, entry: &EntryId) -> anyhow::Result<String> {
        let ask = Ask::Show { community: None, entry: entry.clone(), reason: None };
        match self.ask(ask).await? {
            Answer::Entry(view) => Ok(view.digest),
            other => bail!("a look answered {other:?}"),
        }
    }

    /// Looks at once and whenever the link brought something, until it is so.
    ///
    /// What came is with the machine when it is counted, but questions go first within a turn: the
    /// second look is answered by a later turn than the one that took it.
    pub(crate) async fn until(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut came = self.came.clone();
        loop {
            came.mark_unchanged();
            if look(self).await? || look(self).await? {
                return Ok(());
            }
            ensure!(began.elapsed() < WAIT_MAX, "waited too long until {what}");
            if let Ok(changed) = tokio::time::timeout(LOOK_AGAIN, came.changed()).await {
                changed.context("the link's events have ended")?;
            }
        }
    }
}

/// Edits one entry at `near` while somebody has it open at `far`, and looks afterwards whether it is
/// there to stay.
pub(crate) async fn edit_live(
    near: &Desk,
    far: &Desk,
    number: usize,
    text: &str,
) -> anyhow::Result<Lived> {
    let entry = forms::entry(number);
    let seen = Some(far.seen(&entry).await?);
    let began = Instant::now();
    let written = async {
        near.ask(forms::edit(number, text)).await?;
        anyhow::Ok(began.elapsed())
    };
    let arrived = async {
        let follow = Ask::Follow { community: None, entry: entry.clone(), seen };
        let Answer::Entry(told) = far.ask(follow).await? else {
            bail!("nobody is told of {entry}")
        };
        let shown = began.elapsed();
        let title = told.fields.get(forms::EDITED).and_then(|json| json.as_str());
        ensure!(title == Some(text), "who follows {entry} was told {title:?}");
        // An ordinary look is answered once all that it shows is on the disk.
        ensure!(far.field(&entry, forms::EDITED).await? == text, "{entry} went back");
        anyhow::Ok((shown, began.elapsed()))
    };
    let (own, (shown, held)) = tokio::try_join!(written, arrived)?;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Lived { own: millis(own), shown: millis(shown), held: millis(held) })
}

/// How long a live edit took, in milliseconds.
#[derive(Debug)]
pub(crate) struct Lived {
    /// Until it was durable at its own desk.
    pub(crate) own: f64,
    /// Until the other desk showed it.
    pub(crate) shown: f64,
    /// Until it was durable there as well.
    pub(crate) held: f64,
}

/// Trouble is an error.
pub(crate) fn answered(answer: Answer) -> anyhow::Result<Answer> {
    match answer {
        Answer::Trouble(trouble) => bail!("{}: {}", trouble.code, trouble.en),
        answer => Ok(answer),
    }
}

async fn pass_on(
    mut events: mpsc::Receiver<LinkEvent>,
    machine: mpsc::Sender<LinkEvent>,
    count: watch::Sender<u64>,
) {
    while let Some(event) = events.recv().await {
        if machine.send(event).await.is_err() {
            return;
        }
        count.send_modify(|came| *came += 1);
    }
}
