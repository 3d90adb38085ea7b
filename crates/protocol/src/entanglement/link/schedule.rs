//! Which request a memory serves: pure functions of what both ends know, so that they choose alike without talking.

/// A request that may be served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Lower numbers come first.
    pub priority: u8,
    /// Its share among those of its priority, at least 1.
    pub weight: u16,
    /// Served alone once it is the oldest.
    pub atomic: bool,
}

/// How a link is shared. `choose` is given at least one candidate, in the order of the queue, the place of the memory and
/// the number of the time window, and gives the index of one of them. It must depend on nothing else.
#[derive(Clone, Copy, Debug)]
pub struct LinkPolicy {
    /// The choice.
    pub choose: fn(candidates: &[Candidate], slot: u16, window: u64) -> usize,
    /// Whether the choice differs from window to window.
    pub by_window: bool,
}

impl LinkPolicy {
    /// The oldest request is served until it is done.
    pub const FIRST_COME: Self = Self { choose: |_, _, _| 0, by_window: false };
    /// The oldest of the most urgent requests is served until it is done.
    pub const PRIORITY: Self = Self { choose: oldest_of_most_urgent, by_window: false };
    /// The most urgent requests share the link by their weights; others wait.
    pub const WEIGHTED_FAIR: Self = Self { choose: weighted_fair, by_window: true };
}

fn most_urgent(candidates: &[Candidate]) -> u8 {
    candidates.iter().map(|candidate| candidate.priority).min().unwrap_or(0)
}

fn oldest_of_most_urgent(candidates: &[Candidate], _slot: u16, _window: u64) -> usize {
    let urgent = most_urgent(candidates);
    candidates.iter().position(|candidate| candidate.priority == urgent).unwrap_or(0)
}

/// Windows and slots are dealt out by a sequence that fills the unit interval evenly (multiples of the golden ratio), so
/// that in any run of windows each request has its share to within one or two windows.
fn weighted_fair(candidates: &[Candidate], slot: u16, window: u64) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    const SILVER: u64 = 0x6A09_E667_F3BC_C909;
    let urgent = most_urgent(candidates);
    let of_class = || candidates.iter().enumerate().filter(move |(_, c)| c.priority == urgent);
    let total: u64 = of_class().map(|(_, c)| u64::from(c.weight)).sum();
    // Slots start at different places, so that they serve different requests in the same window.
    let place = window.wrapping_mul(GOLDEN).wrapping_add(u64::from(slot).wrapping_mul(SILVER));
    let mut ticket = ((place >> 32) * total) >> 32;
    for (index, candidate) in of_class() {
        let weight = u64::from(candidate.weight);
        if ticket < weight {
            return index;
        }
        ticket -= weight;
    }
    0
}

/// The choice of a policy, but for the rule that no policy may break: an atomic request that is the oldest is served alone.
pub(super) fn choose(policy: &LinkPolicy, candidates: &[Candidate], slot: u16, window: u64) -> Option<usize> {
    match candidates {
        [] => None,
        [_] => Some(0),
        [first, ..] if first.atomic => Some(0),
        _ => Some((policy.choose)(candidates, slot, window).min(candidates.len() - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn candidate(priority: u8, weight: u16) -> Candidate {
        Candidate { priority, weight, atomic: false }
    }

    #[test]
    fn shares_follow_weights_within_every_run_of_windows() {
        let candidates = [candidate(1, 1), candidate(0, 1), candidate(0, 2), candidate(0, 7)];
        for slot in 0..4 {
            let mut served = [0u32; 4];
            for window in 0..1000 {
                let chosen = choose(&LinkPolicy::WEIGHTED_FAIR, &candidates, slot, 12_345 + window).unwrap();
                served[chosen] += 1;
                for (index, weight) in [(1, 0.1), (2, 0.2), (3, 0.7)] {
                    let fair = weight * f64::from(window as u32 + 1);
                    assert!((f64::from(served[index]) - fair).abs() < 4.0, "{served:?} in window {window}");
                }
            }
            assert_eq!(served[0], 0);
        }
    }

    #[test]
    fn slots_serve_different_requests_in_the_same_window() {
        let candidates = [candidate(0, 1), candidate(0, 1)];
        let differ = |w: &u64| {
            let of = |slot| choose(&LinkPolicy::WEIGHTED_FAIR, &candidates, slot, *w);
            of(0) != of(1)
        };
        let windows = (0..1000).filter(differ).count();
        assert!(windows > 300, "{windows}");
    }

    #[test]
    fn strict_policies_do_not_look_at_the_window() {
        let candidates = [candidate(3, 1), candidate(2, 1), candidate(2, 9)];
        for window in 0..50 {
            assert_eq!(choose(&LinkPolicy::FIRST_COME, &candidates, 0, window), Some(0));
            assert_eq!(choose(&LinkPolicy::PRIORITY, &candidates, 0, window), Some(1));
        }
        assert_eq!(choose(&LinkPolicy::PRIORITY, &[], 0, 0), None);
    }

    #[test]
    fn an_atomic_request_is_served_alone_once_it_is_the_oldest() {
        let atomic = Candidate { atomic: true, ..candidate(5, 1) };
        for window in 0..50 {
            assert_eq!(choose(&LinkPolicy::WEIGHTED_FAIR, &[atomic, candidate(0, 9)], 0, window), Some(0));
            assert_eq!(choose(&LinkPolicy::WEIGHTED_FAIR, &[candidate(0, 9), atomic], 0, window), Some(0));
        }
    }
}
