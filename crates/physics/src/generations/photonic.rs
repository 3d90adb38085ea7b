//! All-photonic repeaters: trees of photons that stand in for memories.

use crate::parameter::{ParameterError, chance, positive, probability, within};
use bellwether_units::{Duration, Rate};
use libm::pow;

/// A tree of photons that encodes one qubit against loss (Varnava, Browne & Rudolph, Phys. Rev. Lett. 97, 120501
/// (2006)). What a lost photon would have said in Z is inferred from the levels below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeCode {
    branching: Vec<u32>,
}

impl TreeCode {
    /// A tree whose photons at each level, from the root down, have so many below them.
    ///
    /// # Errors
    /// There is no level, or a level without photons.
    pub fn new(branching: &[u32]) -> Result<Self, ParameterError> {
        within("the number of levels", branching.len(), 1, 64, "1 to 64")?;
        for photons in branching {
            within("the number of photons below one", *photons as usize, 1, 1_000_000, "1 to 1000000")?;
        }
        Ok(Self { branching: branching.to_vec() })
    }

    /// How many photons the tree has, the root not counted.
    pub fn photons(&self) -> u64 {
        let level = |of: u64, branching: &u32| of.saturating_mul(u64::from(*branching));
        self.branching
            .iter()
            .scan(1, |photons, branching| {
                *photons = level(*photons, branching);
                Some(*photons)
            })
            .fold(0, u64::saturating_add)
    }

    /// `R_k`: the probability that what a photon of level k would say in Z can be inferred from those below, where each
    /// photon is lost with `loss`. Index 0 is the root; the two levels below the last infer nothing.
    fn inferred(&self, loss: f64) -> Vec<f64> {
        let levels = self.branching.len();
        let mut r = vec![0.0; levels + 2];
        for k in (0..levels).rev() {
            let below = self.branching.get(k + 1).copied().unwrap_or(0);
            let one = (1.0 - loss) * pow(1.0 - loss + loss * r[k + 2], f64::from(below));
            r[k] = 1.0 - pow(1.0 - one, f64::from(self.branching[k]));
        }
        r
    }

    /// The probability that the encoded qubit can be measured in X: that a Z of the root can be inferred.
    ///
    /// # Errors
    /// `loss` is no probability.
    pub fn x_success(&self, loss: f64) -> Result<f64, ParameterError> {
        Ok(self.inferred(probability("the loss of a photon", loss)?)[0])
    }

    /// The probability that the encoded qubit can be measured in Z: that all photons below the root are there or can be
    /// inferred.
    ///
    /// # Errors
    /// `loss` is no probability.
    pub fn z_success(&self, loss: f64) -> Result<f64, ParameterError> {
        let loss = probability("the loss of a photon", loss)?;
        Ok(pow(1.0 - loss + loss * self.inferred(loss)[1], f64::from(self.branching[0])))
    }
}

/// A chain of all-photonic repeaters (Azuma, Tamaki & Lo, Nature Communications 6, 6787 (2015); in the form of Pant et
/// al., Phys. Rev. A 95, 012304 (2017), written here from memory and not compared with the paper).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AllPhotonic {
    /// How many links the chain has.
    pub links: u32,
    /// How many arms each side of a repeater's graph state has.
    pub arms: u32,
    /// The transmittance of an arm, from the repeater to the middle of a link, detectors included.
    pub arm_transmittance: f64,
    /// The probability that a logical qubit can be measured in X.
    pub x_success: f64,
    /// The probability that a logical qubit can be measured in Z.
    pub z_success: f64,
    /// The probability that a repeater's graph state can be made when wanted.
    pub graph_state_success: f64,
    /// How long a repeater takes to send a graph state.
    pub period: Duration,
}

