//! What one end of a link recorded, in a file: windows of a receiver, or answers of a transmitter.

use super::super::{FileError, Role, failed};
use super::table::{self, Table};
use crate::hardware::Side;
use crate::hardware::memory::{Answer, Memory, Records};
use crate::hardware::played::{AHEAD, Played};
use crate::hardware::recording::{Record, RecordingReader};
use bellwether_network::{Link, Network};
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

/// How a recording is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFormat {
    /// A detection file, as [`record`](crate::hardware::record) writes it.
    Detections,
    /// Rows of text.
    Table,
}

/// What a detection file begins with.
const MAGIC: &[u8] = b"BwDetect";
/// How far the pulse rates of a recording and of its link may differ, relatively: by rounding alone.
const SAME_RATE: f64 = 1e-6;
/// Tables do not say which recording they are of.
const TABLE: u64 = 0;

/// One end's recording of a link, and how far it was used.
pub struct LinkMaterial {
    pub(super) path: PathBuf,
    pub(super) side: Side,
    /// Which recording it is, if it says so.
    pub(super) run: Option<u64>,
    of_link: Option<String>,
    pub(super) size: u64,
    records: Source,
    played: Played,
}

/// The records of a file.
enum Source {
    Recording(PathBuf, Box<RecordingReader<BufReader<File>>>),
    Table(Box<Table<BufReader<File>>>),
}

impl Source {
    fn position(&self) -> u64 {
        match self {
            Self::Recording(_, reader) => reader.position(),
            Self::Table(table) => table.position(),
        }
    }
}

impl Records for Source {
    type Error = FileError;

    fn next_record(&mut self) -> Result<Option<Record>, FileError> {
        match self {
            Self::Recording(path, reader) => reader
                .next_record()
                .map_err(|error| FileError::Content { path: path.clone(), problem: error.to_string() }),
            Self::Table(table) => table.next_record(),
        }
    }
}

impl LinkMaterial {
    /// Opens one end's recording of a link of `network`, in a format that is given or that which its first bytes show.
    ///
    /// # Errors
    /// If it cannot be read, is the other end's or another link's, was made at another pulse rate than the link's, was used
    /// up, or is being used.
    pub fn open(
        path: &Path,
        role: Role,
        format: Option<LinkFormat>,
        network: &Network,
        link: &Link,
    ) -> Result<Self, FileError> {
        let content = |problem: String| FileError::Content { path: path.to_owned(), problem };
        let side = match role {
            Role::Alice => Side::Transmitter,
            Role::Bob => Side::Receiver,
        };
        let mut file = File::open(path).map_err(failed("open", path))?;
        let size = file.metadata().map_err(failed("read", path))?.len();
        let first = table::first_bytes(&mut file).map_err(failed("read", path))?;
        file.rewind().map_err(failed("read", path))?;
        let format = match format {
            Some(format) => format,
            None if first.starts_with(MAGIC) => LinkFormat::Detections,
            None if table::looks_like_one(&first) => LinkFormat::Table,
            None => {
                return Err(content(
                    "is neither a detection file (which begins with `BwDetect`) nor a table (whose first line names its \
                     columns: `pulse,basis,bit`, and `intensity` of a transmitter); raw keys go without --network"
                        .to_owned(),
                ));
            }
        };
        let file = BufReader::with_capacity(1 << 20, file);
        let (records, run, of_link) = match format {
            LinkFormat::Detections => {
                let reader = RecordingReader::new(file).map_err(|error| content(error.to_string()))?;
                let header = reader.header().clone();
                if header.side != side {
                    return Err(content(format!(
                        "was recorded by a {}, and --{role} takes what a {side} recorded: are the two ends' files \
                         swapped?",
                        header.side
                    )));
                }
                let (found, wanted) = (header.pulse_rate, link.mean_pulse_rate());
                if (found - wanted).abs() > SAME_RATE * wanted {
                    return Err(content(format!(
                        "was recorded at {found} pulses a second, and link {} of the network file has {wanted}: correct \
                         the transmitter's `clock` or `duty_cycle`, or name the recording of this link",
                        link.name
                    )));
                }
                if header.link != link.name && network.find_link(&header.link).is_some() {
                    return Err(content(format!(
                        "is a recording of link {}, not of {}: give --link {}",
                        header.link, link.name, header.link
                    )));
                }
                (Source::Recording(path.to_owned(), Box::new(reader)), Some(header.run), Some(header.link))
            }
            LinkFormat::Table => {
                let intensities = link.transmitter.source.intensity_count();
                let table = Table::new(path, side, file, intensities, link.mean_pulse_rate())?;
                (Source::Table(Box::new(table)), None, None)
            }
        };
        let beside = Played::beside(path);
        let played = Played::open(&beside, run.unwrap_or(TABLE));
        let played = played.map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => {
                content("another process is using it: wait for its end".to_owned())
            }
            _ => failed("use", &beside)(error),
        })?;
        if played.until() == PulseNumber::MAX {
            return Err(content(format!(
                "all of it was distilled before, {} says; a recording gives key once. If this is another one, delete \
                 that file",
                beside.display()
            )));
        }
        Ok(Self { path: path.to_owned(), side, run, of_link, size, records, played })
    }

    /// The first pulse that may still be used.
    pub(super) fn first_pulse(&self) -> PulseNumber {
        self.played.until()
    }

    /// The link that the recording says to be of, if it says so.
    pub fn of_link(&self) -> Option<&str> {
        self.of_link.as_deref()
    }
}

