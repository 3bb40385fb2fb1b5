//! Handshakes take turns: one computes at a time.
//!
//! A connection takes a core for some 0.4 ms, its handshake included (2,340 a second, measured under
//! attack, took one core). A hundred callers at once would put as many steps before the frames of
//! those who are linked already; so they wait in a line of their own, and a frame waits for one step. It refuses to say who comes first: first come,
//! first served.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

/// The line.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// The same work, each step of which waits for its turn.
    pub(crate) fn take<F: Future>(&self, work: F) -> InTurn<F> {
        InTurn { work: Box::pin(work), turn: PollSemaphore::new(self.0.clone()) }
    }
}

/// See [`Turns::take`].
pub(crate) struct InTurn<F> {
    work: Pin<Box<F>>,
    turn: PollSemaphore,
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // The line is never closed.
        let _turn = ready!(self.turn.poll_acquire(cx));
        self.work.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_step_at_a_time_and_all_of_them_end() {
        let (turns, inside) = (Turns::new(), Arc::new(AtomicUsize::new(0)));
        let mut handshakes = JoinSet::new();
        for _ in 0..64 {
            let inside = inside.clone();
            let steps = async move {
                for _ in 0..20 {
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                    std::hint::black_box(vec![1_u8; 4_096]);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    // Waiting for the peer is nobody's turn.
                    tokio::task::yield_now().await;
                }
            };
            handshakes.spawn(turns.take(steps));
        }
        while let Some(ended) = handshakes.join_next().await {
            ended.expect("it ends");
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_its_peer_or_is_gone_holds_nobody_up() {
        let turns = Turns::new();
        let (answer, peer) = tokio::sync::oneshot::channel::<()>();
        let waiting = tokio::spawn(turns.take(peer));
        tokio::task::yield_now().await;
        let gone = turns.take(std::future::pending::<()>());
        assert!(tokio::time::timeout(std::time::Duration::ZERO, gone).await.is_err());
        turns.take(async {}).await;
        answer.send(()).expect("it waits");
        waiting.await.expect("it ends").expect("it was answered");
    }
}
