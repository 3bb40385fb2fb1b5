//! Every cell of the table of access, asked of a real server by a real caller.

use linli_domain::digest::Digest;
use linli_domain::hlc::Hlc;
use linli_domain::id::{EpochId, Role, Space, StreetId};
use linli_domain::pack::Registry as Definitions;
use linli_proto::v1::RenewRequest;
use linli_proto::v1::enrolment_client::EnrolmentClient;
use linli_proto::v1::replication_client::ReplicationClient;
use linli_replica::frame::{Batch, Frame, Hello};
use linli_store::disk::MemoryDisk;
use linli_store::store::{Store, StoreOptions};
use linli_store::views::MemoryViews;
use rustls::ClientConfig;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::transport::Channel;

use super::*;
use crate::authority::MachineKey;
use crate::daemon::{self, CHINA_OFFSET_MINUTES, Ended, Handle, now_millis};
use crate::enrol::Seat;
use crate::link::LinkEvent;
use crate::policy::access::{Method, Scope, Who, may};
use crate::site::{Opening, Site};
use crate::wire;

const WHOS: [Who; 9] = [
    Who::Nobody,
    Who::Invited,
    Who::Person,
    Who::OwnNode,
    Who::OtherNode,
    Who::OwnHub,
    Who::OtherHub,
    Who::District,
    Who::Revoked,
];

/// A server of one role, with a machine behind it.
struct Answering {
    /// Whose authority names everybody.
    street: Street,
    role: Role,
    address: String,
    _serving: Option<Serving>,
    _machine: (Handle, Ended),
}

/// How a caller shows who it is, if at all.
pub(super) fn config(street: &Street, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let clock = street.clock();
    match identity {
        Some(identity) => client_config(identity, Expect::Hub, &clock).unwrap(),
        None => enrolling_config(street.registrar.authority().fingerprint(), &clock).unwrap(),
    }
}

pub(super) async fn channel(address: &str, config: Arc<ClientConfig>) -> Channel {
    channel_over(connect(address, config, Arc::default()).await.unwrap().stream).await.unwrap()
}

/// A machine in memory; `me` says what it is.
pub(super) fn machine(
    me: &PeerName,
    events: tokio::sync::mpsc::Receiver<LinkEvent>,
) -> (Handle, Ended) {
    let options = StoreOptions::default();
    let (store, _) = Store::open(MemoryDisk::new(), MemoryViews::new(), options).unwrap();
    let opening = Opening {
        me: me.clone(),
        registry: Arc::new(Definitions::builtin().open_metrics()),
        ring: None,
        device: None,
        members: crate::site::Standing::default(),
        entropy: daemon::system_entropy(),
        utc_offset_minutes: CHINA_OFFSET_MINUTES,
        node_bytes_per_day: 0,
        authority: None,
    };
    daemon::spawn(Site::open(opening, store, now_millis()).unwrap(), events, None).unwrap()
}

