//! Networks in time slots: paths of parallel links, small grids, switches.

use crate::parameter::{ParameterError, chance, positive, probability, within};
use bellwether_units::{Rate, binomial_tail_above};

/// The mean number of end-to-end pairs that a path yields in a time slot: the E_t of Q-CAST (Shi & Qian, SIGCOMM
/// 2020, section 4.2).
///
/// Each hop tries `width` links at once, of which each succeeds with the hop's probability; the path has as many pairs
/// as its worst hop, and each must be swapped at every inner node. The exponent of `swap_success` is here the number of
/// swaps, one less than the number of hops.
///
/// # Errors
/// There is no hop or no width, or a probability is not one.
pub fn expected_throughput(
    hop_successes: &[f64],
    width: u32,
    swap_success: f64,
) -> Result<f64, ParameterError> {
    within("the number of hops", hop_successes.len(), 1, usize::MAX, "at least 1")?;
    within("the width of a path", width as usize, 1, 1000, "1 to 1000")?;
    let q = probability("the success probability of a swap", swap_success)?;
    for success in hop_successes {
        probability("the success probability of a hop's link", *success)?;
    }
    // E[min] = sum over i of P(min >= i).
    let at_least = |pairs: u32| -> f64 {
        hop_successes.iter().map(|p| binomial_tail_above(u64::from(width), *p, u64::from(pairs))).product()
    };
    let pairs: f64 = (1..=width).map(at_least).sum();
    Ok(pairs * libm::pow(q, (hop_successes.len() - 1) as f64))
}

/// What perfect swapping with full knowledge can get from one slot of a network, each of whose links succeeds with one
/// probability: by going through all outcomes. An upper bound for any rule of swapping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connectivity {
    /// The mean number of paths from end to end with no link in common.
    pub disjoint_paths: f64,
    /// The probability that there is a path.
    pub connected: f64,
}

impl Connectivity {
    /// The grid of `rows` by `columns` nodes, from one corner to the opposite one.
    ///
    /// # Errors
    /// The probability is not one, or the grid has no link or more than 20.
    pub fn of_grid(rows: usize, columns: usize, success: f64) -> Result<Self, ParameterError> {
        within("the number of rows", rows, 1, 21, "1 to 21")?;
        within("the number of columns", columns, 1, 21, "1 to 21")?;
        let mut links = Vec::new();
        for node in 0..rows * columns {
            if node % columns + 1 < columns {
                links.push((node, node + 1));
            }
            if node / columns + 1 < rows {
                links.push((node, node + columns));
            }
        }
        Self::of_links(&links, 0, rows * columns - 1, success)
    }

    /// Any network, given by its links as pairs of node numbers, between `from` and `to`.
    ///
    /// # Errors
    /// The probability is not one, the ends are the same node, or there are not 1 to 20 links.
    pub fn of_links(
        links: &[(usize, usize)],
        from: usize,
        to: usize,
        success: f64,
    ) -> Result<Self, ParameterError> {
        let p = probability("the success probability of a link", success)?;
        within("the number of links", links.len(), 1, 20, "1 to 20")?;
        within("the distance of the ends", from.abs_diff(to), 1, usize::MAX, "above 0: two different nodes")?;
        let (mut paths, mut connected) = (0.0, 0.0);
        for outcome in 0..1u32 << links.len() {
            let made = f64::from(outcome.count_ones());
            let weight = libm::pow(p, made) * libm::pow(1.0 - p, links.len() as f64 - made);
            let there: Vec<_> =
                (0..links.len()).filter(|i| outcome >> i & 1 == 1).map(|i| links[i]).collect();
            let flow = disjoint_paths(&there, from, to);
            paths += weight * f64::from(flow);
            connected += if flow > 0 { weight } else { 0.0 };
        }
        Ok(Self { disjoint_paths: paths, connected })
    }
}

/// The largest number of paths with no link in common (Ford & Fulkerson 1956): each link carries one path, in one of
/// its directions.
fn disjoint_paths(links: &[(usize, usize)], from: usize, to: usize) -> u32 {
    // Which way each link is used: 1 from its first node to its second, -1 back, 0 not at all.
    let mut used = vec![0i8; links.len()];
    let mut paths = 0;
    loop {
        let mut reached = vec![(from, usize::MAX, usize::MAX)];
        let mut at = 0;
        let mut end = None;
        while let Some(&(node, ..)) = reached.get(at) {
            if node == to {
                end = Some(at);
                break;
            }
            for (link, &(a, b)) in links.iter().enumerate() {
                for (here, there, way) in [(a, b, 1), (b, a, -1)] {
                    if here == node && used[link] != way && reached.iter().all(|(seen, ..)| *seen != there) {
                        reached.push((there, at, link));
                    }
                }
            }
            at += 1;
        }
        let Some(mut at) = end else { return paths };
        while reached[at].1 != usize::MAX {
            let (node, before, link) = reached[at];
            used[link] += if links[link].1 == node { 1 } else { -1 };
            at = before;
        }
        paths += 1;
    }
}

