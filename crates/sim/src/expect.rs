//! What the formulas expect of a link: rates without sampling.

use crate::optics::{self, Optics};
use crate::run::RunError;
use bellwether_network::{Bound as BoundChoice, Link, Network, ReconciliationFamily as FamilyChoice};
use bellwether_physics::{Basis, LinkModel};
use bellwether_protocol::qkd::reconcile::grouped::Effort;
use bellwether_protocol::qkd::reconcile::{CascadeVariant, Family};
use bellwether_protocol::qkd::security::{
    Bound, ExpectedClass, ExpectedLink, NoKey, Plan, SecurityParameters, SourceClass, expected_rate,
    repeaterless_bound,
};
use bellwether_units::{EntityId, Frequency, LinkId, Purpose, Stream};
use serde::Serialize;

/// The expected performance of one link at one setting.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Expectation {
    /// The value that was swept, as it would stand in the file, if any.
    pub setting: Option<String>,
    /// The fibre's length.
    pub length_km: f64,
    /// The loss between transmitter and receiver.
    pub loss_db: f64,
    /// Clicks per second, after dead time.
    pub click_rate_per_s: f64,
    /// Sifted key bits per second.
    pub sifted_rate_per_s: f64,
    /// Error rate in the key basis.
    pub qber_key: f64,
    /// Error rate in the check basis.
    pub qber_check: f64,
    /// Seconds that a block takes.
    pub block_s: f64,
    /// Secret bits of one block, without those that it sets aside for authentication.
    pub secret_bits_per_block: u64,
    /// Secret bits of one block that refill the stock of one-time pads, on average.
    pub set_aside_bits_per_block: u64,
    /// Secret bits per second, without authentication's share: what users of the link get.
    pub secret_rate_per_s: f64,
    /// The same with authentication's share.
    pub gross_secret_rate_per_s: f64,
    /// Secret bits per pulse.
    pub secret_bits_per_pulse: f64,
    /// Secret bits per second of an endless block.
    pub asymptotic_rate_per_s: f64,
    /// -log2(1 - eta) bits per pulse (Pirandola et al., Nat. Commun. 8, 15043 (2017), Eq. (19)).
    pub repeaterless_bound_per_pulse: f64,
    /// Why there is no key, if there is none.
    pub no_key: Option<String>,
}

/// What the formulas expect of `link` as it was built: no event, no drift, no sampling.
///
/// The gains and error rates are those of the physical model after dead time and with after-pulses; the rate
/// follows from them by the link's own bound and finite block.
///
/// # Errors
/// If the link's devices do not make a link.
pub fn expectation(network: &Network, link: LinkId) -> Result<Expectation, RunError> {
    let link = network.link(link);
    let model = honest_model(link)?;
    let expected = expected_link(link, &model);
    let finite = plan(link, &expected, link.protocol.block_size.bits() as f64);
    // Blocks of 10^15 bits: what is left of finite-size effects is below the figures shown.
    let endless = plan(link, &expected, 1e15);
    let eta = link.fibre.loss().transmittance();
    let pulses_per_s = optics::pulse_rate(link);
    let blank = Expectation {
        setting: None,
        length_km: link.fibre.length.kilometres(),
        loss_db: link.fibre.loss().decibels(),
        click_rate_per_s: model.click_rate().per_second() * link.transmitter.duty_cycle,
        sifted_rate_per_s: model.sifted_rate(Basis::Key).per_second() * link.transmitter.duty_cycle,
        qber_key: model.detected_qber(Basis::Key),
        qber_check: model.detected_qber(Basis::Check),
        asymptotic_rate_per_s: endless.map_or(0.0, |plan| plan.secret_rate.per_second()),
        repeaterless_bound_per_pulse: repeaterless_bound(eta),
        ..Expectation::default()
    };
    let block_s = link.protocol.block_size.bits() as f64 / blank.sifted_rate_per_s;
    Ok(match finite {
        Ok(plan) => {
            let windows = block_s * pulses_per_s
                / crate::link::window_pulses(network, link, model.click_probability()) as f64;
            let key_bits = plan.certificate.key_bits;
            let set_aside = crate::link::set_aside_bits(link, windows, blank.qber_key, key_bits);
            let gross = plan.secret_rate.per_second();
            let net = gross * (1.0 - set_aside as f64 / key_bits.max(1) as f64);
            Expectation {
                block_s,
                secret_bits_per_block: key_bits - set_aside,
                set_aside_bits_per_block: set_aside,
                secret_rate_per_s: net,
                gross_secret_rate_per_s: gross,
                secret_bits_per_pulse: net / pulses_per_s,
                ..blank
            }
        }
        Err(why) => Expectation {
            block_s: if block_s.is_finite() { block_s } else { 0.0 },
            no_key: Some(why.to_string()),
            ..blank
        },
    })
}

