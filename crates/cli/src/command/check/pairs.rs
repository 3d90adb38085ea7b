//! What a network file says of entangled pairs: links, circuits, demands.

use crate::table::{Align, Table};
use crate::{Failure, output, words};
use bellwether_network::{Circuit, Cutoff, Evidence, Network, PublishedPairs, QubitUse};
use bellwether_sim::entanglement::{Brightness, LinkModel, link_model};
use bellwether_units::{LinkId, NodeId};

/// The models of the first entangling links: whether platforms and stations give any.
pub(super) fn models(network: &Network, most: usize) -> Result<Vec<LinkModel>, Failure> {
    let links = (0u32..).map(LinkId).take(network.entangling_links.len().min(most));
    links.map(|id| link_model(network, id).map_err(Failure::input)).collect()
}

/// The tables of links, circuits and demands, as far as there are any.
pub(super) fn told(network: &Network, models: &[LinkModel], listed: usize) -> String {
    let mut text = String::new();
    let mut more = |table: &Table, all: usize, what: &str| {
        if table.is_empty() {
            return;
        }
        if !text.is_empty() || !network.links.is_empty() {
            text.push('\n');
        }
        text.push_str(&table.render(output::is_styled()));
        if all > listed {
            text.push_str(&format!("  … and {} more {what}\n", all - listed));
        }
    };
    more(&links(network, models, listed), network.entangling_links.len(), "entangling links");
    more(&circuits(network, listed), network.circuits.len(), "circuits");
    more(&demands(network, listed), network.pair_demands.len(), "pair demands");
    text
}

fn links(network: &Network, models: &[LinkModel], listed: usize) -> Table {
    let mut table = Table::new([
        ("entangling link", Align::Left),
        ("ends", Align::Left),
        ("length", Align::Right),
        ("scheme", Align::Left),
        ("at most", Align::Right),
        ("fidelity", Align::Right),
        ("stated", Align::Left),
    ]);
    for (link, model) in network.entangling_links.iter().zip(models).take(listed) {
        // One communication qubit tries for all, however many store what it makes.
        let own = link.qubits == [QubitUse::Own; 2];
        let trying = if own { link.memories[0].min(link.memories[1]) } else { 1 };
        let rate = |level: &Brightness| f64::from(trying) * level.success() / model.cycle.seconds();
        let rates: Vec<_> = model.levels.iter().map(rate).collect();
        let fidelities: Vec<_> = model.levels.iter().map(Brightness::fidelity).collect();
        let name = |end: NodeId| network.node(end).name.as_str();
        table.row([
            words::cut(&link.name, 20),
            words::cut(&format!("{} – {}", name(link.ends[0]), name(link.ends[1])), 18),
            words::kilometres(link.fibre.length.kilometres()),
            link.scheme.name().to_owned(),
            format!("{} /s", range(&rates)),
            range(&fidelities),
            link.published.as_deref().map_or_else(String::new, stated),
        ]);
    }
    table
}

/// One value, or the least and the greatest.
fn range(values: &[f64]) -> String {
    let least = words::digits(values.iter().copied().fold(f64::INFINITY, f64::min));
    let most = words::digits(values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    if least == most { most } else { format!("{least} to {most}") }
}

/// Rate and fidelity as somebody has told them, and how sure they are.
fn stated(published: &PublishedPairs) -> String {
    let rate = published.rate.map(|rate| format!("{} /s", words::plain(rate.per_second())));
    let fidelity = published.fidelity.map(|fidelity| format!("F {}", words::plain(fidelity)));
    let figures: Vec<_> = [rate, fidelity].into_iter().flatten().collect();
    let evidence = match published.evidence {
        Evidence::Published => "published",
        Evidence::FromMemory => "from memory",
        Evidence::Reconstructed => "reconstructed",
    };
    format!("{} ({evidence})", figures.join(", "))
}

fn circuits(network: &Network, listed: usize) -> Table {
    let mut table = Table::new([
        ("circuit", Align::Left),
        ("from → to", Align::Left),
        ("way", Align::Left),
        ("cutoff", Align::Right),
        ("purification", Align::Left),
    ]);
    for circuit in network.circuits.iter().take(listed) {
        let rounds: Vec<_> = circuit.purification.iter().map(|round| round.name()).collect();
        table.row([
            words::cut(&circuit.name, 20),
            from_to(network, circuit.from, circuit.to),
            way(network, circuit),
            match circuit.cutoff {
                Cutoff::Planned => "planned".to_owned(),
                Cutoff::Never => "none".to_owned(),
                Cutoff::After(age) => age.to_string(),
            },
            rounds.join(", "),
        ]);
    }
    table
}

/// The nodes on the way of a circuit.
fn way(network: &Network, circuit: &Circuit) -> String {
    let Some(path) = &circuit.path else { return "routed".to_owned() };
    let mut at = circuit.from;
    let mut between = Vec::new();
    for &link in path {
        let [first, second] = network.entangling_link(link).ends;
        at = if at == first { second } else { first };
        between.push(network.node(at).name.as_str());
    }
    between.pop();
    if between.is_empty() {
        "direct".to_owned()
    } else {
        words::cut(&format!("by {}", between.join(", ")), 30)
    }
}

fn demands(network: &Network, listed: usize) -> Table {
    let mut table = Table::new([
        ("pair demand", Align::Left),
        ("from → to", Align::Left),
        ("fidelity", Align::Right),
        ("asks for", Align::Left),
        ("use", Align::Left),
        ("circuit", Align::Left),
        ("stated", Align::Left),
    ]);
    for demand in network.pair_demands.iter().take(listed) {
        let pairs = demand.pairs.map(words::count);
        let rate = demand.rate.map(|rate| format!("{} /s", words::plain(rate.per_second())));
        let asked: Vec<_> = [pairs, rate].into_iter().flatten().collect();
        let circuit = demand.circuit.and_then(|place| network.circuits.get(place as usize));
        table.row([
            words::cut(&demand.name, 20),
            from_to(network, demand.from, demand.to),
            words::plain(demand.fidelity),
            if asked.is_empty() { "all there are".to_owned() } else { asked.join(", ") },
            demand.kind.name().to_owned(),
            words::cut(circuit.map_or("", |circuit| &circuit.name), 12),
            demand.published.as_deref().map_or_else(String::new, stated),
        ]);
    }
    table
}

fn from_to(network: &Network, from: NodeId, to: NodeId) -> String {
    words::cut(&format!("{} → {}", network.node(from).name, network.node(to).name), 24)
}
