//! A node's, or a tester's, connection to a physical layer.

use super::wire::{Ask, FRAME_LIMIT, FrameError, Role, Tell, read_frame, write_frame};
use super::{Devices, Hidden, LinkHardware, Recall, Side, Signal, Window, connection};
use bellwether_network::LinkEvent;
use bellwether_protocol::hardware::Preparations;
use bellwether_units::Duration;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration as Span;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How long the layer may take to greet.
const PATIENCE: Span = Span::from_secs(10);
/// The first and the longest wait before another attempt to connect.
const BACKOFF: [Span; 2] = [Span::from_millis(50), Span::from_secs(5)];

/// Why a physical layer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The stream failed or carried no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The layer does not do what was asked.
    #[error("the physical layer refuses: {0}")]
    Refused(String),
    /// The layer says something that makes no sense here.
    #[error("the physical layer answers out of turn")]
    Unexpected,
    /// The layer does not answer.
    #[error("the physical layer does not answer")]
    Silent,
    /// What is to happen has nothing to do with light.
    #[error("the emulated light has no classical messages: this event does nothing to it")]
    Classical,
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

/// The devices at `side` of `link` in a physical layer that `dial` reaches; it is dialled again, with growing
/// pauses, whenever the connection is lost. Ends when the [`LinkHardware`] is dropped.
pub fn devices<F, S>(side: Side, link: String, dial: impl Fn() -> F + Send + Sync + 'static) -> LinkHardware
where
    F: Future<Output = io::Result<S>> + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (hardware, mut devices) = connection();
    tokio::spawn(async move {
        let mut pause = BACKOFF[0];
        while !devices.signals.is_closed() {
            let mut greeted = false;
            let failed = match dial().await {
                Ok(stream) => converse(stream, side, &link, &mut devices, &mut greeted).await,
                Err(error) => Err(error.into()),
            };
            match failed {
                Ok(()) => return,
                Err(error) => tracing::info!(link, ?side, %error, "the physical layer is away"),
            }
            if greeted {
                pause = BACKOFF[0];
                if devices.signals.send(Signal::Away).await.is_err() {
                    return;
                }
            }
            if !pass(&mut devices, pause).await {
                return;
            }
            pause = (pause * 2).min(BACKOFF[1]);
        }
    });
    hardware
}

/// Lets time pass while the layer is away: what is asked is answered with nothing. Whether anybody is left to
/// ask.
async fn pass(devices: &mut Devices, pause: Span) -> bool {
    let pause = sleep(pause);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return true,
            recall = devices.recalls.recv() => {
                let Some(Recall { request, .. }) = recall else { return false };
                if !answer(devices, request, Preparations::default()).await {
                    return false;
                }
            }
        }
    }
}

async fn answer(devices: &Devices, request: u64, preparations: Preparations) -> bool {
    let preparations = Hidden(preparations);
    devices.signals.send(Signal::Prepared { request, preparations }).await.is_ok()
}

