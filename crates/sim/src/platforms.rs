//! From platforms of memories, as the library of profiles has them, to models: of links that entangle them, of what time
//! and neighbours do to their qubits, of their readout.
//!
//! A profile tells what its sources tell. What a model needs and the profile leaves open is an error here, not a perfect
//! device.
//!
//! ```
//! use bellwether_network::{Device, profiles};
//! use bellwether_sim::platforms;
//! use bellwether_units::Loss;
//!
//! let profile = profiles().iter().find(|profile| profile.name == "nv-electron").unwrap();
//! let Device::Platform(nv) = &profile.device else { panic!("a platform") };
//! let link = platforms::single_click([nv, nv], [Loss::NONE; 2], 0.1)?;
//! let heralded = link.heralded()?;
//! assert!(heralded.fidelity() > 0.8 && heralded.fidelity() < 0.9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bellwether_network::{DephasingLaw, Interface, Platform, Qubit};
use bellwether_physics::ParameterError;
use bellwether_physics::entangling::{DoubleClick, Optics, SingleClick, SingleClickEnd, noise_click};
use bellwether_physics::memory::{AttemptDephasing, CollectiveDephasing, Retrieval};
use bellwether_quantum::density::Readout;
use bellwether_quantum::{Dephasing, MemoryNoise, StateError};
use bellwether_units::{Angle, Loss};

/// Why a platform gives no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlatformError {
    /// The profile does not tell something that the model needs.
    #[error("the platform does not tell {0}, which this model needs: {write}", write = where_to_write(.0))]
    Untold(&'static str),
    /// A node has no platform where its link needs one.
    #[error(
        "a node at its ends has no platform, which links of this scheme need: write `platform` at the node"
    )]
    NoPlatform,
    /// A figure cannot be.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A fibre cannot be.
    #[error(transparent)]
    Fibre(#[from] bellwether_physics::FibreError),
    /// The figures of a qubit cannot be together.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Where a figure that is missing goes.
fn where_to_write(what: &str) -> &'static str {
    match what {
        "a click probability" => "write `interface.click_probability` in the node's `platform`",
        "a visibility" => {
            "write `interface.visibility` in the node's `platform`, or `station.visibility` at the link"
        }
        "dark clicks, by probability or by rate and window" => {
            "write `station.dark_probability` at the link, or `interface.dark_probability` in the node's `platform`"
        }
        "a write probability" => "write `interface.write_probability` in the node's `platform`",
        "a coherence time" => "write `t2` of the qubit in the node's `platform`",
        "the decay in an attempt" => "write `storage.attempt_decay` in the node's `platform`",
        "the errors of readout" => {
            "write `bright_as_dark` and `dark_as_bright` of the qubit in the node's `platform`"
        }
        "a qubit that entangles with light" => "write `communication` in the node's `platform`",
        "a qubit that stores" => "write `storage` in the node's `platform`, or let the link use other qubits",
        _ => "write it in the node's `platform`",
    }
}

/// A single-click link between two platforms, with what the fibres to the station lose, and `bright` as the larger of the
/// probabilities of the bright states, which balance the arms.
///
/// # Errors
/// A platform tells no click probability, visibility or dark clicks.
pub fn single_click(
    ends: [&Platform; 2],
    fibres: [Loss; 2],
    bright: f64,
) -> Result<SingleClick, PlatformError> {
    let [first, second] = efficiencies(ends, fibres)?.map(|efficiency| SingleClickEnd { bright, efficiency });
    Ok(SingleClick::new(first, second, optics(ends)?).balanced(bright)?)
}

/// A double-click link between two platforms, with what the fibres to the station lose.
///
/// # Errors
/// As [`single_click`].
pub fn double_click(ends: [&Platform; 2], fibres: [Loss; 2]) -> Result<DoubleClick, PlatformError> {
    Ok(DoubleClick { efficiencies: efficiencies(ends, fibres)?, optics: optics(ends)? })
}