impl AllPhotonic {
    /// The probability that a pair joins the ends in one period: every link has an arm that passes the Bell measurement
    /// (`P_B`, half the square of an arm's transmittance), and all logical measurements succeed.
    ///
    /// # Errors
    /// There is no link or arm, or a probability is not one.
    pub fn success(&self) -> Result<f64, ParameterError> {
        within("the number of links", self.links as usize, 1, usize::MAX, "at least 1")?;
        within("the number of arms", self.arms as usize, 1, usize::MAX, "at least 1")?;
        let eta = chance("the transmittance of an arm", self.arm_transmittance)?;
        let x = probability("the success of a logical measurement in X", self.x_success)?;
        let z = probability("the success of a logical measurement in Z", self.z_success)?;
        let made = probability("the success of making a graph state", self.graph_state_success)?;
        let (n, m) = (f64::from(self.links), f64::from(self.arms));
        let link = 1.0 - pow(1.0 - eta * eta / 2.0, m);
        Ok(made * pow(link, n) * pow(x, 2.0 * (n - 1.0)) * pow(z, 2.0 * (m - 1.0) * (n - 1.0)))
    }

    /// Pairs a second, for each of the `2 m` modes that the arms take.
    ///
    /// # Errors
    /// As [`success`](Self::success), or the period is nothing.
    pub fn rate_per_mode(&self) -> Result<Rate, ParameterError> {
        let period = positive("the period in seconds", self.period.seconds())?;
        Ok(Rate::from_per_second(self.success()? / (2.0 * f64::from(self.arms) * period)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};

    /// Draws which photons of a tree are lost, and asks whether Z of a photon is known: directly, or through a child
    /// measured in X all of whose own children's Z are known. Within 4 standard errors of 40 000 trees.
    #[test]
    fn trees_drawn_photon_by_photon() {
        fn inferred(tree: &[u32], loss: f64, stream: &mut Stream) -> bool {
            // All children are drawn, whatever the first ones say, so that nothing depends on the order.
            let mut any = false;
            for _ in 0..tree.first().copied().unwrap_or(0) {
                let mut supports = !stream.chance(loss);
                for _ in 0..tree.get(1).copied().unwrap_or(0) {
                    supports &= known(tree.get(2..).unwrap_or(&[]), loss, stream);
                }
                any |= supports;
            }
            any
        }
        fn known(tree: &[u32], loss: f64, stream: &mut Stream) -> bool {
            let there = !stream.chance(loss);
            inferred(tree, loss, stream) | there
        }
        let (branching, loss, trees) = ([3, 2, 2], 0.3, 40_000);
        let code = TreeCode::new(&branching).unwrap();
        assert_eq!(code.photons(), 3 + 6 + 12);
        let mut stream = Stream::new(11, EntityId(0), Purpose::named("trees"));
        let (mut x, mut z) = (0, 0);
        for _ in 0..trees {
            x += u32::from(inferred(&branching, loss, &mut stream));
            z += u32::from((0..3).fold(true, |all, _| all & known(&branching[1..], loss, &mut stream)));
        }
        for (drawn, expected) in [(x, code.x_success(loss).unwrap()), (z, code.z_success(loss).unwrap())] {
            let share = f64::from(drawn) / f64::from(trees);
            let error = (expected * (1.0 - expected) / f64::from(trees)).sqrt();
            assert!((share - expected).abs() < 4.0 * error, "{share} against {expected} +- {error}");
        }
    }

    #[test]
    fn without_loss_only_bell_measurements_fail() {
        let chain = AllPhotonic {
            links: 3,
            arms: 4,
            arm_transmittance: 1.0,
            x_success: 1.0,
            z_success: 1.0,
            graph_state_success: 1.0,
            period: Duration::from_microseconds(1),
        };
        assert!((chain.success().unwrap() - (1.0 - 0.5f64.powi(4)).powi(3)).abs() < 1e-12);
        let rate = chain.rate_per_mode().unwrap().per_second();
        assert!((rate / (chain.success().unwrap() * 1e6 / 8.0) - 1.0).abs() < 1e-12);
        assert!(AllPhotonic { arms: 0, ..chain }.success().is_err());
        assert!(AllPhotonic { period: Duration::ZERO, ..chain }.rate_per_mode().is_err());
        assert!(TreeCode::new(&[]).is_err());
    }
}
