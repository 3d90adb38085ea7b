//! ML-KEM-768 (FIPS 203) with the driver's generator.

use super::wire::{CIPHERTEXT, ENCAPSULATION_KEY};
use core::convert::Infallible;
use ml_kem::kem::{Decapsulate, Encapsulate, KeyExport};
use ml_kem::{DecapsulationKey768, EncapsulationKey768, Seed};
use rand_core::{Rng, TryCryptoRng, TryRng};
use zeroize::{Zeroize, Zeroizing};

/// Half of an exchange: what opens the answer.
pub(super) struct Opener(Box<DecapsulationKey768>);

/// The generator of a driver, who has promised that it is cryptographically strong.
struct Strong<'a>(&'a mut dyn Rng);

impl TryRng for Strong<'_> {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Strong<'_> {}

impl Opener {
    /// A fresh key pair: this half, and the encapsulation key for the other end.
    pub(super) fn generate(rng: &mut dyn Rng) -> (Self, Box<[u8; ENCAPSULATION_KEY]>) {
        let mut seed = Seed::default();
        rng.fill_bytes(&mut seed);
        let key = Box::new(DecapsulationKey768::from_seed(seed));
        seed.zeroize();
        let mut public = Box::new([0; ENCAPSULATION_KEY]);
        public.copy_from_slice(&key.encapsulation_key().to_bytes());
        (Self(key), public)
    }
    /// The secret that a ciphertext carries. A ciphertext that was changed gives another one.
    pub(super) fn open(&self, ciphertext: &[u8; CIPHERTEXT]) -> Zeroizing<[u8; 32]> {
        let mut shared = self.0.decapsulate(&(*ciphertext).into());
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&shared);
        shared.zeroize();
        secret
    }
}

/// A secret and what carries it.
pub(super) struct Sealed {
    pub(super) ciphertext: Box<[u8; CIPHERTEXT]>,
    pub(super) secret: Zeroizing<[u8; 32]>,
}

/// A fresh secret and its ciphertext under an encapsulation key; `None` if that is none.
pub(super) fn seal(public: &[u8; ENCAPSULATION_KEY], rng: &mut dyn Rng) -> Option<Sealed> {
    let public = EncapsulationKey768::new(&(*public).into()).ok()?;
    let (sealed, mut shared) = public.encapsulate_with_rng(&mut Strong(rng));
    let mut ciphertext = Box::new([0; CIPHERTEXT]);
    ciphertext.copy_from_slice(&sealed);
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&shared);
    shared.zeroize();
    Some(Sealed { ciphertext, secret })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    #[test]
    fn both_ends_get_one_secret_and_a_changed_ciphertext_gives_another() {
        let mut rng = Stream::new(1, EntityId(0), Purpose::named("kem"));
        let (opener, public) = Opener::generate(&mut rng);
        let Sealed { mut ciphertext, secret } = seal(&public, &mut rng).unwrap();
        assert_eq!(opener.open(&ciphertext), secret);
        ciphertext[100] ^= 1;
        assert_ne!(opener.open(&ciphertext), secret);
        let again = seal(&public, &mut rng).unwrap();
        assert_ne!(again.secret, secret);
        assert!(seal(&[0xff; ENCAPSULATION_KEY], &mut rng).is_none(), "coefficients beyond the modulus");
    }
}
