//! `bellwether up`: a whole network on this machine.

use super::{applications, block_on, records, state_of};
use crate::args::{Keeping, Up};
use crate::command::load_with_bytes;
use crate::table::{Align, Table};
use crate::{Failure, output, words};
use bellwether_live::application::client;
use bellwether_live::directory::{self, Applications, node_addresses};
use bellwether_live::identity::Role;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::node::policy;
use bellwether_live::process::crew::{Death, Member, News};
use bellwether_live::process::stop::{Reload, Stop};
use bellwether_live::process::whole;
use bellwether_live::state::State;
use bellwether_network::Network;
use bellwether_units::NodeId;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// Nodes that are listed.
const LISTED: usize = 50;
/// How wide the names of a node's applications may be.
const APPLICATIONS_WIDTH: usize = 48;

pub(crate) fn run(args: &Up) -> Result<(), Failure> {
    let (network, file) = load_with_bytes(&args.input, &[])?;
    let applications = applications(&network)?;
    let state = state_of(&network, args.state.as_deref());
    // Before anything is written: what a running network reads must not change under it.
    let _lock = state.lock().map_err(Failure::live)?;
    let names = applications.directory.applications().map(|(name, _)| name.as_str());
    let made = state.provision(&network, names).map_err(Failure::live)?;
    output::tell(&format!(
        "state: {}{}",
        state.root().display(),
        match made {
            0 => String::new(),
            made => format!(" ({made} test certificates made)"),
        }
    ));
    let started = started(args, &network, &state, &applications)?;
    if args.in_process {
        in_process(args, network, state, &started)
    } else {
        processes(args, &network, &state, &file, &started)
    }
}

fn in_process(args: &Up, network: Network, state: State, started: &str) -> Result<(), Failure> {
    args.log.start();
    let records = records(&args.keeping)?;
    block_on(async {
        let mut stop = Stop::listen(false).map_err(Failure::live)?;
        let mut printed = Ok(());
        let ready = || printed = output::print(started);
        let compatibility = Compatibility::of(&network);
        let network = Arc::new(network);
        let ended = whole::in_process(network, state, compatibility, records, &mut stop, ready).await;
        ended.map_err(Failure::live)?;
        printed
    })
}

fn processes(args: &Up, network: &Network, state: &State, file: &[u8], started: &str) -> Result<(), Failure> {
    // What cannot be followed is told before anything is started; a wrong PIN costs a token one try, not one a node.
    if let Some(place) = records(&args.keeping)?.master {
        place.open().map_err(Failure::live)?;
    }
    // The parts read a copy: one that is started again later has the same network as the others.
    let copy = state.root().join("network.toml");
    output::write_file(&copy, file)?;
    // What the file names is found from where the file is, and not from where its copy is.
    let folder = std::path::absolute(directory::folder(network).join(".")).map_err(Failure::live)?;
    let program = std::env::current_exe().map_err(Failure::live)?;
    let member = |name: String, command: &str, node: Option<&str>, log: &[&str]| {
        let mut arguments: Vec<OsString> =
            vec![command.into(), option("network", &copy), option("state", state.root())];
        arguments.extend(node.map(|node| option("name", node)));
        arguments.extend(node.map(|_| option("folder", &folder)));
        let Keeping { store, master_key, witness } = &args.keeping;
        for (name, value) in [("store", store), ("master-key", master_key)] {
            arguments.extend(node.and(value.as_ref()).map(|value| option(name, value)));
        }
        arguments.extend(node.and(witness.as_ref()).map(|folder| option("witness", folder)));
        arguments.extend(args.input.set.iter().map(|assignment| option("set", assignment)));
        arguments.extend(args.log.arguments().map(OsString::from));
        arguments.push("--with-parent".into());
        let log = log.iter().fold(state.root().to_owned(), |path, part| path.join(part)).join("log");
        Member { name, arguments, log }
    };
    let layer = member("the physical layer".to_owned(), "physical-layer", None, &["physical-layer"]);
    let nodes = network
        .nodes
        .iter()
        .map(|node| member(format!("node {}", node.name), "node", Some(&node.name), &["nodes", &node.name]));
    let nodes = nodes.collect();
    block_on(async {
        let mut stop = Stop::listen(false).map_err(Failure::live)?;
        let mut printed = Ok(());
        let news = |news: Option<News>| match news {
            None => printed = output::print(started),
            Some(News::Ready { member, .. }) => output::tell(&format!("{member} runs again")),
            Some(News::Died(death)) => output::tell(&died(&death)),
        };
        let mut reload = Reload::listen(&mut stop).map_err(Failure::live)?;
        let follow = || match anew(args, network, state, &copy) {
            Ok(()) => true,
            Err(error) => {
                output::tell(&format!("the network goes on as it was: {error}"));
                false
            }
        };
        match whole::processes(&program, layer, nodes, &mut stop, &mut reload, follow, news).await {
            Ok(()) => printed,
            Err(death) => {
                Err(Failure::Live(format!("{} could not start: {}{}", death.member, death.how, tail(&death))))
            }
        }
    })
}

/// Reads the network file anew: makes the certificates of new applications, and the copy from which the nodes read it.
fn anew(args: &Up, network: &Network, state: &State, copy: &Path) -> Result<(), Failure> {
    let (new, file) = load_with_bytes(&args.input, &[])?;
    policy::may_replace(network, &new).map_err(Failure::input)?;
    let applications = applications(&new)?;
    let names = applications.directory.applications().map(|(name, _)| name.as_str());
    let made = state.provision(&new, names).map_err(Failure::live)?;
    output::write_file(copy, &file)?;
    output::tell(&format!(
        "the nodes are told to read the network file anew ({made} test certificates made)"
    ));
    Ok(())
}

