//! `bellwether status`: how the nodes of a network do, refreshed in place on a terminal.

use super::{block_on, require_identity, state_of};
use crate::args::{Input, NodeStatus};
use crate::command::load;
use crate::table::{Align, Table};
use crate::{Failure, output, words};
use bellwether_live::directory::node_addresses;
use bellwether_live::identity::Role;
use bellwether_live::interface::operations::client::{OperationsClient, OperationsError, ask_all};
use bellwether_live::interface::operations::status::{LinkStatus, Status};
use bellwether_live::state::OPERATOR;
use bellwether_units::NodeId;
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::time::Duration;

/// Alarms that are shown, the newest.
const ALARMS: usize = 8;

/// Pairs of nodes without new key that are shown.
const DROUGHTS: usize = 8;

type Answers = Vec<(String, Result<Status, OperationsError>)>;

pub(crate) fn run(args: &NodeStatus) -> Result<(), Failure> {
    let nodes = clients(args)?;
    let ask = || block_on(async { Ok(ask_all(&nodes).await) });
    if args.json {
        let answers = ask()?;
        let each = answers.iter().map(|(name, answer)| {
            let told = match answer {
                Ok(status) => serde_json::to_value(status).unwrap_or_default(),
                Err(error) => json!({ "error": error.to_string() }),
            };
            (name.clone(), told)
        });
        output::print_json(&json!({ "version": 1, "nodes": Value::Object(each.collect::<Map<_, _>>()) }))?;
        return any_answer(&answers);
    }
    if args.once || !std::io::stdout().is_terminal() {
        let answers = ask()?;
        output::print(&tables(&answers))?;
        return any_answer(&answers);
    }
    // The terminal is cleared once; later each line is written over what stood there.
    output::print_part("\x1b[2J")?;
    loop {
        let text = tables(&ask()?);
        output::print_part(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")))?;
        std::thread::sleep(Duration::from_secs_f64(args.every.seconds()));
    }
}

/// Who is asked, by name.
fn clients(args: &NodeStatus) -> Result<Vec<(String, OperationsClient)>, Failure> {
    let Some(file) = &args.network else {
        if let Some(address) = args.at.iter().find(|address| !address.ip().is_loopback()) {
            return Err(Failure::Input(format!(
                "{address} is on another machine, where the node's name must be known: use --network"
            )));
        }
        let plain = |address: &std::net::SocketAddr| (address.to_string(), OperationsClient::plain(*address));
        return Ok(args.at.iter().map(plain).collect());
    };
    let network = load(&Input { file: file.clone(), set: args.set.clone() }, &[])?;
    let state = state_of(&network, args.state.as_deref());
    let nodes = network.nodes.iter().enumerate();
    nodes
        .map(|(place, node)| {
            let addresses = node_addresses(&network, NodeId(place as u32)).map_err(Failure::input)?;
            if !addresses.operations.ip().is_loopback() {
                require_identity(&state, Role::Node, OPERATOR)?;
            }
            let client = OperationsClient::new(&addresses, &node.name, &state).map_err(Failure::live)?;
            Ok((node.name.clone(), client.expecting(&network.name, &node.name)))
        })
        .collect()
}

fn any_answer(answers: &Answers) -> Result<(), Failure> {
    match answers.iter().find_map(|(_, answer)| answer.as_ref().err()) {
        Some(error) if answers.iter().all(|(_, answer)| answer.is_err()) => {
            Err(Failure::Live(format!("no node answers: {error}\n  does the network run?")))
        }
        _ => Ok(()),
    }
}

fn tables(answers: &Answers) -> String {
    let styled = output::is_styled();
    let mut text = nodes(answers).render(styled);
    let links = links(answers);
    if !links.is_empty() {
        text.push('\n');
        text.push_str(&links.render(styled));
    }
    text.push_str(&droughts(answers));
    let mut alarms: Vec<_> =
        answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).flat_map(|s| &s.alarms).collect();
    alarms.sort_by_key(|alarm| alarm["time"].as_str().unwrap_or_default());
    let mut table = Table::new([
        ("time", Align::Left),
        ("node", Align::Left),
        ("link", Align::Left),
        ("alarm", Align::Left),
        ("seen", Align::Left),
    ]);
    for alarm in alarms.iter().rev().take(ALARMS) {
        let member = |name: &str| words::cut(alarm[name].as_str().unwrap_or_default(), 48);
        table.row(["time", "node", "link", "text", "seen"].map(member));
    }
    if !table.is_empty() {
        text.push('\n');
        text.push_str(&table.render(styled));
    }
    text
}

