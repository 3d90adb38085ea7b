//! The machine of the end that sends the pulses.

use super::{Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, SettingsError, TransmitterCommand};
use crate::machine::{Input, Output, Protocol};
use bellwether_units::Time;
use rand_core::Rng;

/// The end of a link that sends the pulses.
pub struct Transmitter {
    settings: LinkSettings,
    durable: Durable,
}

impl Transmitter {
    /// A machine with these settings and what was last made durable.
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: LinkSettings, durable: Durable) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self { settings, durable })
    }
}

impl Protocol for Transmitter {
    type Peer = OtherEnd;
    type Command = TransmitterCommand;
    type Event = LinkEvent;
    type Record = Durable;
    type Job = Job;
    type JobResult = JobResult;

    fn handle(
        &mut self,
        _now: Time,
        _rng: &mut dyn Rng,
        _input: Input<'_, OtherEnd, TransmitterCommand, JobResult>,
        _out: &mut Vec<Output<OtherEnd, LinkEvent, Durable, Job>>,
    ) {
        let _ = (&self.settings, &self.durable);
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}