/// The model of a link as it was built.
pub(crate) fn honest_model(link: &Link) -> Result<LinkModel, RunError> {
    Optics::new(link, Stream::new(0, EntityId(0), Purpose::named("unused")))?.honest()
}

/// The bound that the network file chose.
pub(crate) fn bound_of(link: &Link) -> Bound {
    match link.protocol.bound {
        BoundChoice::Rusca2018 => Bound::OneDecoyRusca,
        BoundChoice::Rusca2018Tight => Bound::OneDecoyTight,
        BoundChoice::Lim2014 => Bound::TwoDecoyLim,
        BoundChoice::Lim2014Tight => Bound::TwoDecoyTight,
        BoundChoice::Tomamichel2012 if several_photons(link) > 0.0 => Bound::SinglePhotonTagged,
        BoundChoice::Tomamichel2012 => Bound::SinglePhotonTomamichel,
    }
}

/// The family of reconciliation that the network file chose.
pub(crate) fn family_of(link: &Link) -> Family {
    match link.protocol.reconciliation.family {
        FamilyChoice::CascadeOriginal => Family::Cascade(CascadeVariant::Original),
        FamilyChoice::CascadeYan => Family::Cascade(CascadeVariant::Yan),
        FamilyChoice::CascadeOption7 => Family::Cascade(CascadeVariant::Option7),
        FamilyChoice::CascadeOption8 => Family::Cascade(CascadeVariant::Option8),
        FamilyChoice::GroupedQuick => Family::Grouped(Effort::Quick),
        FamilyChoice::GroupedThorough => Family::Grouped(Effort::Thorough),
        FamilyChoice::Ldpc => Family::Ldpc,
    }
}

/// What a link's keys promise.
pub(crate) fn security_of(link: &Link) -> SecurityParameters {
    SecurityParameters { secrecy: link.protocol.eps_secrecy, correctness: link.protocol.eps_correctness }
}

/// The intensity classes as both ends know them.
pub(crate) fn classes_of(link: &Link) -> Vec<SourceClass> {
    match &link.transmitter.source {
        bellwether_network::Source::WeakCoherent { intensities } => {
            intensities.iter().map(|i| SourceClass::new(i.mean_photons, i.probability)).collect()
        }
        _ => {
            let [key, several] = [link.protocol.key_basis_probability, several_photons(link)];
            let tagged = [key, 1.0 - key].map(|basis| several * basis * basis);
            vec![SourceClass::single_photons(optics::single_photon_brightness(link), tagged)]
        }
    }
}

/// The probability that a pulse of a source without decoys leaves with several photons.
fn several_photons(link: &Link) -> f64 {
    optics::photon_probabilities(link).map_or(0.0, |[_, several]| several)
}

fn plan(link: &Link, expected: &ExpectedLink, block_bits: f64) -> Result<Plan, NoKey> {
    let f = link.protocol.reconciliation.planning_efficiency;
    expected_rate(bound_of(link), expected, block_bits, f, &security_of(link))
}

/// The link as planning sees it, with the gains and error rates of `model`.
pub(crate) fn expected_link(link: &Link, model: &LinkModel) -> ExpectedLink {
    let classes = |basis| {
        (0..model.intensities())
            .map(|k| ExpectedClass {
                gain: model.detected_gain(k, basis),
                error_rate: model.detected_error_rate(k, basis),
            })
            .collect()
    };
    let sifting = |basis| model.prepared_probability(basis) * model.measured_probability(basis);
    ExpectedLink {
        source: classes_of(link),
        key: classes(Basis::Key),
        check: classes(Basis::Check),
        key_sifting: sifting(Basis::Key),
        check_sifting: sifting(Basis::Check),
        clock: Frequency::from_hertz(optics::pulse_rate(link)),
        // The model's gains are those after dead time already.
        saturation: 1.0,
    }
}
