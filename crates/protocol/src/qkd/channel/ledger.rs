//! One end's authentication keys together with what must be durable of them.

use super::durable::Durable;
use crate::qkd::authenticate::{AuthenticationError, AuthenticationKeys, Direction, Tag, TranscriptHash};
use bellwether_bits::SecretBits;

/// Bits of the hash keys, and of a pair of pads.
const PAIR: usize = 256;

/// The authentication keys, and the secret that they are made from.
pub(super) struct Ledger {
    keys: AuthenticationKeys,
    /// Hash keys, then pairs of pads from number `first` on.
    secret: SecretBits,
    first: u64,
    /// No pad before these is to be used any more, even if it is held.
    floor: [u64; 2],
    /// Pads of the sending direction before this one may be used: a [`Durable`] says that they are.
    reserved: u64,
}

/// Whether a tag can be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Yes.
    Ready,
    /// Once more pads are durably set down as used.
    Unreserved,
    /// No pad is left.
    Exhausted,
}

impl Ledger {
    pub(super) fn new(durable: &Durable, sending: Direction) -> Result<Self, AuthenticationError> {
        let mut ledger = Self {
            keys: AuthenticationKeys::new(durable.secret.duplicate(), sending)?,
            secret: durable.secret.duplicate(),
            first: durable.first,
            floor: durable.next,
            reserved: durable.next[sending as usize],
        };
        ledger.rebuild()?;
        Ok(ledger)
    }

    /// Makes the keys anew from the secret and the floor.
    fn rebuild(&mut self) -> Result<(), AuthenticationError> {
        let end = self.end();
        let next = self.floor.map(|floor| floor.clamp(self.first, end));
        self.keys =
            AuthenticationKeys::resume(self.secret.duplicate(), self.keys.sending(), self.first, next)?;
        Ok(())
    }

    fn refresh_floor(&mut self) {
        for direction in [Direction::TransmitterToReceiver, Direction::ReceiverToTransmitter] {
            let floor = &mut self.floor[direction as usize];
            *floor = (*floor).max(self.keys.consumed(direction));
        }
    }

    /// One after the last pad held.
    pub(super) fn end(&self) -> u64 {
        self.first + (self.secret.len() / PAIR - 1) as u64
    }

    /// The first pad of each direction that was never used.
    pub(super) fn next(&self) -> [u64; 2] {
        let consumed = [Direction::TransmitterToReceiver, Direction::ReceiverToTransmitter]
            .map(|direction| self.keys.consumed(direction));
        [consumed[0].max(self.floor[0]), consumed[1].max(self.floor[1])]
    }

    /// Pads left in the direction that has fewer.
    pub(super) fn left(&self) -> u64 {
        let end = self.end();
        self.next().map(|next| end.saturating_sub(next)).into_iter().min().unwrap_or(0)
    }

    pub(super) fn readiness(&self) -> Readiness {
        let next = self.next()[self.keys.sending() as usize];
        if next >= self.end() {
            Readiness::Exhausted
        } else if next >= self.reserved {
            Readiness::Unreserved
        } else {
            Readiness::Ready
        }
    }

    /// How many more tags may be made before pads must be set down again.
    pub(super) fn reserve_left(&self) -> u64 {
        self.reserved.saturating_sub(self.next()[self.keys.sending() as usize])
    }

    /// Pads of the sending direction before `until` are durably set down as used.
    pub(super) fn reserve(&mut self, until: u64) {
        self.reserved = self.reserved.max(until);
    }

    pub(super) fn sending_transcript(&self) -> TranscriptHash {
        self.keys.sending_transcript()
    }

    pub(super) fn receiving_transcript(&self) -> TranscriptHash {
        self.keys.receiving_transcript()
    }

    /// The number of the pad that [`seal`](Self::seal) will use, if it can.
    pub(super) fn next_pad(&mut self) -> Result<u64, AuthenticationError> {
        let sending = self.keys.sending();
        if self.keys.consumed(sending) < self.floor[sending as usize] {
            self.rebuild()?;
        }
        Ok(self.keys.consumed(sending))
    }

    pub(super) fn seal(&mut self, sent: &TranscriptHash) -> Result<Tag, AuthenticationError> {
        self.next_pad()?;
        self.keys.seal(sent)
    }

    pub(super) fn verify(&mut self, received: &TranscriptHash, tag: Tag) -> Result<(), AuthenticationError> {
        self.keys.verify(received, tag)
    }

    /// Appends pairs of pads; both ends do it with the same bits in the same order.
    pub(super) fn replenish(&mut self, fresh: SecretBits) {
        self.secret.append(fresh.duplicate());
        self.keys.replenish(fresh);
    }

    /// Gives up the pads that the other end does not hold, from number `end` on. An error if the other end
    /// lacks even what both had used.
    pub(super) fn truncate(&mut self, end: u64) -> Result<(), AuthenticationError> {
        if end >= self.end() {
            return Ok(());
        }
        if end < self.first {
            return Err(AuthenticationError::Unresumable { next: end, first: self.first, end: self.end() });
        }
        self.refresh_floor();
        let pairs = (end - self.first) as usize;
        self.secret = self.secret.slice(0..PAIR * (1 + pairs));
        self.rebuild()
    }

