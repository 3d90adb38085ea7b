//! Time tags as they come from a file, in any of its formats.

use super::channels::{Channels, Meaning};
use bellwether_protocol::qkd::tags::{Basis, Clicks, Outcome};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use zeroize::Zeroizing;

/// How a file of binary time tags begins.
const MAGIC: &[u8; 8] = b"BwTimTag";
const VERSION: u8 = 1;
/// Magic and version.
const HEADER: usize = 9;
/// A time in eight bytes and a channel in one.
const RECORD: usize = 9;
/// How a file of comma-separated values begins.
const COLUMNS: &[u8] = b"time_ps,channel";
/// Times are below so many picoseconds.
const LATEST: u64 = 1 << 62;
/// Of a line that cannot be read no more is shown.
const SHOWN: usize = 60;
const BUFFER: usize = RECORD << 14;
/// No line is longer.
const LINE: usize = 128;
/// So many clicks wait before those are handed on whose turn it is.
const WAITING: usize = 4096;

/// How time tags are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagFormat {
    /// `BwTimTag`, a version, and records of nine bytes.
    Headed,
    /// Records of nine bytes alone.
    Bare,
    /// Comma-separated values: a line `time_ps,channel`, and a line for each click.
    Columns,
}

/// Why time tags cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TagReadError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Where, what is there and what would be right.
    #[error("{0}")]
    Content(String),
}

fn content<T>(problem: String) -> Result<T, TagReadError> {
    Err(TagReadError::Content(problem))
}

/// Time tags, read in pieces.
pub struct TagReader<R> {
    from: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    format: TagFormat,
    channels: Channels,
    /// Clicks before this time, in picoseconds, are passed over.
    begin: u64,
    /// The last time as it stands in the record.
    last: u64,
    /// Records that were read, or lines, the header's included.
    count: u64,
    bytes: u64,
    /// Clicks whose turn it is not yet, as delays are taken off: their times, and what they were.
    waiting: Zeroizing<Vec<(u64, u8)>>,
    latest_delay: i64,
}

impl<R: Read> TagReader<R> {
    /// What its channels stand for.
    pub(super) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Reads the beginning: `format` is what the first bytes show if it is not given.
    ///
    /// # Errors
    /// If they show nothing, or not what was given.
    pub fn new(mut from: R, format: Option<TagFormat>, channels: Channels) -> Result<Self, TagReadError> {
        let mut first = Vec::new();
        (&mut from).take(COLUMNS.len() as u64).read_to_end(&mut first)?;
        let format = format.or_else(|| shown(&first)).ok_or_else(|| {
            TagReadError::Content(
                "is no record of time tags: it begins neither with `BwTimTag` nor with the line `time_ps,channel`; if \
                 it has no header, say --format bare-time-tags"
                    .to_owned(),
            )
        })?;
        let latest_delay = channels.latest();
        let from = BufReader::with_capacity(BUFFER, Cursor::new(first).chain(from));
        let (waiting, begin, last, count, bytes) = (Zeroizing::default(), 0, 0, 0, 0);
        let mut reader = Self { from, format, channels, begin, last, count, bytes, waiting, latest_delay };
        reader.header()?;
        Ok(reader)
    }

    fn header(&mut self) -> Result<(), TagReadError> {
        match self.format {
            TagFormat::Bare => Ok(()),
            TagFormat::Headed => {
                let mut head = Vec::new();
                (&mut self.from).take(HEADER as u64).read_to_end(&mut head)?;
                self.bytes = HEADER as u64;
                if head.len() < HEADER || !head.starts_with(MAGIC) {
                    return content(
                        "does not begin with the 9 bytes of a header: `BwTimTag` and a version".to_owned(),
                    );
                }
                match head[8] {
                    VERSION => Ok(()),
                    other => content(format!("byte 8: version {other}, and only {VERSION} is known")),
                }
            }
            TagFormat::Columns => {
                let mut line = Vec::new();
                (&mut self.from).take(COLUMNS.len() as u64 + 2).read_until(b'\n', &mut line)?;
                (self.count, self.bytes) = (1, line.len() as u64);
                match line.trim_ascii_end() {
                    COLUMNS => Ok(()),
                    other => content(format!("line 1: {}, and must be `time_ps,channel`", shortened(other))),
                }
            }
        }
    }

