//! A key manager as its store has it.

use super::codec::{DecodeError, Reader};
use super::directory::Directory;
use super::manager::{KeyManager, Memory, Restored};
use super::record::{Entry, Pending, read_block, read_ids, read_word};
use super::settings::Settings;
use super::stock::HeldBlock;
use super::streams::{Chunk, KeyStream};
use bellwether_units::{NodeId, Time};
use rand_core::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

impl KeyManager {
    /// A key manager that starts again after a stop or a crash, from the entries of its store in any order. Its
    /// [`deadline`](crate::machine::Protocol::deadline) is the start of time, so that it speaks first.
    ///
    /// # Errors
    /// If an entry is not one of a key manager.
    pub fn restore(
        node: NodeId,
        directory: Arc<Directory>,
        settings: Settings,
        entries: impl IntoIterator<Item = (Vec<u8>, Zeroizing<Vec<u8>>)>,
        memory: Memory,
        rng: &mut dyn Rng,
    ) -> Result<Self, DecodeError> {
        let mut this = Self::new(node, directory, settings, rng);
        let (mut owned, mut used, mut doubts) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (mut streams, mut chunks) = (Vec::new(), Vec::new());
        for (name, value) in entries {
            let entry = Entry::decode(&name)?;
            let mut r = Reader(&value);
            match entry {
                Entry::Peer(node) => {
                    let peer = this.peer_state(node);
                    peer.said = r.u64()?;
                    peer.durable = peer.said;
                    peer.heard = r.u64()?;
                    peer.applied = peer.heard;
                    peer.doubtful = r.flag()?;
                    r.end()?;
                }
                Entry::Owned(node, id) => {
                    let (serial, block) = read_block(id, &value)?;
                    owned.insert((node, serial, id), block);
                }
                Entry::Held(node, id) => {
                    let (_, block) = read_block(id, &value)?;
                    let held = HeldBlock { block, durable: true, confirmed: true, accept: None, repeats: 0 };
                    this.peer_state(node).held.blocks.insert(id, held);
                }
                Entry::OwnedUse(..) | Entry::HeldUse(..) => drop(used.insert(name, r.u32()?)),
                Entry::Word(node, number) => {
                    let word = read_word(&value)?;
                    this.peer_state(node).words.insert(number, word);
                }
                Entry::Missing(node, number) => {
                    let ids = read_ids(&value)?;
                    this.peer_state(node).missing.insert(number, ids);
                }
                Entry::Pending(serial) => {
                    let (id, pending) = Pending::read(serial, &value)?;
                    this.serial = this.serial.max(serial.saturating_add(1));
                    *this.pending_of.entry(pending.origin).or_default() += 1;
                    this.expiry.push_back((Time::ZERO + this.settings.lifetime, id));
                    this.pending.insert(id, pending);
                }
                Entry::Doubt(serial) => {
                    doubts.push((serial, read_ids(&value)?));
                    this.serial = this.serial.max(serial + 1);
                }
                Entry::Stream(id) => streams.push((id, KeyStream::read(&value)?)),
                Entry::Chunk(id, index) => chunks.push((id, index, Chunk::read(&value)?)),
            }
        }
        let use_of = |entry: Entry| used.get(&entry.encode()).copied().unwrap_or(0);
        for ((node, serial, id), mut block) in owned {
            block.spend_to(use_of(Entry::OwnedUse(node, id)));
            this.serial = this.serial.max(serial + 1);
            this.peer_state(node).owned.insert(block);
        }
        for (node, peer) in &mut this.peers {
            for (id, held) in &mut peer.held.blocks {
                held.block.spend_to(use_of(Entry::HeldUse(*node, *id)));
            }
        }
        this.set_expiry();
        this.restore_streams(streams, chunks)?;
        this.restored = Some(Restored { memory, doubts });
        Ok(this)
    }
}
