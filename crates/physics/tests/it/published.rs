//! Models of published papers, as special cases.

use super::*;
use bellwether_physics::Basis::Key;
use bellwether_units::{Length, LossPerLength};

/// Lim et al., PRA 89, 022307 (2014), Sec. IV: D_k = 1 - (1 - 2 p_dc) e^(-eta k), R_k = D_k (1 + p_ap) and
/// e_k = p_dc + e_mis (1 - e^(-eta k)) + p_ap D_k / 2, with eta the system's transmittance.
///
/// Their after-pulses stay with the intensity that caused them; here they fall on the intensity of the pulse in
/// which they come, so that only the mean over intensities is compared. What is left are their first orders: p_dc^2,
/// p_dc eta, and after-pulses of after-pulses (p_ap^2).
#[test]
fn the_fibre_model_of_lim_2014() {
    let intensities = [(0.43f64, 0.40), (0.22, 0.45), (2e-4, 0.15)];
    let source = Source::weak_coherent(
        &intensities.map(|(mean_photons, probability)| Intensity { mean_photons, probability }),
    )
    .unwrap();
    for kilometres in [0.0, 50.0, 100.0] {
        let fibre =
            Fibre::new(Length::from_kilometres(kilometres), LossPerLength::from_decibels_per_kilometre(0.2))
                .unwrap();
        let build = |p_ap| {
            let detector = Detector::new(DetectorParameters {
                dark_counts: DarkCounts::PerGate(6e-7),
                afterpulses: vec![Afterpulse {
                    probability: p_ap,
                    decay: Duration::from_nanoseconds(10),
                    hold_off: Duration::ZERO,
                }],
                ..DetectorParameters::ideal(DetectorKind::InGaAs, 0.1)
            })
            .unwrap();
            LinkModel::new(LinkParameters {
                misalignment: Misalignment::from_error(5e-3).unwrap(),
                ..LinkParameters::new(Frequency::from_hertz(1e9), source.clone(), fibre.loss(), detector)
            })
            .unwrap()
        };
        let (clean, model) = (build(0.0), build(0.04));
        let eta = 10f64.powf(-0.02 * kilometres) * 0.1;
        let (mut gain, mut lim_gain, mut errors, mut lim_errors) = (0.0, 0.0, 0.0, 0.0);
        for (k, (mean, p)) in intensities.into_iter().enumerate() {
            let d = 1.0 - (1.0 - 2.0 * 6e-7) * (-eta * mean).exp();
            assert!((clean.gain(k, Key) / d - 1.0).abs() < 1e-6, "D_{k} at {kilometres} km");
            let e = 6e-7 + 5e-3 * (1.0 - (-eta * mean).exp());
            let clean_error = clean.gain(k, Key) * clean.error_rate(k, Key);
            assert!(
                (clean_error / e - 1.0).abs() < 0.03,
                "e_{k} at {kilometres} km: {clean_error} against {e}"
            );
            gain += p * model.detected_gain(k, Key);
            lim_gain += p * d * 1.04;
            errors += p * model.detected_gain(k, Key) * model.detected_error_rate(k, Key);
            lim_errors += p * (e + 0.04 * d / 2.0);
        }
        assert!((gain / lim_gain - 1.0).abs() < 0.04f64.powi(2) * 1.2, "{kilometres} km: {gain} {lim_gain}");
        assert!((errors / lim_errors - 1.0).abs() < 0.06, "{kilometres} km: {errors} against {lim_errors}");
    }
}

/// Rusca et al., APL 112, 171104 (2018), App. B: P_det,k = c p_Z^2 p_k (1 - e^(-k eta) + p_DC), P_err,k = c p_Z^2 p_k
/// [(1 - e^(-k eta)) P_err + p_DC / 2], c = 1 / (1 + R P_det t_DT). Two detectors of half the dark count make p_DC.
/// Their double clicks are neglected: up to eta k P_err.
#[test]
fn the_model_of_rusca_2018() {
    let intensities = [(0.45f64, 0.6), (0.15, 0.4)];
    let source = Source::weak_coherent(
        &intensities.map(|(mean_photons, probability)| Intensity { mean_photons, probability }),
    )
    .unwrap();
    for decibels in [10.0, 20.0, 30.0, 40.0] {
        let detector = Detector::new(DetectorParameters {
            dark_counts: DarkCounts::PerGate(0.5e-8),
            dead_time: Duration::from_nanoseconds(100),
            ..DetectorParameters::ideal(DetectorKind::Snspd, 1.0)
        })
        .unwrap();
        let model = LinkModel::new(LinkParameters {
            transmitter_key_probability: 0.9,
            receiver_key_probability: 0.9,
            misalignment: Misalignment::from_error(0.01).unwrap(),
            ..LinkParameters::new(
                Frequency::from_hertz(1e9),
                source.clone(),
                Loss::from_decibels(decibels),
                detector,
            )
        })
        .unwrap();
        let eta = 10f64.powf(-decibels / 10.0);
        let light = |mean: f64| 1.0 - (-eta * mean).exp();
        // Over all settings, not the key basis alone: clicks of every basis make the detectors dead.
        let any: f64 = intensities.iter().map(|(mean, p)| p * (light(*mean) + 1e-8)).sum();
        let c = 1.0 / (1.0 + 1e9 * any * 100e-9);
        for (k, (mean, _)) in intensities.into_iter().enumerate() {
            let light = light(mean);
            let (gain, error) = (c * (light + 1e-8), c * (light * 0.01 + 0.5e-8));
            assert!((model.detected_gain(k, Key) / gain - 1.0).abs() < 1e-7, "gain at {decibels} dB");
            let seen = model.detected_gain(k, Key) * model.detected_error_rate(k, Key);
            assert!((seen / error - 1.0).abs() < 0.5 * eta * mean, "error at {decibels} dB: {seen} {error}");
        }
        assert!((model.live_fraction() / c - 1.0).abs() < 1e-7);
    }
}

/// Ma et al., PRA 72, 012326 (2005), Eqs. (9)-(11), with the GYS device at 50 km, q = 1/2.
#[test]
fn the_channel_model_of_ma_2005() {
    let source = Source::weak_coherent(&[Intensity { mean_photons: 0.48, probability: 1.0 }]).unwrap();
    let fibre =
        Fibre::new(Length::from_kilometres(50.0), LossPerLength::from_decibels_per_kilometre(0.21)).unwrap();
    let y0 = 1.7e-6f64;
    let detector = Detector::new(DetectorParameters {
        dark_counts: DarkCounts::PerGate(1.0 - (1.0 - y0).sqrt()),
        ..DetectorParameters::ideal(DetectorKind::InGaAs, 0.045)
    })
    .unwrap();
    let model = LinkModel::new(LinkParameters {
        misalignment: Misalignment::from_error(0.033).unwrap(),
        ..LinkParameters::new(Frequency::from_hertz(2e6), source, fibre.loss(), detector)
    })
    .unwrap();
    let eta = 0.045 * 10f64.powf(-0.21 * 5.0);
    let gain = y0 + 1.0 - (-eta * 0.48f64).exp();
    assert!((model.gain(0, Key) / gain - 1.0).abs() < 1e-5);
    let error = y0 / 2.0 + 0.033 * (1.0 - (-eta * 0.48f64).exp());
    assert!((model.error_rate(0, Key) * model.gain(0, Key) / error - 1.0).abs() < 2e-3);
}
