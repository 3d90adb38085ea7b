//! Running a program where there are a network file and its state directory.

use super::client::{AttachError, Names, attach};
use crate::directory::{self, LiveNetworkError, node_addresses};
use crate::identity::{IdentityFileError, Role};
use crate::state::State;
use bellwether_network::Network;
use bellwether_protocol::application::Node;
use bellwether_units::NodeId;
use std::path::PathBuf;

/// Why a program was not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such node.
    #[error("the network has no node `{name}`; it has {known}")]
    NoNode {
        /// What it was called.
        name: String,
        /// Some that there are.
        known: String,
    },
    /// The node has no memories.
    #[error("node `{0}` is at the end of no [entangling.NAME] link: programs attach to nodes that are")]
    NoMemories(String),
    /// The network file does not say where the node listens, or who its applications are.
    #[error(transparent)]
    Network(#[from] LiveNetworkError),
    /// The node has no application.
    #[error("node `{0}` has no application as whose program to attach: write [sae.NAME] with node = \"{0}\"")]
    NoApplication(String),
    /// None of its applications has a certificate here.
    #[error("{} is not there: name the state directory of the running network", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate or key cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// The node does not take the program.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// The number of the node called `name`, by whatever case of its letters if no other is called so.
fn find(network: &Network, name: &str) -> Result<NodeId, RunError> {
    let place = |same: &dyn Fn(&str) -> bool| {
        let mut found = network.nodes.iter().enumerate().filter(|(_, node)| same(&node.name));
        let first = found.next()?;
        found.next().is_none().then_some(NodeId(first.0 as u32))
    };
    let id = place(&|node| node == name).or_else(|| place(&|node| node.eq_ignore_ascii_case(name)));
    id.ok_or_else(|| {
        let known: Vec<_> = network.nodes.iter().take(10).map(|node| format!("`{}`", node.name)).collect();
        let more = if network.nodes.len() > 10 { " and more" } else { "" };
        RunError::NoNode { name: name.to_owned(), known: known.join(", ") + more }
    })
}

/// Attaches to the node called `node` of a running network on this machine, as the first application of that node whose
/// certificate is in `state`, and runs `program` to its end. What is lost with the connection is told to the program, and
/// why to the log.
///
/// ```no_run
/// use bellwether_live::programs::run;
/// use bellwether_live::state::State;
/// use bellwether_network::Network;
/// use bellwether_protocol::application::{Basis, Node, ProgramError};
/// use bellwether_units::{Duration, NodeId};
///
/// async fn shared_bit(node: Node, peer: NodeId) -> Result<bool, ProgramError> {
///     let half = node.epr(peer, 0.8, Duration::from_whole_seconds(10)).await?;
///     Ok(half.measure(Basis::Z).await?)
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::read("networks/oxford-ions.toml", &[])?;
/// let state = State::of_network(&network);
/// let bit = run(&network, &state, "Alice", async |node, names| {
///     let bob = names.find("Bob").ok_or_else(|| ProgramError::Other("there is no Bob".to_owned()))?;
///     shared_bit(node, bob).await
/// })
/// .await??;
/// println!("{}", u8::from(bit));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// See [`RunError`].
pub async fn run<F: Future>(
    network: &Network,
    state: &State,
    node: &str,
    program: impl FnOnce(Node, Names) -> F,
) -> Result<F::Output, RunError> {
    let id = find(network, node)?;
    let name = &network.node(id).name;
    let address = node_addresses(network, id)?.reached_programs();
    let address = address.ok_or_else(|| RunError::NoMemories(name.clone()))?;
    let layout = state.identities();
    let directory = directory::applications(network)?.directory;
    let mut missing = None;
    for (application, _) in directory.applications().filter(|(_, at)| *at == id) {
        let path = layout.certificate(Role::Application, application.as_str())?;
        if path.exists() {
            let identity = layout.load(Role::Application, application.as_str())?;
            let roots = layout.roots(Role::KeyManager)?;
            let attachment = attach(address, name, &identity, roots).await?;
            let (output, connection) = attachment.run(program).await;
            if let Err(error) = connection {
                tracing::warn!(node = name, %error, "the program was cut off from its node");
            }
            return Ok(output);
        }
        missing.get_or_insert(path);
    }
    Err(missing.map_or_else(|| RunError::NoApplication(name.clone()), RunError::NoCertificate))
}
