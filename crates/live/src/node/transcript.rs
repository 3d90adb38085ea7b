//! What drove one end of a link, and what it did: a live session that can be played again.
//!
//! A machine has no inputs but those it is given, so a fresh machine that is given the recorded ones, with the
//! same random numbers, must want the same done. [`check`] feeds it without sockets, clocks or threads; a
//! [`Replay`] is fed by something else, such as the simulator's event kernel.
//!
//! A transcript holds raw key and the secret for authentication: it is for tests alone.

use crate::hardware::Side;
use bellwether_protocol::hardware::{Detections, Preparations};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_protocol::qkd::session::{
    Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, Receiver, ReceiverCommand, SettingsError,
    Transmitter, TransmitterCommand,
};
use bellwether_units::Time;
use rand_core::Rng;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a machine wants done.
pub(crate) type Effects = Vec<Output<OtherEnd, LinkEvent, Durable, Job>>;

/// Something that an end was told, and a digest of what it wanted done.
pub struct Entry {
    /// The time that the machine was told.
    pub at: Time,
    /// What it was told.
    pub input: Recorded,
    /// A digest of what it wanted done.
    pub outputs: [u8; 32],
}

/// What an end is told, to be told again.
pub enum Recorded {
    /// The machine was made of this durable state.
    Made(Durable),
    /// It was told to connect.
    Connect,
    /// A frame arrived.
    Frame(Vec<u8>),
    /// Clicks.
    Detected(Detections),
    /// Preparations.
    Recalled {
        /// The machine's request.
        request: u64,
        /// What was prepared.
        preparations: Preparations,
    },
    /// A record became durable.
    Persisted(u64),
    /// The machine's job of this number, counted from 0 since it was made, was done.
    Computed(u64),
    /// Its deadline had come.
    Timeout,
}

/// Why a transcript is not that of a machine.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// The machine wants something else done.
    #[error("entry {0}: the machine wants something else done")]
    Outputs(usize),
    /// The entry could not be: nothing was made before, or a job is computed that was never wanted.
    #[error("entry {0} cannot follow those before it")]
    Impossible(usize),
    /// The machine could not be made.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Either machine.
pub(crate) enum Machine {
    Transmitter(Box<Transmitter>),
    Receiver(Box<Receiver>),
}

/// What a machine is told.
pub(crate) enum Told {
    Connect,
    Frame(Vec<u8>),
    Detected(Detections),
    Recalled { request: u64, preparations: Preparations },
    Persisted(u64),
    Computed(u64, JobResult),
    Timeout,
}

impl Machine {
    pub(crate) fn new(side: Side, settings: &LinkSettings, durable: Durable) -> Result<Self, SettingsError> {
        Ok(match side {
            Side::Transmitter => Self::Transmitter(Box::new(Transmitter::new(settings.clone(), durable)?)),
            Side::Receiver => Self::Receiver(Box::new(Receiver::new(settings.clone(), durable)?)),
        })
    }

    /// Tells the machine; what belongs to the other end's machine is not told.
    pub(crate) fn tell(&mut self, now: Time, rng: &mut dyn Rng, told: Told, out: &mut Effects) {
        match self {
            Self::Transmitter(machine) => {
                let input = match &told {
                    Told::Frame(bytes) => Input::Frame { from: OtherEnd, bytes },
                    Told::Persisted(number) => Input::Persisted(*number),
                    Told::Timeout => Input::Timeout,
                    Told::Connect => Input::Command(TransmitterCommand::Connect),
                    Told::Detected(_) => return,
                    Told::Recalled { .. } | Told::Computed(..) => match told {
                        Told::Recalled { request, preparations } => {
                            Input::Command(TransmitterCommand::Recalled { request, preparations })
                        }
                        Told::Computed(_, result) => Input::Computed(result),
                        _ => return,
                    },
                };
                machine.handle(now, rng, input, out);
            }
            Self::Receiver(machine) => {
                let input = match &told {
                    Told::Frame(bytes) => Input::Frame { from: OtherEnd, bytes },
                    Told::Persisted(number) => Input::Persisted(*number),
                    Told::Timeout => Input::Timeout,
                    Told::Connect => Input::Command(ReceiverCommand::Connect),
                    Told::Recalled { .. } => return,
                    Told::Detected(_) | Told::Computed(..) => match told {
                        Told::Detected(detections) => Input::Command(ReceiverCommand::Detected(detections)),
                        Told::Computed(_, result) => Input::Computed(result),
                        _ => return,
                    },
                };
                machine.handle(now, rng, input, out);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Transmitter(machine) => machine.deadline(),
            Self::Receiver(machine) => machine.deadline(),
        }
    }

    /// How many sifted bits the open block has, and how many it is closed with.
    pub(crate) fn progress(&self) -> (u64, u64) {
        match self {
            Self::Transmitter(machine) => machine.progress(),
            Self::Receiver(machine) => machine.progress(),
        }
    }

    /// Whether nothing that a receiver was told of is under way: all but the block that is being gathered.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Self::Transmitter(machine) => machine.blocks_in_flight() == 0,
            Self::Receiver(machine) => machine.is_idle(),
        }
    }

    /// Whether a window of detections would be made use of.
    pub(crate) fn takes_windows(&self) -> bool {
        match self {
            Self::Transmitter(_) => false,
            Self::Receiver(machine) => machine.takes_windows(),
        }
    }
}

