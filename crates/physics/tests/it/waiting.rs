//! Waiting times of links and chains against values computed independently, by other programs and other methods.

use crate::stream;
use bellwether_physics::entangling::Attempts;
use bellwether_physics::waiting::*;
use bellwether_units::{Rate, Stream};

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} against {expected}");
}

#[test]
fn links_that_wait_for_each_other() {
    for (links, mean) in [(2, 14.736842105), (4, 20.273378192), (8, 26.295784368), (16, 32.587247980)] {
        close(maximum_of_geometrics(links, 0.1).unwrap(), mean, 1e-9);
    }
    for (links, scaled) in [(2, 1.49975), (4, 2.08279), (8, 2.71700)] {
        close(1e-3 * maximum_of_geometrics(links, 1e-3).unwrap(), scaled, 5e-6);
    }
    let cut = TwoLinks::new(0.1).unwrap().with_cutoff(10);
    close(cut.mean_attempts(), 17.073365215, 1e-9);
    close(cut.mean_decay(50.0).unwrap(), 0.919532829, 1e-9);
    close(sequential(0.01, 50).unwrap(), 353.168445589, 1e-9);
}

/// Chains by doubling: p = 0.1, q = 0.5, w0 = 0.98, coherence of 400 attempts.
#[test]
fn chains_by_doubling() {
    let chain = |cutoffs: &[Option<usize>]| {
        let level = |cutoff: &Option<usize>| Level { swap_success: 0.5, coherence: 400.0, cutoff: *cutoff };
        let levels = cutoffs.iter().map(level).collect();
        nested(&NestedChain { link_success: 0.1, link_werner: 0.98, levels }).unwrap()
    };
    for (levels, mean, werner) in
        [(1, 29.473684, 0.938181388), (2, 84.817580, 0.826901742), (3, 242.348372, 0.579477964)]
    {
        let delivered = chain(&vec![None; levels]);
        close(delivered.mean_attempts(), mean, 5e-7);
        close(delivered.mean_werner(), werner, 1e-9);
    }
    let two = chain(&[Some(15), Some(40)]);
    close(two.mean_attempts(), 103.569131995, 1e-9);
    close(two.mean_werner(), 0.862432885, 1e-9);
    let three = chain(&[Some(16), Some(31), Some(55)]);
    close(three.mean_attempts(), 471.971332820, 1e-9);
    close(three.mean_werner(), 0.707028600, 1e-9);
}

#[test]
fn chains_that_swap_as_soon_as_possible() {
    let mean = |links, p, q, cutoff: Option<u16>| {
        let chain = SwapAsSoonAsPossible::new(links, p, q).unwrap();
        cutoff.map_or(chain, |steps| chain.with_cutoff(steps)).mean_attempts().unwrap()
    };
    close(mean(3, 0.5, 1.0, None), 3.142857143, 1e-9);
    close(mean(3, 0.5, 0.5, None), 10.666666667, 1e-9);
    close(mean(4, 0.3, 1.0, Some(2)), 14.619839790, 1e-9);
    close(mean(4, 0.1, 0.5, None), 102.962690608, 1e-9);
    close(mean(4, 0.1, 0.9, None), 25.497, 5e-4);
    close(mean(4, 0.1, 1.0, None), 20.273, 5e-4);
    // Five links with ages up to five, against a sampled chain of the same rules in another program would take long:
    // here it must lie between no cutoff and a shorter one.
    let (free, long, short) =
        (mean(5, 0.3, 0.5, None), mean(5, 0.3, 0.5, Some(5)), mean(5, 0.3, 0.5, Some(3)));
    assert!(free < long && long < short, "{free} {long} {short}");
}

#[test]
fn coherence_of_chains_that_wait() {
    let chain = |links| ChainDephasing::new(links, 0.1, 100.0).unwrap();
    for (links, left) in [(2, 0.913483), (4, 0.765990), (8, 0.538682)] {
        close(chain(links).mean_coherence(), left, 5e-7);
    }
    close(chain(4).mean_coherence_with_waiting_ends(), 0.646606, 5e-7);
}