fn efficiencies(ends: [&Platform; 2], fibres: [Loss; 2]) -> Result<[f64; 2], PlatformError> {
    let of = |end: usize| {
        let click = ends[end].interface.click_probability;
        click.map(|click| click * fibres[end].transmittance())
    };
    let both = of(0).zip(of(1)).ok_or(PlatformError::Untold("a click probability"))?;
    Ok(both.into())
}

/// What the light of two platforms meets in common: of both, the lower visibility, and the more of each noise. A phase or
/// a double excitation that neither tells counts as none.
fn optics(ends: [&Platform; 2]) -> Result<Optics, PlatformError> {
    let [a, b] = ends.map(|end| &end.interface);
    let visibility =
        |interface: &Interface| interface.visibility.ok_or(PlatformError::Untold("a visibility"));
    let larger = |figure: fn(&Interface) -> f64| figure(a).max(figure(b));
    Ok(Optics {
        visibility: visibility(a)?.min(visibility(b)?),
        dark: dark(a)?.max(dark(b)?),
        phase: Angle::from_radians(larger(|interface| interface.phase.map_or(0.0, Angle::radians))),
        double_excitation: larger(|interface| interface.double_excitation.unwrap_or(0.0)),
        ..Optics::IDEAL
    })
}

pub(crate) fn dark(interface: &Interface) -> Result<f64, PlatformError> {
    match (interface.dark_probability, interface.dark_count_rate, interface.window) {
        (Some(probability), ..) => Ok(probability),
        (None, Some(rate), Some(window)) => Ok(noise_click(&[rate], window)?),
        _ => Err(PlatformError::Untold("dark clicks, by probability or by rate and window")),
    }
}

/// What time does to a qubit of its own. A qubit that dephases by a field shared with others is told by
/// [`collective_dephasing`] as well; here it is as if alone.
///
/// # Errors
/// The profile tells no T2, or one above 2 T1.
pub fn memory_noise(qubit: &Qubit) -> Result<MemoryNoise, PlatformError> {
    let t2 = qubit.t2.ok_or(PlatformError::Untold("a coherence time"))?;
    let dephasing = match qubit.dephasing {
        DephasingLaw::Exponential => Dephasing::Exponential(t2),
        DephasingLaw::Gaussian => Dephasing::Gaussian(t2),
    };
    Ok(MemoryNoise::new(qubit.t1, dephasing)?)
}

/// The dephasing that all such qubits of a node have in common; `None` if each has its own.
///
/// # Errors
/// The profile tells no T2.
pub fn collective_dephasing(qubit: &Qubit) -> Result<Option<CollectiveDephasing>, PlatformError> {
    if !qubit.collective {
        return Ok(None);
    }
    let t2 = qubit.t2.ok_or(PlatformError::Untold("a coherence time"))?;
    Ok(Some(CollectiveDephasing::new(t2)?))
}

/// How attempts beside a qubit dephase it; `None` if the profile tells of no coupling.
///
/// # Errors
/// It tells a coupling and no decay, or the coupling cannot be.
pub fn attempt_dephasing(qubit: &Qubit) -> Result<Option<AttemptDephasing>, PlatformError> {
    let Some(coupling) = qubit.attempt_coupling else { return Ok(None) };
    let decay = qubit.attempt_decay.ok_or(PlatformError::Untold("the decay in an attempt"))?;
    Ok(Some(AttemptDephasing::of_coupling(coupling, decay)?))
}

/// How a qubit is read: its bright state is the |0⟩ of states and models.
///
/// # Errors
/// The profile does not tell both errors.
pub fn readout(qubit: &Qubit) -> Result<Readout, PlatformError> {
    let untold = PlatformError::Untold("the errors of readout");
    let (bright, dark) = qubit.bright_as_dark.zip(qubit.dark_as_bright).ok_or(untold)?;
    Ok(Readout::new(bright, dark)?)
}

