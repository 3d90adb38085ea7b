//! What a transmitter's recording tells of pulses that are asked for, each at most once.

use super::recording::Record;
use bellwether_bits::BitString;
use bellwether_protocol::hardware::{Preparations, PulseNumber};
use std::collections::VecDeque;
use zeroize::Zeroize;

/// Where records come from, one after the other.
pub(crate) trait Records {
    /// Why there is no further one.
    type Error;
    /// The next record; nothing after the last.
    fn next_record(&mut self) -> Result<Option<Record>, Self::Error>;
}

/// A transmitter's recording, read no further than it was asked for.
pub(crate) struct Memory<R> {
    /// Nothing once the recording has ended.
    records: Option<R>,
    /// The first pulse that was never asked for, nor any after it.
    unasked: PulseNumber,
    stretches: VecDeque<Stretch>,
    /// What the recording last said of the light.
    light: Option<bool>,
}

/// What was prepared in a stretch of pulses.
struct Stretch {
    end: PulseNumber,
    length: u64,
    pulses: Vec<PulseNumber>,
    preparations: Preparations,
}

impl Drop for Stretch {
    fn drop(&mut self) {
        self.preparations.bits.zeroize();
    }
}

/// What is said to a question.
pub(crate) enum Answer {
    /// What was prepared in all of the pulses.
    Told(Preparations),
    /// The recording does not tell of this one of them.
    Missing(PulseNumber),
    /// They do not rise, or some were asked for before.
    Refused,
}

impl<R: Records> Memory<R> {
    /// A memory that was asked for nothing from pulse `unasked` on.
    pub(crate) fn new(records: R, unasked: PulseNumber) -> Self {
        Self { records: Some(records), unasked, stretches: VecDeque::new(), light: None }
    }

    /// The first pulse that was never asked for, nor any after it.
    pub(crate) fn unasked(&self) -> PulseNumber {
        self.unasked
    }

    /// How many pulses the last stretch spans.
    pub(crate) fn stretch_length(&self) -> u64 {
        self.stretches.back().map_or(0, |stretch| stretch.length)
    }

    /// What the recording last said of the light.
    pub(crate) fn light(&self) -> Option<bool> {
        self.light
    }

    /// Where the records come from; nothing once they have ended.
    pub(crate) fn records(&self) -> Option<&R> {
        self.records.as_ref()
    }

    /// What was prepared in `pulses`, if the recording tells of all of them and none was asked for before.
    pub(crate) fn recall(&mut self, pulses: &[PulseNumber]) -> Result<Answer, R::Error> {
        let rising = pulses.windows(2).all(|pair| pair[0] < pair[1]);
        let (Some(&first), Some(&last)) = (pulses.first(), pulses.last()) else {
            return Ok(Answer::Told(Preparations::default()));
        };
        if !rising || first < self.unasked {
            return Ok(Answer::Refused);
        }
        self.unasked = last.saturating_add(1);
        self.stretches.retain(|stretch| stretch.end > first);
        self.read_until(first, last)?;
        Ok(match self.find(pulses) {
            Ok(preparations) => Answer::Told(preparations),
            Err(missing) => Answer::Missing(missing),
        })
    }

    /// Reads on until the recording has told of `last`; what ends before `first` is not kept.
    fn read_until(&mut self, first: PulseNumber, last: PulseNumber) -> Result<(), R::Error> {
        while self.stretches.back().is_none_or(|stretch| stretch.end <= last) {
            let Some(records) = &mut self.records else { return Ok(()) };
            match records.next_record()? {
                Some(Record::Sent { first_pulse, pulse_count, pulses, preparations }) => {
                    let end = first_pulse.saturating_add(pulse_count);
                    let stretch = Stretch { end, length: pulse_count, pulses, preparations };
                    if end > first {
                        self.stretches.push_back(stretch);
                    }
                }
                Some(Record::Light { seen, .. }) => self.light = Some(seen),
                Some(Record::Window(_)) => {}
                Some(Record::End) | None => self.records = None,
            }
        }
        Ok(())
    }