#[test]
fn networks_in_time_slots() {
    close(expected_throughput(&[0.5; 4], 3, 0.9).unwrap(), 0.473067, 5e-7);
    close(expected_throughput(&[0.8, 0.7, 0.6], 1, 0.9).unwrap(), 0.27216, 1e-12);
    let grid = Connectivity::of_grid(3, 3, 0.6).unwrap();
    close(grid.disjoint_paths, 0.521916, 5e-7);
    close(grid.connected, 0.476741, 5e-7);
    let switch = StarSwitch::new(5, Rate::from_per_second(1.0), 0.9).unwrap();
    close(switch.capacity().per_second(), 2.25, 1e-12);
    close(switch.mean_stored(), 0.833333, 5e-7);
}

/// One pair of a chain by doubling, from drawn heralds: how many attempts it took, and its Werner parameter.
fn drawn(attempts: &Attempts, levels: &[Level], stream: &mut Stream) -> (u64, f64) {
    let Some((level, below)) = levels.split_last() else {
        return (attempts.first(1..u64::MAX, stream).unwrap().attempt, 0.98);
    };
    let mut elapsed = 0;
    loop {
        let [(s, v), (t, w)] = [drawn(attempts, below, stream), drawn(attempts, below, stream)];
        if let Some(cutoff) = level.cutoff.filter(|cutoff| s.abs_diff(t) > *cutoff as u64) {
            elapsed += s.min(t) + cutoff as u64;
            continue;
        }
        elapsed += s.max(t);
        if stream.chance(level.swap_success) {
            return (elapsed, v * w * (-(s.abs_diff(t) as f64) / level.coherence).exp());
        }
    }
}

/// Chains drawn from heralds against their laws: chi-square of the first 200 times (267.5 is the 0.1 % point at 200
/// degrees of freedom), means of time and of the Werner parameter within 4 standard errors.
#[test]
fn drawn_chains_follow_their_laws() {
    for (test, cutoffs) in [[None, None], [Some(15), Some(40)]].into_iter().enumerate() {
        let levels = cutoffs.map(|cutoff| Level { swap_success: 0.5, coherence: 400.0, cutoff });
        let chain = NestedChain { link_success: 0.1, link_werner: 0.98, levels: levels.to_vec() };
        let law = nested(&chain).unwrap();
        let attempts = Attempts::with_success(0.1).unwrap();
        let (mut stream, draws) = (stream(700 + test as u64), 200_000);
        let mut counts = [0f64; 201];
        let (mut times, mut squares, mut werner, mut werner_squares) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..draws {
            let (time, w) = drawn(&attempts, &levels, &mut stream);
            counts[usize::min(time as usize, 201) - 1] += 1.0;
            let t = time as f64;
            (times, squares) = (times + t, squares + t * t);
            (werner, werner_squares) = (werner + w, werner_squares + w * w);
        }
        let draws = f64::from(draws);
        let first: f64 = law.probabilities()[..=200].iter().sum();
        let chi2: f64 = (1..=201)
            .map(|t| {
                let expected = draws * if t <= 200 { law.probabilities()[t] } else { 1.0 - first };
                (counts[t - 1] - expected).powi(2) / expected
            })
            .sum();
        assert!(chi2 < 267.5, "{cutoffs:?}: {chi2}");
        for (sum, squares, expected) in
            [(times, squares, law.mean_attempts()), (werner, werner_squares, law.mean_werner())]
        {
            let mean = sum / draws;
            let error = ((squares / draws - mean * mean) / draws).sqrt();
            assert!(
                (mean - expected).abs() < 4.0 * error,
                "{cutoffs:?}: {mean} +- {error} against {expected}"
            );
        }
    }
}