fn option(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(value);
    option
}

fn died(death: &Death) -> String {
    let pause = death.pause.as_secs_f64();
    format!("{} died: {}; it is started again in {pause} s{}", death.member, death.how, tail(death))
}

/// The end of a log, indented, with its place.
fn tail(death: &Death) -> String {
    let mut text = format!("\n  {} ends with:", death.log.display());
    for line in &death.tail {
        text.push_str(&format!("\n    {line}"));
    }
    if death.tail.is_empty() { String::new() } else { text }
}

/// What is told once all runs: who listens where, and how to get a key.
fn started(
    args: &Up,
    network: &Network,
    state: &State,
    applications: &Applications,
) -> Result<String, Failure> {
    let Applications { directory, by_default } = applications;
    let url = |node: NodeId| {
        let addresses = node_addresses(network, node).map_err(Failure::input)?;
        Ok::<_, Failure>(format!("https://{}", addresses.reached_key_manager()))
    };
    let entangles = !network.entangling_links.is_empty();
    let mut columns =
        vec![("node", Align::Left), ("key manager", Align::Left), ("applications", Align::Left)];
    if entangles {
        columns.push(("programs", Align::Left));
    }
    let mut table = Table::new(columns);
    for (place, node) in network.nodes.iter().enumerate().take(LISTED) {
        let id = NodeId(place as u32);
        let served = directory.applications().filter(|(_, at)| *at == id).map(|(name, _)| name.as_str());
        let served = served.collect::<Vec<_>>().join(", ");
        let mut row = vec![words::cut(&node.name, 24), url(id)?, words::cut(&served, APPLICATIONS_WIDTH)];
        if entangles {
            let programs = node_addresses(network, id).map_err(Failure::input)?.reached_programs();
            row.push(programs.map_or_else(|| "-".to_owned(), |address| address.to_string()));
        }
        table.row(row);
    }
    let mut text =
        format!("{} runs. Ctrl-C stops it.\n\n{}", network.name, table.render(output::is_styled()));
    if network.nodes.len() > LISTED {
        text.push_str(&format!("  … and {} more nodes\n", network.nodes.len() - LISTED));
    }
    if *by_default {
        text.push_str(
            "\nThe file names no application: each node has one, and all may share keys. Write [sae.NAME] and\n\
             [[pair]] before anybody relies on this network.\n",
        );
    }
    if entangles {
        text.push_str(
            "\nPairs are for programs, each of which attaches to its own node with the certificate of one of the\n\
             node's applications (docs/src/programs.md).\n",
        );
    }
    text.push_str(&only_simulated(network));
    // Without a link that distils there is no key.
    if network.links.is_empty() {
        return Ok(text);
    }
    // A pair at two nodes, for a key that crosses the network.
    let at = |name: &str| directory.node_of(name);
    let pair = directory.pairs().find(|(master, slave, _)| at(master.as_str()) != at(slave.as_str()));
    let Some((master, slave, _)) = pair else { return Ok(text) };
    let (master, slave) = (master.as_str(), slave.as_str());
    let layout = state.identities();
    let [certificate, key] =
        [layout.certificate(Role::Application, master), layout.key(Role::Application, master)];
    let home = url(at(master).unwrap_or(NodeId(0)))?;
    text.push_str(&format!(
        "\nA key for {master} to share with {slave}:\n  curl --cacert {} --cert {} --key {} {}\n  {}\n  {}\n",
        quoted(layout.authority(Role::KeyManager)),
        quoted(certificate.map_err(Failure::input)?),
        quoted(key.map_err(Failure::input)?),
        quoted(format!("{home}{}", client::path(slave, "enc_keys"))),
        key_command(args, master, &format!("--slave {} --wait 30s", quoted(slave))),
        key_command(args, slave, &format!("--master {} --id KEY_ID", quoted(master))),
    ));
    Ok(text)
}

/// What the file has that only a simulation does, in one line; nothing if it has none.
fn only_simulated(network: &Network) -> String {
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts = [
        counted(network.demands.len(), "[demand]"),
        counted(network.pair_demands.len(), "[pair_demand]"),
        counted(network.events.len(), "[[event]]"),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    if parts.is_empty() {
        return parts;
    }
    format!(
        "\nOf {parts} in the file nothing happens live: applications ask for keys and programs for pairs, and\n\
         `bellwether inject` makes events.\n"
    )
}

fn key_command(args: &Up, asking: &str, rest: &str) -> String {
    let mut line = format!("bellwether key get --network {}", quoted(&args.input.file));
    for assignment in &args.input.set {
        line.push_str(&format!(" --set {}", quoted(assignment)));
    }
    if let Some(state) = &args.state {
        line.push_str(&format!(" --state {}", quoted(state)));
    }
    line + &format!(" --as {} {rest}", quoted(asking))
}

/// As a shell takes it for one word.
pub(super) fn quoted(word: impl AsRef<Path>) -> String {
    let word = word.as_ref().display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%@,+~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("/a/b-c.pem"), "/a/b-c.pem");
        assert_eq!(quoted("link.A-B.fibre.length=\"8 km\""), "'link.A-B.fibre.length=\"8 km\"'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
