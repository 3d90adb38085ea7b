//! What can be typed after `bellwether rate`.

use super::Input;
use clap::Args as Arguments;
use std::path::PathBuf;

/// Tell the expected key rate of a link, or what is expected of entangled pairs.
#[derive(Debug, Arguments)]
pub struct Rate {
    /// The network.
    #[command(flatten)]
    pub input: Input,
    /// Which link that makes key; may be left out if there is only one, and tells of entangled pairs where there are such links
    #[arg(long)]
    pub link: Option<String>,
    /// Sweep a value of the link from one end of a range to the other in even steps
    #[arg(long, value_name = "PATH=FROM..TO[:POINTS]", value_parser = Sweep::parse)]
    pub sweep: Option<Sweep>,
    /// Print the rates as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write a plot of the sweep to this file
    #[arg(long, value_name = "FILE", requires = "sweep")]
    pub svg: Option<PathBuf>,
}

/// A value of a link that goes from one end of a range to the other in even steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Which value, by its path within the link: `fibre.length`.
    pub path: String,
    /// Where it begins, in `unit`.
    pub from: f64,
    /// Where it ends, in `unit`.
    pub to: f64,
    /// The unit, which may be empty.
    pub unit: String,
    /// How many points, both ends included: 2 to [`Sweep::MAX_POINTS`].
    pub points: u32,
}

impl Sweep {
    /// The most points of a sweep.
    pub const MAX_POINTS: u32 = 10_000;
    const DEFAULT_POINTS: u32 = 41;
    const FORM: &str = "write a sweep like fibre.length=0km..400km or fibre.length=0km..400km:81";

    /// Reads `fibre.length=0km..400km:81`.
    ///
    /// # Errors
    /// In words, for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, range) = text.split_once('=').ok_or(Self::FORM)?;
        let (range, points) = match range.rsplit_once(':') {
            Some((range, points)) => {
                (range, points.trim().parse().map_err(|_| format!("`{points}` is no number of points"))?)
            }
            None => (range, Self::DEFAULT_POINTS),
        };
        if !(2..=Self::MAX_POINTS).contains(&points) {
            return Err(format!("a sweep has 2 to {} points, not {points}", Self::MAX_POINTS));
        }
        let (from, to) = range.split_once("..").ok_or(Self::FORM)?;
        let ((from, from_unit), (to, to_unit)) = (number_and_unit(from)?, number_and_unit(to)?);
        let unit = if from_unit.is_empty() { to_unit } else { from_unit };
        if unit != to_unit {
            return Err(format!("the ends of a sweep have one unit, not `{from_unit}` and `{to_unit}`"));
        }
        if path.trim().is_empty() || from == to {
            return Err(Self::FORM.to_owned());
        }
        Ok(Self { path: path.trim().to_owned(), from, to, unit: unit.to_owned(), points })
    }

    /// The values in [`unit`](Self::unit).
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.points).map(|point| {
            let part = f64::from(point) / f64::from(self.points - 1);
            let value = self.from + (self.to - self.from) * part;
            // Twelve significant digits, so that 0.1 + 0.2 does not show its double's tail.
            format!("{value:.11e}").parse().unwrap_or(value)
        })
    }

    /// The values as they would stand in the file, without quotes.
    pub fn values(&self) -> impl Iterator<Item = String> + '_ {
        self.numbers().map(|value| format!("{value} {}", self.unit).trim_end().to_owned())
    }
}

fn number_and_unit(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    // The longest prefix that is a number: `1e-3 km` has an exponent, `1 eV` has none.
    let split = (1..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end))
        .find(|&end| text[..end].trim_end().parse::<f64>().is_ok_and(f64::is_finite));
    let split = split.ok_or_else(|| format!("`{text}` does not begin with a number"))?;
    let number = text[..split].trim_end().parse().map_err(|_| format!("`{text}` is not a number"))?;
    Ok((number, text[split..].trim()))
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether rate networks/single-link.toml
  bellwether rate networks/repeater-chain.toml
  bellwether rate networks/secoqc-2008.toml --link BREIT-STP --sweep fibre.length=0km..150km
  bellwether rate networks/single-link.toml --sweep fibre.length=0km..400km:81 --svg rate.svg --json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_has_a_path_a_range_and_points() {
        let sweep = Sweep::parse("fibre.length=0km..400km:5").unwrap();
        let values: Vec<_> = sweep.values().collect();
        assert_eq!((sweep.path.as_str(), sweep.unit.as_str()), ("fibre.length", "km"));
        assert_eq!(values, ["0 km", "100 km", "200 km", "300 km", "400 km"]);
        assert_eq!(Sweep::parse("a=0.1..0.3:3").unwrap().values().last().unwrap(), "0.3");
        assert_eq!(Sweep::parse("a=0..1e-3 dB/km").unwrap().unit, "dB/km");
        assert_eq!(Sweep::parse("a=100 km..0 km").unwrap().points, 41);
    }

    #[test]
    fn a_sweep_that_is_none_is_refused() {
        for text in ["", "a", "a=1", "a=1..1", "=0..1", "a=0km..1m", "a=..", "a=0..1:1", "a=0..1:x", "a=x..y"]
        {
            assert!(Sweep::parse(text).is_err(), "{text}");
        }
        assert!(Sweep::parse("a=0..1:4000000000").is_err(), "too many points");
        assert!(Sweep::parse("a=0..inf").is_err(), "an endless range");
    }
}
