//! What the ends tell each other before the session, so that what differs has a name.
//!
//! The session itself refuses ends of other settings: it compares a digest of them under a tag. What is told here is for
//! people, and nothing rests on it.

use crate::hardware::Side;
use bellwether_protocol::hardware::PulseNumber;
use bellwether_protocol::qkd::session::{LinkSettings, TagPolicy};
use bellwether_protocol::qkd::wire::{Malformed, Reader, Writer};

const VERSION: u8 = 1;
/// The most settings, and the longest name or value of one.
const MOST: u64 = 256;
const LONGEST: usize = 1024;

/// What an end says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) side: Side,
    /// Which recording its file belongs to, if the file says so.
    pub(super) run: Option<u64>,
    /// The first pulse that its file may still be used for.
    pub(super) first_pulse: PulseNumber,
    /// Settings by name: both ends have the same.
    pub(super) settings: Vec<(String, String)>,
}

/// What both ends of a link must have alike, in words.
pub(super) fn in_words(
    link: &str,
    pulse_rate: f64,
    settings: &LinkSettings,
    shared_secret: bool,
) -> Vec<(String, String)> {
    let mut words: Vec<(String, String)> = [
        ("the link", link.to_owned()),
        ("the number of pulses in a second", pulse_rate.to_string()),
        ("the bound", settings.bound.to_string()),
        ("secrecy", settings.security.secrecy.to_string()),
        ("correctness", settings.security.correctness.to_string()),
        ("the number of sifted bits in a block", settings.block_bits.to_string()),
        ("reconciliation", settings.reconciliation.name().to_owned()),
        (
            "authentication",
            match (shared_secret, settings.tags) {
                (false, _) => "without a shared secret",
                (true, TagPolicy::EveryBlock) => "by a shared secret, every block",
                (true, TagPolicy::EveryMessage) => "by a shared secret, every message",
            }
            .to_owned(),
        ),
        ("the number of intensities", settings.source.len().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for (number, class) in settings.source.iter().enumerate() {
        let [in_key, in_check] = class.several_photons;
        for (name, value) in [
            ("the mean photon number", class.mean_photons),
            ("the probability", class.probability),
            ("the probability of several photons in the key basis", in_key),
            ("the probability of several photons in the check basis", in_check),
        ] {
            words.push((format!("{name} of intensity {number}"), value.to_string()));
        }
    }
    words
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        out.u8(VERSION);
        out.u8(match self.side {
            Side::Receiver => 0,
            Side::Transmitter => 1,
        });
        match self.run {
            None => out.u8(0),
            Some(run) => {
                out.u8(1);
                out.u64(run);
            }
        }
        out.u64(self.first_pulse);
        out.count(self.settings.len() as u64);
        for text in self.settings.iter().flat_map(|(name, value)| [name, value]) {
            out.block(text.as_bytes());
        }
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            VERSION => {}
            other => return Err(Malformed::Version(other)),
        }
        let side = match input.u8()? {
            0 => Side::Receiver,
            1 => Side::Transmitter,
            _ => return Err(Malformed::Value("an end")),
        };
        let run = match input.u8()? {
            0 => None,
            1 => Some(input.u64()?),
            _ => return Err(Malformed::Value("the mark of a recording")),
        };
        let first_pulse = input.u64()?;
        let count = input.count_up_to(MOST, "the number of settings")?;
        let mut settings = Vec::new();
        for _ in 0..count {
            settings.push((text(input.block()?)?, text(input.block()?)?));
        }
        input.finish()?;
        Ok(Self { side, run, first_pulse, settings })
    }

    /// What keeps this end from working with the other, if anything does.
    pub(super) fn disagreement(&self, other: &Self) -> Option<String> {
        if other.side == self.side {
            return Some(format!(
                "the other end has a {}'s file as well: one end takes --alice and the transmitter's, the other --bob and the \
                 receiver's",
                other.side
            ));
        }
        let find = |settings: &[(String, String)], name: &str| {
            let found = settings.iter().find(|(other, _)| other == name);
            found.map_or("not told".to_owned(), |(_, value)| value.clone())
        };
        let names = self.settings.iter().chain(&other.settings).map(|(name, _)| name);
        for name in names {
            let (here, there) = (find(&self.settings, name), find(&other.settings, name));
            if here != there {
                return Some(format!(
                    "{name} is {here} here and {there} at the other end: give both the same --network, --link, --set and \
                     --reconciliation"
                ));
            }
        }
        match (self.run, other.run) {
            (Some(here), Some(there)) if here != there => Some(format!(
                "the two ends' files are of different recordings, {here:016x} here and {there:016x} at the other end"
            )),
            _ => None,
        }
    }
}

