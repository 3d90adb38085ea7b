//! The receiving direction: accepts connections, learns who dials, hands frames to the machines of their channel.

use super::frame::{self, Channel, Decoder, Frame};
use super::{Arrived, Peers, Timing};
use crate::handshakes::{Handshake, Handshakes};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Bytes read from a connection at once.
const READ: usize = 64 << 10;

/// Where frames of a channel go: the machines' queue, and how many bytes may wait there.
#[derive(Clone)]
pub(super) struct Registration {
    pub(super) queue: mpsc::Sender<Arrived>,
    pub(super) room: Arc<Semaphore>,
}

/// What all inbound connections share.
pub(super) struct Inbound {
    pub(super) peers: Arc<Peers>,
    pub(super) channels: RwLock<BTreeMap<Channel, Registration>>,
    /// For each peer the number of its newest connection; an older one ends.
    pub(super) newest: Mutex<BTreeMap<usize, watch::Sender<u64>>>,
    pub(super) timing: Timing,
    /// Handshakes under way; beyond, the oldest from where most come is closed, so that nobody who only connects keeps a peer out.
    pub(super) handshake_limit: usize,
}

impl Inbound {
    /// Accepts until it is dropped.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, acceptor: TlsAcceptor) {
        let handshakes = Handshakes::new(self.handshake_limit);
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, say: waiting is all that helps.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(self.timing.first_pause).await;
                    continue;
                }
            };
            let (inbound, acceptor) = (Arc::clone(&self), acceptor.clone());
            let (handshake, _) = handshakes.begin(address.ip());
            connections.spawn(async move {
                if let Err(error) = inbound.serve(stream, handshake, acceptor).await {
                    tracing::debug!(%address, %error, "a connection ended");
                }
            });
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        handshake: Handshake,
        acceptor: TlsAcceptor,
    ) -> Result<(), io::Error> {
        stream.set_nodelay(true)?;
        let shaken = handshake.done(self.timing.handshake, acceptor.accept(stream)).await;
        let stream = shaken.map_err(io::Error::other)?;
        let certificates = stream.get_ref().1.peer_certificates();
        let name = crate::identity::tls::peer_node(certificates).map_err(io::Error::other)?;
        let Some(peer) = self.peers.by_name.get(&name).copied() else {
            tracing::warn!(peer = name, "a node that is no peer of this one was refused");
            return Err(io::Error::other(format!("`{name}` is no peer of this node")));
        };
        let mut replaced = self.enter(peer);
        let own = *replaced.borrow_and_update();
        tokio::select! {
            result = self.read(peer, stream) => result,
            _ = replaced.wait_for(|newest| *newest != own) => {
                Err(io::Error::other(format!("`{name}` dialled again")))
            }
        }
    }

    /// Makes this the newest connection of the peer.
    fn enter(&self, peer: usize) -> watch::Receiver<u64> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = newest.entry(peer).or_insert_with(|| watch::Sender::new(0));
        sender.send_modify(|number| *number += 1);
        sender.subscribe()
    }

    async fn read(&self, peer: usize, mut stream: TlsStream<TcpStream>) -> Result<(), io::Error> {
        let mut decoder = Decoder::new();
        let mut bytes = vec![0; READ];
        loop {
            let read = timeout(self.timing.stall, stream.read(&mut bytes)).await?;
            let count = match read {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) => return Err(error),
            };
            decoder.push(&bytes[..count]);
            loop {
                match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(Frame::KeepAlive)) => {
                        let answer = async {
                            stream.write_all(&frame::KEEP_ALIVE).await?;
                            stream.flush().await
                        };
                        timeout(self.timing.stall, answer).await??;
                    }
                    Ok(Some(Frame::Message(channel, payload))) => {
                        self.hand_over(peer, channel, payload).await
                    }
                    Err(error) => {
                        let name = &self.peers.all[peer].name;
                        tracing::warn!(peer = name, %error, "a malformed frame: connection closed");
                        self.peers.all[peer].counters.malformed.fetch_add(1, Ordering::Relaxed);
                        return Err(io::Error::other(error));
                    }
                }
            }
        }
    }

    /// Waits a little for room with the machines, then drops: they send again, and a machine that hangs must not
    /// hold the other channels.
    async fn hand_over(&self, peer: usize, channel: Channel, bytes: Vec<u8>) {
        let counters = &self.peers.all[peer].counters;
        let from = self.peers.nodes[peer];
        let registration =
            self.channels.read().unwrap_or_else(PoisonError::into_inner).get(&channel).cloned();
        let Some(Registration { queue, room }) = registration else {
            counters.unclaimed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let size = u32::try_from(frame::HEAD + bytes.len()).expect("payloads are limited to 17 MiB");
        let hand_over = async {
            let room = room.acquire_many_owned(size).await.ok()?;
            queue.send(Arrived { from, channel, bytes, _room: Some(room) }).await.ok()
        };
        let delivered = timeout(self.timing.hand_over, hand_over).await.ok().flatten();
        let counter = if delivered.is_some() { &counters.received } else { &counters.unclaimed };
        counter.fetch_add(1, Ordering::Relaxed);
        if delivered.is_some() {
            counters.received_bytes.fetch_add(u64::from(size), Ordering::Relaxed);
        }
    }
}