impl Answering {
    async fn open(role: Role) -> Self {
        let hub = if role == Role::DistrictHub { "jiangbei/-/-/district" } else { HUB };
        let mut street = Street::open_as(hub).await;
        if role != Role::Node {
            let events = std::mem::replace(&mut street.events.0, tokio::sync::mpsc::channel(1).1);
            let machine = machine(&PeerName::parse(hub).unwrap(), events);
            let address = street.address();
            return Self { street, role, address, _serving: None, _machine: machine };
        }
        let identity = street.desk("anping", "answers").await.enrolled.identity;
        let (links, events) = Links::new();
        let machine = machine(identity.peer(), events);
        // A desk that heard who was revoked, so that the cell can be asked.
        let registry = street.registrar.registry().clone();
        let door = Door {
            identity: fixed(identity),
            registry,
            registrar: None,
            links,
            clock: street.clock(),
            census: Census::default(),
            terms: Terms::default(),
        };
        let serving = serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), door).unwrap();
        let address = serving.address().to_string();
        Self { street, role, address, _serving: Some(serving), _machine: machine }
    }

    /// The certificate a role has. All are of the server's own authority, so that it is the table
    /// that refuses and not the handshake.
    fn identity(&self, who: Who) -> Option<Identity> {
        let own_hub = if self.role == Role::DistrictHub { HUB } else { "jiangbei/hongqi/-/hub" };
        let name = match who {
            Who::Nobody | Who::Invited | Who::Person => return None,
            Who::OwnNode => "jiangbei/hongqi/anping/calls",
            Who::OtherNode if self.role == Role::Node => "jiangbei/hongqi/xingfu/calls",
            Who::OtherNode => "jiangbei/dongjie/anping/calls",
            Who::OwnHub => own_hub,
            Who::OtherHub if self.role == Role::DistrictHub => "jiangnan/hongqi/-/hub",
            Who::OtherHub => "jiangbei/dongjie/-/hub",
            Who::District if self.role == Role::DistrictHub => "jiangnan/-/-/district",
            Who::District => "jiangbei/-/-/district",
            Who::Revoked => "jiangbei/hongqi/anping/gone",
        };
        let name = PeerName::parse(name).unwrap();
        let authority = self.street.registrar.authority();
        let key = MachineKey::generate().unwrap();
        let leaf = authority.issue(&name, &key.request().unwrap(), 60, NOW).unwrap();
        let identity = Identity::new(key, leaf, authority.certificate().clone()).unwrap();
        if who == Who::Revoked {
            let registry = self.street.registrar.registry();
            registry.note(identity.leaf(), false, NOW).unwrap();
            registry.revoke(&name, NOW).unwrap();
        }
        Some(identity)
    }

    /// A connection as this role; an error where even that is refused.
    async fn call(&self, identity: Option<&Identity>) -> Result<Channel, Status> {
        let clock = self.street.clock();
        let expect = match (self.role, identity) {
            (Role::Node, _) => Expect::Desk(CommunityId::parse("anping").unwrap()),
            _ => Expect::Hub,
        };
        let config = match identity {
            Some(identity) => client_config(identity, expect, &clock).unwrap(),
            None if self.role == Role::Node => {
                // No desk shows its authority; what is asked is the call, not who answers.
                return Err(Status::unauthenticated("strangers do not find a desk"));
            }
            None => config(&self.street, None),
        };
        let dialled = connect(&self.address, config, Arc::default())
            .await
            .map_err(|error| Status::unauthenticated(error.to_string()))?;
        channel_over(dialled.stream).await.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// Makes the call of a cell; `Ok` if it was served.
    async fn ask(&self, method: Method, who: Who, scope: Scope) -> Result<(), Status> {
        let identity = self.identity(who);
        let channel = self.call(identity.as_ref()).await?;
        match method {
            Method::Link => {
                let space = self.space(identity.as_ref(), scope);
                linked(channel, &space).await
            }
            Method::Enrol => {
                let secret = match (who, scope) {
                    (Who::Invited, Scope::Own) => self.secret(self.seat()),
                    (_, Scope::Own) => vec![7; 16],
                    // A seat this hub may not give.
                    (Who::Invited, Scope::Foreign) => self.secret(self.foreign_seat()),
                    (_, Scope::Foreign) => vec![8; 16],
                };
                let csr = MachineKey::generate().unwrap().request().unwrap();
                let machine = MachineId::parse("fresh").unwrap().as_str().to_owned();
                let request = EnrolRequest { secret: secret.into(), machine, csr: csr.into() };
                EnrolmentClient::new(channel).enrol(request).await.map(|_| ())
            }
            Method::Renew => {
                let csr = MachineKey::generate().unwrap().request().unwrap();
                let request = RenewRequest { csr: csr.into() };
                let renewed = EnrolmentClient::new(channel).renew(request).await?;
                let RenewReply { certificate } = renewed.into_inner();
                let given = crate::authority::Leaf::read(&certificate.to_vec().into()).unwrap();
                // There is no way to ask for another's name; what is given is one's own.
                assert_eq!(Some(&given.peer), identity.as_ref().map(Identity::peer));
                if scope == Scope::Foreign {
                    return Err(Status::permission_denied("nobody is given another's name"));
                }
                Ok(())
            }
            Method::Ask => {
                let codec = tonic_prost::ProstCodec::<RenewRequest, RenewReply>::default();
                let mut client = tonic::client::Grpc::new(channel);
                client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
                let path = "/v1/ask".parse().unwrap();
                let request = Request::new(RenewRequest::default());
                client.unary(request, path, codec).await.map(|_| ())
            }
        }
    }

    fn space(&self, identity: Option<&Identity>, scope: Scope) -> Space {
        let own = identity.and_then(|identity| identity.peer().community.clone());
        match (self.role, scope) {
            (Role::DistrictHub, Scope::Own) => Space::Figures(StreetId::parse("hongqi").unwrap()),
            (Role::DistrictHub, Scope::Foreign) => {
                Space::Figures(StreetId::parse("dongjie").unwrap())
            }
            (_, Scope::Own) => {
                Space::Open(own.unwrap_or_else(|| CommunityId::parse("anping").unwrap()))
            }
            (_, Scope::Foreign) => Space::Open(CommunityId::parse("renmin").unwrap()),
        }
    }

    fn seat(&self) -> Seat {
        if self.role == Role::DistrictHub {
            Seat::Street(StreetId::parse("hongqi").unwrap())
        } else {
            Seat::Community(CommunityId::parse("anping").unwrap())
        }
    }

    fn foreign_seat(&self) -> Seat {
        if self.role == Role::DistrictHub {
            Seat::Community(CommunityId::parse("anping").unwrap())
        } else {
            Seat::Street(StreetId::parse("dongjie").unwrap())
        }
    }

    fn secret(&self, seat: Seat) -> Vec<u8> {
        let token = self.street.registrar.invite(seat, self.address.clone(), DAY).unwrap();
        token.secret.0.to_vec()
    }
}

