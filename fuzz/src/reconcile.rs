//! A block to be reconciled.

use arbitrary::Arbitrary;
use bellwether_bits::{BitString, SecretBits};
use bellwether_protocol::qkd::reconcile::{Family, Method};
use bellwether_units::{EntityId, Purpose, Stream};

/// What a block is made from.
#[derive(Arbitrary, Clone, Debug)]
pub struct Block {
    seed: u64,
    family: u8,
    bits: u16,
    frame_words: u8,
    rate: u8,
    errors: u16,
}

impl Block {
    /// The method, the reference bits and the same bits with errors.
    pub fn make(&self) -> (Method, SecretBits, SecretBits) {
        let mut stream = Stream::new(self.seed, EntityId(0), Purpose::named("fuzz"));
        let bits = usize::from(self.bits % 2049);
        let reference = BitString::random(bits, &mut stream);
        let mut noisy = reference.clone();
        if bits > 0 {
            for _ in 0..usize::from(self.errors) % (bits / 4 + 1) {
                noisy.flip(stream.below(bits as u64) as usize);
            }
        }
        let family = Family::ALL[usize::from(self.family) % Family::ALL.len()];
        let method = family
            .method(f64::from(self.rate) / 512.0, self.seed)
            .in_frames(Some(64 * usize::from(self.frame_words % 16)));
        (method, SecretBits::new(reference), SecretBits::new(noisy))
    }
}
