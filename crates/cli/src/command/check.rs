//! `bellwether check`: whether a network file is right, and what it describes.

use super::{load, recorded_links};
use crate::args::Check;
use crate::table::{Align, Table, wrap};
use crate::{Failure, output, words};
use bellwether_network::{Network, Role};
use bellwether_sim::expect::expectation;
use bellwether_units::LinkId;
use serde::Serialize;

/// Links whose devices are tried; more would take long.
const TRIED: usize = 2000;
/// Links listed on the terminal.
const LISTED: usize = 50;

/// What was found, as JSON tells it.
#[derive(Debug, Serialize)]
struct Found<'a> {
    network: &'a str,
    file: &'a str,
    sha256: &'a str,
    overrides: &'a [String],
    nodes: usize,
    trusted_nodes: usize,
    links: usize,
    fibre_km: f64,
    demands: usize,
    events: usize,
    duration_s: f64,
    seed: u64,
}

pub(super) fn run(args: &Check) -> Result<(), Failure> {
    let network = load(&args.input, &[])?;
    let mut rates = Vec::new();
    for id in (0u32..).map(LinkId).take(network.links.len().min(TRIED)) {
        rates.push(expectation(&network, id).map_err(Failure::input)?);
    }
    let found = Found {
        network: &network.name,
        file: &network.identity.file,
        sha256: &network.identity.sha256,
        overrides: &network.identity.overrides,
        nodes: network.nodes.len(),
        trusted_nodes: network.nodes.iter().filter(|node| node.role == Role::TrustedNode).count(),
        links: network.links.len(),
        fibre_km: network.links.iter().map(|link| link.fibre.length.kilometres()).sum(),
        demands: network.demands.len(),
        events: network.events.len(),
        duration_s: network.run.duration.seconds(),
        seed: network.run.seed,
    };
    if args.json {
        return output::print_json(&found);
    }
    let mut text = format!("{}: {} is a valid network file\n", found.file, found.network);
    if !network.description.is_empty() {
        text.push_str(&format!("  {}\n", wrap(&network.description, 98, 2)));
    }
    let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    text.push_str(&format!(
        "  {} ({} trusted), {} with {} of fibre, {}, {}\n  runs for {} with seed {}\n  sha256 {}\n\n",
        count(found.nodes, "node"),
        found.trusted_nodes,
        count(found.links, "link"),
        words::kilometres(found.fibre_km),
        count(found.demands, "demand"),
        count(found.events, "event"),
        words::seconds(found.duration_s),
        found.seed,
        found.sha256
    ));
    text.push_str(&links(&network, &rates));
    if let Some(links) = recorded_links(&network) {
        text.push_str(&format!("\nplayed from recordings when it runs live: {links}\n"));
    }
    output::print(&text)
}

fn links(network: &Network, rates: &[bellwether_sim::expect::Expectation]) -> String {
    let mut table = Table::new([
        ("link", Align::Left),
        ("from → to", Align::Left),
        ("length", Align::Right),
        ("loss", Align::Right),
        ("expected", Align::Right),
    ]);
    for (link, rate) in network.links.iter().zip(rates).take(LISTED) {
        table.row([
            words::cut(&link.name, 24),
            words::cut(
                &format!(
                    "{} → {}",
                    network.node(link.transmitter_at).name,
                    network.node(link.receiver_at).name
                ),
                30,
            ),
            words::kilometres(rate.length_km),
            words::decibels(rate.loss_db),
            words::rate(rate.secret_rate_per_s),
        ]);
    }
    let mut text = table.render(output::is_styled());
    if network.links.len() > LISTED {
        text.push_str(&format!("  … and {} more links\n", network.links.len() - LISTED));
    }
    text
}
