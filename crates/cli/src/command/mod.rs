//! One file a subcommand.

pub(crate) mod bench;
mod check;
mod distill;
mod live;
mod profiles;
mod rate;
mod simulate;

use crate::args::{Args, Command, Input};
use crate::{Failure, output};
use bellwether_network::{Network, Override};
use bellwether_sim::run::RunError;
use clap::CommandFactory;
use std::fs::File;
use std::io::{IsTerminal, Read};

/// Does what was typed.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Rate(args) => rate::run(&args),
        Command::Up(args) => live::up::run(&args),
        Command::Node(args) => live::part::node(&args),
        Command::PhysicalLayer(args) => live::part::physical_layer(&args),
        Command::Record(args) => live::record::run(&args),
        Command::Distill(args) => distill::run(&args),
        Command::Pki(args) => live::pki::run(&args),
        Command::Key(args) => live::key::run(&args),
        Command::Status(args) => live::status::run(&args),
        Command::Audit(args) => live::audit::run(&args),
        Command::Tunnel(args) => live::tunnel::run(&args),
        Command::WireGuard(args) => live::wireguard::run(&args),
        Command::Inject(args) => live::inject::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Profiles(args) => profiles::run(&args),
        Command::Schema => output::print_json(&bellwether_network::schema()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "bellwether", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Reads a network file with its overrides and `more` of these.
fn load(input: &Input, more: &[String]) -> Result<Network, Failure> {
    load_with_bytes(input, more).map(|(network, _)| network)
}

/// As [`load`], and the file itself, which is read once: it may be a pipe, or change.
fn load_with_bytes(input: &Input, more: &[String]) -> Result<(Network, Vec<u8>), Failure> {
    /// Far above what a network file may have; how large that is, the parser says.
    const LIMIT: u64 = 1 << 28;
    let overrides = input.set.iter().chain(more).map(|text| Override::parse(text));
    let overrides = overrides.collect::<Result<Vec<_>, _>>().map_err(Failure::input)?;
    let mut bytes = Vec::new();
    let read = File::open(&input.file).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    let network = match read {
        Ok(_) => Network::parse_bytes(&bytes, &input.file.display().to_string(), &overrides),
        // The library tells of unreadable files as it does of all that is wrong with one.
        Err(_) => Network::read(&input.file, &overrides),
    };
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Ok((network.map_err(|errors| Failure::Input(errors.render(coloured)))?, bytes))
}

/// The links of a network for which a recording stands in when it runs live, in words; nothing if there is none.
fn recorded_links(network: &Network) -> Option<String> {
    const LISTED: usize = 12;
    let mut names =
        network.links.iter().filter(|link| link.recording.is_some()).map(|link| link.name.as_str());
    let listed = names.by_ref().take(LISTED).collect::<Vec<_>>().join(", ");
    match names.count() {
        _ if listed.is_empty() => None,
        0 => Some(listed),
        more => Some(format!("{listed} and {more} more")),
    }
}

/// A file that can be read and not run: the mistake, after the file's name.
fn cannot_run(network: &Network) -> impl Fn(RunError) -> Failure + '_ {
    |error| Failure::Input(format!("{}: {error}", network.identity.file))
}

/// The link called `name`, or the only one if no name is given.
fn find_link(network: &Network, name: Option<&str>) -> Result<bellwether_units::LinkId, Failure> {
    const LISTED: usize = 12;
    let names: Vec<_> = network.links.iter().map(|link| link.name.as_str()).take(LISTED + 1).collect();
    let listed = match names.as_slice() {
        [] => "it has none".to_owned(),
        names if names.len() <= LISTED => format!("its links are {}", names.join(", ")),
        names => format!("among its links are {}", names[..LISTED].join(", ")),
    };
    match name {
        Some(name) => network
            .find_link(name)
            .ok_or_else(|| Failure::Input(format!("the network has no link `{name}`; {listed}"))),
        None if names.len() == 1 => Ok(bellwether_units::LinkId(0)),
        None => Err(Failure::Input(format!("name one link of the network with --link; {listed}"))),
    }
}
