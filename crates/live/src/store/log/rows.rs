//! The rows of a store: what each holds, and which records they keep.
//!
//! A row holds the changes of one transaction. It is written once, behind all others, and never changed, so a
//! transaction touches one place of the file however many records it changes. What later rows replace or delete is
//! dead weight; the oldest rows are taken away, their living records carried into the newest, when more than half
//! of what is kept is dead.
//!
//! | part of a row | bytes | what |
//! |---|---|---|
//! | commits | 8 | how many commits the store has had with this one |
//! | first | 8 | the number of the oldest row that stands beside this one |
//! | proof | 32 | HKDF-SHA-256 with the data key over the row's number and everything else in it |
//! | changes | the rest | each: length of the place (2), place, length of the record (4, all ones if deleted), record |
//!
//! Numbers are big-endian and rows are numbered without a gap. So nobody without the master key can change a row,
//! put an older one in its place, or take one away that is not the newest; the witness tells of those.

use super::super::seal::Seal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use subtle::ConstantTimeEq;

/// Dead weight that is always borne, in bytes.
const SPARE: usize = 1 << 20;
/// What the place and record of a change cost in a row beside their bytes.
const CHANGE: usize = 2 + 4;
/// Bytes before the changes.
const HEAD: usize = 8 + 8 + 32;
/// The length that stands for no record.
const DELETED: u32 = u32::MAX;

/// What a row says of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) commits: u64,
    pub(super) first: u64,
}

/// One change of a row: its place, and its record or none to delete it.
pub(super) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// A row that is being written.
pub(super) struct Writing(Vec<u8>);

impl Writing {
    pub(super) fn with_room(bytes: usize) -> Self {
        let mut row = Vec::with_capacity(HEAD + bytes);
        row.resize(HEAD, 0);
        Self(row)
    }

    /// Places have at most [`KEY_LIMIT`](crate::store::KEY_LIMIT) bytes and a prefix, records far less than 4 GiB.
    pub(super) fn push(&mut self, place: &[u8], record: Option<&[u8]>) {
        self.0.extend_from_slice(&(place.len() as u16).to_be_bytes());
        self.0.extend_from_slice(place);
        let length = record.map_or(DELETED, |record| record.len() as u32);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(record.unwrap_or_default());
    }

    pub(super) fn finish(mut self, seal: &Seal, number: u64, head: Head) -> Vec<u8> {
        self.0[..8].copy_from_slice(&head.commits.to_be_bytes());
        self.0[8..16].copy_from_slice(&head.first.to_be_bytes());
        let proof = seal.row_proof(number, &self.0[..16], &self.0[HEAD..]);
        self.0[16..HEAD].copy_from_slice(&proof);
        self.0
    }
}

/// The changes of a row and what it says, if it is what was written under this number.
pub(super) fn read<'a>(seal: &Seal, number: u64, row: &'a [u8]) -> Option<(Head, Vec<Change<'a>>)> {
    let (head, body) = row.split_at_checked(HEAD)?;
    let (told, proof) = head.split_at(16);
    if !bool::from(proof.ct_eq(&seal.row_proof(number, told, body))) {
        return None;
    }
    let (commits, first) = told.split_at(8);
    let head = Head {
        commits: u64::from_be_bytes(commits.try_into().ok()?),
        first: u64::from_be_bytes(first.try_into().ok()?),
    };
    let mut changes = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let place = take(&mut rest, 2)?;
        let place = take(&mut rest, usize::from(u16::from_be_bytes(place.try_into().ok()?)))?;
        let length = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let record = match length {
            DELETED => None,
            length => Some(take(&mut rest, length as usize)?),
        };
        changes.push((place, record));
    }
    Some((head, changes))
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

/// Which record of which row stands.
#[derive(Default)]
pub(in crate::store) struct Index {
    places: BTreeMap<Vec<u8>, At>,
    /// The bytes of each row, from the oldest on.
    rows: VecDeque<usize>,
    first: u64,
    /// Bytes of the changes that stand, and of all rows.
    living: usize,
    kept: usize,
}

struct At {
    row: u64,
    bytes: usize,
}

impl Index {
    /// The number of the oldest row, or of the next if there is none.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next row.
    pub(super) fn next(&self) -> u64 {
        self.first + self.rows.len() as u64
    }

