//! A TCP stream that can move from the lobby to where machines are served.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::lobby::rest;

/// The stream, in the lobby at first, where each read lets the others go first.
#[derive(Debug)]
pub(crate) struct Socket {
    /// None once a move has failed, and then every use of it is an error.
    tcp: Option<TcpStream>,
    in_lobby: bool,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp: Some(tcp), in_lobby: true }
    }

    /// From now on the runtime that calls this wakes whoever waits for the stream.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
        let Some(tcp) = self.tcp.take() else { return Err(gone()) };
        self.tcp = Some(TcpStream::from_std(tcp.into_std()?)?);
        self.in_lobby = false;
        Ok(())
    }

    fn get(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.tcp.as_mut().map(Pin::new).ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.in_lobby {
            rest();
        }
        self.get()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get()?.poll_shutdown(cx)
    }
}
