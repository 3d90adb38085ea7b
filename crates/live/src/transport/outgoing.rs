//! The sending direction to one peer: a bounded queue, and the task that dials and writes.

use super::frame::{self, Channel, Decoder, Frame};
use super::{Counters, Timing};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Small frames are gathered to writes of about this many bytes.
const WRITE: usize = 64 << 10;

/// Frames that wait for one peer.
#[derive(Default)]
pub(super) struct Queue {
    frames: Mutex<Waiting>,
    wake: Notify,
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<([u8; frame::HEAD], Vec<u8>)>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Appends a frame; what does not fit any more is dropped from the front. Says how many were dropped.
    pub(super) fn push(&self, head: [u8; frame::HEAD], payload: Vec<u8>) -> u64 {
        let mut dropped = 0;
        {
            let mut waiting = self.waiting();
            waiting.bytes += head.len() + payload.len();
            waiting.frames.push_back((head, payload));
            // The newest stays, even alone above the limit.
            while waiting.bytes > self.limit && waiting.frames.len() > 1 {
                if let Some((head, payload)) = waiting.frames.pop_front() {
                    waiting.bytes -= head.len() + payload.len();
                    dropped += 1;
                }
            }
        }
        self.wake.notify_one();
        dropped
    }

    /// Moves frames into `buffer` until it holds [`WRITE`] bytes; says how many.
    fn take(&self, buffer: &mut Vec<u8>) -> u64 {
        let mut waiting = self.waiting();
        let mut taken = 0;
        while buffer.len() < WRITE {
            let Some((head, payload)) = waiting.frames.pop_front() else { break };
            waiting.bytes -= head.len() + payload.len();
            buffer.extend_from_slice(&head);
            buffer.extend_from_slice(&payload);
            taken += 1;
        }
        taken
    }