    /// Gives pads up so that both directions go on from the same number, and forgets those behind it. Called
    /// once a block, it keeps the memory bounded though the directions use unlike numbers of pads.
    pub(super) fn level(&mut self) -> Result<(), AuthenticationError> {
        self.refresh_floor();
        let sending = self.keys.sending();
        let [own, other] = [self.floor[sending as usize], self.floor[sending.reverse() as usize]];
        self.floor[sending as usize] = own.max(other.min(self.end()));
        let forget = self.floor.into_iter().min().unwrap_or(0).min(self.end());
        if forget > self.first + 64 {
            let hash_keys = self.secret.slice(0..PAIR);
            let from = PAIR * (1 + (forget - self.first) as usize);
            let pads = self.secret.slice(from..self.secret.len());
            self.secret = hash_keys;
            self.secret.append(pads);
            self.first = forget;
            self.rebuild()?;
        }
        Ok(())
    }

    /// What is to be durable: as it is now, but with `ahead` more pads of the sending direction used up.
    pub(super) fn durable(&self, ahead: u64, session: u64, next_block: u64) -> Durable {
        let mut next = self.next();
        let sending = self.keys.sending() as usize;
        next[sending] = next[sending].saturating_add(ahead).max(self.reserved);
        Durable { session, next_block, secret: self.secret.duplicate(), first: self.first, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    fn random(pairs: usize, purpose: &str) -> SecretBits {
        SecretBits::random(PAIR * pairs, &mut Stream::new(1, EntityId(0), Purpose::named(purpose)))
    }

    fn ends(pairs: usize) -> (Ledger, Ledger) {
        let durable = Durable::provisioned(random(1 + pairs, "secret")).unwrap();
        let end = |sending| {
            let mut ledger = Ledger::new(&durable, sending).unwrap();
            ledger.reserve(u64::MAX);
            ledger
        };
        (end(Direction::TransmitterToReceiver), end(Direction::ReceiverToTransmitter))
    }

    /// One tag from `a` to `b`, and the number of its pad.
    fn pass(a: &mut Ledger, b: &mut Ledger) -> u64 {
        let announced = a.next_pad().unwrap();
        let tag = a.seal(&a.sending_transcript()).unwrap();
        assert_eq!(tag.pad_index, announced);
        b.verify(&b.receiving_transcript(), tag).unwrap();
        tag.pad_index
    }

    #[test]
    fn no_pad_is_used_again_after_a_restart() {
        let (mut a, mut b) = ends(20);
        a.reserved = 2;
        assert_eq!([pass(&mut a, &mut b), pass(&mut a, &mut b)], [0, 1]);
        let mut again = Ledger::new(&a.durable(5, 1, 1), Direction::TransmitterToReceiver).unwrap();
        assert_eq!(again.readiness(), Readiness::Unreserved);
        again.reserve(100);
        assert_eq!(pass(&mut again, &mut b), 7);
    }

    #[test]
    fn pads_that_one_end_lost_are_given_up_and_their_numbers_not_used_again() {
        let (mut a, mut b) = ends(4);
        let batch = random(4, "batch");
        b.replenish(batch);
        for _ in 0..5 {
            // The receiver uses up one of the new pads, in a frame that never arrives.
            b.seal(&b.sending_transcript()).unwrap();
        }
        b.truncate(a.end()).unwrap();
        assert_eq!(b.readiness(), Readiness::Exhausted);
        let batch = random(4, "next batch");
        a.replenish(batch.duplicate());
        b.replenish(batch);
        assert_eq!(a.end(), b.end());
        assert_eq!(pass(&mut b, &mut a), 5, "pad 4 was used before it was given up");
        assert_eq!(pass(&mut a, &mut b), 0);
    }

    #[test]
    fn levelled_ledgers_stay_small_and_agree() {
        let (mut a, mut b) = ends(8);
        let mut batches = Stream::new(2, EntityId(0), Purpose::named("batches"));
        for _ in 0..200 {
            let fresh = SecretBits::random(2 * PAIR, &mut batches);
            pass(&mut a, &mut b);
            pass(&mut b, &mut a);
            pass(&mut b, &mut a);
            a.replenish(fresh.duplicate());
            b.replenish(fresh);
            a.level().unwrap();
            b.level().unwrap();
        }
        assert!(a.secret.len() < 100 * PAIR && b.secret.len() < 100 * PAIR);
        assert!(a.left() >= 7 && b.left() >= 7);
    }

    #[test]
    fn an_end_without_pads_says_so() {
        let (mut a, mut b) = ends(1);
        pass(&mut a, &mut b);
        assert_eq!(a.readiness(), Readiness::Exhausted);
        assert!(a.seal(&a.sending_transcript()).is_err());
    }
}
