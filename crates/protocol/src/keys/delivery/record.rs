//! What must survive a crash: small entries, each put and deleted by its name.

use super::api::Protection;
use super::codec::{DecodeError, Reader, Writer};
use super::name::SaeName;
use super::stock::{Block, Provenance};
use super::streams::KeyStreamId;
use super::wire::{MAX_ENTRIES, Word, read_protection, write_protection};
use crate::keys::KeyId;
use bellwether_units::NodeId;
use core::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// One change of the store. Names are no secret; values are.
pub enum Change {
    /// The entry of this name has this value from now on.
    Put {
        /// The name.
        key: Vec<u8>,
        /// The value; a driver that writes it must encrypt it.
        value: Zeroizing<Vec<u8>>,
    },
    /// There is no entry of this name any more; a driver must erase its value.
    Delete {
        /// The name.
        key: Vec<u8>,
    },
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value } => write!(f, "Put({key:02x?}, {} bytes)", value.len()),
            Self::Delete { key } => write!(f, "Delete({key:02x?})"),
        }
    }
}

/// Changes of the store, to be made in this order, all or none of them. The store is whatever remains of all
/// records in their order: a map, not a journal.
#[derive(Debug, Default)]
pub struct Record {
    /// The changes.
    pub changes: Vec<Change>,
}

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Numbers of the exchange with a peer.
    Peer(NodeId),
    /// A block that this node owns, as it was when it came.
    Owned(NodeId, KeyId),
    /// How far it is used.
    OwnedUse(NodeId, KeyId),
    /// A block that the peer owns.
    Held(NodeId, KeyId),
    HeldUse(NodeId, KeyId),
    /// An announcement that the peer has not acknowledged.
    Word(NodeId, u64),
    /// Keys of the peer's announcement that could not be made here.
    Missing(NodeId, u64),
    /// A key that waits to be collected here. Numbered as they came, so that a store keeps together what is written
    /// together: their identifiers are random, and would touch a page of a tree each.
    Pending(u64),
    /// Keys whose answer may not have left.
    Doubt(u64),
    /// A key stream.
    Stream(KeyStreamId),
    /// A chunk of one, that waits to be taken here.
    Chunk(KeyStreamId, u32),
}

impl Entry {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Self::Peer(node) => w.u8(b'P').node(node),
            Self::Owned(node, id) => w.u8(b'O').node(node).id(id),
            Self::OwnedUse(node, id) => w.u8(b'o').node(node).id(id),
            Self::Held(node, id) => w.u8(b'H').node(node).id(id),
            Self::HeldUse(node, id) => w.u8(b'h').node(node).id(id),
            Self::Word(node, number) => w.u8(b'W').node(node).u64(number),
            Self::Missing(node, number) => w.u8(b'M').node(node).u64(number),
            Self::Pending(serial) => w.u8(b'K').u64(serial),
            Self::Doubt(serial) => w.u8(b'D').u64(serial),
            Self::Stream(id) => w.u8(b'S').stream(id),
            Self::Chunk(id, index) => w.u8(b'C').stream(id).u32(index),
        };
        w.0
    }
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(bytes);
        let entry = match r.u8()? {
            b'P' => Self::Peer(r.node()?),
            b'O' => Self::Owned(r.node()?, r.id()?),
            b'o' => Self::OwnedUse(r.node()?, r.id()?),
            b'H' => Self::Held(r.node()?, r.id()?),
            b'h' => Self::HeldUse(r.node()?, r.id()?),
            b'W' => Self::Word(r.node()?, r.u64()?),
            b'M' => Self::Missing(r.node()?, r.u64()?),
            b'K' => Self::Pending(r.u64()?),
            b'D' => Self::Doubt(r.u64()?),
            b'S' => Self::Stream(r.stream()?),
            b'C' => Self::Chunk(r.stream()?, r.u32()?),
            _ => return Err(DecodeError::Value("the kind of an entry")),
        };
        r.end()?;
        Ok(entry)
    }
    pub(super) fn put(self, write: impl FnOnce(&mut Writer)) -> Change {
        // Grown by doubling, the buffer may leave unwiped copies behind: room for a block is made at once, and
        // what is longer is written by `put_block`.
        let mut w = Writer(Vec::with_capacity(512));
        write(&mut w);
        Change::Put { key: self.encode(), value: Zeroizing::new(w.0) }
    }
    pub(super) fn delete(self) -> Change {
        Change::Delete { key: self.encode() }
    }
    pub(super) fn put_block(self, serial: u64, block: &Block) -> Change {
        let routes: usize = block.provenance.routes.iter().map(|r| 4 + 4 * r.len()).sum();
        let room = 256 + block.quantum.len() + routes + 4 * block.provenance.nodes.len();
        let mut w = Writer(Vec::with_capacity(room));
        w.u64(serial).u32(block.used).raw(&block.secret[..]).raw(&block.transcript);
        write_provenance(&mut w, &block.provenance);
        w.bytes(&block.quantum);
        Change::Put { key: self.encode(), value: Zeroizing::new(w.0) }
    }
}

