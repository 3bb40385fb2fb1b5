//! What a person may ask of this desk: the machine's own answers, and those about its links to
//! others, which the machine does not know.

use linli_runtime::ask::{Answer, Ask, FoundView};
use linli_runtime::daemon::{Handle, local_time};
use linli_runtime::lan::Found;
use tokio::sync::Mutex;

use crate::uplinks::Uplinks;

/// A desk that runs.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The machine.
    pub(crate) handle: Handle,
    /// Its links.
    pub(crate) uplinks: Mutex<Uplinks>,
    /// What its store said when it was opened.
    pub(crate) store_notes: Vec<String>,
    /// Minutes ahead of UTC.
    pub(crate) utc_offset_minutes: i32,
}

impl Desk {
    /// Answers.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Online { online } => {
                let mut uplinks = self.uplinks.lock().await;
                if online {
                    uplinks.start();
                } else {
                    uplinks.stop().await;
                }
                Answer::Done {}
            }
            Ask::Status {} => self.status().await,
            other => self.handle.ask(other).await,
        }
    }

    async fn status(&self) -> Answer {
        let mut answer = self.handle.ask(Ask::Status {}).await;
        if let Answer::Status(status) = &mut answer {
            let uplinks = self.uplinks.lock().await;
            let hub = uplinks.hub();
            let view = |found: Found| {
                let Found { address, peer, last_error } = found;
                FoundView { address: address.to_string(), peer, last_error }
            };
            status.found = uplinks.found().into_iter().map(view).collect();
            let local = |seconds: Option<u64>| {
                seconds.map(|seconds| local_time(seconds, self.utc_offset_minutes))
            };
            status.last_success = local(hub.last_success);
            status.last_attempt = local(hub.last_attempt);
            status.last_error = hub.last_error;
            status.store.clone_from(&self.store_notes);
        }
        answer
    }
}
