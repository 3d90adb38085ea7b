//! One stream as one of its nodes knows it, and its form in the store and in announcements.

use super::api::{KeyStreamId, MAX_CHUNKS_AHEAD, StreamQos};
use crate::keys::KeyId;
use crate::keys::delivery::api::Protection;
use crate::keys::delivery::codec::{DecodeError, Reader, Writer};
use crate::keys::delivery::name::SaeName;
use crate::keys::delivery::rate::Bucket;
use crate::keys::delivery::record::{Change, Entry, read_provenance, write_provenance};
use crate::keys::delivery::stock::Provenance;
use crate::keys::delivery::wire::{read_protection, write_protection};
use bellwether_units::{NodeId, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How many bits of key may be ahead of the applications.
const BITS_AHEAD: u32 = 1 << 15;
/// The place of the master in [`KeyStream::ends`], and of the slave.
pub(super) const MASTER: usize = 0;
pub(super) const SLAVE: usize = 1;

/// One application's end of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::keys::delivery) struct End {
    pub(super) opened: bool,
    pub(super) closed: bool,
    /// The number after the greatest that it took.
    pub(super) top: u64,
    pub(super) timeout_ms: u32,
    /// When it last called.
    pub(super) called: Time,
}

/// A chunk that one or two applications of this node may take.
pub(in crate::keys::delivery) struct Chunk {
    pub(super) id: KeyId,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) protection: Protection,
    pub(super) provenance: Arc<Provenance>,
    /// Which ends may still take it here.
    pub(super) waiting: [bool; 2],
    /// It is durable here.
    pub(super) ready: bool,
    /// It is durable at the other end.
    pub(super) agreed: bool,
    /// When it is erased.
    pub(super) until: Time,
}

pub(in crate::keys::delivery) struct KeyStream {
    pub(super) names: [SaeName; 2],
    /// The other end's node; none if both are here.
    pub(super) peer: Option<NodeId>,
    /// This node takes the chunks.
    pub(super) owner: bool,
    pub(super) qos: StreamQos,
    pub(super) waits_for_peer: bool,
    /// The number of the next chunk.
    pub(super) next: u64,
    /// Chunks below this number may be sent: as owner, as heard; as holder, as said. 0 until the slave has opened.
    pub(super) limit: u64,
    pub(super) ends: [End; 2],
    pub(super) chunks: BTreeMap<u32, Chunk>,

    // What does not survive a restart.
    pub(super) bucket: Bucket,
    /// How many bits are wanted that stock did not have.
    pub(super) short: u64,
    pub(super) fed: Time,
    /// Before which number chunks were wanted when an application last called.
    pub(super) goal: u64,
}

impl KeyStream {
    pub(super) fn new(names: [SaeName; 2], peer: Option<NodeId>, owner: bool, qos: StreamQos) -> Self {
        Self {
            names,
            peer,
            owner,
            qos,
            waits_for_peer: true,
            next: 0,
            limit: 0,
            ends: [End::default(); 2],
            chunks: BTreeMap::new(),
            bucket: Bucket::default(),
            short: 0,
            fed: Time::ZERO,
            goal: 0,
        }
    }

    pub(super) fn bits(&self) -> u32 {
        8 * self.qos.chunk_bytes
    }
    /// How many chunks may be ahead of an application.
    pub(super) fn window(&self) -> u64 {
        (BITS_AHEAD / self.bits().max(1)).clamp(2, MAX_CHUNKS_AHEAD).into()
    }
    /// Which ends are at this node.
    pub(super) fn here(&self) -> [bool; 2] {
        [self.peer.is_none() || self.owner, self.peer.is_none() || !self.owner]
    }
    /// The end of an application of this node.
    pub(super) fn end_of(&self, caller: &SaeName) -> Option<usize> {
        [MASTER, SLAVE].into_iter().find(|&end| self.here()[end] && self.names[end] == *caller)
    }
    /// The end that is open here for an application.
    pub(super) fn open_end_of(&self, caller: &SaeName) -> Option<usize> {
        self.end_of(caller).filter(|&end| self.ends[end].opened && !self.ends[end].closed)
    }
    /// Whether the other application has opened the stream, as far as this node knows.
    pub(super) fn joined(&self, end: usize) -> bool {
        match (self.peer, end) {
            (Some(_), MASTER) => self.limit > 0,
            // The master opened it, or there would be none.
            (Some(_), _) => true,
            (None, _) => self.ends[1 - end].opened,
        }
    }
    /// The first number that an end here has neither reached nor lost: what it took is behind, and so is what it
    /// can have no more.
    pub(super) fn floor(&self, end: usize) -> u64 {
        let first = self.chunks.iter().find(|(_, chunk)| chunk.waiting[end]);
        self.ends[end].top.max(first.map_or(self.next, |(index, _)| u64::from(*index)))
    }
    /// Before which number an end here may ask for chunks.
    pub(super) fn ceiling(&self, end: usize) -> u64 {
        (self.floor(end) + self.window()).min(1 << 32)
    }
    /// Before which number chunks may be taken from stock now.
    pub(super) fn may_take_to(&self) -> u64 {
        let slave = match (self.peer, self.waits_for_peer) {
            (Some(_), false) => self.limit.max(self.window()),
            (Some(_), true) => self.limit,
            (None, true) if !(self.joined(MASTER) && self.joined(SLAVE)) => 0,
            (None, _) => self.ceiling(SLAVE),
        };
        let over = self.ends.iter().any(|end| end.closed);
        if over { 0 } else { self.ceiling(MASTER).min(slave) }
    }
    /// Before which number the holder takes chunks in: the window that it said, or one that needs no word.
    pub(super) fn may_hold_to(&self) -> u64 {
        self.limit.max(self.window()).min(1 << 32)
    }

