//! A detection file in the place of devices.
//!
//! What a file once gave it never gives again: how far it was played is kept in a file beside it (its name with
//! `.progress` at the end) and made durable *before* pulses are handed out. A node that starts again goes on
//! after them; a few windows around a restart are lost, as they would be with a device.

use super::memory::{Answer, Memory, Records};
use super::played::{AHEAD, Played};
use super::recording::{Header, Record, RecordingError, RecordingReader};
use super::server::span;
use super::{Devices, Hidden, LinkHardware, Recall, Side, Signal, Window, connection};
use bellwether_network::Link;
use bellwether_protocol::hardware::{Preparations, PulseNumber};
use bellwether_units::{Duration, Time};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use tokio::time::{Instant, sleep_until};

/// How fast a file is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As it was recorded, but for a stretch at the beginning that is given as fast as it is taken. Windows
    /// that nobody takes for a second are lost.
    WallClock {
        /// The stretch.
        head_start: Duration,
    },
    /// As fast as it is taken; nothing is lost.
    AsTaken,
}

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read as a detection file.
    #[error("`{path}`: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: RecordingError,
    },
    /// It is the other end's file.
    #[error(
        "`{path}` was recorded by a {found}, and a {wanted} is to play it: are the two ends' files swapped?"
    )]
    OtherSide {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        found: Side,
        /// Whose was wanted.
        wanted: Side,
    },
    /// It was made at another pulse rate than the link has.
    #[error(
        "`{path}` was recorded at {found} pulses a second, and the network file describes a link of {wanted}: correct \
         the transmitter's `clock` or `duty_cycle`, or name the recording of this link"
    )]
    OtherRate {
        /// Which file.
        path: PathBuf,
        /// Its pulse rate, per second.
        found: f64,
        /// The link's, per second.
        wanted: f64,
    },
    /// How far it was played cannot be kept, or somebody else plays it.
    #[error("`{path}`: {error}")]
    Progress {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// How late a window may be taken.
const BUFFER: std::time::Duration = std::time::Duration::from_secs(1);

/// How far the pulse rates of a recording and of its link may differ, relatively: by rounding alone.
const SAME_RATE: f64 = 1e-6;

type FileReader = RecordingReader<BufReader<File>>;

impl Records for FileReader {
    type Error = RecordingError;
    fn next_record(&mut self) -> Result<Option<Record>, RecordingError> {
        RecordingReader::next_record(self)
    }
}

/// The devices at `side` of a link, played from the file at `path`, on the current tokio runtime.
///
/// When the file ends, a receiver is told that it sees no light, and its signals end. A transmitter answers
/// recalls with nothing from then on.
///
/// # Errors
/// If the file is not a readable recording of that side, its progress cannot be kept beside it, or another
/// process plays it.
pub fn replay(path: &Path, side: Side, pace: Pace) -> Result<LinkHardware, ReplayError> {
    play(path, side, pace, None)
}

/// As [`replay`], the devices of a link that the network file describes.
///
/// # Errors
/// Those of [`replay`], and if the recording was made at another pulse rate than the link's.
pub fn replay_link(path: &Path, side: Side, pace: Pace, link: &Link) -> Result<LinkHardware, ReplayError> {
    play(path, side, pace, Some(link))
}

fn play(path: &Path, side: Side, pace: Pace, link: Option<&Link>) -> Result<LinkHardware, ReplayError> {
    let failed = |error| ReplayError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(|e| failed(e.into()))?;
    let reader = RecordingReader::new(BufReader::with_capacity(1 << 20, file)).map_err(failed)?;
    let header = reader.header().clone();
    if header.side != side {
        return Err(ReplayError::OtherSide { path: path.to_owned(), found: header.side, wanted: side });
    }
    if let Some(link) = link {
        let (found, wanted) = (header.pulse_rate, link.mean_pulse_rate());
        if (found - wanted).abs() > SAME_RATE * wanted {
            return Err(ReplayError::OtherRate { path: path.to_owned(), found, wanted });
        }
        if header.link != link.name {
            let (file, of) = (path.display(), &header.link);
            tracing::warn!(link = link.name, %file, of, "the recording is said to be of another link");
        }
    }
    let beside = Played::beside(path);
    let progress = Played::open(&beside, header.run);
    let progress = progress.map_err(|error| ReplayError::Progress { path: beside, error })?;
    let (mut hardware, devices) = connection();
    hardware.waits = true;
    let player = Player { header, reader, progress, devices };
    match side {
        Side::Receiver => tokio::spawn(player.play_clicks(pace)),
        Side::Transmitter => tokio::spawn(player.play_preparations()),
    };
    Ok(hardware)
}

struct Player {
    header: Header,
    reader: FileReader,
    progress: Played,
    devices: Devices,
}

/// Work on a file, off the reactor.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

impl Player {
    /// A receiver's part.
    async fn play_clicks(self, pace: Pace) {
        let Self { header, mut reader, mut progress, devices } = self;
        let begin = progress.until();
        let mut kept = begin;
        let mut clock: Option<(Instant, Time)> = None;
        let mut lost = 0;
        if devices.signals.send(Signal::Started { run: header.run }).await.is_err() {
            return;
        }
        loop {
            let read = blocking(move || {
                let record = reader.next_record();
                (reader, record)
            });
            let Some((again, record)) = read.await else { break };
            reader = again;
            let detections = match record {
                Ok(Some(Record::Window(detections))) => detections,
                Ok(Some(Record::Light { seen, .. })) => {
                    if devices.signals.send(Signal::Light(seen)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Ok(Some(Record::Sent { .. })) => continue,
                Ok(Some(Record::End) | None) => {
                    tracing::warn!(
                        link = header.link,
                        "the recording is over: this link makes no key any more"
                    );
                    break;
                }
                Err(error) => {
                    tracing::error!(link = header.link, %error, "the recording cannot be played on");
                    break;
                }
            };
            if detections.first_pulse < begin {
                continue;
            }
            if let Pace::WallClock { head_start } = pace {
                let ended = detections.ended;
                let length = Duration::from_seconds(detections.pulse_count as f64 / header.pulse_rate);
                let (started, from) = *clock.get_or_insert_with(|| {
                    let length = length.unwrap_or_default().picoseconds();
                    let paced = ended.picoseconds().saturating_sub(length);
                    let paced = Time::from_picoseconds(paced).saturating_add(head_start);
                    (Instant::now(), paced)
                });
                if ended > from {
                    let due = started + span(ended.since(from));
                    if due + BUFFER < Instant::now() {
                        lost += 1;
                        continue;
                    }
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = devices.signals.closed() => return,
                    }
                }
            }
            let end = detections.first_pulse.saturating_add(detections.pulse_count);
            if end > kept {
                kept = end.saturating_add(detections.pulse_count.saturating_mul(AHEAD));
                let work = blocking(move || {
                    let done = progress.keep(kept);
                    (progress, done)
                });
                let Some((again, done)) = work.await else { break };
                progress = again;
                if let Err(error) = done {
                    tracing::error!(link = header.link, %error, "how far it was played cannot be kept");
                    break;
                }
            }
            if devices.windows.send(Window { run: header.run, lost, detections }).await.is_err() {
                return;
            }
        }
        // A node that has gone need not know that the recording has ended.
        let _ = devices.signals.send(Signal::Light(false)).await;
    }

    /// A transmitter's part.
    async fn play_preparations(mut self) {
        let started = self.devices.signals.send(Signal::Started { run: self.header.run }).await;
        if started.is_err() || self.devices.signals.send(Signal::Light(true)).await.is_err() {
            return;
        }
        let unasked = self.progress.until();
        let mut memory =
            Some(FileMemory { memory: Memory::new(self.reader, unasked), progress: self.progress });
        while let Some(Recall { request, pulses }) = self.devices.recalls.recv().await {
            let mut preparations = Preparations::default();
            if let Some(mut taken) = memory.take() {
                let work = blocking(move || {
                    let answer = taken.recall(&pulses);
                    (taken, answer)
                });
                if let Some((again, answer)) = work.await {
                    let light = again.memory.light();
                    memory = Some(again);
                    match answer {
                        Ok(answer) => preparations = answer,
                        Err(error) => {
                            let link = &self.header.link;
                            tracing::error!(link, %error, "the recording cannot be played on");
                            memory = None;
                        }
                    }
                    if let Some(seen) = light
                        && self.devices.signals.send(Signal::Light(seen)).await.is_err()
                    {
                        return;
                    }
                }
            }
            let preparations = Hidden(preparations);
            if self.devices.signals.send(Signal::Prepared { request, preparations }).await.is_err() {
                return;
            }
        }
    }
}

/// A transmitter's file, and how far it was asked for.
struct FileMemory {
    memory: Memory<FileReader>,
    /// What is durably never handed out again runs ahead of what was asked for.
    progress: Played,
}

impl FileMemory {
    /// What was prepared in `pulses`; nothing unless the file tells of all of them and none was asked for before.
    fn recall(&mut self, pulses: &[PulseNumber]) -> Result<Preparations, RecordingError> {
        let answer = self.memory.recall(pulses)?;
        let unasked = self.memory.unasked();
        if unasked > self.progress.until() {
            let ahead = self.memory.stretch_length().saturating_mul(AHEAD);
            self.progress.keep(unasked.saturating_add(ahead))?;
        }
        Ok(match answer {
            Answer::Told(preparations) => preparations,
            Answer::Missing(_) | Answer::Refused => Preparations::default(),
        })
    }
}
