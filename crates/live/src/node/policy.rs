//! What of a network file may change while a node runs: applications, pairs and webhooks.

use crate::directory::{self, LiveNetworkError};
use crate::webhook::WebhookError;
use bellwether_network::{Live, Network};
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
    Fixed(String),
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
    let differing = fixed_parts(old, new);
    if !differing.is_empty() {
        return Err(ReloadError::Fixed(differing.join(", ")));
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

/// What differs and must not while a node runs, as it is called in network files.
///
/// Networks are taken apart to the last part, so that whoever adds one decides here whether it may change.
fn fixed_parts(old: &Network, new: &Network) -> Vec<&'static str> {
    let Network {
        name,
        run,
        nodes,
        links,
        entangling_links,
        circuits,
        demands,
        pair_demands,
        events,
        live,
        // What people read.
        description: _,
        sources: _,
        identity: _,
        // What may change.
        saes: _,
        pairs: _,
    } = old;
    let Live {
        first_port,
        physical_layer,
        head_start,
        key_size,
        paths,
        starved_after,
        unknown_key_is_404,
        absent_peer_is_success,
        certificate_names,
        tls_1_2,
        listeners,
        // It may change.
        webhooks: _,
    } = live;
    let fixed = [
        ("`network.name`", *name == new.name),
        ("[run]", *run == new.run),
        ("[node]", *nodes == new.nodes),
        ("[link]", *links == new.links),
        ("[entangling]", *entangling_links == new.entangling_links),
        ("[circuit]", *circuits == new.circuits),
        ("[demand]", *demands == new.demands),
        ("[pair_demand]", *pair_demands == new.pair_demands),
        ("[[event]]", *events == new.events),
        ("`live.first_port`", *first_port == new.live.first_port),
        ("`live.physical_layer`", *physical_layer == new.live.physical_layer),
        ("`live.head_start`", *head_start == new.live.head_start),
        ("`live.key_size`", *key_size == new.live.key_size),
        ("`live.paths`", *paths == new.live.paths),
        ("`live.starved_after`", *starved_after == new.live.starved_after),
        ("`live.unknown_key_is_404`", *unknown_key_is_404 == new.live.unknown_key_is_404),
        ("`live.absent_peer_is_success`", *absent_peer_is_success == new.live.absent_peer_is_success),
        ("`live.certificate_names`", *certificate_names == new.live.certificate_names),
        ("`live.tls_1_2`", *tls_1_2 == new.live.tls_1_2),
        ("[live.node]", *listeners == new.live.listeners),
    ];
    fixed.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(live: &str, rest: &str) -> Network {
        let text = format!(
            "format = 1\nnetwork.name = \"n\"\n[live]\n{live}\n[node.A]\n[node.B]\n[sae.a]\nnode = \"A\"\n{rest}"
        );
        Network::parse(&text, "n.toml", &[]).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn what_of_live_holds_until_a_restart_is_refused_by_its_name() {
        let old = network("", "");
        for (written, told) in [
            ("paths = 2", "`live.paths`"),
            ("unknown_key_is_404 = true", "`live.unknown_key_is_404`"),
            ("absent_peer_is_success = true", "`live.absent_peer_is_success`"),
            ("tls_1_2 = true", "`live.tls_1_2`"),
            ("certificate_names = [\"common-name\"]", "`live.certificate_names`"),
            ("key_size = \"128 bit\"", "`live.key_size`"),
            ("head_start = \"1 min\"", "`live.head_start`"),
            ("first_port = 5000", "`live.first_port`"),
            ("physical_layer = \"127.0.0.1:6000\"", "`live.physical_layer`"),
            ("node.A.operations = \"127.0.0.1:6000\"", "[live.node]"),
        ] {
            let error = may_replace(&old, &network(written, "")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{told} of the network file")), "{written}: {error}");
        }
        let error = may_replace(&old, &network("paths = 2", "[node.C]")).unwrap_err().to_string();
        assert!(error.starts_with("[node], `live.paths` of"), "{error}");
    }

    #[test]
    fn applications_and_webhooks_may_change() {
        let old = network("", "");
        let new = network("webhook.pager.url = \"http://127.0.0.1:9/\"", "[sae.b]\nnode = \"B\"");
        let Difference { changes, directory } = difference(&old, &new).unwrap();
        assert_eq!(changes, ["sae b is new", "webhooks are now: pager"]);
        assert!(directory.is_some());
        assert_eq!(difference(&old, &old).unwrap().changes, Vec::<String>::new());
    }
}