    /// Passes over clicks before this time, in picoseconds.
    pub fn begin_at(&mut self, time: u64) {
        self.begin = time;
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next clicks, about `count` of them, and whether the record ends with them.
    ///
    /// # Errors
    /// If the record cannot be read on, with the record or line at fault.
    pub fn read(&mut self, count: usize) -> Result<(Clicks, bool), TagReadError> {
        let mut clicks = Clicks::with_capacity(count + self.waiting.len());
        while clicks.len() < count {
            let more = match self.format {
                TagFormat::Headed | TagFormat::Bare => self.binary(count - clicks.len(), &mut clicks)?,
                TagFormat::Columns => self.line(&mut clicks)?,
            };
            if !more {
                self.release(i64::MAX, &mut clicks);
                return Ok((clicks, true));
            }
        }
        Ok((clicks, false))
    }

    /// Reads up to `count` binary records; whether there may be more.
    fn binary(&mut self, count: usize, clicks: &mut Clicks) -> Result<bool, TagReadError> {
        let mut bytes = Zeroizing::new(vec![0; RECORD * count]);
        let mut read = 0;
        while read < bytes.len() {
            match self.from.read(&mut bytes[read..])? {
                0 => break,
                count => read += count,
            }
        }
        self.bytes += read as u64;
        let (records, rest) = bytes[..read].as_chunks::<RECORD>();
        for record in records {
            let [time @ .., channel] = record;
            self.count += 1;
            self.click(u64::from_le_bytes(*time), *channel, clicks)?;
        }
        if !rest.is_empty() {
            return content(format!(
                "record {}: {} bytes, and a record has {RECORD}: the file is cut off, or no record of time tags",
                self.count + 1,
                rest.len()
            ));
        }
        Ok(read == bytes.len())
    }

    /// Reads a line; whether there may be more.
    fn line(&mut self, clicks: &mut Clicks) -> Result<bool, TagReadError> {
        let mut line = Zeroizing::new(Vec::with_capacity(LINE));
        (&mut self.from).take(LINE as u64).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(false);
        }
        self.count += 1;
        self.bytes += line.len() as u64;
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(true);
        }
        let fields = core::str::from_utf8(text).ok().and_then(|text| {
            let (time, channel) = text.split_once(',')?;
            Some((time.trim().parse().ok()?, channel.trim().parse().ok()?))
        });
        let Some((time, channel)) = fields else {
            return content(format!(
                "line {}: {}, and must be a whole number of picoseconds, a comma and a channel from 0 to 255",
                self.count,
                shortened(text)
            ));
        };
        self.click(time, channel, clicks)?;
        Ok(true)
    }

    fn click(&mut self, time: u64, channel: u8, clicks: &mut Clicks) -> Result<(), TagReadError> {
        if time < self.last || time >= LATEST {
            let wrong = if time < self.last {
                format!("{time} ps, after {} ps: times must not go back", self.last)
            } else {
                format!("{time} ps: times must be below 2^62 ps (53 days)")
            };
            return content(format!("{}: {wrong}", self.place()));
        }
        self.last = time;
        let outcome = match self.channels.meaning(channel) {
            Meaning::Detector(outcome) => outcome,
            Meaning::Ignored => return Ok(()),
            Meaning::Unknown => {
                return content(format!(
                    "{}: channel {channel}, and only {} are known: say --channels \"..,{channel}=-\" if it is not to be \
                     looked at",
                    self.place(),
                    self.channels.told()
                ));
            }
        };
        if !self.channels.reorder() {
            if time >= self.begin {
                clicks.push(time, outcome);
            }
            return Ok(());
        }
        let time = (time as i64).saturating_sub(self.channels.delay(channel)).max(0) as u64;
        if time >= self.begin {
            self.waiting.push((time, u8::from(outcome.basis() == Basis::X) << 1 | u8::from(outcome.bit())));
        }
        if self.waiting.len() >= WAITING {
            self.release((self.last as i64).saturating_sub(self.latest_delay), clicks);
        }
        Ok(())
    }

    /// Hands on what waits and comes no later than `until`: nothing that comes before it is still to be read.
    fn release(&mut self, until: i64, clicks: &mut Clicks) {
        self.waiting.sort_by_key(|&(time, _)| time);
        let ready = self.waiting.partition_point(|&(time, _)| time as i64 <= until);
        for (time, code) in self.waiting.drain(..ready) {
            let basis = if code & 2 == 0 { Basis::Z } else { Basis::X };
            clicks.push(time, Outcome::new(basis, code & 1 == 1));
        }
    }

    /// Which record or line was read last.
    fn place(&self) -> String {
        match self.format {
            TagFormat::Headed | TagFormat::Bare => format!("record {}", self.count),
            TagFormat::Columns => format!("line {}", self.count),
        }
    }
}