impl Told {
    /// A copy to record.
    pub(crate) fn recorded(&self) -> Recorded {
        match self {
            Self::Connect => Recorded::Connect,
            Self::Frame(bytes) => Recorded::Frame(bytes.clone()),
            Self::Detected(detections) => Recorded::Detected(detections.clone()),
            Self::Recalled { request, preparations } => {
                Recorded::Recalled { request: *request, preparations: preparations.clone() }
            }
            Self::Persisted(number) => Recorded::Persisted(*number),
            Self::Computed(job, _) => Recorded::Computed(*job),
            Self::Timeout => Recorded::Timeout,
        }
    }
}

/// A digest of what a machine wants done, key bits included.
pub(crate) fn digest(effects: &Effects) -> [u8; 32] {
    let mut sum = Sha256::new();
    let mut part = |kind: u8, bytes: &[u8]| {
        sum.update([kind]);
        sum.update((bytes.len() as u64).to_le_bytes());
        sum.update(bytes);
    };
    for effect in effects {
        match effect {
            Output::Send { to: OtherEnd, bytes } => part(1, bytes),
            Output::Persist(number, record) => {
                part(2, &number.to_le_bytes());
                part(3, &record.encode());
            }
            Output::Compute(job) => part(4, format!("{job:?}").as_bytes()),
            Output::Event(event) => {
                part(5, format!("{event:?}").as_bytes());
                if let LinkEvent::Key { key, .. } = event {
                    part(6, &zeroize::Zeroizing::new(key.expose().to_bytes()));
                }
            }
        }
    }
    sum.finalize().into()
}

/// Feeds `entries` to fresh machines and compares what they want done. `rng` must give what the live end's
/// generator gave. How many entries there were.
///
/// # Errors
/// The first entry at which a machine does otherwise.
pub fn check(
    side: Side,
    settings: &LinkSettings,
    rng: &mut dyn Rng,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<usize, Difference> {
    let mut replay = Replay::new(side, settings.clone());
    for entry in entries {
        replay.tell(rng, entry)?;
    }
    Ok(replay.told)
}

/// An end that is played again, entry by entry.
pub struct Replay {
    side: Side,
    settings: LinkSettings,
    machine: Option<Machine>,
    /// Of jobs whose results the machine has not been told.
    results: BTreeMap<u64, JobResult>,
    /// How many jobs the machine has wanted done.
    jobs: u64,
    effects: Effects,
    told: usize,
}

impl Replay {
    /// An end that has been told nothing.
    pub fn new(side: Side, settings: LinkSettings) -> Self {
        let (results, effects) = (BTreeMap::new(), Effects::new());
        Self { side, settings, machine: None, results, jobs: 0, effects, told: 0 }
    }

    /// Tells the end what it was told, and gives the frames that it sends then.
    ///
    /// # Errors
    /// If it wants something else done than it wanted then.
    pub fn tell(&mut self, rng: &mut dyn Rng, entry: Entry) -> Result<Vec<Vec<u8>>, Difference> {
        let Entry { at, input, outputs } = entry;
        let place = self.told;
        self.told += 1;
        let told = match input {
            Recorded::Made(durable) => {
                self.machine = Some(Machine::new(self.side, &self.settings, durable)?);
                self.results.clear();
                self.jobs = 0;
                return Ok(Vec::new());
            }
            Recorded::Connect => Told::Connect,
            Recorded::Frame(bytes) => Told::Frame(bytes),
            Recorded::Detected(detections) => Told::Detected(detections),
            Recorded::Recalled { request, preparations } => Told::Recalled { request, preparations },
            Recorded::Persisted(number) => Told::Persisted(number),
            Recorded::Computed(job) => {
                Told::Computed(job, self.results.remove(&job).ok_or(Difference::Impossible(place))?)
            }
            Recorded::Timeout => Told::Timeout,
        };
        let machine = self.machine.as_mut().ok_or(Difference::Impossible(place))?;
        machine.tell(at, rng, told, &mut self.effects);
        if digest(&self.effects) != outputs {
            return Err(Difference::Outputs(place));
        }
        let mut sent = Vec::new();
        for effect in self.effects.drain(..) {
            match effect {
                Output::Send { to: OtherEnd, bytes } => sent.push(bytes),
                Output::Compute(job) => {
                    self.results.insert(self.jobs, job.run());
                    self.jobs += 1;
                }
                Output::Persist(..) | Output::Event(_) => {}
            }
        }
        Ok(sent)
    }
}