/// A switch in the middle of a star: equal links make pairs all the time, and pairs of two different links are swapped
/// as soon as there are any (Vardoyan, Guha, Nain & Towsley, arXiv:1903.04420), with buffers for as many as wait. All that
/// wait are of one link, so that their number is a birth and death process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StarSwitch {
    links: usize,
    link_rate: f64,
    swap_success: f64,
    /// How often a stored pair is lost, a second.
    loss_rate: f64,
}

impl StarSwitch {
    /// A switch with `links` links that each make pairs at `link_rate`, and whose memories lose nothing.
    ///
    /// # Errors
    /// There are two links or fewer, with which the buffers would fill without end, the rate is not above 0, or the
    /// probability not above 0 and at most 1.
    pub fn new(links: usize, link_rate: Rate, swap_success: f64) -> Result<Self, ParameterError> {
        within("the number of links", links, 3, 1_000_000, "3 to 1000000")?;
        let link_rate = positive("the rate of a link, in pairs a second,", link_rate.per_second())?;
        chance("the success probability of a swap", swap_success)?;
        Ok(Self { links, link_rate, swap_success, loss_rate: 0.0 })
    }

    /// The switch with memories that lose each stored pair at this rate.
    ///
    /// # Errors
    /// The rate is not above 0.
    pub fn with_loss(mut self, of_each_pair: Rate) -> Result<Self, ParameterError> {
        self.loss_rate = positive("the rate of losing a stored pair, a second,", of_each_pair.per_second())?;
        Ok(self)
    }

    /// The probability that something waits, and the mean number of pairs that do: the first comes with the rate of all
    /// links, a further one with that of its link; one goes when another link makes a pair, or when it is lost.
    fn stationary(&self) -> (f64, f64) {
        let (k, rate) = (self.links as f64, self.link_rate);
        let (mut weight, mut total, mut mean, mut waiting) = (1.0, 1.0, 0.0, 0.0);
        // Terms fall at least by k - 1, which is 2 or more.
        while weight > 1e-18 * total {
            waiting += 1.0;
            let comes = if waiting == 1.0 { k * rate } else { rate };
            weight *= comes / ((k - 1.0) * rate + waiting * self.loss_rate);
            total += weight;
            mean += waiting * weight;
        }
        (1.0 - 1.0 / total, mean / total)
    }

    /// How many end-to-end pairs it makes: whenever one waits and another link makes its pair. Without loss this is
    /// `q k mu / 2`: every link pair is used in the end, two a swap.
    pub fn capacity(&self) -> Rate {
        let others = (self.links as f64 - 1.0) * self.link_rate;
        Rate::from_per_second(self.swap_success * self.stationary().0 * others)
    }

    /// How many link pairs wait in it on average: `k / (2 (k - 2))` without loss.
    pub fn mean_stored(&self) -> f64 {
        self.stationary().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_line_is_as_likely_as_all_its_links() {
        let line = Connectivity::of_links(&[(0, 1), (1, 2), (2, 3), (3, 4)], 0, 4, 0.6).unwrap();
        assert!((line.connected - 0.1296).abs() < 1e-12);
        assert!((line.disjoint_paths - 0.1296).abs() < 1e-12);
        let throughput = expected_throughput(&[0.6; 4], 1, 1.0).unwrap();
        assert!((throughput - 0.1296).abs() < 1e-12);
    }

    /// Without loss against the closed forms; with loss, every pair made is swapped with another or lost.
    #[test]
    fn a_switch_uses_or_loses_what_its_links_make() {
        for links in [3, 5, 40] {
            let k = links as f64;
            let switch = StarSwitch::new(links, Rate::from_per_second(2.0), 0.9).unwrap();
            assert!((switch.capacity().per_second() - 0.9 * k).abs() < 1e-9);
            assert!((switch.mean_stored() - k / (2.0 * (k - 2.0))).abs() < 1e-9);
            let leaky = switch.with_loss(Rate::from_per_second(1.5)).unwrap();
            let used = 2.0 * leaky.capacity().per_second() / 0.9;
            assert!((used + 1.5 * leaky.mean_stored() - 2.0 * k).abs() < 1e-9);
            assert!(leaky.capacity().per_second() < switch.capacity().per_second());
        }
    }

    #[test]
    fn impossible_networks_are_refused() {
        assert!(expected_throughput(&[], 1, 0.9).is_err());
        assert!(expected_throughput(&[0.5, 1.1], 1, 0.9).is_err());
        assert!(Connectivity::of_grid(1, 1, 0.5).is_err());
        assert!(Connectivity::of_grid(5, 5, 0.5).is_err());
        assert!(StarSwitch::new(2, Rate::from_per_second(1.0), 0.9).is_err());
        let switch = StarSwitch::new(3, Rate::from_per_second(1.0), 0.9).unwrap();
        assert!(switch.with_loss(Rate::from_per_second(-1.0)).is_err());
    }
}
