//! What Bell states do to a comparison: outcomes are as expected relative to the states that the pairs are known to be in.

use bellwether_quantum::bell::{BellIndex, Purification};

/// What two pairs without errors in these Bell states give: whether the outcomes of both ends differ, and the state of the
/// pair that is kept.
pub(super) fn compared(kept: BellIndex, sacrificed: BellIndex, how: Purification) -> (bool, BellIndex) {
    // Controlled-NOTs from the kept pair add its bit to the other's, and the other's phase to its own.
    match how {
        Purification::Bbpssw => {
            let frame = BellIndex::new(kept.bit(), kept.phase() ^ sacrificed.phase());
            (kept.bit() ^ sacrificed.bit(), frame)
        }
        Purification::Dejmps => {
            // The rotation before adds the phase to the bit, and is not undone.
            let bit = |index: BellIndex| index.bit() ^ index.phase();
            let frame = BellIndex::new(bit(kept), kept.phase() ^ sacrificed.phase());
            (bit(kept) ^ bit(sacrificed), frame)
        }
        Purification::Phase => {
            let frame = BellIndex::new(kept.bit() ^ sacrificed.bit(), kept.phase());
            (kept.phase() ^ sacrificed.phase(), frame)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_quantum::bell::{BellDiagonal, PurificationQuality};

    /// Against the rule for mixtures: a pair that is surely in one Bell state.
    #[test]
    fn frames_follow_the_rule_for_errors() {
        let sure = |index: BellIndex| {
            let mut p = [0.0; 4];
            p[index.index()] = 1.0;
            BellDiagonal::new(p).unwrap()
        };
        for how in [Purification::Bbpssw, Purification::Dejmps, Purification::Phase] {
            for kept in BellIndex::ALL {
                for sacrificed in BellIndex::ALL {
                    let purified = sure(kept).purify(&sure(sacrificed), how, &PurificationQuality::PERFECT);
                    let (differ, frame) = compared(kept, sacrificed, how);
                    assert_eq!(
                        purified.success,
                        if differ { 0.0 } else { 1.0 },
                        "{how:?} {kept} {sacrificed}"
                    );
                    if !differ {
                        assert_eq!(purified.kept.probability(frame), 1.0, "{how:?} {kept} {sacrificed}");
                    }
                }
            }
        }
    }
}
