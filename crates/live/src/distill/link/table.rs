//! Prepared pulses and clicks as rows of text, read as records.
//!
//! The first line names the columns: `pulse,basis,bit,intensity` of a transmitter, `pulse,basis,bit` of a receiver. No more
//! is held than the rows of one record.

use super::super::FileError;
use crate::hardware::Side;
use crate::hardware::memory::Records;
use crate::hardware::recording::Record;
use crate::random::SystemRandom;
use bellwether_bits::BitString;
use bellwether_protocol::hardware::{Detections, Preparations, PulseNumber};
use bellwether_units::Time;
use rand_core::Rng;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Pulses with rows that make one record.
const PULSES: usize = 1 << 16;
/// The longest line, in bytes.
const LINE: u64 = 128;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Pulse,
    Basis,
    Bit,
    Intensity,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Pulse => "pulse",
            Self::Basis => "basis",
            Self::Bit => "bit",
            Self::Intensity => "intensity",
        }
    }

    /// The columns of an end, as they are usually ordered.
    fn of(side: Side) -> &'static [Self] {
        match side {
            Side::Transmitter => &[Self::Pulse, Self::Basis, Self::Bit, Self::Intensity],
            Side::Receiver => &[Self::Pulse, Self::Basis, Self::Bit],
        }
    }
}

/// The first line that a table of an end should have.
fn heading(side: Side) -> String {
    Column::of(side).iter().map(|column| column.name()).collect::<Vec<_>>().join(",")
}

/// Whether a file that begins like this is meant as a table.
pub(super) fn looks_like_one(first: &[u8]) -> bool {
    let line = first.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut names = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    names.any(|name| name == Column::Pulse.name().as_bytes())
}

/// One row. A receiver's has no intensity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    pulse: PulseNumber,
    check: bool,
    bit: bool,
    intensity: u8,
}

/// A table, from which records are made.
pub(super) struct Table<R> {
    path: PathBuf,
    side: Side,
    rows: R,
    columns: Vec<Column>,
    /// Intensities of the source.
    intensities: usize,
    /// Pulses in a second.
    pulse_rate: f64,
    /// The line that was read last, from 1.
    line: u64,
    bytes: u64,
    /// Cleared at a new line, and wiped in the end.
    text: Zeroizing<Vec<u8>>,
    /// Read, and part of no record yet.
    held: Option<Row>,
    /// The first pulse after the last record.
    next_pulse: PulseNumber,
    random: SystemRandom,
}

impl<R: BufRead> Table<R> {
    /// Reads the first line. `path` is told in errors.
    pub(super) fn new(
        path: &Path,
        side: Side,
        rows: R,
        intensities: usize,
        pulse_rate: f64,
    ) -> Result<Self, FileError> {
        let mut table = Self {
            path: path.to_owned(),
            side,
            rows,
            columns: Vec::new(),
            intensities,
            pulse_rate,
            line: 0,
            bytes: 0,
            text: Zeroizing::new(Vec::new()),
            held: None,
            next_pulse: 0,
            random: SystemRandom::new(),
        };
        table.read_columns()?;
        Ok(table)
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.bytes
    }

    fn problem(&self, what: &str) -> FileError {
        FileError::Content { path: self.path.clone(), problem: format!("line {}: {what}", self.line) }
    }

    fn read_columns(&mut self) -> Result<(), FileError> {
        let wanted = Column::of(self.side);
        let should = format!("the first line of a {}'s table is `{}`", self.side, heading(self.side));
        if !self.read_line()? {
            self.line = 1;
            return Err(self.problem(&format!("there is none; {should}")));
        }
        let line = String::from_utf8_lossy(&self.text).into_owned();
        for name in line.split(',').map(str::trim) {
            let all = [Column::Pulse, Column::Basis, Column::Bit, Column::Intensity];
            let Some(column) = all.into_iter().find(|column| column.name() == name) else {
                return Err(self.problem(&format!("`{}` is no column; {should}", name.escape_debug())));
            };
            if self.columns.contains(&column) {
                return Err(self.problem(&format!("the column `{name}` stands here twice; {should}")));
            }
            if !wanted.contains(&column) {
                return Err(self.problem(&format!(
                    "the column `{name}` belongs in the transmitter's table, which is for --alice; {should}"
                )));
            }
            self.columns.push(column);
        }
        match wanted.iter().find(|column| !self.columns.contains(column)) {
            Some(missing) => {
                Err(self.problem(&format!("the column `{}` is missing; {should}", missing.name())))
            }
            None => Ok(()),
        }
    }

