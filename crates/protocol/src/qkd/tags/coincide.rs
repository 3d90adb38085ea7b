//! Which events of two ends belong together, once their clocks are related.

/// Pairs of events, and what was seen beside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Coincidences {
    /// Which of the other end's and which of this end's: both rise.
    pub(super) pairs: Vec<(u32, u32)>,
    /// Events of the other end that had partners, but not one alone that had no other partner.
    pub(super) ambiguous: u64,
    /// Pairs at times that are moved by [`DISPLACED`] windows, forwards and backwards, together: chance alone makes them.
    pub(super) displaced: u64,
}

/// Coincidences by chance are counted so many windows away from the true ones.
pub(super) const DISPLACED: i64 = 25;

/// Finds the events of `here`, in rising order, that are no more than `half` picoseconds from events of `there`, to
/// whose times `offset` is added. An event that has several partners is left out, and they with it: which of them the
/// photon's is cannot be known.
pub(super) fn coincide(here: &[u64], there: &[u64], offset: impl Fn(u64) -> i64, half: i64) -> Coincidences {
    let mut found = Coincidences::default();
    let (mut next, mut early, mut late) = (0, 0, 0);
    // The last event of this end that was near any of the other's.
    let mut near: Option<usize> = None;
    let away = 2 * half * DISPLACED;
    for (number, &time) in there.iter().enumerate() {
        let expected = (time as i64).saturating_add(offset(time));
        let first = seek(here, &mut next, expected - half);
        let mut last = first;
        while at(here, last).is_some_and(|seen| seen <= expected + half) {
            last += 1;
        }
        for (from, to) in [(&mut early, expected - away), (&mut late, expected + away)] {
            let mut partner = seek(here, from, to - half);
            while at(here, partner).is_some_and(|seen| seen <= to + half) {
                partner += 1;
                found.displaced += 1;
            }
        }
        if last == first {
            continue;
        }
        let shared = near.is_some_and(|near| near >= first);
        if shared
            && let Some(&(_, partner)) = found.pairs.last()
            && partner as usize >= first
        {
            found.pairs.pop();
            found.ambiguous += 1;
        }
        if shared || last - first > 1 {
            found.ambiguous += 1;
        } else {
            found.pairs.push((number as u32, first as u32));
        }
        near = near.max(Some(last - 1));
    }
    found
}

fn at(times: &[u64], index: usize) -> Option<i64> {
    times.get(index).map(|&time| time as i64)
}

/// Moves `next` to the first time that is not before `from`.
fn seek(times: &[u64], next: &mut usize, from: i64) -> usize {
    while at(times, *next).is_some_and(|seen| seen < from) {
        *next += 1;
    }
    *next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn partners_are_found_and_what_is_ambiguous_is_left_out() {
        let there = [1000, 5000, 9000, 9010, 13_000, 17_000];
        let here = [1105, 4000, 5095, 9106, 13_100, 13_110, 20_000];
        let found = coincide(&here, &there, |_| 100, 20);
        // 9000 and 9010 share a partner, 13000 has two, 17000 none.
        assert_eq!(found.pairs, [(0, 0), (1, 2)]);
        assert_eq!(found.ambiguous, 3);
    }

    proptest! {
        /// The same as comparing all with all.
        #[test]
        fn it_is_what_comparing_all_with_all_finds(
            mut here in prop::collection::vec(0u64..3000, 0..60),
            mut there in prop::collection::vec(0u64..3000, 0..60),
            half in 1i64..30,
        ) {
            here.sort_unstable();
            there.sort_unstable();
            let near = |a: u64, b: u64| (a as i64 - (b as i64 + 7)).abs() <= half;
            let mut expected = Coincidences::default();
            for (number, &b) in there.iter().enumerate() {
                let partners: Vec<usize> = (0..here.len()).filter(|&a| near(here[a], b)).collect();
                match partners[..] {
                    [] => {}
                    [only] if there.iter().filter(|&&b| near(here[only], b)).count() == 1 => {
                        expected.pairs.push((number as u32, only as u32));
                    }
                    _ => expected.ambiguous += 1,
                }
            }
            let away = 2 * half * DISPLACED;
            for (a, b) in here.iter().flat_map(|a| there.iter().map(move |b| (*a as i64, *b as i64 + 7))) {
                expected.displaced += u64::from((a - b - away).abs() <= half);
                expected.displaced += u64::from((a - b + away).abs() <= half);
            }
            prop_assert_eq!(coincide(&here, &there, |_| 7, half), expected);
        }
    }
}
