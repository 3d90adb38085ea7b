//! The heralding station of a link.
//!
//! It matches what arrives from the two ends by cycle, slot and request, and tells both ends what came of an attempt, each
//! with the tags of both (the midpoint heralding protocol of Dahlberg et al., SIGCOMM 2019, section 5.1). Successes are
//! counted; every reply carries the count, by which an end learns of replies that it never got. A station that starts again
//! counts from 0 in a new epoch.

use super::effect::{AttemptTag, read_u32};
use crate::qkd::wire::{Malformed, Reader, Writer};
use bellwether_quantum::bell::BellIndex;
use bellwether_units::LinkId;

/// What arrived from one end in a detection window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing.
    Nothing,
    /// A photon whose announcement did not come.
    Photon,
    /// The announcement of an attempt.
    Announced {
        /// With this tag.
        tag: AttemptTag,
        /// In this cycle of the link.
        cycle: u64,
    },
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MidpointOutcome {
    /// A pair, in this Bell state.
    Heralded(BellIndex),
    /// No pair (r = 0).
    Failed,
    /// The ends attempted for different requests, or with different slots.
    QueueMismatch,
    /// Only one end attempted, or the ends attempted in different cycles.
    TimeMismatch,
    /// The other end's photon came without its announcement.
    NoClassicalOther,
}

/// What the station tells one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MidpointReply {
    /// Of which link.
    pub link: LinkId,
    /// Which life of the station.
    pub epoch: u32,
    /// For a pair its number; otherwise the number that the next pair will have.
    pub sequence: u64,
    /// In which cycle of the link the attempt was.
    pub cycle: u64,
    /// What came of it.
    pub outcome: MidpointOutcome,
    /// The tag of the end that is told.
    pub own: AttemptTag,
    /// The tag of the other end, if it announced one.
    pub peer: Option<AttemptTag>,
}

impl MidpointReply {
    /// As bytes; the frame around them carries the version.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(32);
        let (kind, bell) = match self.outcome {
            MidpointOutcome::Heralded(bell) => (0, bell.bits()),
            MidpointOutcome::Failed => (1, 0),
            MidpointOutcome::QueueMismatch => (2, 0),
            MidpointOutcome::TimeMismatch => (3, 0),
            MidpointOutcome::NoClassicalOther => (4, 0),
        };
        w.u8(kind | bell << 3 | u8::from(self.peer.is_some()) << 5);
        w.count(self.link.0.into());
        w.count(self.epoch.into());
        w.count(self.sequence);
        w.count(self.cycle);
        self.own.write(&mut w);
        if let Some(peer) = &self.peer {
            peer.write(&mut w);
        }
        w.finish()
    }
    /// From bytes.
    ///
    /// # Errors
    /// If they are not what [`encode`](Self::encode) gives.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let head = r.u8()?;
        let (kind, bell, peer) = (head & 7, head >> 3 & 3, head >> 5);
        if peer > 1 || kind != 0 && bell != 0 {
            return Err(Malformed::Value("the head of a station's reply"));
        }
        let outcome = match kind {
            0 => MidpointOutcome::Heralded(BellIndex::from_bits(bell)),
            1 => MidpointOutcome::Failed,
            2 => MidpointOutcome::QueueMismatch,
            3 => MidpointOutcome::TimeMismatch,
            4 => MidpointOutcome::NoClassicalOther,
            kind => return Err(Malformed::Kind(kind)),
        };
        let (link, epoch) = (LinkId(read_u32(&mut r)?), read_u32(&mut r)?);
        let (sequence, cycle) = (r.count()?, r.count()?);
        let own = AttemptTag::read(&mut r)?;
        let peer = if peer == 1 { Some(AttemptTag::read(&mut r)?) } else { None };
        r.finish()?;
        Ok(Self { link, epoch, sequence, cycle, outcome, own, peer })
    }
}

/// The machine of a heralding station. It keeps nothing but a count.
#[derive(Clone, Debug)]
pub struct Midpoint {
    link: LinkId,
    epoch: u32,
    next: u64,
}

impl Midpoint {
    /// The station of a link, in its life number `epoch`: higher than all before.
    pub const fn new(link: LinkId, epoch: u32) -> Self {
        Self { link, epoch, next: 0 }
    }
    /// How many pairs it has heralded in this life.
    pub const fn heralded(&self) -> u64 {
        self.next
    }

