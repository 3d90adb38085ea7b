//! What can be typed of records of time tags.

use bellwether_live::distill::tags::Channels;
use bellwether_units::{Duration, Quantity};
use clap::Args as Arguments;

/// How a record of time tags is read and sifted.
#[derive(Clone, Debug, Default, Arguments)]
#[command(next_help_heading = "Time tags")]
pub struct TimeTags {
    /// Which channel is which basis and bit; `-` is not looked at [default: 0=Z0,1=Z1,2=X0,3=X1]
    #[arg(long, value_name = "CHANNELS", value_parser = Channels::parse)]
    pub channels: Option<Channels>,
    /// By how much later than others channels tell, which is taken off, as 1=350ps,2=-1.2ns
    #[arg(long, value_name = "DELAYS", value_parser = delays)]
    pub delays: Option<String>,
    /// Times are told to the other end in such steps: fine times tell the detector. Both ends alike [default: 1 ns]
    #[arg(long, value_name = "TIME", value_parser = super::lasting)]
    pub rounding: Option<Duration>,
    /// Clicks of one end so close are one event, whose bit is drawn if they disagree. Both ends alike [default: 2 ns]
    #[arg(long, value_name = "TIME", value_parser = super::lasting)]
    pub together: Option<Duration>,
    /// The full width of the coincidence window. Both ends alike [default: six standard deviations of what is seen]
    #[arg(long, value_name = "TIME", value_parser = super::lasting)]
    pub window: Option<Duration>,
    /// About what Alice's clock shows when Bob's shows 0; hers to know [default: the records begin together, or the clocks
    /// agree]
    #[arg(long, value_name = "TIME", value_parser = signed, allow_hyphen_values = true, conflicts_with = "bob")]
    pub clock_offset: Option<i64>,
    /// How far from that the offset is looked for, either way [default: 2 s]
    #[arg(long, value_name = "TIME", value_parser = super::lasting, conflicts_with = "bob")]
    pub offset_within: Option<Duration>,
    /// The largest drift of the clocks that is looked for, in parts per million [default: 20]
    #[arg(long, value_name = "PPM", conflicts_with = "bob")]
    pub drift_within: Option<f64>,
}

impl TimeTags {
    /// Which of these options was given, if any was.
    pub fn given(&self) -> Option<&'static str> {
        let all = [
            ("--channels", self.channels.is_some()),
            ("--delays", self.delays.is_some()),
            ("--rounding", self.rounding.is_some()),
            ("--together", self.together.is_some()),
            ("--window", self.window.is_some()),
            ("--clock-offset", self.clock_offset.is_some()),
            ("--offset-within", self.offset_within.is_some()),
            ("--drift-within", self.drift_within.is_some()),
        ];
        all.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

fn delays(text: &str) -> Result<String, String> {
    Channels::default().with_delays(text).map(|_| text.to_owned())
}

/// A time in picoseconds that may be negative.
fn signed(text: &str) -> Result<i64, String> {
    let (negative, span) = text.trim().strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let span = Duration::parse(span.trim()).map_err(|error| error.to_string())?;
    let picoseconds = i64::try_from(span.picoseconds()).map_err(|_| "beyond 2^63 ps".to_owned())?;
    Ok(if negative { -picoseconds } else { picoseconds })
}
