//! How many durable keys a second a key manager hands out over ETSI GS QKD 014, and how long they take.
//!
//! Two sites run as processes of their own, each a whole node as a daemon runs it: TLS, sealed store on disk, the
//! other site told of every key. This process is the load: so many connections kept alive, each with its client
//! certificate, each asking for one key of 256 bits after the other. The sites' pools are filled beforehand with
//! bits of a test generator; what serves them is a daemon's code.
//!
//! ```text
//! cargo run --release -p bellwether-live --example load -- --connections 32 --for 10 --pool 1000000
//! ```
//!
//! The CPU time of each process is told beside the rate, since all three share this machine.

mod generator;
mod processor;
mod site;

use bellwether_live::directory;
use bellwether_live::state::State;
use bellwether_network::Network;
use clap::{Parser, Subcommand};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) type Failure = Box<dyn core::error::Error + Send + Sync>;

/// How long a key is, in bits.
const KEY_BITS: u64 = 256;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How many seconds to measure, after two of warming up
    #[arg(long = "for", default_value_t = 10)]
    seconds: u64,
    /// How many keys' worth of bits the pool that the two sites share holds at the start
    #[arg(long, default_value_t = 1_000_000)]
    pool: u64,
    /// Put back into the pools what is taken, so that they stay as large
    #[arg(long)]
    refill: bool,
    /// Keys of a request
    #[arg(long, default_value_t = 1)]
    number: u32,
    /// Whether the slave collects every key at the other site as well
    #[arg(long)]
    collect: bool,
    /// The folder for the sites' state; a fresh one in the system's temporary folder if not given
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The first of the ports that are used
    #[arg(long, default_value_t = 25_400)]
    first_port: u16,
}

#[derive(Subcommand)]
enum Role {
    /// What this program starts for each site
    #[command(hide = true)]
    Site { node: u32, state: PathBuf, pool: u64, first_port: u16 },
}

/// Two nodes that hold a link in common.
fn network(pool: u64, first_port: u16) -> Result<Network, Failure> {
    let capacity = (2 * pool * KEY_BITS).max(1 << 24);
    let text = format!(
        r#"
format = 1
[network]
name = "load"
[node.A]
pool_capacity = "{capacity} bit"
[node.B]
pool_capacity = "{capacity} bit"
[link.A-B]
ends = ["A", "B"]
fibre = {{ length = "10 km", loss_per_length = "0.2 dB/km" }}
transmitter = {{ profile = "generic-decoy-1ghz", clock = "10 MHz" }}
receiver = {{ profile = "idq-clavis-receiver" }}
[live]
first_port = {first_port}
"#
    );
    Ok(Network::parse(&text, "load.toml", &[]).map_err(|errors| errors.to_string())?)
}

/// A site's process, which ends when this one does: its standard input is the sign of life.
struct Site {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Site {
    fn start(args: &Args, node: u32, state: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("site")
            .args([node.to_string().as_ref(), state.as_os_str()])
            .args([args.pool.to_string(), args.first_port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut says = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        says.read_line(&mut line)?;
        match line.trim() {
            "ready" => Ok(Self { process: child, says }),
            _ => Err("a site did not start: see above".into()),
        }
    }

    /// How many bits its pool and its stock hold, and how many its pool was offered.
    fn level(&mut self) -> Result<(u64, u64), Failure> {
        self.say("level")?;
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        let (left, stored) = line.trim().split_once(' ').ok_or("a site does not tell its level")?;
        Ok((left.parse()?, stored.parse()?))
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.process.stdin.as_mut().ok_or("no input")?;
        Ok(writeln!(input, "{line}")?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends by itself once its input has.
        let _ = self.process.wait();
    }
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(Role::Site { node, state, pool, first_port }) = args.role {
        return runtime.block_on(site::run(network(pool, first_port)?, node, state));
    }
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let network = Arc::new(network(args.pool, args.first_port)?);
    let state = State::at(&folder);
    let applications = directory::applications(&network)?;
    state.provision(&network, applications.directory.applications().map(|(name, _)| name.as_str()))?;
    let mut sites = [Site::start(&args, 0, &folder)?, Site::start(&args, 1, &folder)?];
    let filled = args.pool * KEY_BITS;
    fill(&mut sites, filled)?;
    let processes = sites.each_ref().map(|site| site.process.id());
    let done = Arc::new(AtomicBool::new(false));
    let filler = {
        let (done, refills) = (Arc::clone(&done), args.refill);
        std::thread::spawn(move || refill(sites, refills, filled, &done))
    };
    let load = generator::Load {
        connections: args.connections,
        warm_up: Duration::from_secs(2),
        measured: Duration::from_secs(args.seconds),
        number: args.number,
        collect: args.collect,
        enough: args.pool.min(64),
    };
    let ended = runtime.block_on(generator::run(&network, &state, load, processes));
    done.store(true, Ordering::Relaxed);
    filler.join().map_err(|_| "the pools could not be filled again")??;
    ended
}

/// Puts so many bits into the pools of both sites.
fn fill(sites: &mut [Site; 2], bits: u64) -> Result<(), Failure> {
    sites.iter_mut().try_for_each(|site| site.say(&bits.to_string()))
}

/// Holds the sites until `done`, and if `refills` puts back what is taken from the pool and the first site's stock, so
/// that both together stay as large.
fn refill(mut sites: [Site; 2], refills: bool, mut filled: u64, done: &AtomicBool) -> Result<(), Failure> {
    /// A block's worth of key.
    const TOGETHER: u64 = 256 * KEY_BITS;
    let whole = filled;
    while !done.load(Ordering::Relaxed) {
        if refills {
            let (left, offered) = sites[0].level()?;
            let missing = whole.saturating_sub(left + filled.saturating_sub(offered));
            let bits = missing / TOGETHER * TOGETHER;
            if bits > 0 {
                fill(&mut sites, bits)?;
                filled += bits;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
