//! From keys of the key managers to keys for each direction, and records under these.
//!
//! ```text
//! chain 0     = HKDF-Extract(salt = SHA-384(label, initiator, responder, hello, welcome), key 0)
//! chain n + 1 = HKDF-Extract(salt = HKDF-Expand(chain n, "… next" | key ID), key n + 1)
//! direction   = HKDF-Expand(chain n, "… initiator" or "… responder")          an AES-256-GCM key
//! export      = HKDF-Expand(chain n, "… export " | label)                      for something else
//! ```
//!
//! with HKDF-SHA-384 (RFC 5869). So keys are bound to both ends' names and random numbers; and whoever learns one
//! key of the key managers alone, by whatever way, cannot open what was sealed after another went into the chain.
//! A record's nonce is the count of records before it under the same key (NIST SP 800-38D, section 8.2.1): records
//! that are left out, repeated or put in another order do not open.

use super::frame::{BURDEN, record_head};
use super::session::Role;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use bellwether_protocol::keys::KeyId;
use hkdf::Hkdf;
use sha2::{Digest, Sha384};
use zeroize::{Zeroize, Zeroizing};

const CHAIN: usize = 48;
const TAG: usize = 16;

/// What the keys of both directions come from, until the next key of the key managers.
pub(super) struct Chain(Zeroizing<[u8; CHAIN]>);

impl Chain {
    /// The first of a connection.
    pub(super) fn first(names: [&str; 2], hello: &[u8], welcome: &[u8], key: &[u8]) -> Self {
        let mut salt = Sha384::new();
        for part in [b"bellwether tunnel 1", names[0].as_bytes(), names[1].as_bytes(), hello, welcome] {
            salt.update((part.len() as u64).to_be_bytes());
            salt.update(part);
        }
        Self::extract(&salt.finalize(), key)
    }

    /// The one after this, with the next key of the key managers.
    pub(super) fn next(&self, id: KeyId, key: &[u8]) -> Self {
        let mut salt = Zeroizing::new([0; CHAIN]);
        self.expand(&[b"bellwether tunnel 1 next", &id.0.to_be_bytes()], &mut *salt);
        Self::extract(&*salt, key)
    }

    /// What `from` sends under this chain.
    pub(super) fn direction(&self, from: Role) -> Direction {
        let mut key = Zeroizing::new([0; 32]);
        let label: &[u8] = match from {
            Role::Initiator => b"bellwether tunnel 1 initiator",
            Role::Responder => b"bellwether tunnel 1 responder",
        };
        self.expand(&[label], &mut *key);
        Direction { cipher: Aes256Gcm::new((&*key).into()), records: 0 }
    }

    /// A secret for something else than records.
    pub(super) fn export(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        self.expand(&[b"bellwether tunnel 1 export ", label], &mut *secret);
        secret
    }

    fn extract(salt: &[u8], key: &[u8]) -> Self {
        let (mut extracted, _) = Hkdf::<Sha384>::extract(Some(salt), key);
        let mut chain = Zeroizing::new([0; CHAIN]);
        chain.copy_from_slice(&extracted);
        extracted.as_mut_slice().zeroize();
        Self(chain)
    }

    fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        Hkdf::<Sha384>::from_prk(&*self.0)
            .expect("a chain is as long as the hash")
            .expand_multi_info(info, out)
            .expect("at most 48 bytes are asked for");
    }
}

/// Seals or opens what goes in one direction under one chain. Its key is wiped when it is dropped.
pub(super) struct Direction {
    cipher: Aes256Gcm,
    records: u64,
}

impl Direction {
    /// Appends a record of this kind to `out`. Data within the limit of a record.
    pub(super) fn seal(&mut self, kind: u8, data: &[u8], out: &mut Vec<u8>) {
        let head = record_head(data.len() + BURDEN);
        out.extend_from_slice(&head);
        let from = out.len();
        out.push(kind);
        out.extend_from_slice(data);
        let nonce = self.nonce();
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce, &head, (&mut out[from..]).into())
            .expect("a record is far below the cipher's limit");
        out.extend_from_slice(&tag);
    }

    /// Opens the body of a record: its kind, and its data in place; `None` if it was not sealed as the next record
    /// of this direction.
    pub(super) fn open<'a>(&mut self, body: &'a mut [u8]) -> Option<(u8, &'a [u8])> {
        let head = record_head(body.len());
        let (text, tag) = body.split_at_mut(body.len().checked_sub(TAG)?);
        let tag = Tag::try_from(&*tag).ok()?;
        let nonce = self.nonce();
        self.cipher.decrypt_inout_detached(&nonce, &head, (&mut *text).into(), &tag).ok()?;
        let (kind, data) = text.split_first()?;
        Some((*kind, data))
    }

    fn nonce(&mut self) -> Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.records.to_be_bytes());
        // At a thousand million records a second it would take five centuries.
        self.records = self.records.checked_add(1).expect("a key ends long before 2^64 records");
        nonce.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_depends_on_all_that_it_is_bound_to() {
        let first =
            |names, hello: &[u8], welcome: &[u8], key: &[u8]| *Chain::first(names, hello, welcome, key).0;
        let chains = [
            first(["a", "b"], b"h", b"w", &[1; 32]),
            first(["b", "a"], b"h", b"w", &[1; 32]),
            first(["a", "b"], b"hw", b"", &[1; 32]),
            first(["a", "b"], b"h", b"w", &[2; 32]),
            *Chain::first(["a", "b"], b"h", b"w", &[1; 32]).next(KeyId(1), &[1; 32]).0,
            *Chain::first(["a", "b"], b"h", b"w", &[1; 32]).next(KeyId(2), &[1; 32]).0,
            *Chain::first(["b", "a"], b"h", b"w", &[1; 32]).next(KeyId(1), &[1; 32]).0,
        ];
        for (place, chain) in chains.iter().enumerate() {
            assert!(!chains[..place].contains(chain), "{place}");
        }
    }

    #[test]
    fn only_the_next_record_of_the_same_direction_opens() {
        let chain = Chain::first(["a", "b"], b"", b"", &[1; 32]);
        let mut sealing = chain.direction(Role::Initiator);
        let mut records = Vec::new();
        for data in [&b"one"[..], b"two"] {
            let mut record = Vec::new();
            sealing.seal(5, data, &mut record);
            records.push(record.split_off(3));
        }
        let open = |opening: &mut Direction, record: &Vec<u8>| {
            opening.open(&mut record.clone()).map(|(kind, data)| (kind, data.to_vec()))
        };
        assert_eq!(open(&mut chain.direction(Role::Responder), &records[0]), None);
        assert_eq!(open(&mut chain.direction(Role::Initiator), &records[1]), None);
        let mut opening = chain.direction(Role::Initiator);
        assert_eq!(open(&mut opening, &records[0]), Some((5, b"one".to_vec())));
        assert_eq!(open(&mut opening, &records[0]), None);
    }
}
