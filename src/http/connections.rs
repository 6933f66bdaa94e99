//! Taking connections, and closing those that ask nothing or do not take their answer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, io::IoSlice};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep};

/// A connection is closed when the head of a request takes longer than this, also the first and also the next one.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The same where most places are taken: those who are there must hurry, so that others get in.
const CROWDED_HEAD_TIME: Duration = Duration::from_secs(5);
/// The head of a request: the longest token is 8 KB.
const MAX_HEAD: usize = 16 * 1024;
/// A client that takes less than [`LEAST_TAKEN`] of what waits for it in this time is gone.
const WRITE_TIME: Duration = Duration::from_secs(30);
const LEAST_TAKEN: usize = 16 * 1024;
/// Connections that may wait until they are taken.
const BACKLOG: u32 = 4_096;
/// Connections at a time, where the limit of open files allows as many.
const MAX_CONNECTIONS: u64 = 10_240;
/// Open files that are kept for the database, the model server and commands; a quarter of a limit that is low.
const RESERVED_FILES: u64 = 256;
/// The pause after a connection that could not be taken, such as when all descriptors are in use.
const PAUSE: Duration = Duration::from_millis(100);

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; {}", Self::ADVICE)]
pub struct ListenError {
    pub address: SocketAddr,
    pub cause: std::io::Error,
}

impl ListenError {
    /// What its user can do.
    pub const ADVICE: &str = "choose another address with --host and --port, or stop the program that uses it";
}

/// Takes the address.
///
/// # Errors
/// When another program has it, or it is not one of this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Else a server that was stopped could not be started again for a minute.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|cause| ListenError { address, cause })
}

/// Answers requests until `stop`, and then those that are under way. It speaks HTTP/1.1 only: one request at a time on a
/// connection bounds what a connection can hold.
pub async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    serve_at_most(max_connections(), listener, app, stop).await;
}

async fn serve_at_most(places: usize, listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let free = Arc::new(Semaphore::new(places));
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let (open, closing) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let taken = async {
            // Who finds no place waits in the line of the system.
            let place = Arc::clone(&free).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let taken = tokio::select! {
            taken = taken => taken,
            () = &mut stop => break,
        };
        let (stream, place) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let head_time = if free.available_permits() < places / 4 { CROWDED_HEAD_TIME } else { HEAD_TIME };
        let connection = Connection { app: app.clone(), closing: closing.clone(), head_time };
        tokio::spawn(connection.answer(stream, (place, alive.clone())));
    }
    drop((listener, open, alive));
    // Nobody sends: it ends when the last connection does.
    ended.recv().await;
}

/// How many connections leave enough open files for everything else.
fn max_connections() -> usize {
    // Each connection takes a descriptor; the usual limit of 1,024 is for programs that use select.
    let raised =
        rlimit::increase_nofile_limit(u64::MAX).inspect_err(|error| tracing::debug!(%error, "the limit of open files could not be raised"));
    let limit = raised.ok().or_else(|| rlimit::Resource::NOFILE.get().ok().map(|(soft, _)| soft)).unwrap_or(1_024);
    let reserved = RESERVED_FILES.min(limit.div_ceil(4)).max(48);
    usize::try_from(limit.saturating_sub(reserved).clamp(8, MAX_CONNECTIONS)).unwrap_or(8)
}

/// What a connection needs besides its stream.
struct Connection {
    app: Router,
    closing: watch::Receiver<()>,
    head_time: Duration,
}

/// A connection's place among those that may be open, and what tells, by being dropped, that it is there no longer.
type OpenPlace = (OwnedSemaphorePermit, mpsc::Sender<()>);

impl Connection {
    async fn answer(mut self, stream: TcpStream, place: OpenPlace) {
        // Small answers must not wait for more; a socket that is gone already will say so when it is read.
        let _ = stream.set_nodelay(true);
        // hyper's own timer starts with the first byte.
        let mut first = [0];
        tokio::select! {
            first = tokio::time::timeout(self.head_time, stream.peek(&mut first)) => if !matches!(first, Ok(Ok(1))) { return },
            _ = self.closing.changed() => return,
        }
        let stream = Patient::new(stream, place);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.head_time).max_buf_size(MAX_HEAD);
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.app)).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let outcome = tokio::select! {
            outcome = &mut connection => outcome,
            _ = self.closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// A stream that fails when its reader takes too little for too long. It is the connection's life, also as a WebSocket.
struct Patient<S> {
    stream: S,
    /// Runs while something waits to be taken.
    patience: Option<Pin<Box<Sleep>>>,
    /// Bytes that were taken since it runs.
    taken: usize,
    _place: OpenPlace,
}

impl<S> Patient<S> {
    fn new(stream: S, place: OpenPlace) -> Self {
        Patient { stream, patience: None, taken: 0, _place: place }
    }

    fn wrote(&mut self, outcome: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Pending => {
                let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIME)));
                ready!(patience.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer")))
            }
            Poll::Ready(Ok(bytes)) => {
                self.taken = self.taken.saturating_add(bytes);
                if self.taken >= LEAST_TAKEN {
                    self.taken = 0;
                    if let Some(patience) = &mut self.patience {
                        patience.as_mut().reset(Instant::now() + WRITE_TIME);
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            failed => failed,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(outcome, context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that waited is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        (self.patience, self.taken) = (None, 0);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;

    async fn patient() -> (Patient<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(LEAST_TAKEN);
        (Patient::new(server, (Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(), mpsc::channel(1).0)), client)
    }

    /// How long a megabyte takes whose reader takes `bytes` each 20 seconds.
    async fn write_to_reader_of(bytes: usize) -> io::Result<Duration> {
        let (mut server, mut client) = patient().await;
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; bytes];
            while client.read_exact(&mut taken).await.is_ok() {
                sleep(Duration::from_secs(20)).await;
            }
        });
        let started = Instant::now();
        let written = async {
            server.write_all(&vec![0; 1 << 20]).await?;
            server.flush().await
        };
        let outcome = written.await.map(|()| started.elapsed());
        reader.abort();
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_an_answer_is_cut_and_who_takes_it_slowly_is_not() {
        let slow = write_to_reader_of(LEAST_TAKEN).await.unwrap();
        assert!(slow > 10 * WRITE_TIME, "{slow:?}");
        assert_eq!(write_to_reader_of(1_024).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (mut server, _client) = patient().await;
        let started = Instant::now();
        assert_eq!(server.write_all(&vec![0; 1 << 20]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), WRITE_TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_beyond_the_places_wait_and_idle_ones_make_room() {
        let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_at_most(2, listener, Router::new().route("/", get(|| async { "here" })), std::future::pending()));
        let started = Instant::now();
        let mut idle = vec![TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let mut third = TcpStream::connect(address).await.unwrap();
        third.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        third.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        assert!(started.elapsed() >= CROWDED_HEAD_TIME, "no place was free before");
        assert_eq!(idle[0].read(&mut [0]).await.unwrap(), 0, "who asks nothing gives up the place");
        drop(idle);
    }
}
