//! Records as bytes: the journal of a key node as a driver writes it.
//!
//! Version 1: a version byte, how many steps, the steps. Each step begins with its kind. Integers are written as by
//! [`qkd::wire`](crate::qkd::wire): counts and numbers of variable length, tokens and identifiers of fixed length,
//! the least byte first. The bytes hold secrets as the records do.

use super::api::{KeyId, RequestId};
use super::material::KeyMaterial;
use super::pool::{PoolImage, Stretch};
use super::record::{HeldShare, Record, Step};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::SecretBits;
use bellwether_units::{BlockId, DemandId, LinkId, NodeId};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
/// The longest string of bits in a record: far above any block and any share.
const BITS_LIMIT: u64 = 1 << 32;

impl Record {
    /// The record as bytes, to be written encrypted.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // No field takes more than twice what it takes in memory, so the buffer never grows, which would leave an
        // unwiped copy behind.
        let room = 16 + 2 * self.size();
        let mut w = Writer::with_capacity(room);
        w.u8(VERSION);
        w.count(self.steps.len() as u64);
        self.steps.iter().for_each(|step| step.write(&mut w));
        let bytes = Zeroizing::new(w.finish());
        debug_assert!(bytes.len() <= room, "the buffer has grown");
        bytes
    }

    /// The record that was [encoded](Self::encode). It takes memory in proportion to the bytes, whatever they are.
    ///
    /// # Errors
    /// If the bytes are not those of a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            other => return Err(Malformed::Version(other)),
        }
        let steps = list(&mut r, Step::read)?;
        r.finish()?;
        Ok(Self { steps })
    }
}

impl Step {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Stored { link, block, key } => {
                w.u8(0);
                write_link(w, *link);
                w.count(block.0);
                write_material(w, key);
            }
            Self::Taken { link, stretches } => {
                w.u8(1);
                write_link(w, *link);
                write_stretches(w, stretches);
            }
            Self::Received { link, stretches } => {
                w.u8(2);
                write_link(w, *link);
                write_stretches(w, stretches);
            }
            Self::Given { link, number, stretches } => {
                w.u8(3);
                write_link(w, *link);
                w.count(*number);
                write_stretches(w, stretches);
            }
            Self::Gained { link, number, stretches } => {
                w.u8(4);
                write_link(w, *link);
                w.count(*number);
                write_stretches(w, stretches);
            }
            Self::Started { key, to, path, void_token } => {
                w.u8(5);
                write_id(w, *key);
                w.count(to.0.into());
                write_list(w, path, |w, link| write_link(w, *link));
                w.u64(*void_token);
            }
            Self::Committed { key, to, path, token } => {
                w.u8(6);
                write_id(w, *key);
                w.count(to.0.into());
                write_list(w, path, |w, link| write_link(w, *link));
                w.u64(*token);
            }
            Self::Held { key, share } => {
                w.u8(7);
                write_id(w, *key);
                share.write(w);
            }
            Self::Delivered { key } => write_key(w, 8, *key),
            Self::HandedOut { key } => write_key(w, 9, *key),
            Self::Ended { key } => write_key(w, 10, *key),
            Self::Link { link, pool, borrowed, lent } => {
                w.u8(11);
                write_link(w, *link);
                w.count(*borrowed);
                w.count(*lent);
                pool.write(w);
            }
            Self::Over { keys, stand } => {
                w.u8(12);
                w.u8((*stand).into());
                write_list(w, keys, |w, key| write_id(w, *key));
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            0 => Self::Stored { link: link(r)?, block: BlockId(r.count()?), key: material(r)? },
            1 => Self::Taken { link: link(r)?, stretches: stretches(r)? },
            2 => Self::Received { link: link(r)?, stretches: stretches(r)? },
            3 => Self::Given { link: link(r)?, number: r.count()?, stretches: stretches(r)? },
            4 => Self::Gained { link: link(r)?, number: r.count()?, stretches: stretches(r)? },
            5 => Self::Started { key: id(r)?, to: node(r)?, path: list(r, link)?, void_token: r.u64()? },
            6 => Self::Committed { key: id(r)?, to: node(r)?, path: list(r, link)?, token: r.u64()? },
            7 => Self::Held { key: id(r)?, share: HeldShare::read(r)? },
            8 => Self::Delivered { key: id(r)? },
            9 => Self::HandedOut { key: id(r)? },
            10 => Self::Ended { key: id(r)? },
            11 => {
                let (link, borrowed, lent) = (link(r)?, r.count()?, r.count()?);
                Self::Link { link, pool: PoolImage::read(r)?, borrowed, lent }
            }
            12 => Self::Over { stand: flag(r)?, keys: list(r, id)? },
            other => return Err(Malformed::Kind(other)),
        })
    }
}

impl HeldShare {
    fn write(&self, w: &mut Writer) {
        w.u8(self.share);
        w.u8(self.shares);
        w.count(self.from.0.into());
        w.count(self.bits.into());
        w.count(self.request.0);
        w.u8(self.demand.is_some().into());
        if let Some(demand) = self.demand {
            w.count(demand.0.into());
        }
        write_list(w, &self.route, |w, link| write_link(w, *link));
        write_bits(w, &self.payload);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (share, shares, from, bits) = (r.u8()?, r.u8()?, node(r)?, small(r, "a length")?);
        let request = RequestId(r.count()?);
        let demand = if flag(r)? { Some(DemandId(small(r, "the number of a demand")?)) } else { None };
        let (route, payload) = (list(r, link)?, secret(r)?);
        Ok(Self { share, shares, from, bits, request, demand, route, payload })
    }
}

