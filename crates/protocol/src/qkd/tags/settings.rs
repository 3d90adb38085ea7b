//! What the ends are told of their records, and how they find out that they were told different things.

use super::clock::Search;
use crate::qkd::wire::{Malformed, Reader, Writer};

/// Spans of time that can be set are no longer, in picoseconds.
const LONGEST: u64 = 1_000_000;
/// The widest search for an offset, in picoseconds.
const WIDEST: f64 = 60e12;
/// The widest search for a drift.
const STEEPEST: f64 = 1e-3;

/// What an end is to do with its record. `rounding`, `together` and `window` must be equal at both ends, who compare them
/// before anything else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TagSettings {
    /// Times are told in units of so many picoseconds, rounded down. Fine times tell which detector clicked, for no two
    /// answer alike quickly (Lamas-Linares & Kurtsiefer, Opt. Express 15, 9388 (2007)). Coarser ones tell less, though not in
    /// step (Pahalı, Tefek & Durak, arXiv:2203.03250): detectors' delays should be taken off before.
    pub rounding: u64,
    /// Clicks of one end that come less than so many picoseconds after the first of an event belong to it.
    pub together: u64,
    /// Events of both ends that are apart by at most half of so many picoseconds belong together; without it, six standard
    /// deviations of what is seen.
    pub window: Option<u64>,
    /// Where to look for the clock of the other end. Only the end that matches looks.
    pub search: Search,
    /// About what to add to the other clock's time, in picoseconds; without it, the records begin at about the same time or
    /// the clocks show about the same time.
    pub offset: Option<i64>,
}

impl Default for TagSettings {
    /// Rounded to 1 ns, 2 ns for clicks that come together, a window as the jitter is, offsets to 2 s and drifts to 20 ppm.
    fn default() -> Self {
        Self { rounding: 1000, together: 2000, window: None, search: Search::default(), offset: None }
    }
}

/// Why settings cannot be worked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagSettingsError {
    /// A figure is out of its range.
    #[error("{what} is {value}, and must be {range}")]
    OutOfRange {
        /// Which figure.
        what: &'static str,
        /// As given.
        value: String,
        /// What can be.
        range: &'static str,
    },
    /// The ends were given different settings.
    #[error("{what} is {here} here and {there} at the other end: give both the same")]
    Differ {
        /// Which figure.
        what: &'static str,
        /// At this end.
        here: String,
        /// At the other end.
        there: String,
    },
}

/// What of the settings the ends compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) matches: bool,
    pub(super) rounding: u64,
    pub(super) together: u64,
    pub(super) window: u64,
    pub(super) authenticated: bool,
}

impl TagSettings {
    /// Checks that these settings can be worked with.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), TagSettingsError> {
        let wrong = |what, value: String, range| Err(TagSettingsError::OutOfRange { what, value, range });
        let spans = [
            ("the rounding of times", Some(self.rounding)),
            ("the time within which clicks come together", Some(self.together)),
            ("the coincidence window", self.window),
        ];
        for (what, span) in spans {
            if let Some(span) = span
                && !(1..=LONGEST).contains(&span)
            {
                return wrong(what, format!("{span} ps"), "from 1 ps to 1 µs");
            }
        }
        if !(0.0..=WIDEST).contains(&self.search.offset) {
            let value = format!("{} s", self.search.offset * 1e-12);
            return wrong("how far an offset is looked for", value, "from 0 s to 60 s");
        }
        if !(0.0..=STEEPEST).contains(&self.search.drift) {
            let value = format!("{} ppm", self.search.drift * 1e6);
            return wrong("how large a drift is looked for", value, "from 0 ppm to 1000 ppm");
        }
        Ok(())
    }

    /// Two events of an honest end are at least so many units apart.
    pub(super) fn least_gap(&self) -> u64 {
        self.together / self.rounding
    }

    pub(super) fn greeting(&self, matches: bool, authenticated: bool) -> Greeting {
        Greeting {
            matches,
            rounding: self.rounding,
            together: self.together,
            window: self.window.unwrap_or(0),
            authenticated,
        }
    }
}

impl Greeting {
    pub(super) fn encode(&self, to: &mut Writer) {
        to.u8(u8::from(self.matches));
        to.count(self.rounding);
        to.count(self.together);
        to.count(self.window);
        to.u8(u8::from(self.authenticated));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            matches: from.flag()?,
            rounding: from.count()?,
            together: from.count()?,
            window: from.count()?,
            authenticated: from.flag()?,
        })
    }

    /// Whether the other end was given what this one was.
    pub(super) fn agrees(&self, there: &Self) -> Result<(), TagSettingsError> {
        let span = |span: u64| if span == 0 { "as seen".to_owned() } else { format!("{span} ps") };
        let word = |yes| if yes { "wanted" } else { "not wanted" }.to_owned();
        let differ = |what, here, there| Err(TagSettingsError::Differ { what, here, there });
        if self.rounding != there.rounding {
            return differ("the rounding of times", span(self.rounding), span(there.rounding));
        }
        if self.together != there.together {
            let what = "the time within which clicks come together";
            return differ(what, span(self.together), span(there.together));
        }
        if self.window != there.window {
            return differ("the coincidence window", span(self.window), span(there.window));
        }
        if self.authenticated != there.authenticated {
            return differ("authentication", word(self.authenticated), word(there.authenticated));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_and_what_differs_is_named() {
        let good = TagSettings::default();
        assert_eq!(good.validate(), Ok(()));
        for bad in [
            TagSettings { rounding: 0, ..good },
            TagSettings { together: 2_000_000, ..good },
            TagSettings { window: Some(0), ..good },
            TagSettings { search: Search { offset: 1e15, drift: 0.0 }, ..good },
            TagSettings { search: Search { offset: 1e12, drift: f64::NAN }, ..good },
        ] {
            assert!(matches!(bad.validate(), Err(TagSettingsError::OutOfRange { .. })), "{bad:?}");
        }
        let here = good.greeting(true, true);
        assert_eq!(here.agrees(&good.greeting(false, true)), Ok(()));
        for there in [
            Greeting { rounding: 500, ..here },
            Greeting { together: 1, ..here },
            Greeting { window: 7, ..here },
            Greeting { authenticated: false, ..here },
        ] {
            let told = here.agrees(&there).unwrap_err().to_string();
            assert!(told.ends_with("give both the same"), "{told}");
        }
    }
}