/// Text of the other end, which may be shown.
pub(super) fn text(bytes: &[u8]) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST);
    let text = text.filter(|text| !text.chars().any(char::is_control));
    text.map(str::to_owned).ok_or(Malformed::Value("a text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_protocol::qkd::reconcile::Family;
    use bellwether_protocol::qkd::security::{Bound, SourceClass};
    use bellwether_units::LinkId;
    use proptest::prelude::*;

    type Change = fn(&mut LinkSettings);

    fn settings() -> LinkSettings {
        let source = vec![SourceClass::new(0.5, 0.7), SourceClass::new(0.1, 0.3)];
        LinkSettings::new(LinkId(0), source, Bound::OneDecoyRusca)
    }

    fn hello(side: Side, settings: &LinkSettings) -> Hello {
        let settings = in_words("A-B", 1e9, settings, true);
        Hello { side, run: Some(7), first_pulse: 0, settings }
    }

    #[test]
    fn whatever_differs_has_a_name() {
        let alice = hello(Side::Transmitter, &settings());
        assert_eq!(alice.disagreement(&hello(Side::Receiver, &settings())), None);
        assert!(alice.disagreement(&alice).is_some_and(|told| told.contains("transmitter's file as well")));
        let changes: [(Change, &str); 9] = [
            (|s| s.source[1].mean_photons = 0.2, "the mean photon number of intensity 1 is 0.1 here and 0.2"),
            (|s| s.source[0].probability = 0.75, "the probability of intensity 0"),
            (|s| s.source[0].several_photons[0] = 0.5, "several photons in the key basis of intensity 0"),
            (|s| s.source.truncate(1), "the number of intensities is 2 here and 1"),
            (|s| s.bound = Bound::OneDecoyTight, "the bound"),
            (|s| s.security.secrecy = 1e-7, "secrecy"),
            (|s| s.block_bits = 5, "the number of sifted bits in a block is 1000000 here and 5"),
            (|s| s.reconciliation = Family::ALL[0], "reconciliation is"),
            (|s| s.tags = TagPolicy::EveryMessage, "authentication"),
        ];
        for (change, told) in changes {
            let mut there = settings();
            change(&mut there);
            let found = alice.disagreement(&hello(Side::Receiver, &there)).unwrap_or_default();
            assert!(found.contains(told), "{found}");
        }
        let mut there = hello(Side::Receiver, &settings());
        there.run = Some(8);
        assert!(alice.disagreement(&there).is_some_and(|told| told.contains("different recordings")));
        there.run = None;
        assert_eq!(alice.disagreement(&there), None, "a table does not say which recording it is of");
        there.settings.push(("the weather".to_owned(), "fair".to_owned()));
        let found = alice.disagreement(&there).unwrap_or_default();
        assert!(found.contains("the weather is not told here and fair at the other end"), "{found}");
    }

    proptest! {
        #[test]
        fn what_is_told_survives_the_wire(
            run: Option<u64>, first_pulse: u64, settings in proptest::collection::vec(("[a-z µ]{0,9}", "[0-9.]{0,9}"), 0..9),
        ) {
            let hello = Hello { side: Side::Receiver, run, first_pulse, settings };
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 3..80)) {
            (bytes[0], bytes[1], bytes[2]) = (VERSION, bytes[1] % 3, bytes[2] % 3);
            if let Ok(hello) = Hello::decode(&bytes) {
                prop_assert_eq!(hello.encode(), bytes);
            }
        }
    }
}
