//! What the two machines want durable, as changes of the store.

use super::KeysError;
use crate::store::{Change, Commit, Records, Space, Store, StoreError};
use bellwether_protocol::keys::delivery;
use bellwether_protocol::keys::{Compaction, KeyNode, Record};
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::mem::take;
use std::sync::Arc;
use std::task::{Context, Poll};
use zeroize::Zeroizing;

/// Commits under way at a time: while the store writes one, the next waits for it, and what comes then is gathered.
const UNDER_WAY: usize = 2;

/// A record of the journal that is longer, in bytes, is kept in parts. A snapshot of large pools is.
const PART: usize = 16 << 20;
/// Behind the number of a part that another follows.
const MORE: u8 = b'+';

/// A record that became durable, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Relay(u64),
    Delivery(u64),
    /// The task's own.
    Snapshot,
}

/// The store as the task uses it: one order for both machines.
pub(super) struct Journal {
    store: Arc<dyn Store>,
    /// Numbers of the relay's journal in the store: the first that is there, and the next.
    first: u64,
    next: u64,
    /// Those of parts that another follows.
    continued: BTreeSet<u64>,
    compaction: Compaction,
    due: bool,
    /// Gathered for the next commit.
    changes: Vec<Change>,
    numbers: Vec<Kept>,
    under_way: VecDeque<(Commit, Vec<Kept>)>,
    /// Commits that became durable.
    committed: u64,
}

impl Journal {
    /// The journal, and the relay's records that are in it.
    pub(super) fn read(store: Arc<dyn Store>, records: &Records) -> Result<(Self, Vec<Record>), KeysError> {
        let mut this = Self {
            store,
            first: 0,
            next: 0,
            continued: BTreeSet::new(),
            compaction: Compaction::default(),
            due: false,
            changes: Vec::new(),
            numbers: Vec::new(),
            under_way: VecDeque::new(),
            committed: 0,
        };
        let mut read = Vec::with_capacity(records.len());
        let mut parts = Vec::new();
        for (place, (key, value)) in records.iter().enumerate() {
            let (digits, more) = match key.split_last() {
                Some((&MORE, digits)) if key.len() == 9 => (digits, true),
                _ => (&key[..], false),
            };
            let number = <[u8; 8]>::try_from(digits).map(u64::from_be_bytes);
            let number = number.map_err(|_| KeysError::Journal {
                number: format!("{key:02x?}"),
                why: "a number has eight bytes".to_owned(),
            })?;
            let why = |why: String| KeysError::Journal { number: number.to_string(), why };
            if place == 0 {
                this.first = number;
            } else if number != this.next {
                return Err(why(format!("record {} before it is missing", this.next)));
            }
            this.next = number.checked_add(1).ok_or_else(|| why("there is no number after it".to_owned()))?;
            parts.push(&value[..]);
            if more {
                this.continued.insert(number);
                continue;
            }
            let record = match take(&mut parts)[..] {
                [whole] => Record::decode(whole),
                ref parts => Record::decode(&Zeroizing::new(parts.concat())),
            };
            let record = record.map_err(|error| why(error.to_string()))?;
            this.due |= this.compaction.added(&record);
            read.push(record);
        }
        if !parts.is_empty() {
            let number = this.next.to_string();
            return Err(KeysError::Journal {
                number,
                why: "the last part of a record is missing".to_owned(),
            });
        }
        Ok((this, read))
    }

    /// The next record of the relay.
    pub(super) fn relay(&mut self, number: u64, record: &Record) {
        self.append(record);
        self.due |= self.compaction.added(record);
        self.numbers.push(Kept::Relay(number));
    }

    /// The next record of the key manager.
    pub(super) fn delivery(&mut self, number: u64, record: delivery::Record) {
        let space = Space::Delivery;
        self.changes.extend(record.changes.into_iter().map(|change| match change {
            delivery::Change::Put { key, value } => Change::Put { space, key, value },
            delivery::Change::Delete { key } => Change::Delete { space, key },
        }));
        self.numbers.push(Kept::Delivery(number));
    }

    /// Puts a snapshot in place of all before, if that is worth it now. All that `node` wanted durable must have
    /// been given before.
    pub(super) fn compact(&mut self, node: &KeyNode) {
        if take(&mut self.due) {
            self.replace(node);
        }
    }

    /// Puts a snapshot in place of all before.
    pub(super) fn replace(&mut self, node: &KeyNode) {
        let snapshot = node.snapshot();
        let continued = take(&mut self.continued);
        let before = self.first..self.next;
        self.first = self.next;
        self.append(&snapshot);
        self.changes.extend(before.map(|number| {
            let key = name(number, continued.contains(&number));
            Change::Delete { space: Space::Relay, key }
        }));
        self.compaction.compacted(&snapshot);
        self.numbers.push(Kept::Snapshot);
    }

    fn append(&mut self, record: &Record) {
        let encoded = record.encode();
        let mut rest = &encoded[..];
        while rest.len() > PART {
            let (part, after) = rest.split_at(PART);
            self.continued.insert(self.next);
            self.put(true, Zeroizing::new(part.to_vec()));
            rest = after;
        }
        match rest.len() == encoded.len() {
            true => self.put(false, encoded),
            false => self.put(false, Zeroizing::new(rest.to_vec())),
        }
    }

    fn put(&mut self, more: bool, value: Zeroizing<Vec<u8>>) {
        self.changes.push(Change::Put { space: Space::Relay, key: name(self.next, more), value });
        self.next += 1;
    }

    /// Commits what was gathered, unless enough is under way.
    pub(super) fn commit(&mut self) {
        if !self.numbers.is_empty() && self.under_way.len() < UNDER_WAY {
            let commit = self.store.commit(take(&mut self.changes));
            self.under_way.push_back((commit, take(&mut self.numbers)));
        }
    }

    /// How many commits are under way or to come.
    pub(super) fn open(&self) -> usize {
        self.under_way.len() + usize::from(!self.numbers.is_empty())
    }

    /// How many commits became durable.
    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    /// How large the relay's journal is.
    pub(super) fn size(&self) -> usize {
        self.compaction.size()
    }

    /// The numbers of the oldest commit under way, once it is durable; never, if none is.
    pub(super) fn poll_kept(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<Kept>, StoreError>> {
        let Some((commit, _)) = self.under_way.front_mut() else { return Poll::Pending };
        let done = std::pin::Pin::new(commit).poll(context);
        done.map(|done| {
            let numbers = self.under_way.pop_front().map(|(_, numbers)| numbers).unwrap_or_default();
            self.committed += u64::from(done.is_ok());
            done.map(|()| numbers)
        })
    }
}

/// What an entry of the journal is called in the store: in the order of the numbers.
fn name(number: u64, more: bool) -> Vec<u8> {
    let mut name = number.to_be_bytes().to_vec();
    name.extend(more.then_some(MORE));
    name
}
