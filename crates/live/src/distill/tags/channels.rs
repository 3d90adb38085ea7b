//! Which detector is on which input of a time tagger.

use bellwether_protocol::qkd::tags::{Basis, Outcome};
use bellwether_units::{Duration, Quantity};

/// Cables and detectors may differ by this much, in picoseconds.
const LONGEST_DELAY: i64 = 1_000_000;

/// What the channels of a time tagger stand for, and by how much later than others they tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    meaning: [Meaning; 256],
    /// In picoseconds.
    delays: [i64; 256],
}

/// What a channel stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Unknown,
    Ignored,
    Detector(Outcome),
}

impl Default for Channels {
    /// `0=Z0,1=Z1,2=X0,3=X1`.
    fn default() -> Self {
        let mut meaning = [Meaning::Unknown; 256];
        for (channel, (basis, bit)) in
            [(Basis::Z, false), (Basis::Z, true), (Basis::X, false), (Basis::X, true)].into_iter().enumerate()
        {
            meaning[channel] = Meaning::Detector(Outcome::new(basis, bit));
        }
        Self { meaning, delays: [0; 256] }
    }
}

impl Channels {
    /// Reads which channel is which detector: `0=Z0,1=Z1,2=X0,3=X1,7=-`. A channel with `-` is not looked at.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut channels = Self { meaning: [Meaning::Unknown; 256], delays: [0; 256] };
        for part in text.split(',') {
            let (channel, word) = assignment(part, "0=Z0")?;
            let meaning = match word {
                "-" => Meaning::Ignored,
                "Z0" => Meaning::Detector(Outcome::new(Basis::Z, false)),
                "Z1" => Meaning::Detector(Outcome::new(Basis::Z, true)),
                "X0" => Meaning::Detector(Outcome::new(Basis::X, false)),
                "X1" => Meaning::Detector(Outcome::new(Basis::X, true)),
                other => {
                    return Err(format!(
                        "channel {channel} is `{other}`, and can be Z0, Z1, X0, X1 (basis and bit) or - (not looked at)"
                    ));
                }
            };
            if channels.meaning[usize::from(channel)] != Meaning::Unknown {
                return Err(format!("channel {channel} is given twice"));
            }
            channels.meaning[usize::from(channel)] = meaning;
        }
        for basis in Basis::BOTH {
            for bit in [false, true] {
                if !channels.meaning.contains(&Meaning::Detector(Outcome::new(basis, bit))) {
                    let name = format!("{}{}", basis.name(), u8::from(bit));
                    return Err(format!("no channel is {name}: there are four detectors, Z0, Z1, X0 and X1"));
                }
            }
        }
        Ok(channels)
    }

    /// Reads by how much later than they should channels tell, `1=350 ps,2=-1.2 ns`: that is taken off their times.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn with_delays(mut self, text: &str) -> Result<Self, String> {
        for part in text.split(',') {
            let (channel, word) = assignment(part, "1=350 ps")?;
            let (negative, span) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
            let span = Duration::parse(span.trim()).map_err(|error| format!("channel {channel}: {error}"))?;
            let delay = i64::try_from(span.picoseconds()).unwrap_or(i64::MAX);
            if delay > LONGEST_DELAY {
                return Err(format!("channel {channel} is late by {word}, and 1 µs is the most"));
            }
            self.delays[usize::from(channel)] = if negative { -delay } else { delay };
        }
        Ok(self)
    }

    pub(super) fn meaning(&self, channel: u8) -> Meaning {
        self.meaning[usize::from(channel)]
    }

    pub(super) fn delay(&self, channel: u8) -> i64 {
        self.delays[usize::from(channel)]
    }

    /// The greatest delay.
    pub(super) fn latest(&self) -> i64 {
        self.delays.iter().copied().max().unwrap_or(0)
    }

    /// Whether times come out in another order than they stand in the record.
    pub(super) fn reorder(&self) -> bool {
        self.delays.iter().any(|&delay| delay != 0)
    }

    /// What channels are known, with the delays that are not 0.
    pub(super) fn told_with_delays(&self) -> String {
        let delays = (0..=255u8).filter(|&channel| self.delay(channel) != 0);
        let delays: Vec<String> =
            delays.map(|channel| format!("{channel}={} ps", self.delay(channel))).collect();
        if delays.is_empty() { self.told() } else { format!("{} delayed {}", self.told(), delays.join(",")) }
    }

    /// Which channels are known, in words.
    pub(super) fn told(&self) -> String {
        let known: Vec<String> = (0..=255u8)
            .filter_map(|channel| match self.meaning(channel) {
                Meaning::Unknown => None,
                Meaning::Ignored => Some(format!("{channel}=-")),
                Meaning::Detector(outcome) => {
                    Some(format!("{channel}={}{}", outcome.basis().name(), u8::from(outcome.bit())))
                }
            })
            .collect();
        known.join(",")
    }
}

fn assignment<'a>(part: &'a str, example: &str) -> Result<(u8, &'a str), String> {
    let (channel, word) =
        part.split_once('=').ok_or_else(|| format!("`{part}`: such as {example}, separated by commas"))?;
    let channel = channel.trim();
    let number = channel.parse().map_err(|_| format!("`{channel}` is no channel: a number from 0 to 255"))?;
    Ok((number, word.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_delays_are_read() {
        let read = Channels::parse("0=Z0, 1=Z1,2=X0 ,3=X1").unwrap();
        assert_eq!(read, Channels::default());
        assert_eq!(read.told(), "0=Z0,1=Z1,2=X0,3=X1");
        let read = Channels::parse("8=X1,7=X0,6=Z1,5=Z0,255=-").unwrap();
        assert_eq!((read.meaning(255), read.meaning(0)), (Meaning::Ignored, Meaning::Unknown));
        let read = read.with_delays("7=350 ps, 5=-1.2ns").unwrap();
        assert_eq!((read.delay(7), read.delay(5), read.delay(8), read.latest()), (350, -1200, 0, 350));
        assert!(read.reorder() && !Channels::default().reorder());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text: &str| Channels::parse(text).unwrap_err();
        assert!(told("0=Z0,1=Z1,2=X0").contains("no channel is X1"));
        assert!(told("0=Z0,0=Z1,2=X0,3=X1").contains("channel 0 is given twice"));
        assert!(told("0=Y0").contains("channel 0 is `Y0`, and can be Z0"));
        assert!(told("256=Z0").contains("`256` is no channel"));
        assert!(told("Z0").contains("such as 0=Z0"));
        let late = |text: &str| Channels::default().with_delays(text).unwrap_err();
        assert!(late("1=2 us").contains("1 µs is the most"));
        assert!(late("1=2").contains("channel 1:"));
    }
}