pub(super) fn write_provenance(w: &mut Writer, provenance: &Provenance) {
    w.list(&provenance.routes, |w, route| w.list(route, |w, link| w.u32(link.0)));
    w.list(&provenance.nodes, |w, node| w.node(*node));
}

pub(super) fn read_provenance(r: &mut Reader<'_>) -> Result<Arc<Provenance>, DecodeError> {
    let routes = r.list(MAX_ENTRIES, |r| r.list(MAX_ENTRIES, Reader::link))?;
    let nodes = r.list(MAX_ENTRIES, Reader::node)?;
    Ok(Arc::new(Provenance { routes, nodes }))
}

pub(super) fn read_block(id: KeyId, value: &[u8]) -> Result<(u64, Block), DecodeError> {
    let mut r = Reader(value);
    let (serial, used) = (r.u64()?, r.u32()?);
    let secret = Zeroizing::new(r.array()?);
    let transcript = r.array()?;
    let provenance = read_provenance(&mut r)?;
    let quantum = Zeroizing::new(r.bytes(1 << 20)?.to_vec());
    r.end()?;
    Ok((serial, Block { id, quantum, secret, transcript, provenance, used }))
}

/// A key that waits to be collected.
pub(super) struct Pending {
    /// Its number in the store.
    pub(super) serial: u64,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) master: SaeName,
    /// Who may still collect it.
    pub(super) waiting: Vec<SaeName>,
    /// Who has.
    pub(super) collected: Vec<SaeName>,
    pub(super) protection: Protection,
    pub(super) provenance: Arc<Provenance>,
    /// Whose announcement it came by; this node itself for keys of its own masters.
    pub(super) origin: NodeId,
    /// It is durable.
    pub(super) ready: bool,
}

impl Pending {
    pub(super) fn put(&self, id: KeyId) -> Change {
        let mut w = Writer(Vec::with_capacity(
            256 + self.key.len() + 66 * (1 + self.waiting.len() + self.collected.len()),
        ));
        w.id(id).bytes(&self.key).name(&self.master).list(&self.waiting, |w, n| w.name(n));
        w.list(&self.collected, |w, n| w.name(n));
        write_protection(&mut w, self.protection);
        w.node(self.origin);
        write_provenance(&mut w, &self.provenance);
        Change::Put { key: Entry::Pending(self.serial).encode(), value: Zeroizing::new(w.0) }
    }
    pub(super) fn delete(&self) -> Change {
        Entry::Pending(self.serial).delete()
    }
    pub(super) fn read(serial: u64, value: &[u8]) -> Result<(KeyId, Self), DecodeError> {
        let mut r = Reader(value);
        let id = r.id()?;
        let key = Zeroizing::new(r.bytes(1 << 17)?.to_vec());
        let (master, waiting) = (r.name()?, r.list(MAX_ENTRIES, Reader::name)?);
        let collected = r.list(MAX_ENTRIES, Reader::name)?;
        let (protection, origin) = (read_protection(&mut r)?, r.node()?);
        let provenance = read_provenance(&mut r)?;
        r.end()?;
        let ready = true;
        Ok((id, Self { serial, key, master, waiting, collected, protection, provenance, origin, ready }))
    }
}

pub(super) fn read_word(value: &[u8]) -> Result<Word, DecodeError> {
    let mut r = Reader(value);
    let word = Word::read(&mut r)?;
    r.end()?;
    Ok(word)
}

pub(super) fn put_ids(entry: Entry, ids: &[KeyId]) -> Change {
    entry.put(|w| {
        w.list(ids, |w, id| w.id(*id));
    })
}

pub(super) fn read_ids(value: &[u8]) -> Result<Vec<KeyId>, DecodeError> {
    let mut r = Reader(value);
    let ids = r.list(MAX_ENTRIES, Reader::id)?;
    r.end()?;
    Ok(ids)
}