    /// The next line that is not empty, without its end; whether there was one.
    fn read_line(&mut self) -> Result<bool, FileError> {
        loop {
            self.text.clear();
            let mut limited = Read::take(&mut self.rows, LINE + 2);
            let read = limited.read_until(b'\n', &mut self.text);
            let read = read.map_err(super::super::failed("read", &self.path))?;
            if read == 0 {
                return Ok(false);
            }
            self.line += 1;
            self.bytes += read as u64;
            if read as u64 > LINE && self.text.last() != Some(&b'\n') {
                return Err(self.problem(&format!("it has more than {LINE} characters, and a row needs few")));
            }
            let length = self.text.trim_ascii_end().len();
            self.text.truncate(length);
            if length > 0 {
                return Ok(true);
            }
        }
    }

    /// The next row; nothing after the last.
    fn next_row(&mut self) -> Result<Option<Row>, FileError> {
        if let Some(row) = self.held.take() {
            return Ok(Some(row));
        }
        if !self.read_line()? {
            return Ok(None);
        }
        let mut row = Row { pulse: 0, check: false, bit: false, intensity: 0 };
        let mut fields = self.text.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        for &column in &self.columns {
            let field = fields.next().unwrap_or_default();
            let read = match column {
                Column::Pulse => number(field).map(|pulse| row.pulse = pulse),
                Column::Basis => basis(field).map(|check| row.check = check),
                Column::Bit => bit(field).map(|bit| row.bit = bit),
                Column::Intensity => {
                    let known = number(field).filter(|&number| number < self.intensities as u64);
                    known.map(|number| row.intensity = number as u8)
                }
            };
            if read.is_none() {
                return Err(self.field_problem(column, field));
            }
        }
        if fields.next().is_some() {
            let names: Vec<_> = self.columns.iter().map(|column| column.name()).collect();
            return Err(self.problem(&format!("there is more than `{}` in it", names.join(","))));
        }
        Ok(Some(row))
    }

    fn field_problem(&self, column: Column, field: &[u8]) -> FileError {
        // A field may be a bit of the key: what is not one is told, and cut short.
        let found: String = String::from_utf8_lossy(field).chars().take(24).collect();
        let right = match column {
            Column::Pulse => "a pulse's number, counted from 0 alike at both ends, is right".to_owned(),
            Column::Basis => "`key` or 0, or `check` or 1, is right".to_owned(),
            Column::Bit => "0 or 1 is right".to_owned(),
            Column::Intensity => format!(
                "the source has {} intensities, and a number from 0, the brightest, to {} is right",
                self.intensities,
                self.intensities.saturating_sub(1)
            ),
        };
        let found =
            if found.is_empty() { "nothing".to_owned() } else { format!("`{}`", found.escape_debug()) };
        self.problem(&format!("{found} in the column `{}`, where {right}", column.name()))
    }

    /// A row that follows the row of pulse `last`; the same pulse only if `again`.
    fn in_order(&self, row: &Row, last: Option<PulseNumber>, again: bool) -> Result<(), FileError> {
        if row.pulse == PulseNumber::MAX {
            return Err(self.problem(&format!("pulse {}, and there are no so great numbers", row.pulse)));
        }
        match last.or(self.next_pulse.checked_sub(1)) {
            Some(last) if row.pulse == last && !again => Err(self.problem(&format!(
                "pulse {last} has a row already, and a transmitter prepares a pulse in one way"
            ))),
            Some(last) if row.pulse < last => Err(self.problem(&format!(
                "pulse {} after pulse {last}, and pulses rise from row to row",
                row.pulse
            ))),
            _ => Ok(()),
        }
    }

    /// Rows of a transmitter.
    fn prepared(&mut self) -> Result<Option<Record>, FileError> {
        let mut pulses = Vec::new();
        let mut preparations = Preparations {
            bases: BitString::with_capacity(PULSES),
            bits: BitString::with_capacity(PULSES),
            intensities: Vec::new(),
        };
        while pulses.len() < PULSES {
            let Some(row) = self.next_row()? else { break };
            self.in_order(&row, pulses.last().copied(), false)?;
            pulses.push(row.pulse);
            preparations.bases.push(row.check);
            preparations.bits.push(row.bit);
            preparations.intensities.push(row.intensity);
        }
        let Some(&last) = pulses.last() else { return Ok(None) };
        let first_pulse = core::mem::replace(&mut self.next_pulse, last + 1);
        Ok(Some(Record::Sent { first_pulse, pulse_count: last + 1 - first_pulse, pulses, preparations }))
    }

