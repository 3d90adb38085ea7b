//! A client of a node's operations interface.

use super::status::Status;
use crate::directory::NodeAddresses;
use crate::identity::tls::{self, TlsError};
use crate::identity::{Identity, IdentityFileError, Role};
use crate::request;
use crate::state::{OPERATOR, State};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers are at most this long, in bytes.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why a node did not tell.
#[derive(Debug, thiserror::Error)]
pub enum OperationsError {
    /// The operator's certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The node cannot be reached.
    #[error("cannot reach {address}: {source}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{0} does not answer")]
    Silent(SocketAddr),
    /// HTTP broke off.
    #[error("the connection to {address} broke off: {problem}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What happened.
        problem: String,
    },
    /// Something else answered.
    #[error("{address} answers {status}: is a node's operations interface there?")]
    Answer {
        /// Where.
        address: SocketAddr,
        /// The HTTP status.
        status: StatusCode,
    },
    /// The answer is of another version.
    #[error("what {address} answers is no status that this version reads: {problem}")]
    Format {
        /// Where.
        address: SocketAddr,
        /// What is wrong.
        problem: String,
    },
    /// Another node answers.
    #[error(
        "at {address} answers node `{node}` of the network `{network}`: another network listens on the same ports; \
         stop it, or give one of the two another `live.first_port`"
    )]
    Another {
        /// Where.
        address: SocketAddr,
        /// The name of the node that answers.
        node: String,
        /// The name of its network.
        network: String,
    },
}

/// A node's operations interface.
#[derive(Clone)]
pub struct OperationsClient {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    /// The network and the node that are to answer, if they are known.
    expected: Option<(String, String)>,
}

/// Asks all of them at once how they do, and gives the answers in their order.
pub async fn ask_all(
    clients: &[(String, OperationsClient)],
) -> Vec<(String, Result<Status, OperationsError>)> {
    let asked: Vec<_> = clients
        .iter()
        .map(|(name, client)| {
            let client = client.clone();
            (name.clone(), client.address, tokio::spawn(async move { client.status().await }))
        })
        .collect();
    let mut answers = Vec::with_capacity(asked.len());
    for (name, address, answer) in asked {
        // A task that is never aborted ends with its answer.
        answers.push((name, answer.await.unwrap_or(Err(OperationsError::Silent(address)))));
    }
    answers
}

impl OperationsClient {
    /// The interface at an address of this machine, which goes without TLS.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, expected: None }
    }

    /// The same, whose [`status`](Self::status) is to be that of this node of this network.
    #[must_use]
    pub fn expecting(mut self, network: &str, node: &str) -> Self {
        self.expected = Some((network.to_owned(), node.to_owned()));
        self
    }

    /// The interface of a node as its addresses say: without TLS if it listens on a loopback address, else as the
    /// operator whose certificate is in the state directory.
    ///
    /// # Errors
    /// If that certificate cannot be used.
    pub fn new(addresses: &NodeAddresses, node: &str, state: &State) -> Result<Self, OperationsError> {
        let address = addresses.reached_operations();
        if addresses.operations.ip().is_loopback() {
            return Ok(Self::plain(address));
        }
        let layout = state.identities();
        let identity = layout.load(Role::Node, OPERATOR)?;
        Self::with_identity(address, &identity, layout.roots(Role::Node)?, node)
    }

    /// The interface of the node that the certificate there must name, asked over TLS with this identity.
    ///
    /// # Errors
    /// If the identity cannot be used.
    pub fn with_identity(
        address: SocketAddr,
        identity: &Identity,
        nodes: RootCertStore,
        node: &str,
    ) -> Result<Self, OperationsError> {
        let config = tls::operations_client(identity, nodes, node)?;
        Ok(Self { address, tls: Some(TlsConnector::from(Arc::new(config))), expected: None })
    }

    /// How the node does.
    ///
    /// # Errors
    /// See [`OperationsError`].
    pub async fn status(&self) -> Result<Status, OperationsError> {
        let body = self.text("/api/v1/status").await?;
        let format = |error: serde_json::Error| OperationsError::Format {
            address: self.address,
            problem: error.to_string(),
        };
        let status: Status = serde_json::from_slice(&body).map_err(format)?;
        let is = |(network, node): &(String, String)| *network == status.network && *node == status.node;
        if !self.expected.as_ref().is_none_or(is) {
            let Status { node, network, .. } = status;
            return Err(OperationsError::Another { address: self.address, node, network });
        }
        Ok(status)
    }

    /// The whole answer at a path.
    ///
    /// # Errors
    /// See [`OperationsError`]; an answer other than 200 is one.
    pub async fn text(&self, path: &str) -> Result<Bytes, OperationsError> {
        let whole = async {
            let answer = self.get(path, &[]).await?;
            if answer.status() != StatusCode::OK {
                return Err(OperationsError::Answer { address: self.address, status: answer.status() });
            }
            let body = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| self.broken(error))
        };
        timeout(PATIENCE, whole).await.map_err(|_| OperationsError::Silent(self.address))?
    }

    /// The beginning of the answer at a path, of which more may follow without end.
    ///
    /// # Errors
    /// See [`OperationsError`].
    pub async fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, OperationsError> {
        let ask = async {
            let connect = |source| OperationsError::Connect { address: self.address, source };
            let stream = TcpStream::connect(self.address).await.map_err(connect)?;
            match &self.tls {
                None => self.ask(stream, path, headers).await,
                Some(tls) => {
                    let name = ServerName::from(self.address.ip());
                    let stream = tls.connect(name, stream).await.map_err(connect)?;
                    self.ask(stream, path, headers).await
                }
            }
        };
        timeout(PATIENCE, ask).await.map_err(|_| OperationsError::Silent(self.address))?
    }

    async fn ask<T>(
        &self,
        stream: T,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, OperationsError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut request = Request::get(path).header(HOST, self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| self.broken(error))?;
        request::send(stream, request).await.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: impl ToString) -> OperationsError {
        OperationsError::Http { address: self.address, problem: error.to_string() }
    }
}
