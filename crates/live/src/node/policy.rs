//! What of a network file may change while a node runs: applications, pairs and webhooks.

use crate::directory::{self, LiveNetworkError};
use crate::webhook::WebhookError;
use bellwether_network::Network;
use bellwether_protocol::keys::delivery::Directory;
use std::sync::Arc;

/// Why a node goes on with the policy that it had.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// More differs than may.
    #[error(
        "{0} of the network file cannot change while a node runs: restart it, or undo the change. \
         [sae], [[pair]] and [live.webhook] may change"
    )]
    Fixed(&'static str),
    /// The applications.
    #[error(transparent)]
    Network(#[from] LiveNetworkError),
    /// A webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

/// Whether a network may take the place of another while its nodes run.
///
/// # Errors
/// Why not: see [`ReloadError`].
pub fn may_replace(old: &Network, new: &Network) -> Result<(), ReloadError> {
    difference(old, new).map(|_| ())
}

/// What is new: who may share keys if that changes, and all that changes, in words.
pub(super) struct Difference {
    pub(super) directory: Option<Arc<Directory>>,
    pub(super) changes: Vec<String>,
}

/// What differs from `old` to `new`.
pub(super) fn difference(old: &Network, new: &Network) -> Result<Difference, ReloadError> {
    let fixed: [(&str, bool); 9] = [
        ("`network.name`", old.name == new.name),
        ("[run]", old.run == new.run),
        ("[node]", old.nodes == new.nodes),
        ("[link]", old.links == new.links),
        ("[demand]", old.demands == new.demands),
        ("[[event]]", old.events == new.events),
        ("`live.key_size`", old.live.key_size == new.live.key_size),
        ("a switch in [live]", {
            let switches = |network: &Network| {
                let live = &network.live;
                let compatibility = (live.unknown_key_is_404, live.absent_peer_is_success);
                (live.paths, compatibility, live.tls_1_2, live.certificate_names.clone())
            };
            switches(old) == switches(new)
        }),
        ("an address in [live]", {
            let addresses = |network: &Network| {
                let live = &network.live;
                (live.first_port, live.physical_layer, live.head_start, live.listeners.clone())
            };
            addresses(old) == addresses(new)
        }),
    ];
    if let Some((what, _)) = fixed.into_iter().find(|(_, same)| !same) {
        return Err(ReloadError::Fixed(what));
    }
    let mut changes = Vec::new();
    let names = |network: &Network| network.saes.iter().map(|sae| sae.name.clone()).collect::<Vec<_>>();
    let (before, after) = (names(old), names(new));
    changes
        .extend(after.iter().filter(|name| !before.contains(name)).map(|name| format!("sae {name} is new")));
    changes
        .extend(before.iter().filter(|name| !after.contains(name)).map(|name| format!("sae {name} is gone")));
    for sae in &new.saes {
        if old.saes.iter().any(|other| other.name == sae.name && other != sae) {
            changes.push(format!("sae {} differs", sae.name));
        }
    }
    let pairs = |network: &Network| {
        let name = |pair: &bellwether_network::Pair| {
            format!("{} to {}", network.sae(pair.master).name, network.sae(pair.slave).name)
        };
        let pairs = network.pairs.iter().map(|pair| {
            let policy = (pair.requirement, pair.keys_per_second, pair.bits_per_day);
            (name(pair), policy)
        });
        pairs.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, after) = (pairs(old), pairs(new));
    for (pair, policy) in &after {
        match before.get(pair) {
            None => changes.push(format!("pair {pair} is new, {}", policy.0.name())),
            Some(other) if other != policy => {
                changes.push(format!("pair {pair} differs, {} to {}", other.0.name(), policy.0.name()));
            }
            Some(_) => {}
        }
    }
    changes.extend(
        before.keys().filter(|pair| !after.contains_key(*pair)).map(|pair| format!("pair {pair} is gone")),
    );
    let directory = match changes.is_empty() {
        true => None,
        false => Some(Arc::new(directory::applications(new)?.directory)),
    };
    if old.live.webhooks != new.live.webhooks {
        let names: Vec<_> = new.live.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let now = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        changes.push(format!("webhooks are now: {now}"));
    }
    Ok(Difference { directory, changes })
}