pub(super) fn write_list<T>(w: &mut Writer, items: &[T], mut one: impl FnMut(&mut Writer, &T)) {
    w.count(items.len() as u64);
    items.iter().for_each(|item| one(w, item));
}

/// Every item takes a byte at least, and memory is taken as they come.
pub(super) fn list<T>(
    r: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = r.count_up_to(r.remaining() as u64, "a count")?;
    (0..count).map(|_| one(r)).collect()
}

pub(super) fn small(r: &mut Reader<'_>, what: &'static str) -> Result<u32, Malformed> {
    Ok(r.count_up_to(u32::MAX.into(), what)? as u32)
}

pub(super) fn flag(r: &mut Reader<'_>) -> Result<bool, Malformed> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::Value("a flag")),
    }
}

fn write_link(w: &mut Writer, link: LinkId) {
    w.count(link.0.into());
}

fn link(r: &mut Reader<'_>) -> Result<LinkId, Malformed> {
    small(r, "the number of a link").map(LinkId)
}

fn node(r: &mut Reader<'_>) -> Result<NodeId, Malformed> {
    small(r, "the number of a node").map(NodeId)
}

fn write_id(w: &mut Writer, key: KeyId) {
    w.bytes(&key.0.to_le_bytes());
}

fn write_key(w: &mut Writer, kind: u8, key: KeyId) {
    w.u8(kind);
    write_id(w, key);
}

fn id(r: &mut Reader<'_>) -> Result<KeyId, Malformed> {
    Ok(KeyId(u128::from_le_bytes(r.array()?)))
}

fn write_stretches(w: &mut Writer, stretches: &[Stretch]) {
    write_list(w, stretches, |w, stretch| {
        w.count(stretch.block.0);
        w.count(stretch.offset.into());
        w.count(stretch.length.into());
    });
}

fn stretches(r: &mut Reader<'_>) -> Result<Vec<Stretch>, Malformed> {
    list(r, |r| {
        let block = BlockId(r.count()?);
        let (offset, length) = (small(r, "an offset")?, small(r, "a length")?);
        offset.checked_add(length).ok_or(Malformed::Value("a stretch"))?;
        Ok(Stretch { block, offset, length })
    })
}

fn write_bits(w: &mut Writer, bits: &SecretBits) {
    w.count(bits.len() as u64);
    w.bits(bits.expose());
}

fn secret(r: &mut Reader<'_>) -> Result<SecretBits, Malformed> {
    let len = r.count_up_to(BITS_LIMIT, "the length of a secret")?;
    let len = usize::try_from(len).map_err(|_| Malformed::TooLong)?;
    r.bits(len).map(SecretBits::new)
}

pub(super) fn write_material(w: &mut Writer, key: &KeyMaterial) {
    match key {
        KeyMaterial::Bits(bits) => {
            w.u8(0);
            write_bits(w, bits);
        }
        KeyMaterial::Emulated { seed, bits } => {
            w.u8(1);
            w.u64(*seed);
            w.count((*bits).into());
        }
    }
}

pub(super) fn material(r: &mut Reader<'_>) -> Result<KeyMaterial, Malformed> {
    Ok(match r.u8()? {
        0 => KeyMaterial::Bits(secret(r)?),
        1 => KeyMaterial::Emulated { seed: r.u64()?, bits: small(r, "the length of a block")? },
        other => return Err(Malformed::Kind(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Record {
        let stretch = |n: u64| Stretch { block: BlockId(n << 40), offset: u32::MAX - 9, length: 9 };
        let route = vec![LinkId(u32::MAX); 3];
        let share = HeldShare {
            share: 1,
            shares: 2,
            from: NodeId(u32::MAX),
            bits: u32::MAX,
            request: RequestId(u64::MAX),
            demand: Some(DemandId(u32::MAX)),
            route: route.clone(),
            payload: SecretBits::new(bellwether_bits::BitString::from_bytes(&[0xa5; 17], 131)),
        };
        let key = KeyId(u128::MAX - 5);
        let link = LinkId(7);
        Record {
            steps: vec![
                Step::Stored { link, block: BlockId(u64::MAX), key: share.payload.duplicate().into() },
                Step::Stored { link, block: BlockId(0), key: KeyMaterial::Emulated { seed: 3, bits: 9 } },
                Step::Taken { link, stretches: (0..100).map(stretch).collect() },
                Step::Received { link, stretches: vec![] },
                Step::Given { link, number: u64::MAX, stretches: vec![stretch(1)] },
                Step::Gained { link, number: 0, stretches: vec![stretch(2)] },
                Step::Started { key, to: NodeId(1), path: route.clone(), void_token: u64::MAX },
                Step::Committed { key, to: NodeId(1), path: route, token: 1 },
                Step::Held { key, share },
                Step::Delivered { key },
                Step::HandedOut { key },
                Step::Ended { key },
                Step::Over { keys: vec![key; 200], stand: true },
            ],
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_cut_short_nowhere() {
        let record = sample();
        let bytes = record.encode();
        let again = Record::decode(&bytes).unwrap();
        assert_eq!(*again.encode(), *bytes);
        assert_eq!(format!("{again:?}"), format!("{record:?}"));
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(matches!(Record::decode(&[2]), Err(Malformed::Version(2))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::decode(&bytes);
            // The version, one step, of one of the kinds.
            if bytes.len() > 2 {
                (bytes[0], bytes[1]) = (VERSION, 1);
                bytes[2] %= 13;
            }
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(&*record.encode(), &bytes);
            }
        }

        #[test]
        fn a_changed_byte_is_refused_or_read(place: prop::sample::Index, value: u8) {
            let mut bytes = sample().encode();
            let place = place.index(bytes.len());
            bytes[place] = value;
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(&*record.encode(), &*bytes);
            }
        }
    }
}
