//! Heralds by brute force: photons in Fock space, mode by mode, against the formulas of the models.
//!
//! A state is a list of terms: which basis state the two memories are in, how many photons each mode has, and the
//! amplitude. Creation operators act on terms; a loss is a beam splitter into a mode that nobody looks at. Given the
//! numbers of photons in all modes, the memories are in a pure state, which is weighted with the probability of the
//! wanted clicks.

use bellwether_physics::entangling::*;
use bellwether_units::Angle;
use std::collections::BTreeMap;

/// Modes behind the beam splitter: two ports, each with the inner mode of the first end's photon and the one orthogonal
/// to it; then what is lost at either end. Twice, for two windows.
const MODES: usize = 12;
type Occupation = [u8; MODES];

/// Amplitudes of (basis state of the memories, photons in the modes).
type State = BTreeMap<(usize, Occupation), f64>;

/// A photon, as amplitudes of modes.
type Photon = [f64; MODES];

/// The photon of an end in a window: both ends' photons overlap with the root of the visibility.
fn photon(end: usize, window: usize, efficiency: f64, visibility: f64) -> Photon {
    let mut amplitudes = [0.0; MODES];
    let at = 6 * window;
    let arrives = (efficiency / 2.0).sqrt();
    if end == 0 {
        (amplitudes[at], amplitudes[at + 1]) = (arrives, arrives);
    } else {
        let (same, other) = (visibility.sqrt(), (1.0 - visibility).sqrt());
        (amplitudes[at], amplitudes[at + 1]) = (arrives * same, -arrives * same);
        (amplitudes[at + 2], amplitudes[at + 3]) = (arrives * other, -arrives * other);
    }
    amplitudes[at + 4 + end] = (1.0 - efficiency).sqrt();
    amplitudes
}

/// Creates photons in a vacuum, for one basis state of the memories.
fn create(state: &mut State, memories: usize, amplitude: f64, photons: &[Photon]) {
    let mut terms = BTreeMap::from([([0u8; MODES], amplitude)]);
    for photon in photons {
        let mut next = BTreeMap::new();
        for (occupation, amplitude) in terms {
            for (mode, factor) in photon.iter().enumerate().filter(|(_, factor)| **factor != 0.0) {
                let mut with = occupation;
                with[mode] += 1;
                *next.entry(with).or_insert(0.0) += amplitude * factor * f64::from(with[mode]).sqrt();
            }
        }
        terms = next;
    }
    for (occupation, amplitude) in terms {
        *state.entry((memories, occupation)).or_insert(0.0) += amplitude;
    }
}

/// The weights of uu, ud, du, dd and the coherence of ud and du, where `clicks` gives the probability of the herald for
/// the photons in all modes.
fn heralded(state: &State, clicks: impl Fn(&Occupation) -> f64) -> ([f64; 4], f64) {
    let mut pure: BTreeMap<Occupation, [f64; 4]> = BTreeMap::new();
    for ((memories, occupation), amplitude) in state {
        pure.entry(*occupation).or_insert([0.0; 4])[*memories] += amplitude;
    }
    let (mut weights, mut coherence) = ([0.0; 4], 0.0);
    for (occupation, amplitudes) in pure {
        let weight = clicks(&occupation);
        for (out, amplitude) in weights.iter_mut().zip(amplitudes) {
            *out += weight * amplitude * amplitude;
        }
        coherence += weight * amplitudes[1] * amplitudes[2];
    }
    (weights, coherence)
}

/// The probability that of a window's two threshold detectors only `port` clicks.
fn only(occupation: &Occupation, window: usize, port: usize, dark: f64) -> f64 {
    let photons = |port: usize| occupation[6 * window + port] + occupation[6 * window + 2 + port];
    let clicks = |port: usize| if photons(port) > 0 { 1.0 } else { dark };
    clicks(port) * (1.0 - clicks(1 - port))
}

#[track_caller]
fn assert_same(told: &Heralded, weights: [f64; 4], coherence: f64) {
    let probability: f64 = weights.iter().sum();
    assert!(
        (told.probability / probability - 1.0).abs() < 1e-10,
        "{} against {probability}",
        told.probability
    );
    for (told, weight) in told.state.populations().iter().zip(weights) {
        assert!((told - weight / probability).abs() < 1e-10, "{told} against {}", weight / probability);
    }
    let told = told.state.coherence();
    assert!(
        (told.re - coherence / probability).abs() < 1e-10 && told.im == 0.0,
        "{told} against {coherence}"
    );
}

