//! Attacks that take photons and disturb none.

use super::{AttackError, Knowledge, checked, mean_over_clicks};
use crate::Basis;
use crate::link::{Arrival, LinkModel};
use crate::photons::PhotonNumbers;

/// How a photon-number splitter lets pulses pass.
struct Passing {
    /// The fraction of pulses with one photon, of which she keeps none.
    single: f64,
    /// The fraction of pulses with several, of which she sends one on.
    multiple: f64,
}

fn several(photons: &PhotonNumbers) -> f64 {
    f64::max(1.0 - photons.probability(0) - photons.probability(1), 0.0)
}

fn passing(honest: &LinkModel) -> Passing {
    let parameters = honest.parameters();
    let signal = parameters.source.photons(parameters.source.brightest());
    let receiver = parameters.receiver_loss.transmittance() * parameters.detector.parameters().efficiency;
    // Pulses that must arrive so that as many click as over the honest channel.
    let wanted = signal.seen(honest.transmittance()) / receiver;
    let (one, more) = (signal.probability(1), several(signal));
    if receiver == 0.0 {
        Passing { single: 0.0, multiple: 0.0 }
    } else if more >= wanted {
        Passing { single: 0.0, multiple: wanted / more }
    } else {
        let single = if one > 0.0 { f64::min((wanted - more) / one, 1.0) } else { 0.0 };
        Passing { single, multiple: 1.0 }
    }
}

pub(super) fn photon_number_splitting(honest: &LinkModel, fraction: f64) -> Result<LinkModel, AttackError> {
    checked("fraction of pulses split", fraction)?;
    let Passing { single, multiple } = passing(honest);
    let parameters = honest.parameters();
    let e = parameters.misalignment.error_probability();
    let transmittance = parameters.channel_loss.transmittance();
    let arrivals = (0..honest.intensities())
        .map(|k| {
            let photons = parameters.source.photons(k);
            let passed = single * photons.probability(1) + multiple * several(photons);
            Basis::BOTH.map(|prepared| {
                let mut wrong = [0.5; 2];
                wrong[prepared.index()] = e;
                let one = PhotonNumbers::Listed(vec![1.0 - passed, passed]);
                vec![
                    (1.0 - fraction, Arrival::Light { photons: photons.clone(), transmittance, wrong }),
                    (fraction, Arrival::Light { photons: one, transmittance: 1.0, wrong }),
                ]
            })
        })
        .collect();
    Ok(LinkModel::from_arrivals(parameters.clone(), &arrivals, None))
}

pub(super) fn photon_number_knowledge(honest: &LinkModel, fraction: f64) -> Result<Knowledge, AttackError> {
    let Passing { multiple, .. } = passing(honest);
    let attacked = photon_number_splitting(honest, fraction)?;
    let receiver = honest.receiver_efficiency();
    let photon = receiver + (1.0 - receiver) * honest.dark_click();
    Ok(Knowledge::certain(mean_over_clicks(&attacked, |k| {
        fraction * multiple * several(honest.parameters().source.photons(k)) * photon
    })))
}

pub(super) fn beam_splitting_knowledge(honest: &LinkModel) -> Knowledge {
    let transmittance = honest.parameters().channel_loss.transmittance();
    let receiver = honest.receiver_efficiency();
    let quiet = 1.0 - honest.dark_click();
    Knowledge::certain(mean_over_clicks(honest, |k| {
        // Clicks less those at which her arm is empty: all photons went on, and not all unseen.
        let photons = honest.parameters().source.photons(k);
        let empty = photons.generating_function(transmittance);
        let unseen = quiet * photons.generating_function(transmittance * (1.0 - receiver));
        honest.gain(k, Basis::Key) - (empty - unseen)
    }))
}