    /// Numbers rows from here on; for a store whose oldest rows are gone.
    pub(super) fn begin_at(&mut self, first: u64) {
        self.first = first;
    }

    /// Whether the record at `place` stands in this row.
    pub(super) fn stands(&self, place: &[u8], row: u64) -> bool {
        self.places.get(place).is_some_and(|at| at.row == row)
    }

    /// The rows in which records stand whose places begin so.
    pub(super) fn rows_of(&self, prefix: &[u8]) -> BTreeSet<u64> {
        let places = self.places.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        places.take_while(|(place, _)| place.starts_with(prefix)).map(|(_, at)| at.row).collect()
    }

    /// Whether there is a record at `place`.
    pub(super) fn has(&self, place: &[u8]) -> bool {
        self.places.contains_key(place)
    }

    /// The bytes of the oldest rows that are worth taking away, one after the other: not so many that less than
    /// half of what is kept would be dead weight, and not much more than `budget`.
    pub(super) fn to_clean(&self, budget: usize) -> usize {
        let (mut kept, mut seen) = (self.kept, 0);
        let worth = self.rows.iter().take_while(|bytes| {
            let worth = kept > 2 * self.living + SPARE && seen < budget;
            kept -= **bytes;
            seen += **bytes;
            worth
        });
        worth.count()
    }

    /// The oldest row is gone.
    pub(super) fn forget_oldest(&mut self) {
        if let Some(bytes) = self.rows.pop_front() {
            self.kept -= bytes;
            self.first += 1;
        }
    }

    /// The next row is written, with these changes: each place and the length of its record.
    pub(super) fn written(
        &mut self,
        row_bytes: usize,
        changes: impl IntoIterator<Item = (Vec<u8>, Option<usize>)>,
    ) {
        let row = self.next();
        for (place, record) in changes {
            match record {
                Some(length) => {
                    let bytes = CHANGE + place.len() + length;
                    self.living += bytes;
                    if let Some(before) = self.places.insert(place, At { row, bytes }) {
                        self.living -= before.bytes;
                    }
                }
                None => {
                    if let Some(before) = self.places.remove(&place) {
                        self.living -= before.bytes;
                    }
                }
            }
        }
        self.rows.push_back(row_bytes);
        self.kept += row_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::MasterKey;
    use super::*;

    #[test]
    fn a_row_reads_back_only_under_its_number_and_unchanged() {
        let (seal, _) = Seal::create(&MasterKey::random().unwrap()).unwrap();
        let mut row = Writing::with_room(0);
        row.push(b"one", Some(b"record"));
        row.push(b"two", None);
        row.push(b"", Some(b""));
        let head = Head { commits: 9, first: 3 };
        let row = row.finish(&seal, 5, head);
        let changes: Vec<Change<'_>> = vec![(b"one", Some(b"record")), (b"two", None), (b"", Some(b""))];
        assert_eq!(read(&seal, 5, &row), Some((head, changes)));
        assert_eq!(read(&seal, 6, &row), None);
        for place in 0..row.len() {
            let mut changed = row.clone();
            changed[place] ^= 1;
            assert_eq!(read(&seal, 5, &changed), None, "byte {place}");
            assert_eq!(read(&seal, 5, &row[..place]), None, "{place} bytes");
        }
    }

    #[test]
    fn oldest_rows_are_worth_cleaning_when_more_than_half_is_dead() {
        let mut index = Index::default();
        for row in 0..4u8 {
            index.written(SPARE, [(vec![row], Some(SPARE / 2))]);
        }
        // 4 kept and 2 living: nothing is worth it.
        assert_eq!(index.to_clean(usize::MAX), 0);
        index.written(SPARE, [(vec![0], Some(SPARE / 2)), (vec![1], None)]);
        // 5 kept and 1.5 living: with one row less it is not worth it any more.
        assert_eq!((index.to_clean(usize::MAX), index.to_clean(0)), (1, 0));
        assert!(index.stands(&[0], 4) && !index.stands(&[0], 0) && !index.has(&[1]) && index.stands(&[2], 2));
        assert_eq!(index.rows_of(&[2]), [2].into());
        assert_eq!(index.rows_of(&[]), [2, 3, 4].into());
        index.forget_oldest();
        assert_eq!((index.first(), index.next(), index.to_clean(usize::MAX)), (1, 5, 0));
    }
}
