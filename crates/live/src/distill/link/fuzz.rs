//! Ways in for fuzz targets, to what no caller reads by itself.

use super::agreement::Hello;
use super::said::Said;
use super::table::Table;
use crate::distill::FileError;
use crate::hardware::Side;
use crate::hardware::memory::Records;
use crate::hardware::recording::Record;
use std::path::Path;

/// Reads a frame as the other end's; whether an honest end says it.
///
/// # Panics
/// If what was read is written in another way.
pub fn frame(bytes: &[u8]) -> bool {
    let Some(said) = Said::decode(bytes) else { return false };
    assert_eq!(said.encode(), bytes);
    let Said::Hello(body) = said else { return true };
    let Ok(hello) = Hello::decode(body) else { return false };
    assert_eq!(hello.encode(), body);
    assert!(hello.disagreement(&hello).is_some(), "two ends of the same kind do not work together");
    true
}

/// Reads a table of a source of so many intensities, at so many pulses a second.
///
/// # Errors
/// If it is none.
pub fn table(
    side: Side,
    bytes: &[u8],
    intensities: usize,
    pulse_rate: f64,
) -> Result<Vec<Record>, FileError> {
    let mut table = Table::new(Path::new("table.csv"), side, bytes, intensities, pulse_rate)?;
    let mut records = Vec::new();
    while let Some(record) = table.next_record()? {
        records.push(record);
        assert!(table.position() <= bytes.len() as u64);
    }
    Ok(records)
}
