//! How the hardware of links and nodes behaves: what a network's physics is reduced to before it runs.

use bellwether_physics::entangling::{Attempts, Calibration, ChargeCheck, Heralded, Port};
use bellwether_physics::memory::AttemptDephasing;
use bellwether_quantum::MemoryNoise;
use bellwether_quantum::bell::BellIndex;
use bellwether_quantum::density::Readout;
use bellwether_quantum::pair::{BellMeasurement, PairState};
use bellwether_units::{Duration, Stream, Time};
use std::sync::Arc;

/// One way to run a link: how often an attempt is heralded, and what that leaves.
#[derive(Clone, Debug)]
pub struct Brightness {
    /// How bright emitters shine, by which the protocol names this way.
    pub brightness: f64,
    attempts: Attempts,
    /// What a herald by either port leaves, and which Bell state it announces.
    heralds: [(PairState, BellIndex); 2],
}

impl Brightness {
    /// From the physics of a link.
    pub fn of(brightness: f64, heralded: &Heralded) -> Self {
        let second = heralded.state.other_detector();
        let heralds = [
            (PairState::from(heralded.state), Port::First.frame()),
            (PairState::from(second), Port::Second.frame()),
        ];
        Self { brightness, attempts: Attempts::of(heralded), heralds }
    }
    /// A link that is stated outright: every herald leaves this pair and announces |Φ⁺⟩.
    ///
    /// # Errors
    /// `success` is no probability.
    pub fn stated(success: f64, pair: PairState) -> Result<Self, bellwether_physics::ParameterError> {
        let herald = (pair, BellIndex::PHI_PLUS);
        let attempts = Attempts::with_success(success)?;
        Ok(Self { brightness: 1.0, attempts, heralds: [herald.clone(), herald] })
    }
    /// How often an attempt is heralded.
    pub fn success(&self) -> f64 {
        self.attempts.success()
    }
    /// The fidelity of a new pair to the Bell state that its herald announces.
    pub fn fidelity(&self) -> f64 {
        let (state, frame) = &self.heralds[0];
        state.fidelity(*frame)
    }
    pub(super) fn herald(&self, port: Port) -> &(PairState, BellIndex) {
        &self.heralds[usize::from(port == Port::Second)]
    }
}

/// The hardware of a link.
#[derive(Clone, Debug)]
pub struct LinkModel {
    /// The ways to run it; links that are alike share them.
    pub levels: Arc<[Brightness]>,
    /// From one attempt to the next.
    pub cycle: Duration,
    /// From the beginning of an attempt until each end knows its herald.
    pub herald: [Duration; 2],
    /// What is checked before attempts, if anything.
    pub charge_check: Option<(ChargeCheck, Duration)>,
    /// When it is calibrated, if ever.
    pub calibration: Option<Calibration>,
}

impl LinkModel {
    /// The next heralded attempt that begins at or after `ready`: its number in the link's count of cycles, how many attempts
    /// were made up to and with it, and by which port it is heralded. `None` if none is heralded while clocks run.
    pub(super) fn next(&self, level: &Brightness, ready: Time, stream: &mut Stream) -> Option<NextHerald> {
        let first = ready.picoseconds().div_ceil(self.cycle.picoseconds());
        let herald = level.attempts.first(0..u64::MAX >> 1, stream)?;
        let mut cycles = herald.attempt;
        if let Some((check, every)) = &self.charge_check {
            let per_block = (every.picoseconds() / self.cycle.picoseconds()).max(1);
            let delay = check.delay_of(cycles / per_block + 1, stream);
            cycles = cycles.checked_add(delay.picoseconds().div_ceil(self.cycle.picoseconds()))?;
        }
        let mut cycle = first.checked_add(cycles)?;
        if let Some(calibration) = &self.calibration {
            let start = Time::from_picoseconds(first.checked_mul(self.cycle.picoseconds())?);
            let work =
                Duration::from_picoseconds(cycles.checked_add(1)?.checked_mul(self.cycle.picoseconds())?);
            let end = calibration.finish(start, work);
            cycle = end.picoseconds().div_ceil(self.cycle.picoseconds()).saturating_sub(1);
        }
        cycle.checked_mul(self.cycle.picoseconds())?;
        Some(NextHerald { cycle, attempts: herald.attempt + 1, port: herald.detector })
    }
    /// When a cycle begins.
    pub(super) fn begins(&self, cycle: u64) -> Time {
        Time::from_picoseconds(cycle * self.cycle.picoseconds())
    }
}

/// The attempt that will be heralded if nothing comes between.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextHerald {
    pub(super) cycle: u64,
    pub(super) attempts: u64,
    pub(super) port: Port,
}

/// What the hardware of a node can do; many nodes share one.
#[derive(Clone, Debug)]
pub struct NodeModel {
    /// What time does to the qubits that entangle with light.
    pub communication: MemoryNoise,
    /// What time does to the qubits that only store.
    pub storage: MemoryNoise,
    /// What attempts with the node's communication qubit do to those that store.
    pub attempt_dephasing: Option<AttemptDephasing>,
    /// How two qubits are measured in the Bell basis.
    pub bell_measurement: BellMeasurement,
    /// The probability that this gives an outcome at all: one half with linear optics.
    pub swap_success: f64,
    /// How long that takes.
    pub swap_time: Duration,
    /// The probability that moving a half into a storage qubit leaves it random.
    pub move_mixing: f64,
    /// How long it takes.
    pub move_time: Duration,
    /// The probability that a gate on one qubit leaves it random.
    pub gate_mixing: f64,
    /// How a qubit is read.
    pub readout: Readout,
    /// How long a readout takes.
    pub readout_time: Duration,
}

impl NodeModel {
    /// Nothing errs, decays or takes time.
    pub const PERFECT: Self = Self {
        communication: MemoryNoise::NONE,
        storage: MemoryNoise::NONE,
        attempt_dephasing: None,
        bell_measurement: BellMeasurement::PERFECT,
        swap_success: 1.0,
        swap_time: Duration::ZERO,
        move_mixing: 0.0,
        move_time: Duration::ZERO,
        gate_mixing: 0.0,
        readout: Readout::PERFECT,
        readout_time: Duration::ZERO,
    };
}

/// Which of a node's qubits an end of a link uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QubitRole {
    /// Qubits of its own, that make the pair and keep it.
    #[default]
    Own,
    /// The node's one communication qubit makes the pair and keeps it: other links that use it wait meanwhile.
    Communication,
    /// The node's one communication qubit makes the pair, which then moves into a qubit that stores it.
    Storage,
}
