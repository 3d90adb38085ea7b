//! The node's side: its own devices, as long as the connection lasts.

use super::wire::{Ask, FRAME_LIMIT, Tell};
use crate::hardware::client::ClientError;
use crate::hardware::wire::{Ask as Greeting, FrameError, Role, read_frame, write_frame};
use bellwether_units::Time;
use std::time::Duration as Span;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the layer may take to greet.
const PATIENCE: Span = Span::from_secs(10);
/// What the devices said and the node has not heard yet.
const TOLD: usize = 1024;

/// A node's devices. The connection lasts until this is dropped or the layer is away, when [`tells`](Self::tells) ends.
pub struct Memories {
    /// The life that the node's stack begins.
    pub life: u32,
    /// The devices' time when they greeted.
    pub now: Time,
    /// How many memories the processor has for qubits of programs.
    pub local_qubits: u16,
    /// What they say from then on.
    pub tells: mpsc::Receiver<Tell>,
    /// What they are asked. How much waits here is bounded by the node's memories.
    pub asks: mpsc::UnboundedSender<Ask>,
}

/// Asks a physical layer for the devices of the node that the stream's certificate names, and moves the connection on the
/// current tokio runtime.
///
/// # Errors
/// If the layer does not greet, or does not let the node.
pub async fn attach<S>(mut stream: S) -> Result<Memories, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let hello = Greeting::Hello { role: Role::Memories, link: String::new() };
    write_frame(&mut stream, &hello.encode().ok_or(ClientError::Classical)?).await?;
    let frame = timeout(PATIENCE, read_frame(&mut stream, FRAME_LIMIT)).await;
    let frame = frame.map_err(|_| ClientError::Silent)??;
    let (life, now, local_qubits) = match Tell::decode(&frame).map_err(FrameError::from)? {
        Tell::Welcome { life, now, local_qubits } => (life, now, local_qubits),
        Tell::Refused(why) => return Err(ClientError::Refused(why)),
        _ => return Err(ClientError::Unexpected),
    };
    let (heard, tells) = mpsc::channel(TOLD);
    let (asks, wanted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        if let Err(error) = carry(stream, heard, wanted).await {
            tracing::info!(%error, "the physical layer is away");
        }
    });
    Ok(Memories { life, now, local_qubits, tells, asks })
}

/// Carries frames both ways until the node has let go of its devices or the stream fails.
async fn carry<S>(
    stream: S,
    heard: mpsc::Sender<Tell>,
    mut wanted: mpsc::UnboundedReceiver<Ask>,
) -> Result<(), ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        while let Some(ask) = wanted.recv().await {
            write_frame(&mut writer, &ask.encode()).await?;
        }
        Ok(())
    };
    let reading = async {
        loop {
            let frame = read_frame(&mut reader, FRAME_LIMIT).await?;
            match Tell::decode(&frame).map_err(FrameError::from)? {
                Tell::Welcome { .. } => return Err(ClientError::Unexpected),
                Tell::Refused(why) => return Err(ClientError::Refused(why)),
                tell => {
                    if heard.send(tell).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    };
    tokio::select! {
        ended = writing => ended,
        ended = reading => ended,
    }
}
