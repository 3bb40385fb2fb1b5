//! A secured connection that counts its bytes, remembers what broke it, and may have an end.

use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// Bytes inside of TLS, HTTP/2 included.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The TLS error that broke a connection, if one did; layers above keep only its text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<OnceLock<rustls::Error>>);

impl Trouble {
    pub(crate) fn get(&self) -> Option<&rustls::Error> {
        self.0.get()
    }

    fn note(&self, error: &io::Error) {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            // The first trouble is the cause of the others.
            let _ = self.0.set(tls.clone());
        }
    }
}

/// A TLS stream with what we want to know about it, and something that lives as long as it does.
pub(crate) struct Secured<S, H = ()> {
    stream: S,
    traffic: Arc<Traffic>,
    trouble: Trouble,
    deadline: Option<Pin<Box<Sleep>>>,
    cut: Option<oneshot::Receiver<()>>,
    held: H,
}

impl<S> Secured<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic, trouble: Trouble::default(), deadline: None, cut: None, held: () }
    }

    pub(crate) fn holding<H>(self, held: H) -> Secured<S, H> {
        let Self { stream, traffic, trouble, deadline, cut, held: () } = self;
        Secured { stream, traffic, trouble, deadline, cut, held }
    }
}

impl<S, H> Secured<S, H> {
    pub(crate) fn held(&self) -> &H {
        &self.held
    }

    pub(super) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    pub(crate) fn reporting(mut self, trouble: Trouble) -> Self {
        self.trouble = trouble;
        self
    }

    /// Ends the connection after this long, whatever it does.
    pub(crate) fn ending_after(mut self, age: Duration) -> Self {
        self.deadline = Some(Box::pin(tokio::time::sleep(age)));
        self
    }

    /// Ends the connection once the other half of `cut` is gone.
    pub(crate) fn ending_with(mut self, cut: oneshot::Receiver<()>) -> Self {
        self.cut = Some(cut);
        self
    }

    /// An error once the connection must end. Asked by reads and writes alike: whoever reads
    /// nothing would otherwise keep a connection that only writes.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if let Some(cut) = &mut self.cut
            && Pin::new(cut).poll(cx).is_ready()
        {
            self.cut = None;
            self.deadline = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<S, H> fmt::Debug for Secured<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Secured<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) => {
                let read = buf.filled().len() - before;
                self.traffic.received.fetch_add(read as u64, Ordering::Relaxed);
            }
            Poll::Ready(Err(error)) => self.trouble.note(error),
            Poll::Pending => {}
        }
        polled
    }
}

impl<S, H> Secured<S, H> {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(wrote)) => {
                self.traffic.sent.fetch_add(*wrote as u64, Ordering::Relaxed);
            }
            Poll::Ready(Err(error)) => self.trouble.note(error),
            Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Secured<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
