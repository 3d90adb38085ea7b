//! What a link's errors come from: the error rate of the key basis, cause by cause.

use crate::summary::Contribution;
use bellwether_network::Link;
use bellwether_physics::{Basis, LinkModel, LinkParameters, Misalignment};

/// The causes of errors in the key basis and what each adds to the error rate; they add up to the expected one.
///
/// A cause's part is by how much the error rate falls when it is taken away after those before it: noise of
/// the detectors' after-pulses and jitter first, then background light, dark counts, and misalignment last.
pub(crate) fn errors(link: &Link, honest: &LinkModel) -> Vec<Contribution> {
    let mut parameters = honest.parameters().clone();
    let mut before = honest.detected_qber(Basis::Key);
    let mut parts = Vec::new();
    let _ = link;
    let mut take_away = |cause: &str, change: &dyn Fn(&mut LinkParameters)| {
        change(&mut parameters);
        let after =
            LinkModel::new(parameters.clone()).map_or(before, |model| model.detected_qber(Basis::Key));
        parts.push(Contribution { cause: cause.to_owned(), amount: before - after });
        before = after;
    };
    take_away("after-pulses", &|p| change_detector(p, |d| d.afterpulses.clear()));
    take_away("jitter", &|p| change_detector(p, |d| d.jitter = bellwether_units::Duration::ZERO));
    take_away("background light", &|p| p.background_photons = 0.0);
    take_away("dark counts", &|p| {
        change_detector(p, |d| d.dark_counts = bellwether_physics::DarkCounts::PerGate(0.0));
    });
    take_away("misalignment", &|p| p.misalignment = Misalignment::default());
    parts.push(Contribution { cause: "several photons in both detectors".to_owned(), amount: before });
    parts
}

fn change_detector(
    parameters: &mut LinkParameters,
    change: impl Fn(&mut bellwether_physics::DetectorParameters),
) {
    let mut detector = parameters.detector.parameters().clone();
    change(&mut detector);
    if let Ok(detector) = bellwether_physics::Detector::new(detector) {
        parameters.detector = detector;
    }
}