    fn is_empty(&self) -> bool {
        self.waiting().frames.is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One peer, as its sending task sees it.
pub(super) struct Outgoing {
    pub(super) name: String,
    pub(super) address: Mutex<String>,
    pub(super) queue: Queue,
    pub(super) counters: Counters,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) timing: Timing,
}

impl Outgoing {
    pub(super) fn send(&self, channel: Channel, payload: Vec<u8>) -> Result<(), frame::FrameError> {
        let head = frame::head(channel, payload.len())?;
        let dropped = self.queue.push(head, payload);
        if dropped > 0 {
            self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Dials when there is something to send, writes, and dials again after whatever goes wrong, for ever.
    pub(super) async fn run(&self) {
        let mut pause = self.timing.first_pause;
        loop {
            while self.queue.is_empty() {
                self.queue.wake.notified().await;
            }
            let started = Instant::now();
            let error = match self.dial().await {
                Ok(stream) => {
                    tracing::debug!(peer = self.name, "connected");
                    self.counters.connected.store(true, Ordering::Relaxed);
                    self.counters.connections.fetch_add(1, Ordering::Relaxed);
                    let error = self.write(stream).await;
                    self.counters.connected.store(false, Ordering::Relaxed);
                    error
                }
                Err(error) => error,
            };
            tracing::debug!(peer = self.name, %error, "not connected");
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
            // A connection that held for a while was not refused: begin anew.
            if started.elapsed() > self.timing.longest_pause {
                pause = self.timing.first_pause;
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(self.timing.longest_pause);
        }
    }

    async fn dial(&self) -> Result<TlsStream<TcpStream>, io::Error> {
        let address = self.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let dial = async {
            let stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            // The verifier knows whom it expects; the name here only fills a field that is not sent.
            let name = ServerName::try_from("node.invalid").map_err(io::Error::other)?;
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await
        };
        timeout(self.timing.handshake, dial).await.map_err(|_| stalled("the handshake"))?
    }

    /// Writes what waits until the connection fails; gives the reason.
    async fn write(&self, stream: TlsStream<TcpStream>) -> io::Error {
        let (mut reading, mut writing) = tokio::io::split(stream);
        let heard = Mutex::new(Instant::now());
        let listen = async {
            let mut decoder = Decoder::new();
            let mut bytes = [0; 256];
            loop {
                let count = match reading.read(&mut bytes).await {
                    Ok(0) => return io::Error::from(io::ErrorKind::UnexpectedEof),
                    Ok(count) => count,
                    Err(error) => return error,
                };
                decoder.push(&bytes[..count]);
                loop {
                    match decoder.next_frame() {
                        Ok(None) => break,
                        Ok(Some(Frame::KeepAlive)) => {
                            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                        }
                        // The peer sends on a connection of its own: it dials us.
                        Ok(Some(Frame::Message(..))) => {
                            return io::Error::other("a message came the wrong way");
                        }
                        Err(error) => return io::Error::other(error),
                    }
                }
            }
        };
        let speak = async {
            let mut buffer = Vec::new();
            let mut alive = Instant::now();
            loop {
                buffer.clear();
                let frames = self.queue.take(&mut buffer);
                if Instant::now() >= alive {
                    buffer.extend_from_slice(&frame::KEEP_ALIVE);
                    alive = Instant::now() + self.timing.keep_alive;
                }
                if buffer.is_empty() {
                    tokio::select! {
                        () = self.queue.wake.notified() => {}
                        () = sleep_until(alive) => {}
                    }
                    continue;
                }
                // Behind a large frame the peer's answer comes late: that bytes leave is a sign of life as well.
                let large = buffer.len() > 4 * WRITE;
                let progress = || {
                    if large {
                        *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    }
                };
                let result = write_with_patience(&mut writing, &buffer, self.timing.stall, progress).await;
                if let Err(error) = result {
                    // Best effort: what was being written is lost, and the machines send again.
                    self.counters.dropped.fetch_add(frames, Ordering::Relaxed);
                    return error;
                }
                self.counters.sent.fetch_add(frames, Ordering::Relaxed);
                self.counters.sent_bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                if buffer.capacity() > 1 << 20 {
                    buffer = Vec::new();
                }
            }
        };
        let watch = async {
            loop {
                let last = *heard.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= self.timing.stall {
                    return stalled("the peer");
                }
                sleep_until(last + self.timing.stall).await;
            }
        };
        tokio::select! {
            error = listen => error,
            error = speak => error,
            error = watch => error,
        }
    }
}

/// Writes all of it, as long as every `patience` some of it leaves.
async fn write_with_patience(
    writing: &mut (impl AsyncWriteExt + Unpin),
    mut bytes: &[u8],
    patience: Duration,
    progress: impl Fn(),
) -> Result<(), io::Error> {
    while !bytes.is_empty() {
        let count = timeout(patience, writing.write(bytes)).await.map_err(|_| stalled("the peer"))??;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        progress();
        bytes = &bytes[count..];
    }
    timeout(patience, writing.flush()).await.map_err(|_| stalled("the peer"))?
}

fn stalled(who: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{who} stalled"))
}

/// Between half of `pause` and all of it, so that peers that lost each other do not dial in step.
fn jittered(pause: Duration) -> Duration {
    // Without randomness the pause is just not jittered.
    let share = getrandom::u32().map_or(1.0, |draw| f64::from(draw) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + 0.5 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_loses_its_oldest_frames() {
        let queue = Queue::new(100);
        let head = frame::head(Channel::Relay, 30).unwrap();
        assert_eq!(queue.push(head, vec![1; 30]), 0);
        assert_eq!(queue.push(head, vec![2; 30]), 0);
        assert_eq!(queue.push(head, vec![3; 30]), 1);
        let mut buffer = Vec::new();
        assert_eq!(queue.take(&mut buffer), 2);
        assert_eq!((buffer.len(), buffer[10], buffer[50]), (80, 2, 3));
        // One frame larger than the limit still goes, alone.
        queue.push(head, vec![4; 30]);
        assert_eq!(queue.push(frame::head(Channel::Relay, 500).unwrap(), vec![5; 500]), 1);
        assert!(!queue.is_empty());
    }

    #[test]
    fn pauses_are_jittered_within_half() {
        let pause = Duration::from_secs(1);
        let drawn: Vec<Duration> = (0..100).map(|_| jittered(pause)).collect();
        assert!(drawn.iter().all(|drawn| (pause / 2..=pause).contains(drawn)));
        assert!(drawn.iter().any(|other| *other != drawn[0]));
    }
}
