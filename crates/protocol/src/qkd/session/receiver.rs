//! The machine of the end that detects them.

use super::{Durable, Job, JobResult, LinkEvent, LinkSettings, OtherEnd, ReceiverCommand, SettingsError};
use crate::machine::{Input, Output, Protocol};
use bellwether_units::Time;
use rand_core::Rng;

/// The end of a link that detects them.
pub struct Receiver {
    settings: LinkSettings,
    durable: Durable,
}

impl Receiver {
    /// A machine with these settings and what was last made durable.
    ///
    /// # Errors
    /// If the settings cannot be worked with.
    pub fn new(settings: LinkSettings, durable: Durable) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self { settings, durable })
    }
}

impl Protocol for Receiver {
    type Peer = OtherEnd;
    type Command = ReceiverCommand;
    type Event = LinkEvent;
    type Record = Durable;
    type Job = Job;
    type JobResult = JobResult;

    fn handle(
        &mut self,
        _now: Time,
        _rng: &mut dyn Rng,
        _input: Input<'_, OtherEnd, ReceiverCommand, JobResult>,
        _out: &mut Vec<Output<OtherEnd, LinkEvent, Durable, Job>>,
    ) {
        let _ = (&self.settings, &self.durable);
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}
