//! Whether a link's key may be used, as its alarms and blocks say.

use super::AlarmKind;
use bellwether_units::Time;

impl AlarmKind {
    /// Whether the link's key must not be used while this lasts: it speaks of an eavesdropper or a device that
    /// fails, and not of a line or a peer that is away.
    pub fn marks_link(&self) -> bool {
        matches!(
            self,
            Self::QberHigh(_)
                | Self::DecoyStatistics { .. }
                | Self::DoubleClicksMissing
                | Self::BiasCurrent
                | Self::VerificationFailed
                | Self::AuthenticationFailed
        )
    }
}

/// What one end thinks of its link: marked by an alarm that [marks](AlarmKind::marks_link) it, trusted again after
/// a later block with key. A block raises its alarms when it ends, before its key is told, so that a block never
/// clears itself.
///
/// ```
/// use bellwether_protocol::qkd::alarm::Trust;
/// use bellwether_units::Time;
///
/// let mut trust = Trust::default();
/// let (first, second) = (Time::from_picoseconds(1), Time::from_picoseconds(2));
/// assert!(trust.mark(first));
/// assert!(!trust.block(first, true) && !trust.block(second, false) && trust.is_marked());
/// assert!(trust.block(second, true) && !trust.is_marked());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    marked: Option<Time>,
}

impl Trust {
    /// An alarm marks the link; whether it was trusted before.
    pub fn mark(&mut self, at: Time) -> bool {
        self.marked.replace(at).is_none()
    }
    /// A block ended; whether the link is trusted again by it.
    pub fn block(&mut self, at: Time, has_key: bool) -> bool {
        let cleared = has_key && self.marked.is_some_and(|since| since < at);
        if cleared {
            self.marked = None;
        }
        cleared
    }
    /// Whether the link is marked.
    pub fn is_marked(&self) -> bool {
        self.marked.is_some()
    }
}
