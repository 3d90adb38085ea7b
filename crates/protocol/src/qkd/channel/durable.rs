//! What one end of a link must not forget in a crash.

use crate::qkd::authenticate::AuthenticationError;
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_bits::SecretBits;
use core::fmt;
use zeroize::Zeroizing;

/// The version of the bytes that a [`Durable`] is kept as.
const VERSION: u8 = 1;

/// What survives a crash of one end: the secret for authentication, which of its one-time pads may be used
/// up, the last session and the first block number that was never used.
///
/// A machine asks to make one durable by [`Output::Persist`](crate::machine::Output::Persist); it replaces the
/// one before. A machine that is made anew is given the last durable one. It runs ahead of the machine: the
/// pads and block numbers between are lost in a crash, so that none is ever used twice.
pub struct Durable {
    /// The last session.
    pub(super) session: u64,
    /// The first block number that was never used.
    pub(super) next_block: u64,
    /// Two hash keys and the pads from number `first` on, as [`AuthenticationKeys`](crate::qkd::authenticate::AuthenticationKeys)
    /// lays them out.
    pub(super) secret: SecretBits,
    pub(super) first: u64,
    /// The first pad of each direction that was never used.
    pub(super) next: [u64; 2],
}

impl Durable {
    /// The state of an end that has never run, with a secret that only the two ends know. Both ends must be
    /// given the same secret: 256 bits for hash keys, and 256 bits for every pair of pads, one a direction. What
    /// is left beyond a multiple of 256 is wiped.
    ///
    /// # Errors
    /// If the secret does not hold at least the hash keys and one pair.
    pub fn provisioned(mut secret: SecretBits) -> Result<Self, AuthenticationError> {
        if secret.len() < 512 {
            return Err(AuthenticationError::SecretTooShort { bits: secret.len() });
        }
        let whole = secret.len() / 256 * 256;
        let secret = secret.take(whole).unwrap_or_default();
        Ok(Self { session: 0, next_block: 0, secret, first: 0, next: [0, 0] })
    }

    /// The same for an end that ran before with the same secret: the first pad of each direction that may still be
    /// used, from the transmitter and then from the receiver.
    pub fn with_next_pads(self, next: [u64; 2]) -> Self {
        Self { next, ..self }
    }

    /// The first pad of each direction that was never used, from the transmitter and then from the receiver.
    pub fn next_pads(&self) -> [u64; 2] {
        self.next
    }

    /// A second copy, which is wiped as well.
    pub fn duplicate(&self) -> Self {
        Self { secret: self.secret.duplicate(), ..*self }
    }

    /// The bytes to keep. They hold the secret: keep them as it must be kept.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(64 + self.secret.len() / 8);
        out.u8(VERSION);
        for number in [self.session, self.next_block, self.first, self.next[0], self.next[1]] {
            out.u64(number);
        }
        out.count(self.secret.len() as u64);
        out.bits(self.secret.expose());
        Zeroizing::new(out.finish())
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let mut number = || input.u64();
        let (session, next_block, first, next) = (number()?, number()?, number()?, [number()?, number()?]);
        let bits = input.count_up_to(1 << 40, "the length of the secret")? as usize;
        let secret = SecretBits::new(input.bits(bits)?);
        input.finish()?;
        let pairs = (bits / 256) as u64;
        if bits < 256 || !bits.is_multiple_of(256) || first.checked_add(pairs).is_none() {
            return Err(Malformed::Value("the length of the secret"));
        }
        Ok(Self { session, next_block, secret, first, next })
    }

    /// The last session that was begun.
    pub fn session(&self) -> u64 {
        self.session
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("session", &self.session)
            .field("next_block", &self.next_block)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use proptest::prelude::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let secret = SecretBits::random(1024 + 100, &mut Stream::new(1, EntityId(0), Purpose::named("kept")));
        let mut kept = Durable::provisioned(secret).unwrap();
        (kept.session, kept.next_block, kept.first, kept.next) = (3, 70, 5, [6, 9]);
        let found = Durable::decode(&kept.encode()).unwrap();
        assert!(found.secret == kept.secret && found.secret.len() == 1024);
        assert_eq!(format!("{found:?}"), "Durable { session: 3, next_block: 70, next: [6, 9], .. }");
        assert_eq!(found.first, 5);
        let bytes = kept.encode();
        assert!(Durable::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 1..120)) {
            bytes[0] = VERSION;
            if let Ok(durable) = Durable::decode(&bytes) {
                prop_assert_eq!(&durable.encode()[..], &bytes[..]);
            }
        }
    }
}
