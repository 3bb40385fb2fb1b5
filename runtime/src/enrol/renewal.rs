//! Keeping a machine's certificate fresh while it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::machine::{EnrolError, load, renew};
use crate::authority::Identity;
use crate::tls::Clock;

/// What renewal needs to know.
#[derive(Debug)]
pub struct Renewal {
    /// Where the machine keeps its identity.
    pub dir: PathBuf,
    /// The hub's `host:port`.
    pub hub: String,
    /// The wall clock.
    pub clock: Clock,
    /// How often to look whether it is time, and how long to wait after a renewal that failed.
    pub look_every: Duration,
}

/// Renews the certificate whenever it is due, for ever. Links that stand go on; whoever dials or
/// answers uses the new certificate from the next handshake on.
pub async fn keep_fresh(renewal: Renewal, identity: watch::Sender<Arc<Identity>>) {
    loop {
        let due = identity.borrow().renewal_due(renewal.clock.now());
        if due {
            match renew_once(&renewal).await {
                Ok(fresh) => {
                    tracing::info!(until = fresh.leaf().not_after, "certificate renewed");
                    identity.send_replace(Arc::new(fresh));
                }
                Err(error) => tracing::warn!(%error, "certificate not renewed yet"),
            }
        }
        tokio::time::sleep(renewal.look_every).await;
    }
}

async fn renew_once(renewal: &Renewal) -> Result<Identity, EnrolError> {
    let Renewal { dir, hub, clock, .. } = renewal;
    let enrolled = load(dir)?.ok_or_else(|| EnrolError::Gone { dir: dir.clone() })?;
    renew(&enrolled, hub, dir, clock).await
}