    /// Rows of a receiver. A pulse in which several detectors clicked is one click with a random outcome, in the basis
    /// of the detectors or, if they are of both bases, in a random one.
    fn clicked(&mut self) -> Result<Option<Record>, FileError> {
        let mut clicks = Detections {
            bases: BitString::with_capacity(PULSES),
            outcomes: BitString::with_capacity(PULSES),
            ..Detections::default()
        };
        while clicks.pulses.len() < PULSES {
            let Some(row) = self.next_row()? else { break };
            self.in_order(&row, clicks.pulses.last().copied(), false)?;
            // Which of the four detectors: two a basis.
            let mut fired = [[false; 2]; 2];
            fired[usize::from(row.check)][usize::from(row.bit)] = true;
            while let Some(more) = self.next_row()? {
                self.in_order(&more, Some(row.pulse), true)?;
                if more.pulse != row.pulse {
                    self.held = Some(more);
                    break;
                }
                let detector = &mut fired[usize::from(more.check)][usize::from(more.bit)];
                if core::mem::replace(detector, true) {
                    return Err(self.problem(&format!("this row of pulse {} stands here twice", more.pulse)));
                }
            }
            let several = fired.as_flattened().iter().filter(|&&fired| fired).count() > 1;
            let both = fired.iter().all(|basis| basis.contains(&true));
            let draw = if several { self.random.next_u32() } else { 0 };
            clicks.pulses.push(row.pulse);
            clicks.bases.push(if both { draw & 2 != 0 } else { row.check });
            clicks.outcomes.push(if several { draw & 1 != 0 } else { row.bit });
            clicks.double_clicks += u64::from(several);
        }
        let Some(&last) = clicks.pulses.last() else { return Ok(None) };
        clicks.first_pulse = core::mem::replace(&mut self.next_pulse, last + 1);
        clicks.pulse_count = last + 1 - clicks.first_pulse;
        let seconds = self.next_pulse as f64 / self.pulse_rate;
        clicks.ended = Time::from_picoseconds((seconds * 1e12) as u64);
        Ok(Some(Record::Window(clicks)))
    }
}

impl<R: BufRead> Records for Table<R> {
    type Error = FileError;

    fn next_record(&mut self) -> Result<Option<Record>, FileError> {
        match self.side {
            Side::Transmitter => self.prepared(),
            Side::Receiver => self.clicked(),
        }
    }
}

fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn basis(field: &[u8]) -> Option<bool> {
    match field {
        b"0" | b"key" => Some(false),
        b"1" | b"check" => Some(true),
        _ => None,
    }
}