/// How a memory gives back light.
///
/// # Errors
/// The profile tells no efficiency, or neither a decay nor one time of storage.
pub fn retrieval(platform: &Platform) -> Result<Retrieval, PlatformError> {
    let told = platform.retrieval.ok_or(PlatformError::Untold("how light comes back"))?;
    let efficiency = told.efficiency.ok_or(PlatformError::Untold("the efficiency of retrieval"))?;
    match (told.decay, told.storage_time) {
        (Some(decay), _) => Ok(Retrieval::OnDemand { efficiency, decay }),
        (None, Some(storage)) => Ok(Retrieval::After { efficiency, storage }),
        (None, None) => Err(PlatformError::Untold("how long it stores")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_network::{Device, profiles};
    use bellwether_units::Duration;

    fn platform(name: &str) -> &'static Platform {
        let profile = profiles().iter().find(|profile| profile.name == name).expect(name);
        match &profile.device {
            Device::Platform(platform) => platform,
            _ => panic!("{name} is no platform"),
        }
    }

    #[test]
    fn every_platform_gives_models_or_says_what_it_does_not_tell() {
        let (mut qubits, mut links) = (0, 0);
        for profile in profiles() {
            let Device::Platform(platform) = &profile.device else { continue };
            for qubit in [platform.communication, platform.storage].into_iter().flatten() {
                memory_noise(&qubit).unwrap_or_else(|error| {
                    assert!(matches!(error, PlatformError::Untold(_)), "{}: {error}", profile.name);
                    MemoryNoise::NONE
                });
                attempt_dephasing(&qubit).unwrap();
                collective_dephasing(&qubit).unwrap();
                qubits += 1;
            }
            match double_click([platform, platform], [Loss::NONE; 2]) {
                Ok(link) => {
                    assert!(link.heralded().unwrap().probability > 0.0);
                    links += 1;
                }
                Err(error) => assert!(matches!(error, PlatformError::Untold(_)), "{}: {error}", profile.name),
            }
        }
        assert!(qubits >= 10 && links >= 4, "{qubits} qubits, {links} links");
    }

    /// The carbon memory keeps 1/e of its coherence for 322 attempts, by its coupling and decay.
    #[test]
    fn the_carbon_memory_of_a_nitrogen_vacancy_centre() {
        let storage = platform("nv-carbon").storage.unwrap();
        let dephasing = attempt_dephasing(&storage).unwrap().unwrap();
        assert!((dephasing.attempts_to_one_over_e() - 321.6).abs() < 0.1);
        let left =
            memory_noise(&storage).unwrap().decay(Duration::ZERO, Duration::from_whole_seconds(1)).factors();
        assert!((left[0] - (-1f64).exp()).abs() < 1e-12);
        let read = readout(&platform("nv-carbon").communication.unwrap()).unwrap();
        assert_eq!(read.flips(), [0.05, 0.005]);
        assert!(matches!(readout(&storage), Err(PlatformError::Untold(_))));
    }

    #[test]
    fn ions_of_one_trap_dephase_together() {
        let ion = platform("calcium-cavity").communication.unwrap();
        let field = collective_dephasing(&ion).unwrap().unwrap();
        assert_eq!(field.coherence(0, Duration::from_whole_seconds(1)), 1.0);
        assert!(field.coherence(2, Duration::from_milliseconds(85)) < 0.02);
        let carbon = platform("nv-carbon").storage.unwrap();
        assert_eq!(collective_dephasing(&carbon).unwrap(), None);
    }

    #[test]
    fn light_comes_back_as_told() {
        let ensemble = retrieval(platform("rubidium-ensemble")).unwrap();
        assert_eq!(ensemble.efficiency(Duration::ZERO).unwrap(), 0.5);
        assert!(matches!(retrieval(platform("praseodymium-comb")), Err(PlatformError::Untold(_))));
        assert!(matches!(retrieval(platform("nv-electron")), Err(PlatformError::Untold(_))));
    }
}
