//! Along which axis the devices measure, of those that a stack asks for.

use bellwether_protocol::entanglement::link::{BasisChoice, BasisSet, MeasuredBasis};
use bellwether_quantum::density::Axis;
use bellwether_units::Stream;
use core::f64::consts::TAU;

/// In which basis a half is measured, of those that are asked for.
pub(super) fn drawn(choice: BasisChoice, stream: &mut Stream) -> (MeasuredBasis, Axis) {
    let BasisChoice { set, probabilities, rotations } = choice;
    let draw = stream.below(255) as u16;
    let [first, second] = probabilities.map(u16::from);
    match set {
        BasisSet::Rotated => (MeasuredBasis::Z, turned(rotations)),
        BasisSet::Xz if draw < first => (MeasuredBasis::X, Axis::X),
        BasisSet::Xz => (MeasuredBasis::Z, Axis::Z),
        BasisSet::Xyz if draw < first => (MeasuredBasis::X, Axis::X),
        BasisSet::Xyz if draw < first + second => (MeasuredBasis::Y, Axis::Y),
        BasisSet::Xyz => (MeasuredBasis::Z, Axis::Z),
        BasisSet::Chsh if draw < first => (MeasuredBasis::ZPlusX, Axis::between_z_and_x(TAU / 8.0)),
        BasisSet::Chsh => (MeasuredBasis::ZMinusX, Axis::between_z_and_x(-TAU / 8.0)),
    }
}

/// The axis that rotations about X, Y and X again turn onto Z.
fn turned(rotations: [u8; 3]) -> Axis {
    let [first, second, third] = rotations.map(|n| TAU * f64::from(n) / 256.0);
    // Turned back from Z: about X by -third, about Y by -second, about X by -first.
    let about_x = |[x, y, z]: [f64; 3], angle: f64| {
        let (sin, cos) = libm::sincos(angle);
        [x, y * cos - z * sin, y * sin + z * cos]
    };
    let about_y = |[x, y, z]: [f64; 3], angle: f64| {
        let (sin, cos) = libm::sincos(angle);
        [x * cos + z * sin, y, z * cos - x * sin]
    };
    let axis = about_x(about_y(about_x([0.0, 0.0, 1.0], -third), -second), -first);
    let length = libm::sqrt(axis.iter().map(|c| c * c).sum());
    Axis::new(axis.map(|c| c / length)).unwrap_or(Axis::Z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_protocol::entanglement::link::TestBasis;

    /// Rotations of test rounds are the three axes: a quarter turn about Y brings +X or -X onto Z, and so on.
    #[test]
    fn rotations_of_test_rounds_are_axes() {
        for (basis, axis) in TestBasis::ALL.into_iter().zip([Axis::X, Axis::Y, Axis::Z]) {
            let turned = turned(basis.choice().rotations).components();
            let along: f64 = turned.iter().zip(axis.components()).map(|(a, b)| a * b).sum();
            assert!((along.abs() - 1.0).abs() < 1e-9, "{basis:?}: {turned:?}");
        }
    }
}