fn empty_batch(space: &Space) -> Frame {
    let (items, held) = (Vec::new(), Digest::default());
    Frame::Batch(Batch { space: space.clone(), to: None, number: 1, items, last: true, held })
}

/// Says hello and offers an empty batch of a space: served if it is acknowledged, and the end of
/// the stream if not.
async fn linked(channel: Channel, space: &Space) -> Result<(), Status> {
    let state = linli_replica::frame::SpaceState {
        space: space.clone(),
        held: Digest::default(),
        head: 0,
        chain: 0,
        cursor: None,
        refused: Digest::default(),
    };
    let hello = Frame::Hello(Hello { epoch: EpochId([3; 16]), now: Hlc(1), spaces: vec![state] });
    let said = [wire::encode(hello), wire::encode(empty_batch(space))];
    let sent = tokio_stream::iter(said).chain(tokio_stream::pending());
    let mut answers = ReplicationClient::new(channel).link(sent).await?.into_inner();
    loop {
        let answer = timeout(PATIENCE, answers.message()).await.expect("an answer in time")?;
        let Some(answer) = answer else { return Err(Status::aborted("")) };
        if let Ok(Frame::Ack(ack)) = wire::decode(answer) {
            assert_eq!(ack.space, *space);
            return Ok(());
        }
    }
}

#[tokio::test]
async fn every_cell_of_the_table_is_what_a_server_does() {
    let mut served = 0;
    for role in [Role::Node, Role::StreetHub, Role::DistrictHub] {
        let answering = Answering::open(role).await;
        for method in [Method::Link, Method::Enrol, Method::Renew, Method::Ask] {
            for who in WHOS {
                for scope in [Scope::Own, Scope::Foreign] {
                    // The local API is asked over HTTP on the machine itself, by another test.
                    let wanted = may(role, method, who, scope) && method != Method::Ask;
                    let got = answering.ask(method, who, scope).await;
                    assert_eq!(
                        got.is_ok(),
                        wanted,
                        "{role:?} asked for {method:?} by {who:?}, {scope:?}: {got:?}"
                    );
                    served += usize::from(wanted);
                }
            }
        }
    }
    assert_eq!(served, 7, "the table has these and no others");
}

#[tokio::test]
async fn what_is_foreign_and_what_does_not_exist_are_answered_alike() {
    let answering = Answering::open(Role::StreetHub).await;
    // Another community of the street, with a machine and an entry's space behind it.
    answering.street.desk("xingfu", "desk1").await;
    let desk = answering.street.desk("anping", "desk1").await.enrolled.identity;
    let told = async |space: &str| {
        let channel = answering.call(Some(&desk)).await.unwrap();
        let space = Space::parse(space).unwrap();
        let told = linked(channel, &space).await.unwrap_err();
        (told.code(), told.message().to_owned(), told.details().to_vec())
    };
    let foreign = told("community/xingfu/open").await;
    for unknown in ["community/nirgends/open", "community/xingfu/sealed", "street/dongjie/board"] {
        assert_eq!(told(unknown).await, foreign, "{unknown}");
    }
    // An invitation that is another's, and one that nobody ever gave.
    let refused = async |secret: Vec<u8>| {
        let channel = answering.call(None).await.unwrap();
        let csr = MachineKey::generate().unwrap().request().unwrap();
        let machine = "fresh".to_owned();
        let request = EnrolRequest { secret: secret.into(), machine, csr: csr.into() };
        let told = EnrolmentClient::new(channel).enrol(request).await.unwrap_err();
        (told.code(), told.message().to_owned(), told.details().to_vec())
    };
    let other = Street::open_as("jiangbei/dongjie/-/hub").await;
    let others = other.invite("anping").secret.0.to_vec();
    assert_eq!(refused(others).await, refused(vec![9; 16]).await);
    // Machines that may not link: one of elsewhere, and one that was revoked a moment ago.
    let elsewhere = answering.identity(Who::OtherNode).unwrap();
    let gone = answering.street.desk("anping", "gone").await.enrolled.identity;
    let channels = [&elsewhere, &gone].map(|identity| answering.call(Some(identity)));
    let [elsewhere, still] = channels;
    let (elsewhere, still) = (elsewhere.await.unwrap(), still.await.unwrap());
    // An answer says that the handshake is over: it is the call that is refused below.
    let asked = EnrolmentClient::new(still.clone()).enrol(EnrolRequest::default()).await;
    assert_eq!(asked.unwrap_err().code(), Code::PermissionDenied);
    answering.street.registrar.registry().revoke(gone.peer(), NOW).unwrap();
    let mut told = Vec::new();
    for channel in [elsewhere, still] {
        let refused =
            ReplicationClient::new(channel).link(tokio_stream::pending()).await.unwrap_err();
        told.push((refused.code(), refused.message().to_owned()));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].0, Code::PermissionDenied);
}