/// The format that a file's first bytes show.
pub(super) fn shown(first: &[u8]) -> Option<TagFormat> {
    if first.starts_with(MAGIC) {
        Some(TagFormat::Headed)
    } else if first.starts_with(COLUMNS) {
        Some(TagFormat::Columns)
    } else {
        None
    }
}

/// The beginning of a line, to be shown.
fn shortened(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
    format!("`{}{}`", text.escape_debug(), if line.len() > SHOWN { ".." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(
        bytes: &[u8],
        format: Option<TagFormat>,
        channels: &str,
        piece: usize,
    ) -> Result<Vec<u64>, String> {
        let channels = Channels::parse(channels).unwrap();
        let mut reader = TagReader::new(bytes, format, channels).map_err(|error| error.to_string())?;
        let mut times = Vec::new();
        loop {
            let (clicks, last) = reader.read(piece).map_err(|error| error.to_string())?;
            times.extend_from_slice(clicks.times());
            if last {
                assert_eq!(reader.bytes(), bytes.len() as u64);
                return Ok(times);
            }
        }
    }

    const USUAL: &str = "0=Z0,1=Z1,2=X0,3=X1,9=-";

    fn records(tags: &[(u64, u8)]) -> Vec<u8> {
        tags.iter().flat_map(|(time, channel)| [&time.to_le_bytes()[..], &[*channel]].concat()).collect()
    }

    #[test]
    fn all_formats_read_alike() {
        let tags = [(5, 0), (5, 3), (6, 9), (1 << 61, 2)];
        let bare = records(&tags);
        let headed = [b"BwTimTag\x01", &bare[..]].concat();
        let mut columns = "time_ps,channel\r\n".to_owned();
        tags.iter().for_each(|(time, channel)| columns += &format!("{time}, {channel}\n"));
        for piece in [1, 2, 100] {
            let expected = Ok(vec![5, 5, 1 << 61]);
            assert_eq!(read(&headed, None, USUAL, piece), expected);
            assert_eq!(read(&bare, Some(TagFormat::Bare), USUAL, piece), expected);
            assert_eq!(read(columns.as_bytes(), None, USUAL, piece), expected);
            assert_eq!(read(columns.trim_end().as_bytes(), None, USUAL, piece), expected);
        }
        assert_eq!(read(b"BwTimTag\x01", None, USUAL, 10), Ok(vec![]));
        assert_eq!(read(b"", Some(TagFormat::Bare), USUAL, 10), Ok(vec![]));
        assert_eq!(read(b"time_ps,channel", None, USUAL, 10), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |bytes: &[u8], format| read(bytes, format, USUAL, 10).unwrap_err();
        let headed = |tags: &[(u64, u8)]| [b"BwTimTag\x01", &records(tags)[..]].concat();
        assert!(told(b"hello", None).contains("begins neither with `BwTimTag`"));
        assert!(told(b"BwTimTa", Some(TagFormat::Headed)).contains("9 bytes of a header"));
        assert!(told(b"BwTimTag\x02", None).contains("byte 8: version 2"));
        let back = told(&headed(&[(5, 0), (4, 0)]), None);
        assert!(back.contains("record 2: 4 ps, after 5 ps: times must not go back"), "{back}");
        let unknown = told(&headed(&[(5, 0), (6, 7)]), None);
        assert!(
            unknown.contains("record 2: channel 7, and only 0=Z0,1=Z1,2=X0,3=X1,9=- are known"),
            "{unknown}"
        );
        assert!(told(&headed(&[(1 << 62, 0)]), None).contains("below 2^62 ps"));
        let cut = headed(&[(5, 0), (6, 0)]);
        assert!(told(&cut[..cut.len() - 1], None).contains("record 2: 8 bytes, and a record has 9"));
        let columns = |text: &str| told(format!("time_ps,channel\n{text}").as_bytes(), None);
        assert!(columns("1,0\n\nx,0").contains("line 4: `x,0`, and must be a whole number"));
        assert!(columns("1,256").contains("line 2: `1,256`"));
        assert!(columns("-1,0").contains("line 2: `-1,0`"));
        assert!(columns("2,0\n1,0").contains("line 3: 1 ps, after 2 ps"));
        assert!(columns(&"9".repeat(1 << 20)).contains("99..`"));
        assert!(
            told(b"time_ps,channel,x\n", Some(TagFormat::Columns)).contains("line 1: `time_ps,channel,x")
        );
    }

    #[test]
    fn delays_are_taken_off_and_what_was_used_is_passed_over() {
        // Channel 3 is 100 ps late: its clicks come before those that stand before them.
        let tags: Vec<(u64, u8)> =
            (0..20_000).map(|n| (1000 + n * 60, if n % 2 == 0 { 0 } else { 3 })).collect();
        let channels = Channels::default().with_delays("3=100 ps,0=-10ps").unwrap();
        let mut expected: Vec<u64> =
            tags.iter().map(|&(t, c)| if c == 3 { t - 100 } else { t + 10 }).collect();
        expected.sort_unstable();
        expected.retain(|&time| time >= 50_000);
        let bytes = records(&tags);
        let mut reader = TagReader::new(&bytes[..], Some(TagFormat::Bare), channels).unwrap();
        reader.begin_at(50_000);
        let mut times = Vec::new();
        loop {
            let (clicks, last) = reader.read(700).unwrap();
            times.extend_from_slice(clicks.times());
            if last {
                break;
            }
        }
        assert_eq!(times, expected);
    }

    proptest! {
        /// Whatever stands in a file: it is read or refused, and in pieces of any size alike.
        #[test]
        fn pieces_of_any_size_read_alike(
            tags in prop::collection::vec((0u64..40, 0u8..12), 0..60),
            text in "[0-9,\n\r x-]{0,120}",
            cut in any::<prop::sample::Index>(),
            piece in 1usize..40,
        ) {
            let mut time = 0;
            let rising = tags.iter().map(|&(gap, channel)| { time += gap; (time, channel) });
            let records = records(&rising.collect::<Vec<_>>());
            let mut headed = [b"BwTimTag\x01", &records[..]].concat();
            headed.truncate(headed.len() - cut.index(2));
            let columns = format!("time_ps,channel\n{text}");
            for bytes in [&headed[..], columns.as_bytes(), text.as_bytes()] {
                for format in [None, Some(TagFormat::Bare), Some(TagFormat::Columns)] {
                    prop_assert_eq!(read(bytes, format, USUAL, piece), read(bytes, format, USUAL, 1 << 10));
                }
            }
        }
    }
}
