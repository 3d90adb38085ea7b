//! `bellwether rate`: what the formulas expect of a link.

use super::{find_link, load};
use crate::args::{Rate, Sweep};
use crate::{Failure, output, plot, text};
use bellwether_sim::expect::{Expectation, expectation};

pub(super) fn run(args: &Rate) -> Result<(), Failure> {
    let network = load(&args.input, &[])?;
    let id = find_link(&network, args.link.as_deref())?;
    let link = network.link(id);
    let rows = match &args.sweep {
        None => vec![expectation(&network, id).map_err(Failure::input)?],
        Some(sweep) => {
            sweep.values().map(|value| at(args, &link.name, sweep, value)).collect::<Result<_, _>>()?
        }
    };
    if let (Some(path), Some(sweep)) = (&args.svg, &args.sweep) {
        let values: Vec<_> = sweep.numbers().collect();
        let pulse_rate = link.mean_pulse_rate();
        let svg = plot::sweep(&link.name, &sweep.path, &values, &sweep.unit, &rows, pulse_rate);
        output::write_file(path, svg.as_bytes())?;
    }
    if args.json {
        return output::print_json(&rows);
    }
    let swept = args.sweep.as_ref().map(|sweep| sweep.path.as_str());
    output::print(&text::expectations(&link.name, &rows, swept, output::is_styled()))
}

/// What is expected with the swept value at `value`. The file is read again, so that the value goes through
/// the same checks as any other.
fn at(args: &Rate, link: &str, sweep: &Sweep, value: String) -> Result<Expectation, Failure> {
    let network = load(&args.input, &[format!("link.{link}.{}={value}", sweep.path)])?;
    let id = find_link(&network, Some(link))?;
    let mut row = expectation(&network, id).map_err(Failure::input)?;
    row.setting = Some(value);
    Ok(row)
}
