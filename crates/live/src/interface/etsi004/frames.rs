//! A connection that speaks in frames, and how it is told from HTTP.

use super::frame::{self, HEADER, Request};
use super::status::{Call, Status};
use super::{Etsi004, METADATA_BYTES, OpenAsked};
use crate::interface::http::Http;
use crate::interface::listener::{Bounds, Caller, Service, stopped};
use crate::interface::service::StreamService;
use bellwether_protocol::keys::delivery::StreamError;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Serves connections in either way to talk.
pub struct KeyStreams<S>(pub Arc<Etsi004<S>>);

impl<S: StreamService> Service for KeyStreams<S> {
    async fn serve<T>(&self, stream: T, caller: &Caller, bounds: &Bounds, mut stop: watch::Receiver<bool>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = BufReader::with_capacity(frame::MAX_PAYLOAD + HEADER, stream);
        let first = tokio::select! {
            first = timeout(bounds.head_timeout, stream.fill_buf()) => first,
            () = stopped(&mut stop) => return,
        };
        let Ok(Ok(first)) = first else { return };
        // A version below 32 begins a frame; HTTP begins with a letter.
        match first.first() {
            Some(0..32) => {
                if let Err(error) = self.frames(stream, caller, bounds, stop).await {
                    tracing::debug!(caller = caller.name().as_str(), %error, "a connection broke off");
                }
            }
            Some(_) => Http(Arc::clone(&self.0)).serve(stream, caller, bounds, stop).await,
            None => {}
        }
    }
}

impl<S: StreamService> KeyStreams<S> {
    /// Answers frame after frame, until the caller goes or does what no client does.
    async fn frames<T>(
        &self,
        mut stream: BufReader<T>,
        caller: &Caller,
        bounds: &Bounds,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        loop {
            let idle = tokio::select! {
                idle = timeout(self.0.compatibility.idle_timeout, stream.fill_buf()) => idle,
                () = stopped(&mut stop) => return Ok(()),
            };
            if idle.map_err(late)??.is_empty() {
                return Ok(());
            }
            let request = timeout(bounds.head_timeout, async {
                let mut header = [0; HEADER];
                stream.read_exact(&mut header).await?;
                let (kind, length) = frame::read_header(header).map_err(wrong)?;
                let mut payload = vec![0; length];
                stream.read_exact(&mut payload).await?;
                Request::read(kind, &payload).map_err(wrong)
            });
            let request = request.await.map_err(late)??;
            let answer = self.answer(caller, request).await;
            timeout(bounds.head_timeout, async {
                stream.write_all(&answer).await?;
                stream.flush().await
            })
            .await
            .map_err(late)??;
        }
    }

    async fn answer(&self, caller: &Caller, request: Request) -> Zeroizing<Vec<u8>> {
        let under_way = caller.request().await;
        let busy = |call| Status::of(StreamError::Busy, call);
        match request {
            Request::Open { source, destination, qos, mime_type, stream } => {
                if under_way.is_none() {
                    return frame::opened(busy(Call::Open), &qos, stream);
                }
                let asked = OpenAsked {
                    source: &source,
                    destination: &destination,
                    qos,
                    mime_type: &mime_type,
                    stream,
                };
                let opened = self.0.open(caller.name(), asked).await;
                frame::opened(opened.status, &opened.qos, opened.stream)
            }
            Request::Get { stream, index, metadata_size } => {
                if under_way.is_none() {
                    return frame::no_chunk(busy(Call::Get), METADATA_BYTES);
                }
                match self.0.get(caller.name(), stream, index, metadata_size).await {
                    Ok((key, metadata)) => {
                        let bytes = Zeroizing::new(key.key.expose().to_bytes());
                        frame::chunk(index, &bytes, &metadata)
                    }
                    Err(status) => frame::no_chunk(status, METADATA_BYTES),
                }
            }
            Request::Close { stream } => match under_way {
                Some(_) => frame::closed(self.0.close(caller.name(), stream).await),
                None => frame::closed(busy(Call::Close)),
            },
        }
    }
}