    /// What is known of `pulses`, or the first of which nothing is.
    fn find(&self, pulses: &[PulseNumber]) -> Result<Preparations, PulseNumber> {
        let mut found = Preparations {
            bases: BitString::with_capacity(pulses.len()),
            bits: BitString::with_capacity(pulses.len()),
            intensities: Vec::with_capacity(pulses.len()),
        };
        let mut stretches = self.stretches.iter();
        let mut stretch = stretches.next();
        // Pulses rise on both sides, so that one pass finds them all.
        let mut at = 0;
        for &pulse in pulses {
            while stretch.is_some_and(|stretch| stretch.end <= pulse) {
                stretch = stretches.next();
                at = 0;
            }
            let Stretch { pulses: told, preparations, .. } = stretch.ok_or(pulse)?;
            at += ahead(&told[at..], pulse);
            if told.get(at) != Some(&pulse) {
                return Err(pulse);
            }
            found.bases.push(preparations.bases.get(at));
            found.bits.push(preparations.bits.get(at));
            found.intensities.push(preparations.intensities[at]);
        }
        Ok(found)
    }
}

/// How many of the rising `pulses` lie before `pulse`: one step where each was asked for, few where few were not.
fn ahead(pulses: &[PulseNumber], pulse: PulseNumber) -> usize {
    let mut step = 1;
    while pulses.get(step - 1).is_some_and(|&told| told < pulse) {
        step *= 2;
    }
    let from = step / 2;
    let to = pulses.len().min(step);
    from.min(to) + pulses[from.min(to)..to].partition_point(|&told| told < pulse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    struct Told(VecDeque<Record>);

    impl Records for Told {
        type Error = Infallible;
        fn next_record(&mut self) -> Result<Option<Record>, Infallible> {
            Ok(self.0.pop_front())
        }
    }

    /// A recording of these pulses, in stretches of 100.
    fn memory(pulses: &[PulseNumber]) -> Memory<Told> {
        let stretch = |first_pulse: PulseNumber| {
            let within = first_pulse..first_pulse + 100;
            let pulses: Vec<_> = pulses.iter().copied().filter(|pulse| within.contains(pulse)).collect();
            let mut preparations = Preparations::default();
            for &pulse in &pulses {
                preparations.bases.push(pulse % 3 == 0);
                preparations.bits.push(pulse % 5 == 0);
                preparations.intensities.push((pulse % 7) as u8);
            }
            Record::Sent { first_pulse, pulse_count: 100, pulses, preparations }
        };
        Memory::new(Told((0..10).map(|number| stretch(100 * number)).collect()), 0)
    }

    fn sorted(pulses: std::collections::BTreeSet<u64>) -> Vec<u64> {
        pulses.into_iter().collect()
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_told_or_missed(
            told in proptest::collection::btree_set(0u64..1000, 0..400),
            mut cuts in proptest::collection::vec(0u64..1000, 0..6),
            more in proptest::option::of(0u64..1000),
        ) {
            let mut memory = memory(&sorted(told.clone()));
            let mut asked: Vec<u64> = told.iter().copied().filter(|pulse| pulse % 2 == 0).collect();
            asked.extend(more);
            asked.sort_unstable();
            asked.dedup();
            cuts.sort_unstable();
            cuts.push(1000);
            let mut from = 0;
            for cut in cuts {
                let question: Vec<u64> = asked.iter().copied().filter(|pulse| (from..cut).contains(pulse)).collect();
                from = cut;
                let missing = question.iter().copied().find(|pulse| !told.contains(pulse));
                match (memory.recall(&question).unwrap(), missing) {
                    (Answer::Told(found), None) => {
                        prop_assert_eq!(found.bits.len(), question.len());
                        for (at, pulse) in question.iter().enumerate() {
                            prop_assert_eq!(found.bases.get(at), pulse % 3 == 0);
                            prop_assert_eq!(found.bits.get(at), pulse % 5 == 0);
                            prop_assert_eq!(u64::from(found.intensities[at]), pulse % 7);
                        }
                    }
                    (Answer::Missing(found), Some(missing)) => prop_assert_eq!(found, missing),
                    _ => prop_assert!(false, "another answer"),
                }
            }
        }
    }

    #[test]
    fn nothing_is_told_twice_or_out_of_order() {
        let mut memory = memory(&[3, 5, 250]);
        assert!(matches!(memory.recall(&[5, 3]), Ok(Answer::Refused)));
        assert!(matches!(memory.recall(&[3]), Ok(Answer::Told(_))));
        assert!(matches!(memory.recall(&[3]), Ok(Answer::Refused)));
        assert!(matches!(memory.recall(&[250]), Ok(Answer::Told(_))));
        assert!(
            matches!(memory.recall(&[5]), Ok(Answer::Refused)),
            "what was passed over is not told either"
        );
        assert_eq!(memory.unasked(), 251);
    }
}
