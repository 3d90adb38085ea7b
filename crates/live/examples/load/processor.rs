//! Processor time of a process, as Linux tells it.

use crate::Failure;
use std::fs;

/// The processor time that a process has used so far, in seconds; 0 is this process.
pub(crate) fn seconds(process: u32) -> Result<f64, Failure> {
    /// Linux counts in hundredths of a second, whatever its own clock.
    const TICKS: f64 = 100.0;
    let path = match process {
        0 => "/proc/self/stat".to_owned(),
        process => format!("/proc/{process}/stat"),
    };
    let stat = fs::read_to_string(path)?;
    // The name, in parentheses, may hold anything: fields are counted from behind it.
    let fields = stat.rsplit_once(')').ok_or("no process status")?.1;
    let field = |place: usize| -> Result<f64, Failure> {
        Ok(fields.split_whitespace().nth(place).ok_or("a short process status")?.parse()?)
    };
    // utime and stime are fields 14 and 15; the name is field 2.
    Ok((field(11)? + field(12)?) / TICKS)
}
