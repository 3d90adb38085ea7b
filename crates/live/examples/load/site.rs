//! One site: a node without hardware, whose pool is filled with test bits.

use crate::Failure;
use bellwether_bits::SecretBits;
use bellwether_live::directory;
use bellwether_live::identity::OlderTls;
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::node::daemon::{Node, NodeSettings};
use bellwether_live::node::records::Records;
use bellwether_live::state::State;
use bellwether_network::Network;
use bellwether_units::{BlockId, EntityId, LinkId, NodeId, Purpose, Stream};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bits of a block that is put into the pool.
const BLOCK: u64 = 1 << 20;

/// Runs a site until its input ends. A line of digits fills so many bits into the pool; any other line is answered
/// with how many bits the pool and this site's stock hold, and how many bits the pool was offered so far.
pub(crate) async fn run(network: Network, node: u32, state: PathBuf) -> Result<(), Failure> {
    let (network, node) = (Arc::new(network), NodeId(node));
    let settings = NodeSettings {
        node,
        directory: Arc::new(directory::applications(&network)?.directory),
        state: State::at(state),
        records: Records::default(),
        addresses: directory::node_addresses(&network, node)?,
        // Nobody is there: the link's devices are away for as long as it runs.
        physical_layer: directory::physical_layer_address(&network)?,
        folder: Default::default(),
        compatibility: Compatibility::default(),
        older_tls: OlderTls::default(),
        network,
    };
    let node = Node::start(settings).await?;
    println!("ready");
    let (heard, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if heard.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut filler = Filler::new();
    while let Some(line) = lines.recv().await {
        if let Ok(bits) = line.trim().parse() {
            filler.add(&node, bits).await;
            continue;
        }
        let state = node.keys().state().await;
        let stock: u64 = state.peers.iter().map(|peer| peer.bits).sum();
        let pool = state.links.first().map(|link| link.account).unwrap_or_default();
        println!(
            "{} {}",
            pool.outgoing + pool.incoming + pool.unconfirmed + stock,
            pool.stored + pool.overflow
        );
    }
    node.stop().await;
    Ok(())
}

/// Puts bits into the pool. Both sites draw the same, since they have the same seed and are told the same.
struct Filler {
    stream: Stream,
    next: BlockId,
}

impl Filler {
    fn new() -> Self {
        let stream = Stream::new(1, EntityId(0), Purpose::named("pool of a load test"));
        Self { stream, next: BlockId(0) }
    }

    async fn add(&mut self, node: &Node, bits: u64) {
        let mut left = bits;
        while left > 0 {
            let size = left.min(BLOCK);
            let key = SecretBits::random(size as usize, &mut self.stream);
            node.keys().store_block(LinkId(0), self.next, key).await;
            self.next = BlockId(self.next.0 + 1);
            left -= size;
        }
    }
}
