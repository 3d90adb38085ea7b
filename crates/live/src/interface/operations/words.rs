//! The words by which operators are told what the machines mean; they stay the same between versions.

use bellwether_protocol::keys::delivery::{Alarm, BurnedCause, LostCause, Protection};
use bellwether_protocol::keys::{BurnCause, Failure, LinkCondition, LossCause, Refusal};
use bellwether_units::NodeId;

pub(super) const fn condition(condition: LinkCondition) -> &'static str {
    match condition {
        LinkCondition::Up => "up",
        LinkCondition::Cut => "cut",
        LinkCondition::Alarmed => "alarmed",
    }
}

pub(super) const fn protection(protection: Protection) -> &'static str {
    match protection {
        Protection::Hybrid => "hybrid",
        Protection::QuantumOnly => "quantum-only",
        Protection::PostQuantumOnly => "post-quantum-only",
        Protection::Local => "local",
    }
}

pub(super) const fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::PoolEmpty => "pool-empty",
        Failure::LinkCut => "link-cut",
        Failure::LinkAlarmed => "link-alarmed",
        Failure::PoolMismatch => "pool-mismatch",
        Failure::NodeBusy => "node-busy",
        Failure::Silence => "silence",
    }
}

pub(super) const fn burn_cause(cause: BurnCause) -> &'static str {
    match cause {
        BurnCause::TransferFailed => "transfer-failed",
        BurnCause::PeerMissing => "peer-missing",
        BurnCause::PeerPassed => "peer-passed",
        BurnCause::Mismatch => "mismatch",
    }
}

pub(super) const fn loss_cause(cause: LossCause) -> &'static str {
    match cause {
        LossCause::Crash => "crash",
        LossCause::PeerLost => "peer-lost",
        LossCause::Doubt => "doubt",
    }
}

pub(super) const fn lost_cause(cause: LostCause) -> &'static str {
    match cause {
        LostCause::InDoubt => "in-doubt",
        LostCause::PeerMissing => "peer-missing",
        LostCause::Expired => "expired",
        LostCause::RolledBack => "rolled-back",
    }
}

pub(super) const fn burned_cause(cause: BurnedCause) -> &'static str {
    match cause {
        BurnedCause::PeerMissing => "peer-missing",
        BurnedCause::NotAccepted => "not-accepted",
        BurnedCause::Mismatch => "mismatch",
        BurnedCause::RolledBack => "rolled-back",
    }
}

pub(in crate::interface) const fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownNode => "unknown-node",
        Refusal::Size => "size",
        Refusal::QueueFull => "queue-full",
        Refusal::NoRoute => "no-route",
        Refusal::LinkCut => "link-cut",
        Refusal::LinkAlarmed => "link-alarmed",
        Refusal::PoolsEmpty => "pools-empty",
        Refusal::Unreachable => "unreachable",
        Refusal::Withdrawn => "withdrawn",
    }
}

/// A word for an alarm of the key manager, the node that it is about, and what it says.
pub(super) fn delivery_alarm(alarm: &Alarm) -> (&'static str, Option<NodeId>, String) {
    match alarm {
        Alarm::RolledBack { witness } => {
            let text = "the store of this node is older than what it did: its stock is burned";
            ("store-rolled-back", *witness, text.to_owned())
        }
        Alarm::Mismatch { peer, block } => {
            let text = format!("the proof of block {block} was wrong: it is burned at both ends");
            ("key-mismatch", Some(*peer), text)
        }
    }
}
