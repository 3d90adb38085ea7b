//! Closed forms and values that were computed elsewhere, to the digits in which they were printed.

use super::assert_near;
use bellwether_quantum::bell::*;

/// Half a unit of the last of so many printed decimals, and what rounding adds.
fn printed(decimals: i32) -> f64 {
    0.5 * 10f64.powi(-decimals) + 1e-12
}

fn werner(fidelity: f64) -> BellDiagonal {
    BellDiagonal::werner(fidelity).unwrap()
}

/// The end-to-end pair of `links` links in a row.
fn chain(link: BellDiagonal, links: usize, quality: &SwapQuality) -> BellDiagonal {
    (1..links).fold(link, |far, _| far.swap(&link, quality))
}

#[test]
fn a_chain_of_eight_links_is_as_computed() {
    let ideal = chain(werner(0.95), 8, &SwapQuality::PERFECT);
    assert_near("ideal", ideal.fidelity(), 0.681872426, printed(9));
    // The published closed form twirls the pair at every node; without that the chain does slightly better.
    let quality = SwapQuality::new(0.99, 0.995, 1.0).unwrap();
    let link = werner(0.95);
    let twirled = (1..8).fold(link, |far, _| far.swap(&link, &quality).twirled());
    assert_near("gates .99, readouts .995", twirled.fidelity(), 0.616520049, printed(9));
    let exact = chain(link, 8, &quality).fidelity();
    assert!(exact > twirled.fidelity() && exact < 0.6168, "without twirls {exact}");
}

/// F_L = 1/4 (1 + 3 (p1 p2 (4m²-1)/3)^(L-1) ((4F-1)/3)^L) is the chain twirled at every node (Briegel et al. 1998).
#[test]
fn a_chain_twirled_at_every_node_has_its_closed_form() {
    for links in 1..12 {
        for (fidelity, gate, readout, correction) in
            [(0.95, 0.99, 0.995, 1.0), (0.8, 0.97, 0.9, 0.999), (0.6, 1.0, 1.0, 1.0)]
        {
            let quality = SwapQuality::new(gate, readout, correction).unwrap();
            let far =
                (1..links).fold(werner(fidelity), |far, _| far.swap(&werner(fidelity), &quality).twirled());
            let swaps = gate * correction * (4.0 * readout * readout - 1.0) / 3.0;
            let closed =
                0.25 * (1.0 + 3.0 * swaps.powi(links - 1) * ((4.0 * fidelity - 1.0) / 3.0).powi(links));
            assert_near("twirled chain", far.fidelity(), closed, 1e-9);
        }
    }
}

#[test]
fn dejmps_from_a_werner_pair_is_as_computed() {
    let printed_rows = [
        (0.722222, 0.788462),
        (0.689349, 0.902361),
        (0.839516, 0.970020),
        (0.950548, 0.989913),
        (0.980425, 0.999494),
    ];
    let mut pair = werner(0.75);
    for (success, fidelity) in printed_rows {
        let [a, d, c, b] = pair.probabilities();
        let round = pair.purify(&pair, Purification::Dejmps, &PurificationQuality::PERFECT);
        assert_near("success", round.success, success, printed(6));
        assert_near("fidelity", round.kept.fidelity(), fidelity, printed(6));
        // The closed form of Deutsch et al. (1996), with the pairs in their order Φ⁺, Ψ⁻, Ψ⁺, Φ⁻.
        let n = (a + b).powi(2) + (c + d).powi(2);
        let closed = [(a * a + b * b) / n, 2.0 * a * b / n, (c * c + d * d) / n, 2.0 * c * d / n];
        assert_near("success in closed form", round.success, n, 1e-9);
        for (found, wanted) in round.kept.probabilities().into_iter().zip(closed) {
            assert_near("DEJMPS in closed form", found, wanted, 1e-9);
        }
        pair = round.kept;
    }
}

#[test]
fn bbpssw_from_a_werner_pair_is_as_computed() {
    let mut pair = werner(0.75);
    for fidelity in [0.788462, 0.827007, 0.863459, 0.895887, 0.923061] {
        let f = pair.fidelity();
        let e = (1.0 - f) / 3.0;
        let round = pair.purify(&pair, Purification::Bbpssw, &PurificationQuality::PERFECT);
        let closed = (f * f + e * e) / (f * f + 2.0 * f * e + 5.0 * e * e);
        assert_near("fidelity", round.kept.fidelity(), fidelity, printed(6));
        assert_near("closed form", round.kept.fidelity(), closed, 1e-9);
        pair = round.kept.twirled();
    }
}

#[test]
fn noisy_dejmps_stops_below_one() {
    let quality = PurificationQuality::new(0.99, 0.99).unwrap();
    let mut pair = werner(0.9);
    for fidelity in [0.916597, 0.968157, 0.979220, 0.984328, 0.985454, 0.985837] {
        pair = pair.purify(&pair, Purification::Dejmps, &quality).kept;
        assert_near("fidelity", pair.fidelity(), fidelity, printed(6));
    }
    for _ in 0..50 {
        pair = pair.purify(&pair, Purification::Dejmps, &quality).kept;
    }
    let next = pair.purify(&pair, Purification::Dejmps, &quality).kept;
    assert_near("fixed point", next.fidelity(), pair.fidelity(), 1e-12);
    assert!(pair.fidelity() < 0.99, "imperfect gates allow no {}", pair.fidelity());
}

#[test]
fn double_selection_beats_single_selection_as_computed() {
    let quality = PurificationQuality::new(0.99, 0.99).unwrap();
    let pair = werner(0.9);
    let single = pair.purify(&pair, Purification::Bbpssw, &quality);
    assert_near("single, success", single.success, 0.853506, printed(6));
    assert_near("single, fidelity", single.kept.fidelity(), 0.916597, printed(6));
    let double = pair.double_selection(&pair, &pair, &DoubleSelection::uniform(quality));
    assert_near("double, success", double.success, 0.717565, printed(6));
    assert_near("double, fidelity", double.kept.fidelity(), 0.948653, printed(6));
}
