//! What every call passes first: who asks, from the handshake alone, and whether the table has it.

use linli_domain::id::PeerName;
use tonic::{Request, Status};

use crate::enrol::{Registry, Standing};
use crate::policy::access::{self, Method, Scope, Who};
use crate::seldom::Seldom;
use crate::tls::Caller;

static REFUSED: Seldom = Seldom::new();

/// The caller of a request.
pub(super) fn caller_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| Status::internal("a connection without a caller"))
}

/// Refuses what the table does not have. A caller without a certificate may hold an invitation;
/// whether it does is found out where invitations are.
pub(super) fn admit(
    me: &PeerName,
    registry: &Registry,
    method: Method,
    caller: &Caller,
) -> Result<(), Status> {
    let who = match &caller.leaf {
        None => Who::Invited,
        Some(leaf) if registry.standing(&leaf.peer) == Standing::Revoked => Who::Revoked,
        Some(leaf) => access::who(me, &leaf.peer),
    };
    if access::may(me.role(), method, who, Scope::Own) {
        return Ok(());
    }
    if let Some(unsaid) = REFUSED.may() {
        let address = caller.address;
        tracing::info!(%address, ?method, ?who, unsaid, "refused: the table does not have it");
    }
    Err(match who {
        Who::Invited | Who::Nobody | Who::Person => {
            Status::unauthenticated("this call needs a certificate; enrol this machine first")
        }
        Who::Revoked
        | Who::OwnNode
        | Who::OtherNode
        | Who::OwnHub
        | Who::OtherHub
        | Who::District => Status::permission_denied("this machine may not do this here"),
    })
}