#[test]
fn single_clicks() {
    for (ends, visibility, dark) in [
        ([(0.3, 0.4), (0.3, 0.4)], 0.8, 0.0),
        ([(0.1, 0.7), (0.4, 0.2)], 0.9, 0.01),
        ([(0.5, 0.05), (0.05, 0.9)], 0.3, 0.1),
        ([(1.0, 0.5), (0.2, 0.5)], 1.0, 0.02),
    ] {
        let ends = ends.map(|(bright, efficiency)| SingleClickEnd { bright, efficiency });
        let optics = Optics { visibility, dark, ..Optics::IDEAL };
        let photons = [0, 1].map(|end| photon(end, 0, ends[end].efficiency, visibility));
        let mut state = State::new();
        for memories in 0..4 {
            // Up is the first basis state of either memory.
            let up = [memories & 2 == 0, memories & 1 == 0];
            let share = |end: usize| if up[end] { ends[end].bright } else { 1.0 - ends[end].bright };
            let sent: Vec<Photon> = (0..2).filter(|end| up[*end]).map(|end| photons[end]).collect();
            create(&mut state, memories, (share(0) * share(1)).sqrt(), &sent);
        }
        // Either port alone is as likely; the second has the other sign.
        let by_port = [0, 1].map(|port| heralded(&state, |occupation| only(occupation, 0, port, dark)));
        let weights = [0, 1, 2, 3].map(|i| by_port[0].0[i] + by_port[1].0[i]);
        assert!((by_port[0].0.iter().sum::<f64>() / weights.iter().sum::<f64>() - 0.5).abs() < 1e-12);
        assert!((by_port[0].1 + by_port[1].1).abs() < 1e-12);
        let told = SingleClick::new(ends[0], ends[1], optics).heralded().unwrap();
        assert_same(&told, weights, by_port[0].1 - by_port[1].1);

        // Detectors that count leave out what two photons in one detector would herald.
        let one = |occupation: &Occupation| -> f64 {
            let seen: u8 = occupation[..4].iter().sum();
            if seen > 1 { 0.0 } else { only(occupation, 0, 0, dark) }
        };
        let (weights, coherence) = heralded(&state, one);
        let counting = SingleClick::new(ends[0], ends[1], optics).counting_photons().heralded().unwrap();
        assert_same(&counting, weights.map(|weight| 2.0 * weight), 2.0 * coherence);
    }
}

/// The average of a coherence over normally distributed phases, in steps.
#[test]
fn fluctuating_phases() {
    let end = SingleClickEnd { bright: 0.1, efficiency: 0.1 };
    let sigma = 15f64.to_radians();
    let optics = Optics { phase: Angle::from_radians(sigma), ..Optics::IDEAL };
    let steady = SingleClick::new(end, end, Optics::IDEAL).heralded().unwrap().state.coherence().re;
    let shaken = SingleClick::new(end, end, optics).heralded().unwrap().state.coherence().re;
    let (mut sum, mut norm) = (0.0, 0.0);
    for step in -8000..=8000 {
        let x = f64::from(step) * 1e-3;
        let weight = (-x * x / 2.0).exp();
        sum += weight * (sigma * x).cos();
        norm += weight;
    }
    assert!((shaken / steady - sum / norm).abs() < 1e-12);
}

#[test]
fn double_clicks() {
    for (efficiencies, visibility, dark) in
        [([0.3, 0.3], 0.9, 0.0), ([0.9, 0.2], 0.5, 0.01), ([0.05, 0.05], 0.96, 0.05)]
    {
        let mut state = State::new();
        for memories in 0..4 {
            // Up sends in the first window, down in the second.
            let sent = [memories >> 1 & 1, memories & 1];
            let sent: Vec<Photon> =
                (0..2).map(|end| photon(end, sent[end], efficiencies[end], visibility)).collect();
            create(&mut state, memories, 0.5, &sent);
        }
        let (mut weights, mut coherence) = ([0.0; 4], 0.0);
        for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let clicks = |occupation: &Occupation| {
                only(occupation, 0, first, dark) * only(occupation, 1, second, dark)
            };
            let (part, here) = heralded(&state, clicks);
            weights = [0, 1, 2, 3].map(|i| weights[i] + part[i]);
            coherence += if first == second { here } else { -here };
        }
        let optics = Optics { visibility, dark, ..Optics::IDEAL };
        assert_same(&DoubleClick { efficiencies, optics }.heralded().unwrap(), weights, coherence);
    }
}

