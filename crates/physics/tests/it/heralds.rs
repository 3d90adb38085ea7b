//! Heralded links against values computed independently, and against experiments.

use bellwether_physics::entangling::*;
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Angle, Duration, Loss, Rate};
use proptest::prelude::*;

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} against {expected}");
}

fn single_click(bright: f64, efficiency: f64, optics: Optics) -> Heralded {
    let end = SingleClickEnd { bright, efficiency };
    SingleClick::new(end, end, optics).heralded().unwrap()
}

/// The optics of nitrogen-vacancy centres in one laboratory.
fn laboratory(dark: f64) -> Optics {
    Optics { visibility: 0.9, dark, phase: Angle::from_radians(15f64.to_radians()), ..Optics::IDEAL }
}

#[test]
fn single_clicks_in_and_out_of_the_laboratory() {
    let heralded = single_click(0.1, 3.5e-4, laboratory(1e-7));
    close(heralded.probability, 7.019869e-5, 5e-12);
    close(heralded.fidelity(), 0.860340, 5e-7);
    let heralded = single_click(0.05, 0.01, Optics { visibility: 0.95, dark: 1e-6, ..Optics::IDEAL });
    close(heralded.probability, 1.001741e-3, 5e-10);
    close(heralded.fidelity(), 0.936436, 5e-7);
}

/// Dahlberg et al., SIGCOMM 2019, the laboratory scenario: a published configuration has the probability 7.01599e-5 for a
/// cycle of 10.12 us. The model gives 7.01587e-5.
#[test]
fn the_laboratory_of_the_link_layer() {
    let heralded = single_click(0.1, 3.5e-4, laboratory(8e-8));
    close(heralded.probability, 7.01587e-5, 5e-11);
    close(heralded.probability / 7.01599e-5, 1.0, 2e-5);
}

#[test]
fn double_clicks_near_and_far() {
    let of = |efficiency, visibility, dark| {
        let optics = Optics { visibility, dark, ..Optics::IDEAL };
        DoubleClick { efficiencies: [efficiency; 2], optics }.heralded().unwrap()
    };
    let near = of(0.02, 0.96, 1e-6);
    close(near.probability, 2.000784e-4, 5e-11);
    close(near.fidelity(), 0.979712, 5e-7);
    let far = of(Loss::from_decibels(5.0).transmittance(), 0.9, 1e-5);
    close(far.probability, 0.0500086, 5e-8);
    close(far.fidelity(), 0.949861, 5e-7);
    assert!(far.state.bell_diagonal().is_some());
}

#[test]
fn pairs_of_a_dim_source() {
    let source = PairSource { mean_pairs: 0.05, efficiencies: [0.1; 2], darks: [0.0; 2], misalignment: 0.0 };
    let (gain, error) = source.gain_and_error().unwrap();
    close(gain, 5.298860e-4, 5e-11);
    close(error, 0.0210891, 5e-8);
}

/// Humphreys et al., Nature 558, 268 (2018): attempts of 5.5 us, 4 % double excitation, 20 dark counts a second in 25 ns.
/// The model gives 6.5 Hz at 0.853 and 38 Hz at 0.644; measured were about 6 Hz at 0.81 and 39 Hz at 0.60 (from memory but
/// for the 39 Hz). What is not modelled, one factor for both points, closes more than 40 % of either gap.
#[test]
fn rates_and_fidelities_of_humphreys_2018() {
    let window = Duration::from_nanoseconds(25);
    let dark = noise_click(&[Rate::from_per_second(20.0)], window).unwrap();
    let optics = Optics { double_excitation: 0.04, ..laboratory(dark) };
    for (bright, rate, fidelity, measured_rate, measured_fidelity) in
        [(0.05, 6.545, 0.8533, 6.0, 0.81), (0.3, 38.36, 0.6437, 39.0, 0.60)]
    {
        let heralded = single_click(bright, 3.5e-4, optics);
        let told = heralded.probability / 5.5e-6;
        close(told, rate, 0.005);
        close(heralded.fidelity(), fidelity, 5e-5);
        close(told / measured_rate, 1.0, 0.1);
        close(heralded.fidelity(), measured_fidelity, 0.05);
        let shaken = single_click(bright, 3.5e-4, Optics { unmodelled_coherence: 0.9, ..optics });
        let gap = |heralded: &Heralded| (heralded.fidelity() - measured_fidelity).abs();
        assert!(gap(&shaken) < gap(&heralded) * 0.6, "{bright}: {}", shaken.fidelity());
    }
}

/// A probability, often one of the ends.
fn any_probability() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0f64, (-12.0..0.0f64).prop_map(|x| 10f64.powf(x))]
}

proptest! {
    /// Whatever the parameters, a link is refused or gives a probability and a state; noise never helps.
    #[test]
    fn any_parameters_give_a_state_or_an_error(
        p in prop::array::uniform5(any_probability()),
        [visibility, dark, double_excitation, unmodelled_coherence] in prop::array::uniform4(any_probability()),
        phase in 0.0..4.0f64,
    ) {
        let phase = Angle::from_radians(phase);
        let optics = Optics { visibility, dark, phase, double_excitation, unmodelled_coherence };
        let end = |bright, efficiency| SingleClickEnd { bright, efficiency };
        let single = SingleClick::new(end(p[0], p[1]), end(p[2], p[3]), optics);
        let source = PairSource {
            mean_pairs: 10.0 * p[0],
            efficiencies: [p[1], p[2]],
            darks: [p[3], dark],
            misalignment: p[4] / 2.0,
        };
        let serial = SerialReflection { mean_photons: 10.0 * p[0], efficiency: p[1], dark, contrast: visibility };
        let ensemble = Ensemble { write_probability: p[0] / 4.0, efficiency: p[1], modes: 3, optics };
        let kept = ensemble.retrieved(p[2]).and_then(|state| state.kept_with(&state));
        let links = [
            single.heralded(),
            single.counting_photons().heralded(),
            DoubleClick { efficiencies: [p[0], p[1]], optics }.heralded(),
            source.heralded(),
            serial.heralded(),
            kept,
        ];
        for heralded in links {
            match heralded {
                Ok(heralded) => {
                    prop_assert!((0.0..=1.0 + 1e-12).contains(&heralded.probability));
                    for index in BellIndex::ALL {
                        let fidelity = heralded.state.fidelity(index);
                        prop_assert!((-1e-9..=1.0 + 1e-9).contains(&fidelity), "{fidelity}");
                    }
                    Attempts::of(&heralded);
                }
                Err(error) => {
                    prop_assert!(error.value <= 0.0, "{error}: only links that never herald are refused");
                }
            }
        }
    }
}