/// How far a recording is used while it goes on.
struct Use {
    path: PathBuf,
    played: Played,
    /// The first pulse that was not handed out.
    next: PulseNumber,
}

impl Use {
    /// Makes durable that pulses before `next` are used, a few windows of this length ahead.
    fn advance(&mut self, next: PulseNumber, window: u64) -> Result<(), FileError> {
        self.next = next;
        if next > self.played.until() {
            let ahead = next.saturating_add(window.saturating_mul(AHEAD)).min(PulseNumber::MAX - 1);
            self.played.keep(ahead).map_err(failed("keep what was used of", &self.path))?;
        }
        Ok(())
    }

    /// Nothing more is handed out: what was kept ahead may be used another time, unless the recording is `over`.
    fn settle(&mut self, over: bool) -> Result<(), FileError> {
        let until = if over { PulseNumber::MAX } else { self.next };
        self.played.keep(until).map_err(failed("keep what was used of", &self.path))
    }
}

/// A receiver's recording, window by window.
pub(super) struct Clicks {
    records: Source,
    used: Use,
    over: bool,
}

impl Clicks {
    /// What a recording has from pulse `first` on.
    pub(super) fn new(material: LinkMaterial, first: PulseNumber) -> Self {
        let LinkMaterial { path, records, played, .. } = material;
        let next = first.max(played.until());
        Self { records, used: Use { path, played, next }, over: false }
    }

    /// The next window, which is durably used up when this returns; nothing after the last.
    pub(super) fn next_window(&mut self) -> Result<Option<Detections>, FileError> {
        loop {
            match self.records.next_record()? {
                Some(Record::Window(window)) if window.first_pulse >= self.used.next => {
                    let end = window.first_pulse.saturating_add(window.pulse_count);
                    self.used.advance(end, window.pulse_count)?;
                    return Ok(Some(window));
                }
                Some(Record::Window(_) | Record::Light { .. } | Record::Sent { .. }) => {}
                Some(Record::End) | None => {
                    self.over = true;
                    return Ok(None);
                }
            }
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.records.position()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// No window more is wanted.
    pub(super) fn settle(&mut self) -> Result<(), FileError> {
        self.used.settle(self.over)
    }
}

/// A transmitter's recording, asked for what it prepared.
pub(super) struct Sent {
    memory: Memory<Source>,
    used: Use,
    intensities: usize,
    size: u64,
}

impl Sent {
    /// What a recording tells, of a source of so many intensities, of pulses from `first` on.
    pub(super) fn new(material: LinkMaterial, first: PulseNumber, intensities: usize) -> Self {
        let LinkMaterial { path, records, played, size, .. } = material;
        let next = first.max(played.until());
        Self { memory: Memory::new(records, next), used: Use { path, played, next }, intensities, size }
    }

    /// What was prepared in these pulses, which are durably used up when this returns.
    pub(super) fn recall(&mut self, pulses: &[PulseNumber]) -> Result<Preparations, FileError> {
        let content = |path: &Path, problem| FileError::Content { path: path.to_owned(), problem };
        let answer = self.memory.recall(pulses)?;
        self.used.advance(self.memory.unasked(), self.memory.stretch_length())?;
        match answer {
            Answer::Told(told) => {
                let unknown =
                    told.intensities.iter().position(|&class| usize::from(class) >= self.intensities);
                match unknown {
                    None => Ok(told),
                    Some(at) => Err(content(
                        &self.used.path,
                        format!(
                            "pulse {} was prepared with intensity {}, and the source of the link has {}, counted from 0: \
                             is it another link's, or --network another network's?",
                            pulses[at], told.intensities[at], self.intensities
                        ),
                    )),
                }
            }
            Answer::Missing(pulse) => Err(content(
                &self.used.path,
                format!(
                    "does not tell what was prepared in pulse {pulse}, in which the other end's detectors clicked: are \
                     the two files of one recording, with pulses numbered alike?"
                ),
            )),
            // Only a forged question asks again; the machine drops its window.
            Answer::Refused => Ok(Preparations::default()),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.memory.records().map_or(self.size, Source::position)
    }

    /// Nothing more will be asked; `over`: because the other end's recording has no more.
    pub(super) fn settle(&mut self, over: bool) -> Result<(), FileError> {
        self.used.settle(over)
    }
}
