//! How long a tunnel uses a key of the key managers.

use bellwether_units::Duration;

/// How long a key is used. The lesser of both ends' limits hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In milliseconds.
    pub(super) life: u64,
    /// In bytes, in each direction.
    pub(super) volume: u64,
}

/// Why limits are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// The time.
    #[error("a tunnel's key lasts for 1 s to 24 h, not {0} ms")]
    Life(u64),
    /// The bytes.
    #[error("a tunnel's key lasts for 64 KiB to 64 GiB in each direction, not {0} bytes")]
    Volume(u64),
}

impl Limits {
    /// A key is used for `life` at most and for `volume` bytes in each direction.
    ///
    /// # Errors
    /// See [`LimitsError`].
    pub fn new(life: Duration, volume: u64) -> Result<Self, LimitsError> {
        Self::checked(life.picoseconds() / 1_000_000_000, volume)
    }

    fn checked(life: u64, volume: u64) -> Result<Self, LimitsError> {
        if !(1000..=86_400_000).contains(&life) {
            return Err(LimitsError::Life(life));
        }
        if !(1 << 16..=1 << 36).contains(&volume) {
            return Err(LimitsError::Volume(volume));
        }
        Ok(Self { life, volume })
    }

    /// The lesser of these and the other end's.
    pub(super) fn with(self, life: u64, volume: u64) -> Result<Self, LimitsError> {
        let other = Self::checked(life, volume)?;
        Ok(Self { life: self.life.min(other.life), volume: self.volume.min(other.volume) })
    }

    pub(super) fn life(self) -> Duration {
        Duration::from_milliseconds(self.life)
    }
}
