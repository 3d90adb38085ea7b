//! Programs of two nodes of a running network, a process each: teleportation, Bell's inequality, key of entangled pairs.
//!
//! With `bellwether up networks/oxford-ions.toml` running, in two other terminals:
//!
//! ```text
//! cargo run --release -p bellwether-live --example programs -- teleport networks/oxford-ions.toml alice
//! cargo run --release -p bellwether-live --example programs -- teleport networks/oxford-ions.toml bob
//! ```
//!
//! Likewise `chsh` and `bbm92`. The texts of the programs are those that the simulator runs. The nodes are the ends of the
//! network's first circuit: its head is Alice, its tail Bob.

#[path = "../../../../examples/bbm92/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod bbm92;
#[path = "../../../../examples/chsh/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod chsh;
#[path = "../../../../examples/teleport/program.rs"]
#[allow(unreachable_pub, reason = "the text is for readers, not for this file")]
mod teleport;

use bellwether_live::process::{log, runtime};
use bellwether_live::programs::run;
use bellwether_live::state::State;
use bellwether_network::{Network, Override};
use bellwether_protocol::application::{Node, ProgramError};
use bellwether_protocol::qkd::security::ClassCounts;
use bellwether_sim::entanglement::build;
use bellwether_units::NodeId;
use clap::{Parser, ValueEnum};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
struct Args {
    program: Program,
    /// The network that runs
    network: PathBuf,
    /// The node at which this program is: an end of the network's first circuit
    node: String,
    /// The network's state directory, if it is not the usual one
    #[arg(long)]
    state: Option<PathBuf>,
    /// Override a value of the network file, as at its start
    #[arg(long, value_name = "PATH=VALUE", value_parser = Override::parse)]
    set: Vec<Override>,
    /// How many states are sent, or pairs measured
    #[arg(long)]
    number: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Program {
    /// Teleports random states
    Teleport,
    /// Tests Bell's inequality
    Chsh,
    /// Makes secret key
    Bbm92,
}

/// Which end of the network's first circuit.
#[derive(Clone, Copy)]
enum End {
    Head,
    Tail,
}

fn main() -> ExitCode {
    log::start(log::Format::Text, log::Level::Warn);
    match attached(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn attached(args: Args) -> Result<(), Box<dyn Error>> {
    let network = Network::read(args.network, &args.set)?;
    let state = args.state.map_or_else(|| State::of_network(&network), State::at);
    let setup = build(&network)?.setup;
    let circuit = setup.circuits.first().ok_or("the network has no circuit that can be served")?;
    let ends = [circuit.nodes[0], circuit.nodes[circuit.nodes.len() - 1]];
    let [head, tail] = ends.map(|end| network.node(end).name.as_str());
    let (end, peer) = if args.node.eq_ignore_ascii_case(head) {
        (End::Head, ends[1])
    } else if args.node.eq_ignore_ascii_case(tail) {
        (End::Tail, ends[0])
    } else {
        let node = args.node;
        return Err(format!("the ends of the first circuit are `{head}` and `{tail}`, not `{node}`").into());
    };
    let program = async |node, _| match args.program {
        Program::Teleport => teleport(node, peer, end, args.number.unwrap_or(1000)).await,
        Program::Chsh => chsh(node, peer, end, args.number.unwrap_or(4000).into()).await,
        Program::Bbm92 => bbm92(node, peer, args.number.unwrap_or(40_000).into()).await,
    };
    Ok(runtime::block_on(run(&network, &state, &args.node, program))???)
}

async fn teleport(node: Node, peer: NodeId, end: End, states: u32) -> Result<(), ProgramError> {
    let began = node.now();
    match end {
        End::Head => {
            teleport::alice(node, peer, states).await?;
            println!("{states} states sent");
        }
        End::Tail => {
            let right = teleport::bob(node.clone(), peer, states).await?;
            let fidelity = f64::from(right) / f64::from(states);
            let error = (fidelity * (1.0 - fidelity) / f64::from(states)).sqrt();
            let took = node.now().since(began).seconds();
            println!(
                "{right} of {states} states arrived: fidelity {fidelity:.3} ± {error:.3}, in {took:.2} s"
            );
        }
    }
    Ok(())
}

async fn chsh(node: Node, peer: NodeId, end: End, pairs: u64) -> Result<(), ProgramError> {
    match end {
        End::Head => {
            chsh::alice(node, peer, pairs).await?;
            println!("{pairs} pairs measured, and Bob told");
        }
        End::Tail => {
            let (s, error) = chsh::bob(node, peer, pairs).await?;
            let above = (s - 2.0) / error;
            println!("S = {s:.3} ± {error:.3} from {pairs} pairs, {above:.1} standard errors above 2");
        }
    }
    Ok(())
}

async fn bbm92(node: Node, peer: NodeId, pairs: u64) -> Result<(), ProgramError> {
    let began = node.now();
    let key = bbm92::end(node.clone(), peer, pairs).await?;
    let percent = |class: ClassCounts| 100.0 * class.errors as f64 / class.sifted as f64;
    println!("sifted: {} bits in Z with {:.2} % errors", key.in_z.sifted, percent(key.in_z));
    println!("checked: {} bits in X with {:.2} % errors", key.in_x.sifted, percent(key.in_x));
    println!("disclosed by reconciliation: {} bits", key.certificate.leak);
    println!("secret: {} bits, the same at the other end but for a chance of 1e-15", key.key.len());
    println!("network time: {:.1} s", node.now().since(began).seconds());
    Ok(())
}
