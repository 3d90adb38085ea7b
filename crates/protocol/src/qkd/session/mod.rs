//! One link's distillation as two state machines that only exchange frames.
//!
//! The receiver is told what was detected, the transmitter what it had prepared; each tells secret keys, and
//! the key of a block is the same at both ends.

mod event;
mod job;
mod message;
mod receiver;
mod settings;
mod transmitter;

pub use super::channel::Durable;
pub use event::{
    BlockReport, ChannelAlarm, ChannelAlarmKind, DiscardReason, LinkEvent, OtherEnd, ReceiverCommand,
    SkipReason, TransmitterCommand,
};
pub use job::{Job, JobResult};
pub use receiver::Receiver;
pub use settings::{AuthenticationBudget, Limits, LinkSettings, SettingsError, TagPolicy, Timing};
pub use transmitter::Transmitter;