/// One connection, from its greeting to its end: an error if the layer ended it, nothing if the node did.
async fn converse<S>(
    stream: S,
    side: Side,
    link: &str,
    devices: &mut Devices,
    greeted: &mut bool,
) -> Result<(), ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let run = greet(&mut reader, &mut writer, Role::Devices(side), link).await?;
    *greeted = true;
    let ended = devices.signals.send(Signal::Started { run: run.run }).await.is_err()
        || devices.signals.send(Signal::Light(run.light)).await.is_err();
    if ended {
        return Ok(());
    }
    let Devices { signals, windows, recalls } = devices;
    // Recalls that wait for their answer. Both halves of the connection look at them, never at once.
    let waiting = std::sync::Mutex::new(BTreeSet::new());
    let lock = || waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A window is asked for when there is room for it here, so that no window ever waits before what else the
    // layer has to say.
    let (rooms, mut free) = mpsc::unbounded_channel();
    let writing = async {
        loop {
            tokio::select! {
                recall = recalls.recv() => {
                    let Some(Recall { request, pulses }) = recall else { return Ok(()) };
                    lock().insert(request);
                    ask(&mut writer, &Ask::Recall { request, pulses }).await?;
                }
                room = windows.clone().reserve_owned(), if side == Side::Receiver => {
                    let Ok(room) = room else { return Ok(()) };
                    if rooms.send(room).is_err() {
                        return Ok(());
                    }
                    ask(&mut writer, &Ask::Credit(1)).await?;
                }
            }
        }
    };
    let reading = async {
        loop {
            let frame = read_frame(&mut reader, FRAME_LIMIT).await?;
            let taken = match Tell::decode(&frame).map_err(FrameError::from)? {
                Tell::Window { lost, detections } if side == Side::Receiver => {
                    let room: mpsc::OwnedPermit<Window> =
                        free.try_recv().map_err(|_| ClientError::Unexpected)?;
                    room.send(Window { run: run.run, lost, detections });
                    true
                }
                Tell::Prepared { request, preparations } if side == Side::Transmitter => {
                    if !lock().remove(&request) {
                        return Err(ClientError::Unexpected);
                    }
                    let preparations = Hidden(preparations);
                    signals.send(Signal::Prepared { request, preparations }).await.is_ok()
                }
                Tell::Light(light) => signals.send(Signal::Light(light)).await.is_ok(),
                Tell::Refused(why) => return Err(ClientError::Refused(why)),
                _ => return Err(ClientError::Unexpected),
            };
            if !taken {
                return Ok(());
            }
        }
    };
    let ended = tokio::select! {
        ended = writing => ended,
        ended = reading => ended,
    };
    let unanswered = std::mem::take(&mut *lock());
    for request in unanswered {
        if !answer(devices, request, Preparations::default()).await {
            return Ok(());
        }
    }
    ended
}

struct Greeted {
    run: u64,
    light: bool,
}

async fn greet<R, W>(reader: &mut R, writer: &mut W, role: Role, link: &str) -> Result<Greeted, ClientError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    ask(writer, &Ask::Hello { role, link: link.to_owned() }).await?;
    let frame =
        timeout(PATIENCE, read_frame(reader, FRAME_LIMIT)).await.map_err(|_| ClientError::Silent)??;
    match Tell::decode(&frame).map_err(FrameError::from)? {
        Tell::Welcome { run, light, .. } => Ok(Greeted { run, light }),
        Tell::Refused(why) => Err(ClientError::Refused(why)),
        _ => Err(ClientError::Unexpected),
    }
}

async fn ask<W: AsyncWrite + Unpin>(writer: &mut W, ask: &Ask) -> Result<(), ClientError> {
    let frame = ask.encode().ok_or(ClientError::Classical)?;
    Ok(write_frame(writer, &frame).await?)
}

/// A tester's or an operator's hand on the light of one link.
pub struct Control<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Control<S> {
    /// Takes hold of `link`.
    ///
    /// # Errors
    /// If the layer does not let this identity, or has no such link.
    pub async fn open(stream: S, link: &str) -> Result<Self, ClientError> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        greet(&mut reader, &mut writer, Role::Control, link).await?;
        Ok(Self { stream: reader.unsplit(writer) })
    }

    /// Makes `event` happen from the next window on, for `lasting` or until it is withdrawn; gives the number
    /// to withdraw it by.
    ///
    /// # Errors
    /// If the event is impossible or one of the classical channel, or the connection fails.
    pub async fn inject(&mut self, event: LinkEvent, lasting: Option<Duration>) -> Result<u64, ClientError> {
        match self.exchange(&Ask::Inject { event, lasting }).await? {
            Tell::Injected(number) => Ok(number),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Ends an injected event, or all; whether there was anything to end.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn withdraw(&mut self, number: Option<u64>) -> Result<bool, ClientError> {
        match self.exchange(&Ask::Withdraw(number)).await? {
            Tell::Withdrawn(any) => Ok(any),
            _ => Err(ClientError::Unexpected),
        }
    }

    async fn exchange(&mut self, wish: &Ask) -> Result<Tell, ClientError> {
        ask(&mut self.stream, wish).await?;
        let frame = timeout(PATIENCE, read_frame(&mut self.stream, FRAME_LIMIT)).await;
        let frame = frame.map_err(|_| ClientError::Silent)??;
        match Tell::decode(&frame).map_err(FrameError::from)? {
            Tell::Refused(why) => Err(ClientError::Refused(why)),
            tell => Ok(tell),
        }
    }
}
