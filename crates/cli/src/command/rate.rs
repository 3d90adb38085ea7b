//! `bellwether rate`: what the formulas expect of a link, or of the entanglement of a network.

use super::{cannot_run, find_link, load};
use crate::args::{Rate, Sweep};
use crate::{Failure, output, plot, text};
use bellwether_network::Network;
use bellwether_sim::entanglement::expect::pair_expectations;
use bellwether_sim::expect::{Expectation, expectation};

pub(super) fn run(args: &Rate) -> Result<(), Failure> {
    let network = load(&args.input, &[])?;
    if args.link.is_none() && !network.entangling_links.is_empty() {
        return pairs(args, &network);
    }
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

/// What is expected of entangled pairs, of all links and demands at once.
fn pairs(args: &Rate, network: &Network) -> Result<(), Failure> {
    if args.sweep.is_some() {
        let text = "a sweep is of a link that makes key: name one with --link. Values of entangling links are set with --set";
        return Err(Failure::Input(text.to_owned()));
    }
    let found = pair_expectations(network).map_err(|error| cannot_run(network)(error.into()))?;
    let found = found.unwrap_or_default();
    if args.json {
        output::print_json(&found)
    } else {
        output::print(&text::pair_expectations(&found, output::is_styled()))
    }
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