/// Up to two excitations of two ensembles, the herald, and what memories that lose some give back.
#[test]
fn ensembles_of_atoms() {
    let (p, efficiency, visibility, dark, retrieval) = (0.03f64, 0.3, 0.8, 0.004, 0.6f64);
    let vacuum = (1.0 - p) * (1.0 - p);
    // The excitations that the memories have take the place of the basis state: 3 a + b.
    let mut state = State::new();
    for (a, b) in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)] {
        let ends = [vec![0; a], vec![1; b]].concat();
        let sent: Vec<Photon> = ends.into_iter().map(|end| photon(end, 0, efficiency, visibility)).collect();
        // n photons in a state are n creation operators over the root of n!.
        let normal = if a.max(b) == 2 { 0.5f64.sqrt() } else { 1.0 };
        create(&mut state, 3 * a + b, (vacuum * p.powi((a + b) as i32)).sqrt() * normal, &sent);
    }
    let mut pure: BTreeMap<Occupation, [f64; 9]> = BTreeMap::new();
    for ((memories, occupation), amplitude) in &state {
        pure.entry(*occupation).or_insert([0.0; 9])[*memories] += amplitude;
    }
    let (mut success, mut populations, mut coherence) = (0.0, [0.0; 4], 0.0);
    for (occupation, amplitudes) in pure {
        let weights = [0, 1].map(|port| only(&occupation, 0, port, dark));
        let either = weights[0] + weights[1];
        for (memories, amplitude) in amplitudes.iter().enumerate() {
            let weight = either * amplitude * amplitude;
            success += weight;
            let some = |n: usize| 1.0 - (1.0 - retrieval).powi(n as i32);
            let (first, second) = (some(memories / 3), some(memories % 3));
            populations[0] += weight * (1.0 - first) * (1.0 - second);
            populations[1] += weight * (1.0 - first) * second;
            populations[2] += weight * first * (1.0 - second);
            populations[3] += weight * first * second;
        }
        coherence += (weights[0] - weights[1]) * amplitudes[1] * amplitudes[3] * retrieval;
    }
    let optics = Optics { visibility, dark, ..Optics::IDEAL };
    let link = Ensemble { write_probability: p, efficiency, modes: 1, optics };
    assert!((link.mode_success().unwrap() / success - 1.0).abs() < 1e-10);
    let told = link.retrieved(retrieval).unwrap();
    for (told, weight) in told.populations.iter().zip(populations) {
        assert!((told - weight / success).abs() < 1e-10, "{told} against {}", weight / success);
    }
    assert!((told.coherence - coherence / success).abs() < 1e-10);
}

/// Up to 24 pairs of a pulse, the photons of each end counted after loss in both of its detectors; outcomes of both
/// detectors at once are drawn at random. Without dark clicks the formula of Ma et al. is exact.
#[test]
fn pairs_from_down_conversion() {
    let (mean, [e, f]) = (0.4f64, [0.3f64, 0.6f64]);
    let l = mean / 2.0;
    let (mut gain, mut errors) = (0.0, 0.0);
    for n in 0..=24i32 {
        let pairs = f64::from(n + 1) * l.powi(n) / (1.0 + l).powi(n + 2);
        for m in 0..=n {
            // The first end has n - m photons in one state and m in the other; the second end the other way round.
            let weight = pairs / f64::from(n + 1);
            let outcome = |efficiency: f64, here: i32, there: i32| {
                let (silent, other) = ((1.0 - efficiency).powi(here), (1.0 - efficiency).powi(there));
                // Only the first detector, only the second, both.
                [(1.0 - silent) * other, silent * (1.0 - other), (1.0 - silent) * (1.0 - other)]
            };
            let a = outcome(e, n - m, m);
            let b = outcome(f, m, n - m);
            let (first, second) =
                ([a[0] + a[2] / 2.0, a[1] + a[2] / 2.0], [b[0] + b[2] / 2.0, b[1] + b[2] / 2.0]);
            gain += weight * (first[0] + first[1]) * (second[0] + second[1]);
            // Told apart by opposite states, equal ones are errors.
            errors += weight * (first[0] * second[0] + first[1] * second[1]);
        }
    }
    let source = PairSource { mean_pairs: mean, efficiencies: [e, f], darks: [0.0; 2], misalignment: 0.0 };
    let (told_gain, told_error) = source.gain_and_error().unwrap();
    assert!((told_gain / gain - 1.0).abs() < 1e-10, "{told_gain} against {gain}");
    assert!((told_error / (errors / gain) - 1.0).abs() < 1e-10, "{told_error} against {}", errors / gain);
}
