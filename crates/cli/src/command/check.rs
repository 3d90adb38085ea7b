//! `bellwether check`: whether a network file is right, and what it describes.

mod pairs;

use super::{load, recorded_links};
use crate::args::Check;
use crate::table::{Align, Table, wrap};
use crate::{Failure, output, words};
use bellwether_network::{Fibre, Network, Role};
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
    repeaters: usize,
    links: usize,
    fibre_km: f64,
    entangling_links: usize,
    entangling_fibre_km: f64,
    circuits: usize,
    demands: usize,
    pair_demands: usize,
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
    let models = pairs::models(&network, TRIED)?;
    let of_role = |role| network.nodes.iter().filter(|node| node.role == role).count();
    let found = Found {
        network: &network.name,
        file: &network.identity.file,
        sha256: &network.identity.sha256,
        overrides: &network.identity.overrides,
        nodes: network.nodes.len(),
        trusted_nodes: of_role(Role::TrustedNode),
        repeaters: of_role(Role::Repeater),
        links: network.links.len(),
        fibre_km: kilometres(network.links.iter().map(|link| &link.fibre)),
        entangling_links: network.entangling_links.len(),
        entangling_fibre_km: kilometres(network.entangling_links.iter().map(|link| &link.fibre)),
        circuits: network.circuits.len(),
        demands: network.demands.len(),
        pair_demands: network.pair_demands.len(),
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
    text.push_str(&sizes(&found));
    text.push_str(&format!(
        "  runs for {} with seed {}\n  sha256 {}\n\n",
        words::seconds(found.duration_s),
        found.seed,
        found.sha256
    ));
    if !network.links.is_empty() || network.entangling_links.is_empty() {
        text.push_str(&links(&network, &rates));
    }
    text.push_str(&pairs::told(&network, &models, LISTED));
    if let Some(links) = recorded_links(&network) {
        text.push_str(&format!("\nplayed from recordings when it runs live: {links}\n"));
    }
    output::print(&text)
}

/// The length of all these fibres; a sum of none would be a negative zero.
fn kilometres<'n>(fibres: impl Iterator<Item = &'n Fibre>) -> f64 {
    fibres.map(|fibre| fibre.length.kilometres()).fold(0.0, |sum, length| sum + length)
}

/// How much of everything there is. What entangles is told where there is any.
fn sizes(found: &Found<'_>) -> String {
    let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    let fibre = |length| format!("with {} of fibre", words::kilometres(length));
    let roles = match found.repeaters {
        0 => format!("{} trusted", found.trusted_nodes),
        repeaters => format!("{} trusted, {}", found.trusted_nodes, count(repeaters, "repeater")),
    };
    let mut text = format!("  {} ({roles})", count(found.nodes, "node"));
    if found.links > 0 || found.entangling_links == 0 {
        let (links, demands) = (count(found.links, "link"), count(found.demands, "demand"));
        text.push_str(&format!(", {links} {}, {demands}", fibre(found.fibre_km)));
    }
    if found.entangling_links > 0 {
        text.push_str(&format!(
            ", {} {},\n  {}, {}",
            count(found.entangling_links, "entangling link"),
            fibre(found.entangling_fibre_km),
            count(found.circuits, "circuit"),
            count(found.pair_demands, "pair demand")
        ));
    }
    format!("{text}, {}\n", count(found.events, "event"))
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