fn bit(field: &[u8]) -> Option<bool> {
    match field {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

/// The first bytes of a file, to tell what it is.
pub(super) fn first_bytes(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    Read::take(file, LINE).read_to_end(&mut first)?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(side: Side, text: &str) -> Result<Table<&[u8]>, FileError> {
        Table::new(Path::new("clicks.csv"), side, text.as_bytes(), 3, 1e6)
    }

    /// All records, or what is wrong.
    fn records(side: Side, text: &str) -> Result<Vec<Record>, String> {
        let all = table(side, text).and_then(|mut table| {
            let mut records = Vec::new();
            while let Some(record) = table.next_record()? {
                records.push(record);
            }
            Ok(records)
        });
        all.map_err(|error| error.to_string())
    }

    #[test]
    fn rows_become_preparations_in_any_order_of_columns() {
        let text = "bit, pulse, intensity, basis\r\n1,3,2,check\r\n\r\n0,18446744073709551614,0,0\n";
        let records = records(Side::Transmitter, text).unwrap();
        let [Record::Sent { first_pulse: 0, pulse_count, pulses, preparations }] = &records[..] else {
            panic!("one record")
        };
        assert_eq!((*pulse_count, &pulses[..]), (u64::MAX, &[3, u64::MAX - 1][..]));
        assert_eq!(preparations.intensities, [2, 0]);
        let both = |bits: &BitString| [bits.get(0), bits.get(1)];
        assert_eq!((both(&preparations.bases), both(&preparations.bits)), ([true, false], [true, false]));
    }

    #[test]
    fn several_detectors_in_a_pulse_are_one_click_with_a_random_outcome() {
        let mut text = "pulse,basis,bit\n".to_owned();
        for pulse in 0..2000 {
            text += &match pulse % 4 {
                0 => format!("{pulse},0,1\n"),
                1 => format!("{pulse},check,0\n{pulse},check,1\n"),
                2 => format!("{pulse},1,1\n{pulse},0,1\n"),
                _ => format!("{pulse},0,1\n{pulse},0,0\n{pulse},1,1\n{pulse},1,0\n"),
            };
        }
        let records = records(Side::Receiver, &text).unwrap();
        let [Record::Window(clicks)] = &records[..] else { panic!("one window") };
        assert_eq!((clicks.pulses.len(), clicks.double_clicks, clicks.pulse_count), (2000, 1500, 2000));
        assert_eq!(clicks.ended, Time::from_picoseconds(2_000_000_000));
        let share =
            |kind: usize, bits: &BitString| (kind..2000).step_by(4).filter(|&at| bits.get(at)).count();
        assert_eq!((share(0, &clicks.bases), share(0, &clicks.outcomes)), (0, 500));
        assert_eq!(share(1, &clicks.bases), 500);
        // Of 500 fair draws more than 320 or fewer than 180 are one kind less than once in 10^9 times.
        for drawn in [share(1, &clicks.outcomes), share(2, &clicks.bases), share(3, &clicks.outcomes)] {
            assert!((180..320).contains(&drawn), "{drawn}");
        }
    }

    #[test]
    fn long_tables_come_in_windows_that_follow_one_another() {
        let rows: String = (0..200_000u64).map(|at| format!("{},0,1\n", 7 * at + 5)).collect();
        let records = records(Side::Receiver, &("pulse,basis,bit\n".to_owned() + &rows)).unwrap();
        let mut next = 0;
        let mut clicks = 0;
        for record in &records {
            let Record::Window(window) = record else { panic!("a window") };
            assert_eq!(window.first_pulse, next);
            next += window.pulse_count;
            clicks += window.pulses.len();
        }
        assert_eq!((next, clicks, records.len()), (7 * 199_999 + 6, 200_000, 4));
    }

    #[test]
    fn what_is_wrong_is_told_with_line_value_and_remedy() {
        for (side, text, told) in [
            (
                Side::Receiver,
                "",
                "line 1: there is none; the first line of a receiver's table is `pulse,basis,bit`",
            ),
            (Side::Receiver, "0,1,0\n", "line 1: `0` is no column; the first line"),
            (Side::Receiver, "pulse,bit\n", "line 1: the column `basis` is missing"),
            (Side::Transmitter, "pulse,basis,bit\n", "line 1: the column `intensity` is missing"),
            (Side::Receiver, "pulse,basis,bit,intensity\n", "`intensity` belongs in the transmitter's table"),
            (Side::Receiver, "pulse,basis,bit,bit\n", "the column `bit` stands here twice"),
            (Side::Receiver, "pulse,basis,bit\n5,0,1\n\n4,0,1\n", "line 4: pulse 4 after pulse 5"),
            (
                Side::Receiver,
                "pulse,basis,bit\n5,0,1\n5,0,1\n",
                "line 3: this row of pulse 5 stands here twice",
            ),
            (
                Side::Receiver,
                "pulse,basis,bit\n5,Z,1\n",
                "line 2: `Z` in the column `basis`, where `key` or 0, or",
            ),
            (
                Side::Receiver,
                "pulse,basis,bit\n5,0,2\n",
                "line 2: `2` in the column `bit`, where 0 or 1 is right",
            ),
            (Side::Receiver, "pulse,basis,bit\n5,0\n", "line 2: nothing in the column `bit`"),
            (Side::Receiver, "pulse,basis,bit\n-5,0,1\n", "line 2: `-5` in the column `pulse`"),
            (
                Side::Receiver,
                "pulse,basis,bit\n18446744073709551615,0,1\n",
                "line 2: pulse 18446744073709551615",
            ),
            (
                Side::Receiver,
                "pulse,basis,bit\n5,0,1,7\n",
                "line 2: there is more than `pulse,basis,bit` in it",
            ),
            (
                Side::Transmitter,
                "pulse,basis,bit,intensity\n5,0,1,3\n",
                "line 2: `3` in the column `intensity`, where the source has 3",
            ),
            (
                Side::Transmitter,
                "pulse,basis,bit,intensity\n5,0,1,0\n5,0,1,0\n",
                "line 3: pulse 5 has a row already",
            ),
        ] {
            let error = records(side, text).err().unwrap_or_default();
            assert!(error.starts_with("clicks.csv: line") && error.contains(told), "{text:?}: {error}");
        }
        let long = format!("pulse,basis,bit\n{}1,0,1\n", "0".repeat(1000));
        assert!(
            records(Side::Receiver, &long).err().unwrap_or_default().contains("line 2: it has more than 128")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(pulse,basis,bit\n)?([0-9]{0,4},(0|1|key),[01]\n|[ -~]{0,9}\n?){0,12}") {
            let _ = records(Side::Receiver, &text);
            let _ = records(Side::Transmitter, &text.replace("bit\n", "bit,intensity\n"));
        }
    }
}
