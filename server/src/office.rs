//! What an operator may ask of this hub: the machine's own answers, and those about enrolment,
//! which the machine does not know.

use std::sync::Arc;

use linli_domain::id::{CommunityId, PeerName};
use linli_runtime::ask::{Answer, Ask, ConnectionsView, NodeView, Trouble};
use linli_runtime::books::TakenToday;
use linli_runtime::conduct::{Conduct, Misconduct};
use linli_runtime::daemon::{Handle, local_time};
use linli_runtime::enrol::{BookError, Record, Registrar, Revocation, Seat, Standing};
use linli_runtime::limits::CONNECTIONS_MAX;
use linli_runtime::tls::{Census, Clock};

/// A hub that runs.
#[derive(Debug)]
pub(crate) struct Office {
    /// The machine.
    pub(crate) handle: Handle,
    /// Names machines.
    pub(crate) registrar: Arc<Registrar>,
    /// The `host:port` that goes into invitations.
    pub(crate) address: String,
    /// Communities of the settings.
    pub(crate) communities: Vec<CommunityId>,
    /// What its store said when it was opened.
    pub(crate) store_notes: Vec<String>,
    /// Minutes ahead of UTC.
    pub(crate) utc_offset_minutes: i32,
    /// The wall clock.
    pub(crate) clock: Clock,
    /// How machines behave.
    pub(crate) conduct: Conduct,
    /// Who is connected.
    pub(crate) census: Census,
}

impl Office {
    /// Answers.
    pub(crate) async fn ask(self: &Arc<Self>, ask: Ask) -> Answer {
        match ask {
            Ask::Invite { community, hours } => self.invite(community, hours).await,
            Ask::Nodes {} => self.nodes().await,
            Ask::Revoke { machine } => self.revoke(&machine).await,
            Ask::Status {} => {
                let mut answer = self.handle.ask(Ask::Status {}).await;
                if let Answer::Status(status) = &mut answer {
                    status.store.clone_from(&self.store_notes);
                    status.connections = Some(self.connections());
                    status.slowed = self.conduct.slowed().iter().map(ToString::to_string).collect();
                }
                answer
            }
            other => self.handle.ask(other).await,
        }
    }

    fn connections(&self) -> ConnectionsView {
        let counted = self.census.counted();
        ConnectionsView {
            machines: counted.machines,
            machines_max: CONNECTIONS_MAX,
            strangers: counted.strangers,
            turned_away: counted.turned_away,
        }
    }

    /// Tells the machine who is enrolled and which communities are expected. Machines that were
    /// shut out are among them: what they wrote before is still passed on.
    pub(crate) async fn announce(&self) {
        let records = self.registrar.registry().list();
        let peers = records.iter().map(|record| record.peer.clone()).collect();
        let invited =
            self.registrar.invitations().list().into_iter().filter_map(
                |invitation| match invitation.seat {
                    Seat::Community(community) => Some(community),
                    Seat::Street(_) => None,
                },
            );
        let communities = self.communities.iter().cloned().chain(invited).collect();
        self.handle.enrolled(peers, communities).await;
        self.publish_revocations(&records).await;
    }

    /// Signs what desks do not know yet of who was revoked, and has it written down for them.
    async fn publish_revocations(&self, records: &[Record]) {
        let known = self.handle.shut_out().borrow().clone();
        let mut revocations = Vec::new();
        for record in records {
            let Some(at) = record.revoked.filter(|_| !known.contains(&record.peer)) else {
                continue;
            };
            match Revocation::sign(self.registrar.authority(), &record.peer, at) {
                Ok(signed) => revocations.push(signed),
                Err(error) => {
                    tracing::error!(peer = %record.peer, %error, "cannot sign a revocation");
                }
            }
        }
        if !revocations.is_empty() {
            self.handle.revoke(revocations).await;
        }
    }

    async fn invite(self: &Arc<Self>, community: CommunityId, hours: u32) -> Answer {
        let life_s = u64::from(hours) * 3_600;
        let office = self.clone();
        let given = tokio::task::spawn_blocking(move || {
            office.registrar.invite(Seat::Community(community), office.address.clone(), life_s)
        })
        .await;
        match given {
            Ok(Ok(token)) => {
                self.announce().await;
                let expires = local_time(self.clock.now() + life_s, self.utc_offset_minutes);
                Answer::Invitation { token: token.to_text(), expires }
            }
            Ok(Err(error)) => Answer::Trouble(book_trouble(&error)),
            Err(_) => Answer::Trouble(broken()),
        }
    }

    async fn nodes(&self) -> Answer {
        let states = self.handle.peers().await;
        let local = |seconds: u64| local_time(seconds, self.utc_offset_minutes);
        let registry = self.registrar.registry();
        let view = |record: Record| {
            let state = states.iter().find(|state| state.peer == record.peer);
            let today = state.map_or_else(TakenToday::default, |state| state.today);
            let Misconduct { refused, breaches, slowed } =
                self.conduct.of(&record.peer).unwrap_or_default();
            NodeView {
                name: record.peer.to_string(),
                since: local(record.since),
                revoked: registry.standing(&record.peer) == Standing::Revoked,
                connected: state.is_some_and(|state| state.connected),
                last_heard: state.and_then(|state| state.last_heard).map(|at| local(at / 1_000)),
                agreed: state.is_some_and(|state| state.agreed),
                bytes_today: today.bytes,
                put_off: today.put_off,
                refused,
                breaches,
                slowed,
            }
        };
        let records = registry.list();
        Answer::Nodes { nodes: records.into_iter().map(view).collect() }
    }

    async fn revoke(self: &Arc<Self>, machine: &str) -> Answer {
        let unknown = || {
            Answer::Trouble(Trouble {
                code: "no-such-machine".into(),
                zh: format!("没有登记过“{machine}”，或已停用。用 nodes 查看全名。"),
                en: format!(
                    "No machine `{machine}` is enrolled, or it is shut out already. `nodes` lists full names."
                ),
            })
        };
        let Ok(peer) = PeerName::parse(machine) else { return unknown() };
        let office = self.clone();
        let revoked = tokio::task::spawn_blocking(move || {
            office.registrar.registry().revoke(&peer, office.clock.now())
        })
        .await;
        match revoked {
            Ok(Ok(true)) => Answer::Done {},
            Ok(Ok(false)) => unknown(),
            Ok(Err(error)) => Answer::Trouble(book_trouble(&error)),
            Err(_) => Answer::Trouble(broken()),
        }
    }
}

fn book_trouble(error: &BookError) -> Trouble {
    Trouble {
        code: "books".into(),
        zh: format!("登记簿写不了：{error}。请检查数据目录和磁盘空间，再试一次。"),
        en: format!(
            "The books cannot be written: {error}. Check the data folder and the disk, then try again."
        ),
    }
}

fn broken() -> Trouble {
    Trouble {
        code: "broken".into(),
        zh: "没有办成，请查看日志。".into(),
        en: "It could not be done; look at the log.".into(),
    }
}