    /// What to tell the two ends of an attempt, given what arrived from each and which Bell state the detectors heralded.
    /// Ends from which nothing but a photon came are told nothing: nobody knows whose it was.
    ///
    /// Whoever knows that attempts fail until a given one need not tell of those: no count changes by them.
    pub fn attempt(
        &mut self,
        arrivals: [Arrival; 2],
        click: Option<BellIndex>,
    ) -> [Option<MidpointReply>; 2] {
        let (outcome, sequence) = match (arrivals, click) {
            ([Arrival::Announced { tag: a, cycle: m }, Arrival::Announced { tag: b, cycle: n }], click) => {
                if m != n {
                    (MidpointOutcome::TimeMismatch, self.next)
                } else if a.item != b.item || a.slot != b.slot {
                    (MidpointOutcome::QueueMismatch, self.next)
                } else if let Some(bell) = click {
                    let sequence = self.next;
                    self.next += 1;
                    (MidpointOutcome::Heralded(bell), sequence)
                } else {
                    (MidpointOutcome::Failed, self.next)
                }
            }
            ([Arrival::Photon, _] | [_, Arrival::Photon], _) => {
                (MidpointOutcome::NoClassicalOther, self.next)
            }
            _ => (MidpointOutcome::TimeMismatch, self.next),
        };
        let tag = |arrival| match arrival {
            Arrival::Announced { tag, .. } => Some(tag),
            _ => None,
        };
        let reply = |own: Arrival, peer: Arrival| match own {
            Arrival::Announced { tag: own, cycle } => {
                let (link, epoch) = (self.link, self.epoch);
                Some(MidpointReply { link, epoch, sequence, cycle, outcome, own, peer: tag(peer) })
            }
            _ => None,
        };
        let [a, b] = arrivals;
        [reply(a, b), reply(b, a)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(count: u32, slot: u16, arming: u32) -> AttemptTag {
        AttemptTag { item: super::super::QueueNumber { life: 1, count }, slot, life: 1, arming }
    }
    fn announced(tag: AttemptTag, cycle: u64) -> Arrival {
        Arrival::Announced { tag, cycle }
    }

    #[test]
    fn a_pair_is_told_to_both_with_the_tags_of_both() {
        let mut midpoint = Midpoint::new(LinkId(3), 7);
        let (a, b) = (tag(1, 0, 4), tag(1, 0, 9));
        for sequence in 0..3 {
            let bell = BellIndex::PSI_MINUS;
            let replies = midpoint.attempt([announced(a, 50), announced(b, 50)], Some(bell));
            let [Some(left), Some(right)] = replies else { panic!("both are told") };
            assert_eq!((left.own, left.peer, right.own, right.peer), (a, Some(b), b, Some(a)));
            for reply in [left, right] {
                assert_eq!((reply.link, reply.epoch, reply.sequence), (LinkId(3), 7, sequence));
                assert_eq!(reply.outcome, MidpointOutcome::Heralded(bell));
                assert_eq!(reply.cycle, 50);
            }
        }
        assert_eq!(midpoint.heralded(), 3);
    }

    #[test]
    fn what_does_not_match_is_no_pair() {
        let mut midpoint = Midpoint::new(LinkId(3), 7);
        let bell = Some(BellIndex::PSI_PLUS);
        let a = announced(tag(1, 0, 4), 50);
        let of = |replies: [Option<MidpointReply>; 2]| replies.map(|r| r.map(|r| (r.outcome, r.sequence)));
        let both = |outcome| [Some((outcome, 0)); 2];
        let mut attempt = |b, click| of(midpoint.attempt([a, b], click));
        assert_eq!(attempt(announced(tag(2, 0, 4), 50), bell), both(MidpointOutcome::QueueMismatch));
        assert_eq!(attempt(announced(tag(1, 1, 4), 50), bell), both(MidpointOutcome::QueueMismatch));
        assert_eq!(attempt(announced(tag(1, 0, 4), 51), bell), both(MidpointOutcome::TimeMismatch));
        assert_eq!(attempt(announced(tag(1, 0, 4), 50), None), both(MidpointOutcome::Failed));
        assert_eq!(attempt(Arrival::Nothing, bell), [Some((MidpointOutcome::TimeMismatch, 0)), None]);
        assert_eq!(attempt(Arrival::Photon, bell), [Some((MidpointOutcome::NoClassicalOther, 0)), None]);
        assert_eq!(midpoint.heralded(), 0);
    }
}
