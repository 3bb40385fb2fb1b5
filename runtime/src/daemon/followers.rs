//! People who wait until an entry they follow has changed: their numbers and how to reach them.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::ask::Answer;

/// Who waits for an entry to change.
#[derive(Debug, Default)]
pub(super) struct Followers {
    replies: BTreeMap<u64, oneshot::Sender<Answer>>,
    numbered: u64,
}

impl Followers {
    /// The number of the next one.
    pub(super) fn next(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    /// One waits.
    pub(super) fn wait(&mut self, number: u64, reply: oneshot::Sender<Answer>) {
        self.replies.insert(number, reply);
    }

    /// Tells some what they wait for.
    pub(super) fn tell(&mut self, answers: Vec<(u64, Answer)>) {
        for (number, answer) in answers {
            if let Some(reply) = self.replies.remove(&number) {
                // Who asked may have gone.
                let _ = reply.send(answer);
            }
        }
    }

    /// Those that have gone.
    pub(super) fn take_gone(&mut self) -> Vec<u64> {
        let gone = self.replies.iter().filter(|(_, reply)| reply.is_closed());
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        for number in &gone {
            self.replies.remove(number);
        }
        gone
    }
}