    pub(super) fn put(&self, id: KeyStreamId) -> Change {
        Entry::Stream(id).put(|w| {
            w.name(&self.names[MASTER]).name(&self.names[SLAVE]);
            w.u8(self.peer.is_some().into()).node(self.peer.unwrap_or_default());
            w.u8(self.owner.into()).u8(self.waits_for_peer.into());
            write_qos(w, &self.qos);
            w.u64(self.next).u64(self.limit);
            for end in &self.ends {
                w.u8(end.opened.into()).u8(end.closed.into()).u64(end.top).u32(end.timeout_ms);
            }
        })
    }
    pub(in crate::keys::delivery) fn read(value: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(value);
        let names = [r.name()?, r.name()?];
        let (remote, node) = (r.flag()?, r.node()?);
        let (owner, waits_for_peer) = (r.flag()?, r.flag()?);
        let mut this = Self::new(names, remote.then_some(node), owner, read_qos(&mut r)?);
        this.waits_for_peer = waits_for_peer;
        (this.next, this.limit) = (r.u64()?, r.u64()?);
        for end in &mut this.ends {
            (end.opened, end.closed) = (r.flag()?, r.flag()?);
            (end.top, end.timeout_ms) = (r.u64()?.min(1 << 32), r.u32()?);
        }
        r.end()?;
        Ok(this)
    }
}

impl Chunk {
    pub(super) fn put(&self, stream: KeyStreamId, index: u32) -> Change {
        // Room at once: a buffer that grows leaves unwiped copies behind.
        let routes: usize = self.provenance.routes.iter().map(|r| 4 + 4 * r.len()).sum();
        let room = 128 + self.key.len() + routes + 4 * self.provenance.nodes.len();
        let mut w = Writer(Vec::with_capacity(room));
        w.id(self.id).bytes(&self.key).u8(self.waiting[MASTER].into()).u8(self.waiting[SLAVE].into());
        write_protection(&mut w, self.protection);
        write_provenance(&mut w, &self.provenance);
        Change::Put { key: Entry::Chunk(stream, index).encode(), value: Zeroizing::new(w.0) }
    }
    pub(in crate::keys::delivery) fn read(value: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(value);
        let (id, key) = (r.id()?, Zeroizing::new(r.bytes(1 << 17)?.to_vec()));
        let waiting = [r.flag()?, r.flag()?];
        let (protection, provenance) = (read_protection(&mut r)?, read_provenance(&mut r)?);
        r.end()?;
        let until = Time::ZERO;
        Ok(Self { id, key, protection, provenance, waiting, ready: true, agreed: true, until })
    }
}

/// What the two nodes of a stream announce to each other of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys::delivery) enum StreamWord {
    /// The master's node: there is such a stream.
    Opened { master: SaeName, slave: SaeName, qos: StreamQos },
    /// The slave's node: it is open there, and chunks before this number may come.
    Window(u64),
    /// Either: it is closed there. Whether the master's node says so.
    Closed { owner: bool },
}

impl StreamWord {
    pub(in crate::keys::delivery) fn write(&self, w: &mut Writer) {
        match self {
            Self::Opened { master, slave, qos } => {
                w.u8(0).name(master).name(slave);
                write_qos(w, qos);
            }
            Self::Window(limit) => {
                w.u8(1).u64(*limit);
            }
            Self::Closed { owner } => {
                w.u8(2).u8((*owner).into());
            }
        }
    }
    pub(in crate::keys::delivery) fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.u8()? {
            0 => Ok(Self::Opened { master: r.name()?, slave: r.name()?, qos: read_qos(r)? }),
            1 => r.u64().map(Self::Window),
            2 => Ok(Self::Closed { owner: r.flag()? }),
            _ => Err(DecodeError::Value("the kind of a stream's announcement")),
        }
    }
}

fn write_qos(w: &mut Writer, qos: &StreamQos) {
    w.u32(qos.chunk_bytes).u32(qos.max_bps).u32(qos.min_bps).u32(qos.jitter_bps);
    w.u32(qos.priority).u32(qos.timeout_ms).u32(qos.ttl_seconds);
}

fn read_qos(r: &mut Reader<'_>) -> Result<StreamQos, DecodeError> {
    let qos = StreamQos {
        chunk_bytes: r.u32()?,
        max_bps: r.u32()?,
        min_bps: r.u32()?,
        jitter_bps: r.u32()?,
        priority: r.u32()?,
        timeout_ms: r.u32()?,
        ttl_seconds: r.u32()?,
    };
    let sound = (1..=1 << 17).contains(&qos.chunk_bytes);
    if sound { Ok(qos) } else { Err(DecodeError::Value("the length of a chunk")) }
}
