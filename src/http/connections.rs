//! Taking connections, and sending away those that ask nothing.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

/// A connection is closed when the head of a request takes longer than this, also the first and also the next one.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Connections that may wait until they are taken.
const BACKLOG: u32 = 4_096;
/// The pause after a connection that could not be taken, such as when all descriptors are in use.
const PAUSE: Duration = Duration::from_millis(100);

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; choose another address with --host and --port, or stop the program that uses it")]
pub struct ListenError {
    pub address: SocketAddr,
    pub cause: std::io::Error,
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

/// Answers requests until `stop`, and then those that are under way.
pub async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    // Each connection takes a descriptor; the usual limit of 1,024 is for programs that use select.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let connections = GracefulShutdown::new();
    let (open, closing) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = &mut stop => break,
        };
        let stream = match taken {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Small answers must not wait for more; a socket that is gone already will say so when it is read.
        let _ = stream.set_nodelay(true);
        let (http, app, watcher, mut closing) = (http.clone(), app.clone(), connections.watcher(), closing.clone());
        tokio::spawn(async move {
            // hyper's own timer starts with the first byte.
            let mut first = [0];
            tokio::select! {
                first = tokio::time::timeout(HEAD_TIME, stream.peek(&mut first)) => if !matches!(first, Ok(Ok(1))) { return },
                _ = closing.changed() => return,
            }
            let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(app));
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop((listener, open));
    connections.shutdown().await;
}