/// For which pairs of nodes the network gives no quantum key, and why.
fn droughts(answers: &Answers) -> String {
    let mut lines = Vec::new();
    for status in answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()) {
        for peer in &status.peers {
            if let Some(why) = &peer.drought {
                lines.push(format!("  no new quantum key at {} for {}: {why}\n", status.node, peer.peer));
            }
        }
    }
    let more = lines.len().saturating_sub(DROUGHTS);
    lines.truncate(DROUGHTS);
    if more > 0 {
        lines.push(format!("  … and {more} more\n"));
    }
    if !lines.is_empty() {
        lines.insert(0, "\n".to_owned());
    }
    lines.concat()
}

fn nodes(answers: &Answers) -> Table {
    let mut table = Table::new([
        ("node", Align::Left),
        ("state", Align::Left),
        ("up", Align::Right),
        ("stock", Align::Right),
        ("issued", Align::Right),
        ("collected", Align::Right),
        ("waiting", Align::Right),
        ("lost", Align::Right),
        ("denied", Align::Right),
        ("alarms", Align::Right),
    ]);
    for (name, answer) in answers {
        let name = words::cut(name, 24);
        let status = match answer {
            Ok(status) => status,
            Err(error) => {
                table.row([name, words::cut(&error.to_string(), 60)]);
                continue;
            }
        };
        let requests = &status.requests;
        let downgraded = status.peers.iter().filter(|peer| peer.downgraded.is_some()).count();
        let state = match (&status.not_ready, downgraded) {
            (Some(why), _) => words::cut(why, 40),
            (None, 0) => "ready".to_owned(),
            (None, peers) => format!("ready, {peers} downgraded"),
        };
        let alarms: u64 = status.links.iter().flat_map(|link| link.alarms.values()).sum();
        table.row([
            words::cut(&status.node, 24),
            state,
            words::seconds(status.uptime_seconds.round()),
            words::bits(status.peers.iter().map(|peer| peer.stock_bits).sum()),
            words::count(requests.issued.values().sum()),
            words::count(requests.collected),
            words::count(requests.pending as u64),
            words::count(requests.lost.values().sum()),
            words::count(requests.denied),
            words::count(alarms),
        ]);
    }
    table
}

/// One row a link; what only one end knows is told as that end has it.
fn links(answers: &Answers) -> Table {
    let mut table = Table::new([
        ("link", Align::Left),
        ("condition", Align::Left),
        ("session", Align::Left),
        ("block", Align::Right),
        ("QBER", Align::Right),
        ("rate", Align::Right),
        ("pool", Align::Right),
        ("blocks", Align::Right),
        ("discarded", Align::Right),
        ("alarms", Align::Right),
    ]);
    let mut ends: Vec<(&str, Vec<&LinkStatus>)> = Vec::new();
    for link in answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).flat_map(|s| &s.links) {
        match ends.iter_mut().find(|(name, _)| *name == link.link) {
            Some((_, ends)) => ends.push(link),
            None => ends.push((&link.link, vec![link])),
        }
    }
    for (name, ends) in ends {
        let most = |figure: fn(&LinkStatus) -> u64| ends.iter().map(|end| figure(end)).max().unwrap_or(0);
        let mut conditions: Vec<_> = ends.iter().map(|end| end.condition.as_str()).collect();
        conditions.dedup();
        let open = ends.iter().all(|end| end.session.is_some());
        let qber = ends.iter().find_map(|end| end.last_block.as_ref()?.qber_key);
        // How far the block is that is being gathered: key comes once it is full.
        let blocks = ends.iter().filter_map(|end| end.open_block);
        let parts = blocks.map(|block| block.sifted_bits as f64 / block.of_bits.max(1) as f64);
        let block = parts.reduce(f64::max);
        let rate = ends.iter().map(|end| end.secret_bits_per_second).fold(0.0, f64::max);
        table.row([
            words::cut(name, 32),
            conditions.join(" / "),
            if open { "open" } else { "closed" }.to_owned(),
            block.map_or("–".to_owned(), |part| format!("{:.0} %", 100.0 * part)),
            words::percent_or_dash(qber),
            words::rate(rate),
            words::bits(most(|end| end.pool.outgoing + end.pool.incoming)),
            words::count(most(|end| end.blocks.distilled)),
            words::count(most(|end| end.blocks.discarded.values().sum())),
            words::count(most(|end| end.alarms.values().sum())),
        ]);
    }
    table
}
