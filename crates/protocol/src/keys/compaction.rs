//! When a journal is worth compacting.

use super::record::Record;

/// A journal smaller than this, in bytes, is left alone.
const LEAST: usize = 1 << 16;

/// Watches the size of one node's journal.
///
/// A journal that is replaced by a [snapshot](super::KeyNode::snapshot) whenever it is twice as large as the
/// last one (and 64 KiB at least) is never larger than that by more than a record, and a byte written costs at
/// most two bytes copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    size: usize,
    snapshot: usize,
}

impl Compaction {
    /// A record was added to the journal; whether a snapshot is now worth its cost.
    pub fn added(&mut self, record: &Record) -> bool {
        self.size += record.size();
        self.size > LEAST.max(2 * self.snapshot)
    }
    /// The journal was replaced by a snapshot.
    pub fn compacted(&mut self, snapshot: &Record) {
        (self.size, self.snapshot) = (snapshot.size(), snapshot.size());
    }
    /// The size of the journal, in bytes of memory.
    pub fn size(&self) -> usize {
        self.size
    }
}
