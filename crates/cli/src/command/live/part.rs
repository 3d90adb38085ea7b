//! `bellwether node` and `bellwether physical-layer`: the parts of a network, each a process.

use super::{applications, block_on, records, require_identity, state_of, up};
use crate::Failure;
use crate::args::{Node, PhysicalLayer};
use crate::command::load;
use bellwether_live::identity::Role;
use bellwether_live::node::daemon::{NodeError, NodeSettings};
use bellwether_live::process::crew::READY;
use bellwether_live::process::parts;
use bellwether_live::process::stop::{Reload, Stop};
use bellwether_live::state::PHYSICAL_LAYER;
use bellwether_live::store::{Rollback, StoreError};
use std::io::Write;
use std::sync::Arc;

pub(crate) fn node(args: &Node) -> Result<(), Failure> {
    args.part.log.start();
    let network = Arc::new(load(&args.network.input(), &[])?);

    let Some(node) = network.find_node(&args.name) else {
        return Err(Failure::Input(format!("the network has no node `{}`", args.name)));
    };
    let directory = Arc::new(applications(&network)?.directory);
    let state = state_of(&network, args.part.state.as_deref());
    require_identity(&state, Role::Node, &args.name)?;
    require_identity(&state, Role::KeyManager, &args.name)?;
    state.claim(&network).map_err(Failure::live)?;
    let mut settings = NodeSettings::usual(network, node, directory, state).map_err(Failure::input)?;
    settings.records = records(&args.keeping)?;
    if args.accept_rollback {
        settings.records.rollback = Rollback::Accept;
    }
    if let Some(folder) = &args.folder {
        settings.folder.clone_from(folder);
    }
    block_on(async {
        let mut stop = Stop::listen(args.part.with_parent).map_err(Failure::live)?;
        let ready = |node: &bellwether_live::node::daemon::Node| {
            ready(&format!("node {}; its key manager at https://{}", node.name(), node.key_manager()));
        };
        let mut reload = Reload::listen(&mut stop).map_err(Failure::live)?;
        let read = || load(&args.network.input(), &[]);
        let ended = parts::node(settings, &mut stop, &mut reload, read, ready).await;
        ended.map_err(|error| Failure::Live(format!("{error}{}", remedy(&error))))
    })
}

/// The command that opens a store which is doubtful; nothing for other errors.
fn remedy(error: &NodeError) -> String {
    let NodeError::Store(StoreError::RolledBack { .. } | StoreError::NoWitness { .. }) = error else {
        return String::new();
    };
    // As this node was started, by whomever; but it is a person who will start it.
    let typed = std::env::args_os().filter(|word| word != "--with-parent");
    let command: Vec<_> = typed.chain(["--accept-rollback".into()]).map(up::quoted).collect();
    format!(
        ".\n  To open it all the same, without the keys that it holds, start it once so, and stop it when it is ready:\n  {}",
        command.join(" ")
    )
}

pub(crate) fn physical_layer(args: &PhysicalLayer) -> Result<(), Failure> {
    args.part.log.start();
    let network = load(&args.network.input(), &[])?;
    let state = state_of(&network, args.part.state.as_deref());
    require_identity(&state, Role::Node, PHYSICAL_LAYER)?;
    block_on(async {
        let mut stop = Stop::listen(args.part.with_parent).map_err(Failure::live)?;
        let ready = |address| ready(&format!("the emulated physical layer at {address}"));
        parts::physical_layer(&network, &state, &mut stop, ready).await.map_err(Failure::live)
    })
}

/// Says on standard output that a part is ready.
fn ready(what: &str) {
    let mut out = std::io::stdout().lock();
    // A part serves its network also if nobody wants to hear that.
    let _ = out.write_all(format!("{READY}{what}\n").as_bytes()).and_then(|()| out.flush());
}
