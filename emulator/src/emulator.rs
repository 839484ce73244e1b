//! A service that listens: what programs and tests start, ask and stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::error::EmulatorError;
use crate::options::Options;
use crate::server;
use crate::server::line::Loopback;
use crate::server::tls;
use crate::service::Service;

/// How long a stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(5);

/// A running emulator. Dropping it stops it at once; [`Emulator::stop`] lets requests end first.
pub struct Emulator {
    service: Arc<Service>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

impl Emulator {
    /// Opens the environment and listens on loopback.
    ///
    /// Needs a tokio runtime with I/O and time. Dropped before it is ready, nothing listens.
    ///
    /// # Errors
    /// If the port is taken, the data file is held or not ours, the schema does not fit, or a file
    /// cannot be written.
    pub async fn start(options: Options) -> Result<Self, EmulatorError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = TcpListener::bind(address).await.map_err(|source| {
            if source.kind() == std::io::ErrorKind::AddrInUse {
                let port = options.port;
                return EmulatorError::PortTaken { port };
            }
            EmulatorError::Listen { address, source }
        })?;
        let address = listener
            .local_addr()
            .map_err(|source| EmulatorError::Listen { address, source })?;
        let service = Arc::new(Service::open(options)?);
        let acceptor = match &service.options.certificate {
            Some(path) => Some(certified(path)?),
            None => None,
        };
        service.listens_at(match acceptor {
            // The certificate is for names, and clients write this one.
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        });
        let listener = Loopback::new(listener, acceptor);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        let served = Arc::clone(&service);
        tasks.spawn(async move {
            // A dropped sender stops it as well as a word from it.
            let stopped = async move { drop(stopped.await) };
            drop(server::serve(listener, served, stopped).await);
        });
        Ok(Self {
            service,
            address,
            stop: Some(stop),
            tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The environment's URL: `http://127.0.0.1:5000`, or `https://localhost:5000` with TLS.
    pub fn url(&self) -> String {
        self.service.origin().to_owned()
    }

    /// What stands before `/{tenant}/oauth2/v2.0/token`: the same server.
    pub fn authority(&self) -> String {
        self.url()
    }

    /// The environment behind the socket.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Takes no more requests, lets those under way end, and lets the data file go.
    ///
    /// Waits at most five seconds for clients that do not finish. Dropped before it ends, the
    /// emulator stops at once.
    pub async fn stop(mut self) {
        self.stop.take();
        let ended = tokio::time::timeout(GRACE, self.tasks.join_next()).await;
        if ended.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Makes a certificate, and leaves what clients are to trust in this file.
fn certified(path: &Path) -> Result<TlsAcceptor, EmulatorError> {
    let failed = |source| EmulatorError::Certificate {
        path: path.to_owned(),
        source,
    };
    let identity = tls::identity().map_err(failed)?;
    std::fs::write(path, identity.authority).map_err(|source| failed(source.into()))?;
    Ok(identity.acceptor)
}

impl Deref for Emulator {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Connections may outlive this value; the data file must not stay held by them.
        self.service.close();
    }
}
