//! A connection to a client: plain or encrypted, and one that can be told to break.
//!
//! What is said over it is left to the server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// Set when a connection is to break before its next answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Nothing more is sent.
    pub(crate) fn break_off(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Connected<IncomingStream<'_, Loopback>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Self {
        stream.io().cut.clone()
    }
}

/// Takes connections.
pub(crate) struct Loopback {
    listener: TcpListener,
    /// With it every connection is encrypted.
    acceptor: Option<TlsAcceptor>,
}

impl Loopback {
    pub(crate) fn new(listener: TcpListener, acceptor: Option<TlsAcceptor>) -> Self {
        Self { listener, acceptor }
    }
}

impl Listener for Loopback {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are small and awaited; without this a keep-alive answer may wait for 40 ms.
        let undelayed = stream.set_nodelay(true);
        debug_assert!(undelayed.is_ok(), "a connected socket takes the option");
        let wire = match &self.acceptor {
            // Clients greet at their own pace; the next one must not wait for that.
            Some(acceptor) => Wire::Greeting(Box::new(acceptor.accept(stream))),
            None => Wire::Plain(stream),
        };
        let cut = Cut::default();
        (Line { wire, cut }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that can be told to break.
pub(crate) struct Line {
    wire: Wire,
    cut: Cut,
}

enum Wire {
    Plain(TcpStream),
    /// The two sides still agree on a key.
    Greeting(Box<Accept<TcpStream>>),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Either kind of stream, once it can be talked over.
enum Open<'a> {
    Plain(Pin<&'a mut TcpStream>),
    Encrypted(Pin<&'a mut TlsStream<TcpStream>>),
}

impl Line {
    /// The stream, after the greeting.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Open<'_>>> {
        if let Wire::Greeting(accept) = &mut self.wire {
            let stream = ready!(Pin::new(accept.as_mut()).poll(context))?;
            self.wire = Wire::Encrypted(Box::new(stream));
        }
        Poll::Ready(match &mut self.wire {
            Wire::Plain(stream) => Ok(Open::Plain(Pin::new(stream))),
            Wire::Encrypted(stream) => Ok(Open::Encrypted(Pin::new(stream.as_mut()))),
            Wire::Greeting(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.poll_open(context))? {
            Open::Plain(stream) => stream.poll_read(context, buffer),
            Open::Encrypted(stream) => stream.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        match ready!(self.poll_open(context))? {
            Open::Plain(stream) => stream.poll_write(context, bytes),
            Open::Encrypted(stream) => stream.poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        match ready!(self.poll_open(context))? {
            Open::Plain(stream) => stream.poll_write_vectored(context, slices),
            Open::Encrypted(stream) => stream.poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        match ready!(self.poll_open(context))? {
            Open::Plain(stream) => stream.poll_flush(context),
            Open::Encrypted(stream) => stream.poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_cut = self.cut.check().is_err();
        match ready!(self.poll_open(context))? {
            Open::Plain(stream) => stream.poll_shutdown(context),
            // Whoever breaks off says no farewell either.
            Open::Encrypted(_) if is_cut => Poll::Ready(Ok(())),
            Open::Encrypted(stream) => stream.poll_shutdown(context),
        }
    }
}
