//! Enrolment and renewal, as the network sees them.
//!
//! The network learns little from a refusal; the log says why.

use std::sync::Arc;

use linli_domain::id::PeerName;
use linli_proto::v1::enrolment_server::Enrolment;
use linli_proto::v1::{EnrolReply, EnrolRequest, RenewReply, RenewRequest};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::guard;
use crate::authority::AuthorityError;
use crate::enrol::{Issued, NotAdmitted, NotIssued, Registrar, Registry};
use crate::limits::ENROLMENTS_MAX;
use crate::policy::access::Method;
use crate::seldom::Seldom;

static NOT_GIVEN: Seldom = Seldom::new();

/// Hands out certificates, a few at a time.
#[derive(Debug)]
pub(super) struct EnrolmentDesk {
    me: PeerName,
    registry: Registry,
    registrar: Arc<Registrar>,
    places: Arc<Semaphore>,
}

impl EnrolmentDesk {
    pub(super) fn new(me: PeerName, registry: Registry, registrar: Arc<Registrar>) -> Self {
        Self { me, registry, registrar, places: Arc::new(Semaphore::new(ENROLMENTS_MAX)) }
    }

    /// Places that are free now.
    #[cfg(test)]
    pub(super) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// Does work that waits for the disk, if there is a place for it.
    pub(super) async fn work(
        &self,
        caller: String,
        job: impl FnOnce(&Registrar) -> Result<Issued, NotIssued> + Send + 'static,
    ) -> Result<Issued, Status> {
        let place =
            self.places.clone().try_acquire_owned().map_err(|_| {
                Status::resource_exhausted("too many machines enrol at this moment")
            })?;
        let registrar = self.registrar.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let _place = place;
            job(&registrar)
        })
        .await
        .map_err(|_| Status::internal("the hub could not do it"))?;
        outcome.map_err(|refusal| {
            if let Some(unsaid) = NOT_GIVEN.may() {
                tracing::warn!(caller, %refusal, unsaid, "no certificate given");
            }
            told(&refusal)
        })
    }
}

/// What the network is told. An invitation that is unknown, used or ended is one and the same.
fn told(refusal: &NotIssued) -> Status {
    match refusal {
        NotIssued::NotAdmitted(
            NotAdmitted::Unknown
            | NotAdmitted::Expired
            | NotAdmitted::Used
            | NotAdmitted::NoSuchSeat,
        ) => Status::permission_denied("the invitation was not accepted"),
        NotIssued::NotAdmitted(NotAdmitted::NameTaken { .. }) => {
            Status::already_exists("there is or was a machine of this name")
        }
        NotIssued::NotAdmitted(NotAdmitted::BadName(error)) => {
            Status::invalid_argument(error.to_string())
        }
        NotIssued::Authority(AuthorityError::Request) => {
            Status::invalid_argument("the signing request is malformed")
        }
        NotIssued::TooLate | NotIssued::Revoked => {
            Status::permission_denied("this machine must be invited again")
        }
        NotIssued::NotAdmitted(NotAdmitted::Book(_))
        | NotIssued::Authority(_)
        | NotIssued::Leaf(_)
        | NotIssued::Book(_) => Status::internal("the hub cannot write its books"),
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolmentDesk {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let caller = guard::caller_of(&request)?;
        guard::admit(&self.me, &self.registry, Method::Enrol, &caller)?;
        let caller = caller.address.to_string();
        let EnrolRequest { secret, machine, csr } = request.into_inner();
        let issued =
            self.work(caller, move |registrar| registrar.enrol(&secret, &machine, &csr)).await?;
        tracing::info!(peer = %issued.peer, founding = issued.founding, "enrolled");
        Ok(Response::new(EnrolReply {
            peer: issued.peer.to_string(),
            certificate: issued.certificate.to_vec().into(),
            authority: issued.authority.to_vec().into(),
            founding: issued.founding,
        }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let caller = guard::caller_of(&request)?;
        guard::admit(&self.me, &self.registry, Method::Renew, &caller)?;
        let leaf =
            caller.leaf.ok_or_else(|| Status::unauthenticated("renewal needs a certificate"))?;
        let csr = request.into_inner().csr;
        let caller = leaf.peer.to_string();
        let issued = self.work(caller, move |registrar| registrar.renew(&leaf, &csr)).await?;
        tracing::info!(peer = %issued.peer, "certificate renewed");
        Ok(Response::new(RenewReply { certificate: issued.certificate.to_vec().into() }))
    }
}
